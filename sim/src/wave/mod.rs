//! Waveforms: chosen signals of a chosen window, read from a value change dump and drawn for those without a viewer.

mod svg;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use vcd::{Command, Header, IdCode, Parser, ScopeItem, Value};

pub use svg::svg;

/// Half cycles of a cycle in our waveforms: the clock is low in the first and high in the second, and what stands in the first is
/// what the cycle ends with.
const HALVES: u64 = 2;
/// Names that an error lists.
const LISTED: usize = 12;

/// Why a waveform cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaveError {
    /// It cannot be read.
    #[error("{path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: std::io::Error,
    },
    /// No signal has this name.
    #[error("no signal {name}; there are {}", listed(like))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that have a part of it, or else any.
        like: Vec<String>,
    },
    /// Several signals that are not the same have this name.
    #[error("{name} may be {}: name more of its scopes", listed(all))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// All that it may be.
        all: Vec<String>,
    },
    /// The window is empty.
    #[error(
        "cycles {from} to {to} are no window: it ends before it begins, or has more than {most} cycles"
    )]
    Window {
        /// First cycle.
        from: u64,
        /// Last cycle.
        to: u64,
        /// Most cycles.
        most: u64,
    },
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>();
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &more
}

/// A signal in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Scopes and name, with dots.
    pub name: String,
    /// Bits.
    pub width: u32,
    /// For each cycle the value that it ends with: hexadecimal, `x` where bits are unknown.
    pub samples: Vec<String>,
}

/// Most cycles of a window.
pub const MOST_CYCLES: u64 = 2000;

/// Reads signals in the cycles `from` to `to`, both included, from a value change dump. A signal is named by its name and as many of the
/// scopes around it as it takes: `tvalid`, `front.tvalid`.
///
/// # Errors
///
/// When the file cannot be read, a name fits none or several signals, or the window is none.
pub fn read(path: &Path, names: &[String], from: u64, to: u64) -> Result<Vec<Row>, WaveError> {
    let read_error = |why| WaveError::Read {
        path: path.display().to_string(),
        why,
    };
    let file = File::open(path).map_err(read_error)?;
    rows(BufReader::new(file), names, from, to, &read_error)
}

fn rows(
    input: impl BufRead,
    names: &[String],
    from: u64,
    to: u64,
    read_error: &dyn Fn(std::io::Error) -> WaveError,
) -> Result<Vec<Row>, WaveError> {
    if to < from || to - from >= MOST_CYCLES {
        return Err(WaveError::Window {
            from,
            to,
            most: MOST_CYCLES,
        });
    }
    let mut parser = Parser::new(input);
    let header = parser.parse_header().map_err(read_error)?;
    let all = signals(&header);
    let chosen = names.iter().map(|name| choose(&all, name));
    let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<Row> = chosen
        .iter()
        .map(|signal| Row {
            name: signal.name.clone(),
            width: signal.width,
            samples: Vec::new(),
        })
        .collect();
    let mut now: BTreeMap<IdCode, String> = BTreeMap::new();
    let mut next = from;
    // Takes samples of the cycles that are over when the time is `time`.
    let mut sample = |until: Option<u64>, now: &BTreeMap<IdCode, String>| {
        while next <= to && until.is_none_or(|time| time > next * HALVES) {
            for (row, signal) in rows.iter_mut().zip(&chosen) {
                let value = now.get(&signal.code).map_or("x", String::as_str);
                row.samples.push(value.to_owned());
            }
            next += 1;
        }
        next <= to
    };
    let wanted = |code: IdCode| chosen.iter().find(|signal| signal.code == code);
    for command in parser {
        match command.map_err(read_error)? {
            Command::Timestamp(time) if !sample(Some(time), &now) => break,
            Command::ChangeScalar(code, value) if wanted(code).is_some() => {
                now.insert(code, hexadecimal(&[value], 1));
            }
            Command::ChangeVector(code, values) => {
                if let Some(signal) = wanted(code) {
                    now.insert(code, hexadecimal(&values, signal.width));
                }
            }
            _ => {}
        }
    }
    sample(None, &now);
    Ok(rows)
}

struct Signal {
    name: String,
    width: u32,
    code: IdCode,
}

fn signals(header: &Header) -> Vec<Signal> {
    fn visit(items: &[ScopeItem], scope: &str, to: &mut Vec<Signal>) {
        for item in items {
            match item {
                ScopeItem::Var(var) => to.push(Signal {
                    name: format!("{scope}{}", var.reference),
                    width: var.size,
                    code: var.code,
                }),
                ScopeItem::Scope(inner) => {
                    visit(
                        &inner.children,
                        &format!("{scope}{}.", inner.identifier),
                        to,
                    );
                }
            }
        }
    }
    let mut all = Vec::new();
    visit(&header.items, "", &mut all);
    all
}

/// The one signal whose scopes and name end with `name`; of those that are one and the same, the outermost.
fn choose<'a>(all: &'a [Signal], name: &str) -> Result<&'a Signal, WaveError> {
    let fits = |signal: &&Signal| {
        signal
            .name
            .strip_suffix(name)
            .is_some_and(|scopes| scopes.is_empty() || scopes.ends_with('.'))
    };
    let fitting: Vec<&Signal> = all.iter().filter(fits).collect();
    let depth = |signal: &Signal| signal.name.matches('.').count();
    let Some(first) = fitting.iter().min_by_key(|signal| depth(signal)) else {
        let last = name.rsplit('.').next().unwrap_or(name);
        let mut like: Vec<String> = all.iter().map(|signal| signal.name.clone()).collect();
        if like.iter().any(|other| other.contains(last)) {
            like.retain(|other| other.contains(last));
        }
        return Err(WaveError::Unknown {
            name: name.to_owned(),
            like,
        });
    };
    let mut outermost = fitting
        .iter()
        .filter(|signal| depth(signal) == depth(first));
    if outermost.any(|signal| signal.code != first.code) {
        return Err(WaveError::Ambiguous {
            name: name.to_owned(),
            all: fitting.iter().map(|signal| signal.name.clone()).collect(),
        });
    }
    Ok(first)
}

/// A value of so many bits, the highest first; missing ones in front are as the first one, or 0 where that is 1 (IEEE 1364).
fn hexadecimal(values: &[Value], width: u32) -> String {
    let missing = (width as usize).saturating_sub(values.len());
    let fill = match values.first() {
        Some(&(Value::X | Value::Z)) => Value::X,
        _ => Value::V0,
    };
    let bits: Vec<Value> = std::iter::repeat_n(fill, missing)
        .chain(values.iter().copied())
        .collect();
    let digits = bits.rchunks(4).rev().map(|digit| {
        let bit = |value: &Value| match value {
            Value::V0 => Some(0),
            Value::V1 => Some(1),
            _ => None,
        };
        let number = digit
            .iter()
            .try_fold(0, |number, value| Some(number * 2 + bit(value)?));
        number
            .and_then(|number| char::from_digit(number, 16))
            .unwrap_or('x')
    });
    digits.collect()
}
