//! The matcher contract: which probes occur in a buffer.
//!
//! A *probe* is a literal of 1 to 8 bytes, case-sensitive or ASCII case-folded. A backend is given tables once
//! ([`Matcher::load`]) and then buffers ([`Matcher::submit`]); it answers, in any order and perhaps later
//! ([`Matcher::poll`]), with the set of probes of the buffer's group that have an occurrence that ends after the
//! carry, each with the end offset of its first one, or with "could not finish this buffer", and then the caller
//! must let the software backend finish it. A hit makes rules candidates and nothing else.

mod found;
mod plain;
mod software;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use plain::Plain;
pub use software::{Level, MAX_PROBES, Shared as SoftwareShared, Software};

/// Longest probe in bytes.
pub const MAX_PROBE: usize = 8;
/// Most groups of a table.
pub const MAX_GROUPS: u8 = 64;

/// A literal of 1 to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Probe {
    bytes: [u8; MAX_PROBE],
    len: u8,
    folded: bool,
    /// Bit `g` is set when buffers of group `g` look for this probe.
    pub groups: u64,
}

impl Probe {
    /// A probe for `literal`; `folded` makes it ASCII case-insensitive (it is stored in lower case).
    ///
    /// `None` when `literal` is empty or longer than [`MAX_PROBE`].
    pub fn new(literal: &[u8], folded: bool, groups: u64) -> Option<Self> {
        if literal.is_empty() || literal.len() > MAX_PROBE {
            return None;
        }
        let mut bytes = [0; MAX_PROBE];
        for (to, &from) in bytes.iter_mut().zip(literal) {
            *to = if folded {
                from.to_ascii_lowercase()
            } else {
                from
            };
        }
        Some(Self {
            bytes,
            len: literal.len() as u8,
            folded,
            groups,
        })
    }

    /// The literal; lower case if folded.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// True when case does not matter.
    pub fn folded(&self) -> bool {
        self.folded
    }

    /// True when the probe stands at the end of `text`.
    pub fn ends(&self, text: &[u8]) -> bool {
        let Some(tail) = text
            .len()
            .checked_sub(self.len as usize)
            .map(|at| &text[at..])
        else {
            return false;
        };
        if self.folded {
            tail.eq_ignore_ascii_case(self.bytes())
        } else {
            tail == self.bytes()
        }
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}{}@{:x}",
            self.bytes().escape_ascii().to_string(),
            if self.folded { "i" } else { "" },
            self.groups
        )
    }
}

/// One buffer to look through.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Returned with the report; the caller's to choose.
    pub tag: u64,
    /// Group whose probes are wanted, below [`MAX_GROUPS`].
    pub group: u8,
    /// How many of the first bytes of `data` are carry (0 to 7): already reported on, there so that a probe that
    /// spans the joint is found.
    pub carry: u8,
    /// Carry and buffer.
    pub data: &'a [u8],
}

/// A probe that occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hit {
    /// Index of the probe in the table.
    pub probe: u32,
    /// Offset in `data` (carry included) just past the first occurrence that ends after the carry.
    pub end: u32,
}

/// How a buffer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All hits are there.
    Done,
    /// The backend gave up on this buffer; hits may be missing.
    Unfinished,
}

/// The answer for one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The request's tag.
    pub tag: u64,
    /// Whether the hits are complete.
    pub outcome: Outcome,
    /// Hits in no particular order; a backend may repeat one.
    pub hits: &'a [Hit],
}

/// Why a table could not be loaded or a buffer not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// More probes than the backend holds.
    #[error("{got} probes do not fit: this matcher holds {limit}")]
    TooManyProbes {
        /// Probes in the set.
        got: usize,
        /// The backend's limit.
        limit: usize,
    },
    /// No room now: poll, then submit again.
    #[error("the matcher's queue is full")]
    Full,
}

/// A backend.
pub trait Matcher: Send {
    /// The name that `--stats` reports: `software`, `model`, `rtl` or `card`.
    fn name(&self) -> &'static str;
    /// Replaces the table. Requests submitted before were answered from the old one.
    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError>;
    /// Hands a buffer in. The bytes are copied if they are needed after the call.
    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError>;
    /// Delivers the reports that are ready, and returns how many there were.
    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize;
    /// Buffers that are best under way at once. A backend that answers in `submit` gains nothing by more than one; one that is far away
    /// is given buffers well before their answers are needed.
    fn depth(&self) -> usize {
        1
    }
    /// Nothing more is handed in for now: what was collected on this side goes out.
    fn flush(&mut self) {}
}
