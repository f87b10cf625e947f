//! What a simulation showed.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use weir_engine::matcher::Hit;
use weir_sim::core::{Core, Totals};
use weir_tables::Geometry;

use super::SimulateOptions;
use super::load::Workload;
use crate::failure::Failure;
use crate::ui::figures;

/// Differences that are shown.
const SHOWN: usize = 5;

/// Counters of a core at one time.
pub struct Counts {
    totals: Totals,
    counters: [u32; 6],
}

const REGISTERS: [u32; 6] = [
    card_protocol::register::COUNT_RECORDS,
    card_protocol::register::COUNT_BYTES,
    card_protocol::register::COUNT_OVERFLOWS,
    card_protocol::register::COUNT_CANDIDATES,
    card_protocol::register::COUNT_LOOKUPS,
    card_protocol::register::COUNT_HITS,
];

impl Counts {
    /// Reads them.
    pub fn read(core: &mut dyn Core) -> Result<Self, Failure> {
        let mut counters = [0; 6];
        // Before the reads, which take cycles.
        let totals = core.wires().totals;
        for (to, address) in counters.iter_mut().zip(REGISTERS) {
            *to = core.read(address).map_err(Failure::failed)?;
        }
        Ok(Self { totals, counters })
    }
}

/// Answers beside software's.
#[derive(Default)]
pub struct Verdict {
    finished: u64,
    unfinished: u64,
    differences: u64,
    hits: u64,
    shown: Vec<String>,
}

impl Verdict {
    /// An answer; hits in order, each once.
    pub fn add(&mut self, tag: u64, finished: bool, hits: &[Hit], expected: Option<&[Hit]>) {
        if !finished {
            self.unfinished += 1;
            return;
        }
        self.finished += 1;
        self.hits += hits.len() as u64;
        if expected == Some(hits) {
            return;
        }
        self.differences += 1;
        if self.shown.len() < SHOWN {
            self.shown
                .push(format!("buffer {tag}: {hits:?}, software {expected:?}"));
        }
    }
}

/// What it comes to.
pub struct Tally {
    /// Buffers whose answer was not software's.
    pub differences: u64,
    verdict: Verdict,
    moved: usize,
    took: Duration,
    cycles: u64,
    beats: u64,
    stalls: u64,
    out_stalls: u64,
    records: u64,
    bytes: u64,
    overflows: u64,
    candidates: u64,
    lookups: u64,
    core_hits: u64,
}

impl Tally {
    /// From the counters before and after.
    pub fn new(
        begun: &Counts,
        ended: &Counts,
        verdict: Verdict,
        moved: usize,
        took: Duration,
    ) -> Self {
        let mut counts = begun
            .counters
            .iter()
            .zip(&ended.counters)
            .map(|(before, after)| u64::from(after.wrapping_sub(*before)));
        let mut next = || counts.next().unwrap_or(0);
        let (before, after) = (&begun.totals, &ended.totals);
        Self {
            differences: verdict.differences,
            verdict,
            moved,
            took,
            cycles: after.cycles - before.cycles,
            beats: after.beats - before.beats,
            stalls: after.stalls - before.stalls,
            out_stalls: after.out_stalls - before.out_stalls,
            records: next(),
            bytes: next(),
            overflows: next(),
            candidates: next(),
            lookups: next(),
            core_hits: next(),
        }
    }

    /// As text.
    pub fn text(
        &self,
        workload: &Workload,
        geometry: &Geometry,
        options: &SimulateOptions,
    ) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // What is written to a string does not fail.
            let _ = writeln!(text, "{name:26}{value}");
        };
        let count = figures::count;
        line(
            "core",
            format!(
                "{} lanes, {} tables, {:?}",
                geometry.lanes, options.size, options.engine
            ),
        );
        line(
            "probes",
            format!(
                "{}, {} of them left to software",
                count(workload.probes.len() as u64),
                count(self.moved as u64)
            ),
        );
        line(
            "buffers",
            format!(
                "{}, {}",
                count(workload.buffers.len() as u64),
                workload.about
            ),
        );
        line("payload bytes", count(self.bytes));
        line("records", count(self.records));
        line("beats", count(self.beats));
        if self.cycles > 0 {
            line("cycles", count(self.cycles));
            line(
                "stalls (input, output)",
                format!("{}, {}", count(self.stalls), count(self.out_stalls)),
            );
            line(
                "bytes a cycle",
                format!("{:.3}", self.per_cycle(self.beats * geometry.lanes as u64)),
            );
            line(
                "payload bytes a cycle",
                format!("{:.3}", self.per_cycle(self.bytes)),
            );
            let rate = figures::rate(self.cycles, self.took);
            line("simulated cycles a second", rate);
        }
        line(
            "candidates a beat",
            format!("{:.4}", share(self.candidates, self.beats)),
        );
        line(
            "candidates",
            format!(
                "{}, {:.3} % of payload bytes",
                count(self.candidates),
                100.0 * share(self.candidates, self.bytes)
            ),
        );
        line(
            "lookups",
            format!(
                "{}, {:.3} % of payload bytes",
                count(self.lookups),
                100.0 * share(self.lookups, self.bytes)
            ),
        );
        line("hits of the core", count(self.core_hits));
        line(
            "overflows",
            format!(
                "{}, {:.3} % of records",
                count(self.overflows),
                100.0 * share(self.overflows, self.records)
            ),
        );
        line(
            "equal to software",
            format!(
                "{} of {} buffers, {} hits; {} left to software",
                count(self.verdict.finished - self.differences),
                count(self.verdict.finished),
                count(self.verdict.hits),
                count(self.verdict.unfinished)
            ),
        );
        for shown in &self.verdict.shown {
            line("DIFFERENT", shown.clone());
        }
        text
    }

    /// As JSON.
    pub fn json(
        &self,
        workload: &Workload,
        geometry: &Geometry,
        options: &SimulateOptions,
    ) -> Value {
        json!({
            "lanes": geometry.lanes,
            "size": options.size.to_string(),
            "engine": format!("{:?}", options.engine).to_lowercase(),
            "traffic": workload.about,
            "probes": workload.probes.len(),
            "moved": self.moved,
            "buffers": workload.buffers.len(),
            "payload_bytes": self.bytes,
            "records": self.records,
            "beats": self.beats,
            "cycles": self.cycles,
            "stalls": self.stalls,
            "out_stalls": self.out_stalls,
            "bytes_per_cycle": self.per_cycle(self.beats * geometry.lanes as u64),
            "payload_bytes_per_cycle": self.per_cycle(self.bytes),
            "candidates": self.candidates,
            "lookups": self.lookups,
            "hits": self.core_hits,
            "overflows": self.overflows,
            "unfinished": self.verdict.unfinished,
            "differences": self.differences,
        })
    }

    fn per_cycle(&self, bytes: u64) -> f64 {
        share(bytes, self.cycles)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
