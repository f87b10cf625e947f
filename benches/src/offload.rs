//! What a packet takes the host when a card matches: its share of the matching stage, and of the whole engine.
//!
//! The same engine goes through the same capture with software matching, and with a card that costs nothing: everything that the host
//! does for a card is done (records are packed, with their CRCs; report units are checked and read; hits become probes), but what
//! the card answers is played from memory, where the golden model put it in a run before. What is left out is the way there and back: system
//! calls, or stores into shared memory, of the I/O threads, which are not the workers.
//!
//! What the rest of the engine takes is measured, too: with hits that were written down before and cost nothing to find. The matching stage is
//! what is beyond that. (A stop watch in every stage would take about as long as the work that a card leaves.)
//!
//! All give the same alerts, or no time is told.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use weir_capture::CaptureReader;
use weir_engine::detect::{Alert, EngineConfig, SearchCounters};
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request, Software};
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
    /// The engine with hits that are known beforehand: all but the matching stage.
    pub rest_ns: Nanoseconds,
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

fn lock<T>(tape: &Mutex<T>) -> MutexGuard<'_, T> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hits of one buffer after the other.
#[derive(Default)]
struct Known {
    hits: Vec<Hit>,
    /// Where those of a buffer end.
    ends: Vec<usize>,
}

/// Software that writes down what it finds.
struct Scribe {
    software: Software,
    known: Arc<Mutex<Known>>,
}

impl Matcher for Scribe {
    fn name(&self) -> &'static str {
        self.software.name()
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.software.load(probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.software.submit(request)
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let mut known = lock(&self.known);
        self.software.poll(&mut |report| {
            known.hits.extend_from_slice(report.hits);
            let end = known.hits.len();
            known.ends.push(end);
            deliver(report);
        })
    }
}

/// Says what was written down, in the same order.
struct Reader {
    known: Arc<Known>,
    /// Buffers so far.
    at: usize,
    tag: Option<u64>,
}

impl Matcher for Reader {
    fn name(&self) -> &'static str {
        "known"
    }

    fn load(&mut self, _: &[Probe]) -> Result<(), MatcherError> {
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        self.tag = Some(request.tag);
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let Some(tag) = self.tag.take() else {
            return 0;
        };
        let Known { hits, ends } = &*self.known;
        let end = |buffer: usize| ends.get(buffer).copied();
        let start = self.at.checked_sub(1).and_then(end).unwrap_or(0);
        let hits = end(self.at).and_then(|end| hits.get(start..end));
        self.at += 1;
        deliver(Report {
            tag,
            outcome: Outcome::Done,
            hits: hits.unwrap_or_default(),
        });
        1
    }
}

/// What one way through a capture gave.
struct Run {
    packets: u64,
    /// Processor time.
    time: Duration,
    counters: SearchCounters,
    /// Packet and rule of each alert.
    alerts: Vec<(u64, u32)>,
}

fn run(matcher: Box<dyn Matcher>, rules: &Arc<RuleSet>, capture: &Path) -> Result<Run, BenchError> {
    let config = EngineConfig::default();
    let mut alerts = Vec::new();
    let mut note = |alert: &Alert<'_>| alerts.push((alert.packet.number, alert.id));
    let mut rig = Rig::matching(matcher, rules, &config, STEP_NS, &mut note)?;
    let mut reader = CaptureReader::open(capture)?;
    while let Some(frame) = reader.next_frame()? {
        rig.replay(&frame);
    }
    rig.finish();
    let (packets, time) = rig.spent();
    let counters = rig.counters().search;
    drop(rig);
    Ok(Run {
        packets,
        time,
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
    let tape = Arc::default();
    let golden = Card::Golden(Box::new(Golden::new(geometry)), Arc::clone(&tape));
    let first = run(replay(golden), rules, path)?;
    let known = Arc::new(Mutex::new(Known::default()));
    let scribe = Scribe {
        software: Software::new(),
        known: Arc::clone(&known),
    };
    let expected = run(Box::new(scribe), rules, path)?;
    let known = Arc::new(std::mem::take(&mut *lock(&known)));
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..options.rounds.max(1) {
        let reader = Reader {
            known: Arc::clone(&known),
            at: 0,
            tag: None,
        };
        let contenders: [Box<dyn Matcher>; 3] = [
            Box::new(Software::new()),
            replay(Card::Tape(Arc::clone(&tape), 0)),
            Box::new(reader),
        ];
        for (matcher, times) in contenders.into_iter().zip(&mut times) {
            let name = matcher.name();
            let run = run(matcher, rules, path)?;
            if run.alerts != expected.alerts {
                return Err(BenchError::Nothing(format!(
                    "{}: {} alerts with software, {} with {name}, and they differ",
                    path.display(),
                    expected.alerts.len(),
                    run.alerts.len()
                )));
            }
            let time = run.time.as_nanos() as f64;
            times.push(time / run.packets.max(1) as f64);
        }
    }
    let per_packet = |bytes: u64| bytes as f64 / first.packets.max(1) as f64;
    let answered: usize = lock(&tape).iter().map(Vec::len).sum();
    let [software_ns, card_ns, rest_ns] = times.each_mut().map(|times| spread(times));
    let name = path.file_name().map(|name| name.display().to_string());
    Ok(OffloadCost {
        name: name.unwrap_or_default(),
        packets: first.packets,
        alerts: expected.alerts.len() as u64,
        software_ns,
        card_ns,
        rest_ns,
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
                rest_ns,
                buffers,
                asked,
                unwanted,
                to_card,
                from_card,
            } = cost;
            let times =
                |[median, low, high]: &Nanoseconds| format!("{median:.0} ({low:.0}..{high:.0})");
            let percent = |part: f64, whole: f64| 100.0 * part / whole.max(1.0);
            let [software_match_ns, card_match_ns] =
                [software_ns, card_ns].map(|all| (all[0] - rest_ns[0]).max(0.0));
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
                "hits known beforehand   {:>14} {:>24}   what the rest of the engine takes\n",
                0,
                times(rest_ns)
            );
            out += &format!(
                "so a card saves {:.1} % of the matching stage, {:.1} % of the engine: {:.2} times the packets a core\n",
                percent(software_match_ns - card_match_ns, software_match_ns),
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
