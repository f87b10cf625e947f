//! Steps a circuit in Rust-HDL's simulator without its threads and channels.

use rust_hdl::prelude::*;

/// Rounds after which a circuit that still changes is taken to have a loop.
const ROUNDS: usize = 1000;

/// Lets inputs go through the logic until nothing changes.
///
/// # Panics
///
/// If the circuit does not come to rest: its logic has a loop.
pub fn settle<B: Block>(block: &mut B) {
    assert!(simulate(block, ROUNDS), "logic does not come to rest");
}

/// One cycle: lets the inputs settle, then raises and lowers the clock that `clock` points out.
///
/// # Panics
///
/// As [`settle`].
pub fn tick<B: Block>(block: &mut B, clock: fn(&mut B) -> &mut Signal<In, Clock>) {
    settle(block);
    for level in [true, false] {
        clock(block).next = level.into();
        settle(block);
    }
}
