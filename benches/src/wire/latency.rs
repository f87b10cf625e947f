//! How long frames take, at half of the rate that each path sustains.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use weir_testbed::Load;

use super::card::{Card, FOLDER};
use super::rates;
use super::rig::{Quantiles, Rig, Setup};
use super::text::{micros, rate};
use super::{CONTENT, FLOWS, WireOptions};
use crate::BenchError;

/// One path, one size of frames.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyRow {
    /// What joined the ports.
    pub path: String,
    /// Bytes of a frame, Ethernet's checksum not counted.
    pub size: usize,
    /// What it sustains, frames a second.
    pub sustained: f64,
    /// What was sent, frames a second.
    pub rate: f64,
    /// Frames that were sent.
    pub frames: u64,
    /// Of them, those that did not arrive.
    pub lost: u64,
    /// From the generator's send to the sink's kernel, nanoseconds.
    pub latency: Quantiles,
    /// By how many nanoseconds the generator was late itself.
    pub late: Quantiles,
    /// What the sensor says of itself: from receiving a batch to handing it on. `p50`, `p90`, `p99`, `p999` and `max` in nanoseconds.
    pub inside: Option<Value>,
    /// Buffers that the sensor searched, a frame.
    pub buffers: Option<f64>,
    /// Of them, those that a card searched.
    pub card_buffers: Option<f64>,
    /// Rules that were evaluated because something of theirs was found, a frame.
    pub candidates: Option<f64>,
    /// Alerts, in all.
    pub alerts: Option<u64>,
    /// What must not be.
    pub faults: Vec<String>,
}

/// Who is compared.
struct Contender {
    name: String,
    setup: Option<Setup>,
    /// It needs the simulated card.
    simulated: bool,
}

/// Measures with the first of the queues and modes that are asked for.
pub fn measure(
    options: &WireOptions,
    rows: &mut Vec<LatencyRow>,
    failed: &mut Vec<String>,
    notes: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let (Some(&queues), Some(&mode)) = (options.queues.first(), options.modes.first()) else {
        return Ok(());
    };
    let rig = Rig::new(options, queues)?;
    let plain = rig.plain(mode)?;
    let mut contenders = vec![
        Contender {
            name: "bridge".to_owned(),
            setup: None,
            simulated: false,
        },
        Contender {
            name: "no rules".to_owned(),
            setup: Some(plain.clone()),
            simulated: false,
        },
    ];
    let with_rules = |more: &[&str]| Setup {
        rules: options.rules.clone(),
        more: more.iter().map(|&word| word.to_owned()).collect(),
        ..plain.clone()
    };
    if options.rules.is_empty() {
        notes.push("latency with rules: there are none, name some with --rules".to_owned());
    } else {
        contenders.push(Contender {
            name: "rules, software".to_owned(),
            setup: Some(with_rules(&["--matcher", "software"])),
            simulated: false,
        });
        let card = |device: &str| with_rules(&["--matcher", "card", "--device", device]);
        if let Some(device) = &options.device {
            contenders.push(Contender {
                name: "rules, card".to_owned(),
                setup: Some(card(&device.to_string_lossy())),
                simulated: false,
            });
        }
        if options.simulator.is_none() {
            notes.push(
                "latency with a simulated card: there is no weir-sim, name it with --weir-sim"
                    .to_owned(),
            );
        } else {
            contenders.push(Contender {
                name: "rules, simulated card".to_owned(),
                setup: Some(card(FOLDER)),
                simulated: true,
            });
        }
    }
    for contender in &contenders {
        let _card = match contender.simulated.then(|| Card::start(&rig)).transpose() {
            Ok(card) => card,
            Err(error) => {
                failed.push(format!("latency: {}: {error}", contender.name));
                continue;
            }
        };
        for &size in &options.sizes {
            let name = format!("latency: {}, {size} bytes", contender.name);
            tell(&name);
            match row(&rig, contender, size) {
                Ok(row) => rows.push(row),
                Err(error) => failed.push(format!("{name}: {error}")),
            }
        }
    }
    Ok(())
}

fn row(rig: &Rig<'_>, contender: &Contender, size: usize) -> Result<LatencyRow, BenchError> {
    let load = Load {
        frames: rig.options.frames,
        size,
        flows: FLOWS,
        content: CONTENT.to_vec(),
        ..Load::default()
    };
    let setup = contender.setup.as_ref();
    let sustained = rates::sustained(rig, setup, &load)?.rate;
    // Longer than a trial of the search, so that the highest quantiles are of many frames.
    let load = Load {
        rate: Some(sustained / 2.0),
        duration: Some(Duration::from_secs_f64(rig.options.seconds * 5.0)),
        ..load
    };
    let joined = rig.join(setup)?;
    let trial = rig.trial(&load, joined.child())?;
    let mut faults = trial.faults();
    let frames = trial.sent.frames;
    let stats = joined.end()?;
    let a_frame = |name: &str| {
        let count = stats.as_ref()?.get(name)?.as_u64()?;
        Some(count as f64 / frames.max(1) as f64)
    };
    let lost = trial.received.missing(&trial.sent);
    if lost > 0 {
        faults.push(format!(
            "{lost} of {frames} frames lost at half of the rate"
        ));
    }
    let looked_at = a_frame("buffers");
    if setup.is_some_and(|setup| setup.rules == rig.options.rules)
        && looked_at.is_none_or(|n| n <= 0.0)
    {
        faults.push("no buffer was searched: the rules were not looked at".to_owned());
    }
    Ok(LatencyRow {
        path: contender.name.clone(),
        size,
        sustained,
        rate: trial.sent.rate(),
        frames,
        lost,
        latency: Quantiles::of(&trial.received.latency),
        late: Quantiles::of(&trial.sent.late),
        inside: stats
            .as_ref()
            .and_then(|stats| stats.get("latency_ns").cloned()),
        buffers: looked_at,
        card_buffers: a_frame("card_buffers"),
        candidates: a_frame("candidates"),
        alerts: (stats.as_ref()).and_then(|stats| stats.get("alerts")?.as_u64()),
        faults,
    })
}

/// As lines of a table, the head first.
pub fn table(rows: &[LatencyRow]) -> Vec<Vec<String>> {
    let head = [
        "path",
        "bytes",
        "sustained/s",
        "rate",
        "frames",
        "lost",
        "p50 µs",
        "p99",
        "p99.9",
        "max",
        "late p99",
        "inside p50",
        "inside p99",
        "buffers/frame",
        "on card",
        "candidates",
        "alerts",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let some =
            |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let inside = |name: &str| {
            let value = row
                .inside
                .as_ref()
                .and_then(|inside| inside.get(name)?.as_u64());
            value.map_or("–".to_owned(), micros)
        };
        vec![
            row.path.clone(),
            row.size.to_string(),
            rate(row.sustained),
            rate(row.rate),
            row.frames.to_string(),
            row.lost.to_string(),
            micros(row.latency.p50),
            micros(row.latency.p99),
            micros(row.latency.p999),
            micros(row.latency.max),
            micros(row.late.p99),
            inside("p50"),
            inside("p99"),
            some(row.buffers),
            some(row.card_buffers),
            some(row.candidates),
            row.alerts.map_or("–".to_owned(), |count| count.to_string()),
        ]
    }));
    lines
}
