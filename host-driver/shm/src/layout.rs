//! Where everything stands in the file.
//!
//! A page of words of 32 bits, native byte order, then the four rings' bytes. Words that different sides write are on
//! cache lines of their own.
//!
//! | byte | word | written by |
//! |---|---|---|
//! | 0, 4 | magic | card, once |
//! | 8 | [`VERSION`] | card, once |
//! | 16, 20, 24, 28 | bytes of the rings: to card, to host, requests, answers | card, once |
//! | 64 | 1: open, 2: closed | card |
//! | 68 | process | card |
//! | 72 | session that it serves, futex | card |
//! | 76 | 1: it sleeps | card |
//! | 128 | 1: open, 2: closed | host |
//! | 132 | process | host |
//! | 136 | session that it wants | host |
//! | 192 | bell, counts up, futex | host |
//! | 256 + 256 n | ring n: bytes put in so far, modulo 2^32, futex | producer |
//! | 320 + 256 n | ring n: bytes taken out so far, futex | consumer |
//! | 384 + 256 n | ring n: 1: the host sleeps | host |

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::error::ShmError;
use crate::map::Map;

/// Version of the layout; there is no way between versions.
pub const VERSION: u32 = 1;
pub(crate) const MAGIC: [u32; 2] = [u32::from_le_bytes(*b"card"), u32::from_le_bytes(*b"-shm")];
pub(crate) const HEADER: usize = 4096;
pub(crate) const VERSION_AT: usize = 8;
const SIZES_AT: usize = 16;

pub(crate) const CARD_STATE: usize = 64;
pub(crate) const CARD_PID: usize = 68;
pub(crate) const CARD_SESSION: usize = 72;
pub(crate) const CARD_SLEEPS: usize = 76;
pub(crate) const HOST_STATE: usize = 128;
pub(crate) const HOST_PID: usize = 132;
pub(crate) const HOST_SESSION: usize = 136;
pub(crate) const BELL: usize = 192;

pub(crate) const OPEN: u32 = 1;
pub(crate) const CLOSED: u32 = 2;

/// Number of rings.
pub(crate) const RINGS: usize = 4;
pub(crate) const TO_CARD: usize = 0;
pub(crate) const TO_HOST: usize = 1;
pub(crate) const REQUESTS: usize = 2;
pub(crate) const ANSWERS: usize = 3;

/// Least bytes of a ring.
const LEAST: usize = 4096;
/// Most bytes of a ring.
const MOST: usize = 1 << 28;
/// Bytes of the rings for requests and for answers.
const MAILBOX: usize = 1 << 16;

/// Place of a ring's words: put in, taken out, host sleeps.
pub(crate) const fn words(ring: usize) -> [usize; 3] {
    let at = 256 + 256 * ring;
    [at, at + 64, at + 128]
}

/// How large a card's rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes on their way to the card, a power of two from 4 KiB to 256 MiB.
    pub to_card: usize,
    /// Bytes on their way to the host, likewise.
    pub to_host: usize,
}

impl Default for Options {
    /// 1 MiB to the card, 256 KiB to the host: what fits into a cache.
    fn default() -> Self {
        Self {
            to_card: 1 << 20,
            to_host: 1 << 18,
        }
    }
}

/// Bytes of the four rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes([usize; RINGS]);

impl Sizes {
    pub(crate) fn new(options: &Options) -> Result<Self, ShmError> {
        let named = [
            ("ring to the card", options.to_card),
            ("ring to the host", options.to_host),
        ];
        for (what, got) in named {
            if !size_fits(got) {
                return Err(ShmError::Size {
                    what,
                    got,
                    least: LEAST,
                    most: MOST,
                });
            }
        }
        Ok(Self([options.to_card, options.to_host, MAILBOX, MAILBOX]))
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> usize {
        HEADER + self.0.iter().sum::<usize>()
    }

    /// First byte and length of a ring.
    pub(crate) fn ring(&self, ring: usize) -> (usize, usize) {
        let before: usize = self.0.iter().take(ring).sum();
        (HEADER + before, self.0.get(ring).copied().unwrap_or(0))
    }

    pub(crate) fn write(&self, map: &Map) {
        for (ring, &size) in self.0.iter().enumerate() {
            map.word(SIZES_AT + 4 * ring)
                .store(size as u32, Ordering::Relaxed);
        }
    }

    /// Reads the page of a file of `length` bytes, of which [`HEADER`] are mapped at least.
    pub(crate) fn read(map: &Map, length: u64, path: &Path) -> Result<Self, ShmError> {
        let word = |at: usize| map.word(at).load(Ordering::Acquire);
        let foreign = |what, got: u64, expected: String| {
            Err(ShmError::Foreign {
                path: path.to_owned(),
                what,
                got,
                expected,
            })
        };
        for (index, expected) in MAGIC.into_iter().enumerate() {
            let got = word(4 * index);
            if got != expected {
                return foreign(
                    "magic of the shared memory",
                    got.into(),
                    format!("{expected:#x}"),
                );
            }
        }
        let version = word(VERSION_AT);
        if version != VERSION {
            return foreign(
                "version of the shared memory",
                version.into(),
                format!("{VERSION}: use host and card of the same release"),
            );
        }
        let mut sizes = [0; RINGS];
        for (ring, size) in sizes.iter_mut().enumerate() {
            *size = word(SIZES_AT + 4 * ring) as usize;
            if !size_fits(*size) {
                return foreign(
                    "size of a ring",
                    *size as u64,
                    format!("a power of two from {LEAST:#x} to {MOST:#x}"),
                );
            }
        }
        let sizes = Self(sizes);
        if length != sizes.length() as u64 {
            return foreign(
                "length of the file",
                length,
                format!("{:#x}, as its rings have", sizes.length()),
            );
        }
        Ok(sizes)
    }
}

fn size_fits(size: usize) -> bool {
    size.is_power_of_two() && (LEAST..=MOST).contains(&size)
}
