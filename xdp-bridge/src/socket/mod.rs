//! One AF_XDP socket: a queue of a port, its four rings, and the system calls that keep them moving.

mod error;
mod rings;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{
    set_socket_send_buffer_size_force, set_xdp_rx_ring_size, set_xdp_tx_ring_size,
    set_xdp_umem_completion_ring_size, set_xdp_umem_fill_ring_size, set_xdp_umem_reg,
    xdp_mmap_offsets, xdp_options, xdp_statistics,
};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, SocketAddrXdpWithSharedUmem, XDP_PGOFF_RX_RING,
    XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpOptionsFlags,
    XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind};

pub use error::{SocketError, Step};
pub(crate) use rings::{Arrived, Receipt, Rings};

use crate::ring::{Consumer, Mapped, Producer};
use crate::umem::Umem;

/// Whether frames are copied between the driver's buffers and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyMode {
    /// The device reads and writes our frames.
    ZeroCopy,
    /// The kernel copies each frame once on the way in, and once on the way out.
    Copy,
}

/// What the kernel lost on a socket (`XDP_STATISTICS`), since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketStatistics {
    /// Frames dropped for want of a free frame, or because they are longer than one.
    pub dropped: u64,
    /// Frames dropped as the receive ring was full.
    pub ring_full: u64,
    /// Times that the fill ring was found empty.
    pub fill_empty: u64,
    /// Addresses in the fill ring that the kernel refused.
    pub bad_fill: u64,
    /// Descriptors in the transmit ring that the kernel refused.
    pub bad_transmit: u64,
}

impl SocketStatistics {
    /// Frames that the XDP program gave to the socket and that did not come out of it.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.saturating_add(self.ring_full)
    }
}

/// What became of an attempt to make the kernel go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kick {
    /// It did, or will.
    Done,
    /// It did some of it, or cannot go on now.
    Again,
    /// The interface is down.
    Down,
    /// The interface is gone: this socket is of no use any more.
    Gone,
}

/// Where a socket stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'a> {
    /// The interface's name, for messages.
    pub(crate) name: &'a str,
    /// Its index.
    pub(crate) interface: u32,
    /// Its queue.
    pub(crate) queue: u32,
    /// The socket's number in its bridge.
    pub(crate) number: u8,
}

/// With what a socket is bound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binding<'a> {
    /// It registers the UMEM.
    First(CopyMode),
    /// It uses the UMEM, and the mode, of a socket that is bound.
    With(&'a Socket),
}

/// What the kernel does for a socket when it is called.
pub(crate) trait Kernel {
    /// Makes it send what is on the transmit ring: in copy mode about 32 frames a call.
    fn kick(&self) -> Kick;
    /// Makes the driver take frames from the fill ring.
    fn wake_receive(&self);
    /// What was lost.
    fn statistics(&self) -> io::Result<SocketStatistics>;
    /// What can be waited on.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

/// An AF_XDP socket without its rings.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    mode: CopyMode,
}

impl Socket {
    /// Opens and binds a socket whose rings have `entries` entries each, a power of two.
    ///
    /// Rings are woken on demand (`XDP_USE_NEED_WAKEUP`).
    pub(crate) fn open(
        umem: &Umem,
        seat: Seat<'_>,
        entries: u32,
        binding: Binding<'_>,
    ) -> Result<(Self, Rings<Mapped>), SocketError> {
        let failed = |step| move |error| SocketError::new(seat.name, seat.queue, step, error);
        let fd = rustix::net::socket_with(
            AddressFamily::XDP,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed(Step::Socket))?;
        if let Binding::First(_) = binding {
            let (addr, len) = umem.extent();
            let registration = XdpUmemReg {
                addr,
                len,
                chunk_size: umem.frame_size(),
                headroom: 0,
                flags: XdpUmemRegFlags::empty(),
                tx_metadata_len: 0,
            };
            set_xdp_umem_reg(&fd, registration).map_err(failed(Step::Memory))?;
        }
        set_xdp_umem_fill_ring_size(&fd, entries).map_err(failed(Step::Rings))?;
        set_xdp_umem_completion_ring_size(&fd, entries).map_err(failed(Step::Rings))?;
        set_xdp_rx_ring_size(&fd, entries).map_err(failed(Step::Rings))?;
        set_xdp_tx_ring_size(&fd, entries).map_err(failed(Step::Rings))?;
        // In copy mode each frame on its way out is charged to the socket, with what the kernel adds to it.
        let charge = entries as usize * (umem.frame_size() as usize + 1024);
        let _ = set_socket_send_buffer_size_force(&fd, charge);
        let at = xdp_mmap_offsets(&fd).map_err(failed(Step::Rings))?;
        let map = |page, offsets, words: usize| {
            Mapped::new(fd.as_fd(), page, offsets, entries as usize * words)
                .map_err(|error| SocketError::io(seat.name, seat.queue, Step::Rings, error))
        };
        let rings = Rings::new(
            seat.number,
            Producer::new(map(XDP_UMEM_PGOFF_FILL_RING, &at.fr, 1)?),
            Consumer::new(map(XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, 1)?),
            Consumer::new(map(XDP_PGOFF_RX_RING, &at.rx, 2)?),
            Producer::new(map(XDP_PGOFF_TX_RING, &at.tx, 2)?),
        );

        let address = |flags| SocketAddrXdp::new(flags, seat.interface, seat.queue);
        match binding {
            Binding::First(mode) => {
                let copy = match mode {
                    CopyMode::ZeroCopy => SocketAddrXdpFlags::XDP_ZEROCOPY,
                    CopyMode::Copy => SocketAddrXdpFlags::XDP_COPY,
                };
                bind(
                    &fd,
                    &address(copy | SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP),
                )
            }
            Binding::With(other) => bind(
                &fd,
                &SocketAddrXdpWithSharedUmem {
                    addr: address(SocketAddrXdpFlags::XDP_SHARED_UMEM),
                    shared_umem_fd: other.fd.as_fd(),
                },
            ),
        }
        .map_err(failed(Step::Bind))?;
        let options = xdp_options(&fd).map_err(failed(Step::Options))?;
        let mode = if options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY) {
            CopyMode::ZeroCopy
        } else {
            CopyMode::Copy
        };
        Ok((Self { fd, mode }, rings))
    }

    /// What the kernel agreed to.
    pub(crate) fn mode(&self) -> CopyMode {
        self.mode
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Kernel for Socket {
    fn kick(&self) -> Kick {
        match rustix::net::send(&self.fd, &[], SendFlags::DONTWAIT) {
            Ok(_) => Kick::Done,
            Err(Errno::NETDOWN) => Kick::Down,
            Err(Errno::NXIO | Errno::BADF | Errno::NODEV) => Kick::Gone,
            // The budget of a call is used up; the device's queue is full; memory is short.
            Err(_) => Kick::Again,
        }
    }

    fn wake_receive(&self) {
        // There is nothing to read: the call itself is what counts, and its answer says nothing.
        let _ = rustix::net::recv(&self.fd, &mut [0u8; 0][..], RecvFlags::DONTWAIT);
    }

    fn statistics(&self) -> io::Result<SocketStatistics> {
        let statistics = xdp_statistics(&self.fd)?;
        Ok(SocketStatistics {
            dropped: statistics.rx_dropped,
            ring_full: statistics.rx_ring_full.unwrap_or(0),
            fill_empty: statistics.rx_fill_ring_empty_descs.unwrap_or(0),
            bad_fill: statistics.rx_invalid_descs,
            bad_transmit: statistics.tx_invalid_descs,
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}
