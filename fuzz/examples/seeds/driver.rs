//! Seeds of the target `driver`.

use std::io;

use crate::Seeds;

/// One input for each kind of step, and one with all of them.
pub fn driver(seeds: &Seeds) -> io::Result<()> {
    let named: [(&str, &[u8]); 8] = [
        ("quiet", &[0, 0, 9, 0, 1, 40, 0, 30, 0, 1, 0, 0]),
        ("lost-record", &[1, 0, 60, 1, 1, 0, 0, 90, 0, 0, 200, 1]),
        ("doubled-record", &[2, 0, 60, 2, 2, 0, 0, 90, 0]),
        ("damaged-record", &[3, 0, 60, 3, 99, 0, 0, 90, 0]),
        ("lost-report", &[4, 0, 60, 5, 1, 0, 0, 90, 0]),
        ("damaged-report", &[5, 0, 60, 7, 77, 0, 0, 90, 0]),
        ("reset", &[6, 0, 60, 9, 0, 0, 0, 90, 0, 10, 0, 0, 0, 33, 1]),
        ("registers", &[255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ];
    for (name, bytes) in named {
        seeds.write("driver", name, bytes)?;
    }
    Ok(())
}
