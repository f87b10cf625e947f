//! Base64 as `base64_decode` and `from_base64` read it (RFC 4648, section 4).

/// Decodes the start of `text` onto the end of `out`, up to the first byte that is not of the alphabet.
///
/// A last group that is cut short is decoded as if it were padded. A group with padding where it cannot be ends the
/// decoding; what came before it stands.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) {
    let length = text.iter().take_while(|&&byte| is_text(byte)).count();
    for chunk in text.get(..length).unwrap_or_default().chunks(4) {
        let mut group = [b'='; 4];
        group
            .iter_mut()
            .zip(chunk)
            .for_each(|(to, &byte)| *to = byte);
        if push(group, out).is_none() {
            return;
        }
    }
}

/// The same, but without the bytes that are not of the alphabet (RFC 2045), and without a last group that is cut short.
pub(super) fn decode_lenient(text: &[u8], out: &mut Vec<u8>) {
    let mut bytes = text.iter().copied().filter(|&byte| is_text(byte));
    while let (Some(a), Some(b), Some(c), Some(d)) =
        (bytes.next(), bytes.next(), bytes.next(), bytes.next())
    {
        if push([a, b, c, d], out).is_none() {
            return;
        }
    }
}

/// The same, where all of `text` must be as an encoder writes it; otherwise `out` is empty.
pub(crate) fn decode_strict(text: &[u8], out: &mut Vec<u8>) {
    let (groups, rest) = text.as_chunks::<4>();
    let (last, before) = groups.split_last().unzip();
    let before: &[[u8; 4]] = before.unwrap_or_default();
    let full = before.iter().flatten().all(|&byte| sextet(byte).is_some());
    let decoded = |group: &[u8; 4], out: &mut Vec<u8>| push(*group, out).is_some();
    let canonical = match last {
        // Bits that the padding leaves over are 0.
        Some(&[_, b, b'=', b'=']) => sextet(b).is_some_and(|bits| bits & 0b1111 == 0),
        Some(&[_, _, c, b'=']) => sextet(c).is_some_and(|bits| bits & 0b11 == 0),
        Some(&[_, _, c, d]) => sextet(c).and(sextet(d)).is_some(),
        None => false,
    };
    let fine =
        rest.is_empty() && full && canonical && groups.iter().all(|group| decoded(group, out));
    if !fine {
        out.clear();
    }
}

/// Decodes a group, which `=` may fill up from its third byte on; `None` where that cannot be one.
fn push(group: [u8; 4], out: &mut Vec<u8>) -> Option<()> {
    let [a, b, c, d] = group;
    let (a, b) = (sextet(a)?, sextet(b)?);
    out.push(a << 2 | b >> 4);
    if c == b'=' {
        return Some(());
    }
    let c = sextet(c)?;
    out.push(b << 4 | c >> 2);
    if d != b'=' {
        out.push(c << 6 | sextet(d)?);
    }
    Some(())
}

fn is_text(byte: u8) -> bool {
    byte == b'=' || sextet(byte).is_some()
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    type Decode = fn(&[u8], &mut Vec<u8>);

    fn check(decode: Decode, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let mut out = Vec::new();
            decode(text.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{text:?}");
        }
    }

    /// RFC 4648, section 10.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm9v", "foo"),
        ("Zm9vYg==", "foob"),
        ("Zm9vYmE=", "fooba"),
        ("Zm9vYmFy", "foobar"),
    ];

    #[test]
    fn decodes_what_is_base64() {
        for decode in [
            super::decode as Decode,
            super::decode_lenient,
            super::decode_strict,
        ] {
            check(decode, &VECTORS);
        }
        check(
            super::decode,
            &[
                ("Zm9vYg", "foob"),
                ("Zm9vYmE", "fooba"),
                ("Zm9vY", "foo"),
                ("Zm9v\r\nYmFy", "foo"),
                ("Zg==Zm8=", "ffo"),
                ("====", ""),
                ("Zm9v====", "foo"),
                ("Zg=v", "f"),
                (" Zm9v", ""),
            ],
        );
    }

    #[test]
    fn leaves_out_what_is_not_base64() {
        check(
            super::decode_lenient,
            &[
                ("Zm 9v Ym Fy", "foobar"),
                ("Zm$9vYm.Fy", "foobar"),
                ("Zm9v\r\nYmFy", "foobar"),
                ("Zm9vYg", "foo"),
                ("====Zm9v", ""),
            ],
        );
    }

    #[test]
    fn takes_only_what_an_encoder_writes() {
        for text in [
            "Zm9vYg", "Zm9vYg=", "Zm9vYh==", "Zm9vYmF=", "Zg==Zm8=", "Zm 9", "Zm9v\n", "====",
            "Z===", "Zg=v",
        ] {
            check(super::decode_strict, &[(text, "")]);
        }
    }
}
