//! The thread that moves the epoch on while calls are under way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// Nobody has called for so long: then the ticker sleeps until somebody does.
const IDLE: Duration = Duration::from_millis(5);

/// Whether one caller is in a call: odd while it is. On a cache line of its own, as each call writes it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Busy(AtomicU64);

#[derive(Debug, Default)]
struct Shared {
    /// The thread sleeps until it is woken.
    parked: AtomicBool,
    stop: AtomicBool,
    ticks: AtomicU64,
    callers: Mutex<Vec<Weak<Busy>>>,
}

impl Shared {
    /// All calls begun and ended so far, and whether one is under way.
    fn look(&self) -> (u64, bool) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut sum, mut busy) = (0u64, false);
        callers.retain(|caller| match caller.upgrade() {
            Some(caller) => {
                let count = caller.0.load(Ordering::SeqCst);
                sum = sum.wrapping_add(count);
                busy |= count & 1 == 1;
                true
            }
            None => false,
        });
        (sum, busy)
    }
}

/// Moves an engine's epoch on, while there are calls.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
    tick: Duration,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let handle = std::thread::Builder::new()
            .name("wasm-ticker".to_owned())
            .stack_size(64 << 10)
            .spawn(move || run(&engine, &of_thread, tick))?;
        Ok(Self {
            shared,
            thread: handle.thread().clone(),
            handle: Some(handle),
            tick,
        })
    }

    /// The time between two steps of the epoch.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Steps so far.
    pub fn ticks(&self) -> u64 {
        self.shared.ticks.load(Ordering::Relaxed)
    }

    /// True while it sleeps because nobody calls.
    pub fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }

    /// Somebody who calls.
    pub(super) fn caller(&self) -> Caller {
        let busy = Arc::new(Busy::default());
        let mut callers = (self.shared.callers.lock()).unwrap_or_else(PoisonError::into_inner);
        callers.push(Arc::downgrade(&busy));
        Caller {
            busy,
            shared: Arc::clone(&self.shared),
            thread: self.thread.clone(),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // It does not panic, and if it did, there would be nobody to tell.
            let _ = handle.join();
        }
    }
}

fn run(engine: &Engine, shared: &Shared, tick: Duration) {
    // A tick of no time would leave no time for anything else.
    let tick = tick.max(Duration::from_micros(20));
    let patience = (IDLE.as_nanos() / tick.as_nanos()).max(1);
    let mut last = None;
    let mut quiet = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::sleep(tick);
        engine.increment_epoch();
        shared.ticks.fetch_add(1, Ordering::Relaxed);
        quiet += 1;
        if quiet < patience {
            continue;
        }
        quiet = 0;
        let now = shared.look();
        if now.1 || last != Some(now) {
            last = Some(now);
            continue;
        }
        // Who calls says so first and looks at this flag then; here it is the other way round, so that one of the two
        // sees the other.
        shared.parked.store(true, Ordering::SeqCst);
        if shared.look() != now {
            shared.parked.store(false, Ordering::SeqCst);
        }
        while shared.parked.load(Ordering::SeqCst) && !shared.stop.load(Ordering::SeqCst) {
            std::thread::park();
        }
        last = None;
    }
}

/// Says when calls begin and end.
#[derive(Debug)]
pub(super) struct Caller {
    busy: Arc<Busy>,
    shared: Arc<Shared>,
    thread: Thread,
}

impl Caller {
    /// A call begins; it ends with what is returned.
    pub(super) fn begin(&self) -> UnderWay {
        let count = self.busy.0.load(Ordering::Relaxed);
        self.busy.0.store(count | 1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && self.shared.parked.swap(false, Ordering::SeqCst)
        {
            self.thread.unpark();
        }
        UnderWay(Arc::clone(&self.busy))
    }
}

/// A call is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Busy>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let count = self.0.0.load(Ordering::Relaxed);
        self.0
            .0
            .store((count | 1).wrapping_add(1), Ordering::Release);
    }
}
