//! Files of rules: logical lines, and where the files are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ast::{Place, Problem, RuleText, Wrap};
use super::rule::parse_wrapped;

/// Goes through the rules of a file.
///
/// Comments and blank lines are skipped and counted. A line that ends with a backslash is continued on the next one.
/// Like Suricata, it takes a line that starts with a semicolon for a comment; a rule after a space, which Suricata
/// silently skips, is a problem.
#[derive(Debug)]
pub struct RuleFile<'a> {
    rest: &'a [u8],
    /// Number of the line before `rest`.
    line: u32,
    joined: Vec<u8>,
    comments: usize,
    blanks: usize,
}

impl<'a> RuleFile<'a> {
    /// Starts at the beginning of a file, after a byte order mark if there is one.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Self {
            rest,
            line: 0,
            joined: Vec::new(),
            comments: 0,
            blanks: 0,
        }
    }

    /// Lines skipped so far because they are comments.
    pub fn comments(&self) -> usize {
        self.comments
    }

    /// Lines skipped so far because they are blank.
    pub fn blanks(&self) -> usize {
        self.blanks
    }

    /// The next physical line, without its end.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self
            .rest
            .get(..end.unwrap_or(self.rest.len()))
            .unwrap_or(self.rest);
        self.rest = self.rest.get(line.len() + 1..).unwrap_or_default();
        self.line = self.line.saturating_add(1);
        Some(line)
    }

    fn rule(&mut self, line: &[u8], at: Place) -> Result<RuleText, Problem> {
        if line.first() == Some(&b' ') {
            let message = "expected the rule at the start of the line: Suricata skips a line that starts with a space";
            return Err(Problem::syntax(at, message).about("line"));
        }
        let Some(mut part) = continued(line) else {
            return parse_wrapped(line, at, Vec::new());
        };
        self.joined.clear();
        let mut wraps = vec![Wrap {
            offset: 0,
            place: at,
        }];
        loop {
            self.joined.extend_from_slice(part);
            let place = Place {
                line: self.line.saturating_add(1),
                column: 1,
            };
            let Some(line) = self.line() else {
                let message =
                    "expected another line after the backslash, found the end of the file";
                return Err(Problem::syntax(
                    Place {
                        line: self.line,
                        ..at.plus(part.len())
                    },
                    message,
                )
                .about("line"));
            };
            wraps.push(Wrap {
                offset: self.joined.len(),
                place,
            });
            match continued(line) {
                Some(more) => part = more,
                None => {
                    self.joined.extend_from_slice(line);
                    return parse_wrapped(&self.joined, at, wraps);
                }
            }
        }
    }
}

/// The line without the backslash that continues it; `None` if it has none.
fn continued(line: &[u8]) -> Option<&[u8]> {
    line.trim_ascii_end().strip_suffix(b"\\")
}

impl Iterator for RuleFile<'_> {
    type Item = Result<RuleText, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line()?;
            match line.trim_ascii_start().first() {
                None => self.blanks += 1,
                Some(b'#') => self.comments += 1,
                Some(b';') if line.first() == Some(&b';') => self.comments += 1,
                Some(_) => {
                    return Some(self.rule(
                        line,
                        Place {
                            line: self.line,
                            column: 1,
                        },
                    ));
                }
            }
        }
    }
}

/// A file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, for messages.
    pub name: Arc<str>,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Why rules could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A path is not there, or cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A folder has no rule files.
    #[error("{}: the folder has no *.rules file", path.display())]
    NoRules {
        /// Which.
        path: PathBuf,
    },
    /// A kind of file that this version cannot use.
    #[error("{}: compiled rules (.wasm, .weir) are not supported by this version", path.display())]
    NotSupported {
        /// Which.
        path: PathBuf,
    },
}

/// Reads files of rules. A path is a file, or a folder, of which all `*.rules` files are read in the order of their names.
///
/// # Errors
///
/// When a path cannot be read, a folder has no `*.rules` file, or a file holds compiled rules (by its extension).
pub fn load_paths(paths: &[PathBuf]) -> Result<Vec<SourceFile>, LoadError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let names = rules_in(path)?;
            if names.is_empty() {
                return Err(LoadError::NoRules { path: path.clone() });
            }
            for name in names {
                files.push(load(&name)?);
            }
        } else {
            files.push(load(path)?);
        }
    }
    Ok(files)
}

fn rules_in(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Read {
        path: folder.to_owned(),
        error,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "rules")
            && !path.is_dir()
        {
            names.push(path);
        }
    }
    names.sort();
    Ok(names)
}

fn load(path: &Path) -> Result<SourceFile, LoadError> {
    if path
        .extension()
        .is_some_and(|extension| extension == "wasm" || extension == "weir")
    {
        return Err(LoadError::NotSupported {
            path: path.to_owned(),
        });
    }
    let bytes = std::fs::read(path).map_err(|error| LoadError::Read {
        path: path.to_owned(),
        error,
    })?;
    Ok(SourceFile {
        name: path.display().to_string().into(),
        bytes,
    })
}
