//! Keeps what passes an interface, as a capture would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::sink::{drain, opened};
use crate::BedError;
use crate::host::Host;
use crate::netns::joined;

/// Bytes of frames that a tap keeps.
const KEPT: usize = 256 << 20;

/// A frame that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When: nanoseconds of CLOCK_REALTIME.
    pub time_ns: u64,
    /// The host sent it.
    pub outgoing: bool,
    /// The whole frame, its VLAN tags in it.
    pub data: Vec<u8>,
    /// Its transport checksum was still to be computed when it passed: transmit checksums are offloaded.
    pub unfinished: bool,
}

/// All that passed while a tap was there.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Frames in the order in which they passed.
    pub frames: Vec<Captured>,
    /// Frames that there was no room for.
    pub lost: u64,
}

/// Listens on an interface. Dropping it ends it.
///
/// Frames that bypass the queueing discipline on their way out pass unseen: those of a
/// [`Generator`](super::Generator) on a host with one queue. Segments that GRO has joined are seen as one.
pub struct Tap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Trace, BedError>>>,
}

impl Tap {
    /// On one of a host's interfaces, both directions; what passes from now on is seen.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn start(host: &Host, interface: &str) -> Result<Self, BedError> {
        let mut ring = opened(host, interface, true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut trace = Trace::default();
            let mut kept = 0;
            let mut room = Vec::new();
            drain(&mut ring, &told, |frame| {
                let data = frame.whole(&mut room);
                if kept + data.len() > KEPT {
                    trace.lost += 1;
                    return false;
                }
                kept += data.len();
                trace.frames.push(Captured {
                    time_ns: frame.time_ns,
                    outgoing: frame.outgoing,
                    data: data.to_vec(),
                    unfinished: frame.unfinished,
                });
                true
            })?;
            let drops = ring.socket().take_drops();
            trace.lost +=
                drops.map_err(BedError::system("asking a packet socket for its drops"))?;
            Ok(trace)
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Listens on until nothing has passed for 150 ms, then says what did.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn stop(mut self) -> Result<Trace, BedError> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => joined(thread.join()),
            // Only `stop` and `drop` take it, and both end this value.
            None => Err(BedError::Invalid("stopped twice".to_owned())),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
