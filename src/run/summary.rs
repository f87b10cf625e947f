//! What `weir run` prints when the alerts go nowhere else.

use std::collections::BTreeMap;
use std::io::{self, Write};

use console::style;
use weir_engine::detect::Alert;
use weir_engine::plan::{RuleId, RuleSet};

use super::pipeline::Outcome;
use crate::ui::figures;
use crate::ui::table::{Align, Table, clean, terminal_width};

/// Columns for a rule's message.
const MESSAGE_WIDTH: usize = 90;

/// Alerts by signature.
#[derive(Debug, Default)]
pub struct Summary {
    counts: BTreeMap<RuleId, u64>,
}

impl Summary {
    /// Counts an alert.
    pub fn add(&mut self, alert: &Alert<'_>) {
        *self.counts.entry(alert.id).or_default() += 1;
    }

    /// Prints the signatures, most frequent first, and what was read.
    pub fn print(&self, outcome: &Outcome, rules: &RuleSet) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let mut signatures: Vec<_> = self
            .counts
            .iter()
            .filter_map(|(id, count)| Some((rules.get(*id)?, *count)))
            .collect();
        signatures.sort_by_key(|&(rule, count)| {
            (std::cmp::Reverse(count), rule.meta.priority, rule.meta.sid)
        });
        if !signatures.is_empty() {
            let mut table = Table::new([
                ("alerts", Align::Right),
                ("severity", Align::Right),
                ("signature", Align::Right),
                ("message", Align::Left),
            ])
            .within(terminal_width(), &[]);
            for (rule, count) in &signatures {
                table.row([
                    figures::count(*count),
                    rule.meta.priority.to_string(),
                    format!("{}:{}", rule.meta.gid, rule.meta.sid),
                    clean(&rule.meta.msg, MESSAGE_WIDTH),
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
