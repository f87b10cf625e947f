//! The files of sets: a member a line, perhaps with its reputation after a comma; or JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;

use serde_json::Value;

use super::super::StateError;
use super::{Set, Source};
use crate::plan::{SetFormat, SetKind};

/// Reads a file into a set.
pub(super) fn read(set: &Set, source: &Source) -> Result<(), StateError> {
    let path = &source.path;
    let file: Box<dyn BufRead + '_> = match (&source.contents, File::open(path)) {
        (Some(contents), _) => Box::new(&**contents),
        (None, Ok(file)) => Box::new(BufReader::new(file)),
        (None, Err(error)) if !source.required && error.kind() == ErrorKind::NotFound => {
            return Ok(());
        }
        (None, Err(error)) => {
            return Err(StateError::unreadable(path, "the data set", &error));
        }
    };
    match &set.definition.format {
        // What Weir writes is always of the simple kind.
        _ if !source.required => lines(set, file, path, csv),
        SetFormat::Csv => lines(set, file, path, csv),
        SetFormat::Json {
            lines: true,
            value_key,
            ..
        } => lines(set, file, path, |set, line| {
            let document = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let element = select(&document, value_key.as_deref());
            add(set, element, true, 0)
        }),
        SetFormat::Json {
            value_key,
            array_key,
            ..
        } => {
            let document: Value = serde_json::from_reader(file)
                .map_err(|error| StateError::at(path, Some(error.line()), error.to_string()))?;
            let array = select(&document, array_key.as_deref()).and_then(Value::as_array);
            let Some(array) = array else {
                let what = array_key.as_ref().map_or_else(
                    || "expected an array".to_owned(),
                    |key| format!("expected an array at `{key}`"),
                );
                return Err(StateError::at(path, None, what));
            };
            // As Suricata: elements without the key are no members.
            for element in array {
                if let Some(value) = select(element, value_key.as_deref()) {
                    add(set, Some(value), true, 0)
                        .map_err(|what| StateError::at(path, None, what))?;
                }
            }
            Ok(())
        }
    }
}

/// Reads a file line by line. Empty lines and comments say nothing.
fn lines(
    set: &Set,
    file: Box<dyn BufRead + '_>,
    path: &Path,
    take: impl Fn(&Set, &str) -> Result<(), String>,
) -> Result<(), StateError> {
    for (at, line) in file.lines().enumerate() {
        let line = line.map_err(|error| StateError::at(path, Some(at + 1), error.to_string()))?;
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            take(set, line).map_err(|what| StateError::at(path, Some(at + 1), what))?;
        }
    }
    Ok(())
}

/// `member` or `member,reputation`
fn csv(set: &Set, line: &str) -> Result<(), String> {
    let (member, reputation) = match line.split_once(',') {
        Some((member, reputation)) => {
            let reputation = reputation.trim();
            let number = reputation.parse().map_err(|_| {
                format!("expected a reputation from 0 to 65535, found `{reputation}`")
            })?;
            (member.trim(), number)
        }
        None if set.definition.reputation => {
            return Err("expected a comma and a reputation after the member".to_owned());
        }
        None => (line, 0),
    };
    put(set, member, false, reputation)
}

fn add(set: &Set, value: Option<&Value>, plain: bool, reputation: u16) -> Result<(), String> {
    match value {
        Some(Value::String(text)) => put(set, text, plain, reputation),
        Some(other) => Err(format!("expected a string as member, found {other}")),
        None => Err("expected an element with the member in it".to_owned()),
    }
}

fn put(set: &Set, text: &str, plain: bool, reputation: u16) -> Result<(), String> {
    let Some(member) = set.parsed(text, plain) else {
        let expected = match set.definition.kind {
            SetKind::String if plain => "a string that is not empty",
            SetKind::String => "a string in base64",
            SetKind::Md5 => "32 hexadecimal digits",
            SetKind::Sha256 => "64 hexadecimal digits",
            SetKind::Ipv4 => "an IPv4 address",
            SetKind::Ip => "an IP address",
        };
        return Err(format!("expected {expected}, found `{text}`"));
    };
    let full = set.full();
    set.add(member, reputation);
    if set.full() > full {
        return Err(format!(
            "the set `{}` may take {} bytes, and this is more",
            set.definition.name, set.memcap
        ));
    }
    Ok(())
}

/// What is under a key: names with dots between them.
fn select<'v>(value: &'v Value, key: Option<&str>) -> Option<&'v Value> {
    key.into_iter()
        .flat_map(|key| key.split('.'))
        .try_fold(value, |value, name| value.get(name))
}

/// Writes a set, first under another name, so that what was there stays if something goes wrong.
pub(super) fn write(set: &Set, path: &Path) -> Result<(), StateError> {
    let failed = |error: std::io::Error| {
        StateError::at(path, None, format!("cannot write the data set: {error}"))
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut out = BufWriter::new(File::create(&new).map_err(failed)?);
    for (member, reputation) in set.export() {
        if set.definition.reputation {
            writeln!(out, "{member},{reputation}").map_err(failed)?;
        } else {
            writeln!(out, "{member}").map_err(failed)?;
        }
    }
    let file = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
