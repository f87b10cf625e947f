//! The classic pcap format (`draft-ietf-opsawg-pcap`).

use weir_engine::packet::LinkType;

use super::source::Source;
use super::{Fault, MAX_RECORD, Order, Record};

const FILE_HEADER: usize = 24;

/// libpcap's largest snap length: a record up to this length is believed whatever the file header says.
const MAX_SNAPLEN: u32 = 262_144;

/// What the magic number tells.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    order: Order,
    /// Nanoseconds in one unit of a record's sub-second field.
    unit: u64,
    /// 16, or 24 in Kuznetzov's format, which adds interface, protocol and packet type.
    record_header: usize,
}

impl Variant {
    /// The variant that a capture's first bytes announce.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        [Order::Big, Order::Little].into_iter().find_map(|order| {
            let (unit, record_header) = match order.u32(head, 0)? {
                0xa1b2_c3d4 => (1000, 16),
                0xa1b2_3c4d => (1, 16),
                0xa1b2_cd34 => (1000, 24),
                _ => return None,
            };
            Some(Self {
                order,
                unit,
                record_header,
            })
        })
    }
}

/// How a record states its two lengths: versions before 2.3 had them the other way round, and 2.3 could have them either way.
#[derive(Clone, Copy)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    SmallerIsCaptured,
}

/// Reader of the records of a classic capture.
pub(super) struct Classic {
    variant: Variant,
    link: LinkType,
    lengths: Lengths,
    limit: u32,
}

impl Classic {
    /// Reads the file header.
    pub(super) fn begin(source: &mut Source, variant: Variant) -> Result<Self, Fault> {
        let header = source.peek(FILE_HEADER);
        let order = variant.order;
        let (Some(major), Some(minor), Some(snaplen), Some(link)) = (
            order.u16(header, 4),
            order.u16(header, 6),
            order.u32(header, 16),
            order.u32(header, 20),
        ) else {
            return Err(Fault::Short {
                what: "the pcap file header",
                expected: FILE_HEADER,
                found: header.len(),
            });
        };
        let lengths = match (major, minor) {
            (2, 4) | (543, 0) => Lengths::CapturedFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, 0..=2) => Lengths::WireFirst,
            _ => {
                return Err(Fault::Version {
                    format: "pcap",
                    major,
                    minor,
                    expected: "2.0 to 2.4",
                });
            }
        };
        source.consume(FILE_HEADER);
        Ok(Self {
            variant,
            // The upper half carries the length of a frame check sequence, not the type.
            link: LinkType((link & 0xffff) as u16),
            lengths,
            limit: snaplen.clamp(MAX_SNAPLEN, MAX_RECORD),
        })
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Option<Record>, Fault> {
        let Variant {
            order,
            unit,
            record_header,
        } = self.variant;
        let header = source.peek(record_header);
        if header.is_empty() {
            return Ok(None);
        }
        let (true, Some(seconds), Some(fraction), Some(first), Some(second)) = (
            header.len() >= record_header,
            order.u32(header, 0),
            order.u32(header, 4),
            order.u32(header, 8),
            order.u32(header, 12),
        ) else {
            return Err(Fault::Short {
                what: "a record header",
                expected: record_header,
                found: header.len(),
            });
        };
        let (captured, wire_len) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::WireFirst => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        if captured > self.limit {
            return Err(Fault::Corrupt(format!(
                "a record of {captured} captured bytes, expected at most {}",
                self.limit
            )));
        }
        let len = captured as usize;
        let total = record_header + len;
        let at_hand = source.peek(total).len();
        if at_hand < total {
            return Err(Fault::Short {
                what: "a record",
                expected: total,
                found: at_hand,
            });
        }
        Ok(Some(Record {
            // Cannot overflow: 2^32 seconds are 4.3e18 ns, and a fraction out of range adds 4.3e12 at most.
            ts_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit,
            link: self.link,
            wire_len,
            skip: record_header,
            len,
            total,
        }))
    }
}
