//! Live capture and BPF filters, by libpcap.

use std::io;

use pcap::{Active, BpfProgram, Capture, Linktype};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use weir_engine::packet::{Frame, Interface, LinkType};

/// What libpcap refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The interface cannot be opened, or its filter cannot be set.
    #[error("{interface}: cannot capture: {source}{}", hint(source))]
    Open {
        /// The interface.
        interface: String,
        /// What libpcap said.
        source: pcap::Error,
    },
    /// The interface went away, or libpcap failed.
    #[error("{interface}: capture ended: {source}")]
    Read {
        /// The interface.
        interface: String,
        /// What libpcap said.
        source: pcap::Error,
    },
    /// Waiting for packets failed.
    #[error("{interface}: cannot wait for packets: {source}")]
    Wait {
        /// The interface.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// The filter expression cannot be compiled.
    #[error("filter \"{expression}\": {source}")]
    Filter {
        /// The expression.
        expression: String,
        /// What libpcap said.
        source: pcap::Error,
    },
}

/// What else there is to say about an interface that cannot be opened.
fn hint(error: &pcap::Error) -> &'static str {
    // libpcap has a code for this, but the crate hands on only the text.
    if error.to_string().contains("not permitted") {
        "; it takes root or the capability CAP_NET_RAW"
    } else {
        ""
    }
}

/// What libpcap and the kernel counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Packets that passed the filter.
    pub received: u64,
    /// Packets lost because they were not read in time.
    pub dropped: u64,
    /// Packets lost by the interface or its driver.
    pub interface_dropped: u64,
}

/// How long the kernel gathers packets before it wakes the reader, in milliseconds.
const GATHER_MS: i32 = 50;

/// How long [`LiveCapture::next_frame`] waits for a packet at most.
const WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Kernel buffer for packets not read yet, in bytes.
const RING: i32 = 16 * 1024 * 1024;

/// An interface that is captured from, in promiscuous mode.
pub struct LiveCapture {
    capture: Capture<Active>,
    interface: String,
    link: LinkType,
    /// All that had come was read: wait before the next look.
    drained: bool,
}

impl LiveCapture {
    /// Opens an interface. Packets longer than `snaplen` bytes are cut to it. `filter` is an expression in the language of `pcap-filter(7)`.
    ///
    /// # Errors
    /// When there is no such interface, this process may not capture from it, or the filter does not compile.
    pub fn open(interface: &str, snaplen: u32, filter: Option<&str>) -> Result<Self, LiveError> {
        let failed = |source| LiveError::Open {
            interface: interface.to_owned(),
            source,
        };
        let mut capture = Capture::from_device(interface)
            .map_err(failed)?
            .promisc(true)
            .snaplen(i32::try_from(snaplen).unwrap_or(i32::MAX))
            .timeout(GATHER_MS)
            .buffer_size(RING)
            .open()
            .map_err(failed)?;
        if let Some(expression) = filter {
            capture
                .filter(expression, true)
                .map_err(|source| LiveError::Filter {
                    expression: expression.to_owned(),
                    source,
                })?;
        }
        // A DLT that is out of range has no LinkType; the decoder counts frames of an unknown type.
        let link = LinkType(u16::try_from(capture.get_datalink().0).unwrap_or(u16::MAX));
        // Left to wait by itself, libpcap on Linux does so until a packet comes, however long that takes, and goes on
        // waiting after a signal.
        let capture = capture.setnonblock().map_err(failed)?;
        Ok(Self {
            capture,
            interface: interface.to_owned(),
            link,
            drained: false,
        })
    }

    /// The next frame, or `None` when there is none: time to look whether to stop. The call after that waits up to a tenth
    /// of a second for one, or until a signal comes. Frames are not numbered, and come by interface 0.
    ///
    /// # Errors
    /// When the interface goes down or away.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, LiveError> {
        if self.drained {
            self.wait()?;
        }
        match self.capture.next_packet() {
            Ok(packet) => {
                self.drained = false;
                // A clock before 1970 is as good as none.
                let seconds = u64::try_from(packet.header.ts.tv_sec).unwrap_or(0);
                let micros = u64::try_from(packet.header.ts.tv_usec).unwrap_or(0);
                Ok(Some(Frame {
                    ts_ns: seconds
                        .saturating_mul(1_000_000_000)
                        .saturating_add(micros.saturating_mul(1000)),
                    number: 0,
                    link: self.link,
                    data: packet.data,
                    wire_len: packet.header.len,
                    iface: Interface::at(0),
                }))
            }
            Err(pcap::Error::TimeoutExpired) => {
                self.drained = true;
                Ok(None)
            }
            Err(source) => Err(LiveError::Read {
                interface: self.interface.clone(),
                source,
            }),
        }
    }

    /// Waits for packets, for a while.
    fn wait(&self) -> Result<(), LiveError> {
        let mut waiting = [PollFd::new(&self.capture, PollFlags::IN)];
        match poll(&mut waiting, Some(&WAIT)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(LiveError::Wait {
                interface: self.interface.clone(),
                source: error.into(),
            }),
        }
    }

    /// The link type of the interface.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// What was received and lost since the capture was opened.
    ///
    /// # Errors
    /// When libpcap cannot tell.
    pub fn stats(&mut self) -> Result<LiveStats, LiveError> {
        let stats = self.capture.stats().map_err(|source| LiveError::Read {
            interface: self.interface.clone(),
            source,
        })?;
        Ok(LiveStats {
            received: stats.received.into(),
            dropped: stats.dropped.into(),
            interface_dropped: stats.if_dropped.into(),
        })
    }
}

/// A compiled filter expression, for frames that come from a file.
pub struct Filter {
    program: BpfProgram,
    link: LinkType,
}

impl Filter {
    /// Compiles an expression in the language of `pcap-filter(7)` for frames of one link type.
    ///
    /// # Errors
    /// When the expression is wrong, or asks for what the link type does not have.
    pub fn compile(link: LinkType, expression: &str) -> Result<Self, LiveError> {
        // Files number raw IP otherwise than libpcap's own interface does.
        let dlt = match link {
            LinkType::RAW | LinkType::RAW_14 => LinkType::RAW_12,
            link => link,
        };
        let program = Capture::dead(Linktype(dlt.0.into()))
            .and_then(|dead| dead.compile(expression, true))
            .map_err(|source| LiveError::Filter {
                expression: expression.to_owned(),
                source,
            })?;
        Ok(Self { program, link })
    }

    /// True when the frame passes. A frame of another link type than the filter was compiled for never does. `len` in an expression
    /// is the captured length, so `greater` and `less` see a frame that a snap length cut as shorter than it was.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        frame.link == self.link && self.program.filter(frame.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
        Frame {
            ts_ns: 0,
            number: 1,
            link,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        }
    }

    /// A bare IPv4 UDP packet to port 53.
    const DNS: [u8; 28] = [
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0, 53, 0,
        8, 0, 0,
    ];

    #[test]
    fn filters_by_link_type() {
        let raw = Filter::compile(LinkType::RAW, "udp port 53").expect("a good expression");
        assert!(raw.matches(&frame(LinkType::RAW, &DNS)));
        assert!(!raw.matches(&frame(LinkType::ETHERNET, &DNS)));
        let other = Filter::compile(LinkType::RAW, "tcp").expect("a good expression");
        assert!(!other.matches(&frame(LinkType::RAW, &DNS)));
        assert!(!other.matches(&frame(LinkType::RAW, &[])));

        let ethernet = Filter::compile(LinkType::ETHERNET, "dst host 10.0.0.2").expect("good");
        let mut framed = vec![0; 12];
        framed.extend([8, 0]);
        framed.extend(DNS);
        assert!(ethernet.matches(&frame(LinkType::ETHERNET, &framed)));
    }

    #[test]
    fn names_a_bad_expression_and_a_missing_interface() {
        let bad = Filter::compile(LinkType::ETHERNET, "udp prt 53")
            .err()
            .expect("a bad expression");
        assert!(bad.to_string().contains("udp prt 53"), "{bad}");
        let missing = LiveCapture::open("no-such-interface", 65_535, None)
            .err()
            .expect("no such interface");
        assert!(missing.to_string().starts_with("no-such-interface: "));
    }
}
