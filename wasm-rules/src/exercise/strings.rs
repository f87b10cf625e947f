//! Strings that a regular expression matches: several, from the shortest on, as sets of bytes for each place.

use super::pattern::Node;
use super::set::ByteSet;

/// Longest string that is made.
const LONGEST: usize = 16 * 1024;
/// Most steps of making one.
const STEPS: u32 = 100_000;

/// A string that an expression matches, perhaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// What may stand at each place.
    pub(super) cells: Vec<ByteSet>,
    /// It must stand at the start.
    pub(super) at_start: bool,
    /// It must stand at the start of a line.
    pub(super) at_line: bool,
    /// Nothing may come after it.
    pub(super) at_end: bool,
    /// Only the end of a line may come after it.
    pub(super) at_line_end: bool,
    /// How many of the cells, at the end, are only looked at.
    pub(super) ahead: usize,
}

/// How strings are varied: which alternative, and how often what is repeated.
#[derive(Clone, Copy, Debug)]
struct Taste {
    alternative: usize,
    more: u32,
    random: u32,
    /// Which repetition is made longer, and by how much.
    grow: Option<(usize, u32)>,
}

/// Strings that an expression matches: `count` attempts, of which those that fail and repetitions are left out; before
/// them some of about the wanted length.
pub(super) fn variants(node: &Node, count: usize, wanted: Option<usize>) -> Vec<Made> {
    let mut all: Vec<Made> = Vec::new();
    let mut add = |made: Option<Made>| {
        if let Some(made) = made
            && !all.contains(&made)
        {
            all.push(made);
        }
    };
    if let Some(wanted) = wanted {
        for number in 0..GROWN {
            add(grown(node, number / 4, number % 4, wanted));
        }
    }
    for number in 0..count {
        // Few repetitions first, then some, then many; alternatives in turn; in the end at random.
        const MORE: [u32; 6] = [0, 1, 6, 0, 16, 3];
        let taste = Taste {
            alternative: number / 2,
            more: MORE.get(number % MORE.len()).copied().unwrap_or(0),
            random: if number < 8 {
                0
            } else {
                (number as u32).wrapping_mul(2_654_435_761) | 1
            },
            grow: None,
        };
        add(make(node, taste));
    }
    all
}

/// How many strings of about a wanted length are tried.
const GROWN: usize = 16;

/// The longest string that is no longer than wanted, by repeating one thing.
fn grown(node: &Node, alternative: usize, place: usize, wanted: usize) -> Option<Made> {
    let with = |more: u32| {
        let taste = Taste {
            alternative,
            more: 0,
            random: 0,
            grow: Some((place, more)),
        };
        make(node, taste).filter(|made| made.cells.len() <= wanted)
    };
    let (mut low, mut high) = (0, wanted as u32);
    let mut best = with(0)?;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match with(middle) {
            Some(made) => (low, best) = (middle, made),
            None => high = middle - 1,
        }
    }
    Some(best)
}

fn make(node: &Node, taste: Taste) -> Option<Made> {
    let mut maker = Maker {
        taste,
        made: Made::default(),
        groups: Vec::new(),
        overlays: Vec::new(),
        ended: false,
        repeats: 0,
        steps: STEPS,
    };
    maker.add(node)?;
    maker.finish()
}

struct Maker {
    taste: Taste,
    made: Made,
    groups: Vec<(u32, usize, usize)>,
    overlays: Vec<(usize, Vec<ByteSet>)>,
    /// Nothing may follow.
    ended: bool,
    /// Repetitions so far that have no end.
    repeats: usize,
    steps: u32,
}

impl Maker {
    fn choose(&mut self, from: usize) -> usize {
        let from = from.max(1);
        if self.taste.random == 0 {
            return self.taste.alternative % from;
        }
        let x = &mut self.taste.random;
        *x ^= *x << 13;
        *x ^= *x >> 17;
        *x ^= *x << 5;
        *x as usize % from
    }

    fn push(&mut self, set: ByteSet) -> Option<()> {
        let set = if self.made.at_line_end {
            self.made.at_line_end = false;
            set.and(ByteSet::these(b"\r\n"))
        } else {
            set
        };
        let fits = !set.is_empty() && !self.ended && self.made.cells.len() < LONGEST;
        fits.then(|| self.made.cells.push(set))
    }

    fn add(&mut self, node: &Node) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        match node {
            Node::Set(set) => self.push(*set),
            Node::Seq(all) => all.iter().try_for_each(|node| self.add(node)),
            Node::Alt(all) => {
                let first = self.choose(all.len());
                // One that cannot stand here gives way to the next.
                for step in 0..all.len() {
                    let node = all.get((first + step) % all.len())?;
                    // Keeping what there is costs more the more there is.
                    let kept =
                        self.made.cells.len() / 64 + self.overlays.len() + self.groups.len() / 64;
                    self.steps = self.steps.checked_sub(u32::try_from(kept).ok()?)?;
                    let before = (
                        self.made.clone(),
                        self.groups.clone(),
                        self.overlays.clone(),
                        self.ended,
                    );
                    if self.add(node).is_some() {
                        return Some(());
                    }
                    (self.made, self.groups, self.overlays, self.ended) = before;
                    self.steps = self.steps.checked_sub(1)?;
                }
                None
            }
            Node::Repeat { node, min, max } => {
                let most = max.unwrap_or(u32::MAX);
                let more = match (self.taste.random, self.taste.more) {
                    (0, more) => more,
                    (_, more) => [0, 1, more, more + 2]
                        .get(self.choose(4))
                        .copied()
                        .unwrap_or(0),
                };
                let more = match self.taste.grow {
                    Some((place, by)) if place == self.repeats => by,
                    _ => more,
                };
                if most > min.saturating_add(8) {
                    self.repeats += 1;
                }
                let count = min.saturating_add(more).min(most).max(*min);
                (0..count).try_for_each(|_| self.add(node))
            }
            Node::Group(number, node) => {
                let from = self.made.cells.len();
                self.add(node)?;
                self.groups.push((*number, from, self.made.cells.len()));
                Some(())
            }
            Node::Back(number) => {
                let group = self.groups.iter().rev().find(|group| group.0 == *number);
                let Some(&(_, from, to)) = group else {
                    return Some(());
                };
                // Both are the same only when both are settled.
                for at in from..to {
                    let cell = self.made.cells.get_mut(at)?;
                    let settled = ByteSet::of(cell.pick(b"")?);
                    *cell = settled;
                    self.push(settled)?;
                }
                Some(())
            }
            Node::Start(lines) => match self.made.cells.last_mut() {
                None if *lines => {
                    self.made.at_line = true;
                    Some(())
                }
                None => {
                    self.made.at_start = true;
                    Some(())
                }
                Some(last) if *lines => {
                    *last = last.and(ByteSet::of(b'\n'));
                    (!last.is_empty()).then_some(())
                }
                Some(_) => None,
            },
            Node::End(false) => {
                self.ended = true;
                Some(())
            }
            Node::End(true) => {
                self.made.at_line_end = true;
                Some(())
            }
            Node::Ahead(node) => {
                let groups = std::mem::take(&mut self.groups);
                let known = groups.len();
                let inner = self.aside(node, groups);
                let (made, ended) = inner.map(|mut inner| {
                    inner.groups.truncate(known);
                    self.groups = inner.groups;
                    (inner.made, inner.ended)
                })?;
                if made.cells.is_empty() {
                    self.ended |= ended;
                    return Some(());
                }
                self.overlays.push((self.made.cells.len(), made.cells));
                Some(())
            }
            Node::Behind(node) => {
                let cells = self.aside(node, Vec::new())?.made.cells;
                match self.made.cells.len().checked_sub(cells.len()) {
                    Some(at) => overlay(&mut self.made.cells, at, &cells),
                    None if self.made.cells.is_empty() => {
                        self.made.cells = cells;
                        Some(())
                    }
                    None => None,
                }
            }
            Node::Word => Some(()),
        }
    }

    /// Makes what is only looked at, in the steps that are left.
    fn aside(&mut self, node: &Node, groups: Vec<(u32, usize, usize)>) -> Option<Self> {
        let mut inner = Self {
            taste: self.taste,
            made: Made::default(),
            groups,
            overlays: Vec::new(),
            ended: false,
            repeats: usize::MAX / 2,
            steps: self.steps,
        };
        let added = inner.add(node);
        self.steps = inner.steps;
        added.map(|()| inner)
    }

    fn finish(mut self) -> Option<Made> {
        let own = self.made.cells.len();
        for (at, cells) in std::mem::take(&mut self.overlays) {
            if at + cells.len() > self.made.cells.len() {
                if self.ended {
                    return None;
                }
                self.made.cells.resize(at + cells.len(), ByteSet::ALL);
            }
            overlay(&mut self.made.cells, at, &cells)?;
        }
        self.made.ahead = self.made.cells.len() - own;
        self.made.at_end = self.ended;
        Some(self.made)
    }
}

/// Narrows cells down; `None` where nothing is left.
pub(super) fn overlay(cells: &mut [ByteSet], at: usize, with: &[ByteSet]) -> Option<()> {
    for (cell, set) in cells.get_mut(at..at + with.len())?.iter_mut().zip(with) {
        *cell = cell.and(*set);
        if cell.is_empty() {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::pattern::parse;
    use super::*;
    use weir_engine::pcre::{Flags, Regex, Scratch};

    #[test]
    fn strings_match_the_expression_that_they_are_made_of() {
        let flags = |text: &str| Flags {
            caseless: text.contains('i'),
            dotall: text.contains('s'),
            multiline: text.contains('m'),
            extended: text.contains('x'),
            ..Flags::default()
        };
        for (pattern, options) in [
            (r"^\/[a-z]{3,7}\.(?:php|jsp)\?id=\d+$", ""),
            (r"User-Agent\x3a[^\r\n]+(?:evil|bad)bot", "i"),
            (r"(?P<a>[a-z])x(?P=a)\1", ""),
            (r"^Host\x3a\x20(?:[a-f0-9]{2}:){3}\r?$", "m"),
            (r"foo(?=bar)b[a-z]{2}", ""),
            (r"[^\x00-\x7f]{4}\s*=\s*[[:alpha:]_]+?;", "s"),
            (r"(?i)select\s+(?-i)FROM", ""),
            (r"\Qa.b*c\E\d{2,}", ""),
            (r"a{,3}b{2}c{ x", ""),
            (r"(?<=ab)cd|^ef", ""),
        ] {
            let flags = flags(options);
            let node = parse(pattern.as_bytes(), flags).expect(pattern);
            let regex = Regex::new(pattern.as_bytes(), flags).expect(pattern);
            let all = variants(&node, 16, None);
            let matches = |made: &Made| {
                let bytes: Vec<u8> = made
                    .cells
                    .iter()
                    .filter_map(|cell| cell.pick(b""))
                    .collect();
                regex.find(&bytes, 0, &mut Scratch::new()) != Ok(None)
            };
            assert!(all.iter().any(matches), "{pattern}: {all:?}");
        }
    }
}
