//! A parser of application layers, told anything, in any pieces: Kerberos.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::app::AppProto;

fuzz_target!(|input: &[u8]| weir_fuzz::app::drive(
    AppProto::Krb5,
    input.first().is_some_and(|first| first & 1 == 1),
    input
));
