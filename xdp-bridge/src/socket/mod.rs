//! One AF_XDP socket: a queue of a port, its four rings, and the system calls that keep them moving.

mod error;

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

use crate::ring::{Consumer, Mapped, Producer};
use crate::umem::{Frame, Place, Umem};

/// Flag of a descriptor whose packet goes on in the next one.
const CONTINUED: u32 = libc::XDP_PKT_CONTD;

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

/// A frame that a socket received.
pub(crate) struct Arrived {
    pub(crate) frame: Frame,
    /// Where in the frame the packet begins.
    pub(crate) at: u32,
    /// Bytes of the packet.
    pub(crate) length: u32,
}

/// What came out of a receive ring.
pub(crate) enum Receipt {
    /// A packet.
    Packet(Arrived),
    /// A descriptor that is none; the frame goes back where it holds one.
    Invalid(Option<Frame>),
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

/// An AF_XDP socket.
pub(crate) struct Socket {
    number: u8,
    fill: Producer<Mapped, 1>,
    completion: Consumer<Mapped, 1>,
    receive: Consumer<Mapped, 2>,
    transmit: Producer<Mapped, 2>,
    mode: CopyMode,
    // After the rings: they are maps of it.
    fd: OwnedFd,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("number", &self.number)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
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
    ) -> Result<Self, SocketError> {
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
        let fill = Producer::new(map(XDP_UMEM_PGOFF_FILL_RING, &at.fr, 1)?);
        let completion = Consumer::new(map(XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, 1)?);
        let receive = Consumer::new(map(XDP_PGOFF_RX_RING, &at.rx, 2)?);
        let transmit = Producer::new(map(XDP_PGOFF_TX_RING, &at.tx, 2)?);

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
        Ok(Self {
            number: seat.number,
            fill,
            completion,
            receive,
            transmit,
            mode,
            fd,
        })
    }

    /// What the kernel agreed to.
    pub(crate) fn mode(&self) -> CopyMode {
        self.mode
    }

    /// The descriptor, to be put into the map that the program redirects by.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What was lost on this socket.
    pub(crate) fn statistics(&self) -> io::Result<SocketStatistics> {
        let statistics = xdp_statistics(&self.fd)?;
        Ok(SocketStatistics {
            dropped: statistics.rx_dropped,
            ring_full: statistics.rx_ring_full.unwrap_or(0),
            fill_empty: statistics.rx_fill_ring_empty_descs.unwrap_or(0),
            bad_fill: statistics.rx_invalid_descs,
            bad_transmit: statistics.tx_invalid_descs,
        })
    }

    /// Frames that can be put into the fill ring: at least `wanted` if there is so much room.
    pub(crate) fn fill_room(&mut self, wanted: u32) -> u32 {
        self.fill.room(wanted)
    }

    /// Frames in the fill ring that the kernel has not taken.
    pub(crate) fn fill_waiting(&mut self) -> u32 {
        self.fill.waiting()
    }

    /// Gives the kernel a frame to receive into; gives it back when the ring is full.
    pub(crate) fn fill(&mut self, umem: &Umem, frame: Frame) -> Option<Frame> {
        if self.fill.room(1) == 0 {
            return Some(frame);
        }
        let address = umem.give(frame, Place::receiving(self.number));
        self.fill.push([address]);
        None
    }

    /// Lets the kernel see the frames to receive into, and wakes it where it asks for that.
    pub(crate) fn publish_fill(&mut self) {
        if self.fill.publish() > 0 && self.fill.needs_wakeup() {
            self.wake_receive();
        }
    }

    /// Wakes the driver so that it takes frames from the fill ring.
    pub(crate) fn wake_receive(&self) {
        // There is nothing to read: the call itself is what counts, and its answer says nothing.
        let _ = rustix::net::recv(&self.fd, &mut [0u8; 0][..], RecvFlags::DONTWAIT);
    }

    /// Frames that were received; asks the kernel when none are known.
    pub(crate) fn received(&mut self) -> u32 {
        self.receive.waiting()
    }

    /// Takes one received frame.
    pub(crate) fn receive(&mut self, umem: &Umem) -> Option<Receipt> {
        let descriptor = Descriptor::from_words(self.receive.pull()?);
        let taken = umem.take(descriptor.address, Place::receiving(self.number));
        Some(match taken {
            Some((frame, at))
                if descriptor.options & CONTINUED == 0
                    && umem.bytes(&frame, at, descriptor.length).is_some() =>
            {
                Receipt::Packet(Arrived {
                    frame,
                    at,
                    length: descriptor.length,
                })
            }
            Some((frame, _)) => Receipt::Invalid(Some(frame)),
            None => Receipt::Invalid(None),
        })
    }

    /// Gives the places of received frames back to the kernel.
    pub(crate) fn release_received(&mut self) {
        self.receive.release();
    }

    /// Puts a frame on the transmit ring; gives it back when the ring is full.
    pub(crate) fn transmit(&mut self, umem: &Umem, packet: Arrived) -> Option<Arrived> {
        if self.transmit.room(1) == 0 {
            return Some(packet);
        }
        let start = umem.give(packet.frame, Place::sending(self.number));
        let descriptor = Descriptor {
            address: start + u64::from(packet.at),
            length: packet.length,
            options: 0,
        };
        self.transmit.push(descriptor.to_words());
        None
    }

    /// Frames on the transmit ring that the kernel has not taken.
    pub(crate) fn transmit_waiting(&mut self) -> u32 {
        self.transmit.waiting()
    }

    /// Lets the kernel see the frames to be sent.
    pub(crate) fn publish_transmit(&mut self) {
        self.transmit.publish();
    }

    /// True when the kernel sends only after [`Socket::kick`].
    pub(crate) fn needs_kick(&self) -> bool {
        self.transmit.needs_wakeup()
    }

    /// Makes the kernel send: in copy mode about 32 frames a call.
    pub(crate) fn kick(&self) -> Kick {
        match rustix::net::send(&self.fd, &[], SendFlags::DONTWAIT) {
            Ok(_) => Kick::Done,
            Err(Errno::NETDOWN) => Kick::Down,
            Err(Errno::NXIO | Errno::BADF | Errno::NODEV) => Kick::Gone,
            // The budget of a call is used up; the device's queue is full; memory is short.
            Err(_) => Kick::Again,
        }
    }

    /// Takes a frame that was sent. The outer `None` says that there is none, the inner one that the address was not of a frame
    /// that is being sent.
    pub(crate) fn completed(&mut self, umem: &Umem) -> Option<Option<Frame>> {
        let [address] = self.completion.pull()?;
        let taken = umem.take(address, Place::sending(self.number));
        Some(taken.map(|(frame, _)| frame))
    }

    /// Gives the places of completions back to the kernel.
    pub(crate) fn release_completed(&mut self) {
        self.completion.release();
    }
}

/// A descriptor of the receive and transmit rings (`struct xdp_desc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    address: u64,
    length: u32,
    options: u32,
}

impl Descriptor {
    fn from_words([address, rest]: [u64; 2]) -> Self {
        let [a, b, c, d, e, f, g, h] = rest.to_ne_bytes();
        Self {
            address,
            length: u32::from_ne_bytes([a, b, c, d]),
            options: u32::from_ne_bytes([e, f, g, h]),
        }
    }

    fn to_words(self) -> [u64; 2] {
        let [a, b, c, d] = self.length.to_ne_bytes();
        let [e, f, g, h] = self.options.to_ne_bytes();
        [
            self.address,
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_have_the_kernels_layout() {
        let descriptor = Descriptor {
            address: 0x1122_3344_5566_7788,
            length: 1514,
            options: 1,
        };
        let words = descriptor.to_words();
        assert_eq!(Descriptor::from_words(words), descriptor);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes[..8], descriptor.address.to_ne_bytes());
        assert_eq!(bytes[8..12], 1514u32.to_ne_bytes());
        assert_eq!(bytes[12..], 1u32.to_ne_bytes());
    }
}
