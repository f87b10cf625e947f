//! Traffic through ports: `--inline` and `--interface`.
//!
//! Every receive queue has a worker: a thread with an engine, which takes frames from the queue of both ports, decides about them
//! and sends them on ([`weir_xdp::worker`]). What it has to say goes to the thread of [`Wire::drive`], which writes it
//! ([`gather`]), so that no file holds traffic up. Another thread ([`Watch`]) looks after everything that must go on even where
//! nothing can be written: ports that vanish, other rules, the kernel's books, the service manager. The kernel's part ([`weir_xdp::program`]) forwards or drops by itself what needs
//! no inspection ([`orders`]), and everything when nobody inspects: as `--fail` says.
//!
//! When a port vanishes, or its rings break down, the workers' sockets are made anew as soon as the ports are there; engines and
//! what they know stay. What the process that had the ports before it lost is counted by the next one.

mod accounts;
mod cpus;
mod gather;
mod inspector;
mod orders;
mod plan;
mod ports;
mod ready;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weir_engine::detect::{Engine, Successor};
use weir_engine::handover::Block;
use weir_xdp::worker::{Ended, Worker};

use super::counters::Gauges;
use super::pipeline::{Input, Seen};
use super::workers::changes::Changes;
use super::workers::{Commit, Course, Handover};
use crate::failure::Failure;
use crate::ui::progress::Progress;
pub use accounts::Accounts;
use cpus::Cpus;
use gather::{Gather, Slot, Voice, channels};
use inspector::Inspector;
use orders::Orders;
pub use plan::{Plan, dry_run};
use ports::Ports;
pub use ports::detach;

/// How long who writes records waits at most before it looks whether all is over.
const LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether there is something to do for those who inspect.
const WATCH: Duration = Duration::from_millis(10);

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
    gauges: Arc<Gauges>,
    cpus: Cpus,
}

impl<'a> Wire<'a> {
    /// Attaches to ports, until `stop` becomes true. From now on traffic is the kernel's, which fails as it was told, until
    /// [`Input::drive`] takes it.
    ///
    /// # Errors
    /// When the ports cannot be had: each says what to do.
    pub fn open(plan: Plan, stop: &'a AtomicBool) -> Result<Self, Failure> {
        let cpus = plan.cpus();
        let ports = Ports::open(plan)?;
        weir_xdp::privileges::give_up_others().map_err(Failure::failed)?;
        Ok(Self {
            accounts: Accounts::new(&ports),
            ports,
            stop,
            progress: Progress::new(None),
            seen: Seen::default(),
            gauges: Arc::default(),
            cpus,
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

    fn gauges(&self) -> Option<Arc<Gauges>> {
        Some(Arc::clone(&self.gauges))
    }

    fn drive(
        &mut self,
        engines: &mut [Engine],
        course: Course<'_>,
        commit: Commit<'_>,
    ) -> Option<Block> {
        self.gauges.set(self.accounts.gauges());
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
        let changes = course.changes;
        let mut ready = false;
        let mut flow = ControlFlow::Continue(());
        // Why ports could not be had again, as far as it was said.
        let mut told = String::new();
        while flow.is_continue() && !self.stop.load(Ordering::Relaxed) {
            flow = match self.ports.bridge() {
                Ok(workers) => {
                    told.clear();
                    let begun = Instant::now();
                    if !ready {
                        ready = true;
                        let how = self.ports.describe();
                        tracing::info!("{how}");
                        ready::ready(&how);
                    }
                    let flow = self.session(workers, &mut lanes, &mut gather, changes, commit);
                    if begun.elapsed() < AGAIN && !self.stop.load(Ordering::Relaxed) {
                        // What breaks at once will break again.
                        std::thread::sleep(AGAIN);
                    }
                    flow
                }
                Err(failure) if ready => {
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
        let goes_on = course.handover != Handover::Never && flow.is_continue();
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
        self.seen.latest_ns = weir_xdp::realtime_ns();
        self.ports.leave();
        self.seen.wire = Some(self.accounts);
        self.seen
    }
}

impl Wire<'_> {
    /// One incarnation of the workers' sockets: until the run is stopped, or a port is gone.
    fn session(
        &mut self,
        workers: Vec<Worker>,
        lanes: &mut [Lane<'_>],
        gather: &mut Gather,
        changes: &Changes<Successor>,
        commit: Commit<'_>,
    ) -> ControlFlow<()> {
        let course = Session {
            running: AtomicUsize::new(workers.len()),
            over: AtomicBool::new(false),
            unwanted: AtomicBool::new(false),
        };
        let flows = self.ports.flows();
        let slots: Vec<&Slot<Successor>> = lanes.iter().map(|lane| lane.next).collect();
        let watch = Watch {
            session: &course,
            ports: &mut self.ports,
            accounts: &mut self.accounts,
            gauges: &self.gauges,
            progress: &mut self.progress,
            stop: self.stop,
            changes,
            slots,
        };
        std::thread::scope(|scope| {
            for (worker, lane) in workers.into_iter().zip(lanes) {
                let flows = flows.clone();
                let (course, cpus) = (&course, &self.cpus);
                scope.spawn(move || {
                    let _guard = Leaving(course);
                    cpus.take_one(worker.number());
                    work(worker, lane, flows.as_deref(), &course.over);
                });
            }
            scope.spawn(|| watch.until_over());
            write(&course, gather, changes, commit)
        })
    }
}

/// Writes what workers say until all have ended.
fn write(
    session: &Session,
    gather: &mut Gather,
    changes: &Changes<Successor>,
    commit: Commit<'_>,
) -> ControlFlow<()> {
    let mut flow = ControlFlow::Continue(());
    while session.running.load(Ordering::Acquire) > 0 {
        match gather.from().recv_timeout(LOOK) {
            Ok(said) if flow.is_continue() => {
                let (frames, next) = gather.take(said, commit);
                changes.add(frames);
                flow = next;
                session.unwanted.store(flow.is_break(), Ordering::Relaxed);
            }
            // Nobody wants it any more, but whoever says it must not wait.
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    flow
}

/// How far one incarnation of the workers' sockets is.
struct Session {
    /// Workers that have not ended.
    running: AtomicUsize,
    /// Workers are to end; one that broke down ends for all.
    over: AtomicBool,
    /// Nobody takes what workers say any more.
    unwanted: AtomicBool,
}

/// Looks after those who inspect, while they do.
struct Watch<'a> {
    session: &'a Session,
    ports: &'a mut Ports,
    accounts: &'a mut Accounts,
    gauges: &'a Gauges,
    progress: &'a mut Progress,
    stop: &'a AtomicBool,
    changes: &'a Changes<Successor>,
    slots: Vec<&'a Slot<Successor>>,
}

impl Watch<'_> {
    fn until_over(mut self) {
        let Session {
            running,
            over,
            unwanted,
        } = self.session;
        let mut closed = false;
        let mut swept = Instant::now();
        while running.load(Ordering::Acquire) > 0 {
            let stops = unwanted.load(Ordering::Relaxed) || self.stop.load(Ordering::Relaxed);
            if !closed && (stops || over.load(Ordering::Relaxed)) {
                // In an order in which no frame is left behind in a ring.
                closed = true;
                self.ports.close();
                over.store(true, Ordering::Release);
            }
            if let Some(change) = self.changes.take() {
                for (part, slot) in change.parts.into_iter().zip(&self.slots) {
                    slot.put(part);
                }
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                self.sweep();
            }
            std::thread::sleep(WATCH);
        }
    }

    fn sweep(&mut self) {
        ready::alive();
        self.accounts.sweep(self.ports);
        self.gauges.set(self.accounts.gauges());
        let (packets, bytes) = self.accounts.so_far();
        self.progress.now(packets, bytes);
        if self.ports.lost_one() {
            // A socket whose interface is gone does not always say so.
            self.session.over.store(true, Ordering::Relaxed);
        }
    }
}

/// However a worker's thread ends, who waits for it learns of it, and the others end, too.
struct Leaving<'a>(&'a Session);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Release);
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
    if let Ended::Broken(trouble) = worker.run(&mut inspector, over) {
        tracing::warn!("queue {}: {trouble}", worker.number());
    }
    lane.refused += inspector.orders.refused;
}
