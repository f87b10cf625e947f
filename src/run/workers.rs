//! Worker threads for captures: frames out in blocks, matches back in packet order.
//!
//! A reader thread deals the frames of a block out to the workers ([`shard`]): both directions of a flow and all
//! fragments of a packet go to the same one. Every worker answers every block, and the block is committed when all have,
//! so what is committed is in packet order and the same however many workers there are. At the end of each block, which
//! is the same frame for all, every worker looks whose time is up; one worker alone cuts the same blocks.
//!
//! Other rules ([`Changes`]) come to all workers before the same frame. What is in the block so far goes out before them as a
//! part of a block, so that blocks, and with them time, are as they would be without.

mod block;
pub mod changes;

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use weir_engine::detect::{Engine, Event, Profile, Stage, Successor};
use weir_engine::flow::shard;
use weir_engine::handover;
use weir_engine::packet::Frame;
use weir_engine::state::{Guard, Order};

use block::Block;
use changes::{Change, Changed, Changes, Retired, Step};

/// A block is closed when it holds this many frames or bytes: enough to hide the hand-over, few enough to stay in cache.
const BLOCK_FRAMES: usize = 1024;
const BLOCK_BYTES: usize = 1 << 20;

/// Blocks under way per worker.
const DEPTH: usize = 4;

/// What a source has to offer.
pub enum Next<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Nothing for now: what has come so far is to be inspected without waiting for more.
    #[cfg_attr(
        not(feature = "libpcap"),
        expect(dead_code, reason = "files never pause")
    )]
    Pause,
    /// Nothing any more, or an error that the source has kept.
    End,
}

/// Where frames come from.
pub trait Source {
    /// The next frame, numbered where its source has numbers.
    fn next(&mut self) -> Next<'_>;

    /// Frames have numbers, from 1, that grow: what they cause is to be the same each time.
    fn is_numbered(&self) -> bool {
        true
    }

    /// Once it has ended: there would have been more, had it not been stopped.
    fn was_stopped(&self) -> bool;
}

/// Whether another process goes on where this run ends, so that nothing ends with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handover {
    /// No.
    #[default]
    Never,
    /// When the source was stopped.
    Stopped,
    /// Always.
    Always,
}

impl Handover {
    fn of(self, source: &impl Source) -> bool {
        match self {
            Self::Never => false,
            Self::Stopped => source.was_stopped(),
            Self::Always => true,
        }
    }
}

/// What a worker does with frames.
pub trait Inspect: Send {
    /// What it changes to when other rules come.
    type Next: Send;
    /// Goes on with other rules; what is not needed any more is returned. Nothing is looked at ahead.
    fn change(&mut self, next: Self::Next, events: &mut Vec<Event>) -> Retired;
    /// True when the worker gains by looking at frames ahead.
    fn runs_ahead(&self) -> bool {
        false
    }
    /// Looks at a frame that will be inspected later, in this order and at this place in memory.
    fn ahead(&mut self, _frame: Frame<'_>) {}
    /// No more frames are looked at for now.
    fn flush(&mut self) {}
    /// Inspects a frame.
    fn process(&mut self, frame: Frame<'_>, events: &mut Vec<Event>);
    /// Ends what is to end at `now_ns`, after frame `number`.
    fn tick(&mut self, number: u64, now_ns: u64, events: &mut Vec<Event>);
    /// Ends everything, after the last frame; `number` is beyond those of all frames.
    fn finish(&mut self, number: u64, events: &mut Vec<Event>);
    /// The worker's stop watch.
    fn profile(&mut self) -> &mut Profile;
}

impl Inspect for Engine {
    type Next = Successor;

    fn change(&mut self, next: Successor, events: &mut Vec<Event>) -> Retired {
        match self.swap(next, events) {
            Ok(retired) => Box::new(retired),
            // Changes are made one after the other, each from the rules that all workers have.
            Err(error) => {
                tracing::error!("{error}");
                Box::new(())
            }
        }
    }

    fn runs_ahead(&self) -> bool {
        Engine::runs_ahead(self)
    }

    fn ahead(&mut self, frame: Frame<'_>) {
        Engine::ahead(self, frame);
    }

    fn flush(&mut self) {
        Engine::flush(self);
    }

    fn process(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) {
        // Nothing is forwarded, so nothing can be dropped.
        Engine::process(self, frame, events);
    }

    fn tick(&mut self, number: u64, now_ns: u64, events: &mut Vec<Event>) {
        Engine::tick(self, number, now_ns, events);
    }

    fn finish(&mut self, number: u64, events: &mut Vec<Event>) {
        Engine::finish(self, number, events);
    }

    fn profile(&mut self) -> &mut Profile {
        Engine::profile(self)
    }
}

/// Takes what is committed, and may stop the run.
pub type Commit<'a> = &'a mut dyn FnMut(Step<'_>) -> ControlFlow<()>;

/// How a run goes.
pub struct Course<'a, N = Successor> {
    /// What the workers' turns are of.
    pub order: &'a Order,
    /// Is told what reading and committing took, where that is not in a worker's own.
    pub profile: &'a mut Profile,
    /// Where another process left off.
    pub block: handover::Block,
    /// Whether another process goes on with it.
    pub handover: Handover,
    /// Where other rules come from.
    pub changes: &'a Changes<N>,
}

/// Runs all frames of `source` through the workers. `commit` sees what they have to say, in packet order, and may stop the run.
///
/// Returns where this run leaves off; `None` where everything has ended.
pub fn run<S: Source + Send, W: Inspect>(
    workers: &mut [W],
    source: &mut S,
    course: Course<'_, W::Next>,
    commit: Commit<'_>,
) -> Option<handover::Block> {
    let Course {
        order,
        profile,
        block,
        handover,
        changes,
    } = course;
    let mut cut = Cut::going_on(block);
    // Where the run was stopped from here, because nothing can be written, it does not go on elsewhere.
    let left = match workers {
        [] => ControlFlow::Continue(false),
        [worker] if worker.runs_ahead() => {
            ahead(worker, source, &mut cut, (handover, changes), commit)
        }
        [worker] => serial(worker, source, &mut cut, (handover, changes), commit),
        several => parallel(
            (several, order),
            source,
            profile,
            &mut cut,
            (handover, changes),
            commit,
        ),
    };
    (left == ControlFlow::Continue(true)).then(|| cut.left())
}

/// The end of a block.
#[derive(Clone, Copy, Default)]
struct End {
    /// The latest number of a frame up to here.
    number: u64,
    /// The latest time within the block; where there was none, that of the block before.
    now_ns: u64,
}

/// Says where blocks end.
#[derive(Default)]
struct Cut {
    frames: usize,
    bytes: usize,
    end: End,
}

impl Cut {
    /// In the middle of a block. Numbers begin anew.
    fn going_on(block: handover::Block) -> Self {
        Self {
            frames: block.frames.min(BLOCK_FRAMES as u64) as usize,
            bytes: block.bytes.min(BLOCK_BYTES as u64) as usize,
            end: End {
                number: 0,
                now_ns: block.now_ns,
            },
        }
    }

    /// The block as far as it was filled.
    fn left(&self) -> handover::Block {
        handover::Block {
            frames: self.frames as u64,
            bytes: self.bytes as u64,
            now_ns: self.end.now_ns,
        }
    }

    fn count(&mut self, frame: &Frame<'_>) {
        let End { number, now_ns } = &mut self.end;
        // Time may go back from one block to the next: one wrong time must not end everything that comes after it.
        *now_ns = match self.frames {
            0 => frame.ts_ns,
            _ => frame.ts_ns.max(*now_ns),
        };
        *number = frame.number.max(*number);
        self.frames += 1;
        self.bytes += frame.data.len();
    }

    fn is_full(&self) -> bool {
        self.frames >= BLOCK_FRAMES || self.bytes >= BLOCK_BYTES
    }

    /// The source pauses, so it is one whose frames have the time of the clock: that goes on without frames, too.
    fn pause(&mut self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since
            .ok()
            .and_then(|since| u64::try_from(since.as_nanos()).ok());
        self.end.now_ns = self.end.now_ns.max(now.unwrap_or(0));
    }

    /// Ends the block.
    fn take(&mut self) -> End {
        (self.frames, self.bytes) = (0, 0);
        self.end
    }
}

impl End {
    /// Beyond all frames, so that what ends with the run comes after what time ended before.
    fn of_run(self) -> u64 {
        self.number.saturating_add(1)
    }
}

/// Whether another process goes on with the run, and where other rules come from.
type Future<'a, W> = (Handover, &'a Changes<<W as Inspect>::Next>);

fn serial<W: Inspect>(
    worker: &mut W,
    source: &mut impl Source,
    cut: &mut Cut,
    (handover, changes): Future<'_, W>,
    commit: Commit<'_>,
) -> ControlFlow<(), bool> {
    let mut events = Vec::new();
    worker.profile().skip();
    let mut more = true;
    let mut goes_on = false;
    while more {
        let next = source.next();
        change_alone(worker, changes, &mut events, commit)?;
        let ends = match next {
            Next::Frame(frame) => {
                changes.count();
                cut.count(&frame);
                worker.process(frame, &mut events);
                cut.is_full()
            }
            Next::Pause => {
                worker.profile().skip();
                cut.pause();
                true
            }
            Next::End => {
                more = false;
                goes_on = handover.of(source);
                !goes_on
            }
        };
        commit_all(worker, &mut events, commit)?;
        if ends {
            let End { number, now_ns } = cut.take();
            worker.tick(number, now_ns, &mut events);
            commit_all(worker, &mut events, commit)?;
        }
    }
    leave(worker, cut, goes_on, commit)
}

/// Takes up the change that is offered, if there is one. Nothing is under way.
fn change_alone<W: Inspect>(
    worker: &mut W,
    changes: &Changes<W::Next>,
    events: &mut Vec<Event>,
    commit: Commit<'_>,
) -> ControlFlow<()> {
    match changes.take() {
        Some(change) => change_to(worker, change, events, commit),
        None => ControlFlow::Continue(()),
    }
}

fn change_to<W: Inspect>(
    worker: &mut W,
    change: Change<W::Next>,
    events: &mut Vec<Event>,
    commit: Commit<'_>,
) -> ControlFlow<()> {
    let Some(next) = change.parts.into_iter().next() else {
        return ControlFlow::Continue(());
    };
    let changed = Changed::of(worker, next, events);
    commit_all(worker, events, commit)?;
    commit(Step::Changed(changed))
}

/// Ends everything, unless another process goes on with it.
fn leave<W: Inspect>(
    worker: &mut W,
    cut: &Cut,
    goes_on: bool,
    commit: Commit<'_>,
) -> ControlFlow<(), bool> {
    if !goes_on {
        let mut events = Vec::new();
        worker.finish(cut.end.of_run(), &mut events);
        commit_all(worker, &mut events, commit)?;
    }
    ControlFlow::Continue(goes_on)
}

/// As [`serial`], a block at a time: a worker that runs ahead looks at a block before it inspects the one before.
fn ahead<W: Inspect>(
    worker: &mut W,
    source: &mut impl Source,
    cut: &mut Cut,
    (handover, changes): Future<'_, W>,
    commit: Commit<'_>,
) -> ControlFlow<(), bool> {
    let mut events = Vec::new();
    worker.profile().skip();
    let (mut due, mut next) = (Block::default(), Block::default());
    let (mut more, mut goes_on) = (true, false);
    while more {
        let mut pauses = false;
        while !pauses && more && !cut.is_full() {
            let came = source.next();
            if let Some(change) = changes.take() {
                // All that came before is inspected before, and nothing is under way then.
                next.ahead(worker);
                for block in [&mut due, &mut next] {
                    block.process(worker, &mut events);
                    block.clear();
                }
                commit_all(worker, &mut events, commit)?;
                change_to(worker, change, &mut events, commit)?;
            }
            match came {
                Next::Frame(frame) => {
                    changes.count();
                    cut.count(&frame);
                    next.push(&frame);
                    worker.profile().lap(Stage::Read);
                }
                Next::Pause => {
                    worker.profile().skip();
                    cut.pause();
                    pauses = true;
                }
                Next::End => {
                    more = false;
                    goes_on = handover.of(source);
                }
            }
        }
        next.end = (!goes_on).then(|| cut.take());
        next.ahead(worker);
        due.process(worker, &mut events);
        commit_all(worker, &mut events, commit)?;
        due.clear();
        std::mem::swap(&mut due, &mut next);
        if pauses || !more {
            // Nothing more comes that could hide the wait.
            due.process(worker, &mut events);
            commit_all(worker, &mut events, commit)?;
            due.clear();
        }
    }
    leave(worker, cut, goes_on, commit)
}

/// Commits what one worker has to say of a frame, or of time.
fn commit_all<W: Inspect>(
    worker: &mut W,
    events: &mut Vec<Event>,
    commit: Commit<'_>,
) -> ControlFlow<()> {
    // Stable: the packets of one frame keep their order.
    events.sort_by_key(|event| event.place);
    for event in events.drain(..) {
        commit(Step::Event(&event))?;
        worker.profile().lap(Stage::Commit);
    }
    ControlFlow::Continue(())
}

/// What a worker is to do.
enum Work<N> {
    Inspect(Block),
    /// Change to other rules. The guard is of the order that comes with them.
    Change(N, Guard),
}

/// What a worker has done.
enum Done {
    Inspected(Block, Vec<Event>),
    Changed(Changed, Vec<Event>),
}

fn parallel<S: Source + Send, W: Inspect>(
    (workers, order): (&mut [W], &Order),
    source: &mut S,
    profile: &mut Profile,
    cut: &mut Cut,
    future: Future<'_, W>,
    commit: Commit<'_>,
) -> ControlFlow<(), bool> {
    std::thread::scope(|scope| {
        let mut to_workers = Vec::with_capacity(workers.len());
        let mut from_workers = Vec::with_capacity(workers.len());
        for (at, worker) in workers.iter_mut().enumerate() {
            let (blocks, inbox) = sync_channel::<Work<W::Next>>(DEPTH);
            let (outbox, results) = sync_channel::<Done>(DEPTH);
            // However this thread ends, the others do not wait for it.
            let guard = order.guard(at);
            scope.spawn(move || work(worker, guard, &inbox, &outbox));
            to_workers.push(blocks);
            from_workers.push(results);
        }
        let (give_back, spare) = sync_channel::<Block>(from_workers.len() * (2 * DEPTH + 2));
        let mut dealing = profile.clone();
        let dealer = scope.spawn(move || {
            let dealer = Dealer {
                parts: to_workers.iter().map(|_| Block::default()).collect(),
                to_workers,
                spare,
            };
            let goes_on = dealer.deal::<W>(source, &mut dealing, cut, future);
            (dealing, goes_on.unwrap_or(false))
        });
        let done = collect(&from_workers, &give_back, profile, commit);
        // Receivers go first, so that a reader or worker that waits to send ends when the run was stopped early.
        drop((from_workers, give_back));
        match dealer.join() {
            Ok((dealing, goes_on)) => {
                profile.add(&dealing);
                done.map_continue(|()| goes_on)
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn work<W: Inspect>(
    worker: &mut W,
    guard: Guard,
    inbox: &Receiver<Work<W::Next>>,
    outbox: &SyncSender<Done>,
) {
    let mut _guard = guard;
    let mut end = Some(End::default());
    let mut next = None;
    while let Some(work) = next.take().or_else(|| {
        let work = inbox.recv().ok()?;
        worker.profile().skip();
        look_ahead(worker, &work);
        Some(work)
    }) {
        let mut events = Vec::new();
        let done = match work {
            Work::Change(part, of_part) => {
                let changed = Changed::of(worker, part, &mut events);
                // Nothing more is done in the order before.
                _guard = of_part;
                Done::Changed(changed, events)
            }
            Work::Inspect(mut block) => {
                if worker.runs_ahead() {
                    next = inbox.try_recv().ok();
                    next.iter().for_each(|next| look_ahead(worker, next));
                }
                block.process(worker, &mut events);
                end = block.end;
                block.clear();
                Done::Inspected(block, events)
            }
        };
        if outbox.send(done).is_err() {
            return;
        }
    }
    let Some(end) = end else {
        return;
    };
    let mut events = Vec::new();
    worker.finish(end.of_run(), &mut events);
    // Nobody takes it where the run was stopped.
    let _ = outbox.send(Done::Inspected(Block::default(), events));
}

/// Looks at a block that is due next. What comes after a change is looked at after it.
fn look_ahead<W: Inspect>(worker: &mut W, work: &Work<W::Next>) {
    if let Work::Inspect(block) = work
        && worker.runs_ahead()
    {
        block.ahead(worker);
    }
}

/// Deals frames out to workers.
struct Dealer<N> {
    /// What each worker gets next.
    parts: Vec<Block>,
    to_workers: Vec<SyncSender<Work<N>>>,
    spare: Receiver<Block>,
}

impl<N> Dealer<N> {
    /// Cuts the frames into blocks; every worker gets its part of every block, also when that is empty. A block ends at a
    /// pause of the source, however empty: a failing hand-over is how the reader learns that the run was stopped.
    ///
    /// True when another process goes on with the last block; `None` when the run was stopped.
    fn deal<W: Inspect<Next = N>>(
        mut self,
        source: &mut impl Source,
        profile: &mut Profile,
        cut: &mut Cut,
        (handover, changes): Future<'_, W>,
    ) -> Option<bool> {
        let count = self.to_workers.len() as u64;
        loop {
            let mut more = true;
            let mut goes_on = false;
            profile.skip();
            while !cut.is_full() {
                let next = source.next();
                if let Some(change) = changes.take() {
                    self.send(None)?;
                    self.change(change)?;
                }
                let frame = match next {
                    Next::Frame(frame) => frame,
                    Next::Pause => {
                        cut.pause();
                        break;
                    }
                    Next::End => {
                        more = false;
                        goes_on = handover.of(source);
                        break;
                    }
                };
                changes.count();
                cut.count(&frame);
                if let Some(part) = self.parts.get_mut((shard(&frame) % count) as usize) {
                    part.push(&frame);
                }
            }
            profile.lap(Stage::Read);
            let end = (!goes_on).then(|| cut.take());
            self.send(end)?;
            if !more {
                return Some(goes_on);
            }
        }
    }

    /// Hands out what there is; `None` when nobody takes it.
    fn send(&mut self, end: Option<End>) -> Option<()> {
        for (part, worker) in self.parts.iter_mut().zip(&self.to_workers) {
            part.end = end;
            let next = self.spare.try_recv().unwrap_or_default();
            let block = std::mem::replace(part, next);
            worker.send(Work::Inspect(block)).ok()?;
        }
        Some(())
    }

    /// Hands out other rules.
    fn change(&mut self, change: Change<N>) -> Option<()> {
        let Change { parts, order } = change;
        for (at, (part, worker)) in parts.into_iter().zip(&self.to_workers).enumerate() {
            worker.send(Work::Change(part, order.guard(at))).ok()?;
        }
        Some(())
    }
}

fn collect(
    from_workers: &[Receiver<Done>],
    give_back: &SyncSender<Block>,
    profile: &mut Profile,
    commit: Commit<'_>,
) -> ControlFlow<()> {
    let mut all = Vec::new();
    loop {
        // All workers do the same one after the other.
        let mut changed: Option<Changed> = None;
        for worker in from_workers {
            // The reader is done when it hangs up, and then so do the workers, all after the same one.
            let Ok(done) = worker.recv() else {
                return ControlFlow::Continue(());
            };
            match done {
                Done::Inspected(block, mut events) => {
                    // No room means there are spare blocks enough.
                    let _ = give_back.try_send(block);
                    all.append(&mut events);
                }
                Done::Changed(of_worker, mut events) => {
                    all.append(&mut events);
                    changed = Some(match changed.take() {
                        Some(others) => others.and(of_worker),
                        None => of_worker,
                    });
                }
            }
        }
        profile.skip();
        // Stable: the packets of one frame keep their order. Live frames have no numbers, but are in the order of time.
        all.sort_by_key(|event: &Event| event.place);
        for event in all.drain(..) {
            commit(Step::Event(&event))?;
        }
        if let Some(changed) = changed {
            commit(Step::Changed(changed))?;
        }
        profile.lap(Stage::Commit);
    }
}

#[cfg(test)]
mod tests;
