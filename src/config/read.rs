//! TOML with places: every value is asked for by name, and every complaint says where.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Group};

/// The text of a file.
pub struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// Takes a file's bytes, which must be UTF-8.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, ConfigError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.valid_up_to();
                let good = bytes
                    .get(..at)
                    .and_then(|good| std::str::from_utf8(good).ok())
                    .unwrap_or_default();
                let byte = bytes.get(at).copied().unwrap_or_default();
                let source = Self { name, text: good };
                Err(source.error(at, format!("expected UTF-8 text, found byte 0x{byte:02x}")))
            }
        }
    }

    /// Parses the text as TOML.
    pub fn parse(&self) -> Result<DeTable<'a>, ConfigError> {
        DeTable::parse(self.text)
            .map(Spanned::into_inner)
            .map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                self.error(at, error.message().to_owned())
            })
    }

    fn error(&self, at: usize, message: String) -> ConfigError {
        ConfigError {
            place: self.place(at),
            message,
        }
    }

    /// `FILE:LINE:COL` of a byte.
    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
        format!("{}:{line}:{column}", self.name)
    }
}

/// A table of the file, and the keys that lead to it.
pub struct Section<'s, 'a> {
    source: &'s Source<'a>,
    table: &'s DeTable<'a>,
    path: String,
    /// Where it begins, in bytes.
    at: usize,
}

impl<'s, 'a> Section<'s, 'a> {
    /// The whole file.
    pub fn root(source: &'s Source<'a>, table: &'s DeTable<'a>) -> Self {
        Self {
            source,
            table,
            path: String::new(),
            at: 0,
        }
    }

    /// Refuses every key that is not `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        for (key, value) in self.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let shown = |name: &str| match (value.get_ref(), self.path.is_empty()) {
                (DeValue::Table(_), _) => format!("[{}]", self.join(name)),
                _ => format!("`{name}`"),
            };
            let (kind, place) = match (value.get_ref(), self.path.is_empty()) {
                (DeValue::Table(_), _) => ("table", String::new()),
                (_, true) => ("key", String::new()),
                (_, false) => ("key", format!(" in [{}]", self.path)),
            };
            let hint = match nearest(name, known) {
                Some(near) => format!("; did you mean {}?", shown(near)),
                None => ".".to_owned(),
            };
            let message = format!(
                "unknown {kind} {}{place}{hint} Known here: {}",
                shown(name),
                known.join(", ")
            );
            return Err(self.source.error(key.span().start, message));
        }
        Ok(())
    }

    /// A table inside this one.
    pub fn section(&self, key: &str) -> Result<Option<Section<'s, 'a>>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        match value {
            DeValue::Table(table) => Ok(Some(Section {
                source: self.source,
                table,
                path: self.join(key),
                at: span.start,
            })),
            other => Err(self.wrong(key, span, "a table", &kind(other))),
        }
    }

    /// The tables of a list (`[[key]]`); none where there is no such key.
    pub fn sections(&self, key: &str) -> Result<Vec<Section<'s, 'a>>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(Vec::new());
        };
        let expected = format!("a list of tables ([[{}]])", self.join(key));
        let DeValue::Array(list) = value else {
            return Err(self.wrong(key, span, &expected, &kind(value)));
        };
        let section = |entry: &'s Spanned<DeValue<'a>>| match entry.get_ref() {
            DeValue::Table(table) => Ok(Section {
                source: self.source,
                table,
                path: self.join(key),
                at: entry.span().start,
            }),
            other => Err(self.wrong(key, entry.span(), &expected, &kind(other))),
        };
        list.iter().map(section).collect()
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &'s str> {
        self.table.keys().map(|key| {
            let name: &'s str = key.get_ref();
            name
        })
    }

    /// All keys and their values, which must be strings.
    pub fn groups(&self) -> Result<BTreeMap<String, Group>, ConfigError> {
        let mut groups = BTreeMap::new();
        for key in self.table.keys() {
            let key: &str = key.get_ref();
            if let Some(group) = self.group(key)? {
                groups.insert(key.to_owned(), group);
            }
        }
        Ok(groups)
    }

    /// A string.
    pub fn string(&self, key: &str) -> Result<Option<&'s str>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        match value {
            DeValue::String(text) => Ok(Some(text)),
            other => Err(self.wrong(key, span, "a string", &kind(other))),
        }
    }

    /// The strings of a list; none where there is no such key.
    pub fn strings(&self, key: &str) -> Result<Vec<&'s str>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(Vec::new());
        };
        let DeValue::Array(list) = value else {
            return Err(self.wrong(key, span, "a list of strings", &kind(value)));
        };
        list.iter()
            .map(|entry| match entry.get_ref() {
                DeValue::String(text) => Ok(&**text),
                other => Err(self.wrong(key, entry.span(), "a string", &kind(other))),
            })
            .collect()
    }

    /// A string, and where it stands.
    pub fn group(&self, key: &str) -> Result<Option<Group>, ConfigError> {
        let Some(text) = self.string(key)? else {
            return Ok(None);
        };
        let at = self.get(key).map_or(self.at, |(_, span)| span.start);
        Ok(Some(Group {
            text: text.to_owned(),
            place: self.source.place(at),
        }))
    }

    /// Says that a key is missing.
    pub fn missing(&self, key: &str) -> ConfigError {
        let message = format!("{}: expected a key `{key}`", self.path);
        self.source.error(self.at, message)
    }

    /// What one word of a few stands for.
    pub fn choice<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        match meaning(value, words) {
            Some(meaning) => Ok(Some(meaning)),
            None => Err(self.wrong(key, span, &any_of(words), &shown(value))),
        }
    }

    /// What a list of some of a few words stands for.
    pub fn choices<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        let DeValue::Array(list) = value else {
            let expected = format!("a list of {}", any_of(words));
            return Err(self.wrong(key, span, &expected, &kind(value)));
        };
        list.iter()
            .map(|word| {
                let value = word.get_ref();
                meaning(value, words)
                    .ok_or_else(|| self.wrong(key, word.span(), &any_of(words), &shown(value)))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// True or false.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        match value {
            DeValue::Boolean(value) => Ok(Some(*value)),
            other => Err(self.wrong(key, span, "true or false", &kind(other))),
        }
    }

    /// A whole number between two others.
    pub fn number(&self, key: &str, low: usize, high: usize) -> Result<Option<usize>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        match integer(value).and_then(|number| usize::try_from(number).ok()) {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => {
                let expected = format!("a whole number from {low} to {high}");
                Err(self.wrong(key, span, &expected, &shown(value)))
            }
        }
    }

    /// A number of bytes, plain or with a unit.
    pub fn size(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some((value, span)) = self.get(key) else {
            return Ok(None);
        };
        let size = match value {
            DeValue::String(text) => parse_size(text),
            other => integer(other).and_then(|number| u64::try_from(number).ok()),
        };
        match size {
            Some(size) => Ok(Some(size)),
            None => Err(self.wrong(
                key,
                span,
                "a size such as \"1 MiB\" or a number of bytes",
                &shown(value),
            )),
        }
    }

    /// A complaint about a key that is there.
    pub fn problem(&self, key: &str, message: &str) -> ConfigError {
        let at = self.get(key).map_or(0, |(_, span)| span.start);
        self.source
            .error(at, format!("{}: {message}", self.join(key)))
    }

    fn get(&self, key: &str) -> Option<(&'s DeValue<'a>, Range<usize>)> {
        self.table
            .get(key)
            .map(|value| (value.get_ref(), value.span()))
    }

    fn join(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn wrong(&self, key: &str, span: Range<usize>, expected: &str, found: &str) -> ConfigError {
        self.source.error(
            span.start,
            format!("{}: expected {expected}, found {found}", self.join(key)),
        )
    }
}

/// What a word stands for.
fn meaning<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Option<T> {
    let DeValue::String(text) = value else {
        return None;
    };
    let (_, meaning) = words.iter().find(|(word, _)| word == text)?;
    Some(*meaning)
}

/// `"a", "b" or "c"`
fn any_of<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The value itself where it is short, else its kind.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(_) => {
            integer(value).map_or_else(|| kind(value), |number| number.to_string())
        }
        other => kind(other),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The kind of a value, with its article.
fn kind(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}

/// `1 MiB`, `64KiB`, `10 kB`, `512`.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The known word that is most like `word`, if any is like it at all.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let (likeness, best) = known
        .iter()
        .map(|known| (strsim::jaro_winkler(word, known), *known))
        .max_by(|left, right| left.0.total_cmp(&right.0))?;
    (likeness > 0.75).then_some(best)
}
