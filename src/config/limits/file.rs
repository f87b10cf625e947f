//! Suricata's `threshold.config`: a line an entry, `kind key value, key value, …`.

use std::path::Path;

use super::{Keys, LimitsSection};
use crate::config::{ConfigError, Group};

/// Reads a file.
///
/// # Errors
/// When it cannot be read, or a line is not as expected.
pub fn read(path: &Path) -> Result<LimitsSection, ConfigError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| ConfigError {
        place: name.clone(),
        message: format!("cannot read the file of thresholds: {error}"),
    })?;
    parse(&name, &bytes)
}

/// Reads the text of a file called `name`.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<LimitsSection, ConfigError> {
    let text = String::from_utf8_lossy(bytes);
    let mut all = LimitsSection::default();
    let mut whole = String::new();
    let mut first = 1;
    for (number, line) in (1..).zip(text.lines()) {
        if whole.is_empty() {
            first = number;
        }
        let line = line.split('#').next().unwrap_or_default().trim();
        // A line that ends with a backslash goes on in the next one.
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            whole.push(' ');
            continue;
        }
        whole.push_str(line);
        if !whole.trim().is_empty() {
            take(&mut all, whole.trim(), format!("{name}:{first}"))?;
        }
        whole.clear();
    }
    if !whole.trim().is_empty() {
        take(&mut all, whole.trim(), format!("{name}:{first}"))?;
    }
    Ok(all)
}

fn take(all: &mut LimitsSection, text: &str, place: String) -> Result<(), ConfigError> {
    let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let line = Line {
        keys: parts(rest)
            .map(|part| part.split_once(char::is_whitespace).unwrap_or((part, "")))
            .map(|(key, value)| (key, value.trim()))
            .collect(),
        place,
    };
    match kind {
        "suppress" => all.suppress(&line),
        "threshold" | "event_filter" => all.limit(&line),
        "rate_filter" => all.rate_filter(&line),
        _ => Err(line.error(format!(
            "expected suppress, threshold, event_filter or rate_filter, found `{kind}`"
        ))),
    }
}

/// What commas divide that are not in brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |letter| {
        match letter {
            '[' => depth = depth.saturating_add(1),
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

struct Line<'a> {
    keys: Vec<(&'a str, &'a str)>,
    /// `FILE:LINE`
    place: String,
}

impl Line<'_> {
    fn error(&self, message: String) -> ConfigError {
        ConfigError {
            place: self.place.clone(),
            message,
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.keys
            .iter()
            .find_map(|(name, value)| (*name == key).then_some(*value))
    }

    fn wrong(&self, key: &str, expected: &str, found: &str) -> ConfigError {
        self.error(format!("{key}: expected {expected}, found `{found}`"))
    }
}

impl Keys for Line<'_> {
    fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self.keys.iter().find(|(key, _)| !known.contains(key)) {
            None => Ok(()),
            Some((key, _)) => Err(self.error(format!(
                "unknown key `{key}`; known here: {}",
                known.join(", ")
            ))),
        }
    }

    fn number(&self, key: &str, low: usize, high: usize) -> Result<Option<usize>, ConfigError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(key, &format!("a whole number from {low} to {high}"), text)),
        }
    }

    fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*meaning));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = match names.split_last() {
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        };
        Err(self.wrong(key, &expected, text))
    }

    fn text(&self, key: &str) -> Result<Option<Group>, ConfigError> {
        Ok(self.get(key).map(|text| Group {
            text: text.to_owned(),
            place: self.place.clone(),
        }))
    }

    fn missing(&self, key: &str) -> ConfigError {
        self.error(format!("expected a `{key}`"))
    }

    fn name(&self, name: &'static str) -> &'static str {
        match name {
            "gid" => "gen_id",
            "sid" => "sig_id",
            "new-action" => "new_action",
            other => other,
        }
    }
}
