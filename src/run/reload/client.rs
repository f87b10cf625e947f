//! `weir reload` and `weir status`.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::{ReloadOptions, StatusOptions};
use crate::failure::Failure;

/// Has a running sensor load rules, and prints what it says.
///
/// # Errors
/// When it cannot be asked, or the rules before stay in force.
pub fn reload(options: &ReloadOptions) -> Result<(), Failure> {
    // The sensor may be in another folder.
    let absolute = |path: &PathBuf| {
        let failed = |what: &dyn Display| Failure::Failed(format!("{}: {what}", path.display()));
        let path = std::path::absolute(path).map_err(|error| failed(&error))?;
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| failed(&"expected a name in UTF-8"))
    };
    let rules: Vec<String> = options
        .rules
        .iter()
        .map(absolute)
        .collect::<Result<_, _>>()?;
    let command = if rules.is_empty() {
        json!({"command": "reload"})
    } else {
        json!({"command": "reload", "rules": rules})
    };
    ask(&options.control, &command)
}

/// Prints how a running sensor is.
///
/// # Errors
/// When it cannot be asked.
pub fn status(options: &StatusOptions) -> Result<(), Failure> {
    ask(&options.control, &json!({"command": "status"}))
}

fn ask(path: &Path, command: &Value) -> Result<(), Failure> {
    let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
    let mut socket = UnixStream::connect(path)
        .map_err(|error| failed(format!("cannot reach a sensor: {error}")))?;
    let mut answer = String::new();
    writeln!(socket, "{command}")
        .and_then(|()| BufReader::new(socket).read_line(&mut answer))
        .map_err(|error| failed(format!("the sensor does not answer: {error}")))?;
    let answer: Value = serde_json::from_str(&answer)
        .map_err(|_| failed("the sensor has ended before it answered".to_owned()))?;
    let message = answer.get("message").unwrap_or(&Value::Null);
    if answer.get("return").and_then(Value::as_str) == Some("OK") {
        let mut out = std::io::stdout().lock();
        return writeln!(out, "{message:#}").map_err(Failure::stdout);
    }
    let text = message.as_str().map(str::to_owned);
    Err(Failure::Failed(text.unwrap_or_else(|| message.to_string())))
}
