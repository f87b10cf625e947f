//! What each stage of a packet's way took, where that was measured (`weir run --profile`).

use std::collections::BTreeMap;
use std::io::{self, Write};

use weir_engine::detect::{Profile, Stage};
use weir_events::StageCost;

use super::pipeline::Outcome;
use crate::ui::table::{Align, Table};

/// For `--stats`.
pub fn costs(profile: &Profile) -> BTreeMap<&'static str, StageCost> {
    let cost = |(stage, spent): (Stage, weir_engine::detect::Spent)| {
        let cost = StageCost {
            seconds: spent.time.as_secs_f64(),
            laps: spent.laps,
        };
        (stage.name(), cost)
    };
    profile.stages().map(cost).collect()
}

/// As a table on standard error, in a packet's order.
pub fn print(outcome: &Outcome) -> io::Result<()> {
    let stages: Vec<_> = outcome.profile.stages().collect();
    let all: f64 = stages
        .iter()
        .map(|(_, spent)| spent.time.as_secs_f64())
        .sum();
    let packets = outcome.seen.packets;
    let row = |name: &str, seconds: f64| {
        let per = |whole: f64, scale: f64| {
            if whole > 0.0 {
                seconds / whole * scale
            } else {
                0.0
            }
        };
        [
            name.to_owned(),
            format!("{seconds:.4}"),
            format!("{:.1}", per(all, 100.0)),
            format!("{:.0}", per(packets as f64, 1e9)),
        ]
    };
    let mut table = Table::new([
        ("stage", Align::Left),
        ("seconds", Align::Right),
        ("%", Align::Right),
        ("ns/packet", Align::Right),
    ]);
    for (stage, spent) in &stages {
        table.row(row(stage.name(), spent.time.as_secs_f64()));
    }
    table.row(row("all", all));
    let mut err = io::stderr().lock();
    table.write(&mut err, "")?;
    err.flush()
}
