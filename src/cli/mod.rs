//! What can be said on the command line.

#[cfg(feature = "bench")]
mod bench;
mod rules;
mod run;

#[cfg(feature = "bench")]
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

#[cfg(feature = "bench")]
pub use bench::WireBenchOptions;
pub use rules::{
    BuildOptions, CheckOptions, ExerciseOptions, KeyOptions, LearnOptions, NewOptions,
    RulesCommand, TestOptions,
};
pub use run::{Capture, DetachOptions, MatcherKind, ReloadOptions, RunOptions, StatusOptions};

use crate::card::CardCommand;
use crate::hw::HwCommand;

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
    /// Read captures or ports, apply rules, write alerts, and keep attacks out
    #[command(after_help = run::HELP)]
    Run(RunOptions),
    /// Take back what a sensor left on its ports: its XDP program, what it pinned, and what it changed
    #[command(after_help = "Example:\n  weir detach eth1 eth2\n\n\
                            The program outlives the sensor, so that its --fail holds when nobody inspects traffic. With the ports of \
                            a running sensor this ends with 1.")]
    Detach(DetachOptions),
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
                            weir bench matcher --only rules/ --contender software --contender hyperscan\n  \
                            weir bench wire --rules et-open.rules --weir-sim weir-sim -o report\n\n\
                            Without rules and captures, probes and traffic are made up. All answers are compared before \
                            any time is told;\na difference is an error. What is said to be going on shows with -v.")]
    Bench(BenchOptions),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
    /// A sensor between two hosts, as root, only when it is named: rates without loss, latencies, bypassed flows, failures; ends
    /// with 1 where a frame is not accounted for
    Wire,
}

/// Options of `weir bench`.
#[cfg(feature = "bench")]
#[derive(Args, Debug)]
pub struct BenchOptions {
    /// What to measure; everything but wire by default
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
    /// Only sets and buffers whose name (SET/BUFFERS) contains this, or floods, or parts of wire: rates, latency, bypass,
    /// failures (repeatable)
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
    /// Write report.json and plots, flow.json, cost.json, offload.json, flood.json and wire.json into this folder
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Of wire alone.
    #[command(flatten)]
    pub wire: WireBenchOptions,
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
