//! Memory for transfers.

use std::ops::{Deref, DerefMut};

/// Bytes that start at a page. The driver refuses buffers of streaming channels that are not aligned as their engine wants it, which
/// [`Channel::address_alignment`](crate::Channel) says; a page always is.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

/// Bytes of a page, on all machines that the driver is built for, or a part of one.
const PAGE: usize = 4096;

impl Buffer {
    /// So many bytes, all zero.
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length.saturating_add(PAGE)];
        // Where that cannot be told, it is not aligned, and works all the same on most channels.
        let start = Some(bytes.as_ptr().align_offset(PAGE)).filter(|&start| start < PAGE);
        Self {
            start: start.unwrap_or(0),
            bytes,
            length,
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_at_pages() {
        for length in [0, 1, 4095, 4096, 100_000] {
            let mut buffer = Buffer::new(length);
            assert_eq!(buffer.len(), length);
            assert_eq!(buffer.as_ptr().addr() % PAGE, 0);
            buffer.fill(7);
        }
    }
}
