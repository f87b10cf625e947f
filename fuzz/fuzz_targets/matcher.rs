//! The software matcher on arbitrary tables and buffers, at every level that this machine has, against the definition.
//!
//! The hash keys are drawn from the input's length, so that a finding shows again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::matcher::testing::Driver;
use weir_engine::matcher::{Level, Software};
use weir_fuzz::Cases;

fuzz_target!(|input: &[u8]| {
    let cases: Vec<_> = Cases::new(input).collect();
    for level in Level::ALL.into_iter().filter(|level| level.available()) {
        let mut matcher = Software::seeded(level, input.len() as u64);
        for case in &cases {
            if let Err(error) = Driver::default().run(&mut matcher, case) {
                panic!("{level}: {error}\nprobes: {:?}", case.probes);
            }
        }
    }
});
