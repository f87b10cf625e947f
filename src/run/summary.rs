//! What `weir run` prints when the alerts go nowhere else.

use std::collections::BTreeMap;
use std::io::{self, Write};

use console::style;
use weir_engine::detect::Alert;

use super::pipeline::Outcome;
use crate::ui::figures;
use crate::ui::table::{Align, Table, clean, terminal_width};

/// Columns for a rule's message.
const MESSAGE_WIDTH: usize = 90;

/// Alerts by signature.
#[derive(Debug, Default)]
pub struct Summary {
    /// By `gid` and `sid`, which stay when rules are reloaded.
    counts: BTreeMap<(u32, u32), Signature>,
}

/// What alerts had in common.
#[derive(Debug)]
struct Signature {
    alerts: u64,
    priority: u8,
    msg: String,
}

impl Summary {
    /// Counts an alert.
    pub fn add(&mut self, alert: &Alert<'_>) {
        let meta = &alert.rule.meta;
        let signature = self.counts.entry((meta.gid, meta.sid));
        let signature = signature.or_insert_with(|| Signature {
            alerts: 0,
            priority: meta.priority,
            msg: meta.msg.clone(),
        });
        signature.alerts += 1;
    }

    /// Prints the signatures, most frequent first, and what was read.
    pub fn print(&self, outcome: &Outcome) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let mut signatures: Vec<_> = self.counts.iter().collect();
        signatures.sort_by_key(|&(&(_, sid), signature)| {
            (std::cmp::Reverse(signature.alerts), signature.priority, sid)
        });
        if !signatures.is_empty() {
            let mut table = Table::new([
                ("alerts", Align::Right),
                ("severity", Align::Right),
                ("signature", Align::Right),
                ("message", Align::Left),
            ])
            .within(terminal_width(), &[]);
            for ((gid, sid), signature) in &signatures {
                table.row([
                    figures::count(signature.alerts),
                    signature.priority.to_string(),
                    format!("{gid}:{sid}"),
                    clean(&signature.msg, MESSAGE_WIDTH),
                ]);
            }
            table.write(&mut out, "")?;
            writeln!(out)?;
        }
        writeln!(
            out,
            "{} by {} in {} ({})\n{:.2} s, {} packets/s",
            style(figures::counted(outcome.alerts.written, "alert")).bold(),
            figures::counted(signatures.len() as u64, "signature"),
            figures::counted(outcome.seen.packets, "packet"),
            figures::bytes(outcome.seen.bytes),
            outcome.time.as_secs_f64(),
            figures::rate(outcome.seen.packets, outcome.time),
        )?;
        out.flush()
    }
}
