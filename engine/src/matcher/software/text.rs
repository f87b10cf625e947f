//! A chunk of a buffer, copied to where windows may reach beyond its ends.

use super::hash::window;

/// Bytes that are filtered before what is left is compared.
pub(super) const CHUNK: usize = 4096;
/// Bytes that a step of the filter looks at.
pub(super) const BLOCK: usize = 64;
/// Bytes of the buffer before the chunk: more than any window, or the search for repeats, reaches back.
const BEFORE: usize = 64;
/// Bytes behind the chunk's last block: as many, of the buffer or zeros.
const BEHIND: usize = 64;

/// A chunk, with what surrounds it. The copy costs little and spares every stage the question where the buffer ends.
#[repr(align(64))]
pub(super) struct Text {
    bytes: [u8; BEFORE + CHUNK + BEHIND],
    /// Blocks of the chunk, the last one perhaps in part.
    blocks: usize,
    /// Where the chunk begins in the buffer.
    start: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            bytes: [0; BEFORE + CHUNK + BEHIND],
            blocks: 0,
            start: 0,
        }
    }
}

impl Text {
    /// Takes the chunk that begins at `start`, a multiple of [`CHUNK`], and returns where the next one does.
    #[inline]
    pub(super) fn fill(&mut self, data: &[u8], start: usize) -> usize {
        let end = data.len().min(start + CHUNK);
        self.start = start;
        self.blocks = (end - start).div_ceil(BLOCK);
        let from = start.saturating_sub(BEFORE);
        let taken = &data[from..data.len().min(end + BEHIND)];
        let at = BEFORE - (start - from);
        self.bytes[at..at + taken.len()].copy_from_slice(taken);
        let used = BEFORE + self.blocks * BLOCK + BEHIND;
        self.bytes[(at + taken.len()).min(used)..used].fill(0);
        end
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Where the chunk begins in the buffer.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// True if a block stands at the very start of the buffer, so that nothing precedes it.
    #[inline(always)]
    pub(super) fn is_first(&self, block: usize) -> bool {
        self.start == 0 && block == 0
    }

    /// The block, with at least 64 bytes before it, which mean nothing if it [is the first](Self::is_first), and 64 behind it.
    #[inline(always)]
    pub(super) fn block(&self, block: usize) -> &[u8; BEFORE + BLOCK + BEHIND] {
        debug_assert!(block < self.blocks);
        // A chunk has no more blocks than there is room for, so this always is one.
        let at = block.min(CHUNK / BLOCK - 1) * BLOCK;
        match self.bytes[at..].first_chunk() {
            Some(bytes) => bytes,
            None => &[0; BEFORE + BLOCK + BEHIND],
        }
    }

    /// The 8 bytes at an offset in the chunk, which may be a little negative (and has then wrapped), little-endian.
    #[inline(always)]
    pub(super) fn window(&self, at: usize) -> u64 {
        window(&self.bytes, at.wrapping_add(BEFORE))
    }
}
