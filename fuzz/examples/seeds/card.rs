//! Seeds of the target `card`.

use std::io;

use card_protocol::register::{CONTROL, LIMIT, TABLE_DATA, TABLE_SELECT, table};
use card_protocol::report::Item;

use super::Seeds;

/// A part of this kind.
fn part(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().min(255);
    [&[length as u8, kind], &bytes[..length]].concat()
}

/// A register write, as the target reads it.
fn write(address: u32, value: u32) -> Vec<u8> {
    let mut bytes = vec![(address / 4) as u8];
    bytes.extend(value.to_le_bytes());
    bytes
}

/// One seed for each number of lanes and what goes on there.
pub fn card(seeds: &Seeds) -> io::Result<()> {
    let buffers = [
        part(6, b"xxabcdefgh GET /"),
        part(6 | 8, b"abcab"),
        part(6 | 0x40, &[b'a'; 90]),
        part(7, b""),
    ]
    .concat();
    let end = Item::End {
        flags: 1,
        hits: 0,
        generation: 0,
        sequence: 0,
    };
    let hit = Item::Hit { entry: 1, end: 3 };
    let units = [
        part(6 | 0x40, b"GET "),
        part(
            4 | 8,
            &[hit.encode().to_le_bytes(), end.encode().to_le_bytes()].concat(),
        ),
        part(1, b"Weir\x04\x03\x02\x01 and more"),
    ]
    .concat();
    let headers = [
        part(2, b"ab"),
        part(3, &[1, 0, 3, 0, 5, 0, 0, 0, 0, 0]),
        part(0, b"WeiR\x04\x03\x02\x01"),
        part(3, &[2, 0, 1, 0x40, 0, 0, 0, 0, 0, 0]),
        part(2, b"abc"),
    ]
    .concat();
    let writes = [
        write(TABLE_SELECT, table::EXACT + 2),
        write(TABLE_DATA, u32::MAX),
        write(LIMIT, 0),
        write(CONTROL, 3),
    ];
    let registers = [
        part(6 | 0x40, b"abc"),
        part(5, &writes.concat()),
        part(6, b"abc"),
    ]
    .concat();
    let all = [
        ("buffers", buffers),
        ("units", units),
        ("headers", headers),
        ("registers", registers),
    ];
    for (lanes, (name, bytes)) in (0u8..).zip(all) {
        seeds.write("card", name, &[&[lanes], bytes.as_slice()].concat())?;
        seeds.write(
            "card",
            &format!("{name}-64"),
            &[&[3], bytes.as_slice()].concat(),
        )?;
    }
    Ok(())
}
