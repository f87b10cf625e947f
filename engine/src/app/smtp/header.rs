//! Headers of mails, and the parameters in them (RFC 2045, RFC 2231).

use std::borrow::Cow;

/// Most parameters of a header that are looked at.
const MOST_PARAMETERS: usize = 64;

/// Most sections of a parameter that goes on over several (RFC 2231).
const MOST_SECTIONS: usize = 64;

/// White space in headers.
fn space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without white space at both ends.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && space(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && space(last)
    {
        text = rest;
    }
    text
}

/// Name and value of a header line. White space before the colon is of old times, but everybody takes it.
pub(super) fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let value = line.get(colon + 1..)?;
    let start = value.iter().position(|byte| !space(byte));
    let value = value.get(start.unwrap_or(value.len())..)?;
    Some((trim(line.get(..colon)?), value))
}

/// The next parameter after a semicolon: its name, its value without quotes, and what follows it.
fn parameter(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let equals = memchr::memchr(b'=', text)?;
    let name = trim(text.get(..equals)?);
    let value = text.get(equals + 1..)?;
    let value = value.get(value.iter().take_while(|byte| space(byte)).count()..)?;
    let (value, rest) = match value {
        [b'"', quoted @ ..] => {
            let mut escaped = false;
            let end = quoted.iter().position(|&byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            let end = end.unwrap_or(quoted.len());
            (quoted.get(..end)?, quoted.get(end..)?)
        }
        _ => {
            let end = memchr::memchr(b';', value).unwrap_or(value.len());
            (trim(value.get(..end)?), value.get(end..)?)
        }
    };
    let next = memchr::memchr(b';', rest).map_or(rest.len(), |at| at + 1);
    Some((name, value, rest.get(next..)?))
}

/// All parameters of a header.
fn parameters(header: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut all = Vec::new();
    let first = memchr::memchr(b';', header).map(|at| at + 1);
    let mut rest = first.and_then(|at| header.get(at..)).unwrap_or_default();
    while all.len() < MOST_PARAMETERS
        && let Some((name, value, next)) = parameter(rest)
    {
        all.push((name, value));
        rest = next;
    }
    all
}

/// What a parameter of a header says. Where it is there several times, the last counts, as for Suricata; where it is cut
/// into sections (`name*0`, `name*1`), they are put together. One with a character set (`name*=utf-8''%41`) is decoded
/// where there is no plain one.
pub(super) fn find<'a>(header: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    let all = parameters(header);
    let named = |with: &str| {
        let is_it = |of: &&(&[u8], &[u8])| of.0.eq_ignore_ascii_case(with.as_bytes());
        all.iter().rev().find(is_it).map(|&(_, value)| value)
    };
    if let Some(value) = named(name) {
        return Some(Cow::Borrowed(value));
    }
    let mut whole = Vec::new();
    for section in 0..MOST_SECTIONS {
        if let Some(value) = named(&format!("{name}*{section}")) {
            whole.extend_from_slice(value);
        } else if let Some(value) = named(&format!("{name}*{section}*")) {
            decode(value, section == 0, &mut whole);
        } else if section == 0 {
            decode(named(&format!("{name}*"))?, true, &mut whole);
            break;
        } else {
            break;
        }
    }
    Some(Cow::Owned(whole))
}

/// Decodes `%41`, behind the character set and the language where they are.
fn decode(value: &[u8], first: bool, to: &mut Vec<u8>) {
    let mut rest = value;
    if first {
        let mut quotes = memchr::memchr_iter(b'\'', value);
        if let (Some(_), Some(second)) = (quotes.next(), quotes.next()) {
            rest = value.get(second + 1..).unwrap_or_default();
        }
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    while let [byte, after @ ..] = rest {
        rest = after;
        if let (b'%', [high, low, after @ ..]) = (byte, rest)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            to.push(high << 4 | low);
            rest = after;
        } else {
            to.push(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(header: &str, name: &str) -> Option<String> {
        let value = find(header.as_bytes(), name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn parameters_are_found() {
        let header = "attachment; size=3 ; filename=\"a;b\\\".txt\"; x=y";
        assert_eq!(text(header, "filename").as_deref(), Some("a;b\\\".txt"));
        assert_eq!(text(header, "size").as_deref(), Some("3"));
        assert_eq!(text(header, "X").as_deref(), Some("y"));
        assert_eq!(text("attachment", "filename"), None);
        assert_eq!(text("filename=x", "filename"), None);
        assert_eq!(text("a; filename=", "filename").as_deref(), Some(""));
        assert_eq!(text("a; filename=\"x", "filename").as_deref(), Some("x"));
        assert_eq!(text("a; n=1; n=2", "n").as_deref(), Some("2"));
    }

    #[test]
    fn sections_and_character_sets_are_read() {
        let header = "a; filename*0=\"mal\"; filename*1=\"ware\"; filename*2=.exe";
        assert_eq!(text(header, "filename").as_deref(), Some("malware.exe"));
        let header = "a; filename*=utf-8'en'%41%2ee%xx";
        assert_eq!(text(header, "filename").as_deref(), Some("A.e%xx"));
        let header = "a; filename*0*=utf-8''%41; filename*1=b%41";
        assert_eq!(text(header, "filename").as_deref(), Some("Ab%41"));
    }

    #[test]
    fn header_lines_are_split() {
        assert_eq!(split(b"To : \t me "), Some((&b"To"[..], &b"me "[..])));
        assert_eq!(split(b"To:"), Some((&b"To"[..], &b""[..])));
        assert_eq!(split(b"To"), None);
        assert_eq!(trim(b" \r\n"), b"");
    }
}
