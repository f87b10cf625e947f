//! A simulated card as a process of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use weir_sim::Engine;
use weir_sim::card::{CardError, Config, Control, Death, Ended, Fault, KINDS, Listener, Transport};
use weir_tables::{Geometry, Size};

#[derive(Parser)]
#[command(version, about = "A simulated card for Weir, with faults on command")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a card in a folder until SIGTERM or SIGINT, or until it dies by a fault
    Card(CardOptions),
    /// Command a card that is served: arm faults, disarm them, or count those that happened
    Fault(FaultOptions),
}

#[derive(clap::Args)]
struct CardOptions {
    /// Folder that the card appears in; made if there is none, a stale mount is cleared
    #[arg(long, value_name = "PATH")]
    listen: PathBuf,
    /// How the card can be reached
    #[arg(long, value_enum, default_value = "both")]
    transport: TransportName,
    /// Where the shared memory is [default: a file in /dev/shm, named after PATH]
    #[arg(long, value_name = "FILE")]
    shm: Option<PathBuf>,
    /// What runs the core
    #[arg(long, value_enum, default_value = "model")]
    engine: EngineName,
    /// Bytes of a beat: 8, 16, 32 or 64
    #[arg(long, value_name = "N", value_parser = lanes, default_value = "64")]
    lanes: usize,
    /// Sizes of the tables
    #[arg(long, value_enum, default_value = "full")]
    size: SizeName,
    /// Ring to the card in KiB, a power of two
    #[arg(long, value_name = "KIB", default_value = "1024")]
    ring: usize,
    /// Milliseconds after which a transfer by a node times out
    #[arg(long, value_name = "MS", default_value = "10000")]
    timeout: u64,
    /// Fault from the start, KIND[:option,…]; repeat for more (see `weir-sim fault --help`)
    #[arg(long, value_name = "SPEC")]
    fault: Vec<Fault>,
}

#[derive(clap::Args)]
#[command(after_help = faults_help())]
struct FaultOptions {
    /// Folder of the card
    #[arg(long, value_name = "PATH")]
    device: PathBuf,
    /// Disarm all faults first, and end those that last
    #[arg(long)]
    clear: bool,
    /// Print how often each kind happened, afterwards
    #[arg(long)]
    counts: bool,
    /// Faults to arm
    #[arg(value_name = "SPEC")]
    faults: Vec<Fault>,
}

#[derive(Clone, Copy, ValueEnum)]
enum TransportName {
    /// Device nodes (FUSE)
    Nodes,
    /// Shared memory
    Shm,
    /// Device nodes and shared memory
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// The golden model
    Model,
    /// The emitted Verilog, by Verilator
    Rtl,
}

#[derive(Clone, Copy, ValueEnum)]
enum SizeName {
    /// For small devices
    Compact,
    /// For data-centre cards
    Full,
}

fn lanes(text: &str) -> Result<usize, String> {
    let lanes = text
        .parse()
        .ok()
        .filter(|lanes| [8, 16, 32, 64].contains(lanes));
    lanes.ok_or_else(|| "expected 8, 16, 32 or 64".to_owned())
}

fn faults_help() -> String {
    let names: Vec<&str> = KINDS.iter().map(|&(_, name)| name).collect();
    format!(
        "A fault is KIND[:option,…].\nKinds: {}\nOptions: after=N records or reports, bytes=N of them, p=0.0-1.0 at each, times=N (0: no end), seed=N, ms=N that it lasts, bits=N that change, set (only bits that are 1), value=N of the interface version, now",
        names.join(", ")
    )
}

fn config(options: &CardOptions) -> Config {
    let size = match options.size {
        SizeName::Compact => Size::Compact,
        SizeName::Full => Size::Full,
    };
    Config {
        engine: match options.engine {
            EngineName::Model => Engine::Model,
            EngineName::Rtl => Engine::Rtl,
        },
        geometry: Geometry::new(options.lanes, size),
        rings: card_shm::Options {
            to_card: options.ring.saturating_mul(1024),
            ..card_shm::Options::default()
        },
        patience: Duration::from_millis(options.timeout),
        death: Death::Abort,
        faults: options.fault.clone(),
    }
}

fn card(options: &CardOptions) -> Result<(), CardError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
        registered.map_err(|error| CardError::File {
            path: "signals".into(),
            what: "no handler",
            error,
        })?;
    }
    let transport = match options.transport {
        TransportName::Nodes => Transport::Nodes,
        TransportName::Shm => Transport::Shm,
        TransportName::Both => Transport::Both,
    };
    let listener = Listener::start(
        &options.listen,
        transport,
        options.shm.as_deref(),
        &config(options),
    )?;
    let mut output = std::io::stdout();
    // Who started it may have closed its end, and the card goes on.
    let _ = writeln!(output, "ready {}", listener.path().display()).and_then(|()| output.flush());
    while !stop.load(Ordering::SeqCst) && !listener.wait(Duration::from_millis(100)) {}
    let faults = listener.faults().clone();
    let ended = listener.stop()?;
    let counts = faults.counts();
    if !counts.is_empty() {
        let all: Vec<String> = counts
            .iter()
            .map(|(kind, count)| format!("{} {count}", kind.name()))
            .collect();
        eprintln!("faults: {}", all.join(", "));
    }
    debug_assert_eq!(ended, Ended::Stopped, "dying aborts the process");
    Ok(())
}

fn fault(options: &FaultOptions) -> Result<(), weir_sim::card::ControlError> {
    let mut control = Control::connect(&options.device)?;
    if options.clear {
        control.command("clear")?;
    }
    for fault in &options.faults {
        control.command(&fault.to_string())?;
    }
    if options.counts {
        for line in control.command("counts")? {
            println!("{line}");
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEIR_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match Cli::parse().command {
        Command::Card(options) => card(&options).map_err(|error| error.to_string()),
        Command::Fault(options) => fault(&options).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
