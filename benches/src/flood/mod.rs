//! The whole engine under floods: whether it keeps to its memory, and still sees attacks on connections that live through
//! them.
//!
//! Frames are made up in batches, outside the time that is taken, and go through decoder, defragmentation, flow table,
//! streams, matcher and evaluation. A thousand connections are attacked before, during and after each flood; every attack
//! is cut in two, with part of the flood between the halves, and has to alert exactly once.

pub(crate) mod frames;
pub(crate) mod kinds;
pub(crate) mod rig;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_engine::detect::{Alert, Counters, EngineConfig};

use crate::measure::{forget_peak, peak_bytes, resident_bytes};
use crate::{BenchError, report};
use kinds::{Feed, Kind, PROBES, VICTIMS, Victim};
use rig::Rig;

/// Packets of a flood of full size, for which the limits are those of the defaults.
const FULL: usize = 10_000_000;
/// What is allowed beside the limits of flows, streams and fragments: the allocator's own, lists of events, the clock's
/// and the counters' things. It does not depend on the traffic.
const BASE_BYTES: u64 = 8 << 20;
/// Packet time from one frame to the next.
const STEP_NS: u64 = 1_000;
/// The part of a flood that comes between the halves of an attack: one in so many packets.
const APART: usize = 1_000;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct FloodOptions {
    /// Packets of a flood. With fewer than ten million, flow table and memory limits become smaller, too.
    pub packets: usize,
    /// Only floods whose name contains one of these; all where there are none.
    pub only: Vec<String>,
    /// What is made up is drawn from this.
    pub seed: u64,
}

/// What a flood did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flood {
    /// Its name.
    pub name: String,
    /// What it consists of.
    pub about: String,
    /// Packets during the flood, those of the attacked connections included.
    pub packets: u64,
    /// Nanoseconds of processor time for each of them.
    pub packet_ns: f64,
    /// Packets a second of processor time.
    pub packets_per_second: f64,
    /// Most bytes that were resident at a time, over those before the first packet.
    pub peak_bytes: u64,
    /// What the limits of what the flood touches allow: flow table, streams, fragments.
    pub limit_bytes: [u64; 3],
    /// What is allowed beside them.
    pub base_bytes: u64,
    /// Attacks before, during and after the flood, and of these those that alerted exactly once.
    pub attacks: [[u64; 2]; 3],
    /// Some of the others: before, during or after (0 to 2), which connection, how often it alerted.
    pub missed: Vec<(usize, usize, u64)>,
    /// What gave way, by counter.
    pub given_up: Vec<(String, u64)>,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FloodReport {
    /// In order.
    pub floods: Vec<Flood>,
}

/// What the attack of a phase looks like: before, during and after the flood.
fn attack(phase: usize) -> &'static str {
    let attacks = [
        "GET /cgi-bin/evil-before.sh",
        "GET /cgi-bin/evil-during.sh",
        "GET /cgi-bin/evil-behind.sh",
    ];
    attacks[phase.min(2)]
}

/// The rules: one for each attack, and one for each probe of the flood of candidates; half of these match.
fn rule_text() -> String {
    let mut rules = String::new();
    for phase in 0..3 {
        rules += &format!(
            "alert tcp any any -> any 80 (msg:\"attack\"; flow:established,to_server; content:\"{}\"; sid:{};)\n",
            attack(phase),
            phase + 1
        );
    }
    let text = kinds::probe_text();
    for number in 0..PROBES {
        let probe = String::from_utf8_lossy(kinds::probe(&text, number)).into_owned();
        let more = match number % 2 {
            0 => "",
            _ => " content:\"|00 00|\"; distance:0;",
        };
        rules += &format!(
            "alert tcp any any -> any 80 (msg:\"probe\"; flow:established,to_server; content:\"{probe}\";{more} sid:{};)\n",
            1_000 + number
        );
    }
    rules
}

/// The names of the floods that are asked for.
///
/// # Errors
/// When there is none.
pub fn names(options: &FloodOptions) -> Result<Vec<&'static str>, BenchError> {
    let all = Kind::ALL.map(Kind::name);
    let wanted = |name: &&&str| {
        options.only.is_empty() || options.only.iter().any(|part| name.contains(part.as_str()))
    };
    let names: Vec<&str> = all.iter().filter(wanted).copied().collect();
    if names.is_empty() {
        return Err(BenchError::Nothing(format!(
            "no such flood; there are: {}",
            all.join(", ")
        )));
    }
    Ok(names)
}

/// Runs one flood. How much memory it takes can only be said when the process has done nothing else before.
///
/// # Errors
/// When there is none of this name, or the rules do not load.
pub fn run(name: &str, options: &FloodOptions) -> Result<Flood, BenchError> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = kind.ok_or_else(|| BenchError::Nothing(format!("there is no flood {name}")))?;
    let scale = (options.packets as f64 / FULL as f64).min(1.0);
    let config = config(scale);
    // At least a hundred, and a tenth of a small table.
    let victims = ((1_000.0 * scale) as usize).max(100);
    let packets = kind.packets(options.packets);

    let rules = rig::rules(rule_text())?;
    let seen = RefCell::new(vec![[0u64; 3]; victims]);
    let mut rig = Rig::new(&rules, &config, STEP_NS, |alert| {
        note(&mut seen.borrow_mut(), alert);
    })?;
    let mut feed = Feed::new(kind, config.flow.max_flows, options.seed);
    let before = resident_bytes();
    forget_peak();

    (0..victims).for_each(|number| Victim(number).connect(&mut rig));
    attack_all(&mut rig, victims, 0);
    let start = rig.spent();
    flood(&mut rig, &mut feed, packets, victims);
    let end = rig.spent();
    attack_all(&mut rig, victims, 2);
    rig.finish();
    let peak = peak_bytes().saturating_sub(before);

    let counters = rig.counters();
    drop(rig);
    let (sent, time) = (end.0 - start.0, end.1.saturating_sub(start.1));
    let attacks = [0, 1, 2].map(|phase| {
        let once = seen.borrow().iter().filter(|seen| seen[phase] == 1).count();
        [victims as u64, once as u64]
    });
    let missed = (seen.borrow().iter().enumerate())
        .flat_map(|(number, seen)| (0..3).map(move |phase| (phase, number, seen[phase])))
        .filter(|&(_, _, count)| count != 1)
        .take(10)
        .collect();
    Ok(Flood {
        name: name.to_owned(),
        about: kind.about().to_owned(),
        packets: sent,
        packet_ns: time.as_nanos() as f64 / sent.max(1) as f64,
        packets_per_second: sent as f64 / time.max(Duration::from_nanos(1)).as_secs_f64(),
        peak_bytes: peak,
        limit_bytes: limits(kind, &config),
        base_bytes: BASE_BYTES,
        attacks,
        missed,
        given_up: given_up(&counters),
    })
}

/// The defaults, or part of them.
fn config(scale: f64) -> EngineConfig {
    let part = |whole: usize, least: usize| ((whole as f64 * scale) as usize).max(least);
    let mut config = EngineConfig::default();
    config.decoder.verify_checksums = true;
    config.flow.max_flows = part(config.flow.max_flows, 2_048);
    config.stream.memory = part(config.stream.memory, 2 << 20);
    config.decoder.defrag.max_bytes = part(config.decoder.defrag.max_bytes, 1 << 20);
    config.decoder.defrag.max_trackers = part(config.decoder.defrag.max_trackers, 1_024);
    config
}

/// What the flood may fill. What it does not touch is not allowed for, so that nothing can hide there.
fn limits(kind: Kind, config: &EngineConfig) -> [u64; 3] {
    let of = |touched: bool, bytes: usize| if touched { bytes as u64 } else { 0 };
    [
        of(!kind.fragments(), config.flow.memory()),
        of(kind.streams(), config.stream.memory),
        of(kind.fragments(), config.decoder.defrag.max_bytes),
    ]
}

/// Both halves of an attack on each of the connections.
fn attack_all(rig: &mut Rig<'_>, victims: usize, phase: usize) {
    for second in [false, true] {
        (0..victims).for_each(|number| Victim(number).attack(rig, phase, second));
    }
}

/// The flood, with an attack on each connection in its course.
fn flood(rig: &mut Rig<'_>, feed: &mut Feed, packets: usize, victims: usize) {
    let every = (packets / victims).max(1);
    let apart = (packets / APART).max(1);
    let due = |number: usize| {
        let at = number / every;
        (number.is_multiple_of(every) && at < victims).then_some(Victim(at))
    };
    for number in 0..packets + apart {
        if let Some(victim) = due(number) {
            victim.attack(rig, 1, false);
        }
        if let Some(victim) = number.checked_sub(apart).and_then(due) {
            victim.attack(rig, 1, true);
        }
        if number < packets {
            feed.send(rig);
        }
    }
}

/// Counts an alert for the connection that was attacked.
fn note(seen: &mut [[u64; 3]], alert: &Alert<'_>) {
    let phase = (alert.rule.meta.sid as usize).wrapping_sub(1);
    let of = alert
        .packet
        .flow
        .and_then(|flow| VICTIMS.number(flow.client.0));
    if let Some(count) = of
        .and_then(|number| seen.get_mut(number))
        .and_then(|phases| phases.get_mut(phase))
    {
        *count += 1;
    }
}

fn given_up(counters: &Counters) -> Vec<(String, u64)> {
    let (flow, streams, defrag) = (&counters.flow, &counters.streams, &counters.decoder.defrag);
    let all = [
        ("flow.evicted", flow.evicted),
        ("flow.timed_out", flow.timed_out),
        ("stream.evicted", streams.evicted),
        ("stream.no_room", streams.no_room),
        ("stream.gaps", streams.gaps),
        ("stream.forgotten", streams.forgotten),
        ("defrag.evicted", defrag.evicted),
        ("defrag.timed_out", defrag.timed_out),
        ("defrag.ignored", defrag.ignored),
    ];
    let some = all.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(name, count)| (name.to_owned(), count)).collect()
}

impl Flood {
    /// Bytes that it may take.
    pub fn allowed_bytes(&self) -> u64 {
        self.limit_bytes.iter().sum::<u64>() + self.base_bytes
    }

    /// What is wrong, where something is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.peak_bytes > self.allowed_bytes() {
            faults.push(format!(
                "{}: {} bytes resident, {} allowed",
                self.name,
                self.peak_bytes,
                self.allowed_bytes()
            ));
        }
        for (phase, [sent, seen]) in ["before", "during", "after"].iter().zip(self.attacks) {
            if sent != seen {
                faults.push(format!(
                    "{}: of {sent} attacks {phase} the flood, {seen} alerted once (time, connection, alerts: {:?})",
                    self.name, self.missed
                ));
            }
        }
        faults
    }

    /// As text.
    pub fn text(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let [flows, streams, fragments] = self.limit_bytes.map(mib);
        let attacks = self.attacks.map(|[sent, seen]| format!("{seen} of {sent}"));
        let given_up = self.given_up.iter();
        let given_up: Vec<String> = given_up.map(|(name, n)| format!("{name} {n}")).collect();
        format!(
            "{}: {}\n  {} packets, {:.0} ns each, {:.2} million a second\n  \
             memory: {:.1} MiB of {:.1} (flows {flows:.1}, streams {streams:.1}, fragments {fragments:.1}, beside them {:.0})\n  \
             attacks seen before, during, after: {}\n  given up: {}\n",
            self.name,
            self.about,
            self.packets,
            self.packet_ns,
            self.packets_per_second / 1e6,
            mib(self.peak_bytes),
            mib(self.allowed_bytes()),
            mib(self.base_bytes),
            attacks.join(", "),
            if given_up.is_empty() {
                "nothing".to_owned()
            } else {
                given_up.join(", ")
            },
        )
    }
}

impl FloodReport {
    /// Writes `flood.json` into `folder`, which is created if it is not there. Returns what was written.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, BenchError> {
        report::write(folder, "flood.json", &report::json(self)?)
    }
}
