//! The command line of Weir.
//!
//! `weir run` reads captures and writes alerts, `weir rules check` says what a rule set holds, `weir demo` shows both on
//! traffic of its own making, `weir bench` measures. Standard output carries the result, standard error the log; the exit
//! status is 0 when all is done, 1 when something failed or was refused, 2 when the command line or the configuration is
//! wrong.

#[cfg(feature = "bench")]
mod bench;
mod card;
mod cli;
mod config;
mod demo;
mod failure;
mod hw;
mod rules;
mod run;
mod ui;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing::Level;

use crate::cli::{Cli, Command, RulesCommand};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.verbose);
    let result = match &cli.command {
        Command::Run(options) => run::run(options),
        Command::Detach(options) => run::wire::detach(options),
        Command::Reload(options) => run::reload::reload(options),
        Command::Status(options) => run::reload::status(options),
        Command::Rules(RulesCommand::Check(options)) => rules::check::check(options),
        Command::Rules(RulesCommand::Learn(options)) => rules::learn::learn(options),
        Command::Rules(RulesCommand::Exercise(options)) => rules::exercise::exercise(options),
        Command::Rules(RulesCommand::New(options)) => rules::project::create(options),
        Command::Rules(RulesCommand::Build(options)) => rules::build::build(options),
        Command::Rules(RulesCommand::Test(options)) => rules::project::test(options),
        Command::Rules(RulesCommand::Key(options)) => rules::build::key(options),
        Command::Demo(options) => demo::demo(options),
        Command::Card(command) => card::card(command),
        Command::Hw(command) => hw::hw(command),
        #[cfg(feature = "bench")]
        Command::Bench(options) => bench::bench(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                tracing::error!("{message}");
            }
            failure.exit_code()
        }
    }
}

/// Sends the log to standard error: warnings and errors, with `-v` what is going on, with `-vv` all of it.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(level)
        .with_target(false)
        .without_time()
        .init();
}
