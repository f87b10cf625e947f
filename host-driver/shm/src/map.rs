//! Shared memory, as safe operations. All that is `unsafe` about it is here.
//!
//! The other side may change any byte at any time, so memory is never seen as plain values: it is read and written by atomic operations
//! alone, of one width at each place but for the ends of copies.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file in memory, shared with other processes.
pub(crate) struct Map {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is reached by atomic operations only, from any thread, and is unmapped once nothing refers to the `Map`.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `length` bytes of a file, which has as many.
    pub(crate) fn new(file: &File, length: usize) -> io::Result<Self> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses a place where nothing else is.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                protection,
                flags,
                file.as_fd(),
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, length })
    }

    /// The place of `bytes` bytes at `at`. Out of bounds is an error of this crate, never of the other side, whose numbers do not come here
    /// unchecked.
    fn place(&self, at: usize, bytes: usize) -> *mut u8 {
        let end = at.checked_add(bytes);
        assert!(
            end.is_some_and(|end| end <= self.length),
            "beyond the mapping"
        );
        // SAFETY: `at` is at most `length`, so the place is within the mapping or just past it.
        unsafe { self.start.as_ptr().add(at) }
    }

    /// The word at `at`, a multiple of four.
    pub(crate) fn word(&self, at: usize) -> &AtomicU32 {
        assert_eq!(at % 4, 0, "words are aligned");
        // SAFETY: in bounds, aligned (mappings start at a page), valid for any bits, and alive as long as `self`.
        unsafe { AtomicU32::from_ptr(self.place(at, 4).cast()) }
    }

    fn byte(&self, at: usize) -> &AtomicU8 {
        // SAFETY: as for `word`; bytes have no alignment.
        unsafe { AtomicU8::from_ptr(self.place(at, 1)) }
    }

    /// The aligned 64-bit words from `at`, a multiple of eight.
    fn longs(&self, at: usize, count: usize) -> &[AtomicU64] {
        assert_eq!(at % 8, 0, "long words are aligned");
        let place = self.place(at, count * 8).cast();
        // SAFETY: in bounds, aligned, valid for any bits, alive as long as `self`; atomics may be changed behind a shared reference.
        unsafe { std::slice::from_raw_parts(place, count) }
    }

    /// Copies from `at` into a buffer.
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) {
        let (head, body) = into.split_at_mut(unaligned(at).min(into.len()));
        for (index, byte) in head.iter_mut().enumerate() {
            *byte = self.byte(at + index).load(Ordering::Relaxed);
        }
        let at = at + head.len();
        let (chunks, tail) = body.as_chunks_mut::<8>();
        let whole = chunks.len();
        if whole > 0 {
            for (chunk, long) in chunks.iter_mut().zip(self.longs(at, whole)) {
                *chunk = long.load(Ordering::Relaxed).to_ne_bytes();
            }
        }
        let at = at + whole * 8;
        for (index, byte) in tail.iter_mut().enumerate() {
            *byte = self.byte(at + index).load(Ordering::Relaxed);
        }
    }

    /// Copies a buffer to `at`.
    pub(crate) fn write(&self, at: usize, from: &[u8]) {
        let (head, body) = from.split_at(unaligned(at).min(from.len()));
        for (index, &byte) in head.iter().enumerate() {
            self.byte(at + index).store(byte, Ordering::Relaxed);
        }
        let at = at + head.len();
        let (chunks, tail) = body.as_chunks::<8>();
        if !chunks.is_empty() {
            for (chunk, long) in chunks.iter().zip(self.longs(at, chunks.len())) {
                long.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
            }
        }
        let at = at + chunks.len() * 8;
        for (index, &byte) in tail.iter().enumerate() {
            self.byte(at + index).store(byte, Ordering::Relaxed);
        }
    }
}

/// Bytes up to the next multiple of eight.
fn unaligned(at: usize) -> usize {
    at.wrapping_neg() % 8
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and nothing refers to it any more. There is nothing to be done about an error.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_go_to_any_place_and_touch_nothing_else() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(4096).expect("length");
        let map = Map::new(&file, 4096).expect("map");
        for at in 64..80 {
            for length in 0..40 {
                map.write(0, &[0xEE; 256]);
                let bytes: Vec<u8> = (1..=length).collect();
                map.write(at, &bytes);
                let mut all = [0; 256];
                map.read(0, &mut all);
                let end = at + usize::from(length);
                assert_eq!(all[at..end], bytes, "{length} bytes at {at}");
                assert!(
                    all[..at]
                        .iter()
                        .chain(&all[end..])
                        .all(|&byte| byte == 0xEE)
                );
                let mut back = vec![0; usize::from(length)];
                map.read(at, &mut back);
                assert_eq!(back, bytes);
            }
        }
        map.word(8).store(0x0403_0201, Ordering::Relaxed);
        let mut word = [0; 4];
        map.read(8, &mut word);
        assert_eq!(word, 0x0403_0201u32.to_ne_bytes());
    }

    #[test]
    #[should_panic(expected = "beyond the mapping")]
    fn places_beyond_the_mapping_are_refused() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(4096).expect("length");
        Map::new(&file, 4096).expect("map").write(4090, &[0; 7]);
    }
}
