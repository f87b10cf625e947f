//! What goes through the core: probes of rules, and buffers.

use clap::ValueEnum;
use weir_bench::workload::{self, genuine, near_misses, random_bytes, rule_probes, runs};

use weir_capture::CaptureReader;
use weir_engine::detect::inspected_payload;
use weir_engine::matcher::Probe;
use weir_engine::packet::{Decoder, DecoderConfig};
use weir_rules::syntax::load_paths;

use super::SimulateOptions;
use crate::failure::Failure;

/// Bytes of buffers that are made, unless a limit is given.
const MADE: u64 = 4 << 20;

/// Buffers made for the purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Made {
    /// Random bytes
    Random,
    /// The rules' probes strung together
    Genuine,
    /// Probes with one byte changed, strung together
    NearMisses,
    /// Runs and short periods
    Runs,
}

/// Buffers, and the packets that they are of.
#[derive(Default)]
pub struct Buffers {
    data: workload::Buffers,
    packets: Vec<u64>,
}

impl Buffers {
    /// Each buffer with its packet's number, the first being 1.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.packets.iter().copied().zip(self.data.iter())
    }

    /// Bytes of all.
    pub fn bytes(&self) -> u64 {
        self.data.bytes().len() as u64
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.packets.len()
    }
}

/// Probes and buffers.
pub struct Workload {
    /// Where the buffers are from.
    pub about: String,
    /// What the rule planner chooses for each rule, those that are not evaluated included; all of one group.
    pub probes: Vec<Probe>,
    /// What is looked through.
    pub buffers: Buffers,
}

impl Workload {
    /// Reads rules and captures, or makes buffers.
    pub fn read(options: &SimulateOptions) -> Result<Self, Failure> {
        let sources = load_paths(&options.rules).map_err(Failure::failed)?;
        let probes = rule_probes(&sources, &workload::Buffers::new()).planned;
        if probes.is_empty() {
            return Err(Failure::failed("the rules have no content to look for"));
        }
        let (about, buffers) = match options.made {
            Some(made) => made.buffers(&probes, options),
            None => payloads(options)?,
        };
        if buffers.len() == 0 {
            return Err(Failure::failed("no payload to look through"));
        }
        Ok(Self {
            about,
            probes,
            buffers,
        })
    }
}

impl Made {
    fn buffers(self, probes: &[Probe], options: &SimulateOptions) -> (String, Buffers) {
        let size = options.made_size as usize;
        let bytes = usize::try_from(options.limit_bytes.unwrap_or(MADE)).unwrap_or(usize::MAX);
        let (what, data) = match self {
            Self::Random => ("random bytes", random_bytes(options.seed, size, bytes)),
            Self::Genuine => (
                "probes strung together",
                genuine(options.seed, probes, size, bytes),
            ),
            Self::NearMisses => (
                "probes with a byte changed",
                near_misses(options.seed, probes, size, bytes),
            ),
            Self::Runs => (
                "runs and short periods",
                runs(options.seed, probes, size, bytes),
            ),
        };
        let packets = (1..=data.len() as u64).collect();
        (
            format!("{what}, buffers of {size} bytes"),
            Buffers { data, packets },
        )
    }
}

fn payloads(options: &SimulateOptions) -> Result<(String, Buffers), Failure> {
    let mut buffers = Buffers::default();
    let mut names = Vec::new();
    let limit = options.limit_bytes.unwrap_or(u64::MAX);
    for file in &options.pcap {
        let mut decoder = Decoder::new(DecoderConfig::default());
        let mut reader = CaptureReader::open(file).map_err(Failure::failed)?;
        let mut packet = 0;
        while buffers.bytes() < limit
            && let Some(frame) = reader.next_frame().map_err(Failure::failed)?
        {
            packet += 1;
            decoder.decode(frame, &mut |found| {
                let payload = inspected_payload(found);
                if !payload.is_empty() {
                    buffers.data.push(payload);
                    buffers.packets.push(packet);
                }
            });
        }
        let name = file.file_name().unwrap_or(file.as_os_str());
        names.push(name.to_string_lossy().into_owned());
    }
    Ok((format!("payloads of {}", names.join(", ")), buffers))
}
