//! Whose bytes count where segments overlap.
//!
//! Bytes that a receiver has already handed to its application cannot change: they are acknowledged, and what comes for
//! them again is cut off (RFC 9293, 3.10.7.4). Hosts differ where segments wait for one that is missing before them,
//! and two of those claim the same bytes. The families are those of J. Novak and S. Sturges, "Target-Based TCP Stream
//! Reassembly" (2007), under the names and with the rules that Suricata has for them.

use std::ops::Range;

/// Whose bytes count where two segments that wait overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamPolicy {
    /// The segment that came first (also Windows Vista and later).
    First,
    /// The segment that came last.
    Last,
    /// The segment that starts further left; of two that start together, the first. BSD, Windows up to 2003, macOS,
    /// HP-UX 10, IRIX.
    #[default]
    Bsd,
    /// As [`StreamPolicy::Bsd`], but of two that start together the longer one; the first if they are equal.
    Linux,
    /// As [`StreamPolicy::Linux`], but of two equal ones the last.
    OldLinux,
    /// The segment that ends further right; of two that end together the longer one, the last if they are equal. Also
    /// HP-UX 11.
    Solaris,
}

impl StreamPolicy {
    /// Every policy with the names that configurations use for it.
    pub const NAMES: [(&'static str, Self); 15] = [
        ("first", Self::First),
        ("last", Self::Last),
        ("bsd", Self::Bsd),
        ("linux", Self::Linux),
        ("old-linux", Self::OldLinux),
        ("solaris", Self::Solaris),
        ("windows", Self::Bsd),
        ("windows2k3", Self::Bsd),
        ("vista", Self::First),
        ("macos", Self::Bsd),
        ("hpux10", Self::Bsd),
        ("hpux11", Self::Solaris),
        ("irix", Self::Bsd),
        ("old-solaris", Self::First),
        ("bsd-right", Self::First),
    ];

    /// True when the segment `new` takes the bytes that it shares with `old`.
    pub fn prefers_new(self, old: &Range<u64>, new: &Range<u64>) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new.start < old.start,
            Self::Linux => new.start < old.start || new.start == old.start && new.end > old.end,
            Self::OldLinux => new.start < old.start || new.start == old.start && new.end >= old.end,
            Self::Solaris => new.end > old.end || new.end == old.end && new.start <= old.start,
        }
    }
}
