//! Decoding and defragmenting arbitrary frames of every link type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::packet::{Decoder, DecoderConfig};
use weir_fuzz::{Traffic, read_all};

fuzz_target!(|input: &[u8]| {
    let Some(traffic) = Traffic::new(input) else {
        return;
    };
    let config = DecoderConfig {
        verify_checksums: traffic.options & 1 != 0,
        ..DecoderConfig::default()
    };
    let mut decoder = Decoder::new(config);
    for frame in traffic {
        decoder.decode(frame, &mut |packet| {
            assert_eq!(packet.number, frame.number);
            std::hint::black_box(read_all(packet));
        });
    }
});
