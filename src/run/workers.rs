//! Worker threads for captures: frames out in blocks, matches back in packet order.
//!
//! A reader thread deals the frames of a block out to the workers ([`shard`]): both directions of a flow and all
//! fragments of a packet go to the same one. Every worker answers every block, and the block is committed when all have,
//! so what is committed is in packet order and the same however many workers there are.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use weir_engine::detect::{Engine, Event, Profile, Stage};
use weir_engine::flow::shard;
use weir_engine::packet::{Frame, LinkType};

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
}

/// Runs all frames of `source` through the workers. `commit` sees what matched, in packet order, and may stop the run.
/// `profile` is told what reading and committing took, where that is not in a worker's own.
pub fn run<S: Source + Send>(
    engines: &mut [Engine],
    source: &mut S,
    profile: &mut Profile,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) {
    match engines {
        [] => {}
        [engine] => serial(engine, source, commit),
        several => parallel(several, source, profile, commit),
    }
}

fn serial(
    engine: &mut Engine,
    source: &mut impl Source,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) {
    let mut events = Vec::new();
    engine.profile().skip();
    loop {
        match source.next() {
            Next::Frame(frame) => engine.process(frame, &mut events),
            Next::Pause => {
                engine.profile().skip();
                continue;
            }
            Next::End => return,
        }
        for event in events.drain(..) {
            if commit(&event).is_break() {
                return;
            }
            engine.profile().lap(Stage::Commit);
        }
    }
}

/// Frames on their way to a worker, copied once into one allocation.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    frames: Vec<(u64, u64, LinkType, u32, usize)>,
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

    fn process(&self, engine: &mut Engine, out: &mut Vec<Event>) {
        let mut start = 0;
        for &(ts_ns, number, link, wire_len, end) in &self.frames {
            engine.process(
                Frame {
                    ts_ns,
                    number,
                    link,
                    data: &self.bytes[start..end],
                    wire_len,
                },
                out,
            );
            start = end;
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }
}

fn parallel<S: Source + Send>(
    engines: &mut [Engine],
    source: &mut S,
    profile: &mut Profile,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) {
    std::thread::scope(|scope| {
        let mut to_workers = Vec::with_capacity(engines.len());
        let mut from_workers = Vec::with_capacity(engines.len());
        for engine in engines {
            let (blocks, inbox) = sync_channel::<Block>(DEPTH);
            let (outbox, results) = sync_channel::<(Block, Vec<Event>)>(DEPTH);
            scope.spawn(move || work(engine, &inbox, &outbox));
            to_workers.push(blocks);
            from_workers.push(results);
        }
        let (give_back, spare) = sync_channel::<Block>(from_workers.len() * (2 * DEPTH + 2));
        let mut dealing = profile.clone();
        let dealer = scope.spawn(move || {
            deal(source, &mut dealing, &to_workers, &spare);
            dealing
        });
        collect(&from_workers, &give_back, profile, commit);
        // Receivers go first, so that a reader or worker that waits to send ends when the run was stopped early.
        drop((from_workers, give_back));
        match dealer.join() {
            Ok(dealing) => profile.add(&dealing),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
}

fn work(engine: &mut Engine, inbox: &Receiver<Block>, outbox: &SyncSender<(Block, Vec<Event>)>) {
    while let Ok(mut block) = inbox.recv() {
        let mut events = Vec::new();
        engine.profile().skip();
        block.process(engine, &mut events);
        block.clear();
        if outbox.send((block, events)).is_err() {
            return;
        }
    }
}

/// Cuts the frames into blocks; every worker gets its part of every block, also when that is empty. A block ends at a
/// pause of the source, however empty: a failing hand-over is how the reader learns that the run was stopped.
fn deal(
    source: &mut impl Source,
    profile: &mut Profile,
    to_workers: &[SyncSender<Block>],
    spare: &Receiver<Block>,
) {
    let count = to_workers.len() as u64;
    let mut parts: Vec<Block> = to_workers.iter().map(|_| Block::default()).collect();
    loop {
        let (mut frames, mut bytes) = (0, 0);
        let mut more = true;
        profile.skip();
        while frames < BLOCK_FRAMES && bytes < BLOCK_BYTES {
            let frame = match source.next() {
                Next::Frame(frame) => frame,
                Next::Pause => break,
                Next::End => {
                    more = false;
                    break;
                }
            };
            frames += 1;
            bytes += frame.data.len();
            parts[(shard(&frame) % count) as usize].push(&frame);
        }
        profile.lap(Stage::Read);
        for (part, worker) in parts.iter_mut().zip(to_workers) {
            let next = spare.try_recv().unwrap_or_default();
            if worker.send(std::mem::replace(part, next)).is_err() {
                return;
            }
        }
        if !more {
            return;
        }
    }
}

fn collect(
    from_workers: &[Receiver<(Block, Vec<Event>)>],
    give_back: &SyncSender<Block>,
    profile: &mut Profile,
    commit: &mut dyn FnMut(&Event) -> ControlFlow<()>,
) {
    let mut all = Vec::new();
    loop {
        for worker in from_workers {
            // The reader is done when it hangs up, and then so do the workers, all after the same block.
            let Ok((block, mut events)) = worker.recv() else {
                return;
            };
            // No room means there are spare blocks enough.
            let _ = give_back.try_send(block);
            all.append(&mut events);
        }
        profile.skip();
        // Stable: the packets of one frame keep their order. Live frames have no numbers, but are in the order of time.
        all.sort_by_key(|event: &Event| event.place);
        for event in all.drain(..) {
            if commit(&event).is_break() {
                return;
            }
        }
        profile.lap(Stage::Commit);
    }
}
