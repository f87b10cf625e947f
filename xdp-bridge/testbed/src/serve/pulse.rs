//! A connection that says something at regular times, to see how long it was silent.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::START_LIMIT;
use super::listener::Listener;
use crate::BedError;
use crate::host::Host;
use crate::netns::joined;

/// After the last beat, echoes are waited for as long as this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a read waits before it looks whether all is over.
const TICK: Duration = Duration::from_millis(20);

/// A TCP server that sends back all that it gets. Dropping it ends it.
pub struct Echo {
    listener: Listener,
}

impl Echo {
    /// On a port of all of a host's addresses; 0 takes a free one.
    ///
    /// # Errors
    /// [`BedError::System`] when the port is taken.
    pub fn start(host: &Host, port: u16) -> Result<Self, BedError> {
        let serve = |stream: &TcpStream| {
            let (mut from, mut to) = (stream, stream);
            io::copy(&mut from, &mut to).map(drop)
        };
        let listener = Listener::start(host, port, serve)?;
        Ok(Self { listener })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }
}

/// What became of a connection's beats.
#[derive(Debug, Clone, Default)]
pub struct Pulses {
    /// Beats sent.
    pub sent: u64,
    /// Beats that came back, in order, as TCP has it.
    pub echoed: u64,
    /// The longest time between two echoes that came one after the other, the first one counted from the first beat.
    pub longest_gap: Duration,
    /// How the connection broke, if it did.
    pub broken: Option<String>,
}

/// A connection to an [`Echo`] that sends 8 bytes at regular times. Dropping it ends it.
pub struct Pulse {
    stop: Arc<AtomicBool>,
    echoed: Arc<AtomicU64>,
    thread: Option<JoinHandle<Pulses>>,
}

impl Pulse {
    /// Connects from a host and begins.
    ///
    /// # Errors
    /// [`BedError::System`] when there is no connection within ten seconds.
    pub fn start(host: &Host, to: IpAddr, port: u16, every: Duration) -> Result<Self, BedError> {
        let connect = || -> io::Result<(TcpStream, TcpStream)> {
            let stream = TcpStream::connect_timeout(&(to, port).into(), START_LIMIT)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TICK))?;
            // A write waits for room that a dead path never makes.
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok((stream.try_clone()?, stream))
        };
        let what = format!("connecting from {} to {to} port {port}", host.name());
        let (reader, writer) = host.enter(connect)?.map_err(BedError::system(what))?;
        let stop = Arc::new(AtomicBool::new(false));
        let echoed = Arc::new(AtomicU64::new(0));
        let (told, count) = (Arc::clone(&stop), Arc::clone(&echoed));
        let thread = std::thread::spawn(move || beat(reader, writer, every, &told, &count));
        Ok(Self {
            stop,
            echoed,
            thread: Some(thread),
        })
    }

    /// Beats that have come back up to now.
    pub fn so_far(&self) -> u64 {
        self.echoed.load(Ordering::Relaxed)
    }

    /// Sends no more, and waits up to five seconds for the echoes.
    pub fn stop(mut self) -> Pulses {
        self.stop.store(true, Ordering::Relaxed);
        // Only `stop` and `drop` take it, and both end this value.
        let thread = self.thread.take();
        thread.map_or_else(Pulses::default, |thread| joined(thread.join()))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn beat(
    mut reader: TcpStream,
    mut writer: TcpStream,
    every: Duration,
    stop: &AtomicBool,
    echoed: &AtomicU64,
) -> Pulses {
    let mut pulses = Pulses::default();
    let sent = AtomicU64::new(0);
    let silent = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (sent, silent) = (&sent, &silent);
        let writing = scope.spawn(move || -> io::Result<()> {
            let begun = Instant::now();
            while !stop.load(Ordering::Relaxed) && !silent.load(Ordering::Relaxed) {
                let number = sent.load(Ordering::Relaxed);
                writer.write_all(&number.to_be_bytes())?;
                sent.store(number + 1, Ordering::Relaxed);
                let due = every.saturating_mul(u32::try_from(number + 1).unwrap_or(u32::MAX));
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
            Ok(())
        });
        let read = listen(&mut reader, sent, stop, echoed, &mut pulses);
        silent.store(true, Ordering::Relaxed);
        let written = joined(writing.join());
        let failed = read.and(written).err();
        pulses.broken = failed.map(|error| error.to_string());
    });
    pulses.sent = sent.load(Ordering::Relaxed);
    pulses.echoed = echoed.load(Ordering::Relaxed);
    pulses
}

/// Reads echoes until all have come after the order to stop.
fn listen(
    reader: &mut TcpStream,
    sent: &AtomicU64,
    stop: &AtomicBool,
    echoed: &AtomicU64,
    pulses: &mut Pulses,
) -> io::Result<()> {
    let mut latest = Instant::now();
    let mut told: Option<Instant> = None;
    let mut beat = [0; 8];
    let mut filled = 0;
    loop {
        match reader.read(&mut beat[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
        let done = echoed.load(Ordering::Relaxed);
        if filled == beat.len() {
            filled = 0;
            if u64::from_be_bytes(beat) != done {
                return Err(io::Error::other(format!(
                    "echo {done} is not as it was sent"
                )));
            }
            pulses.longest_gap = pulses.longest_gap.max(latest.elapsed());
            latest = Instant::now();
            echoed.store(done + 1, Ordering::Relaxed);
        }
        if stop.load(Ordering::Relaxed) {
            let told = *told.get_or_insert_with(Instant::now);
            // The writer may be about to send one more.
            let all = echoed.load(Ordering::Relaxed) == sent.load(Ordering::Relaxed);
            if all && told.elapsed() > TICK || told.elapsed() > PATIENCE {
                return Ok(());
            }
        }
    }
}
