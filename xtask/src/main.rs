//! Chores of the repository, as `cargo xtask …`.
//!
//! | command | what it does |
//! |---|---|
//! | `setup` | looks for the tools that builds and tests need, and installs what is missing where it may |
//! | `demo` | `setup`, then `weir demo` in a release build |
//! | `test` | everything that must hold before a change goes in; what CI runs |
//! | `campaign fuzz` | fuzzing for as long as asked; exit 1 on a finding |
//! | `campaign conformance` | holds a release build against recorded alerts, where those are at hand |
//! | `campaign restart` | cuts captures and lets one process go on where another left off |
//! | `campaign flood` | floods a release build: memory, and whether attacks are still seen |
//! | `campaign soak` | keeps a sensor between two hosts under mixed traffic: memory, and every frame's account |
//! | `campaign evasion` | random evasions in a release build |
//! | `campaign hardware` | random buffers through cores of every kind and width, beside the model and the definition |
//! | `campaign card-faults` | faults of every kind befall a card; every answer must be software's, and the card must come back |
//! | `campaign matcher` | holds every matcher backend to the definition on random cases |
//! | `campaign bitstreams` | synthesises all cores, places and routes, writes the reports in bitstreams/ |
//! | `seeds` | writes the fuzz targets' seeds again |
//!
//! Exit status: 0 done, 1 something failed, 2 the command line is wrong. With `WEIR_CI=1` a step that would be
//! skipped for want of a tool fails instead.

mod conformance;
mod ebpf;
mod exec;
mod fuzz;
mod hdl;
mod licences;
mod repo;
mod setup;
mod steps;
mod suite;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

use exec::{Cmd, Failure, Workspace};

/// Chores of the Weir repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look for the tools that builds and tests need; install what is missing where that is allowed
    Setup,
    /// Compile the XDP program anew, and write the object that is committed
    Ebpf,
    /// Run `weir demo` in a release build
    Demo {
        /// Passed on to `weir demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every check, or only those named
    #[command(after_help = "Example: cargo xtask test fmt clippy")]
    Test {
        /// Steps to run, in the order of `--list`; all of them by default
        steps: Vec<String>,
        /// Print the steps and what they are for
        #[arg(long)]
        list: bool,
    },
    /// Long runs that are not part of `test`
    #[command(subcommand)]
    Campaign(Campaign),
    /// Write the fuzz targets' seeds (fuzz/seeds) again
    Seeds,
}

#[derive(Subcommand)]
enum Campaign {
    /// Fuzz every target, or one of them
    #[command(
        after_help = "Examples:\n  cargo xtask campaign fuzz --seconds 600\n  \
                            cargo xtask campaign fuzz --target rules --input fuzz/artifacts/rules/crash-1f0c"
    )]
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
        /// Only this target (repeatable)
        #[arg(long = "target", value_name = "TARGET", value_parser = PossibleValuesParser::new(fuzz::names()))]
        targets: Vec<String>,
        /// Seed of the mutations; random by default
        #[arg(long)]
        seed: Option<u32>,
        /// Run one target on this file alone and stop: what it does, or how it crashes
        #[arg(long, value_name = "FILE", requires = "targets")]
        input: Option<PathBuf>,
    },
    /// Hold a release build against the alerts recorded in ../shared/conformance
    Conformance,
    /// Cut a capture, hand over from one process to the next, and hold the alerts to those of one run
    #[command(
        after_help = "Example: cargo xtask campaign restart --pcap monday.pcap --rules et-open.rules --rules local.rules"
    )]
    Restart {
        /// The capture
        #[arg(long, value_name = "FILE")]
        pcap: PathBuf,
        /// Rules; each file is tried by itself
        #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
        rules: Vec<PathBuf>,
        /// Configuration of all runs
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// In how many places
        #[arg(long, default_value_t = 10)]
        cuts: u32,
    },
    /// Flood a release build; exit 1 when it takes more memory than configured, or misses an attack
    Flood {
        /// Packets of each flood
        #[arg(long, default_value_t = 10_000_000)]
        packets: u64,
        /// What the floods are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Hold reassembly to its definition on random evasions
    Evasion {
        /// How many of each kind
        #[arg(long, default_value_t = 100_000)]
        cases: u64,
    },
    /// Keep a sensor between two hosts under mixed traffic; exit 1 when memory grows, or anything is lost without being counted
    Soak {
        /// For how long
        #[arg(long, default_value_t = 1800)]
        seconds: u64,
    },
    /// Synthesise every core that has a report in bitstreams/, place and route where the device allows it
    Bitstreams {
        /// Runs of place and route, each with a seed of its own
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
        seeds: u32,
        /// Put the reports into bitstreams/
        #[arg(long)]
        write: bool,
    },
    /// Put random buffers through cores beside the model and the definition, with gaps, held-up output, faults, and tables that
    /// change while records are under way; hours
    #[command(after_help = "Examples:\n  cargo xtask campaign hardware\n  \
                            cargo xtask campaign hardware --core rtl-64-compact --buffers 200000 --from 800\n\n\
                            It goes in rounds of a thousand buffers, each with a seed of its own; --from goes on where another campaign ended.")]
    Hardware {
        /// Cores, one after another: engine (model, rtl, rust-hdl), lanes and size of the tables
        #[arg(long, value_name = "NAME", num_args = 1.., default_values = hdl::CORES)]
        core: Vec<String>,
        /// Buffers for each core
        #[arg(long, default_value_t = 1_000_000)]
        buffers: u64,
        /// What they are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// First round
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Afterwards the whole hardware suite, with Rust-HDL's simulator on all of it, and so many times its random cases
        #[arg(long, value_name = "TIMES")]
        suite: Option<u64>,
    },
    /// Have faults of every kind befall a card under load; all answers must be software's, and the card must be in use again
    CardFaults {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        faults: u64,
        /// What they are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Milliseconds without a word after which a card is late
        #[arg(long, default_value_t = 20)]
        deadline: u64,
    },
    /// Hold every matcher backend to the definition on random cases
    Matcher {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        cases: u64,
        /// What they are drawn from
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workspace = Workspace::locate();
    let outcome = match cli.command {
        Command::Setup => setup::run(&workspace),
        Command::Ebpf => ebpf::write(&workspace),
        Command::Demo { args } => demo(&workspace, &args),
        Command::Test { list: true, .. } => {
            suite::list();
            Ok(())
        }
        Command::Test { steps, list: false } => return suite::run(&workspace, &steps),
        Command::Campaign(Campaign::Fuzz {
            seconds,
            targets,
            seed,
            input,
        }) => fuzz::campaign(&workspace, &targets, seconds, seed, input.as_deref()),
        Command::Campaign(Campaign::Conformance) => conformance::campaign(&workspace),
        Command::Campaign(Campaign::Restart {
            pcap,
            rules,
            config,
            cuts,
        }) => restart(&workspace, &pcap, &rules, config.as_deref(), cuts),
        Command::Campaign(Campaign::Flood { packets, seed }) => flood(&workspace, packets, seed),
        Command::Campaign(Campaign::Evasion { cases }) => suite::evasions(&workspace, cases),
        Command::Campaign(Campaign::Soak { seconds }) => suite::soak(&workspace, seconds),
        Command::Campaign(Campaign::Bitstreams { seeds, write }) => {
            hdl::campaign(&workspace, seeds, write)
        }
        Command::Campaign(Campaign::Hardware {
            core,
            buffers,
            seed,
            from,
            suite,
        }) => hdl::traffic(&workspace, &core, buffers, seed, from)
            .and_then(|()| suite.map_or(Ok(()), |times| hdl::suite(&workspace, times, seed))),
        Command::Campaign(Campaign::CardFaults {
            faults,
            seed,
            deadline,
        }) => card_faults(&workspace, faults, seed, deadline),
        Command::Campaign(Campaign::Matcher { cases, seed }) => {
            suite::random_cases(&workspace, cases, seed)
        }
        Command::Seeds => fuzz::write_seeds(&workspace),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn restart(
    workspace: &Workspace,
    pcap: &Path,
    rules: &[PathBuf],
    config: Option<&Path>,
    cuts: u32,
) -> Result<(), Failure> {
    // The test runs in a folder of its own.
    let whole = |path: &Path| {
        let found = path.canonicalize();
        let named = found.map(|path| path.to_string_lossy().into_owned());
        named.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    };
    for file in rules {
        let mut run = Cmd::cargo(workspace)
            .args(["test", "--release", "--locked", "-p", "weir", "--test"])
            .args(["restart", "--", "--ignored", "--nocapture"])
            .env("WEIR_RESTART_PCAP", whole(pcap)?)
            .env("WEIR_RESTART_RULES", whole(file)?)
            .env("WEIR_RESTART_CUTS", cuts.to_string());
        if let Some(config) = config {
            run = run.env("WEIR_RESTART_CONFIG", whole(config)?);
        }
        run.run()?;
    }
    Ok(())
}

fn flood(workspace: &Workspace, packets: u64, seed: u64) -> Result<(), Failure> {
    setup::ensure(workspace, &[setup::COMPILER])?;
    let run = ["run", "--release", "--locked", "-p", "weir", "--"];
    Cmd::cargo(workspace)
        .args(run)
        .args(["bench", "flood", "--flood", &packets.to_string()])
        .args(["--seed", &seed.to_string()])
        .run()
}

fn card_faults(
    workspace: &Workspace,
    faults: u64,
    seed: u64,
    deadline: u64,
) -> Result<(), Failure> {
    Cmd::cargo(workspace)
        .args([
            "test",
            "--release",
            "--locked",
            "-p",
            "weir-driver",
            "--test",
        ])
        .args(["faults", "--", "--nocapture", "--test-threads=1"])
        .args(["random_faults", "a_flipped_table_bit"])
        .env("WEIR_CARD_FAULTS", faults.to_string())
        // Each has to be looked for by some thousands of records.
        .env("WEIR_CARD_FLIPS", (faults / 20).max(12).to_string())
        .env("WEIR_CARD_SEED", seed.to_string())
        .env("WEIR_CARD_DEADLINE_MS", deadline.to_string())
        .run()
}

fn demo(workspace: &Workspace, args: &[String]) -> Result<(), Failure> {
    setup::ensure(workspace, &[setup::COMPILER])?;
    Cmd::cargo(workspace)
        .args(["run", "--release", "--locked", "-p", "weir", "--", "demo"])
        .args(args)
        .run()
}
