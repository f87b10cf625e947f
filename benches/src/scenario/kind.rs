//! Buffers of a scenario.

use weir_engine::matcher::Probe;

use super::Bench;
use crate::workload::{self, Buffers};

/// Sizes that payloads are cut to, in bytes.
pub(super) const SIZES: [usize; 4] = [64, 512, 1500, 65_536];
/// Bytes of buffers in a scenario where no limit is given.
const BYTES: usize = 16 << 20;
/// Size of the buffers that are made to be hard.
const HARD: usize = 1500;
/// Which buffers a scenario has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Payloads as they are.
    Payloads,
    /// Those that hardly repeat themselves.
    Varied,
    /// Payloads put together and cut.
    Cut(usize),
    Random,
    NearMisses,
    Genuine,
    Runs,
}

impl Kind {
    pub fn name(self) -> String {
        match self {
            Self::Payloads => "payloads".to_owned(),
            Self::Varied => "varied".to_owned(),
            Self::Cut(size) => size.to_string(),
            Self::Random => "random".to_owned(),
            Self::NearMisses => "near-misses".to_owned(),
            Self::Genuine => "genuine".to_owned(),
            Self::Runs => "runs".to_owned(),
        }
    }

    pub fn about(self) -> String {
        match self {
            Self::Payloads => "payloads as they came".to_owned(),
            Self::Varied => {
                format!("payloads of which less than half repeats what was {PERIOD} bytes before")
            }
            Self::Cut(size) => format!("payloads put together and cut to {size} bytes"),
            Self::Random => format!("random bytes, {HARD} a buffer"),
            Self::NearMisses => {
                format!("probes with a wrong last byte strung together, {HARD} bytes a buffer")
            }
            Self::Genuine => format!("probes strung together, {HARD} bytes a buffer"),
            Self::Runs => format!("runs of one to three bytes, {HARD} a buffer"),
        }
    }

    pub fn buffers(self, bench: &Bench, probes: &[Probe]) -> Buffers {
        let seed = bench.options.seed;
        let bytes = bench.options.bytes.unwrap_or(BYTES);
        // What is made up needs no more than this to be telling.
        let few = bytes.clamp(HARD, 4 << 20);
        let measured = &bench.traffic.measure;
        match self {
            Self::Payloads => measured.spread(bench.options.bytes.unwrap_or(usize::MAX)),
            Self::Varied => varied(measured).spread(bench.options.bytes.unwrap_or(usize::MAX)),
            Self::Cut(size) => Buffers::cut(measured.bytes(), size).spread(bytes),
            Self::Random => workload::random_bytes(seed, HARD, few),
            Self::NearMisses => workload::near_misses(seed, probes, HARD, few),
            Self::Genuine => workload::genuine(seed, probes, HARD, few),
            Self::Runs => workload::runs(seed, probes, HARD, few),
        }
    }
}

/// Distance at which payloads are looked at for repeats: padding and other short periods show at it.
const PERIOD: usize = 24;

/// The buffers that hardly repeat themselves.
fn varied(buffers: &Buffers) -> Buffers {
    let mut kept = Buffers::new();
    for buffer in buffers.iter().filter(|buffer| buffer.len() > PERIOD) {
        let repeated = buffer
            .iter()
            .zip(&buffer[PERIOD..])
            .filter(|(before, here)| before == here)
            .count();
        if 2 * repeated < buffer.len() {
            kept.push(buffer);
        }
    }
    kept
}
