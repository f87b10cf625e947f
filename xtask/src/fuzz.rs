//! Building and running the fuzz targets.
//!
//! `fuzz/` has cargo-fuzz's layout, and `RUSTC_BOOTSTRAP=1 cargo fuzz run TARGET` works there. Nothing of it is
//! needed, though: a fuzz target is a program built with coverage counters and AddressSanitizer, both of which the
//! stable toolchain ships, and saves a machine the building of cargo-fuzz.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::exec::{Cmd, Failure, Workspace};
use crate::setup;
use crate::steps::Done;

/// A fuzz target and the bounds of its input.
struct Target {
    name: &'static str,
    /// Longest input in bytes: as much as its parser needs to reach every state, and no more.
    max_len: u32,
    /// File in `fuzz/dict` with words that random bytes would rarely form.
    dictionary: Option<&'static str>,
}

const TARGETS: &[Target] = &[
    Target {
        name: "packet",
        max_len: 8192,
        dictionary: None,
    },
    Target {
        name: "capture",
        max_len: 16384,
        dictionary: Some("capture.dict"),
    },
    Target {
        name: "rules",
        max_len: 4096,
        dictionary: Some("rules.dict"),
    },
    Target {
        name: "built",
        max_len: 16384,
        dictionary: None,
    },
    Target {
        name: "evaluate",
        max_len: 4096,
        dictionary: None,
    },
    Target {
        name: "frequency",
        max_len: 4096,
        dictionary: None,
    },
    Target {
        name: "session",
        max_len: 1024,
        dictionary: None,
    },
    Target {
        name: "handover",
        max_len: 8192,
        dictionary: None,
    },
    Target {
        name: "stream",
        max_len: 1024,
        dictionary: None,
    },
    Target {
        name: "matcher",
        max_len: 1024,
        dictionary: None,
    },
    Target {
        name: "wire",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "card",
        max_len: 4096,
        dictionary: None,
    },
    Target {
        name: "driver",
        max_len: 512,
        dictionary: None,
    },
    Target {
        name: "app_http",
        max_len: 2048,
        dictionary: Some("app.dict"),
    },
    Target {
        name: "app_dns",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_tls",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_ssh",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_smtp",
        max_len: 2048,
        dictionary: Some("app.dict"),
    },
    Target {
        name: "app_ftp",
        max_len: 2048,
        dictionary: Some("app.dict"),
    },
    Target {
        name: "app_dcerpc",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_sip",
        max_len: 2048,
        dictionary: Some("app.dict"),
    },
    Target {
        name: "app_mqtt",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_smb",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_snmp",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_quic",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_krb5",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_http2",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_websocket",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_rfb",
        max_len: 2048,
        dictionary: None,
    },
    Target {
        name: "app_dhcp",
        max_len: 2048,
        dictionary: None,
    },
];

/// Seconds for each target in `cargo xtask test`.
const SHORT_SECONDS: u32 = 12;
/// An input that takes longer is a finding: no packet may hold up a sensor.
const SLOW_INPUT_SECONDS: u32 = 10;
/// A target that needs more memory is a finding.
const MEMORY_MIB: u32 = 2048;

/// What the compiler is told: what cargo-fuzz tells it.
const RUSTFLAGS: &str = "-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// How one target's run went.
struct Run {
    progress: Progress,
    finding: Option<Failure>,
}

/// The targets' names.
pub fn names() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).collect()
}

/// A short run of every target with a fixed seed, from the committed seeds alone.
pub fn short(workspace: &Workspace) -> Result<Done, Failure> {
    if let Err(failure) = setup::ensure(workspace, &[setup::CXX]) {
        return Ok(Done::Skipped(failure.to_string()));
    }
    let targets: Vec<&Target> = TARGETS.iter().collect();
    let bin = build(workspace)?;
    let corpora = workspace.target.join("fuzz/short");
    // What an earlier run found is not part of this one: the same seed from the same inputs.
    let _ = std::fs::remove_dir_all(&corpora);
    let runs = run_all(workspace, &bin, &targets, &corpora, SHORT_SECONDS, Some(1))?;
    summarise(&targets, runs).map(Done::Passed)
}

/// A long run.
pub fn campaign(
    workspace: &Workspace,
    names: &[String],
    seconds: u32,
    seed: Option<u32>,
    input: Option<&Path>,
) -> Result<(), Failure> {
    let wanted =
        |target: &&Target| names.is_empty() || names.iter().any(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    setup::ensure(workspace, &[setup::CXX])?;
    let bin = build(workspace)?;
    if let Some(input) = input {
        let [target] = targets[..] else {
            return Err(Failure::new("--input goes with one --target"));
        };
        return Cmd::new(workspace, bin.join(target.name)).arg(input).run();
    }
    let runs = run_all(
        workspace,
        &bin,
        &targets,
        &workspace.root.join("fuzz/corpus"),
        seconds,
        seed,
    )?;
    summarise(&targets, runs).map(|_| ())
}

/// Writes `fuzz/seeds` again.
pub fn write_seeds(workspace: &Workspace) -> Result<(), Failure> {
    Cmd::cargo(workspace)
        .args([
            "run",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--example",
            "seeds",
        ])
        .env(
            "CARGO_TARGET_DIR",
            workspace.target.join("fuzz").to_string_lossy(),
        )
        .run()
}

/// Builds all targets; returns the folder they are in.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let about = Cmd::new(workspace, "rustc").arg("-vV").output()?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap_or_default()
        .to_owned();
    let target_dir = workspace.target.join("fuzz");
    // Naming the target keeps the flags away from build scripts and procedural macros.
    Cmd::cargo(workspace)
        .args([
            "build",
            "--release",
            "--locked",
            "--bins",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target",
        ])
        .arg(&host)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_TARGET_DIR", target_dir.to_string_lossy())
        .run()?;
    Ok(target_dir.join(host).join("release"))
}

/// Runs targets, as many at a time as there are processors.
fn run_all(
    workspace: &Workspace,
    bin: &Path,
    targets: &[&Target],
    corpora: &Path,
    seconds: u32,
    seed: Option<u32>,
) -> Result<Vec<Run>, Failure> {
    let at_once = std::thread::available_parallelism()
        .map_or(1, |n| n.get())
        .min(targets.len());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((index, target)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    targets.get(index).map(|target| (index, target))
                } {
                    let run = run_one(workspace, bin, target, corpora, seconds, seed);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, run));
                    }
                }
            });
        }
    });
    let mut results = results
        .into_inner()
        .map_err(|_| Failure::new("a fuzzing thread panicked"))?;
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, run)| run).collect()
}

fn run_one(
    workspace: &Workspace,
    bin: &Path,
    target: &Target,
    corpora: &Path,
    seconds: u32,
    seed: Option<u32>,
) -> Result<Run, Failure> {
    let name = target.name;
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()))
    };
    let corpus = corpora.join(name);
    let artifacts = workspace.root.join("fuzz/artifacts").join(name);
    for dir in [&corpus, &artifacts] {
        std::fs::create_dir_all(dir).map_err(at(dir))?;
    }
    let log_path = workspace.target.join("fuzz").join(format!("{name}.log"));
    let mut log = File::create(&log_path).map_err(at(&log_path))?;

    let mut command = Cmd::new(workspace, bin.join(name))
        .arg(&corpus)
        .arg(workspace.root.join("fuzz/seeds").join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={}", target.max_len))
        .arg(format!("-timeout={SLOW_INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1");
    if let Some(dictionary) = target.dictionary {
        command = command.arg(format!(
            "-dict={}",
            workspace.root.join("fuzz/dict").join(dictionary).display()
        ));
    }
    if let Some(seed) = seed {
        command = command.arg(format!("-seed={seed}"));
    }
    println!("$ {}", command.shown());
    let failed = |error: std::io::Error| Failure::new(format!("fuzz target {name}: {error}"));
    let mut child = command
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut progress = Progress::default();
    let mut tail = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.map_err(failed)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            writeln!(log, "{line}").map_err(at(&log_path))?;
            if progress.read(&line) {
                println!("  {name}: {line}");
            }
            tail.push_back(line);
            if tail.len() > 60 {
                tail.pop_front();
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(Run {
            progress,
            finding: None,
        });
    }
    for line in &tail {
        println!("  {name}| {line}");
    }
    let what = progress
        .summary
        .clone()
        .unwrap_or_else(|| status.to_string());
    let repeat = match &progress.artifact {
        Some(artifact) => {
            let artifact = Path::new(artifact)
                .strip_prefix(&workspace.root)
                .unwrap_or(Path::new(artifact));
            format!(
                "cargo xtask campaign fuzz --target {name} --input {}",
                artifact.display()
            )
        }
        None => command.shown(),
    };
    let finding = Failure {
        what: format!("fuzz target {name}: {what}"),
        repeat: Some(repeat),
    };
    Ok(Run {
        progress,
        finding: Some(finding),
    })
}

/// Prints a line a target; the first finding is the failure.
fn summarise(targets: &[&Target], runs: Vec<Run>) -> Result<String, Failure> {
    println!(
        "\n{:10} {:>12} {:>9} {:>8} {:>10} {:>18}  finding",
        "target", "executions", "per s", "corpus", "features", "coverage"
    );
    let (mut executions, mut findings) = (0, Vec::new());
    for (target, Run { progress, finding }) in targets.iter().zip(runs) {
        let share = 100.0 * progress.edges as f64 / (progress.all_edges.max(1)) as f64;
        let coverage = format!("{} ({share:.1} %)", progress.edges);
        println!(
            "{:10} {:>12} {:>9} {:>8} {:>10} {coverage:>18}  {}",
            target.name,
            progress.executions,
            progress.per_second,
            progress.corpus,
            progress.features,
            finding
                .as_ref()
                .map_or("none", |finding| finding.what.as_str())
        );
        executions += progress.executions;
        findings.extend(finding);
    }
    println!("coverage: edges reached, of all edges in the program, standard library included\n");
    match (findings.len(), findings.into_iter().next()) {
        (count, Some(first)) if count > 1 => Err(Failure {
            what: format!("{count} targets have findings; the first: {}", first.what),
            ..first
        }),
        (_, Some(finding)) => Err(finding),
        (_, None) => Ok(format!(
            "{} targets, {executions} executions, no finding",
            targets.len()
        )),
    }
}

/// What libFuzzer has said so far.
#[derive(Debug, Default, PartialEq)]
struct Progress {
    executions: u64,
    per_second: u64,
    corpus: u64,
    edges: u64,
    all_edges: u64,
    features: u64,
    summary: Option<String>,
    artifact: Option<String>,
}

impl Progress {
    /// Reads one line; true when a reader would like to see it.
    fn read(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix('#') {
            let mut words = rest.split_ascii_whitespace();
            if let Some(executions) = words.next().and_then(number) {
                self.executions = executions;
            }
            let kind = words.next().unwrap_or_default();
            let words: Vec<&str> = words.collect();
            for pair in words.windows(2) {
                let Some(value) = number(pair[1]) else {
                    continue;
                };
                match pair[0] {
                    "cov:" => self.edges = value,
                    "ft:" => self.features = value,
                    "corp:" => self.corpus = value,
                    "exec/s:" => self.per_second = value,
                    _ => {}
                }
            }
            return matches!(kind, "pulse" | "INITED" | "DONE");
        }
        if let Some(count) = line
            .strip_prefix("stat::number_of_executed_units:")
            .and_then(number)
        {
            self.executions = count;
        } else if let Some(rate) = line
            .strip_prefix("stat::average_exec_per_sec:")
            .and_then(number)
        {
            self.per_second = rate;
        } else if let Some((_, counters)) = line
            .split_once("(")
            .filter(|_| line.contains("inline 8-bit counters"))
        {
            self.all_edges = number(counters).unwrap_or_default();
        } else if let Some(summary) = line.strip_prefix("SUMMARY: ") {
            self.summary = Some(summary.into());
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.trim().into());
        }
        false
    }
}

/// The number that `text` begins with, white space before it aside.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzer_is_understood() {
        let mut progress = Progress::default();
        assert!(
            !progress.read(
                "INFO: Loaded 1 modules   (10321 inline 8-bit counters): 10321 [0x55, 0x66),"
            )
        );
        assert!(progress.read("#3\tINITED cov: 101 ft: 102 corp: 2/6b exec/s: 0 rss: 44Mb"));
        assert!(!progress.read("#512\tNEW    cov: 210 ft: 333 corp: 9/31b lim: 8 exec/s: 99 rss: 44Mb L: 4/8 MS: 1 ChangeByte-"));
        progress.read("stat::number_of_executed_units: 98765");
        progress.read("stat::average_exec_per_sec:     4321");
        progress.read("artifact_prefix='a/'; Test unit written to a/crash-0");
        progress.read("SUMMARY: libFuzzer: deadly signal");
        let expected = Progress {
            executions: 98765,
            per_second: 4321,
            corpus: 9,
            edges: 210,
            all_edges: 10321,
            features: 333,
            summary: Some("libFuzzer: deadly signal".into()),
            artifact: Some("a/crash-0".into()),
        };
        assert_eq!(progress, expected);
    }
}
