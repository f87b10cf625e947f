//! `weir hw report`: what cores take and how fast they are, and where each figure is from.

mod committed;
mod schema;
mod table;

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

pub use schema::{Area, Bitstream, Core, Path, Report, Run, Timing};
pub use table::text_of;

use crate::failure::Failure;

/// Options of `weir hw report`.
#[derive(Args, Debug)]
pub struct ReportOptions {
    /// Reports of `weir hw synth`, instead of those that come with Weir
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Bytes of a buffer, from which bytes per cycle are worked out where they were not measured: the mean of a trace, carry included
    #[arg(long, value_name = "N", default_value = "459", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub buffer: u32,
    /// A table for a Markdown page
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Do not make the cores' Verilog anew to see whether reports are of today's source
    #[arg(long)]
    pub no_check: bool,
}

/// Prints the table.
pub fn report(options: &ReportOptions) -> Result<(), Failure> {
    let reports = if options.files.is_empty() {
        committed::reports().map_err(Failure::failed)?
    } else {
        let read = |path: &PathBuf| {
            let failed =
                |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", path.display()));
            let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
            serde_json::from_str(&text).map_err(|error| failed(&error))
        };
        options.files.iter().map(read).collect::<Result<_, _>>()?
    };
    let throughput = committed::throughput().map_err(Failure::failed)?;
    let mut rows = Vec::new();
    for report in &reports {
        let current = if options.no_check {
            None
        } else {
            current(report)?
        };
        rows.push(table::Row::new(
            report,
            current,
            &throughput,
            options.buffer,
        ));
    }
    rows.push(table::Row::pigasus());
    let text = if options.json {
        serde_json::to_string_pretty(&rows).map_err(Failure::failed)? + "\n"
    } else if options.markdown {
        table::markdown(&rows, &throughput)
    } else {
        table::plain(&rows, &throughput).map_err(Failure::stdout)?
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}

/// Whether a report is of what today's source makes; none where that cannot be told.
fn current(report: &Report) -> Result<Option<bool>, Failure> {
    let Some(core) = &report.core else {
        return Ok(None);
    };
    let size = match core.size.as_str() {
        "compact" => weir_tables::Size::Compact,
        "full" => weir_tables::Size::Full,
        _ => return Ok(None),
    };
    if super::lanes(&core.lanes.to_string()).is_err() {
        return Ok(None);
    }
    let identity = weir_hw::core::Identity {
        revision: core.revision,
        clock_khz: core.clock_khz,
    };
    let geometry = weir_tables::Geometry::new(core.lanes, size);
    let verilog = super::core_verilog(&geometry, &identity)?;
    Ok(Some(
        super::synth::digest(verilog.as_bytes()) == report.verilog,
    ))
}
