//! What rules are asked about, lent to the functions of the host for as long as Wasm is asked.
//!
//! A store's data lives longer than any packet, so that it cannot hold a reference to one. This is the only place of the host
//! where that is made up for with a pointer.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Something that can be lent, however long it lives.
pub(crate) trait Lendable: 'static {
    /// It, for one lifetime.
    type For<'v>;
}

type Place<L> = Arc<AtomicPtr<<L as Lendable>::For<'static>>>;

/// Lends.
pub(crate) struct Lender<L: Lendable>(Place<L>);

/// Looks at what is lent.
pub(crate) struct Borrower<L: Lendable>(Place<L>);

/// Takes back what was lent, also when a panic passes by.
struct TakeBack<'p, L: Lendable>(&'p Place<L>);

impl<L: Lendable> Drop for TakeBack<'_, L> {
    fn drop(&mut self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Both ends.
///
/// # Safety
/// [`Borrower::with`] may only be called by the thread that is in [`Lender::lend`] at that moment, if one is: the
/// borrower belongs into the data of a store that only the closure of `lend` calls into.
pub(crate) unsafe fn pair<L: Lendable>() -> (Lender<L>, Borrower<L>) {
    let place = Place::<L>::default();
    (Lender(Arc::clone(&place)), Borrower(place))
}

impl<L: Lendable> Lender<L> {
    /// Calls something that may look at what is lent.
    pub(crate) fn lend<R>(&mut self, what: &L::For<'_>, call: impl FnOnce() -> R) -> R {
        let pointer = ptr::from_ref(what).cast::<L::For<'static>>().cast_mut();
        self.0.store(pointer, Ordering::Relaxed);
        let _back = TakeBack::<L>(&self.0);
        call()
    }
}

impl<L: Lendable> Borrower<L> {
    /// What there is to say about what is lent; `None` where nothing is. What is looked at cannot be kept, because
    /// nothing is known of how long it lives.
    pub(crate) fn with<R>(&self, look: impl for<'v> FnOnce(&L::For<'v>) -> R) -> Option<R> {
        let pointer = self.0.load(Ordering::Relaxed);
        // SAFETY: the pointer is null, or `lend` is under way, which has made it from a reference that outlives it and is
        // not unique; and it is this thread that is in it, as `pair` asks. The lifetime that the pointer claims reaches no further
        // than `look`, which has to take any.
        let what = unsafe { pointer.as_ref() }?;
        Some(look(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text;

    impl Lendable for Text {
        type For<'v> = &'v str;
    }

    fn ends() -> (Lender<Text>, Borrower<Text>) {
        // SAFETY: a test is one thread, and calls `with` within the closure of `lend` or while nothing is lent.
        unsafe { pair() }
    }

    #[test]
    fn what_is_lent_is_there_until_the_call_ends() {
        let (mut lender, borrower) = ends();
        assert_eq!(borrower.with(|text| text.len()), None);
        let text = String::from("four");
        let seen = lender.lend(&text.as_str(), || borrower.with(|text| text.len()));
        assert_eq!(seen, Some(4));
        assert_eq!(borrower.with(|text| text.len()), None);
    }

    #[test]
    fn a_panic_takes_it_back() {
        let (mut lender, borrower) = ends();
        let call = std::panic::AssertUnwindSafe(|| lender.lend(&"gone", || panic!("on purpose")));
        std::panic::catch_unwind(call).expect_err("panics");
        assert_eq!(borrower.with(|text| text.len()), None);
    }
}
