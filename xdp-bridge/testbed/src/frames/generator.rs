//! Sends a load: at a rate, or as fast as the link takes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::pattern::Pattern;
use super::socket::{BATCH, PacketSocket};
use super::{Load, Steer, wall_ns};
use crate::cpu::thread_time;
use crate::host::Host;
use crate::netns::joined;
use crate::{BedError, link};

/// Between loading and the first frame, so that the first one is not late.
const LEAD: Duration = Duration::from_millis(1);
/// For shorter waits the CPU is only offered to others: waking up takes about as long.
const DOZE: Duration = Duration::from_micros(80);

/// What a generator has sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Frames that the kernel took.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that the kernel refused, because the queue was full or the link down. [`Sent::frames`] is without them.
    pub refused: u64,
    /// Frames that the interface dropped while this was sent, whoever sent them, by its own counter. Those that found a
    /// veth's ring full are among them, and in [`Sent::frames`]: the sender does not hear of them. Those that were
    /// refused because the link is down are among them, too.
    pub dropped_by_link: u64,
    /// From the first frame to the last.
    pub elapsed: Duration,
    /// CPU time of the generator's threads, waiting for the next frame's time included; what the far end does in its stead is included, see
    /// [`CpuUse`](crate::CpuUse).
    pub cpu: Duration,
    /// By how many nanoseconds frames were late; empty when there was no rate to keep to.
    pub late: Histogram<u64>,
}

impl Sent {
    fn none() -> Self {
        Self {
            frames: 0,
            bytes: 0,
            refused: 0,
            dropped_by_link: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            late: crate::histogram(),
        }
    }

    /// Another thread's share of the same load.
    fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.cpu += other.cpu;
        // Both have the same bounds.
        let _ = self.late.add(&other.late);
    }

    /// Frames a second.
    pub fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.frames as f64 / seconds
        } else {
            0.0
        }
    }
}

/// Sends a load from a host and waits until all of it is sent.
///
/// # Errors
/// [`BedError::Invalid`] for a load that makes no sense, [`BedError::System`] when the kernel refuses.
pub fn generate(host: &Host, load: &Load) -> Result<Sent, BedError> {
    Generator::start(host, load)?.wait()
}

/// Sends whole frames as they are, in order, from a host's first interface.
///
/// # Errors
/// [`BedError::System`]: also when a frame is longer than the MTU allows.
pub fn inject(host: &Host, frames: &[Vec<u8>]) -> Result<(), BedError> {
    let socket = opened(host, true)?;
    let all: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut left = all.as_slice();
    while !left.is_empty() {
        let sent = socket
            .send(left, None)
            .map_err(BedError::system("sending frames"))?;
        left = left.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// A load on its way. Dropping it stops it.
///
pub struct Generator {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<Sent, BedError>>>,
}

impl Generator {
    /// Begins to send.
    ///
    /// A host with one queue sends past the queueing discipline (PACKET_QDISC_BYPASS). One with more says the queue by
    /// the frame's mark, which a program on the way out reads: that reaches every queue from any CPU.
    ///
    /// # Errors
    /// [`BedError::Invalid`] for a load that makes no sense, [`BedError::System`] when the kernel refuses.
    pub fn start(host: &Host, load: &Load) -> Result<Self, BedError> {
        let pattern = Pattern::new(load, host.station, host.far_station, host.mtu())?;
        let marks = marks(host, load, &pattern)?;
        let open = |_| opened(host, marks.is_none());
        let sockets = (0..load.threads).map(open).collect::<Result<_, _>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let sending = Sending {
            pattern,
            marks,
            sockets,
            load: load.clone(),
            stop: Arc::clone(&stop),
            sent: Arc::clone(&sent),
        };
        let namespace = host.namespace().clone();
        let interface = host.interface().to_owned();
        let thread = std::thread::spawn(move || {
            let counters = || namespace.enter(|| link::counters(&interface))?;
            let before = counters()?;
            let mut sent = sending.all()?;
            sent.dropped_by_link = counters()?.since(&before).tx_dropped;
            Ok(sent)
        });
        Ok(Self {
            stop,
            sent,
            thread: Some(thread),
        })
    }

    /// Frames sent up to now.
    pub fn so_far(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until all is sent.
    ///
    /// # Errors
    /// [`BedError::System`] when the kernel refused a frame for another reason than a full queue.
    pub fn wait(mut self) -> Result<Sent, BedError> {
        match self.thread.take() {
            Some(thread) => joined(thread.join()),
            // Only `wait` and `drop` take it, and both end this value.
            None => Err(BedError::Invalid("waited for twice".to_owned())),
        }
    }

    /// Sends no more.
    ///
    /// # Errors
    /// As [`Generator::wait`].
    pub fn stop(self) -> Result<Sent, BedError> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket on the host's first interface.
fn opened(host: &Host, bypass: bool) -> Result<PacketSocket, BedError> {
    let interface = host.interface();
    host.enter(|| {
        let open = |index| -> io::Result<PacketSocket> {
            let socket = PacketSocket::open()?;
            // SAFETY: the option takes an int.
            unsafe { socket.set(libc::PACKET_QDISC_BYPASS, &libc::c_int::from(bypass)) }?;
            socket.bind(index, 0)?;
            Ok(socket)
        };
        open(link::index(interface)?).map_err(BedError::system(format!(
            "opening a packet socket on {interface}"
        )))
    })?
}

/// The mark of each flow, where there are queues to choose from.
fn marks(host: &Host, load: &Load, pattern: &Pattern) -> Result<Option<Vec<u32>>, BedError> {
    let queues = host.queues();
    if let Steer::One(queue) = load.steer
        && queue >= queues
    {
        return Err(BedError::Invalid(format!(
            "queue {queue}: {} has {queues}",
            host.name()
        )));
    }
    if queues == 1 {
        return Ok(None);
    }
    if host.steering.is_none() {
        return Err(BedError::Invalid(format!(
            "{} does not choose queues by mark",
            host.name()
        )));
    }
    let mut frame = pattern.buffer();
    let queue = |flow: u32| match &load.steer {
        Steer::Spread => flow % queues,
        Steer::One(queue) => *queue,
        Steer::By(choose) => {
            pattern.write(u64::from(flow), 0, &mut frame);
            // Below `queues`.
            (choose(&frame) % u64::from(queues)) as u32
        }
    };
    // A mark is the queue's number counted from one.
    Ok(Some(
        (0..load.flows).map(queue).map(|queue| queue + 1).collect(),
    ))
}

struct Sending {
    pattern: Pattern,
    marks: Option<Vec<u32>>,
    /// One a thread.
    sockets: Vec<PacketSocket>,
    load: Load,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Sending {
    /// All threads' share.
    fn all(&self) -> Result<Sent, BedError> {
        let start = Instant::now() + LEAD;
        let shares: Vec<_> = std::thread::scope(|scope| {
            let share = |(first, socket)| scope.spawn(move || self.share(start, first, socket));
            let threads: Vec<_> = (0..).zip(&self.sockets).map(share).collect();
            let ends = threads.into_iter().map(|thread| joined(thread.join()));
            ends.collect()
        });
        let mut all = Sent::none();
        for share in shares {
            all.add(&share?);
        }
        Ok(all)
    }

    /// One thread's share: of `threads` frames one. The flows are a multiple of the threads, so that each flow is one
    /// thread's, which keeps its order.
    fn share(&self, start: Instant, first: u64, socket: &PacketSocket) -> Result<Sent, BedError> {
        // Sleeps end when they should, not 50 µs later.
        let slack = std::num::NonZeroU64::new(1);
        let _ = rustix::thread::set_current_timer_slack(slack);
        let step = self.sockets.len() as u64;
        let mut frames = vec![self.pattern.buffer(); BATCH];
        let mut marks = [0; BATCH];
        let mut sent = Sent::none();
        let busy = thread_time();
        let end = self
            .load
            .duration
            .and_then(|limit| start.checked_add(limit));
        let mut last = start;
        let mut number = first;
        while number < self.load.frames && !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now < start {
                pause(start - now);
                continue;
            }
            if end.is_some_and(|end| now >= end) {
                break;
            }
            let left = (self.load.frames - number).div_ceil(step);
            let mut batch = left.min(BATCH as u64) as usize;
            let mut numbers = (number..).step_by(step as usize);
            if let Some(rate) = self.load.rate {
                let wait = due(start, number, rate).saturating_duration_since(now);
                if !wait.is_zero() {
                    pause(wait);
                    continue;
                }
                let late = |number| now.checked_duration_since(due(start, number, rate));
                let due = numbers.clone().take(batch).map_while(late);
                let mut count = 0;
                for late in due {
                    sent.late
                        .saturating_record(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
                    count += 1;
                }
                batch = count;
            }
            for (frame, mark) in frames.iter_mut().zip(&mut marks).take(batch) {
                number = numbers.next().unwrap_or(number);
                self.pattern.write(number, wall_ns(), frame);
                if let Some(all) = &self.marks {
                    let flow = self.pattern.flow(number) as usize;
                    *mark = all.get(flow).copied().unwrap_or(0);
                }
            }
            number += step;
            self.send(socket, &frames[..batch], &marks[..batch], &mut sent)?;
            last = Instant::now();
        }
        sent.elapsed = last.saturating_duration_since(start);
        sent.cpu = thread_time().saturating_sub(busy);
        Ok(sent)
    }

    fn send(
        &self,
        socket: &PacketSocket,
        frames: &[Vec<u8>],
        marks: &[u32],
        sent: &mut Sent,
    ) -> Result<(), BedError> {
        let mut views: [&[u8]; BATCH] = [&[]; BATCH];
        for (view, frame) in views.iter_mut().zip(frames) {
            *view = frame;
        }
        let marks = self.marks.as_ref().map(|_| marks);
        let mut done = 0;
        while done < frames.len() {
            let rest = marks.and_then(|marks| marks.get(done..));
            match socket.send(&views[done..frames.len()], rest) {
                Ok(count) => {
                    done += count;
                    sent.frames += count as u64;
                    self.sent.fetch_add(count as u64, Ordering::Relaxed);
                    sent.bytes += (count * self.load.size) as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    done += 1;
                    sent.refused += 1;
                }
                Err(error) => return Err(BedError::system("sending a frame")(error)),
            }
        }
        Ok(())
    }
}

/// When a frame should be sent.
fn due(start: Instant, number: u64, rate: f64) -> Instant {
    let after = Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
    start
        .checked_add(after)
        .unwrap_or(start + Duration::from_secs(u32::MAX.into()))
}

/// Waits, not longer than about `time`, so that being told to stop is heard.
fn pause(time: Duration) {
    if time < DOZE {
        std::thread::yield_now();
    } else {
        std::thread::sleep(time.min(Duration::from_millis(20)) - DOZE / 2);
    }
}
