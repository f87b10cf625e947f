//! Whether a plan that was read from a file is one that the rule compiler could have made, as far as anything relies on it.

use std::path::Component;
use std::sync::Arc;

use super::{
    Content, DataSet, Op, ProbeChoice, Rule, StateAction, StateTest, Subslice, Transform, Value,
    VarId,
};
use crate::pcre::Regex;

/// Most bytes that a decompressed buffer may have.
const MAX_UNPACKED: u32 = 16 << 20;

impl Rule {
    /// Holds a rule that was read to what evaluators and the engine rely on.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn sound(&self) -> Result<(), &'static str> {
        if !self.probes().all(ProbeChoice::sound) {
            return Err("a probe has no byte, or more than eight");
        }
        for plan in &self.buffers {
            if !plan.transforms.iter().all(Transform::sound) {
                return Err("a transform has a number that is out of range");
            }
            if !plan.ops.iter().all(|op| op.sound(self.variables)) {
                return Err("an operation has an empty content, or a variable that there is not");
            }
        }
        let there = |buffer: u8| usize::from(buffer) < self.buffers.len();
        let asked = self.state_tests.iter().all(|test| match test {
            StateTest::Dataset { buffer, .. } | StateTest::DataRep { buffer, .. } => there(*buffer),
            _ => true,
        });
        let replaced = self.state_actions.iter().all(|action| match action {
            StateAction::Replace { buffer, op, bytes } => {
                let plan = self.buffers.get(usize::from(*buffer));
                matches!(
                    plan.and_then(|plan| plan.ops.get(usize::from(*op))),
                    Some(Op::Content(content)) if content.bytes.len() == bytes.len()
                )
            }
            _ => true,
        });
        if asked && replaced {
            Ok(())
        } else {
            Err("what it does with state is about a buffer or a content that there is not")
        }
    }

    /// Shows every regular expression of the rule, so that equal ones of several rules can be made one.
    pub fn each_expression(&mut self, show: &mut dyn FnMut(&mut Arc<Regex>)) {
        for plan in &mut self.buffers {
            for transform in &mut plan.transforms {
                if let Transform::Pcre(regex) = transform {
                    show(regex);
                }
            }
            for op in &mut plan.ops {
                op.each_expression(show);
            }
        }
    }
}

impl ProbeChoice {
    fn sound(&self) -> bool {
        (1..=8).contains(&self.bytes.len())
    }
}

impl Transform {
    fn sound(&self) -> bool {
        match self {
            Self::Xor(key) => !key.is_empty(),
            Self::Gunzip { max_size } | Self::ZlibDeflate { max_size } => {
                (1..=MAX_UNPACKED).contains(max_size)
            }
            Self::Subslice(Subslice { bytes, .. }) => *bytes != Some(0),
            _ => true,
        }
    }
}

impl Op {
    fn sound(&self, variables: u8) -> bool {
        let is_there = |var: VarId| var < variables;
        let known = |value: Value| match value {
            Value::Const(_) => true,
            Value::Var(var) => is_there(var),
        };
        match self {
            Self::Content(content) => {
                let Content {
                    offset,
                    depth,
                    distance,
                    within,
                    ..
                } = content;
                let limits = [offset, depth, distance, within];
                !content.bytes.is_empty() && limits.into_iter().flatten().all(|&of| known(of))
            }
            Self::ByteTest(op) => [op.bytes, op.value, op.offset].into_iter().all(known),
            Self::ByteJump(op) => [op.bytes, op.offset, op.post_offset].into_iter().all(known),
            Self::ByteExtract(op) => is_there(op.var),
            Self::ByteMath(op) => is_there(op.var) && known(op.bytes) && known(op.rvalue),
            Self::IsDataAt(op) => known(op.at),
            Self::Base64Decode(op) => op.data.iter().all(|op| op.sound(variables)),
            Self::Pcre(_) | Self::BSize(_) | Self::Entropy(_) | Self::Absent { .. } => true,
        }
    }

    fn each_expression(&mut self, show: &mut dyn FnMut(&mut Arc<Regex>)) {
        match self {
            Self::Pcre(pcre) => show(&mut pcre.regex),
            Self::Base64Decode(decode) => {
                (decode.data.iter_mut()).for_each(|op| op.each_expression(show));
            }
            _ => {}
        }
    }
}

impl DataSet {
    /// Holds a data set that was read to what a rule may say: it reads what came with it and no file, and writes below the folder
    /// for state.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn sound(&self) -> Result<(), &'static str> {
        if self.load.is_some() != self.contents.is_some() {
            return Err("a data set without what its file holds");
        }
        let inside = self.save.as_ref().is_none_or(|path| {
            let mut parts = path.components();
            parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
                && path.file_name().is_some()
        });
        if inside {
            Ok(())
        } else {
            Err("a data set that is written outside of the folder for state")
        }
    }
}
