//! Holding a release build against recorded alerts.
//!
//! The cases are not part of the repository; a checkout that has `../shared/conformance` beside it uses them.

use std::path::PathBuf;

use crate::exec::{Cmd, Failure, Workspace};
use crate::setup;
use crate::steps::Done;

/// The runner, where it is at hand.
pub fn runner(workspace: &Workspace) -> Option<PathBuf> {
    let path = workspace.root.parent()?.join("shared/conformance/run.py");
    path.is_file().then_some(path)
}

/// The small cases of tier 1, and the shared trace with the small rule set.
pub fn short(workspace: &Workspace) -> Result<Done, Failure> {
    let Some(runner) = runner(workspace) else {
        return Ok(Done::NotHere("there is no ../shared/conformance".into()));
    };
    let weir = build(workspace)?;
    let mut last = String::new();
    let cases = ["cases", &weir, "--tier", "1", "--list", "--min", "1=95"];
    python(workspace, &runner)
        .args(cases)
        .run_watched(|line| line.clone_into(&mut last))?;
    let traffic = [
        "traffic",
        &weir,
        "--rules",
        "community",
        "--tier",
        "1",
        "--min-recall",
        "0.99",
        "--min-precision",
        "0.99",
    ];
    python(workspace, &runner).args(traffic).run()?;
    Ok(Done::Passed(last))
}

/// Every case and both rule sets.
pub fn campaign(workspace: &Workspace) -> Result<(), Failure> {
    let runner =
        runner(workspace).ok_or_else(|| Failure::new("there is no ../shared/conformance"))?;
    let weir = build(workspace)?;
    python(workspace, &runner)
        .args(["cases", &weir, "--list", "--min", "1=95"])
        .run()?;
    for rules in ["community", "et"] {
        let limits = [
            "--tier",
            "1",
            "--min-recall",
            "0.99",
            "--min-precision",
            "0.99",
        ];
        python(workspace, &runner)
            .args(["traffic", &weir, "--rules", rules])
            .args(limits)
            .run()?;
    }
    Ok(())
}

fn python(workspace: &Workspace, runner: &std::path::Path) -> Cmd {
    // The root stays out of sight in what is shown, so that the command can be pasted anywhere in the checkout.
    let shown = runner
        .strip_prefix(workspace.root.parent().unwrap_or(&workspace.root))
        .unwrap_or(runner);
    Cmd::new(workspace, "python3").arg(PathBuf::from("..").join(shown))
}

fn build(workspace: &Workspace) -> Result<String, Failure> {
    setup::ensure(workspace, &[setup::COMPILER, setup::PYTHON])?;
    Cmd::cargo(workspace)
        .args(["build", "--release", "--locked", "-p", "weir"])
        .run()?;
    Ok(workspace
        .target
        .join("release/weir")
        .to_string_lossy()
        .into_owned())
}
