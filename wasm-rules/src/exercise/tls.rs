//! TLS: hellos and a certificate.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Rule, Which};

use super::der::Certificate;
use super::numbers::passing;
use super::parts::Parts;
use super::talk::Say;
use super::unmet::Unmet;

use AppBuffer::*;

/// Time of the certificates: 2024, as of the packets.
const NOW: u64 = 1_704_067_200;
const YEAR: u64 = 365 * 86_400;

struct Wanted {
    version: u16,
    not_before: u64,
    not_after: u64,
    chain: u64,
}

/// A handshake up to the certificate.
pub(super) fn messages(rule: &Rule, parts: &Parts<'_>, attempt: usize) -> Result<Vec<Say>, Unmet> {
    let mut wanted = Wanted {
        version: 0x0303,
        not_before: NOW - YEAR,
        not_after: NOW + YEAR,
        chain: parts.all(TlsCerts).count().max(1) as u64,
    };
    for test in &rule.app.tests {
        tested(test, &mut wanted)?;
    }
    let payload = parts.payload();
    let (mut up, mut down) = (None, None);
    if let Some(payload) = payload {
        let looks = payload
            .first()
            .is_some_and(|first| (0x14..0x18).contains(first));
        match (parts.to_server, attempt % 2 == 1 && looks) {
            (true, true) => {
                return Ok(vec![
                    Say::up(payload),
                    Say::down(server(parts, &wanted, None)),
                ]);
            }
            (false, true) => {
                return Ok(vec![
                    Say::up(client(parts, &wanted, None)),
                    Say::down(payload),
                ]);
            }
            (true, false) => up = Some(payload),
            (false, false) => down = Some(payload),
        }
    }
    Ok(vec![
        Say::up(client(parts, &wanted, up)),
        Say::down(server(parts, &wanted, down)),
    ])
}

fn tested(test: &AppTest, wanted: &mut Wanted) -> Result<(), Unmet> {
    match test {
        AppTest::OneOf {
            field: AppField::TlsVersion,
            values,
            negated,
        } => {
            let usual = [0x0303_u64, 0x0301, 0x0302, 0x0304, 0x0300];
            let version = usual.into_iter().chain(values.iter().copied());
            let version = version
                .into_iter()
                .find(|version| values.contains(version) != *negated);
            wanted.version = version
                .and_then(|version| u16::try_from(version).ok())
                .ok_or(Unmet::Field("tls.version"))?;
        }
        AppTest::AnyBit { .. } => {}
        AppTest::Number {
            field, num, which, ..
        } => {
            let pass = |most: u64, wanted: u64| {
                passing(num, most, wanted).ok_or(Unmet::Field(field.name()))
            };
            match (field, which) {
                (AppField::TlsCertChainLen, _) => wanted.chain = pass(64, wanted.chain)?,
                (AppField::TlsCertNotBefore, Which::Any) => {
                    wanted.not_before = pass(u64::MAX >> 30, wanted.not_before)?
                }
                (AppField::TlsCertNotAfter, Which::Any) => {
                    wanted.not_after = pass(u64::MAX >> 30, wanted.not_after)?
                }
                _ => return Err(Unmet::Field(field.name())),
            }
        }
        AppTest::Age {
            field: AppField::TlsCertNotAfter,
            past: true,
        } => wanted.not_after = NOW - 1000,
        AppTest::Age { .. } => {}
        AppTest::Event(_) => return Err(Unmet::Event),
        _ => return Err(Unmet::Field("tls")),
    }
    Ok(())
}

fn client(parts: &Parts<'_>, wanted: &Wanted, extra: Option<&[u8]>) -> Vec<u8> {
    let mut body = hello_start(parts, wanted, parts.to_server);
    body.push(0);
    body.extend_from_slice(&[0, 4, 0xc0, 0x2f, 0x00, 0x9c, 1, 0]);
    let mut extensions = Vec::new();
    if let Some(name) = parts.of(TlsSni) {
        let list = [&[0], prefixed(name).as_slice()].concat();
        extension(&mut extensions, 0, &prefixed(&list));
    }
    extension(&mut extensions, 10, &[0, 2, 0, 23]);
    if parts.to_server {
        alpn(parts, &mut extensions);
    }
    if wanted.version == 0x0304 {
        extension(&mut extensions, 43, &[2, 3, 4]);
    }
    if let Some(extra) = extra {
        extension(&mut extensions, 0xfade, extra);
    }
    body.extend(prefixed(&extensions));
    record(wanted, &handshake(1, &body))
}

fn server(parts: &Parts<'_>, wanted: &Wanted, extra: Option<&[u8]>) -> Vec<u8> {
    let mut body = hello_start(parts, wanted, !parts.to_server);
    body.push(0);
    body.extend_from_slice(&[0xc0, 0x2f, 0]);
    let mut extensions = Vec::new();
    if !parts.to_server {
        alpn(parts, &mut extensions);
    }
    if wanted.version == 0x0304 {
        extension(&mut extensions, 43, &[3, 4]);
    }
    body.extend(prefixed(&extensions));
    let serial = parts
        .of(TlsCertSerial)
        .map_or_else(|| vec![0x0a, 0x1b], hexadecimal);
    let in_certs: Vec<&[u8]> = parts.all(TlsCerts).collect();
    let mut chain = Vec::new();
    for at in 0..wanted.chain {
        let own = in_certs.get(at as usize).copied().unwrap_or_default();
        let signature = [
            own,
            extra.filter(|_| at == 0).unwrap_or(b"\x5a\x5b\x5c\x5d"),
        ]
        .concat();
        let certificate = Certificate {
            subject: parts.of(TlsCertSubject).unwrap_or(b"CN=a.example"),
            issuer: parts.of(TlsCertIssuer).unwrap_or(b"CN=b.example"),
            serial: serial.clone(),
            names: parts.all(TlsSubjectAltName).collect(),
            not_before: wanted.not_before,
            not_after: wanted.not_after,
            signature,
        };
        chain.extend(long(&certificate.der()));
    }
    let mut all = record(wanted, &handshake(2, &body));
    all.extend(record(wanted, &handshake(11, &long(&chain))));
    all.extend(record(wanted, &handshake(14, &[])));
    all
}

/// Version and random.
fn hello_start(parts: &Parts<'_>, wanted: &Wanted, mine: bool) -> Vec<u8> {
    let mut out = wanted.version.min(0x0303).to_be_bytes().to_vec();
    let mut random = [0x3c; 32];
    if mine {
        for (buffer, at) in [(TlsRandom, 0), (TlsRandomTime, 0), (TlsRandomBytes, 4)] {
            for (to, from) in random
                .iter_mut()
                .skip(at)
                .zip(parts.of(buffer).unwrap_or_default())
            {
                *to = *from;
            }
        }
    }
    out.extend_from_slice(&random);
    out
}

fn alpn(parts: &Parts<'_>, out: &mut Vec<u8>) {
    let mut list = Vec::new();
    for name in parts.all(TlsAlpn) {
        list.push(name.len().min(255) as u8);
        list.extend(name.iter().take(255));
    }
    if !list.is_empty() {
        extension(out, 16, &prefixed(&list));
    }
}

fn extension(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend(prefixed(body));
}

/// With a length of two bytes before it.
fn prefixed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes()[..], body].concat()
}

/// With a length of three bytes before it.
fn long(body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (body.len() as u32).to_be_bytes();
    [&length[..], body].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &long(body)].concat()
}

/// In records of at most 16 KiB.
fn record(wanted: &Wanted, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    for part in body.chunks(16_000) {
        out.push(22);
        out.extend_from_slice(&wanted.version.min(0x0303).to_be_bytes());
        out.extend(prefixed(part));
    }
    out
}

/// The bytes of `0A:1B`.
fn hexadecimal(text: &[u8]) -> Vec<u8> {
    let pairs = text.split(|&byte| byte == b':');
    let pairs =
        pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect()
}
