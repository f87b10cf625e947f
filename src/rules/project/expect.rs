//! What should fire, and what did.

use std::collections::BTreeMap;
use std::fmt;

/// An alert, as far as it is compared: packet number, generator and signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fired {
    /// Number of the packet in the captures, from 1.
    pub packet: u64,
    /// Generator; 1 for rules.
    pub gid: u32,
    /// Signature.
    pub sid: u32,
}

/// `14 9100001`, with `gid:` before the signature where that is not 1.
impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packet, gid, sid } = self;
        if *gid == 1 {
            write!(f, "{packet} {sid}")
        } else {
            write!(f, "{packet} {gid}:{sid}")
        }
    }
}

/// Reads expectations: a line for each alert, packet and signature; what stands behind them is for people, as are lines
/// that begin with `#`.
///
/// # Errors
/// The first line that is neither, and what was expected of it.
pub fn parse(text: &str) -> Result<Vec<Fired>, (usize, String)> {
    let mut all = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (packet, signature) = (words.next(), words.next());
        let fired = packet
            .and_then(|packet| packet.parse().ok())
            .and_then(|packet| {
                let (gid, sid) = match signature?.split_once(':') {
                    Some((gid, sid)) => (gid.parse().ok()?, sid),
                    None => (1, signature?),
                };
                let sid = sid.parse().ok()?;
                Some(Fired { packet, gid, sid })
            });
        match fired {
            Some(fired) => all.push(fired),
            None => {
                return Err((
                    number,
                    format!(
                        "{line:?}: expected the packet's number and the rule's sid, such as `14 9100001`"
                    ),
                ));
            }
        }
    }
    Ok(all)
}

/// What is there more or less often than it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Alerts by place: how often too many (positive) or too few.
    by: BTreeMap<Fired, i64>,
}

impl Difference {
    /// Between what should fire and what did.
    pub fn new(expected: &[Fired], fired: &[Fired]) -> Self {
        let mut by = BTreeMap::new();
        for one in fired {
            *by.entry(*one).or_default() += 1;
        }
        for one in expected {
            *by.entry(*one).or_default() -= 1;
        }
        by.retain(|_, count| *count != 0);
        Self { by }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// How many alerts are missing, and how many were not expected.
    pub fn counts(&self) -> (u64, u64) {
        let sum = |sign: i64| {
            let all = self.by.values().map(|count| count * sign);
            all.filter(|count| *count > 0).map(i64::unsigned_abs).sum()
        };
        (sum(-1), sum(1))
    }
}

/// A line for each: `-` for what is missing, `+` for what was not expected.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fired, &count) in &self.by {
            let sign = if count < 0 { '-' } else { '+' };
            write!(f, "{sign} {fired}")?;
            if count.abs() > 1 {
                write!(f, " ({} times)", count.abs())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(packet: u64, sid: u32) -> Fired {
        Fired {
            packet,
            gid: 1,
            sid,
        }
    }

    #[test]
    fn expectations_are_read_and_what_is_none_is_named() {
        let text = "# packet sid\n\n 14 9100001  a -> b  why\n15 3:7\n";
        let other = Fired {
            gid: 3,
            ..fired(15, 7)
        };
        assert_eq!(parse(text), Ok(vec![fired(14, 9_100_001), other]));
        assert_eq!(other.to_string(), "15 3:7");
        for wrong in ["14", "x 1", "14 x", "14 1:x", "14 x:1", "-1 1"] {
            let (line, why) = parse(&format!("1 1\n{wrong}")).expect_err("it is wrong");
            assert!(line == 2 && why.contains(wrong), "{why}");
        }
    }

    #[test]
    fn differences_count_what_fires_several_times() {
        let expected = [fired(1, 7), fired(2, 7), fired(2, 7)];
        let same = Difference::new(&expected, &[fired(2, 7), fired(1, 7), fired(2, 7)]);
        assert!(same.is_empty());
        let other = Difference::new(&expected, &[fired(2, 7), fired(3, 8), fired(3, 8)]);
        assert_eq!(other.counts(), (2, 2));
        assert_eq!(other.to_string(), "- 1 7\n- 2 7\n+ 3 8 (2 times)\n");
    }
}
