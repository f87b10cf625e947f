//! PDUs of DCE/RPC over connections (C706 chapter 12, MS-RPCE 2.2.2).

/// Bytes of the common header.
pub(crate) const HEADER: usize = 16;

/// Types of PDUs.
pub(crate) mod kind {
    pub const REQUEST: u8 = 0;
    pub const RESPONSE: u8 = 2;
    pub const FAULT: u8 = 3;
    pub const BIND: u8 = 11;
    pub const BIND_ACK: u8 = 12;
    pub const BIND_NAK: u8 = 13;
    pub const ALTER_CONTEXT: u8 = 14;
    pub const ALTER_CONTEXT_RESP: u8 = 15;
    /// Types from here on do not exist.
    pub const END: u8 = 21;
}

/// Suricata's name of a type.
pub(crate) fn kind_name(kind: u8) -> String {
    const NAMES: [&str; kind::END as usize] = [
        "REQUEST",
        "PING",
        "RESPONSE",
        "FAULT",
        "WORKING",
        "NOCALL",
        "REJECT",
        "ACK",
        "CL_CANCEL",
        "FACK",
        "CANCEL_ACK",
        "BIND",
        "BINDACK",
        "BINDNAK",
        "ALTER_CONTEXT",
        "ALTER_CONTEXT_RESP",
        "AUTH3",
        "SHUTDOWN",
        "CO_CANCEL",
        "ORPHANED",
        "RTS",
    ];
    let name = NAMES.get(usize::from(kind));
    name.map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}

/// Numbers of either byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// Little endian.
    pub little: bool,
}

impl Numbers {
    /// A 16-bit number.
    pub fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    /// A 32-bit number.
    pub fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    /// A UUID, in the order in which it is written.
    pub fn uuid(self, bytes: &[u8], at: usize) -> Option<[u8; 16]> {
        let mut uuid: [u8; 16] = *bytes.get(at..)?.first_chunk()?;
        if self.little {
            uuid[..4].reverse();
            uuid[4..6].reverse();
            uuid[6..8].reverse();
        }
        Some(uuid)
    }
}

/// The common header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub minor: u8,
    pub kind: u8,
    pub first: bool,
    pub last: bool,
    pub numbers: Numbers,
    /// Bytes of the PDU, with the header.
    pub length: usize,
    pub call: u32,
}

/// Reads the common header; `None` where there is none (yet).
pub(crate) fn header(bytes: &[u8]) -> Option<Header> {
    let [5, minor @ 0..=1, kind, flags, order, ..] = *bytes else {
        return None;
    };
    let numbers = Numbers {
        little: order & 0x10 != 0,
    };
    let length = usize::from(numbers.u16(bytes, 8)?);
    Some(Header {
        minor,
        kind,
        first: flags & 1 != 0,
        last: flags & 2 != 0,
        numbers,
        length,
        call: numbers.u32(bytes, 12)?,
    })
    .filter(|header| header.length >= HEADER)
}

/// Context and operation of a request, and its data; `body` is what follows the common header.
pub(crate) fn request(body: &[u8], numbers: Numbers) -> Option<(u16, u16, &[u8])> {
    Some((numbers.u16(body, 4)?, numbers.u16(body, 6)?, body.get(8..)?))
}

/// An interface that a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub uuid: [u8; 16],
    pub version: u16,
    pub minor: u16,
    pub context: u16,
    /// The call that asked for it, and which of that call's it is.
    pub call: u32,
    pub index: usize,
    /// It was asked for in the first fragment.
    pub first: bool,
    /// What the server said: 0 is yes.
    pub result: Option<u16>,
}

impl Interface {
    /// The UUID as text.
    pub fn text(&self) -> String {
        uuid_text(&self.uuid)
    }
}

/// A UUID as text.
pub(crate) fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in uuid.iter().enumerate() {
        if let 4 | 6 | 8 | 10 = at {
            text.push('-');
        }
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(half), 16));
        }
    }
    text
}

/// The interfaces of a bind or an alter context; `None` where it is cut.
pub(crate) fn bind(body: &[u8], header: &Header) -> Option<Vec<Interface>> {
    let numbers = header.numbers;
    let count = usize::from(*body.get(8)?);
    let mut at = 12;
    let mut interfaces = Vec::new();
    for index in 0..count {
        let transfers = usize::from(*body.get(at + 2)?);
        interfaces.push(Interface {
            context: numbers.u16(body, at)?,
            uuid: numbers.uuid(body, at + 4)?,
            version: numbers.u16(body, at + 20)?,
            minor: numbers.u16(body, at + 22)?,
            call: header.call,
            index,
            first: header.first,
            result: None,
        });
        at += 24 + 20 * transfers;
    }
    Some(interfaces)
}

/// The results of a bind acknowledgement, one for each interface.
pub(crate) fn bind_ack(body: &[u8], numbers: Numbers) -> Option<Vec<u16>> {
    let address = usize::from(numbers.u16(body, 8)?);
    // The results begin at a multiple of four, counted from the start of the PDU.
    let at = (10 + address).next_multiple_of(4);
    let count = usize::from(*body.get(at)?);
    (0..count)
        .map(|index| numbers.u16(body, at + 4 + 24 * index))
        .collect()
}

/// Most interfaces of a connection; the oldest give way.
const MOST_INTERFACES: usize = 512;

/// Most interfaces that rules see of a call; the latest count.
const MOST_ACCEPTED: usize = 64;

/// All interfaces of a connection.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    all: std::collections::VecDeque<Interface>,
}

impl Interfaces {
    /// A client asks for more.
    pub fn asked(&mut self, more: Vec<Interface>) {
        self.all.extend(more);
        let over = self.all.len().saturating_sub(MOST_INTERFACES);
        self.all.drain(..over);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// The server answers what a call asked for.
    pub fn answered(&mut self, call: u32, results: &[u16]) {
        for interface in &mut self.all {
            if interface.call == call && interface.result.is_none() {
                interface.result = results.get(interface.index).copied();
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.all.iter()
    }

    /// As rules look at them: those that were accepted, for one context or for any.
    pub fn accepted(&self, context: Option<u16>) -> Vec<[u8; 19]> {
        let fits = |of: &&Interface| {
            of.result == Some(0) && context.is_none_or(|context| context == of.context)
        };
        let mut found: Vec<[u8; 19]> = Vec::new();
        for interface in self.all.iter().rev().filter(fits) {
            if found.len() >= MOST_ACCEPTED {
                break;
            }
            let mut bytes = [0; 19];
            bytes[..16].copy_from_slice(&interface.uuid);
            bytes[16..18].copy_from_slice(&interface.version.to_be_bytes());
            bytes[18] = u8::from(interface.first);
            if !found.contains(&bytes) {
                found.push(bytes);
            }
        }
        found.reverse();
        found
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.all.capacity() * size_of::<Interface>()
    }
}
