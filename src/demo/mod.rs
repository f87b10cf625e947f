//! `weir demo`: traffic with attacks in it, rules that find them, and what came of it.

mod why;

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use console::style;
use weir_capture::PcapWriter;
use weir_capture::generate::{Kind, Planted, Scenario, Traffic, demo_rules};
use weir_engine::detect::{Alert, PacketFacts};
use weir_engine::packet::LinkType;
use weir_engine::plan::RuleSet;
use weir_events::protocol::Protocol;
use weir_events::{Eve, Interfaces};
use weir_rules::syntax::SourceFile;

use crate::cli::DemoOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::rules::{self, Evaluation, Evaluators};
use crate::run::files::{Capture, Files};
use crate::run::matcher::Matchers;
use crate::run::pipeline::{self, Dealt, Job, Outcome};
use crate::run::settings::Context;
use crate::run::workers::Handover;
use crate::ui::figures;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, Table, clean, terminal_width};

/// Most false alarms that are listed.
const FALSE_ALARMS: usize = 20;

/// Makes traffic and rules, runs them, and shows what fired and why.
pub fn demo(options: &DemoOptions) -> Result<(), Failure> {
    let traffic = Scenario::new(options.seed)
        .packets(options.packets)
        .generate();
    let capture = capture(&traffic).map_err(Failure::failed)?;
    let context = Context::new(&Config::default())?;
    let engine = context.engine.clone();
    let source = SourceFile {
        name: "demo.rules".into(),
        bytes: demo_rules().as_bytes().to_vec(),
    };
    let loaded = rules::compile(&[source], context);
    if let Some(why) = rules::why_refused(&loaded) {
        return Err(Failure::Failed(why));
    }
    let capture: Arc<[u8]> = capture.into();
    let captures = [Capture::Memory {
        name: "demo.pcap".to_owned(),
        bytes: Arc::clone(&capture),
    }];
    let rules = Arc::new(loaded.rules);
    // Few rules, compiled in no time.
    let evaluators = Evaluators::new(&rules, Evaluation::Wasm, &[], None, None)?;
    let mut job = Job {
        rules,
        evaluators,
        engine,
        matchers: Arc::new(Matchers::software()),
        workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        state: None,
        handover: Handover::Never,
        reload: None,
    };
    let stop = AtomicBool::new(false);
    let files = Files::new(&captures, &stop, Progress::hidden());
    let mut tally = Tally::new(traffic.planted());
    let mut eve = Vec::new();
    let outcome = pipeline::run(&mut job, Dealt(files), &mut |record| {
        if let Eve::Alert(alert) = record {
            tally.add(alert);
        }
        record.write(&mut eve, &Interfaces::default());
        Ok(())
    })?;
    if let Some(failure) = outcome.failure {
        return Err(Failure::Failed(failure));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let shown = show(&mut out, options, &traffic, &job.rules, &tally, &outcome);
    shown.and_then(|()| out.flush()).map_err(Failure::stdout)?;
    if let Some(folder) = &options.keep {
        keep(folder, &capture, &eve).map_err(|error| {
            Failure::Failed(format!(
                "cannot keep the files in {}: {error}",
                folder.display()
            ))
        })?;
        writeln!(
            out,
            "\nKept in {}. To see the same again:",
            folder.display()
        )
        .and_then(|()| {
            let at = |name: &str| folder.join(name).display().to_string();
            writeln!(
                out,
                "  weir run --pcap {} --rules {}",
                at("demo.pcap"),
                at("demo.rules")
            )
        })
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)?;
    }
    if tally.missed() == 0 && tally.false_alarms.is_empty() {
        Ok(())
    } else {
        Err(Failure::Refused)
    }
}

/// The traffic as a capture.
fn capture(traffic: &Traffic) -> io::Result<Vec<u8>> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET)?;
    for frame in traffic.frames() {
        writer.write(&frame)?;
    }
    writer.finish()
}

fn keep(folder: &Path, capture: &[u8], eve: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("demo.pcap"), capture)?;
    std::fs::write(folder.join("demo.rules"), demo_rules())?;
    std::fs::write(folder.join("eve.json"), eve)
}

/// What was alerted, held against what was planted.
struct Tally<'a> {
    planted: &'a [Planted],
    /// For each planted attack the packet that gave it away, and its rule.
    found: Vec<Option<(PacketFacts, u32)>>,
    /// Alerts for which nothing was planted, or for which there had already been one.
    false_alarms: Vec<(PacketFacts, u32)>,
}

impl<'a> Tally<'a> {
    fn new(planted: &'a [Planted]) -> Self {
        Self {
            planted,
            found: vec![None; planted.len()],
            false_alarms: Vec::new(),
        }
    }

    fn add(&mut self, alert: &Alert<'_>) {
        let fits = |planted: &Planted| {
            let packet = alert.packet;
            let (sport, dport) = packet.ports.unwrap_or_default();
            planted.sid == alert.rule.meta.sid
                && (planted.src, planted.dst, planted.sport, planted.dport)
                    == (packet.src, packet.dst, sport, dport)
                && planted.proto == Protocol(packet.proto).to_string()
        };
        let seen = (alert.packet.clone(), alert.id);
        let place = self
            .planted
            .iter()
            .zip(&mut self.found)
            .find(|(planted, found)| found.is_none() && fits(planted));
        match place {
            Some((_, found)) => *found = Some(seen),
            None => self.false_alarms.push(seen),
        }
    }

    fn missed(&self) -> usize {
        self.found.iter().filter(|found| found.is_none()).count()
    }
}

fn show(
    out: &mut dyn Write,
    options: &DemoOptions,
    traffic: &Traffic,
    rules: &RuleSet,
    tally: &Tally<'_>,
    outcome: &Outcome,
) -> io::Result<()> {
    let total = traffic.stats().total();
    writeln!(
        out,
        "{} {}, {} in {}, from seed {}\n",
        style("Traffic").bold().cyan(),
        figures::counted(total.packets, "packet"),
        figures::bytes(total.bytes),
        figures::counted(total.flows, "conversation"),
        options.seed,
    )?;
    let mut made = Table::new([
        ("", Align::Left),
        ("conversations", Align::Right),
        ("packets", Align::Right),
        ("traffic", Align::Right),
    ]);
    for kind in Kind::ALL {
        let count = traffic.stats().of(kind);
        made.row([
            kind.name().to_owned(),
            figures::count(count.flows),
            figures::count(count.packets),
            figures::bytes(count.bytes),
        ]);
    }
    made.write(out, "  ")?;
    writeln!(
        out,
        "\n{} {} planted, {} that look for them\n",
        style("Attacks").bold().cyan(),
        figures::count(tally.planted.len() as u64),
        figures::counted(rules.rules().len() as u64, "rule"),
    )?;
    show_attacks(out, traffic, rules, tally)?;
    show_false_alarms(out, rules, tally)?;
    let mark = |good: bool| {
        if good {
            style("✓").green()
        } else {
            style("✗").red()
        }
    };
    let (missed, alarms) = (tally.missed(), tally.false_alarms.len());
    writeln!(
        out,
        "\n{} {} of {} found   {} {}\n  {} in {:.0} ms, {} packets/s",
        mark(missed == 0),
        tally.planted.len() - missed,
        figures::counted(tally.planted.len() as u64, "attack"),
        mark(alarms == 0),
        figures::counted(alarms as u64, "false alarm"),
        figures::counted(outcome.seen.packets, "packet"),
        outcome.time.as_secs_f64() * 1e3,
        figures::rate(outcome.seen.packets, outcome.time),
    )
}

fn show_attacks(
    out: &mut dyn Write,
    traffic: &Traffic,
    rules: &RuleSet,
    tally: &Tally<'_>,
) -> io::Result<()> {
    let start = traffic.frames().next().map_or(0, |frame| frame.ts_ns);
    let mut table = Table::new([
        ("", Align::Left),
        ("time", Align::Right),
        ("attack", Align::Left),
        ("who → whom", Align::Left),
        ("signature", Align::Right),
        ("found by", Align::Left),
    ])
    .within(terminal_width(), &[3, 1]);
    let mut attacks: Vec<_> = tally.planted.iter().zip(&tally.found).collect();
    attacks.sort_by_key(|(planted, found)| {
        found
            .as_ref()
            .map_or(planted.ts_ns, |(packet, _)| packet.ts_ns)
    });
    for (planted, found) in attacks {
        let (mark, time, reason) = match found {
            Some((packet, id)) => (
                style("✓").green(),
                packet.ts_ns,
                rules.get(*id).map(why::why).unwrap_or_default(),
            ),
            None => (
                style("✗").red(),
                planted.ts_ns,
                style("missed").red().bold().to_string(),
            ),
        };
        table.row([
            mark.to_string(),
            format!("{:.3} s", time.saturating_sub(start) as f64 / 1e9),
            style(planted.name).bold().to_string(),
            format!(
                "{} → {} {}",
                end(planted.src, planted.sport),
                end(planted.dst, planted.dport),
                style(planted.proto).dim()
            ),
            planted.sid.to_string(),
            clean(&reason, 70),
        ]);
    }
    table.write(out, "  ")
}

fn show_false_alarms(out: &mut dyn Write, rules: &RuleSet, tally: &Tally<'_>) -> io::Result<()> {
    for (packet, id) in tally.false_alarms.iter().take(FALSE_ALARMS) {
        let (sport, dport) = packet.ports.unwrap_or_default();
        let (sid, message) = rules
            .get(*id)
            .map_or((0, ""), |rule| (rule.meta.sid, rule.meta.msg.as_str()));
        writeln!(
            out,
            "  {} packet {}: {sid} {} {} → {}",
            style("false alarm").red().bold(),
            packet.number,
            clean(message, 60),
            end(packet.src, sport),
            end(packet.dst, dport),
        )?;
    }
    if tally.false_alarms.len() > FALSE_ALARMS {
        writeln!(
            out,
            "  … and {} more",
            tally.false_alarms.len() - FALSE_ALARMS
        )?;
    }
    Ok(())
}

/// One end of a conversation, with its port where there is one.
fn end(address: std::net::IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (std::net::IpAddr::V4(address), port) => format!("{address}:{port}"),
        (std::net::IpAddr::V6(address), port) => format!("[{address}]:{port}"),
    }
}
