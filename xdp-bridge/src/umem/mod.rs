//! The frames' memory (UMEM), which the kernel and all workers of a bridge share, and who has which frame.
//!
//! A [`Frame`] is the right to use one frame's bytes. There is one for each frame and no way to copy it, so what has it has the
//! frame alone. Giving a frame away ([`Umem::give`]) turns it into a number and notes the [`Place`] it went to; a number that
//! comes back ([`Umem::take`]) becomes a frame again only if it had gone to the very place that it comes from. So no mistake of
//! ours gives one frame to two, and no number that a driver makes up or repeats; such a one is refused and counted. (A driver
//! that repeats a number after the frame was given to it again cannot be told from one that is right.)

mod map;

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

pub(crate) use map::Map;

/// The right to read and write one frame of a UMEM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame(u32);

impl Frame {
    /// Its number, from 0.
    pub(crate) fn number(&self) -> u32 {
        self.0
    }
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place(u16);

impl Place {
    /// With a worker, as a [`Frame`].
    pub(crate) const HELD: Self = Self(0);
    /// In a ring between two workers.
    pub(crate) const CROSSING: Self = Self(1);
    /// On its way back to the worker that it belongs to.
    pub(crate) const HOMEWARD: Self = Self(2);

    /// With the kernel, to receive on a socket of the bridge.
    pub(crate) fn receiving(socket: u8) -> Self {
        Self(0x100 | u16::from(socket))
    }

    /// With the kernel, to be sent by a socket of the bridge.
    pub(crate) fn sending(socket: u8) -> Self {
        Self(0x200 | u16::from(socket))
    }
}

/// The memory of all frames of a bridge.
pub(crate) struct Umem {
    map: Map,
    frame_size: u32,
    places: Box<[AtomicU16]>,
}

impl Umem {
    /// Memory for `frames` frames of `frame_size` bytes, a power of two, and the right to each.
    pub(crate) fn new(frames: u32, frame_size: u32, huge: bool) -> io::Result<(Self, Vec<Frame>)> {
        let length = u64::from(frames) * u64::from(frame_size);
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if !frame_size.is_power_of_two() || frames == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let umem = Self {
            map: Map::anonymous(length, huge)?,
            frame_size,
            places: (0..frames).map(|_| AtomicU16::new(0)).collect(),
        };
        Ok((umem, (0..frames).map(Frame).collect()))
    }

    /// Where it lies and how long it is, for the kernel.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let start = self.map.place::<u8>(0, 0).map_or(0, |at| at.addr().get());
        (start as u64, self.map.length() as u64)
    }

    /// Bytes of a frame.
    pub(crate) fn frame_size(&self) -> u32 {
        self.frame_size
    }

    /// `length` bytes of a frame; `None` when it has not as many.
    pub(crate) fn bytes<'a>(&'a self, frame: &'a Frame, at: u32, length: u32) -> Option<&'a [u8]> {
        let start = self.offset(frame, at, length)?;
        let place = self.map.place::<u8>(start, length as usize)?;
        // SAFETY: within the mapping, which lives as long as `self`; any bytes are valid. Who has the `Frame` has its bytes alone:
        // the kernel was not given them, or gave them back, and they change through `bytes_mut` only, which borrows it mutably.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), length as usize) })
    }

    /// All bytes of a frame, to write.
    pub(crate) fn bytes_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let length = self.frame_size as usize;
        let place = self.offset(frame, 0, self.frame_size);
        let Some(place) = place.and_then(|at| self.map.place::<u8>(at, length)) else {
            return &mut [];
        };
        // SAFETY: as in `bytes`; the frame is borrowed mutably for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(place.as_ptr(), length) }
    }

    fn offset(&self, frame: &Frame, at: u32, length: u32) -> Option<usize> {
        (at.checked_add(length)? <= self.frame_size)
            .then_some(frame.0 as usize * self.frame_size as usize + at as usize)
    }

    /// Gives a frame away; returns its address, which is the offset of its first byte.
    pub(crate) fn give(&self, frame: Frame, to: Place) -> u64 {
        if let Some(place) = self.places.get(frame.0 as usize) {
            // What hands the number on orders this store before the other side's load.
            place.store(to.0, Ordering::Relaxed);
        }
        u64::from(frame.0) * u64::from(self.frame_size)
    }

    /// Takes the frame that holds an address back, if it had gone to `from`: the frame, and how far into it the address is.
    pub(crate) fn take(&self, address: u64, from: Place) -> Option<(Frame, u32)> {
        let number = address / u64::from(self.frame_size);
        let place = self.places.get(usize::try_from(number).ok()?)?;
        // Only one thread takes from a place, so nobody comes between these.
        if place.load(Ordering::Relaxed) != from.0 || from == Place::HELD {
            return None;
        }
        place.store(Place::HELD.0, Ordering::Relaxed);
        let within = address % u64::from(self.frame_size);
        Some((Frame(number as u32), within as u32))
    }
}

/// What only a kernel may do: tests are one.
#[cfg(test)]
impl Umem {
    /// How many frames are in each place.
    pub(crate) fn census(&self) -> std::collections::BTreeMap<Place, u32> {
        let mut census = std::collections::BTreeMap::new();
        for place in &self.places {
            *census
                .entry(Place(place.load(Ordering::Relaxed)))
                .or_default() += 1;
        }
        census
    }

    /// How many frames are held.
    pub(crate) fn held(&self) -> u32 {
        let held = |place: &&AtomicU16| place.load(Ordering::Relaxed) == Place::HELD.0;
        self.places.iter().filter(held).count() as u32
    }

    /// Where a frame is.
    pub(crate) fn place_of(&self, number: u64) -> Option<Place> {
        let place = self.places.get(usize::try_from(number).ok()?)?;
        Some(Place(place.load(Ordering::Relaxed)))
    }

    /// Writes to a frame that the kernel has.
    pub(crate) fn write_as_kernel(&self, address: u64, bytes: &[u8]) {
        assert_ne!(
            self.place_of(address / u64::from(self.frame_size)),
            Some(Place::HELD)
        );
        let place = self.map.place::<u8>(address as usize, bytes.len());
        let place = place.expect("within the memory").as_ptr();
        // SAFETY: within the mapping, and nobody holds the frame, so that nobody refers to its bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
    }

    /// Reads from a frame that the kernel has.
    pub(crate) fn read_as_kernel(&self, address: u64, length: u32) -> Vec<u8> {
        assert_ne!(
            self.place_of(address / u64::from(self.frame_size)),
            Some(Place::HELD)
        );
        let place = self.map.place::<u8>(address as usize, length as usize);
        let place = place.expect("within the memory").as_ptr();
        // SAFETY: as above: nobody writes to it either.
        unsafe { std::slice::from_raw_parts(place, length as usize) }.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_from_where_it_went_and_once() {
        let (umem, mut frames) = Umem::new(4, 2048, false).expect("memory");
        let frame = frames.remove(2);
        let there = Place::receiving(3);
        let address = umem.give(frame, there);
        assert_eq!(address, 4096);
        assert_eq!(umem.census()[&there], 1);
        // The kernel's address is of the packet in it.
        let address = address + 256;
        assert_eq!(umem.take(address, Place::sending(3)), None, "another ring");
        assert_eq!(
            umem.take(address, Place::receiving(2)),
            None,
            "another socket"
        );
        assert_eq!(umem.take(0, there), None, "another frame");
        assert_eq!(umem.take(4 * 2048, there), None, "beyond");
        assert_eq!(umem.take(u64::MAX, there), None, "far beyond");
        assert_eq!(umem.take(address, there), Some((Frame(2), 256)));
        assert_eq!(umem.take(address, there), None, "twice");
        assert_eq!(umem.take(address, Place::HELD), None, "one that is held");
    }

    #[test]
    fn frames_are_apart() {
        let (umem, mut frames) = Umem::new(3, 2048, false).expect("memory");
        for frame in &mut frames {
            let value = frame.number() as u8 + 1;
            umem.bytes_mut(frame).fill(value);
        }
        for frame in &frames {
            let value = frame.number() as u8 + 1;
            let all = umem.bytes(frame, 0, 2048).expect("within");
            assert!(all.iter().all(|&byte| byte == value));
            assert_eq!(umem.bytes(frame, 2047, 1), Some(&[value][..]));
            assert_eq!(umem.bytes(frame, 2047, 2), None);
            assert_eq!(umem.bytes(frame, u32::MAX, 1), None);
        }
    }

    #[test]
    fn odd_sizes_are_refused() {
        assert!(Umem::new(4, 3000, false).is_err());
        assert!(Umem::new(0, 2048, false).is_err());
        assert!(Umem::new(u32::MAX, 1 << 31, false).is_err());
    }
}
