//! HPACK, how HTTP/2 packs headers (RFC 7541).
//!
//! Limits: a table of at most 64 KiB is kept, whatever size the peers agree on; of a larger one the oldest entries are
//! missing.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use super::huffman;
use crate::app::bytes::Bytes;

/// Bytes of a table at most, counted as RFC 7541 does.
pub(super) const MOST_TABLE: usize = 65_536;
/// What an entry counts beside its texts.
const ENTRY: usize = 32;

/// Names and values that everybody knows (appendix A).
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

type Text = Arc<[u8]>;

/// What a block says.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Text,
    pub(super) value: Text,
    pub(super) kind: Kind,
}

/// Whether it is a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    /// The table's size changes.
    Size(u64),
    /// It refers to what is not there.
    Missing,
    /// A number has more than 64 bits.
    Overflow,
}

static EMPTY: LazyLock<Text> = LazyLock::new(|| Arc::from(&b""[..]));

impl Field {
    /// A header.
    pub(super) fn new(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            kind: Kind::Header,
        }
    }

    fn no_header(kind: Kind) -> Self {
        Self {
            name: EMPTY.clone(),
            value: EMPTY.clone(),
            kind,
        }
    }

    fn size(&self) -> usize {
        ENTRY + self.name.len() + self.value.len()
    }

    /// More than this and a table's entry refer to its name: it is a repetition that costs its sender nothing.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.name) > 2
    }
}

/// Why reading stopped.
enum Stop {
    /// It breaks off.
    More,
    Overflow,
}

/// What one side's headers may refer to.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest is the first.
    entries: VecDeque<Field>,
    size: usize,
    limit: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            limit: 4096,
        }
    }
}

impl Table {
    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        self.size + self.entries.len() * size_of::<Field>()
    }

    /// From now on it may have so many bytes.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MOST_TABLE);
    }

    fn shrink(&mut self, limit: usize) {
        while self.size > limit {
            let Some(oldest) = self.entries.pop_back() else {
                break;
            };
            self.size = self.size.saturating_sub(oldest.size());
        }
    }

    fn add(&mut self, field: &Field) {
        self.size += field.size();
        self.entries.push_front(field.clone());
        self.shrink(self.limit);
    }

    fn at(&self, index: u64) -> Field {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(index) = index.checked_sub(1) else {
            return Field::no_header(Kind::Missing);
        };
        if let Some((name, value)) = STATIC.get(index) {
            return Field::new(name.as_bytes(), value.as_bytes());
        }
        match self.entries.get(index - STATIC.len()) {
            Some(field) => field.clone(),
            None => Field::no_header(Kind::Missing),
        }
    }

    /// Reads a block of headers; `None` where it breaks off (what it said up to there is in the table).
    pub(super) fn read(&mut self, block: &[u8]) -> Option<Vec<Field>> {
        let mut rest = Bytes(block);
        let mut fields = Vec::new();
        let mut most = None;
        while !rest.is_empty() {
            match self.field(&mut rest) {
                Ok(field) => {
                    if let Kind::Size(size) = field.kind {
                        most = most.max(Some(size));
                    }
                    fields.push(field);
                }
                Err(Stop::Overflow) => {
                    fields.push(Field::no_header(Kind::Overflow));
                    break;
                }
                Err(Stop::More) => return None,
            }
        }
        if let Some(most) = most {
            self.set_limit(most);
        }
        Some(fields)
    }

    fn field(&mut self, rest: &mut Bytes<'_>) -> Result<Field, Stop> {
        let first = rest.u8().ok_or(Stop::More)?;
        if first & 0x80 != 0 {
            return Ok(self.at(number(first & 0x7f, 0x7f, rest)?));
        }
        if first & 0xe0 == 0x20 {
            let size = number(first & 0x1f, 0x1f, rest)?;
            let limit = usize::try_from(size).unwrap_or(usize::MAX);
            if limit < self.limit {
                self.shrink(limit);
            }
            return Ok(Field::no_header(Kind::Size(size)));
        }
        let keep = first & 0x40 != 0;
        let mask = if keep { 0x3f } else { 0x0f };
        let name = match number(first & mask, mask, rest)? {
            0 => string(rest)?,
            index => self.at(index).name,
        };
        let field = Field {
            name,
            value: string(rest)?,
            kind: Kind::Header,
        };
        if keep {
            self.add(&field);
        }
        Ok(field)
    }
}

/// A number that begins in the last bits of a byte (5.1).
fn number(start: u8, all_ones: u8, rest: &mut Bytes<'_>) -> Result<u64, Stop> {
    let mut number = u64::from(start);
    if start < all_ones {
        return Ok(number);
    }
    let mut shift = 0_u32;
    loop {
        let byte = rest.u8().ok_or(Stop::More)?;
        let part = u64::from(byte & 0x7f);
        let fits = shift < 64 && part << shift >> shift == part;
        let sum = fits.then(|| number.checked_add(part << shift)).flatten();
        number = sum.ok_or(Stop::Overflow)?;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
}

/// A length and a text, perhaps in Huffman's code (5.2).
fn string(rest: &mut Bytes<'_>) -> Result<Text, Stop> {
    let first = rest.u8().ok_or(Stop::More)?;
    let len = number(first & 0x7f, 0x7f, rest)?;
    let len = usize::try_from(len).map_err(|_| Stop::More)?;
    let bytes = rest.take(len).ok_or(Stop::More)?;
    Ok(match first & 0x80 {
        0 => bytes.into(),
        _ => huffman::decode(bytes).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: Option<Vec<Field>>) -> Vec<String> {
        let show = |field: &Field| {
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            format!("{}: {}", text(&field.name), text(&field.value))
        };
        fields.expect("fields").iter().map(show).collect()
    }

    #[test]
    fn requests_of_the_specification_are_read() {
        // RFC 7541, C.4.
        let mut table = Table::default();
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let always = [":method: GET", ":scheme: http"];
        assert_eq!(
            shown(table.read(first)),
            [
                always[0],
                always[1],
                ":path: /",
                ":authority: www.example.com"
            ]
        );
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        assert_eq!(
            shown(table.read(second))[3..],
            [":authority: www.example.com", "cache-control: no-cache"]
        );
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        assert_eq!(shown(table.read(third))[4], "custom-key: custom-value");
        assert_eq!(table.size, 164);
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let mut table = Table::default();
        let kinds = |fields: Option<Vec<Field>>| {
            let fields = fields.expect("fields");
            fields.iter().map(|field| field.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(table.read(b"\x80\xbe")), [Kind::Missing; 2]);
        assert_eq!(kinds(table.read(b"\x3f\xe1\x1f")), [Kind::Size(4096)]);
        let overflow = b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x82";
        assert_eq!(kinds(table.read(overflow)), [Kind::Header, Kind::Overflow]);
        assert!(table.read(b"\x82\x40\x05ab").is_none());
    }

    #[test]
    fn a_table_keeps_to_its_limit() {
        let mut table = Table::default();
        table.set_limit(u64::MAX);
        let mut block = vec![0x40, 1, b'a', 0x7f, 0x81, 0x07];
        block.extend([b'v'; 1024]);
        for _ in 0..1000 {
            assert!(table.read(&block).is_some());
        }
        assert!(table.size <= MOST_TABLE);
        table.read(b"\x20");
        assert_eq!((table.size, table.entries.len()), (0, 0));
    }
}
