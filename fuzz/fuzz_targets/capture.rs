//! Reading arbitrary bytes as a capture file.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use weir_capture::CaptureReader;

/// A gzip member can stand for a thousand times its size; what is looked at stays bounded.
const MAX_FRAMES: u64 = 50_000;

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = CaptureReader::new(Cursor::new(input.to_vec()), "input") else {
        return;
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                std::hint::black_box(frame.data.iter().map(|&byte| u64::from(byte)).sum::<u64>());
                if frame.number == MAX_FRAMES {
                    return;
                }
            }
            Ok(None) => break,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(
                    matches!(reader.next_frame(), Ok(None)),
                    "after an error, a reader is at its end"
                );
                break;
            }
        }
    }
    assert!(reader.bytes_read() <= input.len() as u64);
});
