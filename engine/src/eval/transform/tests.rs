use std::io::Write;
use std::sync::Arc;

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

use super::*;
use crate::pcre::Regex;

fn apply(transforms: &[Transform], bytes: &[u8]) -> Vec<u8> {
    Transformer::new().apply(transforms, bytes).to_vec()
}

#[track_caller]
fn check(transform: Transform, cases: &[(&[u8], &[u8])]) {
    for (bytes, expected) in cases {
        let found = apply(std::slice::from_ref(&transform), bytes);
        assert_eq!(
            found,
            *expected,
            "{transform:?} of {}",
            bytes.escape_ascii()
        );
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        panic!("an odd number of digits")
    };
    pairs
        .iter()
        .map(|&[high, low]| digit(high) << 4 | digit(low))
        .collect()
}

#[test]
fn letters_and_white_space() {
    check(
        Transform::ToLowercase,
        &[(b"A\xc4bC1", b"a\xc4bc1"), (b"", b"")],
    );
    check(Transform::ToUppercase, &[(b"a\xe4Bc1", b"A\xe4BC1")]);
    check(
        Transform::StripWhitespace,
        &[(b" A B\t\n\x0b\x0c\rC\xa0", b"ABC\xa0"), (b" \n", b"")],
    );
    check(
        Transform::CompressWhitespace,
        &[
            (b" A B  C   D", b" A B C D"),
            (b"a\t\nb", b"a\tb"),
            (b"\r\n\r\n", b"\r"),
        ],
    );
    check(
        Transform::DotPrefix,
        &[(b"example.com", b".example.com"), (b"", b"")],
    );
}

#[test]
fn domains() {
    check(
        Transform::Domain,
        &[
            (b"www.example.com", b"example.com"),
            (b"a.b.example.co.uk", b"example.co.uk"),
            (b"example.com", b"example.com"),
            (b"com", b""),
            (b"", b""),
        ],
    );
    check(
        Transform::Tld,
        &[
            (b"www.example.com", b"com"),
            (b"a.example.co.uk", b"co.uk"),
            (b"com", b""),
        ],
    );
}

#[test]
fn url_decoding_leaves_what_is_not_encoded() {
    check(
        Transform::UrlDecode,
        &[
            (
                b"Suricata%20is+%27%61wesome%21%27%25%30%30%ZZ%4",
                b"Suricata is 'awesome!'%00%ZZ%4",
            ),
            (b"%", b"%"),
            (b"%%41", b"%%41"),
            (b"%4+1", b"%4+1"),
            (b"%+", b"%+"),
            (b"%fF%00", b"\xff\0"),
        ],
    );
}

#[test]
fn headers() {
    check(
        Transform::HeaderLowercase,
        &[
            (
                b"Header1: Value1\nheader2:Value2\n",
                b"header1: Value1\nheader2:Value2\n",
            ),
            (b"A\nB: C:D\r\nE:F", b"a\nb: C:D\r\ne:F"),
        ],
    );
    check(
        Transform::StripPseudoHeaders,
        &[
            (b"A: b\n:method:get\nc:d\n", b"A: b\nc:d\n"),
            (b":method:get", b""),
            (b":method:get\nc:d", b"c:d"),
        ],
    );
}

/// RFC 1321 A.5, FIPS 180 ("abc").
#[test]
fn sums() {
    check(
        Transform::ToMd5,
        &[
            (b"abc", &hex("900150983cd24fb0d6963f7d28e17f72")),
            (b"", b""),
        ],
    );
    check(
        Transform::ToSha1,
        &[(b"abc", &hex("a9993e364706816aba3e25717850c26c9cd0d89d"))],
    );
    check(
        Transform::ToSha256,
        &[(
            b"abc",
            &hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        )],
    );
}

#[test]
fn xor_repeats_its_key() {
    let key = |bytes: &[u8]| Transform::Xor(bytes.into());
    check(
        key(&[0x0a, 0x0d, 0xc8, 0xff]),
        &[(b"example.com", b"ou\xa9\x92za\xad\xd1ib\xa5")],
    );
    check(key(b" "), &[(b"AbC", b"aBc")]);
}

#[test]
fn base64_that_cannot_be_decoded_stays() {
    let from = |offset, bytes, mode| Transform::FromBase64 {
        offset,
        bytes,
        mode,
    };
    let text: &[u8] = b"bad==VGVzdA==";
    check(from(5, None, Base64Mode::Strict), &[(text, b"Test")]);
    check(from(5, Some(4), Base64Mode::Rfc4648), &[(text, b"Tes")]);
    check(from(5, Some(8), Base64Mode::Rfc4648), &[(text, b"Test")]);
    check(from(5, Some(9), Base64Mode::Rfc4648), &[(text, text)]);
    check(from(14, None, Base64Mode::Rfc4648), &[(text, text)]);
    check(from(0, None, Base64Mode::Strict), &[(b"Zm9v!", b"Zm9v!")]);
    check(
        from(0, None, Base64Mode::Rfc4648),
        &[(b"Zm9v!YmFy", b"foo"), (b"!", b"!")],
    );
    check(
        from(0, None, Base64Mode::Rfc2045),
        &[(b"Zm9v!YmFy", b"foobar")],
    );
}

#[test]
fn a_group_of_an_expression() {
    let regex = |text: &str| {
        Transform::Pcre(Arc::new(
            Regex::capturing(text.as_bytes()).expect("compiles"),
        ))
    };
    check(
        regex(r"[a-zA-Z]+\s+(.*)\s+HTTP"),
        &[
            (b"GET /dropper.php HTTP/1.1", b"/dropper.php"),
            (b"no match", b"no match"),
        ],
    );
    check(regex("a(x)?b"), &[(b"-ab-", b"-ab-"), (b"-axb-", b"x")]);
    let mut transformer = Transformer::new();
    let hostile = [regex("((?:x+x+)+)[yz]")];
    let bytes = [b'x'; 20_000];
    assert_eq!(transformer.apply(&hostile, &bytes), bytes);
    assert_eq!(transformer.pcre_limits, 1);
}

#[test]
fn parts() {
    let part = |offset, bytes, truncate| {
        Transform::Subslice(Subslice {
            offset,
            bytes,
            truncate,
        })
    };
    let text: &[u8] = b"this is suricata";
    for (transform, expected) in [
        (part(1, None, false), &b"his is suricata"[..]),
        (part(0, Some(9), false), b"this is s"),
        (part(1, Some(12), false), b"his is suric"),
        (part(-8, None, false), b"suricata"),
        (part(-10, Some(-2), false), b"s surica"),
        (part(0, Some(-3), false), b"this is suric"),
        (part(13, Some(-12), false), b" is suric"),
        (part(2, Some(30), false), b""),
        (part(2, Some(30), true), b"is is suricata"),
        (part(17, None, false), b""),
        (part(17, None, true), b""),
        (part(-17, None, false), b""),
        (part(-17, None, true), text),
        (part(4, Some(-17), false), b""),
        (part(4, Some(-17), true), b"this"),
        (part(i64::MIN, Some(i64::MIN), true), b""),
        (part(i64::MAX, Some(i64::MAX), true), b""),
    ] {
        check(transform, &[(text, expected)]);
    }
}

fn gzip(bytes: &[u8], builder: GzBuilder) -> Vec<u8> {
    let mut encoder: GzEncoder<Vec<u8>> = builder.write(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

#[test]
fn decompression_ends_at_its_limit() {
    let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    let packed = [
        (
            Transform::Gunzip { max_size: 1 << 20 },
            gzip(&bytes, GzBuilder::new()),
        ),
        (
            Transform::Gunzip { max_size: 1 << 20 },
            gzip(
                &bytes,
                GzBuilder::new()
                    .extra("extra")
                    .filename("name")
                    .comment("what"),
            ),
        ),
        (
            Transform::ZlibDeflate {
                max_size: bytes.len() as u32,
            },
            zlib(&bytes),
        ),
    ];
    let mut transformer = Transformer::new();
    for (transform, packed) in &packed {
        let found = transformer.apply(std::slice::from_ref(transform), packed);
        assert!(found == bytes, "{transform:?}: {} bytes", found.len());
    }
    assert_eq!(transformer.cut, 0);
    let bomb = zlib(&vec![0; 10 << 20]);
    let few = [Transform::ZlibDeflate { max_size: 1000 }];
    assert_eq!(transformer.apply(&few, &bomb), [0; 1000]);
    assert_eq!(transformer.cut, 1);
    assert!(transformer.next.capacity() + transformer.current.capacity() < 4 << 20);
}

#[test]
fn what_is_not_compressed_becomes_nothing() {
    let packed = gzip(
        b"some text that is long enough",
        GzBuilder::new().filename("name"),
    );
    let gunzip = Transform::Gunzip { max_size: 1024 };
    check(
        gunzip.clone(),
        &[
            (b"plain text", b""),
            (&packed[..12], b""),
            (&packed[..9], b""),
        ],
    );
    // What came before the end is there.
    let cut = apply(std::slice::from_ref(&gunzip), &packed[..packed.len() - 12]);
    assert!(b"some text that is long enough".starts_with(&cut));
    check(
        Transform::ZlibDeflate { max_size: 1024 },
        &[(&packed, b""), (b"plain", b"")],
    );
}

#[test]
fn each_works_on_what_the_one_before_made() {
    let transforms = [
        Transform::StripWhitespace,
        Transform::ToLowercase,
        Transform::DotPrefix,
    ];
    assert_eq!(apply(&transforms, b"Exa mple\n.COM"), b".example.com");
    assert_eq!(apply(&[], b"As It Is"), b"As It Is");
}

fn any_transform() -> impl Strategy<Value = Transform> {
    let regex = |text: &str| Arc::new(Regex::capturing(text.as_bytes()).expect("compiles"));
    let mode = prop_oneof![
        Just(Base64Mode::Rfc4648),
        Just(Base64Mode::Rfc2045),
        Just(Base64Mode::Strict)
    ];
    prop_oneof![
        Just(Transform::ToLowercase),
        Just(Transform::StripWhitespace),
        Just(Transform::CompressWhitespace),
        Just(Transform::DotPrefix),
        Just(Transform::Domain),
        Just(Transform::Tld),
        Just(Transform::UrlDecode),
        Just(Transform::HeaderLowercase),
        Just(Transform::StripPseudoHeaders),
        Just(Transform::ToMd5),
        Just(Transform::Xor(b"key".as_slice().into())),
        (0..20u32, prop::option::of(0..20u32), mode).prop_map(|(offset, bytes, mode)| {
            Transform::FromBase64 {
                offset,
                bytes,
                mode,
            }
        }),
        (1..100u32).prop_map(|max_size| Transform::Gunzip { max_size }),
        (1..100u32).prop_map(|max_size| Transform::ZlibDeflate { max_size }),
        Just(Transform::Pcre(regex("a(.*)b"))),
        (-30..30i64, prop::option::of(-30..30i64), any::<bool>()).prop_map(
            |(offset, bytes, truncate)| Transform::Subslice(Subslice {
                offset,
                bytes,
                truncate
            })
        ),
    ]
}

proptest! {
    /// Nothing panics, nothing grows beyond what is stated, and no buffer leaves a trace in the next one.
    #[test]
    fn any_transforms_of_any_bytes(
        transforms in prop::collection::vec(any_transform(), 0..5),
        buffers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4),
    ) {
        let mut transformer = Transformer::new();
        for bytes in buffers.iter().chain([&zlib(&buffers[0]), &gzip(&buffers[0], GzBuilder::new())]) {
            let found = transformer.apply(&transforms, bytes).to_vec();
            prop_assert!(found.len() <= bytes.len().max(100) + transforms.len());
            prop_assert_eq!(found, apply(&transforms, bytes));
        }
    }
}
