//! What lasts for a while, or for good.

use std::time::{Duration, Instant};

use super::fault::Fault;

/// Until when something lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Held {
    No,
    Until(Instant),
    ForGood,
}

impl Held {
    pub(crate) fn by(fault: &Fault) -> Self {
        fault
            .lasts
            .map_or(Self::ForGood, |lasts| Self::Until(Instant::now() + lasts))
    }

    /// Whether it lasts; what is over is forgotten.
    pub(crate) fn now(&mut self) -> bool {
        if matches!(self, Self::Until(end) if *end <= Instant::now()) {
            *self = Self::No;
        }
        *self != Self::No
    }

    /// When there is something to do again.
    pub(crate) fn end(self) -> Option<Duration> {
        match self {
            Self::Until(end) => Some(end.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }
}
