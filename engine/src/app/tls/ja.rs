//! Fingerprints of hellos: JA3, JA3S (Salesforce, BSD) and JA4 (FoxIO, BSD).

use std::fmt::{Display, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::hello::{Hello, is_grease};
use crate::app::text::hex;

fn joined<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{value}");
    }
    text
}

/// Whether GREASE counts. JA3 leaves it out; Suricata leaves it out of TLS and not out of QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grease {
    Out,
    In,
}

impl Grease {
    fn of(self, values: &[u16]) -> impl Iterator<Item = u16> {
        let values = values.iter().copied();
        values.filter(move |&value| self == Self::In || !is_grease(value))
    }
}

/// The string of JA3: version, ciphers, extensions, groups and point formats.
pub(crate) fn ja3(hello: &Hello, grease: Grease) -> String {
    let groups = joined(grease.of(&hello.groups));
    let point_formats = joined(&hello.point_formats);
    format!("{},{groups},{point_formats}", ja3s(hello, grease))
}

/// The string of JA3S: version, cipher, extensions.
pub(crate) fn ja3s(hello: &Hello, grease: Grease) -> String {
    let ciphers = joined(grease.of(&hello.ciphers));
    let extensions = joined(grease.of(&hello.extensions));
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
    let known = |list: &[u16]| Grease::Out.of(list).collect::<Vec<_>>();
    let (ciphers, extensions) = (known(&hello.ciphers), known(&hello.extensions));
    let count = |list: &[u16]| list.len().min(99);
    let [first, last] = alpn_letters(hello.alpns.first().map_or(&[], |alpn| alpn.as_slice()));

    let mut sorted_ciphers = four_digits(&ciphers);
    sorted_ciphers.sort_unstable();
    // Server name and ALPN are in the first part.
    let others = extensions.iter().copied();
    let others: Vec<_> = others.filter(|kind| !matches!(kind, 0 | 16)).collect();
    let mut sorted_extensions = four_digits(&others);
    sorted_extensions.sort_unstable();
    let signatures = four_digits(&known(&hello.signatures)).join(",");
    let third = format!("{}_{signatures}", sorted_extensions.join(","));
    format!(
        "{transport}{version}{named}{:02}{:02}{first}{last}_{}_{}",
        count(&ciphers),
        count(&extensions),
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
