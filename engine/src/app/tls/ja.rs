//! Fingerprints of hellos: JA3, JA3S (Salesforce, BSD) and JA4 (FoxIO, BSD).

use std::fmt::{Display, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::hello::Hello;
use crate::app::text::hex;

fn joined<T: Display>(values: &[T], separator: &str) -> String {
    let mut text = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{value}");
    }
    text
}

/// The string of JA3: version, ciphers, extensions, groups and point formats.
pub(crate) fn ja3(hello: &Hello) -> String {
    let point_formats = joined(&hello.point_formats, "-");
    format!(
        "{},{},{point_formats}",
        ja3s(hello),
        joined(&hello.groups, "-")
    )
}

/// The string of JA3S: version, cipher, extensions.
pub(crate) fn ja3s(hello: &Hello) -> String {
    let ciphers = joined(&hello.ciphers, "-");
    let extensions = joined(&hello.extensions, "-");
    format!("{},{ciphers},{extensions}", hello.legacy_version)
}

/// The hash of a JA3 or JA3S string: MD5 in hexadecimal digits.
pub(crate) fn ja3_hash(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()), "")
}

/// JA4 of a client hello, over TCP or over QUIC.
pub(crate) fn ja4(hello: &Hello, quic: bool) -> String {
    let transport = if quic { 'q' } else { 't' };
    let version = match hello.version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    };
    let named = if hello.extensions.contains(&0) {
        'd'
    } else {
        'i'
    };
    let count = |list: &[u16]| list.len().min(99);
    let (ciphers, extensions) = (count(&hello.ciphers), count(&hello.extensions));
    let [first, last] = alpn_letters(hello.alpns.first().map_or(&[], |alpn| alpn.as_slice()));

    let mut sorted_ciphers = four_digits(&hello.ciphers);
    sorted_ciphers.sort_unstable();
    // Server name and ALPN are in the first part.
    let others: Vec<_> = hello
        .extensions
        .iter()
        .copied()
        .filter(|kind| !matches!(kind, 0 | 16))
        .collect();
    let mut sorted_extensions = four_digits(&others);
    sorted_extensions.sort_unstable();
    let signatures = four_digits(&hello.signatures).join(",");
    let third = format!("{}_{signatures}", sorted_extensions.join(","));
    format!(
        "{transport}{version}{named}{ciphers:02}{extensions:02}{first}{last}_{}_{}",
        twelve(&sorted_ciphers.join(",")),
        twelve(&third)
    )
}

/// First and last letter of the first ALPN; digits of a hexadecimal view where one is not a letter or a digit.
fn alpn_letters(alpn: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (alpn.first(), alpn.last()) else {
        return ['0', '0'];
    };
    // GREASE.
    if alpn.len() > 1 && first == last && first & 0xf == 0xa {
        return ['0', '0'];
    }
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    [first >> 4, last & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
}

fn four_digits(values: &[u16]) -> Vec<String> {
    values.iter().map(|value| format!("{value:04x}")).collect()
}

/// The first twelve digits of SHA-256.
fn twelve(text: &str) -> String {
    let mut digits = hex(&Sha256::digest(text.as_bytes()), "");
    digits.truncate(12);
    digits
}
