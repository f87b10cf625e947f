//! Reading numbers and parts off the front of bytes.

/// What is left of some bytes. Reading more than there is gives `None` and takes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next bytes.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next bytes, to be read themselves.
    pub(crate) fn part(&mut self, count: usize) -> Option<Self> {
        self.take(count).map(Self)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Two bytes, big endian.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Three bytes, big endian.
    pub(crate) fn u24(&mut self) -> Option<usize> {
        let bytes = self.take(3)?;
        let digits = bytes.iter().map(|&byte| usize::from(byte));
        Some(digits.fold(0, |number, byte| number << 8 | byte))
    }

    /// Four bytes, big endian.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Two bytes of length, and what they count.
    pub(crate) fn counted16(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let len = ahead.u16()?;
        let bytes = ahead.take(len.into())?;
        *self = ahead;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_taken() {
        let mut bytes = Bytes(&[0, 2, 7, 8, 0, 3, 1]);
        assert_eq!(bytes.counted16(), Some(&[7, 8][..]));
        assert_eq!(bytes.counted16(), None);
        assert_eq!(bytes.u24(), Some(0x301));
        assert_eq!((bytes.len(), bytes.u16(), bytes.u8()), (0, None, None));
    }
}
