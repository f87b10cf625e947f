//! DNS over UDP (RFC 1035).

use super::rng::Rng;
use super::stage::Stage;
use super::text;

pub(super) const A: u16 = 1;
const SOA: u16 = 6;
pub(super) const TXT: u16 = 16;
const AAAA: u16 = 28;

/// A pointer to the question's name, which stands at offset 12.
const QUESTION: [u8; 2] = [0xc0, 12];

/// A workstation asks the resolver at home.
pub(super) fn resolve(stage: &mut Stage<'_>) {
    let client = stage.workstation();
    let server = stage.server(2);
    let mut path = stage.path(client, server, 53);
    // A name that the resolver does not have takes a trip outside.
    if stage.rng.one_in(3) {
        path.rtt += stage.rng.range(5, 60) * 1_000_000;
    }
    let mut rng = stage.rng.fork();
    let name = text::host(&mut rng);
    let first = rng.next() as u16;
    let kinds: &[u16] = match rng.below(8) {
        0 => &[TXT],
        1..4 => &[A, AAAA],
        _ => &[A],
    };
    let mut at = stage.start;
    for (&kind, id) in kinds.iter().zip(first..=u16::MAX) {
        let missing = rng.one_in(12);
        let asked = if missing {
            format!("{}.{name}", text::word(&mut rng))
        } else {
            name.to_owned()
        };
        let request = query(id, &asked, kind);
        let answer = if missing {
            no_such_name(&request)
        } else {
            answer(&mut rng, &request, kind)
        };
        stage.ask(&path, at, &request, &answer);
        at += 40_000;
    }
}

/// A query with recursion desired.
pub(super) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        // Names here are our own, with labels of at most 63 bytes.
        out.push(label.len().min(63) as u8);
        out.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    out.push(0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out
}

/// The answer to a query, with one to four records of its kind.
pub(super) fn answer(rng: &mut Rng, query: &[u8], kind: u16) -> Vec<u8> {
    let count = rng.range(1, 5);
    let mut out = respond(query, 0, [count as u8, 0]);
    for _ in 0..count {
        let mut data = Vec::new();
        match kind {
            A => data.extend_from_slice(&[198, 51, 100, rng.range(1, 255) as u8]),
            AAAA => {
                data.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0xf0, 0, 0, 0]);
                rng.bytes(&mut data, 8);
            }
            _ => {
                let mut words = Vec::new();
                let length = rng.size(20, 90);
                text::prose(rng, &mut words, length);
                data.push(words.len() as u8);
                data.extend_from_slice(&words);
            }
        }
        record(&mut out, kind, &data);
    }
    out
}

fn no_such_name(query: &[u8]) -> Vec<u8> {
    let mut out = respond(query, 3, [0, 1]);
    // Server and mailbox point at the question's name; then serial and the timers.
    let mut data = [QUESTION, QUESTION].concat();
    for number in [2_026_010_101_u32, 7200, 900, 1_209_600, 300] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    record(&mut out, SOA, &data);
    out
}

/// A response's header and question; `counts` of answers and authorities.
fn respond(query: &[u8], code: u8, [answers, authorities]: [u8; 2]) -> Vec<u8> {
    let mut out = query.to_vec();
    out[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    out[7] = answers;
    out[9] = authorities;
    out
}

fn record(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    out.extend_from_slice(&QUESTION);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}
