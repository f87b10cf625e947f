//! What can go wrong with a capture.

use std::io;

/// A capture that cannot be opened or read on. Every message names the capture and, where there is one, the byte offset:
/// of the uncompressed stream, when the capture is gzipped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{name}: cannot open the capture: {source}")]
    Open {
        /// The capture.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system failed to read.
    #[error("{name}: reading failed at byte {offset}: {source}")]
    Io {
        /// The capture.
        name: String,
        /// Bytes read before the failure.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// There is not a single byte.
    #[error("{name}: the file is empty, expected a pcap or pcapng capture")]
    Empty {
        /// The capture.
        name: String,
    },
    /// The first bytes are those of no capture format.
    #[error(
        "{name}: not a capture: starts with {found}, expected pcap, pcapng, or either of them gzipped{hint}"
    )]
    NotACapture {
        /// The capture.
        name: String,
        /// The first bytes, in hexadecimal.
        found: String,
        /// What the bytes look like, with a leading comma and blank; empty when they look like nothing known.
        hint: &'static str,
    },
    /// A capture of a version that nothing here knows.
    #[error(
        "{name}: unsupported {format} version {major}.{minor} at byte {offset}, expected {expected}"
    )]
    UnsupportedVersion {
        /// The capture.
        name: String,
        /// Where the version stands.
        offset: u64,
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
        /// The versions that can be read.
        expected: &'static str,
    },
    /// The capture ends inside a record (or the gzip stream around it ends early): all earlier packets were given. This is
    /// what a capture looks like whose writer was killed or is still writing.
    #[error(
        "{name}: cut at byte {offset}: expected {expected} more bytes of {what}, found {found}"
    )]
    Truncated {
        /// The capture.
        name: String,
        /// Where the part that is cut begins.
        offset: u64,
        /// Which part is cut.
        what: &'static str,
        /// Bytes that part should have.
        expected: u64,
        /// Bytes that part has.
        found: u64,
    },
    /// The capture contradicts its format.
    #[error("{name}: corrupt at byte {offset}: {what}")]
    Corrupt {
        /// The capture.
        name: String,
        /// Where the part that is wrong begins.
        offset: u64,
        /// What was found and what was expected.
        what: String,
    },
}

impl CaptureError {
    /// True when the capture is merely cut in its last record, and whole up to there.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}
