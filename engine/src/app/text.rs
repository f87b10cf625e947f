//! Bytes as text, the way Suricata's EVE has them.

use std::fmt::Write;

/// Text where it is UTF-8; otherwise what is not printable ASCII is written as `\xHH`.
pub(crate) fn eve_text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Lower-case hexadecimal digits, with a separator between bytes.
pub(crate) fn hex(bytes: &[u8], separator: &str) -> String {
    let mut text = String::with_capacity(bytes.len() * (2 + separator.len()));
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_escaped() {
        assert_eq!(eve_text("Mac’s".as_bytes()), "Mac’s");
        assert_eq!(eve_text(b"a \xff\n"), "a \\xff\\x0a");
        assert_eq!(hex(&[0xab, 1], ":"), "ab:01");
    }
}
