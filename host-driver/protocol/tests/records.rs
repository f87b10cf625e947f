//! Records: what is written is read back, and nothing else is taken for a record.

use card_protocol::record::{
    HEADER, Header, HeaderError, MAX_LENGTH, Record, WriteError, beats, size,
};
use card_protocol::{Crc32, crc32};
use proptest::prelude::*;

/// CRC-32 by its definition, a bit at a time.
fn slow_crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1
                ^ if crc & 1 == 1 {
                    card_protocol::POLYNOMIAL
                } else {
                    0
                };
        }
    }
    !crc
}

#[test]
fn known_crcs() {
    // The check value of the catalogue of parametrised CRC algorithms (CRC-32/ISO-HDLC).
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
    assert_eq!(crc32(&[0; 32]), 0x190A_55AD);
}

fn header() -> Header {
    Header {
        nonce: 0xA1B2_C3D4,
        sequence: 0x0102_0304,
        length: 0x2345,
        group: 63,
        carry: 7,
        generation: 0x8899,
        payload_crc: 0xDEAD_BEEF,
    }
}

#[test]
fn header_bytes() {
    let bytes = header().encode();
    let first = [
        b'W', b'e', b'i', b'R', 0xD4, 0xC3, 0xB2, 0xA1, 4, 3, 2, 1, 0x45, 0x23, 63, 7, 0x99, 0x88,
        0, 0, 0, 0, 0, 0, 0xEF, 0xBE, 0xAD, 0xDE,
    ];
    assert_eq!(bytes[..28], first);
    assert_eq!(bytes[28..], slow_crc(&first).to_le_bytes());
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let good = header().encode();
    let nonce = header().nonce;
    let with = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        Header::parse(&bytes, nonce).map_err(|error| error.to_string())
    };
    assert_eq!(
        with(0, b'w'),
        Err("header bytes 0..4: magic 0x52696577, expected 0x52696557".to_owned())
    );
    assert_eq!(
        with(4, 0),
        Err("header bytes 4..8: nonce 0xa1b2c300, expected 0xa1b2c3d4".to_owned())
    );
    let error = with(9, 0).expect_err("an error");
    assert!(error.starts_with("header bytes 28..32: CRC 0x"), "{error}");
    let check = |change: fn(&mut Header)| {
        let mut header = header();
        change(&mut header);
        // Out of bounds, but a good header.
        assert_eq!(Header::parse(&header.encode(), nonce), Ok(header));
        header.check()
    };
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(check(|header| header.length = 16_384), Ok(()));
    assert_eq!(
        check(|header| header.length = 16_385),
        Err(HeaderError::Length { got: 16_385 })
    );
    assert_eq!(
        check(|header| header.group = 64),
        Err(HeaderError::Group { got: 64 })
    );
    assert_eq!(
        check(|header| header.carry = 8),
        Err(HeaderError::Carry {
            got: 8,
            length: 0x2345
        })
    );
    assert_eq!(check(|header| header.length = 7), Ok(()));
    assert_eq!(
        check(|header| header.length = 6),
        Err(HeaderError::Carry { got: 7, length: 6 })
    );
}

#[test]
fn sizes() {
    let all = |length| [8, 16, 32, 64].map(|lanes| size(length, lanes));
    assert_eq!(all(0), [32, 32, 32, 64]);
    assert_eq!(all(1), [40, 48, 64, 64]);
    assert_eq!(all(32), [64; 4]);
    assert_eq!(all(33), [72, 80, 96, 128]);
    assert_eq!(all(MAX_LENGTH), [16_416, 16_416, 16_416, 16_448]);
    assert_eq!(beats(33, 16), 5);
}

proptest! {
    #[test]
    fn crcs(bytes: Vec<u8>, cut: prop::sample::Index) {
        let (one, two) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(crc32(&bytes), slow_crc(&bytes));
        prop_assert_eq!(Crc32::new().of(one).of(two).value(), slow_crc(&bytes));
    }

    #[test]
    fn any_header(
        nonce: u32, sequence: u32, length: u16, group: u8, carry: u8, generation: u16, payload_crc: u32, flip in 0usize..256,
    ) {
        let header = Header { nonce, sequence, length, group, carry, generation, payload_crc };
        let mut bytes = header.encode();
        prop_assert_eq!(Header::parse(&bytes, nonce), Ok(header));
        bytes[flip / 8] ^= 1 << (flip % 8);
        prop_assert!(Header::parse(&bytes, nonce).is_err());
    }

    #[test]
    fn any_record(
        payload in prop::collection::vec(any::<u8>(), 0..300), lanes in 0usize..4, sequence: u32, group in 0u8..64, carry in 0u8..8,
        room in 0usize..500,
    ) {
        let lanes = [8, 16, 32, 64][lanes];
        let carry = carry.min(payload.len() as u8);
        let record = Record { nonce: 5, sequence, group, carry, generation: 9, payload: &payload };
        let mut out = vec![0xAA; room];
        let expected = record.size(lanes);
        prop_assert_eq!(expected % lanes, 0);
        match record.write(lanes, &mut out) {
            Err(error) => {
                prop_assert_eq!(error, WriteError::Room { got: room, expected });
                prop_assert!(room < expected && out.iter().all(|&byte| byte == 0xAA));
            }
            Ok(written) => {
                prop_assert_eq!(written, expected);
                let (header, rest) = out.split_first_chunk::<HEADER>().expect("a header");
                let header = Header::parse(header, 5).expect("a good header");
                prop_assert_eq!(header.check(), Ok(()));
                let (body, beyond) = rest.split_at(expected - HEADER);
                prop_assert_eq!(header.payload_crc, slow_crc(body));
                prop_assert_eq!(usize::from(header.length), payload.len());
                prop_assert_eq!((header.sequence, header.group, header.carry, header.generation), (sequence, group, carry, 9));
                let (text, zeros) = body.split_at(payload.len());
                prop_assert_eq!(text, &payload[..]);
                prop_assert!(zeros.len() < lanes && zeros.iter().all(|&byte| byte == 0));
                prop_assert!(beyond.iter().all(|&byte| byte == 0xAA));
            }
        }
    }
}

#[test]
fn what_the_core_would_refuse_is_not_written() {
    let payload = vec![0; 70_000];
    let mut out = vec![0xAA; 80_000];
    let record = |length, group, carry| Record {
        nonce: 1,
        sequence: 2,
        group,
        carry,
        generation: 3,
        payload: &payload[..length],
    };
    for (record, error) in [
        (record(16_385, 0, 0), HeaderError::Length { got: 16_385 }),
        (record(70_000, 0, 0), HeaderError::Length { got: 70_000 }),
        (record(9, 64, 0), HeaderError::Group { got: 64 }),
        (record(9, 0, 8), HeaderError::Carry { got: 8, length: 9 }),
        (record(2, 0, 3), HeaderError::Carry { got: 3, length: 2 }),
    ] {
        assert_eq!(record.write(8, &mut out), Err(WriteError::Malformed(error)));
    }
    assert!(out.iter().all(|&byte| byte == 0xAA));
}
