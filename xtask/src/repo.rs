//! What may be committed.

use std::path::Path;

use crate::exec::{Cmd, Failure, Workspace};
use crate::steps::Done;

/// Larger files belong in a generator or a download, not in every clone for ever.
const MAX_BYTES: u64 = 1 << 20;

/// Looks through every file that git tracks.
pub fn check(workspace: &Workspace) -> Result<Done, Failure> {
    if !workspace.root.join(".git").exists() {
        return Ok(Done::NotHere("not a git checkout".into()));
    }
    let files = Cmd::new(workspace, "git")
        .args(["ls-files", "-z"])
        .output()?;
    let mut count = 0;
    let mut problems = Vec::new();
    for name in files.split('\0').filter(|name| !name.is_empty()) {
        count += 1;
        problems.extend(
            look_at(&workspace.root, name)
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    for problem in &problems {
        println!("{problem}");
    }
    match problems.first() {
        None => Ok(Done::Passed(format!("{count} files"))),
        Some(first) => Err(Failure::new(format!(
            "{} problems in {count} files; the first: {first}",
            problems.len()
        ))),
    }
}

fn look_at(root: &Path, name: &str) -> Option<String> {
    let path = root.join(name);
    // Deleted but not yet committed: nothing to look at.
    let facts = path.symlink_metadata().ok()?;
    if facts.is_symlink() {
        return Some("a symbolic link; some systems check those out as text".into());
    }
    if facts.len() > MAX_BYTES {
        return Some(format!(
            "{} bytes; at most {MAX_BYTES} may be committed",
            facts.len()
        ));
    }
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Some(error.to_string()),
    };
    // Seeds, captures and golden files are what they are.
    let source = matches!(
        path.extension().and_then(|e| e.to_str()),
        Some("rs" | "toml" | "md" | "yml" | "sh")
    );
    if source { text_problem(&bytes) } else { None }
}

fn text_problem(bytes: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Some("is not UTF-8".into());
    };
    if text.contains('\r') {
        return Some("has carriage returns".into());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Some("does not end with a newline".into());
    }
    let marker = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
    text.lines()
        .position(marker)
        .map(|line| format!("line {}: a merge conflict's marker", line + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_slips_are_found() {
        assert_eq!(text_problem(b"fn main() {}\n"), None);
        assert_eq!(text_problem(b""), None);
        for (bytes, part) in [
            (&b"a\r\n"[..], "carriage"),
            (b"a", "newline"),
            (b"\xff\n", "UTF-8"),
            (b"a\n<<<<<<< ours\n", "line 2"),
        ] {
            let problem = text_problem(bytes).expect("a slip");
            assert!(problem.contains(part), "{problem}");
        }
    }
}
