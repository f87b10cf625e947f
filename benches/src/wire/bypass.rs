//! Flows through user space, against the same flows forwarded in the kernel.

use serde::Serialize;
use weir_testbed::Load;

use super::rates::{self, RateTrial, closed};
use super::rig::{NEVER, Rig, Setup};
use super::text::{cpu, rate};
use super::{WireOptions, XdpMode};
use crate::BenchError;

/// A rule that needs no more of a load's flow than its first packet.
const PASS: &str = "pass udp any any -> any 9 (sid:1;)\nalert udp any any -> any 7 (sid:2;)\n";
/// Of frames that were seen, so many thousandths must have been forwarded in the kernel.
const MOST: u64 = 900;

/// One way, one number of flows.
#[derive(Clone, Debug, Serialize)]
pub struct BypassRow {
    /// `user` or `kernel`.
    pub path: &'static str,
    /// How the XDP program is attached.
    pub mode: String,
    /// Bytes of a frame, Ethernet's checksum not counted.
    pub size: usize,
    /// Flows of the load.
    pub flows: u32,
    /// The highest rate at which nothing is lost, in frames a second.
    pub sustained: f64,
    /// That limit is the generator's.
    pub by_generator: bool,
    /// Half of the lower of both ways' sustained rates: at the same rate, processor times can be compared.
    pub paced: RateTrial,
    /// As fast as the generator can.
    pub flat_out: RateTrial,
    /// What must not be.
    pub faults: Vec<String>,
}

/// Measures with one queue, and each of the modes.
pub fn measure(
    options: &WireOptions,
    rows: &mut Vec<BypassRow>,
    failed: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Result<(), BenchError> {
    let rig = Rig::new(options, 1)?;
    let Some(&size) = options.sizes.first() else {
        return Ok(());
    };
    for &mode in &options.modes {
        for flows in [1, 64] {
            let name = format!("bypass: {}, {size} bytes, {flows} flows", mode.name());
            tell(&name);
            let load = Load {
                frames: options.frames,
                size,
                flows,
                ..Load::default()
            };
            match both(&rig, mode, &load) {
                Ok(both) => rows.extend(both),
                Err(error) => failed.push(format!("{name}: {error}")),
            }
        }
    }
    Ok(())
}

fn both(rig: &Rig<'_>, mode: XdpMode, load: &Load) -> Result<[BypassRow; 2], BenchError> {
    let setup = |name: &str, rules: &str| -> Result<Setup, BenchError> {
        Ok(Setup {
            rules: vec![rig.file(name, rules)?],
            ..rig.plain(mode)?
        })
    };
    let setups = [setup("user.rules", NEVER)?, setup("kernel.rules", PASS)?];
    let [user, kernel] = &setups;
    let found = [
        rates::sustained(rig, Some(user), load)?,
        rates::sustained(rig, Some(kernel), load)?,
    ];
    let slow = found[0].rate.min(found[1].rate) / 2.0;
    let paced = rig.options.paced(load, slow);
    let row = |kernel: bool| -> Result<BypassRow, BenchError> {
        let at = usize::from(kernel);
        let (setup, found) = (&setups[at], found[at]);
        let mut faults = Vec::new();
        let mut trial = |load: &Load, what: &str| -> Result<RateTrial, BenchError> {
            let joined = rig.join(Some(setup))?;
            let trial = rig.trial(load, joined.child())?;
            let (trial, wrong) = closed(joined, &trial)?;
            faults.extend(wrong.iter().map(|fault| format!("{what}: {fault}")));
            if let Some(books) = &trial.books {
                let went = books.bypassed;
                let right = if kernel {
                    went >= books.seen / 1000 * MOST
                } else {
                    went == 0
                };
                if !right {
                    let seen = books.seen;
                    faults.push(format!("{what}: {went} of {seen} frames were bypassed"));
                }
            }
            Ok(trial)
        };
        let paced = trial(&paced, "paced")?;
        let flat_out = trial(load, "flat out")?;
        Ok(BypassRow {
            path: if kernel { "kernel" } else { "user" },
            mode: mode.name().to_owned(),
            size: load.size,
            flows: load.flows,
            sustained: found.rate,
            by_generator: found.by_generator,
            paced,
            flat_out,
            faults,
        })
    };
    Ok([row(false)?, row(true)?])
}

/// As lines of a table, the head first.
pub fn table(rows: &[BypassRow]) -> Vec<Vec<String>> {
    let head = [
        "through",
        "mode",
        "bytes",
        "flows",
        "sustained/s",
        "paced/s",
        "machine ns",
        "generator",
        "sensor",
        "sink",
        "flat out/s",
        "received/s",
        "machine ns",
        "off",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let limit = if row.by_generator { "≥ " } else { "" };
        let (paced, flat) = (&row.paced, &row.flat_out);
        vec![
            row.path.to_owned(),
            row.mode.clone(),
            row.size.to_string(),
            row.flows.to_string(),
            format!("{limit}{}", rate(row.sustained)),
            rate(paced.sent_rate),
            cpu(Some(paced.cpu.machine_ns)),
            cpu(Some(paced.cpu.generator_ns)),
            cpu(paced.cpu.sensor_ns),
            cpu(Some(paced.cpu.sink_ns)),
            rate(flat.sent_rate),
            rate(flat.received_rate),
            cpu(Some(flat.cpu.machine_ns)),
            flat.account.off.to_string(),
        ]
    }));
    lines
}
