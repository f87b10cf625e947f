//! `weir bench`: how fast the parts are, beside others.

use std::io::{self, Write};

use indicatif::ProgressBar;
use weir_bench::flow::FlowOptions;
use weir_bench::measure;
use weir_bench::report::{Report, table};
use weir_bench::scenario::{Bench, Options};

use crate::cli::{BenchOptions, BenchScenario};
use crate::failure::Failure;

/// Runs the scenarios that are named, or all there are.
pub fn bench(options: &BenchOptions) -> Result<(), Failure> {
    let all = [BenchScenario::Matcher, BenchScenario::Flow];
    let wanted = match options.scenarios.as_slice() {
        [] => &all[..],
        named => named,
    };
    wanted.iter().try_for_each(|scenario| match scenario {
        BenchScenario::Matcher => matcher(options),
        BenchScenario::Flow => flow(options),
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
    let mut out = io::stdout().lock();
    write!(out, "{}", report.text()).map_err(Failure::stdout)?;
    if let Some(folder) = &options.output {
        let path = report.write(folder).map_err(Failure::failed)?;
        writeln!(out, "wrote {}", path.display()).map_err(Failure::stdout)?;
    }
    Ok(())
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
