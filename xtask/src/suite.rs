//! `cargo xtask test`: the steps, in order.

use std::process::ExitCode;

use crate::exec::{Cmd, Failure, Workspace};
use crate::steps::{self, Done, Step};
use crate::{conformance, ebpf, fuzz, hdl, licences, repo, setup};

/// Cheap checks first, so that a slip shows within seconds.
const STEPS: &[Step] = &[
    Step {
        name: "setup",
        about: "the tools that the other steps need",
        run: |w| setup::run(w).map(|()| plain()),
    },
    Step {
        name: "repo",
        about: "no large files, conflict markers or stray line ends in what is committed",
        run: repo::check,
    },
    Step {
        name: "fmt",
        about: "rustfmt",
        run: fmt,
    },
    Step {
        name: "licences",
        about: "every dependency's licence and origin, by deny.toml",
        run: licences::check,
    },
    Step {
        name: "clippy",
        about: "lints, warnings denied",
        run: clippy,
    },
    Step {
        name: "test",
        about: "unit, integration and documentation tests",
        run: test,
    },
    Step {
        name: "modules",
        about: "example rule modules: lints, and their own tests on this machine (`test` builds and runs them)",
        run: modules,
    },
    Step {
        name: "ebpf",
        about: "the XDP program compiles, and is the one that is committed",
        run: ebpf::check,
    },
    Step {
        name: "libpcap",
        about: "the libpcap feature: lints and tests, live capture on the loopback interface included",
        run: libpcap,
    },
    Step {
        name: "peers",
        about: "the peers feature: Hyperscan and others give the same answers as our matchers",
        run: peers,
    },
    Step {
        name: "docs",
        about: "documentation, warnings denied",
        run: docs,
    },
    Step {
        name: "fuzz",
        about: "a short run of every fuzz target, from its seeds",
        run: fuzz::short,
    },
    Step {
        name: "demo",
        about: "the release build finds every attack that the demo plants",
        run: demo,
    },
    Step {
        name: "synthesis",
        about: "the smallest core goes through synthesis: no latch, nothing undriven or driven twice",
        run: hdl::short,
    },
    Step {
        name: "conformance",
        about: "recorded alerts, where they are at hand",
        run: conformance::short,
    },
];

/// Prints the steps.
pub fn list() {
    for step in STEPS {
        println!("{:12} {}", step.name, step.about);
    }
}

/// Runs the steps called `names`, or all.
pub fn run(workspace: &Workspace, names: &[String]) -> ExitCode {
    if let Some(unknown) = names
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        eprintln!(
            "xtask: there is no step {unknown:?}; there are: {}",
            known.join(", ")
        );
        return ExitCode::from(2);
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    if steps::run(workspace, &steps) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn plain() -> Done {
    Done::Passed(String::new())
}

fn fmt(workspace: &Workspace) -> Result<Done, Failure> {
    Cmd::cargo(workspace)
        .args(["fmt", "--all", "--check"])
        .run()?;
    Cmd::cargo(workspace)
        .args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
        .run()?;
    Cmd::cargo(workspace)
        .args(["fmt", "--manifest-path", ebpf::MANIFEST, "--check"])
        .run()?;
    Cmd::cargo(workspace)
        .args(["fmt", "--manifest-path", MODULES, "--all", "--check"])
        .run()?;
    Ok(plain())
}

fn clippy(workspace: &Workspace) -> Result<Done, Failure> {
    Cmd::cargo(workspace)
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
        .run()?;
    Ok(plain())
}

fn test(workspace: &Workspace) -> Result<Done, Failure> {
    let all = ["test", "--workspace", "--locked", "--no-fail-fast"];
    counted([Cmd::cargo(workspace).args(all)])
}

/// The workspace of the example modules.
const MODULES: &str = "wasm-rules/examples/Cargo.toml";

fn modules(workspace: &Workspace) -> Result<Done, Failure> {
    let all = ["--manifest-path", MODULES, "--workspace", "--locked"];
    Cmd::cargo(workspace)
        .arg("clippy")
        .args(all)
        .args(["--all-targets", "--", "-D", "warnings"])
        .run()?;
    let test = Cmd::cargo(workspace).arg("test").args(all);
    counted([test.arg("--no-fail-fast")])
}

/// The whole workspace is named, and not the two packages alone: what they depend on has the same features then as in `test`, and is
/// not compiled again.
fn libpcap(workspace: &Workspace) -> Result<Done, Failure> {
    if let Err(failure) = setup::ensure(workspace, &[setup::LIBPCAP]) {
        return Ok(Done::Skipped(failure.to_string()));
    }
    let features = "weir/libpcap,weir-capture/libpcap";
    let all = ["--workspace", "--features", features, "--locked"];
    lints(workspace, &all)?;
    // What the feature adds; the rest is what `test` has tried.
    let of_weir = Cmd::cargo(workspace)
        .arg("test")
        .args(all)
        .args(["--test", "libpcap", "--test", "run", "--bin", "weir"]);
    let of_capture = Cmd::cargo(workspace)
        .args(["test", "-p", "weir-capture", "--locked"])
        .args(["--features", "weir-capture/libpcap"]);
    counted([of_weir, of_capture])
}

fn peers(workspace: &Workspace) -> Result<Done, Failure> {
    if let Err(failure) = setup::ensure(workspace, &[setup::LIBHS, setup::PKG_CONFIG]) {
        return Ok(Done::Skipped(failure.to_string()));
    }
    let package = ["-p", "weir-bench", "--features", "peers", "--locked"];
    lints(workspace, &package)?;
    counted([Cmd::cargo(workspace).arg("test").args(package)])
}

/// Lints of packages with features that others do not have.
fn lints(workspace: &Workspace, packages: &[&str]) -> Result<(), Failure> {
    Cmd::cargo(workspace)
        .arg("clippy")
        .args(packages)
        .args(["--all-targets", "--", "-D", "warnings"])
        .run()
}

/// Holds every backend to the definition on random cases, in a release build, for as long as `cases` take.
pub fn random_cases(workspace: &Workspace, cases: u64, seed: u64) -> Result<(), Failure> {
    let test = "matcher::testing::tests::every_backend_finds_what_the_definition_finds";
    let package = ["-p", "weir-engine", "--lib", "--release", "--locked"];
    Cmd::cargo(workspace)
        .env("WEIR_MATCHER_CASES", cases.to_string())
        .env("WEIR_MATCHER_SEED", seed.to_string())
        .arg("test")
        .args(package)
        .args(["--", "--exact", test])
        .run()
}

/// Holds reassembly to its definition on so many random evasions of each kind, in a release build.
pub fn evasions(workspace: &Workspace, cases: u64) -> Result<(), Failure> {
    Cmd::cargo(workspace)
        .env("WEIR_EVASION_CASES", cases.to_string())
        .args(["test", "--release", "--locked", "-p", "weir"])
        .args(["--test", "evasion"])
        .run()
}

/// Keeps a sensor under mixed traffic for so many seconds, in a release build.
pub fn soak(workspace: &Workspace, seconds: u64) -> Result<(), Failure> {
    Cmd::cargo(workspace)
        .env("WEIR_SOAK_SECONDS", seconds.to_string())
        .args(["test", "--release", "--locked", "-p", "weir"])
        .args(["--test", "wire", "--", "--nocapture", "soak::"])
        .run()
}

fn docs(workspace: &Workspace) -> Result<Done, Failure> {
    Cmd::cargo(workspace)
        .args(["doc", "--workspace", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(plain())
}

fn demo(workspace: &Workspace) -> Result<Done, Failure> {
    Cmd::cargo(workspace)
        .args(["run", "--release", "--locked", "-p", "weir", "--", "demo"])
        .run()?;
    Ok(plain())
}

/// Runs `cargo test`, once or more, and adds up what the test programs say.
fn counted(commands: impl IntoIterator<Item = Cmd>) -> Result<Done, Failure> {
    let mut total = Tally::default();
    let mut commands = commands.into_iter();
    let result = commands.try_for_each(|command| command.run_watched(|line| total.read(line)));
    let note = format!(
        "{} tests passed, {} failed, {} ignored",
        total.passed, total.failed, total.ignored
    );
    match result {
        Ok(()) => Ok(Done::Passed(note)),
        Err(failure) => Err(Failure {
            what: format!("{}; {note}", failure.what),
            ..failure
        }),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds the counts of libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn read(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_programs_add_up() {
        let mut tally = Tally::default();
        tally.read("running 4 tests");
        tally.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        tally.read("test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s");
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failed: 5,
                ignored: 1
            }
        );
    }
}
