//! Writing captures.

use std::io::{self, BufWriter, Write};

use weir_engine::packet::{Frame, LinkType};

/// What a classic capture counts time in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds: every tool reads it.
    #[default]
    Micro,
    /// Nanoseconds.
    Nano,
}

/// The snap length that files announce, and the longest frame that is written: libpcap refuses longer ones.
const SNAPLEN: u32 = 262_144;

const BUFFER: usize = 256 * 1024;

/// Writes a classic pcap file, little endian, version 2.4. Buffered; [`finish`](Self::finish) reports the last error.
pub struct PcapWriter<W: Write> {
    out: BufWriter<W>,
    link: LinkType,
    precision: Precision,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a file with microsecond times.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W, link: LinkType) -> io::Result<Self> {
        Self::with_precision(out, link, Precision::default())
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When writing fails.
    pub fn with_precision(out: W, link: LinkType, precision: Precision) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(BUFFER, out);
        let magic: u32 = match precision {
            Precision::Micro => 0xa1b2_c3d4,
            Precision::Nano => 0xa1b2_3c4d,
        };
        out.write_all(&magic.to_le_bytes())?;
        out.write_all(&2_u16.to_le_bytes())?;
        out.write_all(&4_u16.to_le_bytes())?;
        out.write_all(&[0; 8])?;
        out.write_all(&SNAPLEN.to_le_bytes())?;
        out.write_all(&u32::from(link.0).to_le_bytes())?;
        Ok(Self {
            out,
            link,
            precision,
        })
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// When writing fails, or the frame cannot stand in this file: another link type, more than 262,144 bytes, or a time after
    /// the year 2106.
    pub fn write(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        if frame.link != self.link {
            return Err(invalid(format!(
                "a frame of link type {} in a capture of link type {}",
                frame.link.0, self.link.0
            )));
        }
        let captured = captured_len(frame)?;
        let seconds = u32::try_from(frame.ts_ns / 1_000_000_000)
            .map_err(|_| invalid("a time after 2106 does not fit a pcap record".to_owned()))?;
        // Below 10^9, so it fits.
        let nanos = (frame.ts_ns % 1_000_000_000) as u32;
        let fraction = match self.precision {
            Precision::Micro => nanos / 1000,
            Precision::Nano => nanos,
        };
        for field in [seconds, fraction, captured, frame.wire_len] {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.out.write_all(frame.data)
    }

    /// Writes what is buffered and gives back the stream.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

/// Writes a pcapng file of one section, little endian, with nanosecond times, and an interface for every link type that occurs.
pub struct PcapNgWriter<W: Write> {
    out: BufWriter<W>,
    interfaces: Vec<LinkType>,
}

impl<W: Write> PcapNgWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self {
            out: BufWriter::with_capacity(BUFFER, out),
            interfaces: Vec::new(),
        };
        let mut body = [0; 16];
        for (field, value) in body
            .chunks_exact_mut(4)
            .zip([0x1a2b_3c4d, 1, u32::MAX, u32::MAX])
        {
            field.copy_from_slice(&u32::to_le_bytes(value));
        }
        writer.block(0x0a0d_0d0a, &body, &[])?;
        Ok(writer)
    }

    /// Writes a frame, and first a description of its interface where its link type is new.
    ///
    /// # Errors
    /// When writing fails, or the frame has more than 262,144 bytes.
    pub fn write(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let captured = captured_len(frame)?;
        let interface = match self.interfaces.iter().position(|&link| link == frame.link) {
            Some(known) => known,
            None => {
                self.describe(frame.link)?;
                self.interfaces.push(frame.link);
                self.interfaces.len() - 1
            }
        };
        let mut head = [0; 20];
        let fields = [
            // At most 65,536 link types, so it fits.
            interface as u32,
            (frame.ts_ns >> 32) as u32,
            (frame.ts_ns & 0xffff_ffff) as u32,
            captured,
            frame.wire_len,
        ];
        for (field, value) in head.chunks_exact_mut(4).zip(fields) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.block(6, &head, frame.data)
    }

    fn describe(&mut self, link: LinkType) -> io::Result<()> {
        let mut body = [0; 20];
        let (fixed, options) = body.split_at_mut(8);
        fixed[..2].copy_from_slice(&link.0.to_le_bytes());
        fixed[4..].copy_from_slice(&SNAPLEN.to_le_bytes());
        // if_tsresol: option 9, one byte, 10^-9; then the end of options.
        options[..5].copy_from_slice(&[9, 0, 1, 0, 9]);
        self.block(1, &body, &[])
    }

    /// Writes a block whose body is `head` (a multiple of 4 bytes) and `data`, padded.
    fn block(&mut self, kind: u32, head: &[u8], data: &[u8]) -> io::Result<()> {
        let padding = data.len().next_multiple_of(4) - data.len();
        let total = u32::try_from(12 + head.len() + data.len() + padding)
            .map_err(|_| invalid("a block of more than 4 GiB".to_owned()))?;
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&total.to_le_bytes())?;
        self.out.write_all(head)?;
        self.out.write_all(data)?;
        self.out.write_all(&[0; 3][..padding])?;
        self.out.write_all(&total.to_le_bytes())
    }

    /// Writes what is buffered and gives back the stream.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }
}

fn captured_len(frame: &Frame<'_>) -> io::Result<u32> {
    u32::try_from(frame.data.len())
        .ok()
        .filter(|&len| len <= SNAPLEN)
        .ok_or_else(|| {
            invalid(format!(
                "a frame of {} bytes, at most {SNAPLEN} can be written",
                frame.data.len()
            ))
        })
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
