//! The model's stream: what is no record, and what a record is said to be.

use card_protocol::record::{HEADER, Header, MAX_LENGTH, Record, size};
use card_protocol::register::{self, *};
use card_protocol::report::{FLAG_DAMAGED, FLAG_MALFORMED, FLAG_OVERFLOW, FLAG_STALE, Item};
use weir_engine::matcher::Probe;
use weir_tables::{Geometry, GeometryError, Golden, Key, Loaded, Size, entries, register_writes};

const NONCE: u32 = 0x1234_5678;
const GENERATION: u16 = 0x0102;

/// A core that knows "abc" (entry 0).
fn core(lanes: usize) -> Golden {
    let probes = [Probe::new(b"abc", true, 1 << 5).expect("a probe")];
    let geometry = Geometry::new(lanes, Size::Compact);
    let (loaded, _) = Loaded::build(geometry, Key::from_seed(1), &entries(&probes), GENERATION)
        .expect("as the test made it");
    let mut core = Golden::new(geometry);
    for (address, value) in register_writes(&loaded.image(true)) {
        core.write(address, value);
    }
    for (address, value) in loaded.registers() {
        core.write(address, value);
    }
    core.write(register::NONCE, NONCE);
    core.write(CONTROL, CONTROL_ENABLE);
    core
}

fn record(lanes: usize, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let record = Record {
        nonce: NONCE,
        sequence,
        group: 5,
        carry: 0,
        generation: GENERATION,
        payload,
    };
    let mut bytes = vec![0xEE; record.size(lanes)];
    record
        .write(lanes, &mut bytes)
        .expect("as the test made it");
    bytes
}

/// Puts another header in front of a record.
fn with_header(bytes: &mut [u8], change: impl FnOnce(&mut Header)) {
    let mut header = Header::parse(bytes.first_chunk().expect("as the test made it"), NONCE)
        .expect("as the test made it");
    change(&mut header);
    bytes[..HEADER].copy_from_slice(&header.encode());
}

/// Flags of the ends, with the number of hits before each.
fn ends(items: &[Item]) -> Vec<(u32, u8, u8)> {
    let mut counted = 0;
    let mut ends = Vec::new();
    for item in items {
        match *item {
            Item::Hit { entry, end } => {
                assert_eq!((entry, end), (0, 4));
                counted += 1;
            }
            Item::End {
                flags,
                hits,
                generation: _,
                sequence,
            } => {
                assert_eq!(hits, counted);
                ends.push((sequence, flags, hits));
                counted = 0;
            }
        }
    }
    assert_eq!(counted, 0, "hits without an end");
    ends
}

#[test]
fn good_and_flagged_records() {
    for lanes in [8, 16, 32, 64] {
        let mut core = core(lanes);
        let mut stream = record(lanes, 1, b".ABC.");
        let mut damaged = record(lanes, 2, b".abc.");
        damaged[HEADER] ^= 1;
        let mut padding = record(lanes, 3, b".abc.");
        *padding.last_mut().expect("as the test made it") = 1;
        let mut stale = record(lanes, 4, b".abc.");
        with_header(&mut stale, |header| header.generation += 2);
        let mut both = stale.clone();
        both[HEADER] ^= 1;
        let mut other_parity = record(lanes, 5, b".abc.");
        with_header(&mut other_parity, |header| header.generation += 1);
        let mut other_group = record(lanes, 6, b".abc.");
        with_header(&mut other_group, |header| header.group = 4);
        let mut late = record(lanes, 7, b".abc.");
        with_header(&mut late, |header| header.carry = 4);
        for more in [
            &damaged,
            &padding,
            &stale,
            &both,
            &other_parity,
            &other_group,
            &late,
        ] {
            stream.extend_from_slice(more);
        }
        stream.extend(record(lanes, 8, b""));
        stream.extend(record(lanes, 9, &[b'-'; MAX_LENGTH]));
        let items = core.process(&stream);
        assert_eq!(
            ends(&items),
            [
                (1, 0, 1),
                (2, FLAG_DAMAGED, 1),
                (3, FLAG_DAMAGED, 1),
                (4, FLAG_STALE, 0),
                (4, FLAG_STALE | FLAG_DAMAGED, 0),
                (5, FLAG_STALE, 0),
                (6, 0, 0),
                (7, 0, 0),
                (8, 0, 0),
                (9, 0, 0),
            ]
        );
        let counts = [
            (COUNT_RECORDS, 10),
            (COUNT_DAMAGED, 3),
            (COUNT_STALE, 3),
            (COUNT_MALFORMED, 0),
            (COUNT_LOST, 0),
            (COUNT_BYTES, 5 * 5 + MAX_LENGTH as u32),
            (COUNT_HITS, 3),
            (COUNT_BEATS, (stream.len() / lanes) as u32),
        ];
        for (address, expected) in counts {
            assert_eq!(core.read(address), expected, "{lanes} lanes, {address:#x}");
        }
        assert_eq!(core.read(STATUS), STATUS_IDLE);
    }
}

#[test]
fn malformed_records_and_lost_steps() {
    type Change = fn(&mut Header);
    let changes: [Change; 4] = [
        |header| header.length = MAX_LENGTH as u16 + 1,
        |header| header.group = 64,
        |header| header.carry = 8,
        |header| (header.length, header.carry) = (3, 4),
    ];
    for lanes in [8, 16, 32, 64] {
        for change in changes {
            let mut core = core(lanes);
            let mut stream = record(lanes, 1, b".abc.");
            with_header(&mut stream, change);
            let follows = stream.len() > lanes.max(HEADER);
            stream.extend(record(lanes, 2, b".abc."));
            assert_eq!(
                ends(&core.process(&stream)),
                [(1, FLAG_MALFORMED, 0), (2, 0, 1)]
            );
            // Its payload is where the next header is due.
            assert_eq!(core.read(COUNT_LOST), u32::from(follows));
            assert_eq!(core.read(COUNT_MALFORMED), 1);
            assert_eq!(core.read(COUNT_RECORDS), 2);
        }
    }
}

#[test]
fn hunting() {
    for lanes in [8, 16, 32, 64] {
        let mut core = core(lanes);
        assert_eq!(core.read(STATUS), STATUS_IDLE | STATUS_HUNTING);
        // Nothing is lost where nothing was found yet.
        let mut stream = vec![0x55; 3 * lanes];
        stream.extend(record(lanes, 1, b".abc."));
        assert_eq!(ends(&core.process(&stream)), [(1, 0, 1)]);
        assert_eq!(core.read(COUNT_LOST), 0);
        assert_eq!(core.read(STATUS), STATUS_IDLE);
        // Garbage, a wrong magic, a wrong nonce, a wrong CRC, and the same as payload of nothing.
        let mut stream = vec![0x55; 5 * lanes];
        for at in [0, 4, 30] {
            let mut wrong = record(lanes, 9, b".abc.");
            wrong[at] ^= 0x10;
            stream.extend_from_slice(&wrong);
        }
        stream.extend(record(lanes, 2, b".abc."));
        assert_eq!(ends(&core.process(&stream)), [(2, 0, 1)]);
        assert_eq!(core.read(COUNT_LOST), 1);
        // A record within a record is payload.
        let inner = record(lanes, 8, b".abc.");
        let mut outer = vec![b'-'; size(0, lanes) - HEADER];
        outer.extend_from_slice(&inner);
        let items = core.process(&record(lanes, 3, &outer));
        assert!(
            matches!(
                items.last(),
                Some(Item::End {
                    sequence: 3,
                    flags: 0,
                    ..
                })
            ),
            "{items:?}"
        );
        assert!(
            !items
                .iter()
                .any(|item| matches!(item, Item::End { sequence: 8, .. }))
        );
        // Cut off, with another in what should be its payload: the step is kept, and both are one damaged record.
        let mut cut = record(lanes, 4, &[b'-'; 200]);
        cut.truncate(size(0, lanes));
        cut.extend(record(lanes, 5, &[b'-'; 300]));
        cut.extend(record(lanes, 6, b".abc."));
        let flags: Vec<_> = ends(&core.process(&cut))
            .iter()
            .map(|&(sequence, flags, _)| (sequence, flags))
            .collect();
        assert_eq!(flags, [(4, FLAG_DAMAGED), (6, 0)]);
        assert_eq!(core.read(COUNT_LOST), 2);
    }
}

#[test]
fn any_pieces_make_the_same_units() {
    for lanes in [8, 64] {
        let stream: Vec<u8> = (0..40)
            .flat_map(|sequence| record(lanes, sequence, b"-abc-"))
            .collect();
        let mut whole = Vec::new();
        core(lanes).feed(&stream, &mut whole);
        assert_eq!(whole.len(), 80usize.div_ceil(6) * 64);
        for piece in [1, 3, 31, 64, 97] {
            let (mut core, mut items, mut units) = (core(lanes), Vec::new(), Vec::new());
            for piece in stream.chunks(piece) {
                units.clear();
                assert_eq!(core.feed(piece, &mut units), piece.len());
                let mut reports = card_protocol::reports::Reports::new(NONCE);
                reports.feed(&units, &mut |event| {
                    if let card_protocol::reports::Event::Item(item) = event {
                        items.push(item);
                    }
                });
            }
            assert_eq!(ends(&items).len(), 40);
        }
    }
}

#[test]
fn control() {
    let mut core = core(16);
    let bytes = record(16, 1, b".abc.");
    core.write(CONTROL, 0);
    let mut units = Vec::new();
    assert_eq!(core.feed(&bytes, &mut units), 0);
    assert!(core.process(&bytes).is_empty() && units.is_empty());
    core.write(CONTROL, CONTROL_ENABLE);
    // In the middle of a record.
    core.feed(&bytes[..32], &mut units);
    assert_eq!(core.read(STATUS), 0);
    core.write(CONTROL, CONTROL_ENABLE | CONTROL_FLUSH);
    assert_eq!(core.read(CONTROL), CONTROL_ENABLE);
    assert_eq!(core.read(STATUS), STATUS_IDLE | STATUS_HUNTING);
    core.feed(&bytes[32..], &mut units);
    core.feed(&bytes, &mut units);
    assert_eq!(units.len(), 64);
    assert_eq!(core.read(COUNT_LOST), 0);
    core.write(LIMIT, 0);
    let overflow = core.process(&bytes);
    assert_eq!(ends(&overflow), [(1, FLAG_OVERFLOW, 0)]);
    assert_eq!(core.read(COUNT_OVERFLOWS), 1);
    core.reset();
    assert_eq!(
        (core.read(LIMIT), core.read(LINGER), core.read(NONCE)),
        (65_535, 64, 0)
    );
    assert_eq!(core.read(COUNT_OVERFLOWS), 1);
}

#[test]
fn table_writes_out_of_range() {
    let mut core = core(8);
    let (written, refused) = (core.read(COUNT_TABLE_WRITES), core.read(COUNT_TABLE_ERRORS));
    assert_eq!(refused, 0);
    let out = [
        (table::KEY, 9),
        (table::KEY, 25),
        (table::KEY, u32::MAX),
        (table::SINGLE, 8),
        (table::SINGLE, u32::MAX),
        (table::FILTER_8A, 1 << 11),
        (table::FILTER_2, 1 << 9),
        (10, 0),
        (table::EXACT, 1 << 10),
        (table::EXACT + 5, 0),
        (table::EXACT + 8 * 3 + 2, u32::MAX),
        (table::END, 0),
        (u32::MAX, u32::MAX),
    ];
    for (select, address) in out {
        core.write(TABLE_SELECT, select);
        core.write(TABLE_ADDRESS, address);
        core.write(TABLE_DATA, u32::MAX);
        assert_eq!(core.read(TABLE_ADDRESS), address.wrapping_add(1));
    }
    assert_eq!(core.read(COUNT_TABLE_ERRORS), out.len() as u32);
    assert_eq!(core.read(COUNT_TABLE_WRITES), written);
    assert_eq!(ends(&core.process(&record(8, 1, b".abc."))), [(1, 0, 1)]);
    // Registers that cannot be written, or are none.
    for address in [MAGIC, LANES, COUNT_LOST, COUNT_CYCLES, 0x7FC, 0xFFC] {
        let before = core.read(address);
        core.write(address, !before);
        assert_eq!(core.read(address), before);
    }
}

#[test]
fn geometry_is_read_back() {
    for lanes in [8, 16, 32, 64] {
        for size in [Size::Compact, Size::Full] {
            let geometry = Geometry::new(lanes, size);
            let core = Golden::new(geometry);
            assert_eq!(
                Geometry::identify(|address| core.read(address)),
                Ok(geometry)
            );
            let other = |register, value| {
                Geometry::identify(|address| {
                    if address == register {
                        value
                    } else {
                        core.read(address)
                    }
                })
            };
            assert_eq!(other(MAGIC, 7), Err(GeometryError::Magic { got: 7 }));
            assert_eq!(
                other(INTERFACE, 2),
                Err(GeometryError::Interface { got: 2 })
            );
            for (register, value) in [
                (LANES, 0x0001_010C),
                (LANES, 0),
                (FILTERS, 0),
                (FILTERS, u32::MAX),
                (EXACT, 17),
                (register::MAX_LENGTH, 9),
            ] {
                assert!(
                    matches!(other(register, value), Err(GeometryError::Size { register: named, got, .. }) if (named, got) == (register, value))
                );
            }
        }
    }
}
