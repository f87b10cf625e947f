//! Reading a frequency table: any bytes, and any body behind a header and a checksum that are right.
#![no_main]

use flate2::Crc;
use libfuzzer_sys::fuzz_target;
use weir_rules::frequency::Table;

fuzz_target!(|input: &[u8]| {
    try_table(input);
    // The body as one stored block of DEFLATE, so that what is mutated is what is read.
    let Ok(length) = u16::try_from(input.len()) else {
        return;
    };
    let mut file = b"weirfreq\x01\0".to_vec();
    for number in [1u64, 1, 1 << 20, 1] {
        file.extend(number.to_le_bytes());
    }
    file.extend((u32::from(length) + 5).to_le_bytes());
    file.extend(u32::from(length).to_le_bytes());
    file.push(1);
    file.extend(length.to_le_bytes());
    file.extend((!length).to_le_bytes());
    file.extend(input);
    let mut crc = Crc::new();
    crc.update(&file);
    file.extend(crc.sum().to_le_bytes());
    try_table(&file);
});

fn try_table(file: &[u8]) {
    let Ok(table) = Table::read(file) else {
        return;
    };
    for window in file.windows(8).take(64).chain(file.windows(3).take(64)) {
        assert!(table.rarity(window, true).is_finite());
        let estimate = table.estimate(window, false);
        assert!((0.0..=1.0).contains(&estimate.offsets));
        assert!((0.0..=1.0).contains(&estimate.payloads) && estimate.times.is_finite());
    }
    assert!(table.commonest(8, 3).len() <= 3);
    assert_eq!(Table::read(&table.to_bytes()), Ok(table));
}
