//! Segments of one TCP connection, in ten bytes each.

/// Most data of one segment.
pub const MAX_DATA: usize = 255 * 8;

/// A segment whose numbers are relative to those that the connection is at.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// The client's.
    pub to_server: bool,
    /// TCP flags.
    pub flags: u8,
    /// Which options it has: 2 timestamps, 4 window scale, 8 Fast Open, 16 a signature.
    pub options: u8,
    /// Sequence number, from the next one of its sender.
    pub seq: i16,
    /// Acknowledgement number, from the next one of its receiver.
    pub ack: i16,
    /// Window field.
    pub window: u16,
    /// Bytes of data.
    pub data: usize,
    /// Urgent pointer, window shift and the last byte of the timestamps.
    pub detail: u8,
}

/// The segments of an input; what is left of it at the end is none.
pub fn all(input: &[u8]) -> impl Iterator<Item = Segment> + use<'_> {
    input.chunks_exact(10).filter_map(|bytes| {
        let &[flags, options, s0, s1, a0, a1, w0, w1, data, detail] = bytes else {
            return None;
        };
        Some(Segment {
            to_server: options & 1 == 0,
            flags,
            options,
            seq: i16::from_be_bytes([s0, s1]),
            ack: i16::from_be_bytes([a0, a1]),
            window: u16::from_be_bytes([w0, w1]),
            data: usize::from(data) * 8,
            detail,
        })
    })
}

impl Segment {
    /// The segment in the format that [`all`] reads.
    pub fn bytes(&self) -> [u8; 10] {
        let ([s0, s1], [a0, a1]) = (self.seq.to_be_bytes(), self.ack.to_be_bytes());
        let [w0, w1] = self.window.to_be_bytes();
        let options = self.options & !1 | u8::from(!self.to_server);
        let data = (self.data / 8).min(255) as u8;
        [
            self.flags,
            options,
            s0,
            s1,
            a0,
            a1,
            w0,
            w1,
            data,
            self.detail,
        ]
    }

    /// Its header with options. `seq` and `ack` are what its own numbers are relative to.
    pub fn header(&self, seq: u32, ack: u32) -> Vec<u8> {
        let mut header = vec![0; 20];
        let seq = seq.wrapping_add_signed(self.seq.into());
        let ack = ack.wrapping_add_signed(self.ack.into());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        header[13] = self.flags;
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
        header[19] = self.detail;
        if self.options & 2 != 0 {
            let [value, echo] = [self.detail, self.detail.wrapping_sub(1)];
            header.extend([8, 10, 0, 0, 0, value, 0, 0, 0, echo]);
        }
        if self.options & 4 != 0 {
            header.extend([3, 3, self.detail]);
        }
        if self.options & 8 != 0 {
            header.extend([34, 2]);
        }
        if self.options & 16 != 0 {
            header.extend([29, 4, 0, 0]);
        }
        header.resize(header.len().next_multiple_of(4), 1);
        header[12] = (header.len() as u8 / 4) << 4;
        header
    }
}
