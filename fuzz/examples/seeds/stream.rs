//! Conversations for the target `stream`.

use std::io;

use weir_fuzz::talk::{FRAGMENTS, LENGTHS, MOST, OPTIONS, OTHER, REVERSED, STEP, TICK, TO_CLIENT};

use super::Seeds;

const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

type Step = [u8; STEP];

/// A step with so much data, so far from the next byte of its sender.
fn data(place: u8, length: usize, seq: i16) -> Step {
    let [s0, s1] = seq.to_be_bytes();
    let known = LENGTHS.iter().position(|&known| known >= length);
    let length = known.map_or(MOST, |at| at as u8);
    [place, ACK, s0, s1, 0, 0, length, 0]
}

fn with(step: Step, flags: u8) -> Step {
    let mut step = step;
    step[1] |= flags;
    step
}

fn after(time: u8, step: Step) -> Step {
    let mut step = step;
    step[5] = time;
    step
}

/// Transfers of every kind, each through engines of several sizes.
pub fn stream(seeds: &Seeds) -> io::Result<()> {
    let turns: Vec<Step> = (0..12)
        .map(|turn| data([0, TO_CLIENT][turn % 2], 40, 0))
        .collect();
    let behind_a_gap = vec![
        data(0, 1460, 1000),
        data(0, 1460, 0),
        data(0, 400, -3000),
        data(0, 1000, -2920),
        data(TO_CLIENT, 0, 0),
    ];
    let overlaps = vec![
        data(1, 100, 50),
        data(1 | OTHER, 100, -120),
        data(1, 250, -200),
        data(1 | OTHER, 64, -300),
        data(1, 400, -400),
    ];
    let tiny: Vec<Step> = (0..40).map(|at| data(0, 1, [2, -3][at % 2])).collect();
    let large = vec![
        data(3, 65_000, 1000),
        data(3, 65_000, 0),
        data(3, 40_000, 0),
        data(3, 1000, i16::MIN),
        data(3 | TO_CLIENT, 65_000, 0),
    ];
    let many: Vec<Step> = (0..24)
        .map(|at| data(at % 8, 512, if at % 5 == 0 { 9 } else { 0 }))
        .collect();
    let fragments = vec![
        data(4 | FRAGMENTS, 400, 0),
        data(4 | FRAGMENTS | REVERSED, 1460, 0),
        data(2 | FRAGMENTS | REVERSED, 1000, 0),
    ];
    let urgent: Vec<Step> = (0..6).map(|_| with(data(0, 31, 0), URG)).collect();
    let ends = vec![
        data(0, 100, 0),
        with(data(0, 100, 100), FIN),
        data(0, 100, -301),
        with(data(TO_CLIENT, 20, 0), FIN),
        data(5, 1000, 0),
        with(data(5 | TO_CLIENT, 0, 0), RST),
        data(5, 100, 0),
    ];
    let late = vec![
        data(6, 1000, 0),
        after(240, data(7 | TICK, 1000, 9)),
        after(248, data(6 | TICK, 100, 0)),
        after(255, data(1 | TICK, 1000, 0)),
        after(252, data(1 | TICK, 1000, 0)),
    ];
    let talks = [
        ("turns", turns),
        ("gap", behind_a_gap),
        ("overlaps", overlaps),
        ("tiny", tiny),
        ("large", large),
        ("many", many),
        ("fragments", fragments),
        ("urgent", urgent),
        ("ends", ends),
        ("late", late),
    ];
    let settings: [(&str, [u8; OPTIONS]); 4] = [
        ("usual", [0x18, 0b1111_0100, 7, 0x10, 7]),
        ("inline", [0x0f, 0b1110_0010, 6, 0x53, 7]),
        ("small", [0x18, 0b1001_1000, 2, 0x31, 2]),
        ("little", [0x00, 0b0101_1011, 4, 0x14, 6]),
    ];
    for (name, steps) in talks {
        for (how, options) in &settings {
            let bytes = [&options[..], &steps.concat()].concat();
            seeds.write("stream", &format!("{name}-{how}"), &bytes)?;
        }
    }
    Ok(())
}
