//! Receives a load: what came, what did not, what came twice or too late, and how long each frame took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::pattern::{Mismatch, Pattern};
use super::ring::{Arrived, Ring};
use super::{Load, Sent};
use crate::cpu::thread_time;
use crate::host::Host;
use crate::netns::joined;
use crate::{BedError, link};

/// How often a sink looks up when nothing comes.
const TICK: Duration = Duration::from_millis(20);
/// After the order to stop it goes on until nothing has come for so long…
const QUIET: Duration = Duration::from_millis(150);
/// …but not longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a sink has received. Every frame of the load counts in one of `unique`, `duplicated` and `damaged`.
#[derive(Debug, Clone)]
pub struct Received {
    /// Different frames of the load, each exactly as it was sent.
    pub unique: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that had come before.
    pub duplicated: u64,
    /// Frames of `unique` that came after a later one of the same flow.
    pub reordered: u64,
    /// Frames with the load's label that were not as sent.
    pub damaged: u64,
    /// Frames of others.
    pub foreign: u64,
    /// Frames that came to the interface but found the sink's memory full: they are missing, and nobody else's fault.
    pub lost_in_sink: u64,
    /// Nanoseconds from just before a frame was handed to the sender's kernel until the receiver's kernel had it at its
    /// packet socket, by CLOCK_REALTIME; three digits, up to 60 s. Frames of `unique`. Flat out, and where the generator
    /// has to catch up, up to 64 frames are handed over together: each then has the sending of those before it in its
    /// time, so that only a load that is sent in time ([`Sent::late`]) tells what the path takes.
    pub latency: Histogram<u64>,
    /// Frames that came before they were sent: the clock was set meanwhile. Their latency is not counted.
    pub before_sent: u64,
    /// The longest time between two frames that came one after the other.
    pub longest_gap: Duration,
    /// Between the first frame and the last.
    pub elapsed: Duration,
    /// CPU time of the sink's thread.
    pub cpu: Duration,
}

impl Received {
    /// Frames that were sent and never came whole.
    pub fn missing(&self, sent: &Sent) -> u64 {
        sent.frames.saturating_sub(self.unique)
    }

    /// Frames a second.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.unique as f64 / seconds
        } else {
            0.0
        }
    }
}

/// Receives a load on its own thread. Dropping it ends it.
pub struct Sink {
    stop: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<Received, BedError>>>,
}

impl Sink {
    /// Begins to receive; what is sent from now on is seen. `load` is what the generator on the other side is given.
    ///
    /// # Errors
    /// [`BedError::Invalid`] for a load that makes no sense, [`BedError::System`] when the kernel refuses.
    pub fn start(host: &Host, load: &Load) -> Result<Self, BedError> {
        let pattern = Pattern::new(load, host.far_station, host.station, host.mtu())?;
        let ring = opened(host, host.interface(), false)?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicU64::new(0));
        let watch = (Arc::clone(&stop), Arc::clone(&seen));
        let count = Count::new(pattern, load);
        let thread = std::thread::spawn(move || count.run(ring, &watch.0, &watch.1));
        Ok(Self {
            stop,
            seen,
            thread: Some(thread),
        })
    }

    /// Frames of the load up to now; some milliseconds behind.
    pub fn so_far(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Waits until so many frames have come, or `limit` is over. Says whether they have.
    pub fn wait_for(&self, frames: u64, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.so_far() < frames {
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Receives on until nothing has come for 150 ms, then says what came.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn stop(mut self) -> Result<Received, BedError> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => joined(thread.join()),
            // Only `stop` and `drop` take it, and both end this value.
            None => Err(BedError::Invalid("stopped twice".to_owned())),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A ring on one of a host's interfaces.
pub(super) fn opened(host: &Host, interface: &str, outgoing: bool) -> Result<Ring, BedError> {
    host.enter(|| {
        Ring::open(link::index(interface)?, outgoing).map_err(BedError::system(format!(
            "opening a packet ring on {interface}"
        )))
    })?
}

/// Reads a ring until it is told to stop and then nothing comes any more. `each` says whether a frame was one of those
/// that are waited for.
pub(super) fn drain(
    ring: &mut Ring,
    stop: &AtomicBool,
    mut each: impl FnMut(Arrived<'_>) -> bool,
) -> Result<(), BedError> {
    let mut told: Option<Instant> = None;
    let mut latest = Instant::now();
    loop {
        let mut wanted = false;
        let found = match ring.block() {
            Some(block) => {
                for frame in block.frames() {
                    wanted |= each(frame);
                }
                true
            }
            None => false,
        };
        if wanted {
            latest = Instant::now();
        }
        if told.is_none() && stop.load(Ordering::Relaxed) {
            told = Some(Instant::now());
        }
        if let Some(told) = told {
            // What lies in the ring has come already, however long reading it takes.
            let quiet = !found && latest.max(told).elapsed() >= QUIET;
            if quiet || told.elapsed() >= PATIENCE {
                return Ok(());
            }
        }
        if !found {
            ring.wait(TICK)
                .map_err(BedError::system("waiting for frames"))?;
        }
    }
}

struct Count {
    pattern: Pattern,
    received: Received,
    /// A bit of each number that has come.
    come: Vec<u64>,
    /// One more than the latest number of each flow.
    flows: Vec<u64>,
    size: u64,
    first_ns: Option<u64>,
    last_ns: u64,
    room: Vec<u8>,
}

impl Count {
    fn new(pattern: Pattern, load: &Load) -> Self {
        let received = Received {
            unique: 0,
            bytes: 0,
            duplicated: 0,
            reordered: 0,
            damaged: 0,
            foreign: 0,
            lost_in_sink: 0,
            latency: crate::histogram(),
            before_sent: 0,
            longest_gap: Duration::ZERO,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        };
        Self {
            pattern,
            received,
            come: Vec::new(),
            flows: vec![0; load.flows as usize],
            size: load.size as u64,
            first_ns: None,
            last_ns: 0,
            room: Vec::new(),
        }
    }

    fn run(
        mut self,
        mut ring: Ring,
        stop: &AtomicBool,
        seen: &AtomicU64,
    ) -> Result<Received, BedError> {
        let busy = thread_time();
        drain(&mut ring, stop, |frame| {
            let ours = self.frame(&frame);
            seen.store(self.received.unique, Ordering::Relaxed);
            ours
        })?;
        let drops = ring.socket().take_drops();
        self.received.lost_in_sink =
            drops.map_err(BedError::system("asking a packet socket for its drops"))?;
        let first = self.first_ns.unwrap_or(self.last_ns);
        self.received.elapsed = Duration::from_nanos(self.last_ns.saturating_sub(first));
        self.received.cpu = thread_time().saturating_sub(busy);
        Ok(self.received)
    }

    /// Whether it is of the load.
    fn frame(&mut self, frame: &Arrived<'_>) -> bool {
        let read = self.pattern.read(frame.whole(&mut self.room));
        let (number, sent_ns) = match read {
            Ok(read) => read,
            Err(Mismatch::Foreign) => {
                self.received.foreign += 1;
                return false;
            }
            Err(Mismatch::Damaged) => {
                self.received.damaged += 1;
                return true;
            }
        };
        if !self.note(number) {
            self.received.duplicated += 1;
            return true;
        }
        self.received.unique += 1;
        self.received.bytes += self.size;
        match frame.time_ns.checked_sub(sent_ns) {
            Some(latency) => self.received.latency.saturating_record(latency),
            None => self.received.before_sent += 1,
        }
        if self.first_ns.is_some() {
            let gap = Duration::from_nanos(frame.time_ns.saturating_sub(self.last_ns));
            self.received.longest_gap = self.received.longest_gap.max(gap);
        } else {
            self.first_ns = Some(frame.time_ns);
        }
        self.last_ns = self.last_ns.max(frame.time_ns);
        let flow = self.pattern.flow(number) as usize;
        if let Some(latest) = self.flows.get_mut(flow) {
            if number < *latest {
                self.received.reordered += 1;
            }
            *latest = (*latest).max(number + 1);
        }
        true
    }

    /// Whether the number is new. Numbers are below MAX_FRAMES, as `Pattern::read` has looked.
    fn note(&mut self, number: u64) -> bool {
        let (place, bit) = ((number / 64) as usize, 1 << (number % 64));
        if place >= self.come.len() {
            self.come.resize(place + 1, 0);
        }
        let Some(word) = self.come.get_mut(place) else {
            return false;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
