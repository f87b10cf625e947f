//! What can be said on the command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::card::CardCommand;
use crate::config::EveType;
use crate::hw::HwCommand;
use crate::rules::Evaluation;
use crate::rules::ranges::Ranges;

/// Examples that every build can run.
macro_rules! run_examples {
    () => {
        "Examples:\n  weir run --pcap monday.pcap tuesday.pcap.gz --rules rules/ --eve eve.json\n  \
         tcpdump -w - | weir run --pcap - --rules local.rules --eve -\n"
    };
}

/// What is to be known about `weir run`.
macro_rules! run_notes {
    () => {
        "Without --eve, a summary by signature is printed. Rules that cannot be evaluated are left out, counted \
         and named on standard error; --strict makes that an error."
    };
}

/// Intrusion detection with Suricata's rules.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  weir run --pcap traffic.pcap --rules et-open.rules --eve alerts.json\n\n\
                  Exit status: 0 done; 1 something failed or was refused; 2 the command line or the configuration is wrong."
)]
pub struct Cli {
    /// Say more on standard error; twice for all there is
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures, apply rules, write alerts
    #[command(after_help = RUN_HELP)]
    Run(RunOptions),
    /// Have a running sensor load its rules again, without losing anything
    #[command(after_help = "Examples:\n  weir reload --control /run/weir.sock\n  \
                            weir reload --control /run/weir.sock --rules new-rules/\n\n\
                            The sensor runs with --control. What it says is printed; where the new rules cannot be used, the \
                            old ones stay in force,\nand this ends with 1. SIGUSR2 or SIGHUP do the same without an answer.")]
    Reload(ReloadOptions),
    /// Say how a running sensor is
    #[command(after_help = "Example:\n  weir status --control /run/weir.sock")]
    Status(StatusOptions),
    /// Look after rules
    #[command(subcommand, after_help = "Example:\n  weir rules check et-open.rules")]
    Rules(RulesCommand),
    /// Show it all on traffic and rules made for the purpose
    #[command(after_help = "Example:\n  weir demo --seed 7 --keep demo-files\n\n\
                            On a terminal of 140 columns the table also says when, and who attacked whom.\n\
                            Ends with 1 if a planted attack was missed, or if anything else raised an alert.")]
    Demo(DemoOptions),
    /// The matcher core as hardware: synthesis, and what is known of it
    #[command(subcommand, after_help = "Example:\n  weir hw report")]
    Hw(HwCommand),
    /// A card that runs the matcher core: how it is, and whether it works
    #[command(subcommand, after_help = "Example:\n  weir card status --device /dev")]
    Card(CardCommand),
    /// Measure matchers, beside other people's where this build has them (feature `peers`)
    #[cfg(feature = "bench")]
    #[command(after_help = "Examples:\n  weir bench matcher\n  \
                            weir bench matcher --rules et-open.rules --pcap monday.pcap --rounds 9 -o report\n  \
                            weir bench matcher --only rules/ --contender software --contender hyperscan\n\n\
                            Without rules and captures, probes and traffic are made up. All answers are compared before \
                            any time is told;\na difference is an error. What is said to be going on shows with -v.")]
    Bench(BenchOptions),
}

/// The end of the help for `weir run`.
#[cfg(not(feature = "libpcap"))]
const RUN_HELP: &str = concat!(run_examples!(), "\n", run_notes!());
/// The end of the help for `weir run`.
#[cfg(feature = "libpcap")]
const RUN_HELP: &str = concat!(
    run_examples!(),
    "  weir run --interface eth0 --filter 'not port 22' --rules rules/ --eve -\n\n",
    run_notes!()
);

/// `weir rules …`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List every problem with its place, and sum up by keyword
    #[command(
        after_help = "Examples:\n  weir rules check --summary et-open.rules\n  weir rules check --plan local.rules\n\n\
                            Problems print as FILE:LINE:COL: text. The last line is\n  \
                            rules: N read, E evaluated, U unsupported, S syntax errors\n\
                            Ends with 1 if any rule was refused."
    )]
    Check(CheckOptions),
    /// Learn from traffic which byte windows are common, so that better literals stand for rules in the matcher
    #[command(
        after_help = "Examples:\n  weir rules learn --pcap monday.pcap tuesday.pcap.gz -o ours.freq\n  \
                            weir run --pcap wednesday.pcap --rules rules/ --frequency ours.freq\n\n\
                            The table holds counts of windows of 1 to 8 bytes and nothing else: no addresses, no names, no \
                            longer text,\nand no window that was seen fewer than --hits times or in fewer than --payloads \
                            payloads."
    )]
    Learn(LearnOptions),
    /// Make a capture in which every rule fires once and nearly fires once, and prove that it does
    #[command(
        after_help = "Example:\n  weir rules exercise et-open.rules -o exercise.pcap\n  \
                            weir run --pcap exercise.pcap --rules et-open.rules\n\n\
                            Beside exercise.pcap stand exercise.expected.jsonl, a line for each conversation with the rule that \
                            fires on it\nor must not, and exercise.unmet.jsonl, a line for each rule without conversations and why. \
                            Counts are printed."
    )]
    Exercise(ExerciseOptions),
    /// Make a rule module: a project in Rust that builds and passes its own tests
    #[command(
        after_help = "Example:\n  weir rules new my-module\n  weir rules test my-module --pcap my-module/tests/example.pcap"
    )]
    New(NewOptions),
    /// Make one file of rules and modules, which loads in a blink; or a module from its source
    #[command(
        after_help = "Examples:\n  weir rules build my-module -o my-module.wasm\n  \
                            weir rules build et-open.rules my-module.wasm -o site.weir --sign site.key\n  \
                            weir run --pcap monday.pcap --rules site.weir --config sensor.toml\n\n\
                            Variables of rule headers resolve when the set is loaded, with the configuration of the sensor; \
                            classtypes and the literals that stand for rules are settled here.\nFiles that data sets are loaded from \
                            go into the set. Problems with rules print as `weir rules check` prints them."
    )]
    Build(BuildOptions),
    /// Make a pair of keys: one signs rule sets, the other says whom a sensor trusts
    #[command(
        after_help = "Example:\n  weir rules key site.key\n  weir rules build rules/ -o site.weir --sign site.key\n  \
                            weir run --interface eth0 --rules site.weir --config sensor.toml --require-signature\n\n\
                            with trusted-keys = [\"site.key.pub\"] in [rules] of sensor.toml."
    )]
    Key(KeyOptions),
    /// Say which rules fire on a capture, and whether they should
    #[command(
        after_help = "Examples:\n  weir rules test local.rules --pcap attack.pcap > attack.expected\n  \
                            weir rules test my-module --pcap attack.pcap --expect attack.expected\n\n\
                            Each alert is a line: packet, sid, flow, message. What is expected is written so, too; only packet and \
                            sid count.\nEnds with 1 if rules were refused, or if anything else fired than was expected."
    )]
    Test(TestOptions),
}

/// Options of `weir run`.
#[derive(Args, Debug)]
#[cfg_attr(
    feature = "libpcap",
    command(group(clap::ArgGroup::new("source").required(true).args(["pcap", "interface"])))
)]
pub struct RunOptions {
    /// Captures to read, in this order: pcap or pcapng, also gzipped; - is standard input
    #[arg(long, value_name = "FILE", num_args = 1..)]
    #[cfg_attr(not(feature = "libpcap"), arg(required = true))]
    pub pcap: Vec<PathBuf>,
    /// Capture from this network interface, until interrupted
    #[cfg(feature = "libpcap")]
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
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
    /// The interface to capture from, where this build can.
    pub fn live_interface(&self) -> Option<&str> {
        #[cfg(feature = "libpcap")]
        return self.interface.as_deref();
        #[cfg(not(feature = "libpcap"))]
        return None;
    }
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

/// Options of `weir rules check`.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// Rule files, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Configuration in TOML, for its variables; without one, Suricata's stock variables
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Choose the literals that stand for rules by this table of `weir rules learn`, not the one that comes with Weir
    #[arg(long, value_name = "FILE")]
    pub frequency: Option<PathBuf>,
    /// Show what stands for each rule in the matcher, how often that is expected, and which rules are dear
    #[arg(long)]
    pub plan: bool,
    /// Only summaries, not every problem and every rule
    #[arg(long)]
    pub summary: bool,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Options of `weir rules new`.
#[derive(Args, Debug)]
pub struct NewOptions {
    /// The folder to make; its name is that of the module
    #[arg(value_name = "NAME")]
    pub path: PathBuf,
}

/// Options of `weir rules build`.
#[derive(Args, Debug)]
pub struct BuildOptions {
    /// Text rules, rule modules, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Where the rule set goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Configuration in TOML, for its classtypes; its variables say only which rules are complained about
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Choose the literals that stand for rules by this table of `weir rules learn`, not the one that comes with Weir
    #[arg(long, value_name = "FILE")]
    pub frequency: Option<PathBuf>,
    /// Sign the rule set with this secret key of `weir rules key`
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
    /// Fail if any rule is refused
    #[arg(long)]
    pub strict: bool,
}

/// Options of `weir rules key`.
#[derive(Args, Debug)]
pub struct KeyOptions {
    /// Where the secret key goes; the public one goes beside it, with .pub behind the name
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}

/// Options of `weir rules test`.
#[derive(Args, Debug)]
pub struct TestOptions {
    /// Rule files, modules, folders of them, or the source of a module, which is built first
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Captures, numbered through in this order: pcap or pcapng, also gzipped
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub pcap: Vec<PathBuf>,
    /// What should fire: packet and sid, a line each
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Configuration in TOML, for its variables and limits; without one, Suricata's stock variables
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How text rules are evaluated
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub evaluator: Evaluation,
}

/// Options of `weir rules exercise`.
#[derive(Args, Debug)]
pub struct ExerciseOptions {
    /// Rule files, or folders of them
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Where the capture goes; the other files have its name with other endings
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Configuration in TOML, for its variables and limits; without one, Suricata's stock variables
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `weir rules learn`.
#[derive(Args, Debug)]
pub struct LearnOptions {
    /// Captures to learn from, numbered through in this order: pcap or pcapng, also gzipped; - is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub pcap: Vec<PathBuf>,
    /// Where the table goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Only packets with these numbers, the first being 1: A-B, A- or A, several with commas
    #[arg(long, value_name = "RANGES")]
    pub packets: Option<Ranges>,
    /// Configuration in TOML, for the ports of its tunnels
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Leave out windows that were seen fewer times than this
    #[arg(long, value_name = "N", default_value = "16")]
    pub hits: NonZeroU64,
    /// Leave out windows that were seen in fewer payloads than this
    #[arg(long, value_name = "N", default_value = "8")]
    pub payloads: NonZeroU64,
    /// Keep at most this many windows, the commonest
    #[arg(long, value_name = "N", default_value = "200000")]
    pub windows: NonZeroUsize,
}

/// Options of `weir demo`.
#[derive(Args, Debug)]
pub struct DemoOptions {
    /// What the traffic is drawn from; the same seed gives the same traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// About how many packets to make
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub packets: u64,
    /// Keep the capture, the rules and the alerts in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// What `weir bench` can measure.
#[cfg(feature = "bench")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchScenario {
    /// The matcher: throughput and time a buffer, over probe sets and buffers
    Matcher,
    /// The flow table: time a packet, over numbers of flows, and what floods do
    Flow,
    /// The whole engine: time a packet, by stage, over numbers of connections
    Cost,
    /// The host's share when a card matches: time a packet beside software, on captures with rules
    Offload,
    /// The whole engine under floods: memory, speed, and whether attacks are still seen; ends with 1 where not all is well
    Flood,
}

/// Options of `weir bench`.
#[cfg(feature = "bench")]
#[derive(Args, Debug)]
pub struct BenchOptions {
    /// What to measure; everything by default
    #[arg(value_enum, value_name = "SCENARIO")]
    pub scenarios: Vec<BenchScenario>,
    /// Rule files, or folders of them: each rule gives the probe that is rarest in the first half of the traffic
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Captures: matchers are measured on the payloads of the second half of each
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pcap: Vec<PathBuf>,
    /// Times everything is measured; the median counts
    #[arg(long, value_name = "N", default_value = "5")]
    pub rounds: NonZeroUsize,
    /// Sizes of the probe sets that are drawn from the rules' contents
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', default_values_t = [100, 1000, 10_000, 65_000])]
    pub probes: Vec<usize>,
    /// Numbers of flows, or connections, to measure with
    #[arg(long, value_name = "N", num_args = 1.., value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000])]
    pub flows: Vec<usize>,
    /// Bytes of a beat of the card that `offload` measures with: 8, 16, 32 or 64
    #[arg(long, value_name = "N", value_parser = crate::hw::lanes, default_value = "64")]
    pub lanes: usize,
    /// Packets of a flood
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    pub flood: usize,
    /// About how many bytes of buffers to use at most; by default all payloads, and 16 MiB of other buffers
    #[arg(long, value_name = "N")]
    pub bytes: Option<NonZeroUsize>,
    /// Only sets and buffers whose name (SET/BUFFERS) contains this, or floods (repeatable)
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Run the one flood of this name in this process, and print what it did as JSON
    #[arg(long, value_name = "NAME", hide = true)]
    pub flood_here: Option<String>,
    /// Only contenders whose name begins so (repeatable)
    #[arg(long = "contender", value_name = "NAME")]
    pub contenders: Vec<String>,
    /// What is made up is drawn from this
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write report.json and plots, flow.json, cost.json, offload.json and flood.json into this folder
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn visit(command: &clap::Command, path: &str) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.contains("Example"), "{path} has no example");
            for inner in command
                .get_subcommands()
                .filter(|inner| inner.get_name() != "help")
            {
                visit(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        visit(&Cli::command(), "weir");
    }
}
