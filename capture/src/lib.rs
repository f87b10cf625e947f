//! Capture files in and out, live capture, and the traffic generator.
//!
//! [`CaptureReader`] reads pcap and pcapng, plain or gzipped, from a file or standard input, and treats every byte of them as
//! hostile. [`PcapWriter`] and [`PcapNgWriter`] write them. [`generate`] makes realistic traffic with planted attacks and the
//! rules that find them. With the cargo feature `libpcap`, the module `live` captures from an interface and evaluates BPF filters;
//! nothing else here needs a system library.

mod error;
pub mod generate;
#[cfg(feature = "libpcap")]
pub mod live;
mod read;
mod write;

pub use error::CaptureError;
pub use read::{CaptureFormat, CaptureReader, MAX_RECORD};
pub use write::{PcapNgWriter, PcapWriter, Precision};
