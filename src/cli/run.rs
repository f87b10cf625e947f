//! `weir run`, and what is said to a running sensor.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{EveType, Fail, Mode};
use crate::rules::Evaluation;

/// Examples that every build can run.
macro_rules! run_examples {
    () => {
        "Examples:\n  weir run --pcap monday.pcap tuesday.pcap.gz --rules rules/ --eve eve.json\n  \
         tcpdump -w - | weir run --pcap - --rules local.rules --eve -\n  \
         weir run --inline eth1,eth2 --fail open --rules et-open.weir --eve eve.json --control /run/weir.sock\n  \
         weir run --interface eth3 --rules et-open.weir --eve eve.json\n"
    };
}

/// What is to be known about `weir run`.
macro_rules! run_notes {
    () => {
        "Without --eve, a summary by signature is printed. Rules that cannot be evaluated are left out, counted \
         and named on standard error; --strict makes that an error.\n\n\
         --inline takes all traffic of two ports through the sensor; it takes the capabilities CAP_NET_ADMIN, CAP_NET_RAW, \
         CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK. The kernel's part outlives the process: `weir detach` removes it."
    };
}
/// The end of the help for `weir run`.
#[cfg(not(feature = "libpcap"))]
pub(super) const HELP: &str = concat!(run_examples!(), "\n", run_notes!());
/// The end of the help for `weir run`.
#[cfg(feature = "libpcap")]
pub(super) const HELP: &str = concat!(
    run_examples!(),
    "  weir run --interface eth0 --capture libpcap --filter 'not port 22' --rules rules/ --eve -\n\n",
    run_notes!()
);

/// Options of `weir run`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["pcap", "interface", "inline"])))]
pub struct RunOptions {
    /// Captures to read, in this order: pcap or pcapng, also gzipped; - is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pcap: Vec<PathBuf>,
    /// Inspect what comes in at this port, until interrupted: a mirror of traffic, of which nothing goes on
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
    /// Inspect what goes from one of these ports to the other, in both directions, until interrupted; drop what rules say
    #[arg(long, value_name = "IF_A,IF_B", value_delimiter = ',', num_args = 1)]
    pub inline: Vec<String>,
    /// What becomes of traffic that nobody inspects: because the process has ended or hangs [default: closed]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "pcap")]
    pub fail: Option<Fail>,
    /// How the XDP program is attached to ports [default: auto]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "pcap")]
    pub xdp: Option<Mode>,
    /// Look whether everything is there for the ports, rules and configuration, and change nothing
    #[arg(long, conflicts_with = "pcap")]
    pub dry_run: bool,
    /// What takes packets from --interface: auto is xdp, but for interfaces that this host itself speaks on: xdp would take its packets away
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value_t,
        requires = "interface"
    )]
    pub capture: Capture,
    /// Only packets that pass this filter, in tcpdump's language (pcap-filter(7))
    #[cfg(feature = "libpcap")]
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Text rules (.rules), rule modules (.wasm), built rule sets (.weir), or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub rules: Vec<PathBuf>,
    /// Configuration in TOML: variables, checksums, limits
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Choose the literals that stand for rules by this table of `weir rules learn`, not the one that comes with Weir
    #[arg(long, value_name = "FILE")]
    pub frequency: Option<PathBuf>,
    /// How text rules are evaluated
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub evaluator: Evaluation,
    /// Measure how often each rule is evaluated, matches, and what that takes; the dearest rules go to standard error
    #[arg(long)]
    pub profile_rules: bool,
    /// Take only rule sets that one of the configuration's trusted-keys signed, and no text rules or modules
    #[arg(long)]
    pub require_signature: bool,
    /// Where EVE JSON goes, a record a line; - is standard output
    #[arg(long, value_name = "FILE")]
    pub eve: Option<PathBuf>,
    /// Records to write, instead of those that the configuration names
    #[arg(
        long,
        value_enum,
        value_name = "TYPE",
        value_delimiter = ',',
        requires = "eve"
    )]
    pub eve_types: Vec<EveType>,
    /// Keep what the EVE file holds, and write after it
    #[arg(long, requires = "eve")]
    pub append: bool,
    /// Where the figures of the run go, as one JSON object; - is standard output
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    /// What looks for the rules' literals
    #[arg(long, value_enum, default_value_t = MatcherKind::Auto)]
    pub matcher: MatcherKind,
    /// The card: a folder of XDMA nodes, or one that `weir-sim card --listen` serves [default: /dev, if it has any]
    #[arg(long, value_name = "PATH")]
    pub device: Option<PathBuf>,
    /// Who looks through buffers while the card is healthy [default: auto; card with --matcher card]
    #[arg(long, value_enum, value_name = "WHO")]
    pub offload: Option<OffloadPolicy>,
    /// Bytes of a beat of the core that `--matcher rtl` simulates
    #[arg(long, value_name = "N", value_parser = crate::hw::lanes, default_value = "8", hide_default_value = true)]
    pub lanes: usize,
    /// Threads that inspect packets; one a core unless given, but one alone for what comes live
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Fail if any rule is refused, instead of going on without it
    #[arg(long)]
    pub strict: bool,
    /// Take over from this folder what the last run left there, and leave there what the next one needs: bits, counts and
    /// data sets, and when the run is stopped or is live, also flows and streams
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Another run goes on where the captures end: leave flows and streams to it, too, instead of ending them
    #[arg(long, requires = "state_dir")]
    pub handover: bool,
    /// Listen here for `weir reload` and `weir status`: a socket that only its owner can use
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// Measure each stage of a packet's way: a table on standard error, and `stages` in --stats
    #[arg(long)]
    pub profile: bool,
}

impl RunOptions {
    /// True when packets come as they happen.
    pub fn is_live(&self) -> bool {
        self.interface.is_some() || !self.inline.is_empty()
    }
}

/// `--capture`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Capture {
    /// Whatever does no harm
    #[default]
    Auto,
    /// XDP: fast, and nobody else on this host sees the packets
    Xdp,
    /// libpcap: slower, and the host goes on as it did
    #[cfg(feature = "libpcap")]
    Libpcap,
}

/// Options of `weir detach`.
#[derive(Args, Debug)]
pub struct DetachOptions {
    /// Ports; of a pair, either
    #[arg(value_name = "IF", required = true)]
    pub ports: Vec<String>,
    /// Where programs and maps are pinned
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpffs: PathBuf,
}

/// Options of `weir reload`.
#[derive(Args, Debug)]
pub struct ReloadOptions {
    /// The socket that the sensor listens on
    #[arg(long, value_name = "SOCKET")]
    pub control: PathBuf,
    /// Load these rule files, or folders of them, this time, instead of those that the sensor was started with
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
}

/// Options of `weir status`.
#[derive(Args, Debug)]
pub struct StatusOptions {
    /// The socket that the sensor listens on
    #[arg(long, value_name = "SOCKET")]
    pub control: PathBuf,
}

/// Backends of `--matcher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MatcherKind {
    /// A card if one answers, else software
    Auto,
    /// The software matcher
    Software,
    /// The core as a program without clock, bit-exact; needs no tools
    Model,
    /// The core's Verilog, simulated; needs Verilator and a C++ compiler, and time
    Rtl,
    /// A card; software takes over if it fails
    Card,
}

/// `--offload`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OffloadPolicy {
    /// Whoever costs this host less, as it was measured
    Auto,
    /// The card
    Card,
    /// Software; the card is kept ready
    Software,
}

impl From<OffloadPolicy> for weir_driver::Policy {
    fn from(policy: OffloadPolicy) -> Self {
        match policy {
            OffloadPolicy::Auto => Self::Auto,
            OffloadPolicy::Card => Self::Card,
            OffloadPolicy::Software => Self::Software,
        }
    }
}
