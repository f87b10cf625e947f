//! Reads the corpus files; their schema is in `engine/corpus/README.md`.

use std::sync::OnceLock;

use serde::Deserialize;

use super::{Ask, Case, Rng, Shape, Sizes, random_case};
use crate::matcher::{Hit, MAX_GROUPS, MAX_PROBE, Probe};

/// The corpus, built in, so that a test of any crate has it.
const FILES: [(&str, &str); 10] = [
    ("basics", include_str!("../../../corpus/basics.toml")),
    ("bytes", include_str!("../../../corpus/bytes.toml")),
    ("carry", include_str!("../../../corpus/carry.toml")),
    ("folding", include_str!("../../../corpus/folding.toml")),
    ("groups", include_str!("../../../corpus/groups.toml")),
    ("lengths", include_str!("../../../corpus/lengths.toml")),
    ("long", include_str!("../../../corpus/long.toml")),
    ("overlap", include_str!("../../../corpus/overlap.toml")),
    ("random", include_str!("../../../corpus/random.toml")),
    ("runs", include_str!("../../../corpus/runs.toml")),
];

/// A corpus file that is not as its README says.
#[derive(Debug, thiserror::Error)]
#[error("corpus file {file}: {what}")]
pub struct CorpusError {
    file: String,
    what: String,
}

/// All cases of the corpus, read once.
///
/// # Errors
///
/// The first file that is not as its README says.
pub fn corpus() -> Result<&'static [Case], &'static CorpusError> {
    static CASES: OnceLock<Result<Vec<Case>, CorpusError>> = OnceLock::new();
    let cases = CASES.get_or_init(|| {
        let mut cases = Vec::new();
        for (file, text) in FILES {
            cases.extend(parse(file, text)?);
        }
        Ok(cases)
    });
    cases.as_deref()
}

/// The cases of one file's text; `file` is its name, with which the names of its cases begin.
///
/// # Errors
///
/// What is not as the README says, and where.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, CorpusError> {
    let wrong = |what: String| CorpusError {
        file: file.to_owned(),
        what,
    };
    let content: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut cases = Vec::new();
    let named = |name: &str| format!("{file}/{name}");
    for entry in &content.case {
        let case = entry.read(named(&entry.name));
        cases.push(case.map_err(|what| wrong(format!("case {:?}: {what}", entry.name)))?);
    }
    for entry in &content.sweep {
        let case = entry.read(named(&entry.name));
        cases.push(case.map_err(|what| wrong(format!("sweep {:?}: {what}", entry.name)))?);
    }
    for entry in &content.random {
        let all = entry.read(&named(&entry.name));
        cases.extend(all.map_err(|what| wrong(format!("random {:?}: {what}", entry.name)))?);
    }
    Ok(cases)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Written>,
    #[serde(default)]
    sweep: Vec<Sweep>,
    #[serde(default)]
    random: Vec<Random>,
}

/// A case whose answers are written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    probes: Vec<ProbeEntry>,
    requests: Vec<RequestEntry>,
}

/// A literal at every place of a buffer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sweep {
    name: String,
    probes: Vec<ProbeEntry>,
    #[serde(default)]
    group: u8,
    carry: Vec<u8>,
    filler: String,
    insert: String,
    length: usize,
}

/// Cases from a generator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    name: String,
    seed: u64,
    cases: u64,
    shape: String,
    probes: (usize, usize),
    buffers: (usize, usize),
    data: (usize, usize),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ProbeEntry {
    Plain(String),
    Full(FullProbe),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullProbe {
    literal: String,
    #[serde(default)]
    nocase: bool,
    groups: Option<Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestEntry {
    #[serde(default)]
    group: u8,
    #[serde(default)]
    carry: u8,
    data: Data,
    hits: Vec<(u32, u32)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    One(String),
    Pieces(Vec<Piece>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Once(String),
    Repeat(Repeat),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    repeat: String,
    times: usize,
}

/// Longest buffer that a file may ask for: what one record of a card could hold, and some.
const MAX_DATA: usize = 1 << 20;

impl ProbeEntry {
    fn read(&self) -> Result<Probe, String> {
        let (literal, nocase, groups) = match self {
            Self::Plain(literal) => (literal, false, None),
            Self::Full(full) => (&full.literal, full.nocase, full.groups.as_ref()),
        };
        let mut mask = 0u64;
        for &group in groups.unwrap_or(&vec![0]) {
            mask |= 1 << check_group(group)?;
        }
        Probe::new(&unescape(literal)?, nocase, mask)
            .ok_or_else(|| format!("literal '{literal}': expected 1 to {MAX_PROBE} bytes"))
    }
}

fn read_probes(entries: &[ProbeEntry]) -> Result<Vec<Probe>, String> {
    entries.iter().map(ProbeEntry::read).collect()
}

fn check_group(group: u8) -> Result<u8, String> {
    if group < MAX_GROUPS {
        Ok(group)
    } else {
        Err(format!("group {group}: expected 0 to {}", MAX_GROUPS - 1))
    }
}

fn check_carry(carry: u8, data: &[u8]) -> Result<u8, String> {
    if usize::from(carry) < MAX_PROBE && usize::from(carry) <= data.len() {
        Ok(carry)
    } else {
        let length = data.len();
        Err(format!(
            "carry {carry}: expected 0 to 7, and at most the {length} bytes of data"
        ))
    }
}

impl Written {
    fn read(&self, name: String) -> Result<Case, String> {
        let probes = read_probes(&self.probes)?;
        let asks = self.requests.iter().enumerate().map(|(number, entry)| {
            entry
                .read(&probes)
                .map_err(|what| format!("request {number}: {what}"))
        });
        let asks = asks.collect::<Result<_, _>>()?;
        Ok(Case { name, probes, asks })
    }
}

impl RequestEntry {
    fn read(&self, probes: &[Probe]) -> Result<Ask, String> {
        let data = self.data.read()?;
        let mut hits = Vec::with_capacity(self.hits.len());
        for &(probe, end) in &self.hits {
            if probe as usize >= probes.len() {
                return Err(format!("hit of probe {probe}: there are {}", probes.len()));
            }
            hits.push(Hit { probe, end });
        }
        if !hits.is_sorted() {
            return Err("hits: expected in the order of the probes".to_owned());
        }
        Ok(Ask {
            group: check_group(self.group)?,
            carry: check_carry(self.carry, &data)?,
            data,
            hits,
        })
    }
}

impl Data {
    fn read(&self) -> Result<Vec<u8>, String> {
        let pieces = match self {
            Self::One(text) => return unescape(text),
            Self::Pieces(pieces) => pieces,
        };
        let mut data = Vec::new();
        for piece in pieces {
            let (text, times) = match piece {
                Piece::Once(text) => (text, 1),
                Piece::Repeat(repeat) => (&repeat.repeat, repeat.times),
            };
            let bytes = unescape(text)?;
            if bytes.len().saturating_mul(times) > MAX_DATA - data.len().min(MAX_DATA) {
                return Err(format!("more than {MAX_DATA} bytes of data"));
            }
            data.extend(bytes.repeat(times));
        }
        Ok(data)
    }
}

impl Sweep {
    fn read(&self, name: String) -> Result<Case, String> {
        let probes = read_probes(&self.probes)?;
        let (filler, insert) = (unescape(&self.filler)?, unescape(&self.insert)?);
        if filler.is_empty() || insert.is_empty() || self.length > MAX_DATA {
            return Err(format!(
                "expected a filler, an insert and a length of at most {MAX_DATA}"
            ));
        }
        let Some(last) = self.length.checked_sub(insert.len()) else {
            return Err(format!("insert: longer than {} bytes", self.length));
        };
        let mut asks = Vec::new();
        for at in 0..=last {
            let mut data: Vec<u8> = filler.iter().copied().cycle().take(self.length).collect();
            data[at..at + insert.len()].copy_from_slice(&insert);
            for &carry in &self.carry {
                let carry = check_carry(carry, &data)?;
                let group = check_group(self.group)?;
                asks.push(Ask::new(&probes, group, carry, data.clone()));
            }
        }
        Ok(Case { name, probes, asks })
    }
}

impl Random {
    fn read(&self, name: &str) -> Result<Vec<Case>, String> {
        let shape = match self.shape.as_str() {
            "tiny" => Shape::Tiny,
            "text" => Shape::Text,
            "binary" => Shape::Binary,
            other => {
                return Err(format!(
                    "shape {other:?}: expected \"tiny\", \"text\" or \"binary\""
                ));
            }
        };
        let sizes = Sizes {
            probes: self.probes,
            buffers: self.buffers,
            data: self.data,
        };
        let most = [sizes.probes, sizes.buffers, sizes.data];
        if most
            .iter()
            .any(|&(low, high)| low > high || high > MAX_DATA)
        {
            return Err(format!(
                "expected [least, most] with most at most {MAX_DATA}"
            ));
        }
        let cases = (0..self.cases).map(|number| {
            let seed = Rng::new(self.seed.wrapping_add(number)).draw();
            let case = random_case(seed, shape, &sizes);
            Case {
                name: format!("{name}/{number}"),
                ..case
            }
        });
        Ok(cases.collect())
    }
}

/// Bytes of a literal: printable ASCII stands for itself, `\xNN` for a byte, `\\`, `\r`, `\n`, `\t` for what they are in Rust.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let wrong = |at: usize| {
        format!("'{text}', byte {at}: expected printable ASCII, \\xNN, \\\\, \\r, \\n or \\t")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let source = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let (value, length) = match (byte, source.get(at + 1)) {
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'x')) => {
                let digits = text.get(at + 2..at + 4);
                let digits =
                    digits.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
                (value.ok_or_else(|| wrong(at))?, 4)
            }
            (b' '..=b'~', _) if byte != b'\\' => (byte, 1),
            _ => return Err(wrong(at)),
        };
        bytes.push(value);
        at += length;
    }
    Ok(bytes)
}
