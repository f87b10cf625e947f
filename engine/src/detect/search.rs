//! Looking for probes: asks a backend, and software where the backend does not answer as it should.

use std::time::{Duration, Instant};

use crate::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Request, Software};

/// What looking for probes counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchCounters {
    /// Buffers given to the matcher.
    pub buffers: u64,
    /// Bytes in them.
    pub buffer_bytes: u64,
    /// Probes found (the first occurrence in each buffer).
    pub probe_hits: u64,
    /// Buffers that the matcher could not finish, or not in time, and software did.
    pub rescanned: u64,
    /// Reports about no buffer that was waited for: late, repeated, or with a tag that was never given.
    pub stray_reports: u64,
    /// Hits of probes that are not in the table.
    pub stray_hits: u64,
}

/// A backend, and software for what it does not finish.
pub(super) struct Search {
    matcher: Box<dyn Matcher>,
    /// Made when it is first needed; `None` in it when it cannot hold the probes.
    fallback: Option<Option<Software>>,
    /// How long a buffer is waited for.
    deadline: Duration,
    /// Tag of the latest buffer. No tag is given twice, so a late report cannot pass for another buffer's.
    tag: u64,
    hits: Hits,
    pub(super) counters: SearchCounters,
}

/// The probes of one buffer, each once.
#[derive(Default)]
struct Hits {
    found: Vec<u32>,
    /// For each probe, the tag of the buffer it was last found in.
    seen: Vec<u64>,
    stray: u64,
}

impl Hits {
    fn take(&mut self, hits: &[Hit], tag: u64) {
        for hit in hits {
            match self.seen.get_mut(hit.probe as usize) {
                Some(seen) if *seen == tag => {}
                Some(seen) => {
                    *seen = tag;
                    self.found.push(hit.probe);
                }
                None => self.stray += 1,
            }
        }
    }
}

impl Search {
    /// Loads the probes into `matcher`.
    ///
    /// # Errors
    /// When it cannot hold them.
    pub(super) fn new(
        mut matcher: Box<dyn Matcher>,
        probes: &[Probe],
        deadline: Duration,
    ) -> Result<Self, MatcherError> {
        matcher.load(probes)?;
        Ok(Self {
            matcher,
            fallback: None,
            deadline,
            tag: 0,
            hits: Hits {
                seen: vec![0; probes.len()],
                ..Hits::default()
            },
            counters: SearchCounters::default(),
        })
    }

    /// The backend's name.
    pub(super) fn backend(&self) -> &'static str {
        self.matcher.name()
    }

    /// The probes of a group that occur in a buffer, each once. `probes` is what was loaded. The first `carry` bytes have
    /// been looked through before.
    pub(super) fn find(&mut self, probes: &[Probe], group: u8, carry: u8, data: &[u8]) -> &[u32] {
        self.tag += 1;
        self.hits.found.clear();
        let request = Request {
            tag: self.tag,
            group,
            carry,
            data,
        };
        self.counters.buffers += 1;
        self.counters.buffer_bytes += data.len() as u64;
        if !self.ask(request) {
            self.counters.rescanned += 1;
            self.rescan(probes, request);
        }
        self.counters.probe_hits += self.hits.found.len() as u64;
        self.counters.stray_hits += std::mem::take(&mut self.hits.stray);
        &self.hits.found
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
        // The clock is read when there is something to wait for, and only then.
        let mut until = None;
        let mut in_time = || {
            let now = Instant::now();
            // A deadline that no clock can show never comes.
            let until = *until.get_or_insert_with(|| now.checked_add(*deadline));
            std::thread::yield_now();
            until.is_none_or(|until| now < until)
        };
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
                    hits.take(report.hits, request.tag);
                }
            });
            match answer {
                Some(outcome) => return outcome == Outcome::Done,
                None if in_time() => {}
                None => return false,
            }
        }
    }

    /// Has software look through a buffer. Should that be impossible, every probe counts as found: evaluation then takes
    /// longer, but misses nothing.
    fn rescan(&mut self, probes: &[Probe], request: Request<'_>) {
        let Self { fallback, hits, .. } = self;
        let software = fallback.get_or_insert_with(|| {
            let mut software = Software::new();
            software.load(probes).is_ok().then_some(software)
        });
        let mut finished = false;
        if let Some(software) = software
            && software.submit(request).is_ok()
        {
            software.poll(&mut |report| {
                finished |= report.outcome == Outcome::Done;
                hits.take(report.hits, request.tag);
            });
        }
        if !finished {
            hits.found = (0..probes.len() as u32).collect();
        }
    }
}
