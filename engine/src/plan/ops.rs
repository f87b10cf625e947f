//! Buffers and the operations on them.
//!
//! The operations of a buffer run in the order of the rule. Each has a cursor: the end of the last match. A relative
//! operation starts there; when it fails, an earlier one that could match elsewhere is tried at its next place
//! (Suricata's `DetectEngineContentInspection`).

use std::cell::Cell;

use serde::{Deserialize, Serialize};

/// What bytes a [`BufferPlan`] looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Buffer {
    /// The packet's payload, or the stream where there is one (`pkt_data`, no sticky buffer).
    Payload,
    /// `ether.hdr`
    EtherHdr,
    /// `arp.hdr`
    ArpHdr,
    /// `ipv4.hdr`
    Ipv4Hdr,
    /// `ipv6.hdr`: the fixed header and the extension headers.
    Ipv6Hdr,
    /// `tcp.hdr`, with options
    TcpHdr,
    /// `udp.hdr`
    UdpHdr,
    /// `icmpv4.hdr`
    Icmp4Hdr,
    /// `icmpv6.hdr`
    Icmp6Hdr,
    /// `igmp.hdr`
    IgmpHdr,
    /// `ip.src`: 4 or 16 bytes
    IpSrc,
    /// `ip.dst`: 4 or 16 bytes
    IpDst,
    /// Of a transaction of an application layer, in the direction that the rule is inspected in.
    App(crate::app::AppBuffer),
    /// The same, to the server (true) or to the client: in a rule about both.
    AppOf(crate::app::AppBuffer, bool),
}

/// A buffer and what must hold in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BufferPlan {
    /// Which.
    pub buffer: Buffer,
    /// What is done to its bytes first, in order.
    pub transforms: Vec<super::Transform>,
    /// In order; all must match.
    pub ops: Vec<Op>,
}

/// Index of a byte variable of the rule.
pub type VarId = u8;

/// A number that is known, or that an earlier operation extracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Known when the rule was read. (A number above `i64::MAX`, which `byte_test` can compare with, as the same 64
    /// bits.)
    Const(i64),
    /// From `byte_extract` or `byte_math`.
    Var(VarId),
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// `content`
    Content(Content),
    /// `pcre`
    Pcre(Pcre),
    /// `byte_test`
    ByteTest(ByteTest),
    /// `byte_jump`
    ByteJump(ByteJump),
    /// `byte_extract`
    ByteExtract(ByteExtract),
    /// `byte_math`
    ByteMath(ByteMath),
    /// `isdataat`
    IsDataAt(IsDataAt),
    /// `bsize`
    BSize(super::Num),
    /// `base64_decode`, with what follows `base64_data`
    Base64Decode(Base64Decode),
    /// `entropy`
    Entropy(Entropy),
    /// `absent`: true when the buffer is not there; with `or_else`, also when the operations after it match. It is the
    /// first operation of its buffer.
    Absent {
        /// `absent: or_else`
        or_else: bool,
    },
}

/// `content` with its modifiers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Content {
    /// The literal; lower case when `nocase`.
    pub bytes: Vec<u8>,
    /// ASCII case does not matter.
    pub nocase: bool,
    /// `!`: must not occur.
    pub negated: bool,
    /// `offset`.
    pub offset: Option<Value>,
    /// `depth`: the match must end at most this many bytes after `offset`.
    pub depth: Option<Value>,
    /// `distance`: start at the cursor plus this (makes it relative).
    pub distance: Option<Value>,
    /// `within`: the match must end at most this many bytes after the cursor plus `distance` (makes it relative).
    pub within: Option<Value>,
    /// `startswith`.
    pub startswith: bool,
    /// `endswith`.
    pub endswith: bool,
    /// `fast_pattern`, also `fast_pattern:only` and `:offset,length`.
    pub fast_pattern: bool,
}

impl Content {
    /// True when it starts from the cursor.
    pub fn relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// `pcre`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pcre {
    /// The compiled expression, shared by rules that have the same one.
    #[serde(with = "super::shared")]
    pub regex: std::sync::Arc<crate::pcre::Regex>,
    /// `R`: the subject starts at the cursor.
    pub relative: bool,
    /// `!`
    pub negated: bool,
}

/// Byte order of a binary number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endian {
    /// Most significant byte first.
    #[default]
    Big,
    /// Least significant byte first.
    Little,
    /// As the DCE/RPC header says (only on DCE/RPC flows).
    Dce,
}

/// How a number stands in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberBase {
    /// Binary, in the given byte order.
    Binary(Endian),
    /// `string,dec`
    Dec,
    /// `string,hex`
    Hex,
    /// `string,oct`
    Oct,
    /// `string` alone, as C's `strtoull` guesses: hexadecimal after `0x`, octal after a `0`, else decimal.
    Guessed,
}

/// Comparison of `byte_test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByteTestOp {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `=`
    Eq,
    /// `>=`
    Ge,
    /// `>`
    Gt,
    /// `&`: some bit of the value is set
    And,
    /// `^`: the number differs from the value in some bit (`number ^ value != 0`, as Suricata has it)
    Xor,
}

/// `byte_test`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ByteTest {
    /// How many bytes hold the number.
    pub bytes: Value,
    /// Comparison.
    pub op: ByteTestOp,
    /// `!`
    pub negated: bool,
    /// What to compare with.
    pub value: Value,
    /// From the start or the cursor.
    pub offset: Value,
    /// From the cursor.
    pub relative: bool,
    /// Encoding.
    pub base: NumberBase,
    /// `bitmask`, applied first, then shifted right by its trailing zeros.
    pub bitmask: Option<u32>,
}

/// Where a jump counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JumpFrom {
    /// The end of the number.
    Here,
    /// `from_beginning`
    Beginning,
    /// `from_end`
    End,
}

/// `byte_jump`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ByteJump {
    /// How many bytes hold the number; 0: no number, only `post_offset`.
    pub bytes: Value,
    /// From the start or the cursor.
    pub offset: Value,
    /// From the cursor.
    pub relative: bool,
    /// Encoding.
    pub base: NumberBase,
    /// `multiplier`, 1 unless given.
    pub multiplier: u32,
    /// `align`: up to a multiple of 4.
    pub align: bool,
    /// Where the jump counts from.
    pub from: JumpFrom,
    /// `post_offset`
    pub post_offset: Value,
    /// `bitmask`, applied first, then shifted right by its trailing zeros.
    pub bitmask: Option<u32>,
}

/// `byte_extract`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ByteExtract {
    /// How many bytes hold the number.
    pub bytes: u8,
    /// From the start or the cursor.
    pub offset: i32,
    /// From the cursor.
    pub relative: bool,
    /// Encoding.
    pub base: NumberBase,
    /// `multiplier`, 1 unless given.
    pub multiplier: u16,
    /// `align`: 2 or 4; 0 without.
    pub align: u8,
    /// Where the number goes.
    pub var: VarId,
}

/// Operator of `byte_math`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MathOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`; a division by zero fails
    Div,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
}

/// `byte_math`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ByteMath {
    /// How many bytes hold the number.
    pub bytes: Value,
    /// From the start or the cursor.
    pub offset: i32,
    /// From the cursor.
    pub relative: bool,
    /// Encoding.
    pub base: NumberBase,
    /// Operator.
    pub op: MathOp,
    /// Right side.
    pub rvalue: Value,
    /// `bitmask`, applied to the result, which is then shifted right by its trailing zeros.
    pub bitmask: Option<u32>,
    /// Where the result goes.
    pub var: VarId,
}

/// `isdataat`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IsDataAt {
    /// Offset that must be there.
    pub at: Value,
    /// From the cursor.
    pub relative: bool,
    /// `!`
    pub negated: bool,
}

/// `base64_decode` and the operations on `base64_data`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Base64Decode {
    /// `bytes`: how many to decode; `None`: all there are.
    pub bytes: Option<u32>,
    /// From the start or the cursor.
    pub offset: u32,
    /// From the cursor.
    pub relative: bool,
    /// Operations on the decoded bytes. As in Suricata, the buffer matches when they do, whatever stands after
    /// `base64_decode`, and never when there are none.
    #[serde(deserialize_with = "decoded")]
    pub data: Vec<Op>,
}

/// Reads the operations on decoded bytes. Base64 in base64 is not decoded a second time, and nothing is read that says so: what
/// is read cannot be deeper than the stack.
fn decoded<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Op>, D::Error> {
    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }
    if INSIDE.replace(true) {
        return Err(serde::de::Error::custom("base64 in base64"));
    }
    let ops = Vec::deserialize(from);
    INSIDE.set(false);
    ops
}

/// `entropy`: Shannon entropy in bits per byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entropy {
    /// First byte.
    pub offset: u32,
    /// How many bytes; 0: to the end.
    pub bytes: u32,
    /// Comparison.
    pub op: super::NumOp,
    /// First number.
    pub a: f64,
    /// Second number, for ranges.
    pub b: f64,
}
