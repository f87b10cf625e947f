//! What hides mails' contents: base64 and quoted-printable (RFC 2045), in pieces as they come.

/// Base64 over lines. What is not of the alphabet is skipped.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    bits: u32,
    /// Characters that wait for the fourth.
    count: u8,
}

impl Base64 {
    /// Decodes; false where there was something else than base64 and white space.
    pub fn decode(&mut self, text: &[u8], to: &mut Vec<u8>) -> bool {
        to.reserve(text.len() / 4 * 3 + 3);
        let mut valid = true;
        for &byte in text {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    self.flush(to);
                    continue;
                }
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                _ => {
                    valid = false;
                    continue;
                }
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.count += 1;
            if self.count == 4 {
                let [_, bytes @ ..] = self.bits.to_be_bytes();
                to.extend_from_slice(&bytes);
                (self.bits, self.count) = (0, 0);
            }
        }
        valid
    }

    /// No more comes: what two or three characters say.
    pub fn flush(&mut self, to: &mut Vec<u8>) {
        let [_, first, second, _] =
            (self.bits << (6 * (4 - u32::from(self.count.min(4))))).to_be_bytes();
        match self.count {
            2 => to.push(first),
            3 => to.extend_from_slice(&[first, second]),
            _ => {}
        }
        (self.bits, self.count) = (0, 0);
    }
}

/// Quoted-printable.
#[derive(Debug, Default)]
pub(super) struct Quoted {
    /// An equals sign, and perhaps what follows it, which the next piece completes.
    begun: Vec<u8>,
}

impl Quoted {
    /// Decodes a line, or a piece of one (`ending` 0; 1 and 2 are the line feed, with or without a carriage return).
    /// False where an equals sign does not begin anything.
    pub fn decode(&mut self, text: &[u8], ending: u8, to: &mut Vec<u8>) -> bool {
        let mut valid = true;
        let begun = std::mem::take(&mut self.begun);
        let mut bytes = begun.iter().chain(text).copied();
        loop {
            match bytes.next() {
                None => break,
                Some(b'=') => {}
                Some(byte) => {
                    to.push(byte);
                    continue;
                }
            }
            let (high, low) = (bytes.next(), bytes.next());
            if let (Some(high), Some(low)) = (high, low) {
                match (digit(high), digit(low)) {
                    (Some(high), Some(low)) => to.push(high << 4 | low),
                    _ => valid = false,
                }
                continue;
            }
            if ending == 0 {
                self.begun.push(b'=');
                self.begun.extend(high);
            } else if high.is_some() {
                valid = false;
                break;
            } else {
                // A soft line break.
                return valid;
            }
        }
        to.extend_from_slice(super::ending(ending));
        valid
    }
}

/// A hexadecimal digit. Small letters are against RFC 2045, but everybody takes them.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_in_any_pieces() {
        let text = b"SGVs bG8g\r\nd29ybGQhIQ==TWFu";
        for chunk in 1..text.len() {
            let (mut decoder, mut to) = (Base64::default(), Vec::new());
            for piece in text.chunks(chunk) {
                assert!(decoder.decode(piece, &mut to));
            }
            assert_eq!(to, b"Hello world!!Man");
        }
        let (mut decoder, mut to) = (Base64::default(), Vec::new());
        assert!(!decoder.decode(b"S*GVsbG8", &mut to));
        decoder.flush(&mut to);
        assert_eq!(to, b"Hello");
    }

    #[test]
    fn quoted_printable_is_decoded_in_any_pieces() {
        let text = b"a=3Db=20 c";
        for chunk in 1..text.len() {
            let (mut decoder, mut to) = (Quoted::default(), Vec::new());
            let last = text.len().div_ceil(chunk) - 1;
            for (at, piece) in text.chunks(chunk).enumerate() {
                let ending = if at == last { 2 } else { 0 };
                assert!(decoder.decode(piece, ending, &mut to));
            }
            assert_eq!(to, b"a=b  c\r\n");
        }
        let (mut decoder, mut to) = (Quoted::default(), Vec::new());
        assert!(decoder.decode(b"soft=", 2, &mut to));
        assert!(decoder.decode(b" break", 1, &mut to));
        assert!(!decoder.decode(b"x=zzy=4", 1, &mut to));
        assert_eq!(to, b"soft break\nxy\n");
    }
}
