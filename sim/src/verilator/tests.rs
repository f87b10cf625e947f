//! The simulator on a small circuit of its own, which can be told to break the interfaces' rules.

use super::*;
use crate::pace::{Gaps, Pace};
use weir_tables::Size;

fn echo(lanes: usize, trace: Trace) -> Verilated {
    let verilog = format!("`define LANES {lanes}\n{}", include_str!("echo.v"));
    let recipe = Recipe {
        verilog: &verilog,
        top: "echo",
        lanes,
        trace,
        optimise: 1,
    };
    let core = Verilated::new(Geometry::new(lanes, Size::Compact), &recipe, 1);
    core.expect("the circuit compiles")
}

const UNEVEN: Pace = Pace {
    idle: Gaps {
        often: 50,
        longest: 9,
    },
    stall: Gaps {
        often: 70,
        longest: 5,
    },
    late: 3,
    seed: 11,
};

/// Sends beats while registers are written and read; what comes out must be what went in.
fn round_trip(lanes: usize, pace: Pace) -> Totals {
    let mut core = echo(lanes, Trace::None);
    core.set_pace(pace);
    core.write(4, 0x0102_0304).expect("written");
    let sent: Vec<u8> = (0..64 * 500u32)
        .map(|at| (at * 7 + at / 251) as u8)
        .collect();
    core.push(&sent[..100]);
    core.run(100_000, Until::Taken).expect("runs");
    assert!(core.backlog() < lanes, "only a part of a beat is left");
    core.push(&sent[100..]);
    for value in 0..200 {
        core.post(8 + value % 8 * 4, value);
    }
    for register in 0..8 {
        let value = core.read(8 + register * 4).expect("read");
        assert_eq!(value, 192 + register, "the last that was written");
    }
    core.run(100_000, Until::Taken).expect("runs");
    core.run(1000, Until::Cycles).expect("runs");
    let mut got = Vec::new();
    core.pull(&mut got);
    let key = 0x0102_0304u32.to_le_bytes();
    let expected: Vec<u8> = sent
        .iter()
        .zip(key.iter().cycle())
        .map(|(a, b)| a ^ b)
        .collect();
    assert!(
        got == expected,
        "{} bytes came of {}",
        got.len(),
        sent.len()
    );
    core.wires.totals
}

#[test]
fn every_width_passes_all_bytes() {
    for lanes in [8, 16, 32, 64] {
        let totals = round_trip(lanes, Pace::FULL);
        let beats = 64 * 500 / lanes as u64;
        assert_eq!(totals.beats, beats);
        assert_eq!((totals.idle, totals.stalls, totals.out_stalls), (0, 0, 0));
    }
}

#[test]
fn gaps_and_stalls_lose_nothing_and_are_counted() {
    let totals = round_trip(16, UNEVEN);
    assert!(
        totals.idle > 100 && totals.stalls > 100 && totals.out_stalls > 100,
        "{totals:?}"
    );
    assert_eq!(
        totals,
        round_trip(16, UNEVEN),
        "the same seed gives the same run"
    );
    let other = Pace { seed: 12, ..UNEVEN };
    assert_ne!(totals, round_trip(16, other), "another seed another one");
}

#[test]
fn what_breaks_the_rules_is_found_out() {
    let broken = |fault, work: &dyn Fn(&mut Verilated) -> Result<(), SimError>| {
        let mut core = echo(8, Trace::None);
        core.set_pace(Pace { late: 0, ..UNEVEN });
        match core.write(56, fault).and_then(|()| work(&mut core)) {
            Ok(()) => panic!("fault {fault} is not found"),
            Err(error) => error.to_string(),
        }
    };
    let stream = |core: &mut Verilated| {
        core.push(&[7; 6400]);
        core.run(10_000, Until::Taken)
    };
    assert!(broken(1, &stream).ends_with(FAULTS[0]));
    assert!(broken(2, &stream).ends_with(FAULTS[2]));
    assert!(broken(3, &|core| core.write(0, 1)).ends_with(FAULTS[5]));
    let hung = broken(4, &|core| core.read(0).map(drop));
    assert!(
        hung.contains("no answer to a register access within"),
        "{hung}"
    );
}

#[test]
fn waveforms_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("echo.vcd");
    let mut core = echo(8, Trace::Vcd);
    core.trace(Some(&path)).expect("started");
    core.write(4, 0x55AA).expect("written");
    core.trace(None).expect("ended");
    let text = std::fs::read_to_string(&path).expect("there");
    assert!(
        text.contains("s_axil_wdata") && text.contains("101010110101010 "),
        "the value is in it"
    );
    let nowhere = core.trace(Some(&folder.path().join("none/echo.vcd")));
    assert!(
        nowhere
            .expect_err("no such folder")
            .to_string()
            .contains("cannot write")
    );
    let none = echo(8, Trace::None).trace(Some(&path));
    assert!(
        none.expect_err("built without")
            .to_string()
            .contains("without waveforms")
    );
}

#[test]
fn a_verilog_error_is_told() {
    let recipe = Recipe {
        verilog: "module echo (input aclk);\nassign x = ;\nendmodule\n",
        top: "echo",
        lanes: 8,
        trace: Trace::None,
        optimise: 0,
    };
    let error = recipe.build().expect_err("no Verilog").to_string();
    assert!(
        error.contains("core.v:2") && error.contains("syntax error"),
        "{error}"
    );
}
