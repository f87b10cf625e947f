//! Base64, as far as it is needed here: questions of DNS in paths (RFC 8484) and settings in headers (RFC 9113, 3.2).

/// Longest question: a message of DNS.
const MOST_QUESTION: usize = 65_535;

/// What the parameter `dns` of a path says.
pub(super) fn question(path: &[u8]) -> Option<Vec<u8>> {
    let query = path.iter().position(|&byte| byte == b'?')?;
    let mut parameters = path.get(query + 1..)?.split(|&byte| byte == b'&');
    let coded = parameters.find_map(|parameter| parameter.strip_prefix(b"dns="))?;
    decode(coded).filter(|question| question.len() <= MOST_QUESTION)
}

/// Bytes of a text in either alphabet (RFC 4648, 4 and 5), with or without padding.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = text
        .iter()
        .rposition(|&byte| byte != b'=')
        .map_or(&text[..0], |last| text.get(..=last).unwrap_or_default());
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for &digit in text {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_alphabet_is_read_with_or_without_padding() {
        for (text, bytes) in [
            (&b""[..], &b""[..]),
            (b"Zg==", b"f"),
            (b"Zm9vYg", b"foob"),
            (b"-_8", b"\xfb\xff"),
            (b"+/8=", b"\xfb\xff"),
        ] {
            assert_eq!(decode(text), Some(bytes.to_vec()));
        }
        assert_eq!(decode(b"a b"), None);
        assert_eq!(question(b"/q?a=b&dns=Zm8&c"), Some(b"fo".to_vec()));
        assert_eq!(question(b"/q?xdns=Zm8"), None);
    }
}
