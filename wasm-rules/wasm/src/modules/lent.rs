//! What a module is asked about, lent to the functions of the host for as long as the module is asked.
//!
//! A store's data lives longer than any packet, so that it cannot hold a reference to one. This is the only place of the host
//! where that is made up for with a pointer.

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use weir_engine::eval::Subject;
use weir_engine::flow::Flow;
use weir_engine::state::Seat;

/// What a module is asked about.
pub(super) struct View<'v> {
    pub(super) subject: &'v Subject<'v>,
    pub(super) flow: Option<&'v Flow>,
    pub(super) seat: RefCell<Option<&'v mut Seat>>,
}

type Place = Arc<AtomicPtr<View<'static>>>;

/// Lends.
pub(super) struct Lender(Place);

/// Looks at what is lent.
pub(super) struct Borrower(Place);

/// Takes back what was lent, also when a panic passes by.
struct TakeBack<'p>(&'p Place);

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Both ends.
///
/// # Safety
/// [`Borrower::with`] may only be called by the thread that is in [`Lender::lend`] at that moment, if one is: the
/// borrower belongs into the data of a store that only the closure of `lend` calls into.
pub(super) unsafe fn pair() -> (Lender, Borrower) {
    let place = Place::default();
    (Lender(Arc::clone(&place)), Borrower(place))
}

impl Lender {
    /// Calls something that may look at the view.
    pub(super) fn lend<R>(&mut self, view: &View<'_>, call: impl FnOnce() -> R) -> R {
        let pointer = ptr::from_ref(view).cast::<View<'static>>().cast_mut();
        self.0.store(pointer, Ordering::Relaxed);
        let _back = TakeBack(&self.0);
        call()
    }
}

impl Borrower {
    /// What there is to say about what is lent; `None` where nothing is. What is looked at cannot be kept, because
    /// nothing is known of how long it lives.
    pub(super) fn with<R>(&self, look: impl for<'v> FnOnce(&View<'v>) -> R) -> Option<R> {
        let pointer = self.0.load(Ordering::Relaxed);
        // SAFETY: the pointer is null, or `lend` is under way, which has made it from a reference that outlives it and is
        // not unique; and it is this thread that is in it, as `pair` asks. The lifetime that the pointer claims reaches no further
        // than `look`, which has to take any.
        let view = unsafe { pointer.as_ref() }?;
        Some(look(view))
    }
}
