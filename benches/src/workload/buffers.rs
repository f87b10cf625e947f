//! Buffers, end to end in one piece of memory, as they would stand in a ring.

/// Buffers in the order in which they are looked through.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Buffers {
    /// No buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, buffer: &[u8]) {
        self.bytes.extend_from_slice(buffer);
        self.ends.push(self.bytes.len());
    }

    /// `bytes` cut into buffers of `size`, without the rest; `size` is not 0.
    pub fn cut(bytes: &[u8], size: usize) -> Self {
        let mut buffers = Self::new();
        for buffer in bytes.chunks_exact(size) {
            buffers.push(buffer);
        }
        buffers
    }

    /// Some of them from all over, in their order, so many that they have about `bytes` bytes together, but at least one if
    /// there is one.
    pub fn spread(&self, bytes: usize) -> Self {
        let total = self.bytes.len();
        if total <= bytes {
            return self.clone();
        }
        let mut kept = Self::new();
        for (buffer, &end) in self.iter().zip(&self.ends) {
            // What has been passed times the part that is wanted; a product of two sizes fits in 128 bits.
            let due = end as u128 * bytes as u128 / total as u128;
            if kept.is_empty() || kept.bytes.len() as u128 + buffer.len() as u128 <= due {
                kept.push(buffer);
            }
        }
        kept
    }

    /// Those before the one with this number, and the others.
    pub fn split(mut self, number: usize) -> (Self, Self) {
        let late = self.ends.split_off(number.min(self.ends.len()));
        let at = self.ends.last().copied().unwrap_or(0);
        let bytes = self.bytes.split_off(at);
        let ends = late.into_iter().map(|end| end - at).collect();
        (self, Self { bytes, ends })
    }

    /// Adds all of `others`.
    pub fn append(&mut self, others: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.ends.extend(others.ends.iter().map(|end| start + end));
    }

    /// One after another.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let buffer = &self.bytes[start..end];
            start = end;
            buffer
        })
    }

    /// All bytes, end to end.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_out_as_they_went_in() {
        let mut buffers = Buffers::new();
        for buffer in [&b"one"[..], b"", b"three"] {
            buffers.push(buffer);
        }
        let all =
            |buffers: &Buffers| -> Vec<Vec<u8>> { buffers.iter().map(<[u8]>::to_vec).collect() };
        assert_eq!(all(&buffers), [&b"one"[..], b"", b"three"]);
        let (mut early, late) = buffers.split(1);
        assert_eq!(all(&early), [&b"one"[..]]);
        assert_eq!(all(&late), [&b""[..], b"three"]);
        early.append(&late);
        assert_eq!(early.bytes(), b"onethree");
        assert_eq!(all(&Buffers::cut(b"abcdefgh", 3)), [&b"abc"[..], b"def"]);
        assert!(Buffers::new().spread(10).is_empty());
    }

    #[test]
    fn a_part_is_from_all_over() {
        let text: Vec<u8> = (0..200).collect();
        let buffers = Buffers::cut(&text, 2);
        let part = buffers.spread(50);
        assert!((46..=50).contains(&part.bytes().len()), "{part:?}");
        let late = part.bytes().iter().filter(|&&byte| byte >= 100).count();
        assert!((22..=28).contains(&late), "{part:?}");
        assert_eq!(buffers.spread(1000).bytes(), text);
        assert_eq!(buffers.spread(0).len(), 1);
    }
}
