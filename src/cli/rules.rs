//! `weir rules …`

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::rules::Evaluation;
use crate::rules::ranges::Ranges;

/// The commands.
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
