//! The pcapng format (`draft-ietf-opsawg-pcapng`).

use weir_engine::packet::LinkType;

use super::source::Source;
use super::{Fault, MAX_RECORD, Order, Record};

/// Block type of a section header; reads the same in both byte orders.
pub(super) const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Most interfaces that a section may describe: each is remembered, and a capture of nothing else must not fill the memory.
const MAX_INTERFACES: usize = 1 << 16;

/// Block type and length in front, length again behind.
const HEAD: usize = 8;
const FRAMING: u32 = 12;

const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// Reader of the blocks of a pcapng capture.
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the last packet that had one: simple packets have none, and time must not jump back to 1970 for them.
    last_ns: u64,
}

struct Interface {
    link: LinkType,
    /// Longest capture; 0 is no limit.
    snaplen: u32,
    clock: Clock,
}

/// How an interface counts time.
#[derive(Clone, Copy)]
struct Clock {
    tick: Tick,
    offset_ns: i128,
}

#[derive(Clone, Copy)]
enum Tick {
    /// Nanoseconds per tick.
    Multiply(u64),
    /// Ticks per nanosecond.
    Divide(u128),
    /// A second has two to the power of this many ticks.
    Binary(u8),
}

impl Default for Ng {
    fn default() -> Self {
        Self {
            order: Order::Little,
            interfaces: Vec::new(),
            last_ns: 0,
        }
    }
}

impl Ng {
    /// The next packet, past everything that is none; `None` at the end.
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Option<Record>, Fault> {
        loop {
            let head = source.peek(HEAD);
            if head.is_empty() {
                return Ok(None);
            }
            let order = self.order;
            let Some(kind) = order.u32(head, 0).filter(|_| head.len() >= HEAD) else {
                return Err(Fault::Short {
                    what: "a block header",
                    expected: HEAD,
                    found: head.len(),
                });
            };
            if kind == SECTION {
                self.begin_section(source)?;
            }
            let order = self.order;
            let total = order.u32(source.peek(HEAD), 4).unwrap_or_default();
            if total < FRAMING || !total.is_multiple_of(4) || total > MAX_RECORD {
                return Err(Fault::Corrupt(format!(
                    "a block of {total} bytes, expected a multiple of 4 from {FRAMING} to {MAX_RECORD}"
                )));
            }
            let size = total as usize;
            let block = source.peek(size);
            let Some(block) = block.get(..size) else {
                return Err(Fault::Short {
                    what: "a block",
                    expected: size,
                    found: block.len(),
                });
            };
            let body = block.get(HEAD..size - 4).unwrap_or_default();
            let trailer = order.u32(block, size - 4);
            if trailer != Some(total) {
                return Err(Fault::Corrupt(format!(
                    "a block that begins with length {total} and ends with length {}, expected the same",
                    trailer.unwrap_or_default()
                )));
            }
            let record = match kind {
                SECTION => {
                    check_section(order, body)?;
                    None
                }
                INTERFACE => {
                    let interface = Interface::read(order, body)?;
                    if self.interfaces.len() >= MAX_INTERFACES {
                        return Err(Fault::Corrupt(format!(
                            "a section with more than {MAX_INTERFACES} interfaces"
                        )));
                    }
                    self.interfaces.push(interface);
                    None
                }
                ENHANCED => Some(self.packet(body, order.u32(body, 0), "an enhanced packet")?),
                PACKET => {
                    let interface = order.u16(body, 0).map(u32::from);
                    Some(self.packet(body, interface, "a packet")?)
                }
                SIMPLE => Some(self.simple(body)?),
                _ => None,
            };
            match record {
                Some(mut record) => {
                    record.skip += HEAD;
                    record.total = size;
                    self.last_ns = record.ts_ns;
                    return Ok(Some(record));
                }
                None => source.consume(size),
            }
        }
    }

    /// Learns a section's byte order, without which not even the length of its header can be read.
    fn begin_section(&mut self, source: &mut Source) -> Result<(), Fault> {
        const NEEDED: usize = HEAD + 4;
        let head = source.peek(NEEDED);
        let Some(magic) = head.get(HEAD..NEEDED) else {
            return Err(Fault::Short {
                what: "a section header",
                expected: NEEDED,
                found: head.len(),
            });
        };
        self.order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(magic, 0) == Some(BYTE_ORDER_MAGIC))
            .ok_or_else(|| {
                Fault::Corrupt(format!(
                    "a section with byte-order magic {}, expected 1a 2b 3c 4d in either order",
                    super::hex(magic)
                ))
            })?;
        self.interfaces.clear();
        Ok(())
    }

    /// An enhanced packet, or an obsolete one, which differs only in how it names its interface.
    fn packet(
        &self,
        body: &[u8],
        interface: Option<u32>,
        what: &'static str,
    ) -> Result<Record, Fault> {
        const FIXED: usize = 20;
        let order = self.order;
        let (Some(interface), Some(high), Some(low), Some(captured), Some(wire_len)) = (
            interface,
            order.u32(body, 4),
            order.u32(body, 8),
            order.u32(body, 12),
            order.u32(body, 16),
        ) else {
            return Err(too_short(what, body, FIXED));
        };
        let interface = self.interface(interface)?;
        let len = captured as usize;
        if body.len().saturating_sub(FIXED) < len {
            return Err(Fault::Corrupt(format!(
                "{what} of {captured} captured bytes in a block that has room for {}",
                body.len().saturating_sub(FIXED)
            )));
        }
        let ticks = u64::from(high) << 32 | u64::from(low);
        Ok(Record {
            ts_ns: interface.clock.nanoseconds(ticks),
            link: interface.link,
            wire_len,
            skip: FIXED,
            len,
            total: 0,
        })
    }

    fn simple(&self, body: &[u8]) -> Result<Record, Fault> {
        const FIXED: usize = 4;
        let Some(wire_len) = self.order.u32(body, 0) else {
            return Err(too_short("a simple packet", body, FIXED));
        };
        let interface = self.interface(0)?;
        let snap = match interface.snaplen {
            0 => u32::MAX,
            snaplen => snaplen,
        };
        // A simple packet does not say how much was captured: what the wire had, up to the snap length; and padding fills the block.
        let len = wire_len.min(snap) as usize;
        if body.len() - FIXED < len {
            return Err(Fault::Corrupt(format!(
                "a simple packet of {len} captured bytes in a block that has room for {}",
                body.len() - FIXED
            )));
        }
        Ok(Record {
            ts_ns: self.last_ns,
            link: interface.link,
            wire_len,
            skip: FIXED,
            len,
            total: 0,
        })
    }

    fn interface(&self, id: u32) -> Result<&Interface, Fault> {
        self.interfaces.get(id as usize).ok_or_else(|| {
            Fault::Corrupt(format!(
                "a packet of interface {id}, in a section that has described {}",
                self.interfaces.len()
            ))
        })
    }
}

fn too_short(what: &str, body: &[u8], needed: usize) -> Fault {
    Fault::Corrupt(format!(
        "{what} block with a body of {} bytes, expected at least {needed}",
        body.len()
    ))
}

fn check_section(order: Order, body: &[u8]) -> Result<(), Fault> {
    const FIXED: usize = 16;
    let (Some(major), Some(minor), true) =
        (order.u16(body, 4), order.u16(body, 6), body.len() >= FIXED)
    else {
        return Err(too_short("a section header", body, FIXED));
    };
    // Minor 2 was written for a while and reads like 0.
    match (major, minor) {
        (1, 0 | 2) => Ok(()),
        _ => Err(Fault::Version {
            format: "pcapng",
            major,
            minor,
            expected: "1.0",
        }),
    }
}

impl Interface {
    fn read(order: Order, body: &[u8]) -> Result<Self, Fault> {
        const FIXED: usize = 8;
        let (Some(link), Some(snaplen), Some(options)) =
            (order.u16(body, 0), order.u32(body, 4), body.get(FIXED..))
        else {
            return Err(too_short("an interface", body, FIXED));
        };
        Ok(Self {
            link: LinkType(link),
            snaplen,
            clock: Clock::read(order, options)?,
        })
    }
}

impl Clock {
    fn read(order: Order, mut options: &[u8]) -> Result<Self, Fault> {
        let mut clock = Self {
            tick: Tick::Multiply(1000),
            offset_ns: 0,
        };
        while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
            if code == 0 {
                break;
            }
            let length = usize::from(length);
            let Some(value) = options.get(4..).and_then(|rest| rest.get(..length)) else {
                return Err(Fault::Corrupt(format!(
                    "interface option {code} of {length} bytes, where {} are left",
                    options.len().saturating_sub(4)
                )));
            };
            match (code, value) {
                (OPTION_TSRESOL, &[resolution]) => clock.tick = Tick::of(resolution),
                (OPTION_TSOFFSET, &[_, _, _, _, _, _, _, _]) => {
                    let seconds = order.u64(value, 0).unwrap_or_default().cast_signed();
                    clock.offset_ns = i128::from(seconds) * 1_000_000_000;
                }
                (OPTION_TSRESOL | OPTION_TSOFFSET, _) => {
                    return Err(Fault::Corrupt(format!(
                        "interface option {code} of {length} bytes, expected {}",
                        if code == OPTION_TSRESOL { 1 } else { 8 }
                    )));
                }
                _ => {}
            }
            options = options
                .get(4 + length.next_multiple_of(4)..)
                .unwrap_or_default();
        }
        Ok(clock)
    }

    /// Nanoseconds since the Unix epoch; what lies outside 1970 to 2554 is moved to the nearer end.
    fn nanoseconds(self, ticks: u64) -> u64 {
        let ticks = u128::from(ticks);
        let ns = match self.tick {
            Tick::Multiply(factor) => ticks * u128::from(factor),
            Tick::Divide(divisor) => ticks / divisor,
            // 64 bits by 30 bits fit; a shift that leaves nothing is a clock too fine to count to one.
            Tick::Binary(bits) => (ticks * 1_000_000_000)
                .checked_shr(u32::from(bits))
                .unwrap_or(0),
        };
        let ns = i128::try_from(ns)
            .unwrap_or(i128::MAX)
            .saturating_add(self.offset_ns);
        u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
    }
}

impl Tick {
    /// Of an `if_tsresol` byte: a negative power of ten, or of two with the top bit set.
    fn of(resolution: u8) -> Self {
        let power = resolution & 0x7f;
        if resolution & 0x80 != 0 {
            Self::Binary(power)
        } else if power <= 9 {
            Self::Multiply(10_u64.pow(9 - u32::from(power)))
        } else {
            Self::Divide(
                10_u128
                    .checked_pow(u32::from(power) - 9)
                    .unwrap_or(u128::MAX),
            )
        }
    }
}
