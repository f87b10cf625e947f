//! `weir card`: what is known of a card, and whether it works.

mod text;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::Value;
use weir_driver::inspect::inspect;
use weir_driver::selftest::selftest;
use weir_driver::status;

use crate::failure::Failure;
use crate::run::matcher::device;

/// How long a card may take to notice that it is opened.
const PATIENCE: Duration = Duration::from_secs(2);
/// A status is no longer than this.
const LONGEST: u64 = 1 << 20;

/// `weir card …`
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Show how a card is: as the run that uses it sees it, or by its own registers
    #[command(
        after_help = "Examples:\n  weir card status\n  weir card status --device /dev --json"
    )]
    Status(CardOptions),
    /// Try a card that nobody uses: registers, tables, known answers at every lane, throughput
    #[command(
        after_help = "Example:\n  weir card selftest --device /dev > report.txt\n\n\
                            What it prints belongs into a bug report. Ends with 1 if anything is wrong."
    )]
    Selftest(CardOptions),
}

/// Options of both.
#[derive(Args, Debug)]
pub struct CardOptions {
    /// The folder that has the card's nodes [default: /dev, if it has any]
    #[arg(long, value_name = "PATH")]
    pub device: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn card(command: &CardCommand) -> Result<(), Failure> {
    match command {
        CardCommand::Status(options) => {
            let device = device(options.device.as_ref())?;
            let value = match published(&device) {
                Some(value) => value,
                None => value(&inspect(&device, PATIENCE).map_err(Failure::failed)?)?,
            };
            print(&value, options.json)
        }
        CardCommand::Selftest(options) => {
            let device = device(options.device.as_ref())?;
            // On standard error, and only where that is a terminal.
            let progress = ProgressBar::new_spinner();
            let mut tell = |what: &str| {
                tracing::info!("{what}");
                progress.set_message(what.to_owned());
                progress.tick();
            };
            let report = selftest(&device, &mut tell).map_err(Failure::failed)?;
            progress.finish_and_clear();
            print(&value(&report)?, options.json)?;
            if report.passed {
                Ok(())
            } else {
                Err(Failure::Refused)
            }
        }
    }
}

fn value(of: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(of).map_err(Failure::failed)
}

/// What a run that lives says of the card.
fn published(device: &Path) -> Option<Value> {
    let path = status::place(device)?;
    if std::fs::metadata(&path).ok()?.len() > LONGEST {
        return None;
    }
    let value: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let process = value.get("process")?.as_u64()?;
    // What a run left behind that was killed says nothing any more.
    Path::new(&format!("/proc/{process}"))
        .exists()
        .then_some(value)
}

fn print(value: &Value, json: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let text = if json {
        serde_json::to_string_pretty(value).map_err(Failure::failed)? + "\n"
    } else {
        text::of(value)
    };
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}
