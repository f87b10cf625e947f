//! What a packet takes the whole engine, stage by stage, by the number of connections that are open.
//!
//! Every connection is established and has sent something each way; then connections that are drawn at random send in
//! order, as often as there are connections times six. That is done once unmeasured, so that memory is at hand, and
//! then as often as asked for, with and without the stop watch of the stages: the one says where time goes, the other how
//! much it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use weir_capture::CaptureReader;
use weir_engine::detect::{EngineConfig, Profile, Stage};
use weir_engine::flow::FlowConfig;

use crate::flood::frames::{Family, Segment};
use crate::flood::rig::{self, Rig};
use crate::{BenchError, report};

/// Measured packets of a connection, on average.
const EACH: usize = 6;
/// Measured packets of a round, at least.
const PACKETS: usize = 1 << 18;
/// Bytes of data in a packet.
const BYTES: usize = 300;
/// What a connection's streams may take.
const CONNECTION_BYTES: usize = 16 << 10;
/// Packet time from one frame to the next: a million connections stay open.
const STEP_NS: u64 = 1_000;
const CLIENTS: Family = Family(10);

/// A few rules, none of which matches.
const RULES: &str = concat!(
    "alert tcp any any -> any 80 (msg:\"a\"; flow:established,to_server; content:\"/cgi-bin/phf\"; sid:1;)\n",
    "alert tcp any 80 -> any any (msg:\"b\"; flow:established,to_client; content:\"uid=0(root)\"; sid:2;)\n",
    "alert udp any any -> any 53 (msg:\"c\"; content:\"|00 00 fc 00 01|\"; sid:3;)\n",
);

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct CostOptions {
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// Times that everything is measured.
    pub rounds: usize,
    /// Captures, which are measured by themselves.
    pub pcap: Vec<PathBuf>,
    /// Rules to go with the captures; without them, a few that match nothing.
    pub rules: Vec<PathBuf>,
    /// What is made up is drawn from this.
    pub seed: u64,
}

/// What a packet takes.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Of what.
    pub name: String,
    /// Connections that are open; `None` for captures.
    pub connections: Option<usize>,
    /// Packets of a round.
    pub packets: u64,
    /// Nanoseconds of processor time: median, fastest and slowest round.
    pub packet_ns: [f64; 3],
    /// Of the median, what goes to decode, flow (with the session), stream, match, and all other stages. The stop watch
    /// goes by the wall, and others use the machine, too: so it says what part each stage has, not how long it is.
    pub stage_ns: [f64; 5],
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CostReport {
    /// By number of connections, then captures.
    pub costs: Vec<Cost>,
}

/// Measures; `tell` hears what comes next.
///
/// # Errors
/// When rules or captures cannot be read.
pub fn run(options: &CostOptions, tell: &mut dyn FnMut(&str)) -> Result<CostReport, BenchError> {
    let mut report = CostReport::default();
    for &connections in &options.connections {
        tell(&format!("connections: {connections}"));
        let cost = made(options, connections.max(1))?;
        report.costs.push(cost);
    }
    for path in &options.pcap {
        tell(&path.display().to_string());
        let cost = captured(options, path)?;
        report.costs.push(cost);
    }
    Ok(report)
}

/// The rounds of a measurement.
#[derive(Default)]
struct Rounds {
    packets: u64,
    /// Nanoseconds a packet.
    times: Vec<f64>,
    stages: [Duration; 5],
}

impl Rounds {
    /// Takes a round, with or without the stop watch.
    fn add(&mut self, packets: u64, time: Duration, profile: Option<[Duration; 5]>) {
        self.packets = packets;
        match profile {
            None => {
                let time = time.as_nanos() as f64;
                self.times.push(time / packets.max(1) as f64);
            }
            Some(stages) => {
                for (sum, stage) in self.stages.iter_mut().zip(stages) {
                    *sum += stage;
                }
            }
        }
    }

    fn cost(mut self, name: String, connections: Option<usize>) -> Cost {
        self.times.sort_by(f64::total_cmp);
        let at = |place: usize| self.times.get(place).copied().unwrap_or_default();
        let last = self.times.len().saturating_sub(1);
        let median = at(self.times.len() / 2);
        let all: Duration = self.stages.iter().sum();
        let all = all.max(Duration::from_nanos(1)).as_secs_f64();
        Cost {
            name,
            connections,
            packets: self.packets,
            packet_ns: [median, at(0), at(last)],
            stage_ns: self.stages.map(|time| median * time.as_secs_f64() / all),
        }
    }
}

/// What the stages took, as they are told.
fn stages(profile: &Profile) -> [Duration; 5] {
    let mut told = [Duration::ZERO; 5];
    for (stage, spent) in profile.stages() {
        let place = match stage {
            Stage::Read => continue,
            Stage::Decode => 0,
            Stage::Flow => 1,
            Stage::Stream => 2,
            Stage::Match => 3,
            _ => 4,
        };
        told[place] += spent.time;
    }
    told
}

fn since(now: [Duration; 5], before: [Duration; 5]) -> [Duration; 5] {
    std::array::from_fn(|at| now[at].saturating_sub(before[at]))
}

fn made(options: &CostOptions, connections: usize) -> Result<Cost, BenchError> {
    let rules = rig::rules(RULES.to_owned())?;
    let mut rounds = Rounds::default();
    for profile in [false, true] {
        let mut config = EngineConfig {
            profile,
            flow: FlowConfig {
                max_flows: connections + connections / 8 + 16,
                ..FlowConfig::default()
            },
            ..EngineConfig::default()
        };
        config.stream.memory = connections.saturating_mul(CONNECTION_BYTES).max(16 << 20);
        let mut rig = Rig::new(&rules, &config, STEP_NS, |_| ())?;
        let mut traffic = Traffic::new(connections, options.seed);
        traffic.round(&mut rig);
        for _ in 0..options.rounds.max(1) {
            let (packets, time, stages) = traffic.round(&mut rig);
            rounds.add(packets, time, profile.then_some(stages));
        }
        let counters = rig.counters();
        let lost = counters.streams.evicted + counters.streams.no_room + counters.flow.evicted;
        if lost > 0 {
            return Err(BenchError::Nothing(format!(
                "{lost} of {connections} connections gave way: their cost would not be that of so many"
            )));
        }
    }
    Ok(rounds.cost("made".into(), Some(connections)))
}

/// Connections and what they have sent.
struct Traffic {
    sent: Vec<[u32; 2]>,
    rng: fastrand::Rng,
    text: Vec<u8>,
}

impl Traffic {
    fn new(connections: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let text = (0..2 * BYTES).map(|_| rng.alphanumeric() as u8).collect();
        Self {
            sent: vec![[0; 2]; connections],
            rng,
            text,
        }
    }

    /// Sends the next data of a connection, the sides in turn.
    fn data(&mut self, rig: &mut Rig<'_>, number: usize) {
        let from = self.rng.usize(..BYTES);
        let data = self.text.get(from..from + BYTES).unwrap_or_default();
        let Some(sent) = self.sent.get_mut(number) else {
            return;
        };
        let to_server = sent[0] <= sent[1];
        let mine = usize::from(!to_server);
        let segment = Segment {
            to_server,
            at: [sent[mine], sent[1 - mine]],
            ..Segment::data((CLIENTS, number), 0, data)
        };
        sent[mine] += BYTES as u32;
        rig.send(|out| segment.write(out));
    }

    /// Opens all connections, measures, and has them forgotten.
    fn round(&mut self, rig: &mut Rig<'_>) -> (u64, Duration, [Duration; 5]) {
        let connections = self.sent.len();
        let mut total = (0, Duration::ZERO, [Duration::ZERO; 5]);
        while total.0 < PACKETS as u64 {
            self.sent.fill([0; 2]);
            for number in 0..connections {
                for segment in Segment::handshake((CLIENTS, number)) {
                    rig.send(|out| segment.write(out));
                }
            }
            for number in (0..connections).chain(0..connections) {
                self.data(rig, number);
            }
            let before = (rig.spent(), stages(&rig.profile()));
            for _ in 0..EACH * connections {
                let number = self.rng.usize(..connections);
                self.data(rig, number);
            }
            let after = (rig.spent(), stages(&rig.profile()));
            total.0 += after.0.0 - before.0.0;
            total.1 += after.0.1.saturating_sub(before.0.1);
            for (sum, stage) in total.2.iter_mut().zip(since(after.1, before.1)) {
                *sum += stage;
            }
            rig.forget();
        }
        total
    }
}

fn captured(options: &CostOptions, path: &Path) -> Result<Cost, BenchError> {
    let rules = match options.rules.as_slice() {
        [] => rig::rules(RULES.to_owned())?,
        paths => rig::load(paths)?,
    };
    let mut rounds = Rounds::default();
    for profile in [false, true] {
        let config = EngineConfig {
            profile,
            ..EngineConfig::default()
        };
        for _ in 0..options.rounds.max(1) {
            let mut rig = Rig::new(&rules, &config, STEP_NS, |_| ())?;
            let mut reader = CaptureReader::open(path)?;
            while let Some(frame) = reader.next_frame()? {
                rig.replay(&frame);
            }
            rig.finish();
            let (packets, time) = rig.spent();
            let stages = stages(&rig.profile());
            rounds.add(packets, time, profile.then_some(stages));
        }
    }
    let name = path.file_name().map(|name| name.display().to_string());
    Ok(rounds.cost(name.unwrap_or_default(), None))
}

impl CostReport {
    /// Writes `cost.json` into `folder`, which is created if it is not there. Returns what was written.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, BenchError> {
        report::write(folder, "cost.json", &report::json(self)?)
    }

    /// As text: nanoseconds, and how much more they are than with the fewest connections.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "connections   packet ns (low..high)   times   decode     flow   stream    match     rest\n",
        );
        let first = self.costs.first().map_or(1.0, |cost| cost.packet_ns[0]);
        for cost in &self.costs {
            let name = match cost.connections {
                Some(connections) => connections.to_string(),
                None => cost.name.clone(),
            };
            let [median, low, high] = cost.packet_ns;
            let time = format!("{median:.0} ({low:.0}..{high:.0})");
            let times = match cost.connections {
                Some(_) => format!("{:.2}", median / first),
                None => String::new(),
            };
            out += &format!("{name:>11} {time:>23} {times:>7}");
            for stage in cost.stage_ns {
                out += &format!(" {stage:>8.0}");
            }
            out.push('\n');
        }
        out
    }
}
