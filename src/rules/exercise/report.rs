//! What is written: the capture, what is expected of it, what could not be made, and counts.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use serde_json::json;
use weir_engine::plan::{Rule, RuleSet};
use weir_rules::compile::{Loaded, Summary};
use weir_rules::exercise::Talk;

use super::proof::tape;
use super::{Outcome, beside, pairs};
use crate::cli::ExerciseOptions;
use crate::failure::Failure;
use crate::ui::figures;
use crate::ui::table::{Align, Table};

/// What came of all rules.
pub struct Report<'a> {
    /// The rules as they were loaded.
    pub rules: &'a RuleSet,
    /// What else is known of loading them.
    pub loaded: &'a Loaded,
    /// What came of each, by number.
    pub outcomes: &'a [Outcome],
}

impl Report<'_> {
    /// Writes the files, and counts on standard output.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn write(&self, options: &ExerciseOptions) -> Result<(), Failure> {
        let talks: Vec<&Talk> = pairs(self.outcomes)
            .flat_map(|(_, fires, miss, _)| [fires, miss])
            .collect();
        let taped = tape(talks.iter().copied()).map_err(Failure::failed)?;
        let write = |path: &std::path::Path, bytes: &[u8]| {
            std::fs::write(path, bytes).map_err(|error| {
                Failure::Failed(format!("{}: cannot be written: {error}", path.display()))
            })
        };
        write(&options.output, &taped.bytes)?;
        let expected = self.expected(&taped.packets).map_err(Failure::failed)?;
        write(&beside(&options.output, "expected.jsonl"), &expected)?;
        let unmet = self.unmet().map_err(Failure::failed)?;
        write(&beside(&options.output, "unmet.jsonl"), &unmet)?;
        let mut out = BufWriter::new(io::stdout().lock());
        self.counts(&mut out)
            .and_then(|()| out.flush())
            .map_err(Failure::stdout)
    }

    fn rule(&self, id: u32) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// A line for each conversation, in the order of the capture.
    fn expected(&self, packets: &[(u64, u64)]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut packets = packets.iter();
        for (id, fires, miss, broken) in pairs(self.outcomes) {
            let Some(rule) = self.rule(id) else { continue };
            for (talk, broken) in [(fires, None), (miss, Some(broken))] {
                let (first, last) = packets.next().copied().unwrap_or_default();
                let mut line = json!({
                    "sid": rule.meta.sid,
                    "gid": rule.meta.gid,
                    "expect": if broken.is_none() { "fires" } else { "near miss" },
                    "client": talk.client.0,
                    "client_port": talk.client.1,
                    "server": talk.server.0,
                    "server_port": talk.server.1,
                    "packets": [first, last],
                    "conversations": talk.times,
                });
                if let Some(broken) = broken {
                    line["broken"] = broken.into();
                }
                if rule.noalert {
                    line["noalert"] = true.into();
                }
                serde_json::to_writer(&mut out, &line)?;
                out.push(b'\n');
            }
        }
        Ok(out)
    }

    /// A line for each rule that has no conversations.
    fn unmet(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for outcome in self.outcomes {
            if let (Err(why), Some(rule)) = (&outcome.result, self.rule(outcome.id)) {
                let line = json!({
                    "sid": rule.meta.sid,
                    "gid": rule.meta.gid,
                    "reason": why.name(),
                    "about": why.detail(),
                    "msg": rule.meta.msg,
                });
                serde_json::to_writer(&mut out, &line)?;
                out.push(b'\n');
            }
        }
        for refused in &self.loaded.refused {
            let line = json!({
                "file": &*refused.file,
                "line": refused.problems.first().map(|problem| problem.place.line),
                "reason": "not loaded",
                "about": refused.problems.first().map(|problem| problem.subject.clone()),
            });
            serde_json::to_writer(&mut out, &line)?;
            out.push(b'\n');
        }
        Ok(out)
    }

    fn counts(&self, out: &mut dyn Write) -> io::Result<()> {
        let proven = pairs(self.outcomes).count();
        let silent = pairs(self.outcomes)
            .filter(|(id, _, _, _)| self.rule(*id).is_some_and(|rule| rule.noalert))
            .count();
        let read = self.loaded.counts.read.max(1);
        let mut reasons: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for outcome in self.outcomes {
            if let Err(why) = &outcome.result {
                *reasons
                    .entry((why.name(), why.detail().to_owned()))
                    .or_default() += 1;
            }
        }
        for (subject, refusals) in Summary::new(self.loaded).rows() {
            if refusals.first > 0 {
                reasons.insert(("not loaded", subject.clone()), refusals.first);
            }
        }
        let mut sorted: Vec<_> = reasons.into_iter().collect();
        let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
        for ((name, _), count) in &sorted {
            *sums.entry(name).or_default() += count;
        }
        sorted.sort_by_key(|((name, detail), count)| {
            let sum = sums.get(name).copied().unwrap_or(0);
            (
                std::cmp::Reverse(sum),
                *name,
                std::cmp::Reverse(*count),
                detail.clone(),
            )
        });
        let mut table = Table::new([
            ("not proven because", Align::Left),
            ("of", Align::Left),
            ("rules", Align::Right),
        ]);
        for ((name, detail), count) in sorted {
            table.row([name.to_owned(), detail, figures::count(count as u64)]);
        }
        table.write(out, "")?;
        writeln!(
            out,
            "\n{} of {} rules proven both ways ({:.1} %): each fires on its conversation and is silent on its near miss",
            figures::count(proven as u64),
            figures::count(read as u64),
            100.0 * proven as f64 / read as f64
        )?;
        if silent > 0 {
            writeln!(
                out,
                "{} of them say noalert: they match, and write no alert unless that is lifted",
                figures::count(silent as u64)
            )?;
        }
        Ok(())
    }
}
