//! What stands in the exact table: distinct literals.

use std::collections::HashMap;

use weir_engine::matcher::{MAX_PROBE, Probe};

/// A distinct literal: bytes and whether they are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal {
    /// The last byte lowest, as in [`card_protocol::register::exact`]; zeros beyond the length.
    key: u64,
    len: u8,
    folded: bool,
}

impl Literal {
    /// The literal of a probe.
    pub fn of(probe: &Probe) -> Self {
        let mut key = [0; MAX_PROBE];
        for (to, &from) in key.iter_mut().zip(probe.bytes().iter().rev()) {
            *to = from;
        }
        Self {
            key: u64::from_le_bytes(key),
            len: probe.bytes().len() as u8,
            folded: probe.folded(),
        }
    }

    /// Its bytes, the last one lowest.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// How many bytes.
    pub fn length(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether case does not matter.
    pub fn folded(&self) -> bool {
        self.folded
    }

    /// Its bytes in the order of text.
    pub fn text(&self) -> impl AsRef<[u8]> + use<> {
        let mut bytes = self.key.to_le_bytes();
        bytes[..self.length()].reverse();
        Text {
            bytes,
            len: self.length(),
        }
    }
}

/// Up to eight bytes.
struct Text {
    bytes: [u8; MAX_PROBE],
    len: usize,
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A literal and the probes that are it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The literal.
    pub literal: Literal,
    /// Groups of all its probes.
    pub groups: u64,
    /// Indices of the probes, and their groups.
    pub probes: Vec<(u32, u64)>,
}

/// The distinct literals of a probe set, in the order in which they come first. Probes without a group can never be found
/// and are left out.
pub fn entries(probes: &[Probe]) -> Vec<Entry> {
    let mut places: HashMap<Literal, usize> = HashMap::with_capacity(probes.len());
    let mut entries: Vec<Entry> = Vec::new();
    for (index, probe) in (0u32..).zip(probes) {
        if probe.groups == 0 {
            continue;
        }
        let literal = Literal::of(probe);
        let place = *places.entry(literal).or_insert_with(|| {
            entries.push(Entry {
                literal,
                groups: 0,
                probes: Vec::new(),
            });
            entries.len() - 1
        });
        if let Some(entry) = entries.get_mut(place) {
            entry.groups |= probe.groups;
            entry.probes.push((index, probe.groups));
        }
    }
    entries
}
