//! What is measured: which probe sets on which buffers.

mod kind;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use weir_engine::matcher::Probe;
use weir_rules::syntax::load_paths;

use self::kind::{Kind, SIZES};
use crate::BenchError;
use crate::answers::Answers;
use crate::contender::{self, Contender, Entry, REFERENCE};
use crate::measure::{self, Latency, Times};
use crate::workload::{self, Buffers, ProbeSet, RuleProbes, Traffic};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rule files or folders to take probes from; probes are made up without any.
    pub rules: Vec<PathBuf>,
    /// Captures to take buffers from; traffic is generated without any.
    pub pcap: Vec<PathBuf>,
    /// Rounds of every scenario.
    pub rounds: usize,
    /// Sizes of the probe sets that are drawn.
    pub probes: Vec<usize>,
    /// About how many bytes of buffers a scenario has at most. Without a limit, payloads are taken as they came, all of
    /// them, and other buffers have 16 MiB.
    pub bytes: Option<usize>,
    /// Only scenarios whose name contains one of these; all if there are none.
    pub only: Vec<String>,
    /// Only contenders whose name begins with one of these; all if there are none.
    pub contenders: Vec<String>,
    /// What is drawn is drawn from this.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            pcap: Vec::new(),
            rounds: 5,
            probes: vec![100, 1000, 10_000, 65_000],
            bytes: None,
            only: Vec::new(),
            contenders: Vec::new(),
            seed: 1,
        }
    }
}

/// Packets of traffic that is generated for want of a capture.
const PACKETS: u64 = 60_000;
/// Probes that are made up for want of rules.
const PROBES: usize = 17_500;

/// A scenario's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// `SET/BUFFERS`.
    pub name: String,
    /// Where the probes are from.
    pub set: String,
    /// What the buffers are.
    pub buffers: String,
    /// How many probes.
    pub probes: usize,
    /// How many buffers.
    pub buffer_count: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// Hits, each probe once a buffer: the same for every contender.
    pub hits: usize,
    /// One a contender.
    pub rows: Vec<Row>,
    /// Contenders that could not take the set, and what they said.
    pub left_out: Vec<String>,
}

/// A contender's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Who.
    pub contender: String,
    /// Gbit/s of one core, by processor time: the median of the rounds.
    pub gbit: f64,
    /// The slowest round.
    pub gbit_low: f64,
    /// The fastest round.
    pub gbit_high: f64,
    /// Nanoseconds of processor time for a buffer, on average, in the median round.
    pub ns_per_buffer: f64,
    /// Nanoseconds a buffer, each timed by itself.
    pub latency_ns: Latency,
    /// Milliseconds of processor time to build the tables.
    pub load_ms: f64,
    /// Bytes of the tables, where they are known.
    pub table_bytes: Option<usize>,
}

/// Rules and traffic, read once, for all scenarios.
pub struct Bench {
    options: Options,
    traffic: Traffic,
    rules: Option<RuleProbes>,
    sets: Vec<(ProbeSet, Vec<Kind>)>,
}

impl Bench {
    /// Reads rules and captures, or makes up what is not given.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or there is nothing to measure in what was given.
    pub fn new(options: Options) -> Result<Self, BenchError> {
        let traffic = if options.pcap.is_empty() {
            Traffic::generated(options.seed, packets(options.bytes))
        } else {
            Traffic::read(&options.pcap)?
        };
        let rules = if options.rules.is_empty() {
            None
        } else {
            let made = workload::rule_probes(&load_paths(&options.rules)?, &traffic.learn);
            if made.probes.is_empty() {
                return Err(BenchError::Nothing("the rules have no contents".to_owned()));
            }
            Some(made)
        };
        let sets = sets(&options, rules.as_ref());
        Ok(Self {
            options,
            traffic,
            rules,
            sets,
        })
    }

    /// What the buffers are from, and the probes.
    pub fn about(&self) -> [String; 2] {
        let rules = self.rules.as_ref().map_or_else(
            || "made up".to_owned(),
            |made| {
                format!(
                    "{} rules, {} of them without a content; a probe a rule, {} distinct",
                    made.rules,
                    made.without,
                    made.probes.len()
                )
            },
        );
        [self.traffic.about.clone(), rules]
    }

    /// The contenders that take part.
    pub fn contenders(&self) -> Vec<Entry> {
        let mut entries = contender::all();
        let wanted = &self.options.contenders;
        entries.retain(|entry| {
            wanted.is_empty()
                || wanted
                    .iter()
                    .any(|start| entry.name.starts_with(start.as_str()))
        });
        entries
    }

    /// Runs the scenarios that are wanted; `done` gets the figures of each, `tell` what is going on.
    ///
    /// # Errors
    ///
    /// When two contenders differ in an answer, or one cannot finish a buffer.
    pub fn run(
        &self,
        tell: &mut dyn FnMut(&str),
        done: &mut dyn FnMut(Measured),
    ) -> Result<(), BenchError> {
        let entries = self.contenders();
        if entries.is_empty() {
            let names: Vec<_> = contender::all()
                .into_iter()
                .map(|entry| entry.name)
                .collect();
            return Err(BenchError::Nothing(format!(
                "no such contender; there are: {}",
                names.join(", ")
            )));
        }
        let mut any = false;
        for (set, kinds) in &self.sets {
            let name = |kind: Kind| format!("{}/{}", set.name, kind.name());
            let wanted = |kind: &&Kind| {
                let only = &self.options.only;
                only.is_empty() || only.iter().any(|part| name(**kind).contains(part.as_str()))
            };
            let kinds: Vec<Kind> = kinds.iter().filter(wanted).copied().collect();
            if kinds.is_empty() {
                continue;
            }
            any = true;
            tell(&format!("{}: building tables", set.name));
            let mut field = Field::new(&entries, &set.probes)?;
            for kind in kinds {
                let buffers = kind.buffers(self, &set.probes);
                if buffers.is_empty() {
                    tell(&format!("{}: too few bytes for a buffer", name(kind)));
                    continue;
                }
                let about = (name(kind), kind.about());
                done(field.measure(set, about, &buffers, self.options.rounds, tell)?);
            }
        }
        if any {
            Ok(())
        } else {
            let names = self.scenarios().join(", ");
            Err(BenchError::Nothing(format!(
                "no such scenario; there are: {names}"
            )))
        }
    }

    /// The names of all scenarios.
    pub fn scenarios(&self) -> Vec<String> {
        let names = self.sets.iter().flat_map(|(set, kinds)| {
            kinds
                .iter()
                .map(move |kind| format!("{}/{}", set.name, kind.name()))
        });
        names.collect()
    }
}

/// How many packets to generate: no more than are needed for so many bytes of payload in their second half.
fn packets(bytes: Option<usize>) -> u64 {
    let enough = |bytes: usize| (bytes as u64 / 200).clamp(2000, PACKETS);
    bytes.map_or(PACKETS, enough)
}

/// The probe sets, and what each is measured on.
fn sets(options: &Options, rules: Option<&RuleProbes>) -> Vec<(ProbeSet, Vec<Kind>)> {
    let mut every = vec![Kind::Payloads, Kind::Varied];
    every.extend(SIZES.map(Kind::Cut));
    every.extend([Kind::Random, Kind::NearMisses, Kind::Genuine, Kind::Runs]);
    let mut sets = Vec::new();
    let mut add = |name: String, about: &str, probes: Vec<Probe>, kinds: &[Kind]| {
        let about = about.to_owned();
        let set = ProbeSet {
            name,
            about,
            probes,
        };
        sets.push((set, kinds.to_vec()));
    };
    let payloads = &[Kind::Payloads, Kind::Varied][..];
    let drawn_from = match rules {
        Some(made) => {
            let one_byte = |probe: &Probe| probe.bytes().windows(2).all(|two| two[0] == two[1]);
            let usual = |probe: &&Probe| probe.bytes().len() >= 3 && !one_byte(probe);
            let rare: Vec<Probe> = made.probes.iter().filter(usual).copied().collect();
            let folded = rare
                .iter()
                .filter_map(|probe| Probe::new(probe.bytes(), true, 1));
            add(
                "rules-folded".to_owned(),
                "rules' probes of 3 to 8 bytes, no runs of one byte, all folded",
                workload::distinct(folded),
                payloads,
            );
            add(
                "rules".to_owned(),
                "rules' probes of 3 to 8 bytes, no runs of one byte",
                rare.clone(),
                &every,
            );
            add(
                "rules-all".to_owned(),
                "rules' probes of all lengths, runs too",
                made.probes.clone(),
                payloads,
            );
            add(
                "rules-planned".to_owned(),
                "what Weir looks for, by the frequency table that comes with it",
                made.planned.clone(),
                payloads,
            );
            vec![rare, made.others.clone()]
        }
        None => {
            add(
                "made".to_owned(),
                "made-up words and bytes",
                workload::made_probes(options.seed, PROBES, &[]),
                &every,
            );
            Vec::new()
        }
    };
    for &count in &options.probes {
        add(
            format!("probes-{count}"),
            "drawn from rules' contents, made up where these do not suffice",
            workload::made_probes(options.seed, count, &drawn_from),
            &SIZES.map(Kind::Cut),
        );
    }
    sets
}

/// The contenders with one set loaded.
struct Field {
    names: Vec<(String, Option<usize>, Duration)>,
    contenders: Vec<Box<dyn Contender>>,
    reference: Box<dyn Contender>,
    left_out: Vec<String>,
}

impl Field {
    fn new(entries: &[Entry], probes: &[Probe]) -> Result<Self, BenchError> {
        let (mut names, mut contenders, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let start = measure::cpu_time();
            match entry.load(probes) {
                Ok(contender) => {
                    let load = measure::cpu_time().saturating_sub(start);
                    names.push((entry.name.clone(), contender.table_bytes(), load));
                    contenders.push(contender);
                }
                Err(error) => left_out.push(error.to_string()),
            }
        }
        Ok(Self {
            names,
            contenders,
            reference: contender::reference().load(probes)?,
            left_out,
        })
    }

    fn measure(
        &mut self,
        set: &ProbeSet,
        (name, about): (String, String),
        buffers: &Buffers,
        rounds: usize,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Measured, BenchError> {
        tell(&format!("{name}: comparing answers"));
        let right = Answers::of(&mut *self.reference, buffers)?;
        for (contender, (who, ..)) in self.contenders.iter_mut().zip(&self.names) {
            let answers = Answers::of(&mut **contender, buffers)?;
            answers.compare(&right, (who, REFERENCE), &set.probes, buffers)?;
        }
        let mut round = 0;
        let times = measure::throughput(&mut self.contenders, buffers, rounds, &mut || {
            round += 1;
            tell(&format!("{name}: round {round} of {rounds}"));
        })?;
        let mut rows = Vec::with_capacity(self.names.len());
        let field = self.contenders.iter_mut().zip(&self.names).zip(&times);
        for ((contender, (who, table_bytes, load)), times) in field {
            tell(&format!("{name}: latency of {who}"));
            let latency_ns = measure::latency(&mut **contender, buffers)?;
            rows.push(row(who, times, buffers, latency_ns, *load, *table_bytes));
        }
        Ok(Measured {
            name,
            set: set.about.clone(),
            buffers: about,
            probes: set.probes.len(),
            buffer_count: buffers.len(),
            bytes: buffers.bytes().len(),
            hits: right.hits(),
            rows,
            left_out: self.left_out.clone(),
        })
    }
}

fn row(
    contender: &str,
    times: &Times,
    buffers: &Buffers,
    latency_ns: Latency,
    load: Duration,
    table_bytes: Option<usize>,
) -> Row {
    let gbit = |time: Duration| {
        // A clock that did not move measured nothing.
        let nanos = (time.as_nanos() as f64).max(1.0);
        buffers.bytes().len() as f64 * 8.0 / nanos
    };
    let (fast, slow) = times.spread();
    let median = times.median();
    Row {
        contender: contender.to_owned(),
        gbit: gbit(median),
        gbit_low: gbit(slow),
        gbit_high: gbit(fast),
        ns_per_buffer: median.as_nanos() as f64 / buffers.len().max(1) as f64,
        latency_ns,
        load_ms: load.as_secs_f64() * 1e3,
        table_bytes,
    }
}
