//! Which keywords refused how many rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::load::Loaded;

/// How many rules one subject (a keyword, a protocol, an action) refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Rules whose first problem it is. These add up to the number of refused rules.
    pub first: usize,
    /// Rules that it alone keeps from being evaluated.
    pub alone: usize,
    /// Rules that it keeps from being evaluated together with others.
    pub with_others: usize,
}

/// The refused rules of a rule set by what refused them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<(String, Refusals)>,
}

impl Summary {
    /// The summary of what was loaded.
    pub fn new(loaded: &Loaded) -> Self {
        let mut rows: BTreeMap<&str, Refusals> = BTreeMap::new();
        for refused in &loaded.refused {
            let subjects: BTreeSet<&str> = refused
                .problems
                .iter()
                .map(|problem| problem.subject.as_str())
                .collect();
            if let Some(first) = refused.problems.first() {
                rows.entry(&first.subject).or_default().first += 1;
            }
            for &subject in &subjects {
                let row = rows.entry(subject).or_default();
                if subjects.len() == 1 {
                    row.alone += 1
                } else {
                    row.with_others += 1
                }
            }
        }
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(subject, refusals)| (subject.to_owned(), refusals))
            .collect();
        rows.sort_by_key(|(_, refusals)| std::cmp::Reverse(refusals.alone + refusals.with_others));
        Self { rows }
    }

    /// Subjects, from the one that refused most rules down.
    pub fn rows(&self) -> &[(String, Refusals)] {
        &self.rows
    }
}

/// A table; empty when nothing was refused.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let width = self
            .rows
            .iter()
            .map(|(subject, _)| subject.chars().count())
            .max()
            .unwrap_or(0)
            .max("refused by".len());
        writeln!(
            f,
            "{:width$}  {:>7}  {:>7}  {:>11}",
            "refused by", "first", "alone", "with others"
        )?;
        for (
            subject,
            Refusals {
                first,
                alone,
                with_others,
            },
        ) in &self.rows
        {
            writeln!(
                f,
                "{subject:width$}  {first:>7}  {alone:>7}  {with_others:>11}"
            )?;
        }
        Ok(())
    }
}
