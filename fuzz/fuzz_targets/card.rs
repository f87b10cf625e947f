//! What comes from a card, or goes to one, made of arbitrary bytes: headers, report units, register writes, and the golden
//! model's stream between them.
//!
//! The input is a choice (1 byte), then parts: length (1 byte), kind (1 byte), bytes. A part stands as it is, is made
//! the payload of a record, the items of a report unit, or register writes.
#![no_main]

use card_protocol::record::{HEADER, Header, Record};
use card_protocol::register::{CONTROL, CONTROL_ENABLE, LIMIT, NONCE};
use card_protocol::report::{ITEMS, Item, UNIT, Unit};
use card_protocol::reports::{Event, Reports};
use libfuzzer_sys::fuzz_target;
use weir_engine::matcher::{Outcome, Probe, Request};
use weir_tables::{Geometry, Golden, Key, Offload, Settings};

const SESSION: u32 = 0x0102_0304;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else {
        return;
    };
    let lanes = [8, 16, 32, 64][usize::from(choice) % 4];
    let geometry = Geometry {
        lanes,
        filters: [4; 5],
        exact: 3,
        engines: 1,
    };
    let mut host = Host::new(geometry);
    let mut golden = Golden::new(geometry);
    for (address, value) in host.offload.start(true) {
        golden.write(address, value);
    }
    let (mut up, mut down, mut number) = (Vec::new(), Vec::new(), 0);
    while let [length, kind, more @ ..] = rest {
        let (part, after) = more.split_at(usize::from(*length).min(more.len()));
        rest = after;
        match kind % 8 {
            0 => up.extend_from_slice(part),
            1 => down.extend_from_slice(part),
            2 => record(part, *kind, lanes, &mut up),
            3 => header(part, &mut up),
            4 => {
                down.extend(unit(part, number));
                number = number.wrapping_add(u32::from(kind >> 3 != 0));
            }
            5 => write(&mut golden, part),
            _ => host.submit(part, kind >> 3, &mut up),
        }
        if kind >> 6 == 0 {
            exchange(&mut golden, &mut up, &mut down);
            host.take(&mut down);
        }
    }
    exchange(&mut golden, &mut up, &mut down);
    host.take(&mut down);
    host.finish();
});

fn record(part: &[u8], kind: u8, lanes: usize, up: &mut Vec<u8>) {
    let record = Record {
        nonce: SESSION,
        sequence: part.len() as u32,
        group: kind >> 3,
        carry: kind >> 5,
        generation: u16::from(kind >> 7),
        payload: part,
    };
    let at = up.len();
    up.resize(at + record.size(lanes), 0xEE);
    match record.write(lanes, &mut up[at..]) {
        Ok(written) => assert_eq!(written, up.len() - at),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            up.truncate(at);
        }
    }
}

/// A header whose CRC is right, whatever its fields are.
fn header(part: &[u8], up: &mut Vec<u8>) {
    let mut bytes = [0; HEADER];
    for (to, &from) in bytes.iter_mut().zip(part) {
        *to = from;
    }
    if let Err(error) = Header::parse(&bytes, SESSION) {
        assert!(!error.to_string().is_empty());
    }
    let field = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let header = Header {
        nonce: SESSION,
        sequence: field(0).into(),
        length: field(2),
        group: bytes[4],
        carry: bytes[5],
        generation: field(6),
        payload_crc: field(8).into(),
    };
    assert_eq!(Header::parse(&header.encode(), SESSION), Ok(header));
    up.extend(header.encode());
}

/// A unit whose CRC is right, whatever its items are.
fn unit(part: &[u8], number: u32) -> [u8; UNIT] {
    let mut items = [0; ITEMS];
    for (to, word) in items.iter_mut().zip(part.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        *to = u64::from_le_bytes(bytes);
        match Item::parse(*to) {
            Ok(Some(item)) => assert_eq!(item.encode(), *to),
            Ok(None) => assert_eq!(*to, 0),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let unit = Unit {
        nonce: SESSION,
        number,
        items,
    };
    assert_eq!(Unit::parse(&unit.encode(), SESSION), Ok(unit));
    unit.encode()
}

fn write(golden: &mut Golden, part: &[u8]) {
    for word in part.chunks_exact(5) {
        let value = u32::from_le_bytes([word[1], word[2], word[3], word[4]]);
        golden.write(u32::from(word[0]) * 4, value);
    }
    for address in (0..0x100).step_by(4) {
        golden.read(address);
    }
    // So that the session goes on.
    golden.write(NONCE, SESSION);
    golden.write(CONTROL, CONTROL_ENABLE);
    golden.write(LIMIT, 40);
}

/// The core answers what is well formed.
fn exchange(golden: &mut Golden, up: &mut Vec<u8>, down: &mut Vec<u8>) {
    let mut units = Vec::new();
    assert_eq!(golden.feed(up, &mut units), up.len());
    up.clear();
    assert_eq!(units.len() % UNIT, 0);
    let mut reports = Reports::new(SESSION);
    reports.feed(&units, &mut |event| {
        assert!(!matches!(event, Event::Unknown(_)))
    });
    assert_eq!((reports.counts().skipped, reports.pending()), (0, 0));
    down.append(&mut units);
}

/// The host's side: every buffer is answered once, whatever comes.
struct Host {
    offload: Offload,
    submitted: u64,
    answered: u64,
}

impl Host {
    fn new(geometry: Geometry) -> Self {
        let probes: Vec<Probe> = [&b"a"[..], b"ab", b"abc", b"GET ", b"\0\0\0\0", b"abcdefgh"]
            .iter()
            .filter_map(|text| Probe::new(text, true, u64::MAX))
            .collect();
        let settings = Settings {
            limit: 40,
            linger: 0,
        };
        let mut offload = Offload::new(geometry, Key::from_seed(1), SESSION, settings);
        offload.load(&probes).expect("few probes");
        Self {
            offload,
            submitted: 0,
            answered: 0,
        }
    }

    fn submit(&mut self, part: &[u8], group: u8, up: &mut Vec<u8>) {
        let request = Request {
            tag: self.submitted,
            group,
            carry: part.len().min(3) as u8,
            data: part,
        };
        let (before, room) = (up.len(), self.offload.room(&request));
        self.offload.submit(request, up);
        assert!(up.len() - before <= room);
        self.submitted += 1;
    }

    fn take(&mut self, down: &mut Vec<u8>) {
        self.offload.reports(down);
        down.clear();
        self.poll();
    }

    fn poll(&mut self) {
        let answered = &mut self.answered;
        self.offload.poll(&mut |report| {
            *answered += 1;
            let order = report.hits.is_sorted_by(|a, b| a.probe < b.probe);
            assert!(order, "{:?}", report.hits);
            assert!(matches!(
                report.outcome,
                Outcome::Done | Outcome::Unfinished
            ));
        });
    }

    fn finish(&mut self) {
        self.offload.abandon();
        self.poll();
        assert_eq!(self.answered, self.submitted);
        assert_eq!(self.offload.in_flight(), 0);
    }
}
