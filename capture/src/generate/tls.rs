//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446): real hellos, certificate-shaped certificates, random bytes for what would be encrypted.

use super::rng::Rng;
use super::stage::Stage;
use super::text;
use super::wire::Dir;

const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const DATA: u8 = 23;

/// Most bytes of data in one record.
const RECORD: usize = 16_000;

const CIPHERS: [u16; 9] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
];

/// A visit to a site.
pub(super) fn visit(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.outside();
    let mut rng = stage.rng.fork();
    let name = text::host(&mut rng);
    let path = stage.path(client, server, 443);
    let modern = !rng.one_in(3);
    let hello = client_hello(&mut rng, name, modern);
    let mut tcp = stage.connect(path);
    let mut buffer = Vec::new();
    tcp.say(Dir::Up, &hello).think(1_000_000);
    server_flight(&mut rng, &mut buffer, name, modern);
    tcp.say(Dir::Down, &buffer).think(1_000_000);
    buffer.clear();
    client_flight(&mut rng, &mut buffer, modern);
    tcp.say(Dir::Up, &buffer);
    for _ in 0..rng.range(1, 6) {
        buffer.clear();
        let asked = rng.size(80, 700);
        sealed(&mut rng, &mut buffer, DATA, asked);
        tcp.think(100_000_000)
            .say(Dir::Up, &buffer)
            .think(15_000_000);
        buffer.clear();
        let mut left = match rng.below(8) {
            0 => rng.size(40_000, 250_000),
            1..4 => rng.size(3000, 30_000),
            _ => rng.size(100, 3000),
        };
        while left > 0 {
            let part = left.min(RECORD);
            sealed(&mut rng, &mut buffer, DATA, part);
            left -= part;
        }
        tcp.say(Dir::Down, &buffer);
    }
    buffer.clear();
    sealed(&mut rng, &mut buffer, ALERT, 18);
    tcp.say(Dir::Up, &buffer);
    tcp.close(Dir::Up);
}

/// A record with a client hello that names `name` in its SNI extension.
pub(super) fn client_hello(rng: &mut Rng, name: &str, modern: bool) -> Vec<u8> {
    let mut body = vec![3, 3];
    rng.bytes(&mut body, 32);
    body.push(32);
    rng.bytes(&mut body, 32);
    prefixed(&mut body, 2, |body| {
        let offered = if modern { &CIPHERS[..] } else { &CIPHERS[3..] };
        for cipher in offered {
            body.extend_from_slice(&cipher.to_be_bytes());
        }
    });
    body.extend_from_slice(&[1, 0]);
    prefixed(&mut body, 2, |body| {
        // server_name: a list with one host name.
        extension(body, 0, |body| {
            prefixed(body, 2, |body| {
                body.push(0);
                prefixed(body, 2, |body| body.extend_from_slice(name.as_bytes()));
            });
        });
        extension(body, 23, |_| {});
        extension(body, 10, |body| {
            body.extend_from_slice(&[0, 6, 0, 29, 0, 23, 0, 24]);
        });
        extension(body, 11, |body| body.extend_from_slice(&[1, 0]));
        extension(body, 16, |body| {
            body.extend_from_slice(b"\x00\x0c\x02h2\x08http/1.1");
        });
        extension(body, 13, |body| {
            body.extend_from_slice(&[0, 12, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1]);
        });
        if modern {
            extension(body, 43, |body| body.extend_from_slice(&[4, 3, 4, 3, 3]));
            extension(body, 45, |body| body.extend_from_slice(&[1, 1]));
            extension(body, 51, |body| {
                body.extend_from_slice(&[0, 36, 0, 29, 0, 32]);
                rng.bytes(body, 32);
            });
        }
    });
    let mut out = Vec::new();
    record(&mut out, HANDSHAKE, [3, 1], |out| {
        handshake(out, 1, &body);
    });
    out
}

fn server_flight(rng: &mut Rng, out: &mut Vec<u8>, name: &str, modern: bool) {
    let mut hello = vec![3, 3];
    rng.bytes(&mut hello, 32);
    hello.push(32);
    rng.bytes(&mut hello, 32);
    hello.extend_from_slice(if modern {
        &[0x13, 0x01, 0]
    } else {
        &[0xc0, 0x2f, 0]
    });
    prefixed(&mut hello, 2, |hello| {
        if modern {
            extension(hello, 43, |hello| hello.extend_from_slice(&[3, 4]));
            extension(hello, 51, |hello| {
                hello.extend_from_slice(&[0, 29, 0, 32]);
                rng.bytes(hello, 32);
            });
        } else {
            extension(hello, 23, |_| {});
            extension(hello, 11, |hello| hello.extend_from_slice(&[1, 0]));
        }
    });
    record(out, HANDSHAKE, [3, 3], |out| handshake(out, 2, &hello));
    if modern {
        record(out, CHANGE_CIPHER, [3, 3], |out| out.push(1));
        // Extensions, certificate, proof and finished, encrypted.
        for length in [40, rng.size(2200, 4200), 280, 70] {
            sealed(rng, out, DATA, length);
        }
        return;
    }
    let mut chain = Vec::new();
    prefixed(&mut chain, 3, |chain| {
        for subject in [name, "Example Issuing CA 7"] {
            prefixed(chain, 3, |chain| certificate(rng, chain, subject));
        }
    });
    record(out, HANDSHAKE, [3, 3], |out| handshake(out, 11, &chain));
    let mut exchange = vec![3, 0, 29, 32];
    rng.bytes(&mut exchange, 32);
    exchange.extend_from_slice(&[4, 1, 1, 0]);
    rng.bytes(&mut exchange, 256);
    record(out, HANDSHAKE, [3, 3], |out| handshake(out, 12, &exchange));
    record(out, HANDSHAKE, [3, 3], |out| handshake(out, 14, &[]));
}

fn client_flight(rng: &mut Rng, out: &mut Vec<u8>, modern: bool) {
    if modern {
        record(out, CHANGE_CIPHER, [3, 3], |out| out.push(1));
        sealed(rng, out, DATA, 53);
        return;
    }
    let mut key = vec![32];
    rng.bytes(&mut key, 32);
    record(out, HANDSHAKE, [3, 3], |out| handshake(out, 16, &key));
    record(out, CHANGE_CIPHER, [3, 3], |out| out.push(1));
    sealed(rng, out, HANDSHAKE, 40);
}

/// Something of the shape of an X.509 certificate: issuer, validity, subject, key, signature, in DER.
fn certificate(rng: &mut Rng, out: &mut Vec<u8>, subject: &str) {
    let common_name = |value: &str| {
        let pair = [der(6, &[0x55, 4, 3]), der(12, value.as_bytes())].concat();
        der(0x30, &der(0x31, &der(0x30, &pair)))
    };
    let sha256_with_rsa = der(
        0x30,
        &[
            der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]),
            der(5, &[]),
        ]
        .concat(),
    );
    let mut random = Vec::new();
    rng.bytes(&mut random, 8 + 256 + 256);
    let (serial, rest) = random.split_at(8);
    let (key, signature) = rest.split_at(256);
    let signed = [
        der(0xa0, &der(2, &[2])),
        der(2, serial),
        sha256_with_rsa.clone(),
        common_name("Example Issuing CA 7"),
        der(
            0x30,
            &[der(23, b"260101000000Z"), der(23, b"270101000000Z")].concat(),
        ),
        common_name(subject),
        der(
            0x30,
            &[sha256_with_rsa.clone(), der(3, &[&[0], key].concat())].concat(),
        ),
    ]
    .concat();
    let whole = [
        der(0x30, &signed),
        sha256_with_rsa,
        der(3, &[&[0], signature].concat()),
    ]
    .concat();
    out.extend_from_slice(&der(0x30, &whole));
}

fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        short @ ..128 => out.push(short as u8),
        middle @ 128..256 => out.extend_from_slice(&[0x81, middle as u8]),
        long => {
            out.push(0x82);
            out.extend_from_slice(&(long as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    out
}

fn record(out: &mut Vec<u8>, kind: u8, version: [u8; 2], body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend_from_slice(&version);
    prefixed(out, 2, body);
}

/// A record of random bytes, which is what encryption looks like.
fn sealed(rng: &mut Rng, out: &mut Vec<u8>, kind: u8, length: usize) {
    record(out, kind, [3, 3], |out| rng.bytes(out, length));
}

fn handshake(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    prefixed(out, 3, |out| out.extend_from_slice(body));
}

fn extension(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&kind.to_be_bytes());
    prefixed(out, 2, body);
}

/// Appends what `body` writes behind its length in `width` bytes (at most 4), big endian.
pub(super) fn prefixed(out: &mut Vec<u8>, width: usize, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + width, 0);
    body(out);
    let length = (out.len() - at - width) as u32;
    out[at..at + width].copy_from_slice(&length.to_be_bytes()[4 - width..]);
}
