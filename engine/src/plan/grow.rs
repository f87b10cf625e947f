//! Whether more data can only ever add to what a rule matches.

use super::{Buffer, ByteJump, JumpFrom, Op, Rule};

impl Op {
    /// True when what holds in a piece of data holds in any longer piece that begins with it, and where.
    ///
    /// Nothing that is said about the end of the data, or about what is not in it, does. An expression might, but what
    /// it matches can become longer.
    fn grows(&self) -> bool {
        match self {
            Self::Content(content) => !content.negated && !content.endswith,
            Self::ByteJump(ByteJump { from, .. }) => *from != JumpFrom::End,
            Self::IsDataAt(test) => !test.negated,
            Self::ByteTest(_) | Self::ByteExtract(_) | Self::ByteMath(_) => true,
            _ => false,
        }
    }
}

impl Rule {
    /// True when its match in the payload stays a match whatever data follows, so that it can be told at once.
    pub fn grows(&self) -> bool {
        // What a module makes of it is not known.
        self.module.is_none()
            && self
                .buffers
                .iter()
                .all(|plan| plan.buffer == Buffer::Payload && plan.ops.iter().all(Op::grows))
    }
}
