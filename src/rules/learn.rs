//! `weir rules learn`: the byte-window frequencies that choose probes, from captures.

use std::io::{self, BufWriter, Write};

use weir_engine::detect::inspected_payload;
use weir_engine::packet::Decoder;
use weir_rules::frequency::{Learner, Limits, Table as Frequencies};

use crate::cli::LearnOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::run::files::{Capture, Files};
use crate::run::pipeline::{Seen, Supply};
use crate::run::settings::Context;
use crate::run::workers::{Next, Source};
use crate::run::{capture_size, stop_on_signals};
use crate::ui::figures;
use crate::ui::progress::Progress;
use crate::ui::table::{Align, Table};

/// Payload bytes that a table should be learnt from at least: with less, what is common is not told from what is not.
const ENOUGH: u64 = 1 << 20;

/// Lengths of the windows that the summary shows, and how many of each.
const SHOWN: [usize; 4] = [1, 2, 4, 8];
const SHOWN_EACH: usize = 4;

/// Learns a frequency table and writes it.
pub fn learn(options: &LearnOptions) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let decoder = Context::new(&config)?.engine.decoder;
    let total = capture_size(&options.pcap)?;
    let captures: Vec<Capture> = options.pcap.iter().cloned().map(Capture::File).collect();
    let stop = stop_on_signals()?;
    let files = Files::new(&captures, &stop, Progress::new(total));
    let (learner, seen) = read(files, Decoder::new(decoder), options);
    for warning in &seen.warnings {
        tracing::warn!("{warning}");
    }
    let learnt = learner.learnt();
    if learnt.bytes == 0 {
        let why = seen.failure.unwrap_or_else(|| {
            "nothing to learn from: no packet has a payload that rules look into".to_owned()
        });
        return Err(Failure::Failed(why));
    }
    if learnt.bytes < ENOUGH {
        tracing::warn!(
            "learnt from {} of payload only: what is common in other traffic will pass for rare",
            figures::bytes(learnt.bytes)
        );
    }
    let table = learner.finish(Limits {
        hits: options.hits.get(),
        payloads: options.payloads.get(),
        windows: options.windows.get(),
    });
    let file = table.to_bytes();
    std::fs::write(&options.output, &file).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot write the frequency table: {error}",
            options.output.display()
        ))
    })?;
    let mut out = BufWriter::new(io::stdout().lock());
    summarise(&mut out, options, &table, file.len())
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)?;
    seen.failure.map_or(Ok(()), |why| Err(Failure::Failed(why)))
}

/// Counts the windows of every payload of the packets that are wanted.
fn read(mut files: Files<'_>, mut decoder: Decoder, options: &LearnOptions) -> (Learner, Seen) {
    let mut learner = Learner::new();
    loop {
        match files.next() {
            Next::Frame(frame) => {
                let wanted = options.packets.as_ref();
                if wanted.is_some_and(|ranges| !ranges.contains(frame.number)) {
                    continue;
                }
                learner.packet();
                decoder.decode(frame, &mut |packet| {
                    if !packet.invalid && !packet.bad_checksum {
                        learner.payload(inspected_payload(packet));
                    }
                });
            }
            Next::Pause => {}
            Next::End => break,
        }
    }
    (learner, files.finish())
}

fn summarise(
    out: &mut dyn Write,
    options: &LearnOptions,
    table: &Frequencies,
    size: usize,
) -> io::Result<()> {
    let learnt = table.learnt();
    writeln!(
        out,
        "learnt from {}: {}, {}",
        figures::counted(learnt.packets, "packet"),
        figures::counted(learnt.payloads, "payload"),
        figures::bytes(learnt.bytes)
    )?;
    writeln!(
        out,
        "kept {} that were seen at least {} times, in at least {}: {}, {}\n",
        figures::counted(table.windows() as u64, "window"),
        figures::count(table.least()),
        figures::counted(options.payloads.get(), "payload"),
        options.output.display(),
        figures::bytes(size as u64)
    )?;
    let mut rows = Table::new([
        ("bytes", Align::Right),
        ("windows", Align::Right),
        (
            "the commonest, and at how many of the offsets at most",
            Align::Left,
        ),
    ]);
    for length in SHOWN {
        let commonest: Vec<String> = table
            .commonest(length, SHOWN_EACH)
            .into_iter()
            .map(|(window, estimate)| {
                format!(
                    "{} {:.2} %",
                    super::literal(&window, false),
                    100.0 * estimate.offsets
                )
            })
            .collect();
        rows.row([
            length.to_string(),
            figures::count(table.windows_of(length) as u64),
            commonest.join("   "),
        ]);
    }
    rows.write(out, "")
}
