//! Lending what is borrowed to a store, whose data cannot borrow, for the time of a call.

use std::ptr::NonNull;

use weir_engine::eval::Subject;

/// A subject that is lent, or none.
#[derive(Debug, Default)]
pub(super) struct Lent(Option<NonNull<Subject<'static>>>);

// SAFETY: it holds a subject only during a call ([`Lend`]), which does not leave its thread; at all other times, when the store
// may move, it holds none.
unsafe impl Send for Lent {}

/// Says that a subject is lent. It must be given back before the subject ends.
#[must_use]
pub(super) struct Lend(());

impl Lent {
    /// Lends a subject until [`Self::take_back`].
    pub(super) fn lend(&mut self, subject: &Subject<'_>) -> Lend {
        self.0 = Some(NonNull::from(subject).cast());
        Lend(())
    }

    /// Takes it back.
    pub(super) fn take_back(&mut self, _: Lend) {
        self.0 = None;
    }

    /// The subject; `None` where none is lent.
    pub(super) fn get(&self) -> Option<&Subject<'_>> {
        // SAFETY: there is a pointer only between `lend` and `take_back`, which `Instance::call` makes before its
        // reference to the subject ends, with nothing in between that unwinds past it: wasmtime catches panics of host
        // functions and resumes them only when the call has ended, and then the store is not used again but to be dropped. The
        // reference that is given out ends with the borrow of `self`, so before `take_back`.
        self.0.map(|subject| unsafe { subject.as_ref() })
    }
}
