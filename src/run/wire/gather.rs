//! What workers on the wire say, on its way to be committed.
//!
//! Workers never wait for whoever writes records: while too much is under way, what they have to say stays with them, up to a bound
//! beyond which it is counted as lost. There is no order between workers, but for other rules: what a worker says after it has changed to them
//! waits until all have, because what was found before is of the rules before.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use weir_engine::detect::{Event, What};

use crate::run::workers::Commit;
use crate::run::workers::changes::{Changed, Step};

/// Messages of all workers that may be under way.
const UNDER_WAY: usize = 1024;

/// Events of all workers that may be under way before workers keep theirs: some hundred bytes each.
const EVENTS_UNDER_WAY: usize = 1 << 17;

/// Events that a worker keeps when nobody takes them.
const MOST_KEPT: usize = 1 << 16;

/// What a worker says.
pub struct Said {
    worker: usize,
    events: Vec<Event>,
    /// Frames since it last said something.
    frames: u64,
    /// It has changed to other rules; what it says from now on is of those.
    changed: Option<Changed>,
    /// It says nothing any more.
    ended: bool,
}

/// A worker's end of the channel.
pub struct Voice<'a> {
    worker: usize,
    to: SyncSender<Said>,
    /// What nobody has taken yet.
    pub events: Vec<Event>,
    frames: u64,
    /// What it said when it changed to other rules, and nobody had room for.
    changes: VecDeque<Said>,
    /// Events that were sent and are not committed.
    under_way: Arc<AtomicUsize>,
    lost: &'a AtomicU64,
}

impl Voice<'_> {
    /// So many frames were inspected. Sends what there is to say, if somebody can take it.
    pub fn speak(&mut self, frames: u64) {
        self.frames += frames;
        self.send_changes();
        if self.events.is_empty() && self.frames < 4096 {
            return;
        }
        let room = self.under_way.load(Ordering::Relaxed) < EVENTS_UNDER_WAY;
        if room && self.changes.is_empty() {
            let said = self.said(None, false);
            match self.send(said) {
                Ok(()) => return,
                Err(said) => (self.events, self.frames) = (said.events, said.frames),
            }
        }
        if self.events.len() > MOST_KEPT {
            let over = self.events.len() - MOST_KEPT;
            self.events.truncate(MOST_KEPT);
            self.lost.fetch_add(over as u64, Ordering::Relaxed);
        }
    }

    /// The worker has changed to other rules.
    pub fn changed(&mut self, changed: Changed) {
        let said = self.said(Some(changed), false);
        self.changes.push_back(said);
        self.send_changes();
    }

    /// What is said after a change goes behind it.
    fn send_changes(&mut self) {
        while let Some(said) = self.changes.pop_front() {
            if let Err(said) = self.send(said) {
                self.changes.push_front(said);
                return;
            }
        }
    }

    /// Sends it, or gives it back when nobody can take it now.
    fn send(&self, said: Said) -> Result<(), Said> {
        let events = said.events.len();
        self.under_way.fetch_add(events, Ordering::Relaxed);
        self.to.try_send(said).map_err(|error| {
            self.under_way.fetch_sub(events, Ordering::Relaxed);
            let (TrySendError::Full(said) | TrySendError::Disconnected(said)) = error;
            said
        })
    }

    fn said(&mut self, changed: Option<Changed>, ended: bool) -> Said {
        Said {
            worker: self.worker,
            events: std::mem::take(&mut self.events),
            frames: std::mem::take(&mut self.frames),
            changed,
            ended,
        }
    }
}

/// However a worker ends, others do not wait for it to change its rules.
impl Drop for Voice<'_> {
    fn drop(&mut self) {
        let said = self.said(None, true);
        self.changes.push_back(said);
        while let Some(said) = self.changes.pop_front() {
            self.under_way
                .fetch_add(said.events.len(), Ordering::Relaxed);
            // Nobody takes it where the run was stopped; and who would take it may be what panics.
            if std::thread::panicking() {
                let _ = self.to.try_send(said);
            } else {
                let _ = self.to.send(said);
            }
        }
    }
}

/// Channels for so many workers. `lost` counts the events that nobody took in time.
pub fn channels(workers: usize, lost: &AtomicU64) -> (Vec<Voice<'_>>, Gather) {
    let (to, from) = sync_channel(UNDER_WAY);
    let under_way = Arc::new(AtomicUsize::new(0));
    let voice = |worker| Voice {
        worker,
        to: to.clone(),
        events: Vec::new(),
        frames: 0,
        changes: VecDeque::new(),
        under_way: Arc::clone(&under_way),
        lost,
    };
    let gather = Gather {
        from,
        under_way: Arc::clone(&under_way),
        lanes: (0..workers).map(|_| Lane::default()).collect(),
    };
    ((0..workers).map(voice).collect(), gather)
}

/// What is known of a worker by who gathers.
#[derive(Default)]
struct Lane {
    /// What came after it had changed, while others had not.
    behind: VecDeque<Said>,
    changed: Option<Changed>,
    ended: bool,
    /// What it has counted, until all have said so.
    counters: Option<Event>,
}

/// Puts together what workers say.
pub struct Gather {
    from: Receiver<Said>,
    /// Events that were sent and are not committed, those that wait behind a change among them.
    under_way: Arc<AtomicUsize>,
    lanes: Vec<Lane>,
}

impl Gather {
    /// The channel's end, to wait at.
    pub fn from(&self) -> &Receiver<Said> {
        &self.from
    }

    /// Takes what a worker says, and commits what can be. Returns how many frames it tells of.
    pub fn take(&mut self, said: Said, commit: Commit<'_>) -> (u64, ControlFlow<()>) {
        let frames = said.frames;
        let flow = self.put(said, commit);
        (frames, flow)
    }

    fn put(&mut self, said: Said, commit: Commit<'_>) -> ControlFlow<()> {
        let Some(lane) = self.lanes.get_mut(said.worker) else {
            return ControlFlow::Continue(());
        };
        if lane.changed.is_some() {
            lane.behind.push_back(said);
        } else {
            self.say(said, commit)?;
        }
        self.change(commit)
    }

    /// Commits what a worker says that is of the rules in force.
    fn say(&mut self, said: Said, commit: Commit<'_>) -> ControlFlow<()> {
        self.under_way
            .fetch_sub(said.events.len(), Ordering::Relaxed);
        for event in said.events {
            if matches!(event.what, What::Counters(_)) {
                if let Some(lane) = self.lanes.get_mut(said.worker) {
                    // The latest: one that was stopped for a while has said it more often than others.
                    lane.counters = Some(event);
                }
                self.counters(commit)?;
            } else {
                commit(Step::Event(&event))?;
            }
        }
        if let Some(lane) = self.lanes.get_mut(said.worker) {
            lane.changed = said.changed;
            lane.ended |= said.ended;
        }
        ControlFlow::Continue(())
    }

    /// Commits what workers have counted once all have said so.
    fn counters(&mut self, commit: Commit<'_>) -> ControlFlow<()> {
        if self.lanes.iter().all(|lane| lane.counters.is_some()) {
            for lane in &mut self.lanes {
                if let Some(event) = lane.counters.take() {
                    commit(Step::Event(&event))?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Goes on with other rules once all workers have.
    fn change(&mut self, commit: Commit<'_>) -> ControlFlow<()> {
        loop {
            let all = |lane: &Lane| lane.changed.is_some() || lane.ended;
            if !self.lanes.iter().all(all) {
                return ControlFlow::Continue(());
            }
            let changed = self.lanes.iter_mut().filter_map(|lane| lane.changed.take());
            let Some(changed) = changed.reduce(Changed::and) else {
                return ControlFlow::Continue(());
            };
            commit(Step::Changed(changed))?;
            for worker in 0..self.lanes.len() {
                while let Some(said) = self.next_of(worker) {
                    self.say(said, commit)?;
                }
            }
        }
    }

    /// What waits of a worker, up to its next change.
    fn next_of(&mut self, worker: usize) -> Option<Said> {
        let lane = self.lanes.get_mut(worker)?;
        lane.behind.pop_front_if(|_| lane.changed.is_none())
    }

    /// All workers have ended.
    pub fn is_over(&self) -> bool {
        self.lanes.iter().all(|lane| lane.ended)
    }
}

/// Something that is to be handed to a worker between two batches.
pub struct Slot<T> {
    ready: AtomicBool,
    what: Mutex<Option<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            ready: AtomicBool::new(false),
            what: Mutex::new(None),
        }
    }
}

impl<T> Slot<T> {
    /// Puts it there.
    pub fn put(&self, what: T) {
        let mut slot = self.what.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(what);
        self.ready.store(true, Ordering::Release);
    }

    /// Takes it, if it is there: without a lock where it is not.
    #[inline]
    pub fn take(&self) -> Option<T> {
        if !self.ready.load(Ordering::Relaxed) {
            return None;
        }
        let mut slot = self.what.lock().unwrap_or_else(PoisonError::into_inner);
        self.ready.store(false, Ordering::Relaxed);
        slot.take()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_engine::detect::{Counters, Place};

    use super::*;

    fn event(number: u64) -> Event {
        let place = Place {
            number,
            ..Place::default()
        };
        let notice = weir_engine::detect::Noticed {
            ts_ns: number,
            notice: weir_engine::eval::Notice {
                module: "m".into(),
                kind: weir_engine::eval::NoticeKind::Quarantined,
                reason: String::new(),
                failures: 0,
            },
        };
        Event {
            place,
            what: What::Notice(Box::new(notice)),
        }
    }

    fn changed() -> Changed {
        Changed {
            took: Duration::ZERO,
            retired: Vec::new(),
        }
    }

    /// What was committed: a number for an event, 0 for a change, 1000 for counters.
    fn gathered(gather: &mut Gather) -> Vec<u64> {
        let mut seen = Vec::new();
        while let Ok(said) = gather.from.try_recv() {
            let _ = gather.take(said, &mut |step| {
                seen.push(match step {
                    Step::Event(event) if matches!(event.what, What::Counters(_)) => 1000,
                    Step::Event(event) => event.place.number,
                    Step::Changed(_) => 0,
                });
                ControlFlow::Continue(())
            });
        }
        seen
    }

    #[test]
    fn what_is_said_after_a_change_waits_for_the_others() {
        let lost = AtomicU64::new(0);
        let (mut voices, mut gather) = channels(2, &lost);
        let say = |voice: &mut Voice<'_>, number| {
            voice.events.push(event(number));
            voice.speak(1);
        };
        say(&mut voices[0], 1);
        voices[0].changed(changed());
        say(&mut voices[0], 2);
        voices[0].changed(changed());
        say(&mut voices[0], 3);
        say(&mut voices[1], 4);
        assert_eq!(gathered(&mut gather), [1, 4]);
        voices[1].changed(changed());
        assert_eq!(gathered(&mut gather), [0, 2]);
        // One that is not there any more is not waited for.
        voices.pop();
        assert_eq!(gathered(&mut gather), [0, 3]);
        assert!(!gather.is_over());
        voices.pop();
        assert!(gathered(&mut gather).is_empty());
        assert!(gather.is_over());
    }

    #[test]
    fn counters_come_from_all_workers_or_not_at_all() {
        let lost = AtomicU64::new(0);
        let (mut voices, mut gather) = channels(2, &lost);
        let count = |voice: &mut Voice<'_>| {
            voice.events.push(Event {
                place: Place::default(),
                what: What::Counters(Box::<Counters>::default()),
            });
            voice.speak(0);
        };
        count(&mut voices[0]);
        count(&mut voices[0]);
        assert!(gathered(&mut gather).is_empty());
        count(&mut voices[1]);
        assert_eq!(gathered(&mut gather), [1000, 1000]);
    }

    #[test]
    fn what_nobody_takes_is_kept_up_to_a_bound_and_then_counted() {
        let lost = AtomicU64::new(0);
        let (mut voices, gather) = channels(1, &lost);
        for number in 0..UNDER_WAY as u64 {
            voices[0].events.push(event(number));
            voices[0].speak(1);
        }
        let kept: Vec<Event> = (0..MOST_KEPT as u64 + 5).map(event).collect();
        voices[0].events = kept;
        voices[0].speak(1);
        assert_eq!(lost.load(Ordering::Relaxed), 5);
        assert_eq!(voices[0].events.len(), MOST_KEPT);
        drop(gather);
    }

    #[test]
    fn events_under_way_are_bounded_however_few_messages_they_are_in() {
        let lost = AtomicU64::new(0);
        let (mut voices, mut gather) = channels(2, &lost);
        for voice in &mut voices {
            for _ in 0..8 {
                voice
                    .events
                    .extend((0..EVENTS_UNDER_WAY as u64 / 4).map(event));
                voice.speak(1);
            }
        }
        assert!(gather.under_way.load(Ordering::Relaxed) <= EVENTS_UNDER_WAY * 5 / 4);
        let kept: usize = voices.iter().map(|voice| voice.events.len()).sum();
        let taken = gathered(&mut gather).len();
        let lost = lost.load(Ordering::Relaxed) as usize;
        assert_eq!(taken + kept + lost, 4 * EVENTS_UNDER_WAY);
        assert!(kept > 0 && kept <= 2 * MOST_KEPT);
        // There is room again.
        voices.iter_mut().for_each(|voice| voice.speak(0));
        assert_eq!(gathered(&mut gather).len(), kept);
        assert_eq!(gather.under_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_change_is_said_without_waiting_and_in_its_place() {
        let lost = AtomicU64::new(0);
        let (mut voices, mut gather) = channels(1, &lost);
        for number in 1..=UNDER_WAY as u64 + 1 {
            voices[0].events.push(event(number));
            voices[0].speak(1);
        }
        voices[0].changed(changed());
        voices[0].events.push(event(7777));
        voices[0].speak(1);
        let before: Vec<u64> = (1..=UNDER_WAY as u64).collect();
        assert_eq!(gathered(&mut gather), before);
        voices[0].speak(1);
        assert_eq!(gathered(&mut gather), [UNDER_WAY as u64 + 1, 0, 7777]);
    }
}
