//! Opening a bridge: memory, sockets, workers.

use std::error::Error;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use weir_xdp_common::socket_index;

use super::options::{BridgeOptions, OptionsError, ZeroCopy};
use super::shared::Shared;
use super::{Worker, turn};
use crate::program::QueueCell;
use crate::ring::Mapped;
use crate::socket::{Binding, CopyMode, Rings, Seat, Socket, SocketError};

/// How often a queue that is in use is tried again: the kernel lets go of a closed socket's a little later.
const TRIES: u32 = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// Puts the socket of a port's queue into the map that the program redirects by: port, queue, socket.
pub type SetSocket<'a> =
    dyn FnMut(usize, u32, BorrowedFd<'_>) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

/// A bridge that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// An option is out of its bounds.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// There is not a cell for each worker.
    #[error("there are {got} cells for {workers} workers")]
    Cells {
        /// Cells given.
        got: usize,
        /// Workers asked for.
        workers: u32,
    },
    /// No memory for the frames.
    #[error("no memory for {frames} frames of {size} bytes: {source} (ask for fewer frames)")]
    Memory {
        /// Frames of all workers.
        frames: u64,
        /// Bytes of each.
        size: u32,
        /// Why.
        source: io::Error,
    },
    /// A socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A socket could not be given to the program.
    #[error(
        "interface {interface}, queue {queue}: the socket could not be given to the XDP program: {source}"
    )]
    Map {
        /// The interface's name.
        interface: String,
        /// Its queue.
        queue: u32,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// An open bridge: its workers, each to be run by a thread.
#[derive(Debug)]
pub struct Bridge {
    workers: Vec<Worker>,
    mode: CopyMode,
}

impl Bridge {
    /// Opens the sockets of all queues on one memory, gives them frames to receive into, and gives them to the program. From
    /// then on frames come.
    ///
    /// Zero-copy is a matter of the whole bridge, as the memory is: it is used where all drivers can.
    ///
    /// # Errors
    /// What is wrong with the options, the memory or the first socket that could not be opened.
    pub fn open(
        options: &BridgeOptions,
        cells: Vec<QueueCell>,
        set_socket: &mut SetSocket<'_>,
    ) -> Result<Self, BridgeError> {
        options.check()?;
        if cells.len() != options.workers as usize {
            return Err(BridgeError::Cells {
                got: cells.len(),
                workers: options.workers,
            });
        }
        let mode = match options.zero_copy {
            ZeroCopy::Never => CopyMode::Copy,
            ZeroCopy::Auto | ZeroCopy::Require => CopyMode::ZeroCopy,
        };
        match Self::with_mode(options, mode, &cells, set_socket) {
            Err(BridgeError::Socket(error))
                if error.is_mode() && options.zero_copy == ZeroCopy::Auto =>
            {
                Self::with_mode(options, CopyMode::Copy, &cells, set_socket)
            }
            other => other,
        }
    }

    fn with_mode(
        options: &BridgeOptions,
        mode: CopyMode,
        cells: &[QueueCell],
        set_socket: &mut SetSocket<'_>,
    ) -> Result<Self, BridgeError> {
        let (workers, frames) = (options.workers, options.frames);
        let made = Shared::new(workers, frames, options.frame_size, options.huge_pages);
        let (shared, mut all) = made.map_err(|source| BridgeError::Memory {
            frames: u64::from(workers) * u64::from(frames),
            size: options.frame_size,
            source,
        })?;
        let shared = Arc::new(shared);
        let mut sockets: Vec<Vec<(Socket, Rings<Mapped>)>> = Vec::new();
        for queue in 0..workers {
            let mut row = Vec::new();
            for (index, port) in (0..).zip(&options.ports) {
                let seat = Seat {
                    name: &port.name,
                    interface: port.interface,
                    queue,
                    number: socket_index(index, queue) as u8,
                };
                let first = sockets.first().unwrap_or(&row).first();
                let binding = match first {
                    None => Binding::First(mode),
                    Some((socket, _)) => Binding::With(socket),
                };
                row.push(open_socket(&shared, seat, options.ring, binding)?);
            }
            sockets.push(row);
        }
        let mut opened = Vec::new();
        for ((number, sockets), cell) in (0..).zip(sockets).zip(cells) {
            let rest = all.split_off((frames as usize).min(all.len()));
            let frames = std::mem::replace(&mut all, rest);
            let shared = Arc::clone(&shared);
            let inner = turn::Worker::new(shared, number, frames, sockets, cell.clone(), options);
            opened.push(Worker { inner });
        }
        // Last, so that the first frame finds everything in its place.
        for worker in &opened {
            let queue = worker.number();
            for (index, port) in options.ports.iter().enumerate() {
                let Some(socket) = worker.inner.kernel(index) else {
                    continue;
                };
                set_socket(index, queue, socket.as_fd()).map_err(|source| BridgeError::Map {
                    interface: port.name.clone(),
                    queue,
                    source,
                })?;
            }
        }
        Ok(Self {
            workers: opened,
            mode,
        })
    }

    /// Whether frames are copied.
    #[must_use]
    pub fn copy_mode(&self) -> CopyMode {
        self.mode
    }

    /// The workers, by number.
    #[must_use]
    pub fn into_workers(self) -> Vec<Worker> {
        self.workers
    }
}

/// Opens a socket; waits a little where its queue is still in use.
fn open_socket(
    shared: &Shared,
    seat: Seat<'_>,
    ring: u32,
    binding: Binding<'_>,
) -> Result<(Socket, Rings<Mapped>), SocketError> {
    for _ in 1..TRIES {
        match Socket::open(&shared.umem, seat, ring, binding) {
            Err(error) if error.is_busy() => thread::sleep(PAUSE),
            other => return other,
        }
    }
    Socket::open(&shared.umem, seat, ring, binding)
}
