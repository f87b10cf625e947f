//! Names that a client asked for within a window of time.

use serde::{Deserialize, Serialize};

/// Seconds of a window.
const SECONDS: u64 = 60;
/// Domains that are gathered at once; of more, the one with the fewest names gives way.
const DOMAINS: usize = 4;
/// Names for one domain that make a tunnel, at least.
const NAMES: u16 = 24;
/// Mean length of what stands below the domain, at least.
const MEAN_LENGTH: f32 = 24.0;
/// Bits a letter, at least: hexadecimal digits have 4, base 32 has 5. Words have as many.
const ENTROPY: f32 = 3.6;
/// The same as a share of what so many different letters could have: how evenly they are used. Encoded data comes close
/// to 1, words to 0.9.
const EVENNESS: f32 = 0.95;
/// Letters that are told apart: a to z, 0 to 9, all others.
const LETTERS: usize = 37;

/// The most that a window is when it is kept, in bytes: three for each count of letters, eleven for the rest of a domain.
pub const KEPT: u32 = (11 + DOMAINS * (3 * LETTERS + 12)) as u32;

/// Names below one domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Domain {
    /// A hash of its name.
    hash: u32,
    names: u16,
    /// Told already in this window.
    told: bool,
    /// Letters below it.
    letters: Vec<u16>,
}

/// A window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Second of the first name.
    since: u64,
    domains: Vec<Domain>,
}

impl Window {
    /// Adds a name; true when its domain is to be told now.
    pub fn add(&mut self, now: u64, name: &[u8]) -> bool {
        if now.saturating_sub(self.since) >= SECONDS {
            *self = Self {
                since: now,
                domains: Vec::new(),
            };
        }
        let (below, domain) = split(name);
        if below.is_empty() {
            return false;
        }
        let Some(domain) = self.domain(hash(domain)) else {
            return false;
        };
        domain.names = domain.names.saturating_add(1);
        for &byte in below {
            if let Some(count) = domain.letters.get_mut(letter(byte)) {
                *count = count.saturating_add(1);
            }
        }
        let tunnel = !domain.told && domain.is_tunnel();
        domain.told |= tunnel;
        tunnel
    }

    /// The domain with this hash, as a new one where there is room or another one gives way.
    fn domain(&mut self, hash: u32) -> Option<&mut Domain> {
        let known = self.domains.iter().position(|domain| domain.hash == hash);
        let at = match known {
            Some(at) => at,
            None if self.domains.len() < DOMAINS => {
                self.domains.push(Domain::new(hash));
                self.domains.len() - 1
            }
            None => {
                let (at, least) = (0..)
                    .zip(&mut self.domains)
                    .min_by_key(|(_, domain)| domain.names)?;
                // Not at once: or names that come but once would drive out those that come again.
                if least.names > 1 {
                    least.names -= 1;
                    return None;
                }
                *least = Domain::new(hash);
                at
            }
        };
        self.domains.get_mut(at)
    }
}

impl Domain {
    fn new(hash: u32) -> Self {
        Self {
            hash,
            names: 0,
            told: false,
            letters: vec![0; LETTERS],
        }
    }

    fn is_tunnel(&self) -> bool {
        let all: u32 = self.letters.iter().copied().map(u32::from).sum();
        if self.names < NAMES || (all as f32) < MEAN_LENGTH * f32::from(self.names) {
            return false;
        }
        let entropy = entropy(&self.letters);
        let used = self.letters.iter().filter(|&&count| count > 0).count();
        entropy >= ENTROPY && entropy >= EVENNESS * (used as f32).log2()
    }
}

/// Bits a letter.
fn entropy(letters: &[u16]) -> f32 {
    let all: f32 = letters.iter().copied().map(f32::from).sum();
    let part = |&count: &u16| {
        let share = f32::from(count) / all;
        -share * share.log2()
    };
    letters.iter().filter(|&&count| count > 0).map(part).sum()
}

/// What stands below the registered domain, taken to be the last two labels; and those.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let dot = |&(_, &byte): &(usize, &u8)| byte == b'.';
    let at = name
        .iter()
        .enumerate()
        .filter(dot)
        .map(|(at, _)| at)
        .nth_back(1);
    match at {
        Some(at) => (
            name.get(..at).unwrap_or_default(),
            name.get(at..).unwrap_or_default(),
        ),
        None => (&[], name),
    }
}

/// FNV-1a, over lower case.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

fn letter(byte: u8) -> usize {
    match byte.to_ascii_lowercase() {
        byte @ b'a'..=b'z' => usize::from(byte - b'a'),
        byte @ b'0'..=b'9' => 26 + usize::from(byte - b'0'),
        _ => LETTERS - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_domain() {
        let parts = |name: &'static str| {
            let (below, domain) = split(name.as_bytes());
            (
                String::from_utf8_lossy(below).into_owned(),
                String::from_utf8_lossy(domain).into_owned(),
            )
        };
        assert_eq!(
            parts("a.b.example.org"),
            ("a.b".into(), ".example.org".into())
        );
        assert_eq!(parts("a.example.org."), ("a".into(), ".example.org".into()));
        assert_eq!(parts("example.org"), (String::new(), "example.org".into()));
        assert_eq!(parts(""), (String::new(), String::new()));
        assert_eq!(hash(b".Example.ORG"), hash(b".example.org"));
    }

    #[test]
    fn entropy_is_that_of_the_letters() {
        let mut letters = vec![0; LETTERS];
        letters[..8].fill(5);
        assert_eq!(entropy(&letters), 3.0);
        letters[..8].fill(0);
        assert_eq!(entropy(&letters), 0.0);
    }

    #[test]
    fn a_full_window_fits_into_what_is_kept() {
        let mut window = Window::default();
        for name in 0..DOMAINS {
            let name = format!(
                "{}.{name}.example",
                "abcdefghijklmnopqrstuvwxyz0123456789-".repeat(1800)
            );
            for _ in 0..5 {
                window.add(u64::MAX, name.as_bytes());
            }
        }
        let counts = window.domains.iter().flat_map(|domain| &domain.letters);
        assert!(
            counts.clone().count() == DOMAINS * LETTERS
                && counts.clone().all(|&count| count > 1800)
        );
        // postcard: ten bytes at most for the second, one for the number of domains; of each five, three, one and one, and
        // three for each letter.
        assert!(10 + 1 + DOMAINS * (5 + 3 + 1 + 1 + 3 * LETTERS) <= KEPT as usize);
        window.add(u64::MAX, b"x.another.example");
        assert_eq!(window.domains.len(), DOMAINS);
    }
}
