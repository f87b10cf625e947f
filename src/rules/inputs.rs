//! What `--rules` and its like name: text rules, rule modules, built rule sets, or folders of them. A file is what its first
//! bytes say; where its name says something else, that is an error.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use weir_wasm::built::is_built;

use crate::failure::Failure;

/// How a component begins: `\0asm`, version 13, layer 1.
const COMPONENT: &[u8] = b"\0asm\x0d\x00\x01\x00";

/// Endings of names that folders are searched for.
const ENDINGS: [&str; 3] = ["rules", "wasm", "weir"];

/// What a file of rules is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Module,
    Built,
}

/// Files, sorted by what they are; each kind in the order of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Text rules.
    pub text: Vec<PathBuf>,
    /// Rule modules.
    pub modules: Vec<PathBuf>,
    /// Built rule sets.
    pub built: Vec<PathBuf>,
}

impl Inputs {
    /// Sorts files, and those of folders.
    ///
    /// # Errors
    /// When one cannot be read, a folder has none, or a file is not what its name says.
    pub fn new(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut inputs = Self::default();
        for path in paths {
            if path.is_dir() {
                for file in files_of(path)? {
                    inputs.add(file)?;
                }
            } else {
                inputs.add(path.clone())?;
            }
        }
        Ok(inputs)
    }

    /// Files that cannot bear a signature.
    pub fn unsigned(&self) -> impl Iterator<Item = &PathBuf> {
        self.text.iter().chain(&self.modules)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), Failure> {
        match kind_of(&path)? {
            Kind::Text => self.text.push(path),
            Kind::Module => self.modules.push(path),
            Kind::Built => self.built.push(path),
        }
        Ok(())
    }
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error| Failure::Failed(format!("{}: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if ending(&path).is_some_and(|ending| ENDINGS.contains(&ending)) && !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::Failed(format!(
            "{}: the folder has no *.rules file, nor *.wasm or *.weir, and no Cargo.toml of a module",
            folder.display()
        )));
    }
    files.sort();
    Ok(files)
}

fn ending(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

fn kind_of(path: &Path) -> Result<Kind, Failure> {
    let mut start = Vec::new();
    let opened = File::open(path).and_then(|file| {
        let length = COMPONENT.len() as u64;
        file.take(length).read_to_end(&mut start)
    });
    let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    opened.map_err(|error| failed(error.to_string()))?;
    let found = if is_built(&start) {
        Kind::Built
    } else if start.starts_with(COMPONENT) {
        Kind::Module
    } else if start.starts_with(b"\0asm") {
        return Err(failed(
            "expected a rule module, which is a component, and found a core module of WebAssembly; `weir rules build` makes \
             components of those that import the rule world"
                .to_owned(),
        ));
    } else {
        Kind::Text
    };
    let expected = match ending(path) {
        Some("rules") => Kind::Text,
        Some("wasm") => Kind::Module,
        Some("weir") => Kind::Built,
        _ => found,
    };
    if found == expected {
        return Ok(found);
    }
    let name = |kind| match kind {
        Kind::Text => "text",
        Kind::Module => "a rule module (a component of WebAssembly)",
        Kind::Built => "a built rule set",
    };
    let cut = match start.len() {
        0 => "an empty file",
        _ => name(found),
    };
    Err(failed(format!("expected {}, found {cut}", name(expected))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, bytes: &[u8]) -> Result<Kind, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        kind_of(&path).map_err(|failure| failure.message().unwrap_or_default().to_owned())
    }

    #[test]
    fn files_are_what_they_begin_with() {
        assert_eq!(kind("a.rules", b"alert"), Ok(Kind::Text));
        assert_eq!(kind("a.rules", b""), Ok(Kind::Text));
        assert_eq!(kind("a", b"\x89WEIR\r\n\x1a"), Ok(Kind::Built));
        assert_eq!(kind("a.wasm", COMPONENT), Ok(Kind::Module));
        for (name, bytes, says) in [
            (
                "a.wasm",
                &b"alert tcp"[..],
                "expected a rule module (a component of WebAssembly), found text",
            ),
            (
                "a.weir",
                b"",
                "expected a built rule set, found an empty file",
            ),
            (
                "a.weir",
                b"\x89WEIR\n\x1a",
                "expected a built rule set, found text",
            ),
            ("a.rules", COMPONENT, "expected text, found a rule module"),
            ("a.wasm", b"\0asm\x01\0\0\0", "found a core module"),
        ] {
            let error = kind(name, bytes).expect_err(name);
            assert!(error.contains(says), "{name}: {error}");
        }
        assert!(kind_of(Path::new("there/is/no such file")).is_err());
    }

    #[test]
    fn folders_give_what_is_in_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        };
        let inputs = || Inputs::new(&[folder.path().to_owned()]);
        write("notes.txt", b"x");
        assert!(inputs().is_err());
        write("b.rules", b"");
        write("a.rules", b"");
        write("m.wasm", COMPONENT);
        let inputs = inputs().expect("fine");
        let at = |name: &str| folder.path().join(name);
        assert_eq!(inputs.text, [at("a.rules"), at("b.rules")]);
        assert_eq!(inputs.modules, [at("m.wasm")]);
        assert!(inputs.built.is_empty());
    }
}
