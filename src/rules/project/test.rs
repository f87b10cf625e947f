//! `weir rules test`: which rules fire on a capture, and whether they should.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_engine::detect::{Alert, PacketFacts};
use weir_events::Eve;
use weir_events::protocol::Protocol;

use super::build;
use super::expect::{self, Difference, Fired};
use crate::cli::TestOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::rules::{self, Evaluators, Trusted};
use crate::run::files::{Capture, Files};
use crate::run::matcher::Matchers;
use crate::run::pipeline::{self, Dealt, Job, Untaken};
use crate::run::settings::Context;
use crate::run::workers::Handover;
use crate::run::{capture_size, stop_on_signals};
use crate::ui::figures;
use crate::ui::progress::Progress;
use crate::ui::table::clean;

/// Columns for a rule's message.
const MESSAGE_WIDTH: usize = 200;

/// Runs rules over captures, says what fired, and holds it against what should have.
pub fn test(options: &TestOptions) -> Result<(), Failure> {
    let expected = options.expect.as_deref().map(read).transpose()?;
    capture_size(&options.pcap)?;
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let mut context = Context::new(&config)?;
    // Every alert is to be seen, however many a packet has.
    context.engine.alert_max = usize::from(u16::MAX);
    context.engine.flow_records = false;
    let engine = context.engine.clone();
    let trusted = Trusted::new(&config, false)?;
    let set = rules::load(&built(&options.paths)?, context, &trusted, 1, None)?;
    let rules::Set {
        mut loaded,
        code,
        modules,
    } = set;
    for refused in &loaded.refused {
        tracing::error!("{refused}");
    }
    let refused = rules::why_refused(&loaded);
    let rules = Arc::new(std::mem::take(&mut loaded.rules));
    let evaluators = Evaluators::new(&rules, options.evaluator, &code, modules.as_ref(), None)?;
    let mut job = Job {
        rules,
        evaluators,
        engine,
        matchers: Arc::new(Matchers::software()),
        workers: NonZeroUsize::MIN,
        state: None,
        handover: Handover::Never,
        reload: None,
    };
    let captures: Vec<Capture> = options.pcap.iter().cloned().map(Capture::File).collect();
    let stop = stop_on_signals()?;
    let files = Files::new(&captures, &stop, Progress::hidden());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut fired = Vec::new();
    writeln!(out, "# packet sid flow message").map_err(Failure::stdout)?;
    let outcome = pipeline::run(&mut job, Dealt(files), &mut |record| match record {
        Eve::Alert(alert) => {
            let one = alerted(alert);
            fired.push(one);
            let flow = Ends(alert.packet);
            let message = clean(&alert.rule.meta.msg, MESSAGE_WIDTH);
            writeln!(out, "{one} {flow} {message}")
                .map_err(|error| Untaken::Ends(error.to_string()))
        }
        Eve::Module(noticed) => {
            let notice = &noticed.notice;
            tracing::error!("module {}: {}", notice.module, notice.reason);
            Ok(())
        }
        _ => Ok(()),
    })?;
    for warning in &outcome.seen.warnings {
        tracing::warn!("{warning}");
    }
    let alerts = figures::counted(fired.len() as u64, "alert");
    let packets = figures::counted(outcome.seen.packets, "packet");
    let difference = expected.map(|expected| Difference::new(&expected, &fired));
    match &difference {
        None => writeln!(out, "# {alerts} in {packets}"),
        Some(none) if none.is_empty() => {
            writeln!(out, "# passed: {alerts} in {packets}, as expected")
        }
        Some(difference) => {
            let (missing, more) = difference.counts();
            writeln!(
                out,
                "# failed: {} missing (-), {} not expected (+)\n{difference}",
                figures::counted(missing, "alert"),
                figures::counted(more, "alert"),
            )
        }
    }
    .and_then(|()| out.flush())
    .map_err(Failure::stdout)?;
    let lost = (outcome.modules.iter().any(|module| module.lost() > 0))
        .then(|| "a module failed, so that not everything was decided".to_owned());
    match (outcome.failure.or(refused).or(lost), difference) {
        (Some(why), _) => Err(Failure::Failed(why)),
        (None, Some(difference)) if !difference.is_empty() => Err(Failure::Refused),
        _ => Ok(()),
    }
}

/// Where rules are, modules built first where a path is the source of one.
fn built(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    paths
        .iter()
        .map(|path| {
            if build::is_source(path) {
                build::beside(path)
            } else {
                Ok(path.clone())
            }
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<Fired>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot read what is expected: {error}",
            path.display()
        ))
    })?;
    expect::parse(&text)
        .map_err(|(line, why)| Failure::Failed(format!("{}:{line}: {why}", path.display())))
}

fn alerted(alert: &Alert<'_>) -> Fired {
    Fired {
        packet: alert.packet.number,
        gid: alert.rule.meta.gid,
        sid: alert.rule.meta.sid,
    }
}

/// The ends of a packet: `tcp:192.0.2.7:40000->198.51.100.2:23`, in one word.
struct Ends<'a>(&'a PacketFacts);

impl fmt::Display for Ends<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = self.0;
        if !packet.is_ip {
            return f.write_str("-");
        }
        let protocol = Protocol(packet.proto).to_string().to_lowercase();
        let (src, dst) = (packet.src, packet.dst);
        match packet.ports {
            Some((from, to)) => {
                let from = std::net::SocketAddr::new(src, from);
                let to = std::net::SocketAddr::new(dst, to);
                write!(f, "{protocol}:{from}->{to}")
            }
            None => write!(f, "{protocol}:{src}->{dst}"),
        }
    }
}
