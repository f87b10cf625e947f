//! Traffic through ports: `--inline` and `--interface`.
//!
//! Every receive queue has a worker: a thread with an engine, which takes frames from the queue of both ports, decides about them
//! and sends them on ([`weir_xdp::worker`]). What it has to say goes to the thread of [`Wire::drive`], which writes it
//! ([`gather`]), so that no file holds traffic up. The kernel's part ([`weir_xdp::program`]) forwards or drops by itself what needs
//! no inspection ([`orders`]), and everything when nobody inspects: as `--fail` says.
//!
//! When a port vanishes, or its rings break down, the workers' sockets are made anew as soon as the ports are there; engines and
//! what they know stay. What the process that had the ports before it lost is counted by the next one.

mod accounts;
mod gather;
mod inspector;
mod orders;
mod ports;
mod privileges;
mod ready;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weir_engine::detect::{Engine, Successor};
use weir_engine::handover::Block;
use weir_xdp::worker::Worker;

use super::pipeline::{Input, Seen};
use super::workers::{Commit, Course, Handover};
use crate::failure::Failure;
use crate::ui::progress::Progress;
pub use accounts::Accounts;
use gather::{Gather, Slot, Voice, channels};
use inspector::Inspector;
use orders::Orders;
use ports::Ports;
pub use ports::{Plan, detach, dry_run};

/// Turns that a worker has for what is in its rings when all is over: more than they hold.
const LAST_TURNS: u32 = 200;

/// How long who writes records waits at most before it looks at everything else.
const LOOK: Duration = Duration::from_millis(50);

/// How often the kernel's books are looked into.
const SWEEP: Duration = Duration::from_secs(1);

/// How long to wait before ports that are not there are tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// Traffic of ports.
pub struct Wire<'a> {
    ports: Ports,
    stop: &'a AtomicBool,
    progress: Progress,
    seen: Seen,
    accounts: Accounts,
}

impl<'a> Wire<'a> {
    /// Attaches to ports, until `stop` becomes true. From now on traffic is the kernel's, which fails as it was told, until
    /// [`Input::drive`] takes it.
    ///
    /// # Errors
    /// When the ports cannot be had: each says what to do.
    pub fn open(plan: Plan, stop: &'a AtomicBool) -> Result<Self, Failure> {
        let ports = Ports::open(plan)?;
        privileges::give_up_others()?;
        Ok(Self {
            accounts: Accounts::new(&ports),
            ports,
            stop,
            progress: Progress::new(None),
            seen: Seen::default(),
        })
    }
}

/// What a worker needs besides its sockets.
struct Lane<'a> {
    engine: &'a mut Engine,
    voice: Voice<'a>,
    next: &'a Slot<Successor>,
    latency: Histogram<u64>,
    refused: u64,
}

impl Input for Wire<'_> {
    fn is_numbered(&self) -> bool {
        false
    }

    fn drive(
        &mut self,
        engines: &mut [Engine],
        course: Course<'_>,
        commit: Commit<'_>,
    ) -> Option<Block> {
        let lost = AtomicU64::new(0);
        let slots: Vec<Slot<Successor>> = engines.iter().map(|_| Slot::default()).collect();
        let (voices, mut gather) = channels(engines.len(), &lost);
        let mut lanes: Vec<Lane<'_>> = (engines.iter_mut().zip(voices).zip(&slots))
            .map(|((engine, voice), next)| Lane {
                engine,
                voice,
                next,
                latency: accounts::histogram(),
                refused: 0,
            })
            .collect();
        let mut talk = Talk {
            course,
            slots: &slots,
            swept: Instant::now(),
            ready: false,
        };
        let mut flow = ControlFlow::Continue(());
        // Why ports could not be had again, as far as it was said.
        let mut told = String::new();
        while flow.is_continue() && !self.stop.load(Ordering::Relaxed) {
            flow = match self.ports.bridge() {
                Ok(workers) => {
                    told.clear();
                    let begun = Instant::now();
                    let flow = self.session(workers, &mut lanes, &mut gather, &mut talk, commit);
                    if begun.elapsed() < AGAIN && !self.stop.load(Ordering::Relaxed) {
                        // What breaks at once will break again.
                        std::thread::sleep(AGAIN);
                    }
                    flow
                }
                Err(failure) if talk.ready => {
                    if told != failure {
                        tracing::warn!("nobody inspects traffic for now: {failure}");
                        told = failure;
                    }
                    // It is the ports that are not there, and to start again would not help.
                    ready::alive();
                    std::thread::sleep(AGAIN);
                    ControlFlow::Continue(())
                }
                Err(failure) => {
                    self.seen.failure = Some(failure);
                    break;
                }
            };
        }
        ready::stopping();
        let goes_on = talk.course.handover != Handover::Never && flow.is_continue();
        for lane in &mut lanes {
            self.accounts.latency(&lane.latency);
            self.accounts.orders_refused(lane.refused);
            if !goes_on {
                lane.engine.finish(1, &mut lane.voice.events);
            }
        }
        // Whoever speaks last does not wait for anyone to listen.
        std::thread::scope(|scope| {
            scope.spawn(move || drop(lanes));
            while flow.is_continue() && !gather.is_over() {
                let Ok(said) = gather.from().recv() else {
                    break;
                };
                flow = gather.take(said, commit).1;
            }
            drop(gather);
        });
        self.accounts.records_lost(lost.load(Ordering::Relaxed));
        goes_on.then(Block::default)
    }

    fn finish(mut self) -> Seen {
        self.progress.finish();
        self.accounts.close(&mut self.ports, &mut self.seen);
        self.ports.leave();
        self.seen.wire = Some(self.accounts);
        self.seen
    }
}

/// What the thread that writes records does beside it.
struct Talk<'a> {
    course: Course<'a>,
    slots: &'a [Slot<Successor>],
    swept: Instant,
    /// The service manager knows that traffic goes through.
    ready: bool,
}

impl Wire<'_> {
    /// One incarnation of the workers' sockets: until the run is stopped, or a port is gone.
    fn session<'l>(
        &mut self,
        workers: Vec<Worker>,
        lanes: &mut [Lane<'l>],
        gather: &mut Gather,
        talk: &mut Talk<'_>,
        commit: Commit<'_>,
    ) -> ControlFlow<()> {
        let running = AtomicUsize::new(workers.len());
        // Of this incarnation alone: one that broke down ends for all.
        let over = AtomicBool::new(false);
        let flows = self.ports.flows();
        std::thread::scope(|scope| {
            for (worker, lane) in workers.into_iter().zip(lanes) {
                let flows = flows.clone();
                let (running, over) = (&running, &over);
                scope.spawn(move || {
                    let _guard = Leaving { running, over };
                    work(worker, lane, flows.as_deref(), over);
                });
            }
            if !talk.ready {
                talk.ready = true;
                let how = self.ports.describe();
                tracing::info!("{how}");
                ready::ready(&how);
            }
            self.talk(&running, &over, gather, talk, commit)
        })
    }

    /// Writes what workers say until all have ended.
    fn talk(
        &mut self,
        running: &AtomicUsize,
        over: &AtomicBool,
        gather: &mut Gather,
        talk: &mut Talk<'_>,
        commit: Commit<'_>,
    ) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        let mut closed = false;
        while running.load(Ordering::Acquire) > 0 {
            let stops = flow.is_break() || self.stop.load(Ordering::Relaxed);
            if !closed && (stops || over.load(Ordering::Relaxed)) {
                // In an order in which no frame is left behind in a ring.
                closed = true;
                self.ports.close();
                over.store(true, Ordering::Release);
            }
            match gather.from().recv_timeout(LOOK) {
                Ok(said) if flow.is_continue() => {
                    let (frames, next) = gather.take(said, commit);
                    talk.course.changes.add(frames);
                    flow = next;
                }
                // Nobody wants it any more, but whoever says it must not wait.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(change) = talk.course.changes.take() {
                for (part, slot) in change.parts.into_iter().zip(talk.slots) {
                    slot.put(part);
                }
            }
            if talk.swept.elapsed() >= SWEEP {
                talk.swept = Instant::now();
                ready::alive();
                self.accounts.sweep(&mut self.ports);
                let (packets, bytes) = self.accounts.so_far();
                self.progress.now(packets, bytes);
                if self.ports.lost_one() {
                    // A socket whose interface is gone does not always say so.
                    over.store(true, Ordering::Relaxed);
                }
            }
        }
        flow
    }
}

/// However a worker's thread ends, who waits for it learns of it, and the others end, too.
struct Leaving<'a> {
    running: &'a AtomicUsize,
    over: &'a AtomicBool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.running.fetch_sub(1, Ordering::Release);
    }
}

/// A worker's thread.
fn work(
    mut worker: Worker,
    lane: &mut Lane<'_>,
    flows: Option<&weir_xdp::program::Attached>,
    over: &AtomicBool,
) {
    let orders = Orders::new(flows, worker.cell().clone());
    let mut inspector = Inspector::new(
        &mut *lane.engine,
        &mut lane.voice,
        lane.next,
        orders,
        &mut lane.latency,
    );
    // What was in rings when it was over is inspected, too.
    let mut left = LAST_TURNS;
    while left > 0 {
        if over.load(Ordering::Acquire) {
            left -= 1;
        }
        let turn = worker.turn(&mut inspector);
        // That others have ended is no news where all do.
        if let Some(trouble) = turn.trouble
            && left == LAST_TURNS
        {
            tracing::warn!("queue {}: {trouble}", worker.number());
            break;
        }
        match turn.idle {
            true if left < LAST_TURNS => break,
            true => worker.rest(),
            false => {}
        }
    }
    lane.refused += inspector.orders.refused;
}
