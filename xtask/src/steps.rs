//! Running a list of steps to the end, and the table of how they went.

use std::time::{Duration, Instant};

use crate::exec::{Failure, Workspace};

/// How a step that did not fail ended.
pub enum Done {
    /// It did its work; the text says how much, where that can be said.
    Passed(String),
    /// A tool for it is not to be had here; in CI that is a failure.
    Skipped(String),
    /// There is nothing to do here, which is no fault, in CI or elsewhere.
    NotHere(String),
}

/// One step.
pub struct Step {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it makes sure of.
    pub about: &'static str,
    /// Does it.
    pub run: fn(&Workspace) -> Result<Done, Failure>,
}

enum Verdict {
    Passed,
    Skipped,
    Failed,
}

struct Row {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
    note: String,
    repeat: Option<String>,
}

/// Runs all of `steps`, those after a failure too, prints a table and returns true when none failed.
pub fn run(workspace: &Workspace, steps: &[&Step]) -> bool {
    let mut rows = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        println!(
            "\n=== {}/{} {}: {}",
            index + 1,
            steps.len(),
            step.name,
            step.about
        );
        let start = Instant::now();
        let row = match (step.run)(workspace) {
            Ok(Done::Skipped(why)) if workspace.ci => (
                Verdict::Failed,
                format!("may not be skipped in CI: {why}"),
                None,
            ),
            Ok(Done::Skipped(why) | Done::NotHere(why)) => (Verdict::Skipped, why, None),
            Ok(Done::Passed(note)) => (Verdict::Passed, note, None),
            Err(failure) => (Verdict::Failed, failure.what, failure.repeat),
        };
        let (verdict, note, repeat) = row;
        if !matches!(verdict, Verdict::Passed) || !note.is_empty() {
            println!("--- {}: {note}", step.name);
        }
        rows.push(Row {
            name: step.name,
            verdict,
            took: start.elapsed(),
            note,
            repeat,
        });
    }
    print_table(&rows);
    !rows
        .iter()
        .any(|row| matches!(row.verdict, Verdict::Failed))
}

fn print_table(rows: &[Row]) {
    let mut counts = [0; 3];
    println!("\n{:12} {:8} {:>8}  note", "step", "result", "time");
    for row in rows {
        let (word, index) = match row.verdict {
            Verdict::Passed => ("passed", 0),
            Verdict::Failed => ("FAILED", 1),
            Verdict::Skipped => ("skipped", 2),
        };
        counts[index] += 1;
        println!(
            "{:12} {word:8} {:>6.1} s  {}",
            row.name,
            row.took.as_secs_f64(),
            row.note
        );
    }
    for row in rows
        .iter()
        .filter(|row| matches!(row.verdict, Verdict::Failed))
    {
        println!("\n{} failed: {}", row.name, row.note);
        if let Some(command) = &row.repeat {
            println!("  to repeat: {command}");
        }
        println!("  the step:  cargo xtask test {}", row.name);
    }
    let total: Duration = rows.iter().map(|row| row.took).sum();
    let skipped = if counts[2] == 0 {
        String::new()
    } else {
        format!(", {} skipped", counts[2])
    };
    println!(
        "\n{} passed, {} failed{skipped} in {:.0} s",
        counts[0],
        counts[1],
        total.as_secs_f64()
    );
}
