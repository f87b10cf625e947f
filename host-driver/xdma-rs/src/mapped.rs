//! Registers in memory. All that is `unsafe` is here.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A BAR in memory.
pub(crate) struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the device; it is reached by single volatile accesses, which any thread may make, and only as long as the
// value exists.
unsafe impl Send for Mapped {}

impl Mapped {
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

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    fn place(&self, address: u32) -> Option<NonNull<u32>> {
        let address = usize::try_from(address).ok()?;
        let inside = address.is_multiple_of(4) && address.checked_add(4)? <= self.length;
        // SAFETY: four bytes from there are within the mapping.
        inside.then(|| unsafe { self.start.add(address) }.cast())
    }

    /// Reads a register; `None` beyond the end or between registers.
    pub(crate) fn read(&self, address: u32) -> Option<u32> {
        // SAFETY: in bounds, and aligned, as the mapping starts at a page.
        self.place(address)
            .map(|place| u32::from_le(unsafe { place.read_volatile() }))
    }

    /// Writes a register; `None` beyond the end or between registers.
    pub(crate) fn write(&self, address: u32, value: u32) -> Option<()> {
        // SAFETY: as for reads.
        self.place(address)
            .map(|place| unsafe { place.write_volatile(value.to_le()) })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and nothing refers to it any more. There is nothing to be done about an error.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
