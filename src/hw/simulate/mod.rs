//! `weir hw simulate`: traffic through a simulated core, beside software.

mod load;
mod tally;
mod waves;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Request, Software};
use weir_sim::{Engine, Offloaded};
use weir_tables::{Geometry, Key, Settings};

use self::load::{Buffers, Workload};
use self::tally::{Tally, Verdict};
use self::waves::Waves;
use super::CoreSize;
use crate::failure::Failure;
use crate::ui::progress::Progress;

/// What runs the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// The golden model; without clock
    Model,
    /// The Verilog, compiled by Verilator
    Rtl,
    /// Rust-HDL's own simulator
    RustHdl,
}

impl From<EngineKind> for Engine {
    fn from(kind: EngineKind) -> Self {
        match kind {
            EngineKind::Model => Self::Model,
            EngineKind::Rtl => Self::Rtl,
            EngineKind::RustHdl => Self::RustHdl,
        }
    }
}

/// Options of `weir hw simulate`.
#[derive(Args, Debug)]
pub struct SimulateOptions {
    /// Bytes of a beat
    #[arg(long, value_name = "N", value_parser = super::lanes, default_value = "8")]
    pub lanes: usize,
    /// How large the tables are
    #[arg(long, value_enum, default_value_t = CoreSize::Full)]
    pub size: CoreSize,
    /// What runs the core
    #[arg(long, value_enum, default_value = "rtl")]
    pub engine: EngineKind,
    /// Captures: each packet's payload is a buffer
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "made")]
    pub pcap: Vec<PathBuf>,
    /// Buffers made for the purpose, instead of a capture's
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "pcap")]
    pub made: Option<load::Made>,
    /// Bytes of a buffer that is made
    #[arg(long, value_name = "N", default_value_t = 1460, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub made_size: u32,
    /// Rule files, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub rules: Vec<PathBuf>,
    /// Stop after so many bytes of buffers
    #[arg(long, value_name = "N")]
    pub limit_bytes: Option<u64>,
    /// Candidates that a slice examines of a record before it gives it to software
    #[arg(long, value_name = "N", default_value_t = u16::MAX)]
    pub candidates: u16,
    /// What the key of the hashes, and what is made, are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write a waveform as value change dump
    #[arg(long, value_name = "FILE")]
    pub vcd: Option<PathBuf>,
    /// Write a waveform in GTKWave's compressed format
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vcd", "svg"])]
    pub fst: Option<PathBuf>,
    /// Only of this packet of the capture, the first being 1, in the waveform
    #[arg(long, value_name = "N")]
    pub packet: Option<u64>,
    /// Draw signals of the waveform
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Signals to draw, by name and as many scopes as it takes
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        requires = "svg",
        default_value = "s_axis_tvalid,s_axis_tready,s_axis_tdata,m_axis_tvalid,m_axis_tready,m_axis_tdata,m_axis_tlast"
    )]
    pub signals: Vec<String>,
    /// First cycle to draw, counted from the waveform's first
    #[arg(long, value_name = "CYCLE", default_value_t = 0)]
    pub from: u64,
    /// Last cycle to draw
    #[arg(long, value_name = "CYCLE", default_value_t = 40)]
    pub to: u64,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn simulate(options: &SimulateOptions) -> Result<(), Failure> {
    let workload = Workload::read(options)?;
    let mut waves = Waves::new(options)?;
    let geometry = Geometry::new(options.lanes, options.size.into());
    if waves.wanted() && options.engine == EngineKind::Model {
        return Err(Failure::Usage(
            "--vcd, --fst, --svg: the model has no clock, and so no waveform; use --engine rtl"
                .to_owned(),
        ));
    }
    tracing::info!(
        "building the core, unless it is in {}",
        weir_sim::verilator::cache().display()
    );
    let core = Engine::from(options.engine)
        .core(geometry, waves.kind())
        .map_err(Failure::failed)?;
    let settings = Settings {
        limit: options.candidates,
        ..Settings::default()
    };
    let mut bench = Bench::new(
        Offloaded::new(core, Key::from_seed(options.seed), settings),
        &workload.probes,
    )?;
    let started = Instant::now();
    bench.run(&workload.buffers, &mut waves)?;
    waves.finish(bench.matcher.core())?;
    let tally = bench.finish(started.elapsed())?;
    let mut out = io::stdout().lock();
    let written = if options.json {
        writeln!(out, "{}", tally.json(&workload, &geometry, options))
    } else {
        write!(out, "{}", tally.text(&workload, &geometry, options))
    };
    written.map_err(Failure::stdout)?;
    if tally.differences > 0 {
        return Err(Failure::Refused);
    }
    Ok(())
}

/// A core and software side by side.
struct Bench {
    matcher: Offloaded,
    software: Software,
    /// Software's answers to what is under way, by tag.
    expected: std::collections::BTreeMap<u64, Vec<Hit>>,
    verdicts: Verdict,
    begun: tally::Counts,
}

impl Bench {
    fn new(mut matcher: Offloaded, probes: &[Probe]) -> Result<Self, Failure> {
        let mut software = Software::new();
        software.load(probes).map_err(Failure::failed)?;
        matcher.load(probes).map_err(Failure::failed)?;
        let begun = tally::Counts::read(matcher.core())?;
        Ok(Self {
            matcher,
            software,
            expected: std::collections::BTreeMap::new(),
            verdicts: Verdict::default(),
            begun,
        })
    }

    fn run(&mut self, buffers: &Buffers, waves: &mut Waves) -> Result<(), Failure> {
        let mut progress = Progress::new(Some(buffers.bytes()));
        let mut bytes = 0;
        waves.begin(self.matcher.core())?;
        for (number, (packet, data)) in (0u64..).zip(buffers.iter()) {
            let shown = waves.of(packet);
            if shown {
                self.drain();
                waves.start(self.matcher.core())?;
            }
            let request = Request {
                tag: number,
                group: 0,
                carry: 0,
                data,
            };
            self.ask_software(request)?;
            loop {
                match self.matcher.submit(request) {
                    Ok(()) => break,
                    Err(MatcherError::Full) => self.poll(),
                    Err(error) => return Err(Failure::failed(error)),
                };
            }
            if shown {
                self.drain();
                waves.stop(self.matcher.core())?;
            }
            bytes += data.len() as u64;
            progress.at(number, bytes, bytes);
        }
        self.drain();
        Ok(())
    }

    fn ask_software(&mut self, request: Request<'_>) -> Result<(), Failure> {
        self.software.submit(request).map_err(Failure::failed)?;
        let expected = &mut self.expected;
        self.software.poll(&mut |report| {
            let mut hits = report.hits.to_vec();
            hits.sort_unstable();
            hits.dedup();
            expected.insert(report.tag, hits);
        });
        Ok(())
    }

    fn poll(&mut self) -> usize {
        let Self {
            matcher,
            expected,
            verdicts,
            ..
        } = self;
        matcher.poll(&mut |report| {
            let expected = expected.remove(&report.tag);
            let mut hits = report.hits.to_vec();
            hits.sort_unstable();
            hits.dedup();
            verdicts.add(
                report.tag,
                report.outcome == Outcome::Done,
                &hits,
                expected.as_deref(),
            );
        })
    }

    /// Waits for all answers.
    fn drain(&mut self) {
        while !self.expected.is_empty() && self.matcher.failure().is_none() {
            self.poll();
        }
    }

    fn finish(mut self, took: std::time::Duration) -> Result<Tally, Failure> {
        if let Some(failure) = self.matcher.failure() {
            return Err(Failure::failed(failure));
        }
        let ended = tally::Counts::read(self.matcher.core())?;
        let moved = self
            .matcher
            .offload()
            .tables()
            .map_or(0, |(_, share)| share.moved().len());
        Ok(Tally::new(&self.begun, &ended, self.verdicts, moved, took))
    }
}
