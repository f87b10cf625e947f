//! The XDP program: compiled here, and committed, so that building Weir needs none of the tools for it.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use twox_hash::XxHash32;

use crate::exec::{Cmd, Failure, Workspace, in_path};
use crate::setup::{self, Need};
use crate::steps::Done;

/// The workspace that it is compiled from, and what it shares with user space.
const SOURCES: [&str; 2] = ["xdp-bridge/ebpf", "xdp-bridge/common"];
/// The program's workspace.
pub const MANIFEST: &str = "xdp-bridge/ebpf/Cargo.toml";
const OBJECT: &str = "xdp-bridge/weir.bpf.o";
const RECORD: &str = "xdp-bridge/weir.bpf.toml";
const TARGET: &str = "bpfel-unknown-none";

const LINKER: &str = "0.13.0";
const LLVM: &str = "/usr/lib/llvm-22";
const RUSTC: &str = "/usr/bin/rustc";

/// What it is compiled with.
pub const NEEDS: [Need; 5] = [
    Need {
        package: "rustc-web",
        why: "the XDP program is compiled with a compiler whose LLVM is Debian's",
        present: || Path::new(RUSTC).is_file(),
    },
    Need {
        package: "libstd-rust-web-dev-bpf",
        why: "the core library for the XDP program",
        present: || Path::new("/usr/lib/rustlib").join(TARGET).is_dir(),
    },
    Need {
        package: "llvm-22",
        why: "stripping the XDP program",
        present: || Path::new(LLVM).join("bin/llvm-objcopy").is_file(),
    },
    Need {
        package: "llvm-22-dev",
        why: "building the XDP program's linker",
        present: || has_linker() || Path::new(LLVM).join("bin/llvm-config").is_file(),
    },
    Need {
        package: "libpolly-22-dev",
        why: "building the XDP program's linker",
        present: || has_linker() || Path::new(LLVM).join("lib/libPolly.a").is_file(),
    },
];

fn has_linker() -> bool {
    in_path("bpf-linker")
}

/// How the committed object was made.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    rustc: String,
    linker: String,
    /// Of the sources, by name and content.
    sources: String,
}

impl Record {
    fn read(workspace: &Workspace) -> Result<Self, Failure> {
        let path = workspace.root.join(RECORD);
        let broken = |why: String| Failure {
            what: format!("{RECORD}: {why}"),
            repeat: Some("cargo xtask ebpf".into()),
        };
        let text = std::fs::read_to_string(&path).map_err(|error| broken(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error| broken(format!("{error}")))?;
        let entry = |name: &str| {
            let value = table.get(name).and_then(toml::Value::as_str);
            value
                .map(str::to_owned)
                .ok_or_else(|| broken(format!("no {name}")))
        };
        Ok(Self {
            rustc: entry("rustc")?,
            linker: entry("linker")?,
            sources: entry("sources")?,
        })
    }

    fn text(&self) -> String {
        format!(
            "# How weir.bpf.o was made. `cargo xtask ebpf` writes both.\nrustc = {:?}\nlinker = {:?}\n# Of the files that it was made from.\nsources = {:?}\n",
            self.rustc, self.linker, self.sources
        )
    }
}

/// Makes the object anew, and the record beside it.
pub fn write(workspace: &Workspace) -> Result<(), Failure> {
    let linker = tools(workspace)?;
    let record = now(workspace, &linker)?;
    let object = build(workspace, &linker)?;
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(workspace.root.join(name), bytes)
            .map_err(|error| Failure::new(format!("{name}: {error}")))
    };
    put(OBJECT, &object)?;
    put(RECORD, record.text().as_bytes())?;
    println!("{OBJECT}: {} bytes, by {}", object.len(), record.rustc);
    Ok(())
}

/// Whether the committed object is what the sources make.
pub fn check(workspace: &Workspace) -> Result<Done, Failure> {
    let record = Record::read(workspace)?;
    let stale = |what: &str| Failure {
        what: what.into(),
        repeat: Some("cargo xtask ebpf".into()),
    };
    if record.sources != sources(workspace)? {
        return Err(stale(&format!(
            "{OBJECT} was made from other sources than are there"
        )));
    }
    let linker = match tools(workspace) {
        Ok(linker) => linker,
        Err(failure) => return Ok(Done::Skipped(failure.to_string())),
    };
    let object = build(workspace, &linker)?;
    let now = now(workspace, &linker)?;
    if now != record {
        return Ok(Done::Passed(format!(
            "it compiles; not compared, as {} is not {}",
            now.rustc, record.rustc
        )));
    }
    let committed = std::fs::read(workspace.root.join(OBJECT))
        .map_err(|error| Failure::new(format!("{OBJECT}: {error}")))?;
    if committed != object {
        return Err(stale(&format!("{OBJECT} is not what its sources make")));
    }
    Ok(Done::Passed(format!(
        "{} bytes, as committed",
        object.len()
    )))
}

/// Makes sure of the tools, and says where the linker is.
pub fn tools(workspace: &Workspace) -> Result<PathBuf, Failure> {
    setup::ensure(workspace, &NEEDS)?;
    if has_linker() {
        return Ok("bpf-linker".into());
    }
    let home = workspace.target.join("bpf-linker");
    let linker = home.join("bin/bpf-linker");
    if !linker.is_file() {
        Cmd::cargo(workspace)
            .env("LLVM_PREFIX", LLVM)
            .env("LLVM_SYS_221_PREFIX", LLVM)
            .args(["install", "--locked", "--no-default-features"])
            .args(["--features", "llvm-22", "--root"])
            .arg(home)
            .arg(format!("bpf-linker@{LINKER}"))
            .run()?;
    }
    Ok(linker)
}

/// What would be recorded now.
fn now(workspace: &Workspace, linker: &Path) -> Result<Record, Failure> {
    let version = |program: &Path, arg: &str| Cmd::new(workspace, program).arg(arg).output();
    let rustc = version(Path::new(RUSTC), "-vV")?;
    let line = |start: &str| rustc.lines().find(|line| line.starts_with(start));
    let name = line("rustc ").unwrap_or_default();
    let llvm = line("LLVM ").unwrap_or_default();
    Ok(Record {
        rustc: format!("{name}, {llvm}"),
        linker: version(linker, "--version")?.trim().to_owned(),
        sources: sources(workspace)?,
    })
}

/// A hash over everything that the object is made from.
fn sources(workspace: &Workspace) -> Result<String, Failure> {
    let mut files = Vec::new();
    for folder in SOURCES {
        collect(&workspace.root.join(folder), &mut files)
            .map_err(|error| Failure::new(format!("{folder}: {error}")))?;
    }
    files.sort();
    let mut hash = XxHash32::with_seed(0);
    for file in files {
        let bytes = std::fs::read(&file)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        let name = file.strip_prefix(&workspace.root).unwrap_or(&file);
        hash.write(name.as_os_str().as_encoded_bytes());
        hash.write(&bytes.len().to_le_bytes());
        hash.write(&bytes);
    }
    Ok(format!("{:08x}", hash.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ends = |end: &str| path.extension().is_some_and(|extension| extension == end);
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if ends("rs") || ends("toml") || ends("lock") {
            files.push(path);
        }
    }
    Ok(())
}

/// Compiles and strips it.
fn build(workspace: &Workspace, linker: &Path) -> Result<Vec<u8>, Failure> {
    let target = workspace.target.join("ebpf");
    let mut flags = vec![
        format!("-Clinker={}", linker.display()),
        // The oldest set of instructions that all kernels with the links used here have.
        "-Ctarget-cpu=v3".into(),
        // Headers in frames are not aligned; where the kernel allows that (x86, arm64), words are read as such.
        "-Clink-arg=--cpu-features=+allows-misaligned-mem-access".into(),
        // Types and source lines, for the verifier's messages.
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
    ];
    // The object is the same wherever it is made.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    flags.push(remap(&workspace.root, ""));
    for registry in registries() {
        flags.push(remap(&registry, "crates"));
    }
    Cmd::cargo(workspace)
        .env("RUSTC", RUSTC)
        // The target is not a stable one.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target.display().to_string())
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--manifest-path", MANIFEST])
        .run()?;
    let built = target.join(TARGET).join("release/weir");
    let stripped = target.join("weir.bpf.o");
    Cmd::new(workspace, Path::new(LLVM).join("bin/llvm-objcopy"))
        .args(["--strip-debug", "--strip-unneeded"])
        .args([&built, &stripped])
        .run()?;
    std::fs::read(&stripped)
        .map_err(|error| Failure::new(format!("{}: {error}", stripped.display())))
}

/// Where cargo keeps the source of crates: one folder a registry.
fn registries() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folder = home.unwrap_or_default().join("registry/src");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_object_is_of_these_sources() {
        let workspace = Workspace::locate();
        let record = Record::read(&workspace).expect("a record");
        assert_eq!(
            record.sources,
            sources(&workspace).expect("sources"),
            "run `cargo xtask ebpf`"
        );
    }

    #[test]
    fn records_are_read_as_written() {
        let record = Record {
            rustc: "rustc 1.0 \"quoted\"".into(),
            linker: "bpf-linker 1".into(),
            sources: "0123".into(),
        };
        let table: toml::Table = record.text().parse().expect("TOML");
        assert_eq!(table["rustc"].as_str(), Some(record.rustc.as_str()));
        assert_eq!(table["sources"].as_str(), Some("0123"));
    }
}
