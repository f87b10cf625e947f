//! What one segment says.

use crate::packet::Packet;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// Largest shift of the window scale option; a larger one counts as this (RFC 7323, 2.3).
pub(super) const MAX_SCALE: u8 = 14;

/// True when `a` is `b` or comes after it.
pub(super) fn not_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

/// True when `a` comes after `b`.
pub(super) fn after(a: u32, b: u32) -> bool {
    !not_before(b, a)
}

/// The later of two numbers.
pub(super) fn later(a: u32, b: u32) -> u32 {
    if not_before(a, b) { a } else { b }
}

/// The header of a segment, without its options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    /// As it stands in the header.
    pub window: u32,
    /// Bytes of data.
    pub data: u32,
    /// After the last byte of data.
    pub end: u32,
    /// The urgent pointer, where the flag is set.
    pub urgent: u16,
}

impl Segment {
    pub(super) fn of(packet: &Packet<'_>) -> Option<Self> {
        let header = packet.tcp()?;
        let (flags, seq) = (packet.tcp_flags()?, packet.tcp_seq()?);
        let data = u32::try_from(packet.payload.len()).ok()?;
        let pointer = *header.get(18..)?.first_chunk::<2>()?;
        Some(Self {
            flags,
            seq,
            ack: packet.tcp_ack()?,
            window: packet.tcp_window()?.into(),
            data,
            end: seq.wrapping_add(data),
            urgent: if flags & URG == 0 {
                0
            } else {
                u16::from_be_bytes(pointer)
            },
        })
    }

    /// All of these flags are set.
    pub(super) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// One of these flags is set.
    pub(super) fn any(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}

/// A timestamp option (RFC 7323, 3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub value: u32,
    pub echo: u32,
}

/// The options that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extras {
    /// Window scale.
    pub scale: Option<u8>,
    pub stamp: Option<Stamp>,
    /// TCP Fast Open (RFC 7413, 4.1.1), or its experimental form.
    pub fast_open: bool,
    /// Authenticated (RFC 2385, RFC 5925), in a way that only the two ends can verify.
    pub signed: bool,
}

impl Extras {
    pub(super) fn of(packet: &Packet<'_>) -> Self {
        let mut extras = Self::default();
        for (kind, value) in packet.tcp_options() {
            match (kind, value) {
                (3, &[shift]) => extras.scale = Some(shift.min(MAX_SCALE)),
                (8, &[v0, v1, v2, v3, e0, e1, e2, e3]) if extras.stamp.is_none() => {
                    extras.stamp = Some(Stamp {
                        value: u32::from_be_bytes([v0, v1, v2, v3]),
                        echo: u32::from_be_bytes([e0, e1, e2, e3]),
                    });
                }
                (19 | 29, _) => extras.signed = true,
                (34, _) | (254, &[0xf9, 0x89, ..]) => extras.fast_open = true,
                _ => {}
            }
        }
        extras
    }
}
