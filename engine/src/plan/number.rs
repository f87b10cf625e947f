//! Comparisons with one or two numbers, as most header keywords have them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operator of [`Num`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NumOp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Between, both ends excluded (Suricata's `a<>b`; also `a-b` of most keywords).
    Between,
    /// Between, both ends included.
    Within,
    /// Not between, complement of [`NumOp::Between`].
    NotBetween,
    /// Some bit of the first number is set (`&`).
    AnyBit,
    /// No bit of the first number is set (`!&`).
    NoBit,
    /// `value & first == second` (`&a=b`).
    Masked,
    /// `value & first != second` (`&a!=b`).
    NotMasked,
}

/// A comparison: an operator and its one or two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Num {
    /// How.
    pub op: NumOp,
    /// First number.
    pub a: u64,
    /// Second number, where the operator has two.
    pub b: u64,
}

impl Num {
    /// A comparison with one number.
    pub fn one(op: NumOp, a: u64) -> Self {
        Self { op, a, b: 0 }
    }

    /// True when `value` passes.
    pub fn test(&self, value: u64) -> bool {
        let Self { op, a, b } = *self;
        match op {
            NumOp::Eq => value == a,
            NumOp::Ne => value != a,
            NumOp::Lt => value < a,
            NumOp::Le => value <= a,
            NumOp::Gt => value > a,
            NumOp::Ge => value >= a,
            NumOp::Between => a < value && value < b,
            NumOp::Within => a <= value && value <= b,
            NumOp::NotBetween => !(a < value && value < b),
            NumOp::AnyBit => value & a != 0,
            NumOp::NoBit => value & a == 0,
            NumOp::Masked => value & a == b,
            NumOp::NotMasked => value & a != b,
        }
    }
}

impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, a, b } = self;
        match op {
            NumOp::Eq => write!(f, "{a}"),
            NumOp::Ne => write!(f, "!{a}"),
            NumOp::Lt => write!(f, "<{a}"),
            NumOp::Le => write!(f, "<={a}"),
            NumOp::Gt => write!(f, ">{a}"),
            NumOp::Ge => write!(f, ">={a}"),
            NumOp::Between => write!(f, "{a}<>{b}"),
            NumOp::Within => write!(f, "{a}..={b}"),
            NumOp::NotBetween => write!(f, "!{a}<>{b}"),
            NumOp::AnyBit => write!(f, "&{a}"),
            NumOp::NoBit => write!(f, "!&{a}"),
            NumOp::Masked => write!(f, "&{a}={b}"),
            NumOp::NotMasked => write!(f, "&{a}!={b}"),
        }
    }
}
