//! What a module is asked about.

use std::cell::RefCell;

use weir_engine::eval::Subject;
use weir_engine::flow::Flow;
use weir_engine::state::Seat;

use crate::lent::Lendable;

/// What a module is asked about.
pub(super) struct View<'v> {
    pub(super) subject: &'v Subject<'v>,
    pub(super) flow: Option<&'v Flow>,
    pub(super) seat: RefCell<Option<&'v mut Seat>>,
}

/// Views are lent.
pub(super) struct Asked;

impl Lendable for Asked {
    type For<'v> = View<'v>;
}
