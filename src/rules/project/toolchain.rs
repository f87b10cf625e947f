//! Finding what compiles Rust to WebAssembly.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that modules are built for: no operating system, and nothing of one imported.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest compiler that the SDK builds with.
const OLDEST: (u32, u32) = (1, 95);

/// Linkers for WebAssembly by their names, the newest first.
const LINKERS: [&str; 6] = [
    "wasm-ld",
    "wasm-ld-22",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "rust-lld",
];

/// How to get a toolchain, for who has none.
pub const HOW: &str = "with rustup: rustup target add wasm32-unknown-unknown; on Debian: apt-get install cargo rustc-web \
                       rust-web-src lld-22 (or any rustc from 1.95 on with its library's source, and wasm-ld)";

/// A toolchain that can build modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// A compiler that has the target.
    Installed {
        /// The compiler.
        rustc: PathBuf,
    },
    /// A compiler with the source of its standard library, which is built along.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// The linker.
        linker: PathBuf,
    },
}

/// What was asked of a compiler.
struct Compiler {
    path: PathBuf,
    version: Option<(u32, u32)>,
    sysroot: PathBuf,
    host: String,
}

impl Toolchain {
    /// Looks for a toolchain, as it is seen from the folder of a project (which may choose its own, `rust-toolchain.toml`).
    ///
    /// # Errors
    /// When there is none: what was looked at, and how to get one.
    pub fn find(folder: &Path) -> Result<Self, String> {
        let mut seen = Vec::new();
        let named = std::env::var_os("RUSTC").map(PathBuf::from);
        let candidates = [named, Some("rustc".into()), Some("/usr/bin/rustc".into())];
        for path in candidates.into_iter().flatten() {
            let Some(compiler) = Compiler::ask(&path, folder) else {
                continue;
            };
            if compiler.version < Some(OLDEST) {
                seen.push(format!("{}: older than 1.95", path.display()));
                continue;
            }
            if compiler.has_target() {
                return Ok(Self::Installed { rustc: path });
            }
            if !compiler.has_source() {
                seen.push(format!(
                    "{}: has neither the target {TARGET} nor its library's source",
                    path.display()
                ));
                continue;
            }
            match compiler.linker() {
                Some(linker) => {
                    return Ok(Self::FromSource {
                        rustc: path,
                        linker,
                    });
                }
                None => seen.push(format!("{}: there is no wasm-ld", path.display())),
            }
        }
        let seen = if seen.is_empty() {
            "no Rust compiler".to_owned()
        } else {
            seen.join("; ")
        };
        Err(format!(
            "nothing here compiles Rust to WebAssembly ({seen}). To install it, {HOW}"
        ))
    }

    /// The command that builds the library in a folder for WebAssembly.
    pub fn cargo(&self, folder: &Path) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command
            .current_dir(folder)
            .args(["build", "--lib", "--release", "--target", TARGET])
            .arg("--message-format=json-render-diagnostics");
        match self {
            Self::Installed { rustc } => command.env("RUSTC", rustc),
            Self::FromSource { rustc, linker } => command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", rustc)
                // The switch is unstable; the compiler is not.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker),
        };
        command
    }
}

impl Compiler {
    /// Asks a compiler what it is; none when there is no such.
    fn ask(path: &Path, folder: &Path) -> Option<Self> {
        let run = |args: &[&str]| {
            let output = Command::new(path)
                .args(args)
                .current_dir(folder)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then_some(text)
        };
        let about = run(&["-vV"])?;
        let field = |name: &str| {
            about
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        Some(Self {
            path: path.to_owned(),
            version: field("release").and_then(version),
            host: field("host").unwrap_or_default().to_owned(),
            sysroot: run(&["--print", "sysroot"])?.trim().into(),
        })
    }

    fn library(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }

    fn has_target(&self) -> bool {
        let libraries = std::fs::read_dir(self.library().join(TARGET).join("lib"));
        libraries.is_ok_and(|mut all| {
            all.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
    }

    fn has_source(&self) -> bool {
        self.library().join("src/rust/library/Cargo.toml").is_file()
    }

    fn linker(&self) -> Option<PathBuf> {
        let own = self.library().join(&self.host).join("bin");
        let beside = self.path.parent().map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path)
            .chain([own])
            .chain(beside)
            .collect();
        LINKERS.iter().find_map(|name| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|linker| linker.is_file())
        })
    }
}

/// `1.96.0-nightly` as (1, 96).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("1.96.0"), Some((1, 96)));
        assert_eq!(version("1.100.0-nightly"), Some((1, 100)));
        assert_eq!(version("what"), None);
        assert!(version("1.63.0") < Some(OLDEST) && version("1.100.0") > Some(OLDEST));
        assert!(None < Some(OLDEST));
    }

    #[test]
    fn what_is_no_compiler_is_not_taken_for_one() {
        assert!(Compiler::ask(Path::new("/nowhere/rustc"), Path::new("/")).is_none());
    }
}
