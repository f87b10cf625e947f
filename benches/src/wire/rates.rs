//! The rate at which no frame is lost, and that every one is accounted for above it.

use serde::Serialize;
use weir_testbed::Load;

use super::books::{Account, Books};
use super::rig::{CpuPerFrame, Joined, Rig, Setup, Trial};
use super::search::Sustained;
use super::text::{cpu, rate};
use super::{FLOWS, WireOptions, XdpMode};
use crate::BenchError;

/// A rate that short trials kept and the long one does not is lowered by this, and so often at most.
const BACK: f64 = 0.9;
const BACKS: u32 = 8;

/// One way through, one size of frames.
#[derive(Clone, Debug, Serialize)]
pub struct RateRow {
    /// `bridge`, `native` or `generic`.
    pub path: String,
    /// Queues of every interface, and workers.
    pub queues: u32,
    /// Bytes of a frame, Ethernet's checksum not counted.
    pub size: usize,
    /// The highest rate at which short trials lost nothing, in frames a second.
    pub searched: f64,
    /// The limit that was found is the generator's.
    pub by_generator: bool,
    /// Trials of the search.
    pub trials: u32,
    /// Times that the long trial lost frames at a rate, which was lowered then.
    pub lowered: u32,
    /// At the sustained rate.
    pub at: RateTrial,
    /// As fast as the generator can.
    pub above: RateTrial,
    /// What must not be.
    pub faults: Vec<String>,
}

/// A long trial.
#[derive(Clone, Debug, Serialize)]
pub struct RateTrial {
    /// Frames sent a second.
    pub sent_rate: f64,
    /// Frames received a second.
    pub received_rate: f64,
    /// Where they ended.
    pub account: Account,
    /// What port A's program and workers counted, where there was a sensor.
    pub books: Option<Books>,
    /// Processor time.
    pub cpu: CpuPerFrame,
}

/// Measures each combination of path, queues and size; `tell` hears what comes next. Rows that cannot be had are in `failed`.
pub fn measure(
    options: &WireOptions,
    rows: &mut Vec<RateRow>,
    failed: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    for &queues in &options.queues {
        let rig = Rig::new(options, queues)?;
        let modes = options.modes.iter().copied().map(Some);
        for mode in std::iter::once(None).chain(modes) {
            for &size in &options.sizes {
                let path = mode.map_or("bridge", XdpMode::name);
                let name = format!("rates: {path}, {queues} queues, {size} bytes");
                tell(&name);
                match row(&rig, mode, queues, size) {
                    Ok(row) => rows.push(row),
                    Err(error) => failed.push(format!("{name}: {error}")),
                }
            }
        }
    }
    Ok(())
}

fn row(
    rig: &Rig<'_>,
    mode: Option<XdpMode>,
    queues: u32,
    size: usize,
) -> Result<RateRow, BenchError> {
    let setup = mode.map(|mode| rig.plain(mode)).transpose()?;
    let setup = setup.as_ref();
    let load = Load {
        frames: rig.options.frames,
        size,
        flows: FLOWS,
        ..Load::default()
    };
    let mut faults = Vec::new();
    let joined = rig.join(setup)?;
    let found = rig.sustained(&load)?;
    if let Some(stats) = joined.end()? {
        let books = Books::of_stats(&stats, 0)?;
        faults.extend(named("search", books.faults()));
    }
    let Some(Sustained {
        rate: searched,
        by_generator,
        trials,
    }) = found
    else {
        return Err(BenchError::Nothing(
            "frames are lost at any rate".to_owned(),
        ));
    };

    let mut lowered = 0;
    let mut rate = searched;
    let at = loop {
        let paced = Load {
            rate: Some(rate),
            ..load.clone()
        };
        let trial = long(rig, setup, &paced, &mut faults)?;
        if trial.account.received == trial.account.sent || lowered == BACKS {
            break trial;
        }
        lowered += 1;
        rate *= BACK;
    };
    if at.account.received != at.account.sent {
        faults.push(format!(
            "at {rate:.0} frames a second, {} of {} were received: {}",
            at.account.received,
            at.account.sent,
            at.account.lost_text()
        ));
    }
    let above = long(rig, setup, &load, &mut faults)?;
    Ok(RateRow {
        path: mode.map_or("bridge", XdpMode::name).to_owned(),
        queues,
        size,
        searched,
        by_generator,
        trials,
        lowered,
        at,
        above,
        faults,
    })
}

/// A trial with a sensor of its own, so that its books are of this trial alone.
fn long(
    rig: &Rig<'_>,
    setup: Option<&Setup>,
    load: &Load,
    faults: &mut Vec<String>,
) -> Result<RateTrial, BenchError> {
    let joined = rig.join(setup)?;
    let trial = rig.trial(load, joined.child())?;
    let (trial, found) = closed(joined, &trial)?;
    let what = load.rate.map_or("flat out".to_owned(), |rate| {
        format!("at {rate:.0} a second")
    });
    faults.extend(named(&what, found));
    Ok(trial)
}

/// Ends what joined the ports, and closes the books of the one trial there was. Also what is wrong with them.
pub fn closed(joined: Joined<'_>, trial: &Trial) -> Result<(RateTrial, Vec<String>), BenchError> {
    let mut faults = trial.faults();
    let stats = joined.end()?;
    let books = stats.map(|stats| Books::of_stats(&stats, 0)).transpose()?;
    if let Some(books) = &books {
        faults.extend(books.faults());
        let arrived = trial
            .sent
            .frames
            .saturating_sub(trial.links.client.tx_dropped);
        if books.seen != arrived {
            faults.push(format!(
                "{arrived} frames came to port A, and its program saw {}",
                books.seen
            ));
        }
    }
    let account = trial.account(books.as_ref());
    if account.off != 0 {
        faults.push(format!(
            "{} frames sent, {} received, {} counted as lost ({}): off by {}",
            account.sent,
            account.received,
            account.counted(),
            account.lost_text(),
            account.off
        ));
    }
    let row = RateTrial {
        sent_rate: trial.sent.rate(),
        received_rate: trial.received.rate(),
        account,
        books,
        cpu: trial.cpu,
    };
    Ok((row, faults))
}

/// Faults of one part of a row.
fn named(what: &str, faults: Vec<String>) -> impl Iterator<Item = String> {
    faults
        .into_iter()
        .map(move |fault| format!("{what}: {fault}"))
}

/// As lines of a table, the head first.
pub fn table(rows: &[RateRow]) -> Vec<Vec<String>> {
    let head = [
        "path",
        "queues",
        "bytes",
        "sustained/s",
        "frames",
        "lost",
        "sensor ns",
        "machine",
        "generator",
        "sink",
        "flat out/s",
        "received/s",
        "off",
        "sensor ns",
        "machine",
        "lost",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let RateTrial { account, .. } = &row.at;
        let limit = if row.by_generator { "≥ " } else { "" };
        vec![
            row.path.clone(),
            row.queues.to_string(),
            row.size.to_string(),
            format!("{limit}{}", rate(row.at.sent_rate)),
            account.sent.to_string(),
            account.sent.saturating_sub(account.received).to_string(),
            cpu(row.at.cpu.sensor_ns),
            cpu(Some(row.at.cpu.machine_ns)),
            cpu(Some(row.at.cpu.generator_ns)),
            cpu(Some(row.at.cpu.sink_ns)),
            rate(row.above.sent_rate),
            rate(row.above.received_rate),
            row.above.account.off.to_string(),
            cpu(row.above.cpu.sensor_ns),
            cpu(Some(row.above.cpu.machine_ns)),
            row.above.account.lost_text(),
        ]
    }));
    lines
}

/// The highest rate at which nothing of a load is lost with a sensor, or a bridge.
pub fn sustained(
    rig: &Rig<'_>,
    setup: Option<&Setup>,
    load: &Load,
) -> Result<Sustained, BenchError> {
    let joined = rig.join(setup)?;
    let found = rig.sustained(load)?;
    joined.end()?;
    found.ok_or_else(|| BenchError::Nothing("frames are lost at any rate".to_owned()))
}
