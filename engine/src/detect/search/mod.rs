//! Looking for probes: asks a backend, and software where the backend does not answer as it should.
//!
//! A backend that is far away ([`Matcher::depth`]) gets the payloads of frames that are not due yet ([`Search::ahead`]). What is asked for in the end is answered
//! from them where it is such a payload, or a part of one; the few bytes of a joint with what came before, and all that was not foreseen,
//! are left to software.

mod early;

use std::time::{Duration, Instant};

use super::Groups;
use super::glance::{Directions, TAIL};
use early::{Queue, State};

use crate::matcher::{Hit, MAX_PROBE, Matcher, MatcherError, Outcome, Probe, Request, Software};
use crate::packet::Frame;

/// What looking for probes counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchCounters {
    /// Buffers given to the matcher.
    pub buffers: u64,
    /// Bytes in them.
    pub buffer_bytes: u64,
    /// Probes found (the first occurrence in each buffer).
    pub probe_hits: u64,
    /// Buffers that the matcher answered, or could not finish: all others were software's from the start, because nobody foresaw them.
    pub asked: u64,
    /// Buffers that the matcher could not finish, or not in time, and software did.
    pub rescanned: u64,
    /// Buffers that were handed to the matcher and not wanted in the end.
    pub unwanted: u64,
    /// Reports about no buffer that was waited for: late, repeated, or with a tag that was never given.
    pub stray_reports: u64,
    /// Hits of probes that are not in the table.
    pub stray_hits: u64,
}

/// A backend, and software for what it does not finish.
pub(super) struct Search {
    matcher: Box<dyn Matcher>,
    /// What the backend was given before it was asked for; `None` for one that is asked for a buffer at a time.
    ahead: Option<Ahead>,
    /// Made when it is first needed; `None` in it when it cannot hold the probes.
    fallback: Option<Option<Software>>,
    /// How long a buffer is waited for.
    deadline: Duration,
    /// Tag of the latest buffer that was asked for at once. No tag is given twice, so a late report cannot pass for another buffer's.
    tag: u64,
    hits: Hits,
    pub(super) counters: SearchCounters,
}

/// A backend that has its probes.
pub(super) struct LoadedMatcher {
    matcher: Box<dyn Matcher>,
    /// The same in software, where that is needed all the time.
    software: Option<Software>,
    /// How many probes.
    probes: usize,
}

impl LoadedMatcher {
    /// Loads the probes.
    ///
    /// # Errors
    /// When it cannot hold them.
    pub(super) fn new(
        mut matcher: Box<dyn Matcher>,
        probes: &[Probe],
    ) -> Result<Self, MatcherError> {
        matcher.load(probes)?;
        let mut software = None;
        if matcher.depth() > 1 {
            // It looks through joints all the time, and takes over at once when the backend fails.
            let mut loaded = Software::new();
            software = loaded.load(probes).is_ok().then_some(loaded);
        }
        Ok(Self {
            matcher,
            software,
            probes: probes.len(),
        })
    }
}

/// What runs ahead.
struct Ahead {
    queue: Queue,
    directions: Directions,
    /// Frames that were looked at ahead.
    seen: u64,
    /// Number of the frame at hand.
    turn: u64,
    /// A payload behind what came before it.
    whole: Vec<u8>,
    /// A deadline has passed, and no report has come since: nothing is waited for until one comes.
    silent: bool,
}

/// The probes of one buffer, each once.
#[derive(Default)]
struct Hits {
    found: Vec<u32>,
    /// For each probe, the number of the buffer it was last found in.
    seen: Vec<u64>,
    /// Number of the buffer at hand.
    buffer: u64,
    stray: u64,
}

impl Hits {
    /// Goes on to the next buffer.
    fn next(&mut self) {
        self.found.clear();
        self.buffer += 1;
    }

    fn put(&mut self, hit: Hit) {
        match self.seen.get_mut(hit.probe as usize) {
            Some(seen) if *seen == self.buffer => {}
            Some(seen) => {
                *seen = self.buffer;
                self.found.push(hit.probe);
            }
            None => self.stray += 1,
        }
    }

    fn take(&mut self, hits: &[Hit]) {
        hits.iter().for_each(|&hit| self.put(hit));
    }
}

/// What is to be looked through.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Whose probes.
    pub(super) group: u8,
    /// First bytes of `data` that have been looked through before.
    pub(super) carry: u8,
    /// Carry and buffer.
    pub(super) data: &'a [u8],
    /// The payload of the packet at hand.
    pub(super) payload: &'a [u8],
    /// Where the buffer starts in it, if it is a part of it.
    pub(super) at: usize,
}

impl<'a> Wanted<'a> {
    /// The payload itself.
    pub(super) fn payload(group: u8, payload: &'a [u8]) -> Self {
        Self {
            group,
            carry: 0,
            data: payload,
            payload,
            at: 0,
        }
    }

    fn request(&self, tag: u64) -> Request<'a> {
        Request {
            tag,
            group: self.group,
            carry: self.carry,
            data: self.data,
        }
    }
}

impl Search {
    /// With this backend.
    pub(super) fn new(loaded: LoadedMatcher, deadline: Duration) -> Self {
        let LoadedMatcher {
            matcher,
            software,
            probes,
        } = loaded;
        Self {
            ahead: (matcher.depth() > 1).then(Ahead::new),
            matcher,
            fallback: software.map(Some),
            deadline,
            tag: 0,
            hits: Hits {
                seen: vec![0; probes],
                ..Hits::default()
            },
            counters: SearchCounters::default(),
        }
    }

    /// Goes on with another backend, into which other probes have been loaded. What was handed in ahead is looked through
    /// by software when it is wanted: hits of the probes before say nothing. Returns what is not needed any more.
    pub(super) fn swap(&mut self, loaded: LoadedMatcher) -> LoadedMatcher {
        let LoadedMatcher {
            matcher,
            software,
            probes,
        } = loaded;
        if let Some(ahead) = &mut self.ahead {
            self.counters.unwanted += ahead.queue.forget();
            ahead.silent = false;
        }
        let before = self.hits.seen.len();
        self.hits.seen = vec![0; probes];
        LoadedMatcher {
            matcher: std::mem::replace(&mut self.matcher, matcher),
            software: std::mem::replace(&mut self.fallback, software.map(Some)).flatten(),
            probes: before,
        }
    }

    /// The backend's name.
    pub(super) fn backend(&self) -> &'static str {
        self.matcher.name()
    }

    /// True when something is gained by [`Search::ahead`].
    pub(super) fn runs_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Hands in what a frame will probably ask for, where the backend gains by it.
    pub(super) fn ahead(&mut self, frame: &Frame<'_>, groups: &Groups) {
        let Some(ahead) = &mut self.ahead else {
            return;
        };
        ahead.seen += 1;
        let Some((glance, payload)) = ahead.directions.glance(frame, groups) else {
            return;
        };
        let mut request = Request {
            tag: ahead.queue.next_tag(),
            group: glance.group,
            carry: 0,
            data: payload,
        };
        if let Some(tail) = glance.tail {
            ahead.whole.clear();
            ahead.whole.extend_from_slice(&tail);
            ahead.whole.extend_from_slice(payload);
            request.carry = TAIL as u8;
            request.data = &ahead.whole;
        }
        ahead.queue.push(ahead.seen, glance, State::Waits);
        let mut wait = Wait::new(self.deadline);
        while let Err(error) = self.matcher.submit(request) {
            let full = matches!(error, MatcherError::Full);
            let Ahead { queue, silent, .. } = ahead;
            if full && hear(queue, silent, &mut *self.matcher, &mut self.counters) > 0 {
                continue;
            }
            if !full || *silent || !wait.goes_on() {
                *silent |= full;
                if let Some(early) = queue.get_mut(request.tag) {
                    early.state = State::Unfinished;
                }
                return;
            }
        }
    }

    /// Nothing more is handed in for now.
    pub(super) fn flush(&mut self) {
        self.matcher.flush();
    }

    /// The next frame is at hand.
    pub(super) fn next_frame(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.turn += 1;
            self.counters.unwanted += ahead.queue.come_to(ahead.turn);
        }
    }

    /// The probes of a group that occur in a buffer, each once. `probes` is what was loaded.
    pub(super) fn find(&mut self, probes: &[Probe], wanted: Wanted<'_>) -> &[u32] {
        self.hits.next();
        self.counters.buffers += 1;
        self.counters.buffer_bytes += wanted.data.len() as u64;
        if self.ahead.is_some() {
            self.find_early(probes, wanted);
        } else {
            self.tag += 1;
            self.counters.asked += 1;
            if !self.ask(wanted.request(self.tag)) {
                self.counters.rescanned += 1;
                self.rescan(probes, wanted.request(0));
            }
        }
        self.counters.probe_hits += self.hits.found.len() as u64;
        self.counters.stray_hits += std::mem::take(&mut self.hits.stray);
        &self.hits.found
    }

    /// Takes the answer from what was handed in before.
    fn find_early(&mut self, probes: &[Probe], wanted: Wanted<'_>) {
        let Wanted {
            group,
            carry,
            data,
            payload,
            at,
        } = wanted;
        let whole = wanted.request(0);
        let Some(ahead) = &mut self.ahead else {
            return;
        };
        let before = usize::from(carry);
        // With what was carried, or at least without.
        let foreseen = match ahead.queue.at(ahead.turn) {
            Some((tag, early)) if early.glance.is_of(payload) => {
                if early.glance.group == group {
                    let tail = early.glance.tail.as_ref().map_or(&[][..], |tail| &tail[..]);
                    let is_part = |carry: usize| {
                        let start = isize::try_from(at).ok()?.checked_sub_unsigned(carry)?;
                        let data = data.get(before - carry..)?;
                        early::is_part(tail, payload, start, data).then_some(carry)
                    };
                    let carried = is_part(before).or_else(|| is_part(0));
                    carried.map(|carried| (tag, carried, at + tail.len()))
                } else {
                    ahead.directions.turn(&early.glance);
                    None
                }
            }
            _ => None,
        };
        let Some((tag, carried, base)) = foreseen else {
            self.rescan(probes, whole);
            return;
        };
        self.counters.asked += 1;
        let state = ahead.answer(tag, &mut *self.matcher, self.deadline, &mut self.counters);
        if state != State::Done {
            self.counters.rescanned += 1;
            self.rescan(probes, whole);
            return;
        }
        let Self { ahead, hits, .. } = self;
        if let Some(early) = ahead.as_mut().and_then(|ahead| ahead.queue.get_mut(tag)) {
            let data = data.get(before - carried..).unwrap_or_default();
            early::in_part(&early.hits, probes, (carried, data), base, &mut |hit| {
                hits.put(hit);
            });
        }
        if carried < before {
            // What begins before the payload ends in its first bytes.
            let joint = data.get(..before + MAX_PROBE - 1);
            let joint = Request {
                data: joint.unwrap_or(data),
                ..whole
            };
            self.rescan(probes, joint);
        }
    }

    /// Has the backend look through a buffer; false when it gave up, or its time is over.
    fn ask(&mut self, request: Request<'_>) -> bool {
        let Self {
            matcher,
            deadline,
            hits,
            counters,
            ..
        } = self;
        let mut wait = Wait::new(*deadline);
        let (mut submitted, mut answer) = (false, None);
        loop {
            if !submitted {
                match matcher.submit(request) {
                    Ok(()) => submitted = true,
                    Err(MatcherError::Full) => {}
                    Err(_) => return false,
                }
            }
            matcher.poll(&mut |report| {
                if !submitted || report.tag != request.tag || answer.is_some() {
                    counters.stray_reports += 1;
                    return;
                }
                answer = Some(report.outcome);
                if report.outcome == Outcome::Done {
                    hits.take(report.hits);
                }
            });
            match answer {
                Some(outcome) => return outcome == Outcome::Done,
                None if wait.goes_on() => {}
                None => return false,
            }
        }
    }

    /// Software with the same probes.
    fn software(&mut self, probes: &[Probe]) -> Option<&mut Software> {
        let fallback = self.fallback.get_or_insert_with(|| {
            let mut software = Software::new();
            software.load(probes).is_ok().then_some(software)
        });
        fallback.as_mut()
    }

    /// Has software look through a buffer. Should that be impossible, every probe counts as found: evaluation then takes
    /// longer, but misses nothing.
    fn rescan(&mut self, probes: &[Probe], request: Request<'_>) {
        let mut finished = false;
        self.software(probes);
        let Self { fallback, hits, .. } = self;
        if let Some(Some(software)) = fallback
            && software.submit(request).is_ok()
        {
            software.poll(&mut |report| {
                finished |= report.outcome == Outcome::Done;
                hits.take(report.hits);
            });
        }
        if !finished {
            hits.found = (0..probes.len() as u32).collect();
        }
    }
}

/// Waiting with a deadline.
struct Wait {
    deadline: Duration,
    /// `None` before there was anything to wait for: the clock is read then, and only then.
    until: Option<Option<Instant>>,
}

impl Wait {
    fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            until: None,
        }
    }

    /// Lets others run; false when the time is over.
    fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        // A deadline that no clock can show never comes.
        let until = *self
            .until
            .get_or_insert_with(|| now.checked_add(self.deadline));
        std::thread::yield_now();
        until.is_none_or(|until| now < until)
    }
}

impl Ahead {
    fn new() -> Self {
        Self {
            queue: Queue::default(),
            directions: Directions::new(),
            seen: 0,
            turn: 0,
            whole: Vec::new(),
            silent: false,
        }
    }

    /// Waits for an answer.
    fn answer(
        &mut self,
        tag: u64,
        matcher: &mut dyn Matcher,
        deadline: Duration,
        counters: &mut SearchCounters,
    ) -> State {
        let mut wait = Wait::new(deadline);
        loop {
            let state = match self.queue.get_mut(tag) {
                Some(early) => early.state,
                None => return State::Unfinished,
            };
            if state != State::Waits {
                return state;
            }
            if hear(&mut self.queue, &mut self.silent, matcher, counters) > 0 {
                continue;
            }
            if self.silent || !wait.goes_on() {
                self.silent = true;
                if let Some(early) = self.queue.get_mut(tag) {
                    early.state = State::Unfinished;
                }
                return State::Unfinished;
            }
        }
    }
}

/// Takes the reports that are there, and returns how many there were.
fn hear(
    queue: &mut Queue,
    silent: &mut bool,
    matcher: &mut dyn Matcher,
    counters: &mut SearchCounters,
) -> usize {
    let next = queue.next_tag();
    let heard = matcher.poll(&mut |report| {
        let early = queue.get_mut(report.tag);
        match early.filter(|early| early.state == State::Waits) {
            Some(early) if report.outcome == Outcome::Done => {
                early.hits.extend_from_slice(report.hits);
                early.state = State::Done;
            }
            Some(early) => early.state = State::Unfinished,
            // One that is no longer wanted was counted when it was dropped.
            None if report.tag < next => {}
            None => counters.stray_reports += 1,
        }
    });
    *silent &= heard == 0;
    heard
}
