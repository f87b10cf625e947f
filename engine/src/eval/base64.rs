//! Base64 as `base64_decode` reads it: RFC 4648, up to the first byte that is not of the alphabet.

/// Decodes the start of `text` onto the end of `out`, as far as it is base64.
///
/// A last group that is cut short is decoded as if it were padded. A group with padding where it cannot be ends the
/// decoding; what came before it stands.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) {
    let length = text
        .iter()
        .take_while(|&&byte| byte == b'=' || sextet(byte).is_some())
        .count();
    for group in text.get(..length).unwrap_or_default().chunks(4) {
        let at = |index: usize| group.get(index).and_then(|&byte| sextet(byte));
        let (Some(a), Some(b)) = (at(0), at(1)) else {
            return;
        };
        out.push(a << 2 | b >> 4);
        let padded = |index: usize| group.get(index).is_none_or(|&byte| byte == b'=');
        if padded(2) {
            continue;
        }
        let Some(c) = at(2) else { return };
        out.push(b << 4 | c >> 2);
        if let Some(d) = at(3) {
            out.push(c << 6 | d);
        }
    }
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
    #[test]
    fn decodes_what_is_base64() {
        for (text, expected) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vY", "foo"),
            ("Zm9v\r\nYmFy", "foo"),
            ("Zg==Zm8=", "ffo"),
            ("====", ""),
            ("Zm9v====", "foo"),
            ("Zg=v", "f"),
            (" Zm9v", ""),
        ] {
            let mut out = Vec::new();
            super::decode(text.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{text:?}");
        }
    }
}
