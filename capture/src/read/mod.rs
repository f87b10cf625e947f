//! Reading captures: finding out what a stream is, and giving its frames one by one.

mod classic;
mod ng;
mod source;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use weir_engine::packet::{Frame, Interface, LinkType};

use crate::CaptureError;
use source::{Counting, Source};

/// The largest record that is believed, in bytes. libpcap's bound for pcapng blocks, and far above any frame.
pub const MAX_RECORD: u32 = 16 * 1024 * 1024;

/// Size of the buffer that compressed bytes are read through.
const GZIP_BUFFER: usize = 128 * 1024;

/// The format of a capture, under any compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureFormat {
    /// The classic format (`draft-ietf-opsawg-pcap`), in any of its byte orders and variants.
    Pcap,
    /// The block format (`draft-ietf-opsawg-pcapng`).
    PcapNg,
}

/// Where the frame of the record at hand lies, and what is known of it.
struct Record {
    ts_ns: u64,
    link: LinkType,
    wire_len: u32,
    /// Bytes of the record before the frame's.
    skip: usize,
    /// Captured bytes.
    len: usize,
    /// Bytes of the whole record.
    total: usize,
}

/// Why a record could not be had; the reader adds name and context.
enum Fault {
    /// The stream ended `found` bytes into a part that has `expected`.
    Short {
        what: &'static str,
        expected: usize,
        found: usize,
    },
    /// The bytes contradict the format.
    Corrupt(String),
    /// A version that is not known.
    Version {
        format: &'static str,
        major: u16,
        minor: u16,
        expected: &'static str,
    },
}

enum Decoder {
    Classic(classic::Classic),
    Ng(ng::Ng),
}

/// Reads a capture frame by frame, without allocating per frame.
///
/// pcap in both byte orders, with microseconds, nanoseconds or Kuznetzov's longer record headers; pcapng with any number of
/// sections in either byte order and of interfaces, each with its own link type and clock. Either may be gzipped, in one
/// member or several.
pub struct CaptureReader {
    name: String,
    source: Source,
    decoder: Decoder,
    /// The record whose frame is given.
    current: Option<Record>,
    frames: u64,
    done: bool,
    consumed: Arc<AtomicU64>,
    total: Option<u64>,
}

impl CaptureReader {
    /// Opens a capture file; `-` is standard input.
    ///
    /// # Errors
    /// When the file cannot be opened, is empty, or does not begin as a capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), "standard input");
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| {
            let meta = file.metadata()?;
            if meta.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok((file, meta.is_file().then_some(meta.len())))
        });
        match opened {
            Ok((file, total)) => {
                let mut reader = Self::new(file, name)?;
                reader.total = total;
                Ok(reader)
            }
            Err(source) => Err(CaptureError::Open { name, source }),
        }
    }

    /// Reads a capture from any stream. `name` stands in the errors.
    ///
    /// # Errors
    /// When the stream is empty or does not begin as a capture.
    pub fn new(
        stream: impl Read + Send + 'static,
        name: impl Into<String>,
    ) -> Result<Self, CaptureError> {
        let name = name.into();
        let consumed = Arc::new(AtomicU64::new(0));
        let mut stream = Counting::new(stream, Arc::clone(&consumed));
        let mut magic = [0; 4];
        let found = read_up_to(&mut stream, &mut magic).map_err(|source| CaptureError::Io {
            name: name.clone(),
            offset: 0,
            source,
        })?;
        let head = magic.get(..found).unwrap_or_default();
        if head.is_empty() {
            return Err(CaptureError::Empty { name });
        }
        let gzipped = head.starts_with(&[0x1f, 0x8b]);
        let whole = Cursor::new(head.to_vec()).chain(stream);
        let inner: Box<dyn Read + Send> = if gzipped {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                GZIP_BUFFER,
                whole,
            )))
        } else {
            Box::new(whole)
        };
        Self::begin(Source::new(inner), name, consumed)
    }

    fn begin(
        mut source: Source,
        name: String,
        consumed: Arc<AtomicU64>,
    ) -> Result<Self, CaptureError> {
        let head = source.peek(4);
        let head = head.get(..4.min(head.len())).unwrap_or_default().to_vec();
        let decoder = if let Some(variant) = classic::Variant::of(&head) {
            classic::Classic::begin(&mut source, variant).map(Decoder::Classic)
        } else if head == ng::SECTION.to_be_bytes() {
            Ok(Decoder::Ng(ng::Ng::default()))
        } else if let Some(failure) = source.take_failure() {
            return Err(stream_error(
                name,
                0,
                "the gzip stream",
                4,
                head.len(),
                failure,
            ));
        } else if head.is_empty() {
            return Err(CaptureError::Empty { name });
        } else {
            return Err(CaptureError::NotACapture {
                name,
                found: hex(&head),
                hint: hint(&head),
            });
        };
        match decoder {
            Ok(decoder) => Ok(Self {
                name,
                source,
                decoder,
                current: None,
                frames: 0,
                done: false,
                consumed,
                total: None,
            }),
            // A header that is cut leaves nothing to give, so it is not the forgivable cut in the last record.
            Err(Fault::Short {
                what,
                expected,
                found,
            }) => Err(match source.take_failure() {
                Some(failure) if failure.kind() != io::ErrorKind::UnexpectedEof => {
                    stream_error(name, 0, what, expected, found, failure)
                }
                _ => CaptureError::Corrupt {
                    name,
                    offset: 0,
                    what: format!("expected {expected} bytes of {what}, found {found}"),
                },
            }),
            Err(fault) => Err(fault.at(&name, 0)),
        }
    }

    /// The next frame, or `None` at the end of the capture. Frames are numbered from 1 in this capture. A frame may have fewer bytes than
    /// `wire_len` (a snap length) or, where the writer was careless, more.
    ///
    /// # Errors
    /// Once: what ended the capture early ([`CaptureError::is_truncated`] tells a cut from corruption). After that the reader
    /// is at the end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        Ok(if self.advance()? { self.frame() } else { None })
    }

    /// The frame that [`CaptureReader::advance`] went to; `None` before the first and after the last.
    pub fn frame(&self) -> Option<Frame<'_>> {
        let record = self.current.as_ref()?;
        let bytes = self.source.at_hand().get(record.skip..)?;
        Some(Frame {
            ts_ns: record.ts_ns,
            number: self.frames,
            link: record.link,
            data: bytes.get(..record.len)?,
            wire_len: record.wire_len,
            iface: Interface::NONE,
        })
    }

    /// Goes to the next frame; false at the end of the capture.
    ///
    /// # Errors
    /// As [`CaptureReader::next_frame`].
    pub fn advance(&mut self) -> Result<bool, CaptureError> {
        if let Some(record) = self.current.take() {
            self.source.consume(record.total);
        }
        if self.done {
            return Ok(false);
        }
        let record = match &mut self.decoder {
            Decoder::Classic(classic) => classic.next(&mut self.source),
            Decoder::Ng(ng) => ng.next(&mut self.source),
        };
        match record {
            Ok(Some(record)) => {
                self.current = Some(record);
                self.frames += 1;
                Ok(true)
            }
            Ok(None) => {
                self.done = true;
                match self.source.take_failure() {
                    None => Ok(false),
                    Some(failure) => Err(self.stream_ended("the gzip stream", 1, 0, failure)),
                }
            }
            Err(fault) => {
                self.done = true;
                let failure = self.source.take_failure();
                Err(match (fault, failure) {
                    (
                        Fault::Short {
                            what,
                            expected,
                            found,
                        },
                        Some(failure),
                    ) => self.stream_ended(what, expected, found, failure),
                    (fault, _) => fault.at(&self.name, self.source.offset()),
                })
            }
        }
    }

    fn stream_ended(
        &self,
        what: &'static str,
        expected: usize,
        found: usize,
        failure: io::Error,
    ) -> CaptureError {
        let offset = self.source.offset();
        stream_error(self.name.clone(), offset, what, expected, found, failure)
    }

    /// The format of the capture.
    pub fn format(&self) -> CaptureFormat {
        match self.decoder {
            Decoder::Classic(_) => CaptureFormat::Pcap,
            Decoder::Ng(_) => CaptureFormat::PcapNg,
        }
    }

    /// The name that stands in errors: the path as it was given, or `standard input`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Frames given so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of the file (compressed, if it is) read so far. Ahead of the frames by what is buffered.
    pub fn bytes_read(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Size of the file in bytes, if it has one: standard input and pipes have none.
    pub fn total_size(&self) -> Option<u64> {
        self.total
    }
}

impl Fault {
    fn at(self, name: &str, offset: u64) -> CaptureError {
        let name = name.to_owned();
        match self {
            Self::Short {
                what,
                expected,
                found,
            } => CaptureError::Truncated {
                name,
                offset,
                what,
                expected: expected as u64,
                found: found as u64,
            },
            Self::Corrupt(what) => CaptureError::Corrupt { name, offset, what },
            Self::Version {
                format,
                major,
                minor,
                expected,
            } => CaptureError::UnsupportedVersion {
                name,
                offset,
                format,
                major,
                minor,
                expected,
            },
        }
    }
}

/// What a failed read of the stream means: a gzip stream that ends early is a cut capture, one that contradicts itself is corrupt.
fn stream_error(
    name: String,
    offset: u64,
    what: &'static str,
    expected: usize,
    found: usize,
    failure: io::Error,
) -> CaptureError {
    match failure.kind() {
        io::ErrorKind::UnexpectedEof => CaptureError::Truncated {
            name,
            offset,
            what,
            expected: expected as u64,
            found: found as u64,
        },
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => CaptureError::Corrupt {
            name,
            offset: offset + found as u64,
            what: format!("the gzip stream cannot be decompressed: {failure}"),
        },
        _ => CaptureError::Io {
            name,
            offset,
            source: failure,
        },
    }
}

fn read_up_to(stream: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while let Some(room) = buf.get_mut(found..).filter(|room| !room.is_empty()) {
        match stream.read(room) {
            Ok(0) => break,
            Ok(n) => found += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let blank = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{blank}{byte:02x}");
        text
    })
}

/// Names what people feed to a capture reader by mistake.
fn hint(head: &[u8]) -> &'static str {
    match head {
        [0x28, 0xb5, 0x2f, 0xfd] => ", but this is zstd: decompress it first",
        [0x04, 0x22, 0x4d, 0x18] => ", but this is lz4: decompress it first",
        [0xfd, b'7', b'z', b'X'] => ", but this is xz: decompress it first",
        [b'B', b'Z', b'h', _] => ", but this is bzip2: decompress it first",
        [b'P', b'K', 3, 4] => ", but this is a zip archive: unpack it first",
        [0x1f, 0x8b, ..] => ", but this is gzipped twice",
        [b's', b'n', b'o', b'o'] => ", but this looks like a snoop capture: convert it first",
        _ => "",
    }
}

/// The byte order that a capture or a section was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw: [u8; 2] = bytes.get(at..)?.first_chunk().copied()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(raw),
            Self::Little => u16::from_le_bytes(raw),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(raw),
            Self::Little => u32::from_le_bytes(raw),
        })
    }

    fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let raw: [u8; 8] = bytes.get(at..)?.first_chunk().copied()?;
        Some(match self {
            Self::Big => u64::from_be_bytes(raw),
            Self::Little => u64::from_le_bytes(raw),
        })
    }
}
