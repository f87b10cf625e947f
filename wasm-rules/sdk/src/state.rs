//! State that a module keeps.

use std::fmt;
use std::marker::PhantomData;

use crate::declare::{Kept, Scope};

/// State of one type that is kept in one scope. [`module!`](crate::module!) makes one for each that it declares;
/// [`Event::update`](crate::Event::update) and its neighbours take it.
///
/// Values are encoded by postcard: compact, and without names. A value that cannot be read back (its type has changed,
/// and `state_version` has not) is taken for none.
pub struct State<T> {
    kept: Kept,
    of: PhantomData<fn() -> T>,
}

impl<T> State<T> {
    #[doc(hidden)]
    pub const fn of(kept: Kept) -> Self {
        Self {
            kept,
            of: PhantomData,
        }
    }

    /// What it is declared as.
    pub const fn kept(&self) -> Kept {
        self.kept
    }

    pub(crate) fn scope(self) -> Scope {
        self.kept.scope
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for State<T> {}

impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kept.fmt(f)
    }
}

/// A value was not kept: it is longer than declared or encodes to nothing, or the event has nothing to keep it for (a
/// packet without a flow, or without addresses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept;

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value was not kept: too long, or nothing to keep it for")
    }
}

impl std::error::Error for NotKept {}
