//! From the operations of a buffer to the steps that `machine` runs.
//!
//! What an operation does depends on its neighbours: whether an earlier `content` or `pcre` is worth another try when a
//! later one fails follows from how the later one refers back to it. Suricata settles that while it parses a rule; the
//! same is done here, once.

pub use super::needle::Needle;
use crate::plan::{
    Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, Content, Entropy, IsDataAt, Num, Op,
    Pcre, Value,
};

/// The steps of one buffer.
#[derive(Debug)]
pub struct Program {
    /// In order.
    pub steps: Box<[Step]>,
}

/// One operation, prepared.
#[derive(Debug)]
pub enum Step {
    /// `content`
    Content(ContentStep),
    /// `pcre`
    Pcre {
        /// The operation.
        pcre: Pcre,
        /// Worth another try at its next place when a later step fails.
        retry: bool,
    },
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
    BSize(Num),
    /// `base64_decode`
    Base64 {
        /// The operation, without what follows `base64_data`.
        decode: Base64Decode,
        /// What follows `base64_data`.
        data: Program,
    },
    /// `entropy`
    Entropy(Entropy),
    /// `absent`
    Absent {
        /// `absent: or_else`
        or_else: bool,
    },
}

/// `content`, prepared.
#[derive(Debug)]
pub struct ContentStep {
    /// The literal.
    pub needle: Needle,
    /// `!`
    pub negated: bool,
    /// Starts from the cursor.
    pub relative: bool,
    /// `distance`
    pub distance: Option<Value>,
    /// `within`
    pub within: Option<Value>,
    /// `offset`; none with `startswith`.
    pub offset: Option<Value>,
    /// `depth`; with `startswith` the literal's length.
    pub depth: Option<Value>,
    /// `endswith`, also where it was written as `isdataat:!1,relative`.
    pub endswith: bool,
    /// Worth another try at its next place when a later step fails.
    pub retry: bool,
    /// Stands by itself: not relative, no limits, nothing relative to it.
    pub single: bool,
}

/// How a later operation refers back to a `content` or `pcre`.
#[derive(Clone, Copy, Default)]
struct Referred {
    /// A later place could help: the next one has a limited reach, or must not match.
    retry: bool,
    /// It is relative in some way.
    at_all: bool,
}

impl Program {
    /// Prepares the operations of a buffer. `sticky` is false for operations on the payload, which no sticky buffer
    /// precedes.
    pub fn new(ops: &[Op], sticky: bool) -> Self {
        let mut referred = vec![Referred::default(); ops.len()];
        // `isdataat:!1,relative` after a content is how rules said `endswith` before there was one.
        let mut endswith = vec![false; ops.len()];
        let mut dropped = vec![false; ops.len()];
        // The last `content` or `pcre`, and the last of those and the operations on bytes.
        let (mut last_match, mut last_any) = (None::<usize>, None::<usize>);
        for (at, op) in ops.iter().enumerate() {
            let target = match op {
                Op::Content(_) | Op::Pcre(_) => last_match,
                _ if sticky => last_match,
                _ => last_any,
            };
            let ends = matches!(
                op,
                Op::IsDataAt(IsDataAt {
                    at: Value::Const(1),
                    relative: true,
                    negated: true
                })
            );
            let after_content =
                target.is_some_and(|to| matches!(ops.get(to), Some(Op::Content(_))));
            if let (true, true, Some(target)) = (ends, after_content, target) {
                set(&mut endswith, target);
                set(&mut dropped, at);
                continue;
            }
            if let (Some(refers), Some(earlier)) =
                (reference(op), target.and_then(|to| referred.get_mut(to)))
            {
                earlier.retry |= refers.retry;
                earlier.at_all |= refers.at_all;
            }
            match op {
                Op::Content(_) | Op::Pcre(_) => (last_match, last_any) = (Some(at), Some(at)),
                Op::ByteTest(_)
                | Op::ByteJump(_)
                | Op::ByteExtract(_)
                | Op::ByteMath(_)
                | Op::IsDataAt(_) => {
                    last_any = Some(at);
                }
                Op::BSize(_) | Op::Base64Decode(_) | Op::Entropy(_) | Op::Absent { .. } => {}
            }
        }
        let steps = ops
            .iter()
            .zip(dropped)
            .zip(endswith)
            .zip(referred)
            .filter(|(((_, dropped), _), _)| !dropped)
            .map(|(((op, _), endswith), referred)| step(op, endswith, referred))
            .collect();
        Self { steps }
    }
}

fn set(marks: &mut [bool], at: usize) {
    if let Some(mark) = marks.get_mut(at) {
        *mark = true;
    }
}

/// How `op` refers back; `None` when it does not.
fn reference(op: &Op) -> Option<Referred> {
    let relative = match op {
        Op::Content(content) => {
            // With `distance` alone, what is not found from the first place is not found from a later one either.
            let retry = content.within.is_some() || (content.distance.is_some() && content.negated);
            return content.relative().then_some(Referred {
                retry,
                at_all: true,
            });
        }
        Op::Pcre(op) => op.relative,
        Op::ByteTest(op) => op.relative,
        Op::ByteJump(op) => op.relative,
        Op::ByteExtract(op) => op.relative,
        Op::ByteMath(op) => op.relative,
        Op::IsDataAt(op) => op.relative,
        // Suricata does not go back for these.
        Op::Base64Decode(_) | Op::BSize(_) | Op::Entropy(_) | Op::Absent { .. } => false,
    };
    relative.then_some(Referred {
        retry: true,
        at_all: true,
    })
}

fn step(op: &Op, endswith: bool, referred: Referred) -> Step {
    match op {
        Op::Content(content) => Step::Content(ContentStep::new(content, endswith, referred)),
        Op::Pcre(pcre) => Step::Pcre {
            pcre: pcre.clone(),
            retry: referred.at_all,
        },
        Op::ByteTest(op) => Step::ByteTest(op.clone()),
        Op::ByteJump(op) => Step::ByteJump(op.clone()),
        Op::ByteExtract(op) => Step::ByteExtract(op.clone()),
        Op::ByteMath(op) => Step::ByteMath(op.clone()),
        Op::IsDataAt(op) => Step::IsDataAt(op.clone()),
        Op::BSize(size) => Step::BSize(*size),
        Op::Base64Decode(op) => Step::Base64 {
            data: Program::new(&op.data, true),
            decode: Base64Decode {
                data: Vec::new(),
                ..*op
            },
        },
        Op::Entropy(op) => Step::Entropy(op.clone()),
        Op::Absent { or_else } => Step::Absent { or_else: *or_else },
    }
}

impl ContentStep {
    fn new(content: &Content, endswith: bool, referred: Referred) -> Self {
        let (mut offset, mut depth) = (content.offset, content.depth);
        if content.startswith {
            offset = None;
            depth = Some(Value::Const(
                i64::try_from(content.bytes.len()).unwrap_or(i64::MAX),
            ));
        }
        let limited = content.startswith || offset.is_some() || depth.is_some();
        Self {
            needle: Needle::new(&content.bytes, content.nocase),
            negated: content.negated,
            relative: content.relative(),
            distance: content.distance,
            within: content.within,
            offset,
            depth,
            endswith: content.endswith || endswith,
            retry: referred.retry,
            single: !content.relative() && !referred.at_all && !limited,
        }
    }
}
