//! Capture files in and out, live capture, and the traffic generator.
//!
//! [`CaptureReader`] reads pcap and pcapng, plain or gzipped, from a file or standard input, and treats every byte of them as
//! hostile. [`PcapWriter`] and [`PcapNgWriter`] write them. [`generate`] makes realistic traffic with planted attacks and the
//! rules that find them. With the cargo feature `libpcap`, the module `live` captures from an interface and evaluates BPF filters;
//! nothing else here needs a system library.
//!
//! ```
//! use weir_capture::{CaptureReader, PcapWriter};
//! use weir_engine::packet::{Frame, LinkType};
//!
//! let mut writer = PcapWriter::new(Vec::new(), LinkType::RAW)?;
//! let (link, data) = (LinkType::RAW, &b"\x45"[..]);
//! writer.write(&Frame { ts_ns: 1_000_000, number: 1, link, data, wire_len: 40, ..Frame::default() })?;
//! let file = writer.finish()?;
//!
//! let mut reader = CaptureReader::new(std::io::Cursor::new(file), "memory")?;
//! let frame = reader.next_frame()?.expect("one was written");
//! assert_eq!((frame.data, frame.wire_len, frame.ts_ns), (&b"\x45"[..], 40, 1_000_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
pub mod generate;
#[cfg(feature = "libpcap")]
pub mod live;
mod read;
mod write;

pub use error::CaptureError;
pub use read::{CaptureFormat, CaptureReader, MAX_RECORD};
pub use write::{PcapNgWriter, PcapWriter, Precision};
