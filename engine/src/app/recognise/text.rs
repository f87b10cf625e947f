//! Words and lines at the start of text.

use super::Fit;

/// Methods that begin an HTTP request, each followed by a blank.
pub(super) const METHODS: &[&str] = &[
    "GET",
    "PUT",
    "POST",
    "HEAD",
    "TRACE",
    "OPTIONS",
    "CONNECT",
    "DELETE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "CHECKOUT",
    "UNCHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "REPORT",
    "MKWORKSPACE",
    "MKACTIVITY",
    "MERGE",
    "INVALID",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

/// Methods of SIP requests.
pub(super) const SIP_METHODS: &[&str] = &[
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];

pub(super) fn begins(data: &[u8], with: &[u8]) -> Fit {
    let common = data.len().min(with.len());
    match data.get(..common) == with.get(..common) {
        true if common == with.len() => Fit::Yes,
        true => Fit::SoFar,
        false => Fit::No,
    }
}

pub(super) fn begins_nocase(data: &[u8], with: &[u8]) -> Fit {
    let common = data.len().min(with.len());
    let (left, right) = (
        data.get(..common).unwrap_or_default(),
        with.get(..common).unwrap_or_default(),
    );
    match left.eq_ignore_ascii_case(right) {
        true if common == with.len() => Fit::Yes,
        true => Fit::SoFar,
        false => Fit::No,
    }
}

/// A word and then a blank.
pub(super) fn word(data: &[u8], word: &str) -> Fit {
    match begins_nocase(data, word.as_bytes()) {
        Fit::Yes => match data.get(word.len()) {
            Some(b' ' | b'\t') => Fit::Yes,
            Some(_) => Fit::No,
            None => Fit::SoFar,
        },
        other => other,
    }
}

/// The first line, without its end.
pub(super) fn line_of(data: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 2048;
    let end = data.iter().take(LONGEST).position(|&byte| byte == b'\n')?;
    let line = data.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

pub(super) fn ends_nocase(line: &[u8], with: &[u8]) -> bool {
    let tail = line
        .len()
        .checked_sub(with.len())
        .and_then(|at| line.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(with))
}

pub(super) fn contains_nocase(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len())
        .any(|window| window.eq_ignore_ascii_case(what))
}
