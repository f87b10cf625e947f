//! Netlink messages (RFC 3549; `include/uapi/linux/netlink.h`): asking the kernel, and listening to it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    socket_with,
};

/// Flag of a request that wants an answer: `NLM_F_REQUEST`.
pub(super) const REQUEST: u16 = 1;
/// Flag of a request that wants to know whether it worked: `NLM_F_ACK`.
pub(super) const ACK: u16 = 4;
/// Flags of a request for all there is: `NLM_F_DUMP`.
pub(super) const DUMP: u16 = 0x300;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEADER: usize = 16;
/// `NLM_F_CAPPED`: an error does not repeat the request; `NLM_F_ACK_TLVS`: attributes follow it.
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`.
const MESSAGE: u16 = 1;

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// The system's error.
    pub error: io::Error,
    /// What the kernel says about it, where it says anything.
    pub says: Option<String>,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { error, says: None }
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused.says {
            Some(says) => Self::new(refused.error.kind(), format!("{}: {says}", refused.error)),
            None => refused.error,
        }
    }
}

/// `NETLINK_ROUTE`, which is 0.
pub(super) const ROUTE: Option<Protocol> = None;
/// `NETLINK_GENERIC`.
pub(super) const GENERIC: Option<Protocol> = Some(rustix::net::netlink::GENERIC);

/// One message: its type and what follows the header.
#[derive(Debug)]
pub(super) struct Message {
    /// `nlmsg_type`.
    pub kind: u16,
    /// The rest.
    pub body: Vec<u8>,
}

/// A socket.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    room: Vec<u8>,
}

impl Socket {
    /// To ask with.
    pub fn asking(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = Self::open(protocol, 0, SocketFlags::empty())?;
        // The kernel answers at once; should it not, nobody waits for ever.
        set_socket_timeout(&socket.fd, Timeout::Recv, Some(Duration::from_secs(5)))?;
        socket.want_reasons();
        Ok(socket)
    }

    /// To listen with, without waiting.
    pub fn listening(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        Self::open(protocol, groups, SocketFlags::NONBLOCK)
    }

    fn open(protocol: Option<Protocol>, groups: u32, flags: SocketFlags) -> io::Result<Self> {
        let flags = flags | SocketFlags::CLOEXEC;
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self {
            fd,
            sequence: 0,
            room: vec![0; 64 << 10],
        })
    }

    /// Has the kernel say in words why it refuses. Older kernels cannot, which is no loss.
    fn want_reasons(&self) {
        let on: libc::c_int = 1;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            // SAFETY: an option that is an int, and the address and size of one.
            let result = unsafe {
                libc::setsockopt(
                    self.fd.as_raw_fd(),
                    libc::SOL_NETLINK,
                    option,
                    std::ptr::from_ref(&on).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                )
            };
            if result < 0 {
                tracing::debug!("no reasons from netlink: {}", io::Error::last_os_error());
            }
        }
    }

    /// The descriptor, to wait on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }

    /// Sends a request and returns all that is answered.
    pub fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Message>, Refused> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = (HEADER + body.len()) as u32;
        let mut request = Vec::with_capacity(HEADER + body.len());
        request.extend(length.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((flags | REQUEST).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend(0_u32.to_ne_bytes());
        request.extend(body);
        send(&self.fd, &request, SendFlags::empty()).map_err(io::Error::from)?;
        let mut answers = Vec::new();
        loop {
            let sequence = self.sequence;
            let received = self.receive()?;
            for (header, body) in messages(received) {
                if header.sequence != sequence {
                    continue;
                }
                match header.kind {
                    DONE => return Ok(answers),
                    ERROR => return outcome(&header, body).map(|()| answers),
                    kind => answers.push(Message {
                        kind,
                        body: body.to_vec(),
                    }),
                }
                // Neither a list, which ends with DONE, nor to be acknowledged, which ends with ERROR.
                if header.flags & 2 == 0 && flags & (ACK | DUMP) == 0 {
                    return Ok(answers);
                }
            }
        }
    }

    /// What has been said since; nothing if nothing has. `ENOBUFS` says that something was missed.
    pub fn heard(&mut self) -> io::Result<Vec<Message>> {
        let mut all = Vec::new();
        loop {
            match self.receive() {
                Ok(bytes) => {
                    let found = messages(bytes).filter(|(header, _)| header.kind > DONE);
                    all.extend(found.map(|(header, body)| Message {
                        kind: header.kind,
                        body: body.to_vec(),
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }

    fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            match recv(&self.fd, &mut self.room[..], RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((_, length)) => return Ok(self.room.get(..length).unwrap_or_default()),
            }
        }
    }
}

struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32_at(bytes, 0)? as usize;
        let header = Header {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
        };
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, body))
    })
}

fn outcome(header: &Header, body: &[u8]) -> Result<(), Refused> {
    let code = u32_at(body, 0).unwrap_or_default().cast_signed();
    if code == 0 {
        return Ok(());
    }
    let mut says = None;
    if header.flags & ACK_TLVS != 0 {
        // The request's header comes after the code, and all of the request unless it is capped.
        let request = if header.flags & CAPPED != 0 {
            HEADER
        } else {
            (u32_at(body, 4).unwrap_or_default() as usize).next_multiple_of(4)
        };
        let rest = body.get(4 + request..).unwrap_or_default();
        says = attributes(rest)
            .find(|(kind, _)| *kind == MESSAGE)
            .map(|(_, text)| text_of(text));
    }
    Err(Refused {
        error: io::Error::from_raw_os_error(code.saturating_neg()),
        says,
    })
}

/// The attributes that follow a message's fixed part.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        // Without the bits that say "nested" and "network byte order".
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Adds an attribute to a message. The value must be shorter than 64 KiB.
pub(super) fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Text up to its closing zero.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for (header, body) in messages(&bytes).take(1000) {
                let _ = outcome(&header, body);
            }
            prop_assert!(attributes(&bytes).count() <= bytes.len());
        }

        #[test]
        fn attributes_are_read_as_written(values in prop::collection::vec((0_u16..0x3fff, prop::collection::vec(any::<u8>(), 0..20)), 0..10)) {
            let mut message = Vec::new();
            for (kind, value) in &values {
                attribute(&mut message, *kind, value);
            }
            let read: Vec<_> = attributes(&message).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, values);
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let mut body = (-libc::EBUSY).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        attribute(&mut body, MESSAGE, b"in use\0");
        let header = Header {
            kind: ERROR,
            flags: CAPPED | ACK_TLVS,
            sequence: 0,
        };
        let refused = outcome(&header, &body).expect_err("refused");
        assert_eq!(refused.error.raw_os_error(), Some(libc::EBUSY));
        assert_eq!(refused.says.as_deref(), Some("in use"));
    }
}
