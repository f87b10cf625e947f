//! Worker threads for captures: frames out in blocks, matches back in packet order.
//!
//! A reader thread deals the frames of a block out to the workers ([`shard`]): both directions of a flow and all
//! fragments of a packet go to the same one. Every worker answers every block, and the block is committed when all have,
//! so what is committed is in packet order and the same however many workers there are. At the end of each block, which
//! is the same frame for all, every worker looks whose time is up; one worker alone cuts the same blocks.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use weir_engine::detect::{Engine, Event, Profile, Stage};
use weir_engine::flow::shard;
use weir_engine::handover;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::state::Order;

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

/// Runs all frames of `source` through the workers, whose turns are of `order`. `commit` sees what they have to say, in
/// packet order, and may stop the run. `profile` is told what reading and committing took, where that is not in a
/// worker's own. `block` is where another process left off.
///
/// Returns where this run leaves off; `None` where everything has ended.
pub fn run<S: Source + Send, W: Inspect>(
    workers: &mut [W],
    order: &Order,
    source: &mut S,
    profile: &mut Profile,
    (block, handover): (handover::Block, Handover),
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> Option<handover::Block> {
    let mut cut = Cut::going_on(block);
    // Where the run was stopped from here, because nothing can be written, it does not go on elsewhere.
    let left = match workers {
        [] => ControlFlow::Continue(false),
        [worker] if worker.runs_ahead() => ahead(worker, source, &mut cut, handover, commit),
        [worker] => serial(worker, source, &mut cut, handover, commit),
        several => parallel(several, order, source, profile, &mut cut, handover, commit),
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

fn serial<W: Inspect>(
    worker: &mut W,
    source: &mut impl Source,
    cut: &mut Cut,
    handover: Handover,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> ControlFlow<(), bool> {
    let mut events = Vec::new();
    worker.profile().skip();
    let mut more = true;
    let mut goes_on = false;
    while more {
        let ends = match source.next() {
            Next::Frame(frame) => {
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

/// Ends everything, unless another process goes on with it.
fn leave<W: Inspect>(
    worker: &mut W,
    cut: &Cut,
    goes_on: bool,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
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
    handover: Handover,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> ControlFlow<(), bool> {
    let mut events = Vec::new();
    worker.profile().skip();
    let (mut due, mut next) = (Block::default(), Block::default());
    let (mut more, mut goes_on) = (true, false);
    while more {
        let mut pauses = false;
        while !pauses && more && !cut.is_full() {
            match source.next() {
                Next::Frame(frame) => {
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
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // Stable: the packets of one frame keep their order.
    events.sort_by_key(|event| event.place);
    for event in events.drain(..) {
        commit(&event)?;
        worker.profile().lap(Stage::Commit);
    }
    ControlFlow::Continue(())
}

/// Frames on their way to a worker, copied once into one allocation.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    frames: Vec<(u64, u64, LinkType, u32, usize)>,
    /// `None` for one that another process goes on with.
    end: Option<End>,
}

impl Block {
    fn push(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.data);
        self.frames.push((
            frame.ts_ns,
            frame.number,
            frame.link,
            frame.wire_len,
            self.bytes.len(),
        ));
    }

    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut start = 0;
        self.frames
            .iter()
            .map(move |&(ts_ns, number, link, wire_len, end)| {
                let data = self.bytes.get(start..end).unwrap_or_default();
                start = end;
                Frame {
                    ts_ns,
                    number,
                    link,
                    data,
                    wire_len,
                }
            })
    }

    /// To be called when the block is complete: frames are looked at where they will be inspected.
    fn ahead(&self, worker: &mut impl Inspect) {
        self.frames().for_each(|frame| worker.ahead(frame));
        worker.flush();
    }

    fn process(&self, worker: &mut impl Inspect, out: &mut Vec<Event>) {
        self.frames().for_each(|frame| worker.process(frame, out));
        if let Some(End { number, now_ns }) = self.end {
            worker.tick(number, now_ns, out);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.end = None;
    }
}

fn parallel<S: Source + Send, W: Inspect>(
    workers: &mut [W],
    order: &Order,
    source: &mut S,
    profile: &mut Profile,
    cut: &mut Cut,
    handover: Handover,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> ControlFlow<(), bool> {
    std::thread::scope(|scope| {
        let mut to_workers = Vec::with_capacity(workers.len());
        let mut from_workers = Vec::with_capacity(workers.len());
        for (at, worker) in workers.iter_mut().enumerate() {
            let (blocks, inbox) = sync_channel::<Block>(DEPTH);
            let (outbox, results) = sync_channel::<(Block, Vec<Event>)>(DEPTH);
            let guard = order.guard(at);
            scope.spawn(move || {
                // However this thread ends, the others do not wait for it.
                let _guard = guard;
                work(worker, &inbox, &outbox);
            });
            to_workers.push(blocks);
            from_workers.push(results);
        }
        let (give_back, spare) = sync_channel::<Block>(from_workers.len() * (2 * DEPTH + 2));
        let mut dealing = profile.clone();
        let dealer = scope.spawn(move || {
            let goes_on = deal(source, &mut dealing, cut, handover, &to_workers, &spare);
            (dealing, goes_on)
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

fn work(
    worker: &mut impl Inspect,
    inbox: &Receiver<Block>,
    outbox: &SyncSender<(Block, Vec<Event>)>,
) {
    let mut end = Some(End::default());
    let mut next = None;
    while let Some(mut block) = next.take().or_else(|| {
        let block = inbox.recv().ok()?;
        worker.profile().skip();
        if worker.runs_ahead() {
            block.ahead(worker);
        }
        Some(block)
    }) {
        let mut events = Vec::new();
        if worker.runs_ahead()
            && let Ok(block) = inbox.try_recv()
        {
            block.ahead(worker);
            next = Some(block);
        }
        block.process(worker, &mut events);
        end = block.end;
        block.clear();
        if outbox.send((block, events)).is_err() {
            return;
        }
    }
    let Some(end) = end else {
        return;
    };
    let mut events = Vec::new();
    worker.finish(end.of_run(), &mut events);
    // Nobody takes it where the run was stopped.
    let _ = outbox.send((Block::default(), events));
}

/// Cuts the frames into blocks; every worker gets its part of every block, also when that is empty. A block ends at a
/// pause of the source, however empty: a failing hand-over is how the reader learns that the run was stopped.
///
/// True when another process goes on with the last block.
fn deal(
    source: &mut impl Source,
    profile: &mut Profile,
    cut: &mut Cut,
    handover: Handover,
    to_workers: &[SyncSender<Block>],
    spare: &Receiver<Block>,
) -> bool {
    let count = to_workers.len() as u64;
    let mut parts: Vec<Block> = to_workers.iter().map(|_| Block::default()).collect();
    loop {
        let mut more = true;
        let mut goes_on = false;
        profile.skip();
        while !cut.is_full() {
            let frame = match source.next() {
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
            cut.count(&frame);
            if let Some(part) = parts.get_mut((shard(&frame) % count) as usize) {
                part.push(&frame);
            }
        }
        profile.lap(Stage::Read);
        let end = (!goes_on).then(|| cut.take());
        for (part, worker) in parts.iter_mut().zip(to_workers) {
            part.end = end;
            let next = spare.try_recv().unwrap_or_default();
            if worker.send(std::mem::replace(part, next)).is_err() {
                return false;
            }
        }
        if !more {
            return goes_on;
        }
    }
}

fn collect(
    from_workers: &[Receiver<(Block, Vec<Event>)>],
    give_back: &SyncSender<Block>,
    profile: &mut Profile,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut all = Vec::new();
    loop {
        for worker in from_workers {
            // The reader is done when it hangs up, and then so do the workers, all after the same one.
            let Ok((block, mut events)) = worker.recv() else {
                return ControlFlow::Continue(());
            };
            // No room means there are spare blocks enough.
            let _ = give_back.try_send(block);
            all.append(&mut events);
        }
        profile.skip();
        // Stable: the packets of one frame keep their order. Live frames have no numbers, but are in the order of time.
        all.sort_by_key(|event: &Event| event.place);
        for event in all.drain(..) {
            commit(&event)?;
        }
        profile.lap(Stage::Commit);
    }
}

#[cfg(test)]
mod tests;
