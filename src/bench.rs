//! `weir bench`: how fast the parts are, beside others.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::ProgressBar;
use weir_bench::BenchError;
use weir_bench::cost::CostOptions;
use weir_bench::flood::{self, Flood, FloodOptions, FloodReport};
use weir_bench::flow::FlowOptions;
use weir_bench::measure;
use weir_bench::offload::{self, OffloadOptions};
use weir_bench::report::{Report, table};
use weir_bench::scenario::{Bench, Options};
use weir_bench::wire::{self, WireOptions};

use crate::cli::{BenchOptions, BenchScenario};
use crate::failure::Failure;

/// Runs the scenarios that are named, or all there are.
pub fn bench(options: &BenchOptions) -> Result<(), Failure> {
    if let Some(name) = &options.flood_here {
        return flood_here(options, name);
    }
    let all = [
        BenchScenario::Matcher,
        BenchScenario::Flow,
        BenchScenario::Cost,
        BenchScenario::Offload,
        BenchScenario::Flood,
    ];
    // Not wire: it takes root, and long.
    let wanted = match options.scenarios.as_slice() {
        [] => &all[..],
        named => named,
    };
    wanted.iter().try_for_each(|scenario| match scenario {
        BenchScenario::Matcher => matcher(options),
        BenchScenario::Flow => flow(options),
        BenchScenario::Cost => cost(options),
        BenchScenario::Offload => offload(options),
        BenchScenario::Flood => floods(options),
        BenchScenario::Wire => on_the_wire(options),
    })
}

/// Measures the flow table.
fn flow(options: &BenchOptions) -> Result<(), Failure> {
    measure::pin();
    let report = weir_bench::flow::run(
        &FlowOptions {
            flows: options.flows.clone(),
            flood: options.flood,
            rounds: options.rounds.get(),
            seed: options.seed,
        },
        &mut |what| tracing::info!("{what}"),
    );
    print(options, &report.text(), |folder| report.write(folder))
}

/// Prints a report, and writes it where that is asked for.
fn print(
    options: &BenchOptions,
    text: &str,
    write: impl FnOnce(&Path) -> Result<PathBuf, BenchError>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}").map_err(Failure::stdout)?;
    if let Some(folder) = &options.output {
        let path = write(folder).map_err(Failure::failed)?;
        writeln!(out, "wrote {}", path.display()).map_err(Failure::stdout)?;
    }
    Ok(())
}

/// Measures what a packet costs by the number of connections.
fn cost(options: &BenchOptions) -> Result<(), Failure> {
    measure::pin();
    let options_of_cost = CostOptions {
        connections: options.flows.clone(),
        rounds: options.rounds.get(),
        pcap: options.pcap.clone(),
        rules: options.rules.clone(),
        seed: options.seed,
    };
    let report = weir_bench::cost::run(&options_of_cost, &mut |what| tracing::info!("{what}"));
    let report = report.map_err(Failure::failed)?;
    print(options, &report.text(), |folder| report.write(folder))
}

/// Measures what a card leaves to the host.
fn offload(options: &BenchOptions) -> Result<(), Failure> {
    if options.scenarios.is_empty() && (options.pcap.is_empty() || options.rules.is_empty()) {
        tracing::info!("offload: left out, it needs --pcap and --rules");
        return Ok(());
    }
    measure::pin();
    let options_of_offload = OffloadOptions {
        pcap: options.pcap.clone(),
        rules: options.rules.clone(),
        rounds: options.rounds.get(),
        lanes: options.lanes,
        seed: options.seed,
    };
    let report = offload::measure(&options_of_offload, &mut |what| tracing::info!("{what}"));
    let report = report.map_err(Failure::failed)?;
    print(options, &report.text(), |folder| report.write(folder))
}

/// Floods the engine, each time in a process of its own, so that its memory can be told from all other.
fn floods(options: &BenchOptions) -> Result<(), Failure> {
    let mut report = FloodReport::default();
    for name in flood::names(&flood_options(options)).map_err(Failure::failed)? {
        tracing::info!("a flood of {name}");
        let flood = flood_elsewhere(options, name)?;
        print!("{}", flood.text());
        report.floods.push(flood);
    }
    print(options, "", |folder| report.write(folder))?;
    let faults: Vec<String> = report.floods.iter().flat_map(Flood::faults).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::failed(faults.join("\n")))
    }
}

/// Measures sensors between two hosts, of this very program.
fn on_the_wire(options: &BenchOptions) -> Result<(), Failure> {
    let wire = &options.wire;
    let options_of_wire = WireOptions {
        weir: std::env::current_exe().map_err(Failure::failed)?,
        rules: options.rules.clone(),
        config: wire.config.clone(),
        only: options.only.clone(),
        seconds: wire.seconds,
        frames: wire.frames,
        sizes: wire.sizes.clone(),
        queues: wire.queues.clone(),
        modes: wire.modes.iter().map(|&mode| mode.into()).collect(),
        device: wire.device.clone(),
        simulator: wire.weir_sim.clone(),
    };
    let report = wire::measure(&options_of_wire, &mut |what| tracing::info!("{what}"));
    let report = report.map_err(Failure::failed)?;
    print(options, &report.text(), |folder| report.write(folder))?;
    let faults = report.faults();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::failed(faults.join("\n")))
    }
}

fn flood_options(options: &BenchOptions) -> FloodOptions {
    FloodOptions {
        packets: options.flood,
        only: options.only.clone(),
        seed: options.seed,
    }
}

fn flood_here(options: &BenchOptions, name: &str) -> Result<(), Failure> {
    measure::pin();
    let flood = flood::run(name, &flood_options(options)).map_err(Failure::failed)?;
    let text = serde_json::to_string(&flood).map_err(Failure::failed)?;
    writeln!(io::stdout(), "{text}").map_err(Failure::stdout)
}

fn flood_elsewhere(options: &BenchOptions, name: &str) -> Result<Flood, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format!("the flood {name}: {why}"));
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let output = Command::new(program)
        .args(["bench", "--flood-here", name])
        .args(["--flood", &options.flood.to_string()])
        .args(["--seed", &options.seed.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}

/// Measures, prints tables as they come, and writes the report where one is asked for.
fn matcher(options: &BenchOptions) -> Result<(), Failure> {
    let core = measure::pin();
    // On standard error, and only where that is a terminal.
    let progress = ProgressBar::new_spinner();
    let mut tell = |what: &str| {
        tracing::info!("{what}");
        progress.set_message(what.to_owned());
        progress.tick();
    };
    tell("reading rules and captures, or making them up");
    let rounds = options.rounds.get();
    let bench = Bench::new(Options {
        rules: options.rules.clone(),
        pcap: options.pcap.clone(),
        rounds,
        probes: options.probes.clone(),
        bytes: options.bytes.map(usize::from),
        only: options.only.clone(),
        contenders: options.contenders.clone(),
        seed: options.seed,
    })
    .map_err(Failure::failed)?;
    let mut report = Report::new(core, rounds, bench.about(), bench.contenders());
    let mut out = io::stdout().lock();
    progress
        .suspend(|| head(&mut out, &report))
        .map_err(Failure::stdout)?;
    let mut printed = Ok(());
    bench
        .run(&mut tell, &mut |measured| {
            if printed.is_ok() {
                let table = table(&measured);
                printed = progress.suspend(|| writeln!(out, "\n{}", table.trim_end()));
            }
            report.scenarios.push(measured);
        })
        .map_err(Failure::failed)?;
    progress.finish_and_clear();
    printed.map_err(Failure::stdout)?;
    if let Some(folder) = &options.output {
        for path in report.write(folder).map_err(Failure::failed)? {
            writeln!(out, "wrote {}", path.display()).map_err(Failure::stdout)?;
        }
    }
    Ok(())
}

fn head(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let pinned = report.core.map_or("not pinned".to_owned(), |core| {
        format!("pinned to core {core}")
    });
    writeln!(out, "traffic: {}\nrules: {}", report.traffic, report.rules)?;
    writeln!(
        out,
        "processor: {}, {pinned}; processor time, median of {} rounds; all answers compared",
        report.processor, report.rounds
    )?;
    for (name, about) in &report.contenders {
        writeln!(out, "  {name}: {about}")?;
    }
    Ok(())
}
