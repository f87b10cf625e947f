//! Sending whole frames: a packet socket (`packet(7)`), many frames a system call.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Frames in one system call at most.
pub(crate) const BATCH: usize = 64;

/// The message that sets a frame's mark.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    mark: u32,
    padding: u32,
}

/// A packet socket of this thread's namespace.
pub(crate) struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// One that hears nothing until it is bound to a protocol.
    pub fn open() -> io::Result<Self> {
        let fd = socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok(Self { fd })
    }

    /// Ties it to an interface, to hear frames of `protocol` (0: none; `ETH_P_ALL`: all).
    pub fn bind(&self, interface: u32, protocol: u16) -> io::Result<()> {
        // SAFETY: all zero is a value of this plain C structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = interface.cast_signed();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is as long as said, and only read.
        let answer =
            unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), length) };
        answered(answer).map(drop)
    }

    /// Sets an option of packet sockets.
    ///
    /// # Safety
    /// `value` is the structure that the option takes, without addresses in it.
    pub unsafe fn set<T>(&self, option: libc::c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        // SAFETY: the value is as long as said and only read.
        let answer = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                std::ptr::from_ref(value).cast(),
                length,
            )
        };
        answered(answer).map(drop)
    }

    /// Frames that found the ring full since this was last asked.
    pub fn take_drops(&self) -> io::Result<u64> {
        // SAFETY: all zero is a value of this plain C structure.
        let mut statistics: libc::tpacket_stats_v3 = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: there is room for as many bytes as said.
        let answer = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        answered(answer)?;
        Ok(u64::from(statistics.tp_drops))
    }

    /// Sends the frames in their order, the first [`BATCH`] at most, each with its mark where there are marks (0: none).
    /// Says how many were taken.
    ///
    /// # Errors
    /// What was wrong with the first one: ENOBUFS when the queue that it should leave by is full.
    pub fn send(&self, frames: &[&[u8]], marks: Option<&[u32]>) -> io::Result<usize> {
        // SAFETY: all zero is a value of these plain C structures.
        let (mut messages, mut vectors, mut controls): (
            [libc::mmsghdr; BATCH],
            [libc::iovec; BATCH],
            [Control; BATCH],
        ) = unsafe { std::mem::zeroed() };
        let count = frames.len().min(BATCH);
        for (index, frame) in frames.iter().take(BATCH).enumerate() {
            let vector = &mut vectors[index];
            vector.iov_base = frame.as_ptr().cast_mut().cast();
            vector.iov_len = frame.len();
            let message = &mut messages[index].msg_hdr;
            message.msg_iov = std::ptr::from_mut(vector);
            message.msg_iovlen = 1;
            let mark = marks.and_then(|marks| marks.get(index)).copied();
            if let Some(mark @ 1..) = mark {
                let control = &mut controls[index];
                control.header.cmsg_len = std::mem::offset_of!(Control, padding) as _;
                control.header.cmsg_level = libc::SOL_SOCKET;
                control.header.cmsg_type = libc::SO_MARK;
                control.mark = mark;
                message.msg_control = std::ptr::from_mut(control).cast();
                message.msg_controllen = size_of::<Control>() as _;
            }
        }
        // SAFETY: `count` messages are set, each with one vector over a frame that is only read, and with one control
        // message or none; all of it lives until the call returns.
        let sent = unsafe {
            libc::sendmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count as libc::c_uint,
                0,
            )
        };
        answered(sent)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn answered(answer: libc::c_int) -> io::Result<usize> {
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}
