//! Starts of binary messages.

use super::text::begins;
use super::{Fit, Ports};

/// TLS and SSL records, and SSLv2 hellos.
pub(super) fn tls(data: &[u8], to_server: bool) -> Fit {
    match data {
        [0x14..=0x17, 3] | [0x14..=0x17] => Fit::SoFar,
        [0x14..=0x17, 3, 0..=4, ..] => Fit::Yes,
        // A hello of SSLv2, alone or for later versions: two bytes of length, then its type and version.
        [first, _, 1, 0, 2, ..] | [first, _, 1, 3, 0..=4, ..] if to_server && first & 0x80 != 0 => {
            Fit::Yes
        }
        [first] | [first, _] | [first, _, 1] | [first, _, 1, 0 | 3]
            if to_server && first & 0x80 != 0 =>
        {
            Fit::SoFar
        }
        _ => Fit::No,
    }
}

/// SMB over NetBIOS sessions.
pub(super) fn smb(data: &[u8], ports: Ports) -> Fit {
    // A session request and its answer come before SMB on port 139.
    if ports.has(139) && matches!(data, [0x81 | 0x82, 0, ..]) {
        return Fit::Yes;
    }
    match data {
        [0] | [0, _] | [0, _, _] | [0, _, _, _] => Fit::SoFar,
        [0, _, _, _, rest @ ..] => {
            let fits = [b"\xffSMB", b"\xfeSMB", b"\xfdSMB"].map(|magic| begins(rest, magic));
            if fits.contains(&Fit::Yes) {
                Fit::Yes
            } else if fits.contains(&Fit::SoFar) {
                Fit::SoFar
            } else {
                Fit::No
            }
        }
        _ => Fit::No,
    }
}

/// Connection-oriented DCE/RPC: version 5.0 or 5.1, a known packet type, a known byte order.
pub(super) fn dcerpc(data: &[u8]) -> Fit {
    match data {
        [5] | [5, 0 | 1] | [5, 0 | 1, 0..=19] | [5, 0 | 1, 0..=19, _] => Fit::SoFar,
        [5, 0 | 1, 0..=19, _, order, ..] if matches!(order & 0xf0, 0 | 0x10) => Fit::Yes,
        _ => Fit::No,
    }
}

/// A connection request or confirm of X.224 in TPKT.
pub(super) fn rdp(data: &[u8]) -> Fit {
    match data {
        [3, 0, _, _, _, 0xe0 | 0xd0, ..] => Fit::Yes,
        [3] | [3, 0] | [3, 0, _] | [3, 0, _, _] | [3, 0, _, _, _] => Fit::SoFar,
        _ => Fit::No,
    }
}

/// A CONNECT of MQTT: its type, a length in one to four bytes, the protocol's name.
pub(super) fn mqtt(data: &[u8]) -> Fit {
    if data.first() != Some(&0x10) {
        return Fit::No;
    }
    let length = data
        .iter()
        .skip(1)
        .take(4)
        .position(|byte| byte & 0x80 == 0);
    let Some(rest) = length.and_then(|at| data.get(at + 2..)) else {
        return if data.len() < 5 { Fit::SoFar } else { Fit::No };
    };
    match (begins(rest, b"\0\x04MQTT"), begins(rest, b"\0\x06MQIsdp")) {
        (Fit::Yes, _) | (_, Fit::Yes) => Fit::Yes,
        (Fit::SoFar, _) | (_, Fit::SoFar) => Fit::SoFar,
        _ => Fit::No,
    }
}

/// Any message of MQTT: a type that is assigned, a quality of service that is, a length in one to four bytes.
pub(super) fn mqtt_message(data: &[u8]) -> Fit {
    match data.split_first() {
        Some((first, _)) if first & 0xf0 == 0 || first & 6 == 6 => Fit::No,
        Some((_, length)) if length.iter().take(4).any(|byte| byte & 0x80 == 0) => Fit::Yes,
        Some((_, length)) if length.len() >= 4 => Fit::No,
        _ => Fit::SoFar,
    }
}

/// A header of DNS that makes sense in a message of so many bytes.
pub(super) fn dns(data: &[u8], len: usize) -> bool {
    let Some(header) = data.first_chunk::<12>() else {
        return false;
    };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let opcode = header[2] >> 3 & 0xf;
    // What no message has: thousands of questions, or nothing at all.
    let questions = count(4);
    let records = [count(6), count(8), count(10)];
    if opcode > 6 && opcode != 15 || questions > 32 {
        return false;
    }
    let room = len.saturating_sub(header.len()) / 5;
    usize::from(questions) <= room + 1
        && (questions > 0 || records.iter().any(|&count| count > 0) || header[2] & 0x80 != 0)
}

/// A message of DNS behind its length.
pub(super) fn dns_tcp(data: &[u8]) -> Fit {
    match data {
        [high, low, message @ ..] if message.len() >= 12 => {
            // It may not be there yet.
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            match dns(message, len.max(message.len())) {
                true => Fit::Yes,
                false => Fit::No,
            }
        }
        _ => Fit::SoFar,
    }
}

/// A message of SNMP: a sequence that begins with a small version number.
pub(super) fn snmp(data: &[u8]) -> bool {
    let Some((&0x30, rest)) = data.split_first() else {
        return false;
    };
    let skip = match rest.first() {
        Some(length) if length & 0x80 == 0 => 1,
        Some(length) => 1 + usize::from(length & 0x7f),
        None => return false,
    };
    matches!(rest.get(skip..), Some([2, 1, 0..=3, ..]))
}

/// A message of Kerberos: an application tag that it uses.
pub(super) fn krb5(data: &[u8]) -> Fit {
    match data.first() {
        Some(tag)
            if tag & 0xe0 == 0x60 && matches!(tag & 0x1f, 10..=16 | 20..=22 | 25..=27 | 30) =>
        {
            Fit::Yes
        }
        Some(_) => Fit::No,
        None => Fit::SoFar,
    }
}

/// A long header of QUIC that a client begins with: version 1, 2 or a draft, or Google's.
pub(super) fn quic(data: &[u8]) -> bool {
    match data {
        [first, version @ ..] if first & 0xc0 == 0xc0 => match version {
            [0, 0, 0, 1, ..] | [0x6b, 0x33, 0x43, 0xcf, ..] | [0xff, 0, 0, _, ..] => {
                data.len() > 40
            }
            [b'Q' | b'T', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => data.len() > 40,
            _ => false,
        },
        // Google's public header with a version.
        [first, rest @ ..] if first & 0x09 == 0x09 && first & 0xc0 == 0 => {
            matches!(
                rest.get(8..12),
                Some([b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])
            )
        }
        _ => false,
    }
}
