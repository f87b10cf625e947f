//! Running other programs, and saying how to repeat what failed.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where things are.
pub struct Workspace {
    /// The repository's root.
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// True in continuous integration (`WEIR_CI=1`): nothing may be left out quietly.
    pub ci: bool,
}

impl Workspace {
    /// Finds the repository that this program was built from, or, run by cargo, the one it was started in.
    pub fn locate() -> Self {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = PathBuf::from(manifest);
        let root = manifest.parent().map(Path::to_path_buf).unwrap_or(manifest);
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Self {
            root,
            target,
            ci: std::env::var_os("WEIR_CI").is_some_and(|v| v == "1"),
        }
    }
}

/// Why something did not work, and how to try it again.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, in one line.
    pub what: String,
    /// The command to repeat, as it would be typed at the repository's root.
    pub repeat: Option<String>,
}

impl Failure {
    /// A failure that no single command repeats.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            repeat: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.repeat {
            Some(command) => write!(f, "\n  to repeat: {command}"),
            None => Ok(()),
        }
    }
}

/// A command, run at the repository's root.
pub struct Cmd {
    root: PathBuf,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, String)>,
}

impl Cmd {
    /// Runs `program`.
    pub fn new(workspace: &Workspace, program: impl Into<OsString>) -> Self {
        Self {
            root: workspace.root.clone(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The cargo that runs this program.
    pub fn cargo(workspace: &Workspace) -> Self {
        Self::new(
            workspace,
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        )
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the command's environment.
    pub fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// The command as it would be typed in a shell.
    pub fn shown(&self) -> String {
        let mut words: Vec<String> = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        let program = Path::new(&self.program);
        // The absolute path of this toolchain's cargo says nothing that "cargo" does not.
        let is_cargo = program.file_stem().is_some_and(|stem| stem == "cargo");
        words.push(if is_cargo {
            "cargo".into()
        } else {
            quoted(&self.relative(program))
        });
        words.extend(
            self.args
                .iter()
                .map(|arg| quoted(&self.relative(Path::new(arg)))),
        );
        words.join(" ")
    }

    fn relative(&self, path: &Path) -> String {
        match path.strip_prefix(&self.root) {
            Ok(rest) if !rest.as_os_str().is_empty() => rest.to_string_lossy().into_owned(),
            _ => path.to_string_lossy().into_owned(),
        }
    }

    /// The prepared process.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.root);
        for (name, value) in &self.env {
            command.env(name, value);
        }
        command
    }

    /// Runs it with its output on the terminal.
    pub fn run(&self) -> Result<(), Failure> {
        println!("$ {}", self.shown());
        let status = self
            .command()
            .status()
            .map_err(|error| self.not_started(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(status))
        }
    }

    /// Runs it with its output on the terminal, and shows each line of standard output to `look` as it passes.
    pub fn run_watched(&self, mut look: impl FnMut(&str)) -> Result<(), Failure> {
        println!("$ {}", self.shown());
        let mut child = self
            .command()
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line =
                    line.map_err(|error| Failure::new(format!("{}: {error}", self.shown())))?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                look(&line);
            }
        }
        let status = child.wait().map_err(|error| self.not_started(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(status))
        }
    }

    /// Runs it quietly and returns its standard output.
    pub fn output(&self) -> Result<String, Failure> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.not_started(&error))?;
        if !output.status.success() {
            return Err(self.failed(output.status));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| Failure::new(format!("{}: output is not UTF-8", self.shown())))
    }

    /// True when it can be run and ends with success; its output is thrown away.
    pub fn succeeds(&self) -> bool {
        let quiet = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        quiet.is_ok_and(|status| status.success())
    }

    fn not_started(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!(
            "cannot run {}: {error}",
            self.program.to_string_lossy()
        ))
    }

    fn failed(&self, status: std::process::ExitStatus) -> Failure {
        let name = Path::new(&self.program)
            .file_name()
            .unwrap_or(&self.program)
            .to_string_lossy()
            .into_owned();
        let first = self
            .args
            .first()
            .map(|arg| format!(" {}", arg.to_string_lossy()))
            .unwrap_or_default();
        Failure {
            what: format!("{name}{first} failed ({status})"),
            repeat: Some(self.shown()),
        }
    }
}

/// True when `program` is in the search path.
pub fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let workspace = Workspace {
            root: "/repo".into(),
            target: "/repo/target".into(),
            ci: false,
        };
        let cmd = Cmd::new(&workspace, "/toolchain/bin/cargo")
            .args(["run", "--", "it's", "", "/repo/fuzz/Cargo.toml"])
            .env("RUSTFLAGS", "-A b");
        assert_eq!(
            cmd.shown(),
            r"RUSTFLAGS='-A b' cargo run -- 'it'\''s' '' fuzz/Cargo.toml"
        );
    }
}
