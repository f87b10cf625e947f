//! What a packet takes the host when a card matches: its share of the matching stage, and of the whole engine.
//!
//! The same engine goes through the same capture with software matching, and with a card that costs nothing: everything that the host
//! does for a card is done (records are packed, with their CRCs; report units are checked and read; hits become probes), but what
//! the card answers is played from memory, where the golden model put it in a run before. What is left out is the way there and back: system
//! calls, or stores into shared memory, of the I/O threads, which are not the workers.
//!
//! Both give the same alerts, or no time is told.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use weir_capture::CaptureReader;
use weir_engine::detect::{Alert, EngineConfig, SearchCounters, Stage};
use weir_engine::matcher::{Matcher, MatcherError, Probe, Report, Request, Software};
use weir_engine::plan::RuleSet;
use weir_tables::{Geometry, Golden, Key, Offload, Settings, Size};

use crate::flood::rig::{self, Rig};
use crate::{BenchError, report};

/// Buffers under way: those of a few batches.
const DEPTH: usize = 4096;
/// Any will do: nothing else speaks on these streams.
const NONCE: u32 = 0x0FF1_0AD5;
/// Not used: captures have times of their own.
const STEP_NS: u64 = 1_000;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct OffloadOptions {
    /// Captures, each measured by itself.
    pub pcap: Vec<PathBuf>,
    /// Rules to go with them.
    pub rules: Vec<PathBuf>,
    /// Times that everything is measured.
    pub rounds: usize,
    /// Bytes of a beat of the card: 8, 16, 32 or 64.
    pub lanes: usize,
    /// The card's key is drawn from this.
    pub seed: u64,
}

/// Nanoseconds of processor time a packet: median, fastest and slowest round.
pub type Nanoseconds = [f64; 3];

/// What a capture takes.
#[derive(Clone, Debug, Serialize)]
pub struct OffloadCost {
    /// Which.
    pub name: String,
    /// Its packets.
    pub packets: u64,
    /// Rules that matched and were not suppressed, the same both ways.
    pub alerts: u64,
    /// The whole engine, with software.
    pub software_ns: Nanoseconds,
    /// The whole engine, with a card that costs nothing.
    pub card_ns: Nanoseconds,
    /// The matching stage with software: the stop watch's share of `software_ns`.
    pub software_match_ns: f64,
    /// The matching stage with such a card.
    pub card_match_ns: f64,
    /// Buffers that were searched.
    pub buffers: u64,
    /// Of them, those that the card was asked for in time.
    pub asked: u64,
    /// Buffers that the card looked through and nobody asked for.
    pub unwanted: u64,
    /// Bytes to the card, a packet.
    pub to_card: f64,
    /// Bytes from the card, a packet.
    pub from_card: f64,
}

/// All captures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OffloadReport {
    /// By capture.
    pub costs: Vec<OffloadCost>,
}

/// What a card has answered, flush by flush.
type Tape = Vec<Vec<u8>>;

/// Where the card's answers come from.
enum Card {
    /// From the card itself, and are put on tape.
    Golden(Box<Golden>, Arc<Mutex<Tape>>),
    /// From tape, of which so much has been played.
    Tape(Arc<Mutex<Tape>>, usize),
}

/// The host's side of a card, as a matcher.
struct Replay {
    offload: Offload,
    /// Records that have not gone out.
    stream: Vec<u8>,
    card: Card,
    /// Bytes to the card.
    sent: Arc<AtomicU64>,
}

impl Matcher for Replay {
    fn name(&self) -> &'static str {
        "card"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.offload.load(probes)?;
        let writes = self.offload.start(true);
        if let Card::Golden(golden, _) = &mut self.card {
            for (address, value) in writes {
                golden.write(address, value);
            }
        }
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.offload.submit(request, &mut self.stream);
        Ok(())
    }

    fn flush(&mut self) {
        let bytes = self.stream.len() as u64;
        self.sent.fetch_add(bytes, Ordering::Relaxed);
        match &mut self.card {
            Card::Golden(golden, tape) => {
                let mut units = Vec::new();
                golden.feed(&self.stream, &mut units);
                self.offload.reports(&units);
                lock(tape).push(units);
            }
            Card::Tape(tape, at) => {
                if let Some(units) = lock(tape).get(*at) {
                    self.offload.reports(units);
                }
                *at += 1;
            }
        }
        self.stream.clear();
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        self.offload.poll(deliver)
    }

    fn depth(&self) -> usize {
        DEPTH
    }
}

fn lock(tape: &Mutex<Tape>) -> MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one way through a capture gave.
struct Run {
    packets: u64,
    /// Processor time.
    time: Duration,
    /// The matching stage's part of it; 0 where no stop watch ran.
    matching: f64,
    counters: SearchCounters,
    /// Packet and rule of each alert.
    alerts: Vec<(u64, u32)>,
}

fn run(
    matcher: Box<dyn Matcher>,
    rules: &Arc<RuleSet>,
    capture: &Path,
    profile: bool,
) -> Result<Run, BenchError> {
    let config = EngineConfig {
        profile,
        ..EngineConfig::default()
    };
    let mut alerts = Vec::new();
    let mut note = |alert: &Alert<'_>| alerts.push((alert.packet.number, alert.id));
    let mut rig = Rig::matching(matcher, rules, &config, STEP_NS, &mut note)?;
    let mut reader = CaptureReader::open(capture)?;
    while let Some(frame) = reader.next_frame()? {
        rig.replay(&frame);
    }
    rig.finish();
    let (packets, time) = rig.spent();
    let stages: Vec<_> = rig.profile().stages().collect();
    let spent = |of: &dyn Fn(Stage) -> bool| -> f64 {
        let of = stages.iter().filter(|(stage, _)| of(*stage));
        of.map(|(_, spent)| spent.time.as_secs_f64()).sum()
    };
    let all = spent(&|_| true);
    let matching = if all > 0.0 {
        spent(&|stage| stage == Stage::Match) / all
    } else {
        0.0
    };
    let counters = rig.counters().search;
    drop(rig);
    Ok(Run {
        packets,
        time,
        matching,
        counters,
        alerts,
    })
}

/// Measures; `tell` hears what comes next.
///
/// # Errors
/// When rules or captures cannot be read, or the two ways do not give the same alerts.
pub fn measure(
    options: &OffloadOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<OffloadReport, BenchError> {
    if options.pcap.is_empty() || options.rules.is_empty() {
        return Err(BenchError::Nothing(
            "offload is measured on captures with rules: name some with --pcap and --rules".into(),
        ));
    }
    let rules = rig::load(&options.rules)?;
    let mut report = OffloadReport::default();
    for path in &options.pcap {
        tell(&path.display().to_string());
        report.costs.push(captured(options, &rules, path)?);
    }
    Ok(report)
}

fn captured(
    options: &OffloadOptions,
    rules: &Arc<RuleSet>,
    path: &Path,
) -> Result<OffloadCost, BenchError> {
    let geometry = Geometry::new(options.lanes, Size::Full);
    let sent = Arc::new(AtomicU64::new(0));
    let replay = |card| {
        sent.store(0, Ordering::Relaxed);
        let key = Key::from_seed(options.seed);
        Box::new(Replay {
            offload: Offload::new(geometry, key, NONCE, Settings::default()),
            stream: Vec::new(),
            card,
            sent: Arc::clone(&sent),
        })
    };
    let software = || Box::new(Software::new());
    let tape = Arc::default();
    let golden = Card::Golden(Box::new(Golden::new(geometry)), Arc::clone(&tape));
    let first = run(replay(golden), rules, path, false)?;
    let expected = run(software(), rules, path, false)?;
    let [mut with_software, mut with_card] = [(); 2].map(|()| (Vec::new(), Vec::new()));
    for profile in [false, true] {
        for _ in 0..options.rounds.max(1) {
            let card = Card::Tape(Arc::clone(&tape), 0);
            let both = [
                (run(software(), rules, path, profile)?, &mut with_software),
                (run(replay(card), rules, path, profile)?, &mut with_card),
            ];
            for (run, times) in both {
                if run.alerts != expected.alerts {
                    return Err(BenchError::Nothing(format!(
                        "{}: {} alerts with software, {} with a card, and they differ",
                        path.display(),
                        expected.alerts.len(),
                        run.alerts.len()
                    )));
                }
                if profile {
                    times.1.push(run.matching);
                } else {
                    let time = run.time.as_nanos() as f64;
                    times.0.push(time / run.packets.max(1) as f64);
                }
            }
        }
    }
    let per_packet = |bytes: u64| bytes as f64 / first.packets.max(1) as f64;
    let answered: usize = lock(&tape).iter().map(Vec::len).sum();
    let [software_ns, card_ns] =
        [&mut with_software.0, &mut with_card.0].map(|times| spread(times));
    let [software_part, card_part] =
        [&mut with_software.1, &mut with_card.1].map(|parts| spread(parts));
    let name = path.file_name().map(|name| name.display().to_string());
    Ok(OffloadCost {
        name: name.unwrap_or_default(),
        packets: first.packets,
        alerts: expected.alerts.len() as u64,
        software_ns,
        card_ns,
        software_match_ns: software_ns[0] * software_part[0],
        card_match_ns: card_ns[0] * card_part[0],
        buffers: first.counters.buffers,
        asked: first.counters.asked,
        unwanted: first.counters.unwanted,
        to_card: per_packet(sent.load(Ordering::Relaxed)),
        from_card: per_packet(answered as u64),
    })
}

/// Median, least and greatest.
fn spread(values: &mut [f64]) -> Nanoseconds {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or_default();
    [
        at(values.len() / 2),
        at(0),
        at(values.len().saturating_sub(1)),
    ]
}

impl OffloadReport {
    /// Writes `offload.json` into `folder`, which is created if it is not there. Returns what was written.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, BenchError> {
        report::write(folder, "offload.json", &report::json(self)?)
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for cost in &self.costs {
            let OffloadCost {
                name,
                packets,
                alerts,
                software_ns,
                card_ns,
                software_match_ns,
                card_match_ns,
                buffers,
                asked,
                unwanted,
                to_card,
                from_card,
            } = cost;
            let times =
                |[median, low, high]: &Nanoseconds| format!("{median:.0} ({low:.0}..{high:.0})");
            let percent = |part: f64, whole: f64| 100.0 * part / whole.max(1.0);
            out += &format!(
                "{name}: {packets} packets, {alerts} alerts, the same both ways; nanoseconds of processor time a packet\n"
            );
            out += "                        matching stage             whole engine\n";
            out += &format!(
                "software                {software_match_ns:>14.0} {:>24}\n",
                times(software_ns)
            );
            out += &format!(
                "a card at no cost       {card_match_ns:>14.0} {:>24}\n",
                times(card_ns)
            );
            out += &format!(
                "no matching at all      {:>14} {:>24.0}   what the rest of the engine takes\n",
                0,
                software_ns[0] - software_match_ns
            );
            out += &format!(
                "so a card saves {:.1} % of the matching stage, {:.1} % of the engine: {:.2} times the packets a core\n",
                percent(software_match_ns - card_match_ns, *software_match_ns),
                percent(software_ns[0] - card_ns[0], software_ns[0]),
                software_ns[0] / card_ns[0].max(1.0)
            );
            out += &format!(
                "{:.2} % of {buffers} buffers were foreseen; {:.2} % more were sent for nothing; {to_card:.0} bytes a packet to the card, {from_card:.1} back\n",
                percent(*asked as f64, *buffers as f64),
                percent(*unwanted as f64, *buffers as f64),
            );
        }
        out
    }
}
