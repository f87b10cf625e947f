//! Registers and the table window. Addresses are byte offsets; all accesses are 32 bits wide and aligned. Writes to
//! what cannot be written and reads of what does not exist do nothing and return 0, and are answered all the same.
//!
//! After a reset [`LIMIT`] is 65,535, [`LINGER`] 64, all else that can be written 0. Memories and counters are as they were.

/// What stands in [`MAGIC`]: `WEIR`.
pub const MAGIC_VALUE: u32 = u32::from_le_bytes(*b"WEIR");
/// What stands in [`INTERFACE`]: this file's version.
pub const INTERFACE_VALUE: u32 = 1;

// Identity, read only.
/// [`MAGIC_VALUE`].
pub const MAGIC: u32 = 0x000;
/// [`INTERFACE_VALUE`].
pub const INTERFACE: u32 = 0x004;
/// First 32 bits of the source revision, 0 if unknown.
pub const REVISION: u32 = 0x008;
/// Bytes of a beat (7..0), slices (15..8), exact engines (23..16).
pub const LANES: u32 = 0x00C;
/// Address bits of the filters of the length classes 8 (4..0), 6 (9..5), 4 (14..10), 3 (19..15), 2 (24..20).
pub const FILTERS: u32 = 0x010;
/// Address bits of a way of the exact table (4..0).
pub const EXACT: u32 = 0x014;
/// Clock that the core was built for, in kHz.
pub const CLOCK: u32 = 0x018;
/// Longest payload in bytes.
pub const MAX_LENGTH: u32 = 0x01C;

// Control.
/// Bit 0: records are taken. Bit 1, reads as 0: everything in the core is dropped, the unit number starts at 0, the stream is hunted for
/// the next header.
pub const CONTROL: u32 = 0x020;
/// Bit 0 of [`CONTROL`].
pub const CONTROL_ENABLE: u32 = 1;
/// Bit 1 of [`CONTROL`].
pub const CONTROL_FLUSH: u32 = 2;
/// Read only. Bit 0: no record in the core and no item waiting. Bit 1: out of step, hunting for a header.
pub const STATUS: u32 = 0x024;
/// Bit 0 of [`STATUS`].
pub const STATUS_IDLE: u32 = 1;
/// Bit 1 of [`STATUS`].
pub const STATUS_HUNTING: u32 = 2;
/// Nonce of the session.
pub const NONCE: u32 = 0x028;
/// The live even generation (15..0), and whether there is one (bit 16).
pub const GENERATION_EVEN: u32 = 0x02C;
/// The live odd generation (15..0), and whether there is one (bit 16).
pub const GENERATION_ODD: u32 = 0x030;
/// Valid bit of [`GENERATION_EVEN`] and [`GENERATION_ODD`].
pub const GENERATION_LIVE: u32 = 1 << 16;
/// Candidates that a slice examines of one record (15..0); more is an overflow. 65,535 is no limit but for records with more.
pub const LIMIT: u32 = 0x034;
/// Cycles without a new item after which a unit with items is sent as it is (15..0).
pub const LINGER: u32 = 0x038;

// Table window: select, address, then data; the address counts up by one with each write of data.
/// Which memory, see [`table`].
pub const TABLE_SELECT: u32 = 0x040;
/// Word in it.
pub const TABLE_ADDRESS: u32 = 0x044;
/// Write only: a word of 32 bits. Outside the memory: not written, counted in [`COUNT_TABLE_ERRORS`].
pub const TABLE_DATA: u32 = 0x048;
/// Checksum over all words that were written (not over those refused), see [`table_check`](crate::table_check). Any write sets it to 0;
/// reset and flush leave it as it is.
pub const TABLE_CHECK: u32 = 0x04C;

// Counters, read only, 32 bits, wrapping; reset and flush leave them as they are.
/// Clock cycles.
pub const COUNT_CYCLES: u32 = 0x080;
/// Beats taken.
pub const COUNT_BEATS: u32 = 0x084;
/// Cycles in which a beat was offered and not taken.
pub const COUNT_STALLS: u32 = 0x088;
/// Records whose header was good, those with a flag included.
pub const COUNT_RECORDS: u32 = 0x08C;
/// Payload bytes of records that were looked through.
pub const COUNT_BYTES: u32 = 0x090;
/// Times that the step was lost: where a header was due there was none.
pub const COUNT_LOST: u32 = 0x094;
/// Records with [`FLAG_DAMAGED`](crate::report::FLAG_DAMAGED).
pub const COUNT_DAMAGED: u32 = 0x098;
/// Records with [`FLAG_STALE`](crate::report::FLAG_STALE).
pub const COUNT_STALE: u32 = 0x09C;
/// Records with [`FLAG_MALFORMED`](crate::report::FLAG_MALFORMED).
pub const COUNT_MALFORMED: u32 = 0x0A0;
/// Records with [`FLAG_OVERFLOW`](crate::report::FLAG_OVERFLOW).
pub const COUNT_OVERFLOWS: u32 = 0x0A4;
/// Candidates that passed the filter and were not left out by the limit.
pub const COUNT_CANDIDATES: u32 = 0x0A8;
/// Candidates that reached the exact table: those that no earlier one of the same record was seen to equal.
pub const COUNT_LOOKUPS: u32 = 0x0AC;
/// Hits reported.
pub const COUNT_HITS: u32 = 0x0B0;
/// Report units sent.
pub const COUNT_UNITS: u32 = 0x0B4;
/// Cycles in which a report word was offered and not taken.
pub const COUNT_OUT_STALLS: u32 = 0x0B8;
/// Table words written.
pub const COUNT_TABLE_WRITES: u32 = 0x0BC;
/// Table words refused.
pub const COUNT_TABLE_ERRORS: u32 = 0x0C0;

/// Bytes of the register space.
pub const SPACE: u32 = 0x1000;

/// What [`TABLE_SELECT`] takes.
pub mod table {
    /// Key rows: words `0..9` are rows 0 to 8 of hash 0, words `16..25` those of hash 1. Row 8 is the constant. Others do not exist.
    pub const KEY: u32 = 0;
    /// One-byte probes: 8 words; bit `b % 32` of word `b / 32` for byte `b`, both cases of a folded letter.
    pub const SINGLE: u32 = 1;
    /// First filter of class 8, addressed by hash 0.
    pub const FILTER_8A: u32 = 2;
    /// Second filter of class 8, addressed by hash 1.
    pub const FILTER_8B: u32 = 3;
    /// First filter of class 6 (lengths 6 and 7).
    pub const FILTER_6A: u32 = 4;
    /// Second filter of class 6.
    pub const FILTER_6B: u32 = 5;
    /// First filter of class 4 (lengths 4 and 5).
    pub const FILTER_4A: u32 = 6;
    /// Second filter of class 4.
    pub const FILTER_4B: u32 = 7;
    /// The filter of class 3, addressed by hash 0.
    pub const FILTER_3: u32 = 8;
    /// The filter of class 2, addressed by hash 0.
    pub const FILTER_2: u32 = 9;
    /// Exact table: `EXACT + 8 * way + word`, ways 0 to 3, words as in [`super::exact`].
    pub const EXACT: u32 = 32;
    /// Memories that can be selected are below this.
    pub const END: u32 = EXACT + 8 * 4;
}

/// Words of an exact table's slot.
pub mod exact {
    /// Bytes 0 to 3 of the key: byte 0 is the probe's last byte, byte 1 the one before it, and so on; beyond the probe's length 0. Folded
    /// probes stand in lower case.
    pub const KEY_LOW: u32 = 0;
    /// Bytes 4 to 7 of the key.
    pub const KEY_HIGH: u32 = 1;
    /// Entry (19..0), length - 1 (22..20), folded (23), live in even generations (24), in odd ones (25). A slot with neither is empty.
    pub const META: u32 = 2;
    /// Groups 31 to 0.
    pub const GROUPS_LOW: u32 = 3;
    /// Groups 63 to 32.
    pub const GROUPS_HIGH: u32 = 4;
    /// Words of a slot.
    pub const WORDS: u32 = 5;
}
