//! Memory maps: the one place where memory is asked for and given back.

use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// A mapping that is the process's until it is dropped.
///
/// It hands out places, not references: who uses one says why nothing else does.
pub(crate) struct Map {
    start: NonNull<u8>,
    length: usize,
    /// What is to be unmapped: huge pages are mapped, and unmapped, as wholes.
    mapped: usize,
}

/// Bytes of a huge page, which is asked for by its size: the system's default may be another.
const HUGE: usize = 2 << 20;

// SAFETY: a mapping belongs to the process, not to a thread; what lies in it is reached through the types built on this one.
unsafe impl Send for Map {}
// SAFETY: as above; a `Map` itself never changes.
unsafe impl Sync for Map {}

impl Map {
    /// Zeroed memory, present from the start: a page that came with the first packet would be late. Of huge pages where `huge`
    /// and the system has some reserved; else of what there is, with the wish for huge ones.
    pub(crate) fn anonymous(length: usize, huge: bool) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE;
        // SAFETY: the kernel chooses a place where nothing else is.
        let reserve = |length, flags| unsafe {
            mmap_anonymous(std::ptr::null_mut(), length, protection, flags)
        };
        let whole = length.checked_next_multiple_of(HUGE);
        let pages = MapFlags::HUGETLB | MapFlags::HUGE_2MB;
        if huge
            && let Some(whole) = whole
            && let Ok(start) = reserve(whole, flags | pages)
        {
            return Self::at(start, length, whole);
        }
        let map = Self::at(reserve(length, flags)?, length, length)?;
        if huge {
            // SAFETY: the whole mapping, and nothing but it; the advice changes no contents. It is a wish: without it all works.
            let _ = unsafe { madvise(map.start.as_ptr().cast(), length, Advice::LinuxHugepage) };
        }
        Ok(map)
    }

    /// `length` bytes of what a descriptor shares, from `offset` on.
    pub(crate) fn shared(fd: impl AsFd, offset: u64, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: the kernel chooses a place where nothing else is.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                protection,
                flags,
                fd.as_fd(),
                offset,
            )
        }?;
        Self::at(start, length, length)
    }

    fn at(start: *mut std::ffi::c_void, length: usize, mapped: usize) -> io::Result<Self> {
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self {
            start,
            length,
            mapped,
        })
    }

    /// Bytes mapped.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The place of `count` values of `T` at `at` bytes, within the mapping and aligned; `None` where it is not.
    pub(crate) fn place<T>(&self, at: usize, count: usize) -> Option<NonNull<T>> {
        let end = count.checked_mul(size_of::<T>())?.checked_add(at)?;
        if end > self.length {
            return None;
        }
        // SAFETY: `at` is at most `length`, so the place is within the mapping or just past it.
        let place = unsafe { self.start.add(at) }.cast::<T>();
        place.is_aligned().then_some(place)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is what was mapped, and nothing refers to it any more. There is nothing to be done about an error.
        let done = unsafe { munmap(self.start.as_ptr().cast(), self.mapped) };
        debug_assert!(done.is_ok(), "{} bytes stay mapped", self.mapped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_within_and_aligned() {
        for huge in [false, true] {
            let map = Map::anonymous(4096, huge).expect("memory");
            assert_eq!(map.length(), 4096);
            assert!(map.place::<u64>(0, 512).is_some());
            assert!(map.place::<u64>(0, 513).is_none());
            assert!(map.place::<u64>(4088, 1).is_some());
            assert!(map.place::<u64>(4089, 1).is_none());
            assert!(map.place::<u64>(4, 1).is_none());
            assert!(map.place::<u8>(4096, 0).is_some());
            assert!(map.place::<u8>(4097, 0).is_none());
            assert!(map.place::<u64>(0, usize::MAX / 4).is_none());
        }
    }
}
