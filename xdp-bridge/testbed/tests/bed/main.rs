//! Beds with the kernel's bridge in the middle: what is put in on one side must come out on the other, and what is
//! said of it must be so.

mod frames;
mod hosts;
mod traffic;

use weir_testbed::{Bed, BedOptions};

/// A bed of so many queues.
fn bed(queues: u32) -> Bed {
    let options = BedOptions {
        queues,
        ..BedOptions::default()
    };
    Bed::new(&options).expect("a bed can be made")
}
