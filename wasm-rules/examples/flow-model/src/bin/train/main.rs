//! Makes data, learns the model from it, measures it, and writes captures to show it on.

mod capture;
mod data;
mod learn;

use std::process::ExitCode;

use flow_model::{LEARNED, Model, THRESHOLD};

use data::{Example, KINDS};

/// Connections of each kind to learn from.
const LEARN_FROM: usize = 3_000;
/// Connections of each kind to measure with.
const MEASURE_WITH: usize = 3_000;
/// What is measured with is drawn from another seed than what is learned from.
const SEEDS: (u64, u64) = (1, 2);

const USAGE: &str = "train learn > src/weights.rs     learn from made-up connections, and write the weights
train measure                    the error of the committed weights on connections that were not learned from
train capture FILE               a capture with two connections of each kind";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["learn"] => {
            let model = learn::learn(&data::examples(SEEDS.0, LEARN_FROM));
            eprint!("{}", measured(&model));
            print!("{}", learn::source(&model));
        }
        ["measure"] => print!("{}", measured(&LEARNED)),
        ["capture", file] => {
            let (bytes, beacons) = capture::capture(SEEDS.1);
            if let Err(error) = std::fs::write(file, bytes) {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
            for port in beacons {
                println!("a beacon from port {port}");
            }
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// How often the model tells connections of each kind that it has not learned from.
fn measured(model: &Model) -> String {
    let examples = data::examples(SEEDS.1, MEASURE_WITH);
    let mut text = String::new();
    let (mut wrong, mut all) = ([0, 0], [0, 0]);
    for (kind, name) in KINDS.iter().enumerate() {
        let of_kind: Vec<&Example> = examples.iter().filter(|one| one.kind == kind).collect();
        let told = of_kind
            .iter()
            .filter(|one| model.probability(&one.features) >= THRESHOLD)
            .count();
        let share = 100.0 * told as f64 / of_kind.len() as f64;
        text += &format!(
            "{name:12} {told:5} of {} told ({share:.2} %)\n",
            of_kind.len()
        );
        let beacon = usize::from(kind == data::BEACON);
        wrong[beacon] += if beacon == 1 {
            of_kind.len() - told
        } else {
            told
        };
        all[beacon] += of_kind.len();
    }
    for (at, what) in ["false alarms", "missed"].iter().enumerate() {
        let share = 100.0 * f64::from(wrong[at] as u32) / f64::from(all[at] as u32);
        text += &format!("{what}: {} of {} ({share:.2} %)\n", wrong[at], all[at]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_weights_do_as_well_as_the_readme_says() {
        let measured = measured(&LEARNED);
        let readme = include_str!("../../../README.md");
        for line in measured.lines() {
            assert!(
                readme.contains(line),
                "{line:?} is in the README; measured:\n{measured}"
            );
        }
    }

    #[test]
    fn a_capture_has_a_connection_of_each_kind_and_names_the_beacons() {
        let (bytes, beacons) = capture::capture(SEEDS.1);
        assert_eq!(beacons.len(), 2);
        assert!(bytes.len() > 10_000 && bytes.starts_with(&0xa1b2_c3d4_u32.to_le_bytes()));
    }
}
