//! The stream: records in, report units out.

use card_protocol::crc32;
use card_protocol::record::{HEADER, Header, HeaderError, size};
use card_protocol::register::{self, GENERATION_LIVE};
use card_protocol::report::{
    FLAG_DAMAGED, FLAG_MALFORMED, FLAG_OVERFLOW, FLAG_STALE, ITEMS, Item, Unit,
};

use super::{EntryHit, Golden};

/// Where the stream stands.
pub(super) struct Stream {
    /// Bytes that are no whole record yet.
    pending: Vec<u8>,
    hunting: bool,
    /// Items that are in no unit yet.
    items: Vec<u64>,
    /// Number of the next unit.
    unit: u32,
    hits: Vec<EntryHit>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            hunting: true,
            items: Vec::new(),
            unit: 0,
            hits: Vec::new(),
        }
    }
}

impl Stream {
    pub(super) fn idle(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn hunting(&self) -> bool {
        self.hunting
    }
}

/// What stands at the beginning of the pending bytes.
enum Next {
    /// Too little to say.
    More,
    /// No header, or one of a record without payload: so many bytes go.
    Gone(usize),
    /// A record of so many bytes.
    Record(Header, usize),
}

impl Golden {
    /// Takes bytes of the stream of records, in pieces of any size, and adds the report units that the core answers to
    /// `units`. Returns how many bytes were taken: all, or none while the core is not enabled.
    pub fn feed(&mut self, bytes: &[u8], units: &mut Vec<u8>) -> usize {
        if !self.enabled {
            return 0;
        }
        self.take(bytes);
        let items = std::mem::take(&mut self.stream.items);
        for items in items.chunks(ITEMS) {
            let mut unit = Unit {
                nonce: self.nonce,
                number: self.stream.unit,
                items: [0; ITEMS],
            };
            for (to, &item) in unit.items.iter_mut().zip(items) {
                *to = item;
            }
            units.extend_from_slice(&unit.encode());
            self.stream.unit = self.stream.unit.wrapping_add(1);
            self.count(register::COUNT_UNITS, 1);
        }
        bytes.len()
    }

    /// The items that the core answers to these bytes of the stream, in no units.
    pub fn process(&mut self, bytes: &[u8]) -> Vec<Item> {
        if !self.enabled {
            return Vec::new();
        }
        self.take(bytes);
        let items = std::mem::take(&mut self.stream.items);
        items
            .into_iter()
            .filter_map(|word| Item::parse(word).ok().flatten())
            .collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        let lanes = self.geometry.lanes;
        let mut pending = std::mem::take(&mut self.stream.pending);
        let beats = (pending.len() % lanes + bytes.len()) / lanes;
        self.count(register::COUNT_BEATS, beats as u32);
        pending.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(rest) = pending.get(at..) {
            match self.next(rest) {
                Next::More => break,
                Next::Gone(bytes) => at += bytes,
                Next::Record(header, bytes) => {
                    let Some(record) = rest.get(..bytes) else {
                        break;
                    };
                    self.record(&header, record.get(HEADER..).unwrap_or_default());
                    at += bytes;
                }
            }
        }
        pending.drain(..at.min(pending.len()));
        self.stream.pending = pending;
    }

    fn next(&mut self, rest: &[u8]) -> Next {
        let lanes = self.geometry.lanes;
        // What is looked at first, and goes if it is no header.
        if rest.len() < lanes {
            return Next::More;
        }
        let whole = lanes.max(HEADER);
        let header = match rest.first_chunk::<HEADER>() {
            Some(bytes) => Header::parse(bytes, self.nonce),
            // Magic and nonce are in the first beat, whatever follows.
            None => {
                let mut bytes = [0; HEADER];
                for (to, &from) in bytes.iter_mut().zip(rest) {
                    *to = from;
                }
                Header::parse(&bytes, self.nonce)
            }
        };
        let header = match header {
            Err(HeaderError::Magic { .. } | HeaderError::Nonce { .. }) => return self.lost(lanes),
            _ if rest.len() < whole => return Next::More,
            Err(_) => return self.lost(whole),
            Ok(header) => header,
        };
        self.stream.hunting = false;
        if header.check().is_err() {
            self.count(register::COUNT_RECORDS, 1);
            self.count(register::COUNT_MALFORMED, 1);
            self.end(&header, FLAG_MALFORMED, 0);
            return Next::Gone(whole);
        }
        let size = size(header.length.into(), lanes);
        if rest.len() < size {
            return Next::More;
        }
        Next::Record(header, size)
    }

    fn lost(&mut self, bytes: usize) -> Next {
        if !std::mem::replace(&mut self.stream.hunting, true) {
            self.count(register::COUNT_LOST, 1);
        }
        Next::Gone(bytes)
    }

    /// A whole record; `body` is what follows the header.
    fn record(&mut self, header: &Header, body: &[u8]) {
        self.count(register::COUNT_RECORDS, 1);
        let parity = (header.generation & 1) as u8;
        let live = self.generations[usize::from(parity)];
        let mut flags = 0;
        let mut hits = std::mem::take(&mut self.stream.hits);
        hits.clear();
        if live == GENERATION_LIVE | u32::from(header.generation) {
            let payload = body.get(..header.length.into()).unwrap_or_default();
            let look = self.look(payload, header.group, parity, header.carry, &mut hits);
            self.count(register::COUNT_BYTES, payload.len() as u32);
            self.count(register::COUNT_CANDIDATES, look.candidates);
            self.count(register::COUNT_LOOKUPS, look.candidates);
            self.count(register::COUNT_HITS, hits.len() as u32);
            if look.overflow {
                flags |= FLAG_OVERFLOW;
                self.count(register::COUNT_OVERFLOWS, 1);
            }
        } else {
            flags |= FLAG_STALE;
            self.count(register::COUNT_STALE, 1);
        }
        if crc32(body) != header.payload_crc {
            flags |= FLAG_DAMAGED;
            self.count(register::COUNT_DAMAGED, 1);
        }
        let items = hits
            .iter()
            .map(|&EntryHit { entry, end }| Item::Hit { entry, end }.encode());
        self.stream.items.extend(items);
        self.end(header, flags, hits.len() as u8);
        self.stream.hits = hits;
    }

    fn end(&mut self, header: &Header, flags: u8, hits: u8) {
        let end = Item::End {
            flags,
            hits,
            generation: header.generation,
            sequence: header.sequence,
        };
        self.stream.items.push(end.encode());
    }
}
