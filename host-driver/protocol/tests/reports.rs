//! Report units, and their stream with all that can happen to it.

use card_protocol::report::{
    ENTRIES, FLAGS, ITEMS, Item, ItemError, KIND_END, KIND_HIT, UNIT, Unit, UnitError,
};
use card_protocol::reports::{Event, Reports};
use proptest::prelude::*;

const NONCE: u32 = 0x0BAD_F00D;

fn unit(number: u32, items: &[Item]) -> [u8; UNIT] {
    let mut unit = Unit {
        nonce: NONCE,
        number,
        items: [0; ITEMS],
    };
    for (to, item) in unit.items.iter_mut().zip(items) {
        *to = item.encode();
    }
    unit.encode()
}

fn end(sequence: u32) -> Item {
    Item::End {
        flags: 0,
        hits: 0,
        generation: 1,
        sequence,
    }
}

#[test]
fn item_words() {
    let hit = Item::Hit {
        entry: 0xF_1234,
        end: 0x5678,
    };
    assert_eq!(hit.encode(), 0x000F_1234_5678_0001);
    let end = Item::End {
        flags: 0b10_0101,
        hits: 0xAB,
        generation: 0xCDEF,
        sequence: 0x1234_5678,
    };
    assert_eq!(end.encode(), 0x1234_5678_CDEF_AB96);
    assert_eq!(Item::parse(0), Ok(None));
    for word in [
        3,
        4,
        KIND_HIT | 4,
        KIND_HIT | 1 << 8,
        KIND_HIT | 1 << 52,
        1 << 40,
    ] {
        assert_eq!(Item::parse(word), Err(ItemError(word)));
    }
    let message = ItemError(3).to_string();
    assert!(
        message.starts_with("item 0x0000000000000003: expected"),
        "{message}"
    );
}

#[test]
fn unit_bytes() {
    let bytes = unit(7, &[end(9)]);
    assert_eq!(bytes[..16], *b"Weir\x0D\xF0\xAD\x0B\x02\0\x01\0\x09\0\0\0");
    assert_eq!(bytes[16..60], [[0; 40].as_slice(), &[7, 0, 0, 0]].concat());
    assert!(matches!(
        Unit::parse(&bytes, 1),
        Err(UnitError::Nonce {
            got: NONCE,
            expected: 1
        })
    ));
    let mut other = bytes;
    other[1] = b'E';
    let error = Unit::parse(&other, NONCE).expect_err("an error");
    assert_eq!(
        error.to_string(),
        "unit bytes 0..4: magic 0x72694557, expected 0x72696557"
    );
}

/// All events of a stream that comes in pieces.
fn read(reports: &mut Reports, stream: &[u8], piece: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for piece in stream.chunks(piece) {
        reports.feed(piece, &mut |event| events.push(event));
    }
    events
}

#[test]
fn gaps_and_what_is_no_unit() {
    let mut stream = Vec::new();
    stream.extend(unit(0, &[end(0)]));
    stream.extend(b"Weir\x0D\xF0\xAD\x0B and no unit");
    stream.extend(unit(1, &[end(1)]));
    let mut damaged = unit(2, &[end(2)]);
    damaged[20] ^= 4;
    stream.extend(damaged);
    stream.extend(unit(3, &[end(3)]));
    // Cut off: the next one starts in what should be its rest.
    stream.extend(&unit(4, &[end(4)])[..30]);
    stream.extend(unit(5, &[end(5)]));
    let strange = Unit {
        nonce: NONCE,
        number: 6,
        items: [3, 0, 0, 0, 0, KIND_END],
    };
    stream.extend(strange.encode());
    let expected = [
        Event::Item(end(0)),
        Event::Item(end(1)),
        Event::Gap { missing: 1 },
        Event::Item(end(3)),
        Event::Gap { missing: 1 },
        Event::Item(end(5)),
        Event::Unknown(3),
        Event::Item(Item::End {
            flags: 0,
            hits: 0,
            generation: 0,
            sequence: 0,
        }),
    ];
    for piece in [1, 7, 64, 1000] {
        let mut reports = Reports::new(NONCE);
        assert_eq!(read(&mut reports, &stream, piece), expected);
        let counts = reports.counts();
        assert_eq!((counts.units, counts.gaps, counts.unknown), (5, 2, 1));
        assert_eq!(counts.skipped, 8 + 12 + 64 + 30);
        assert_eq!((reports.pending(), reports.next_number()), (0, 7));
        reports.feed(&stream[..20], &mut |_| panic!("no unit yet"));
        reports.restart(NONCE);
        assert_eq!(reports.counts().skipped, counts.skipped + 20);
        assert_eq!(
            read(&mut reports, &unit(0, &[end(0)]), piece),
            [Event::Item(end(0))]
        );
    }
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        (0..ENTRIES, any::<u16>()).prop_map(|(entry, end)| Item::Hit { entry, end }),
        (0..=FLAGS, any::<u8>(), any::<u16>(), any::<u32>()).prop_map(
            |(flags, hits, generation, sequence)| Item::End {
                flags,
                hits,
                generation,
                sequence,
            }
        ),
    ]
}

proptest! {
    #[test]
    fn any_word(word: u64) {
        if let Ok(Some(item)) = Item::parse(word) {
            prop_assert_eq!(item.encode(), word);
        }
    }

    #[test]
    fn any_item(item in item()) {
        prop_assert_eq!(Item::parse(item.encode()), Ok(Some(item)));
    }

    #[test]
    fn any_unit(nonce: u32, number: u32, items: [u64; ITEMS], flip in 0..8 * UNIT) {
        let unit = Unit { nonce, number, items };
        let mut bytes = unit.encode();
        prop_assert_eq!(Unit::parse(&bytes, nonce), Ok(unit));
        bytes[flip / 8] ^= 1 << (flip % 8);
        prop_assert!(Unit::parse(&bytes, nonce).is_err());
    }

    /// Garbage between units costs no unit.
    #[test]
    fn any_stream(
        parts in prop::collection::vec((prop::collection::vec(item(), 0..=ITEMS), prop::collection::vec(any::<u8>(), 0..90)), 0..12),
        piece in 1usize..200,
    ) {
        let (mut stream, mut expected, mut garbage) = (Vec::new(), Vec::new(), 0);
        for (number, (items, more)) in (0..).zip(&parts) {
            stream.extend(more);
            garbage += more.len() as u64;
            stream.extend(unit(number, items));
            expected.extend(items.iter().copied().map(Event::Item));
        }
        let mut reports = Reports::new(NONCE);
        prop_assert_eq!(read(&mut reports, &stream, piece), expected);
        prop_assert_eq!(reports.counts().skipped, garbage);
        prop_assert_eq!(reports.counts().units, parts.len() as u64);
    }
}
