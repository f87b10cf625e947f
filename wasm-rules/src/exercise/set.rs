//! Sets of byte values: what may stand at a place.

/// A set of byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// One byte.
    pub fn of(byte: u8) -> Self {
        let mut set = Self::NONE;
        set.add(byte);
        set
    }

    /// One byte, and the other case of a letter when `folded`.
    pub fn cased(byte: u8, folded: bool) -> Self {
        let mut set = Self::of(byte);
        if folded {
            set.add(byte.to_ascii_lowercase());
            set.add(byte.to_ascii_uppercase());
        }
        set
    }

    /// All of these.
    pub fn these(bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        for &byte in bytes {
            set.add(byte);
        }
        set
    }

    /// From one byte to another, both included.
    pub fn range(first: u8, last: u8) -> Self {
        let mut set = Self::NONE;
        for byte in first..=last {
            set.add(byte);
        }
        set
    }

    /// Adds a byte.
    pub fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// True when the byte is in it.
    pub fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// What is in both.
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    /// What is in one of them.
    pub fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// What is not in it.
    pub fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// With both cases of its letters.
    pub fn folded(self) -> Self {
        let mut set = self;
        for byte in self.bytes().filter(u8::is_ascii_alphabetic) {
            set.add(byte ^ 0x20);
        }
        set
    }

    /// True when nothing is in it.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// True when all of it is in `other`.
    pub fn within(self, other: Self) -> bool {
        self.and(other) == self
    }

    /// Its bytes, in order.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |&byte| self.has(byte))
    }

    /// One of its bytes: the first of `wanted` that is in it, else a letter, a digit, a sign, anything.
    pub fn pick(self, wanted: &[u8]) -> Option<u8> {
        let first = |set: Self| self.and(set).bytes().next();
        wanted
            .iter()
            .copied()
            .find(|&byte| self.has(byte))
            .or_else(|| first(Self::range(b'a', b'z')))
            .or_else(|| first(Self::range(b'A', b'Z')))
            .or_else(|| first(Self::range(b'0', b'9')))
            .or_else(|| first(Self::range(b'!', b'~')))
            .or_else(|| self.bytes().next())
    }
}

/// `\d` and its like.
pub(super) fn shorthand(byte: u8) -> Option<ByteSet> {
    let digits = ByteSet::range(b'0', b'9');
    let word = ByteSet::range(b'a', b'z')
        .or(ByteSet::range(b'A', b'Z'))
        .or(digits)
        .or(ByteSet::of(b'_'));
    let space = ByteSet::these(b" \t\n\x0b\x0c\r");
    let blank = ByteSet::these(b" \t\xa0");
    let lines = ByteSet::these(b"\n\x0b\x0c\r\x85");
    Some(match byte {
        b'd' => digits,
        b'D' => digits.complement(),
        b'w' => word,
        b'W' => word.complement(),
        b's' => space,
        b'S' => space.complement(),
        b'h' => blank,
        b'H' => blank.complement(),
        b'v' => lines,
        b'V' => lines.complement(),
        b'N' => ByteSet::of(b'\n').complement(),
        _ => return None,
    })
}

/// `[:alpha:]` and its like.
pub(super) fn posix(name: &[u8]) -> Option<ByteSet> {
    let (negated, name) = match name.split_first() {
        Some((b'^', name)) => (true, name),
        _ => (false, name),
    };
    let test: fn(&u8) -> bool = match name {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"upper" => u8::is_ascii_uppercase,
        b"lower" => u8::is_ascii_lowercase,
        b"space" => u8::is_ascii_whitespace,
        b"punct" => u8::is_ascii_punctuation,
        b"xdigit" => u8::is_ascii_hexdigit,
        b"print" => |byte| (b' '..=b'~').contains(byte),
        b"graph" => u8::is_ascii_graphic,
        b"cntrl" => u8::is_ascii_control,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"word" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        _ => return None,
    };
    let all: Vec<u8> = (0..=u8::MAX).filter(test).collect();
    let set = ByteSet::these(&all);
    Some(if negated { set.complement() } else { set })
}
