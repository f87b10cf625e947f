//! Ranges of packet numbers: `1-125334`, `5-`, `7`, several with commas.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Which packets are wanted, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u64>>);

impl Ranges {
    /// True when a packet with this number is wanted.
    pub fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

impl FromStr for Ranges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = |part: &str| {
            let expected = || {
                format!("{part:?}: expected packet numbers from 1 on, such as 7, 1-5000 or 5001-")
            };
            let number = |text: &str| text.trim().parse::<u64>().ok().filter(|&number| number > 0);
            let (first, last) = match part.split_once('-') {
                None => (number(part), number(part)),
                Some((first, last)) if last.trim().is_empty() => (number(first), Some(u64::MAX)),
                Some((first, last)) => (number(first), number(last)),
            };
            match first.zip(last).ok_or_else(expected)? {
                (first, last) if first > last => {
                    Err(format!("{part:?}: the first packet is behind the last"))
                }
                (first, last) => Ok(first..=last),
            }
        };
        text.split(',')
            .map(range)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_closed_open_or_single() {
        let ranges: Ranges = "2-4,7, 10-".parse().expect("ranges");
        let wanted: Vec<u64> = (0..13).filter(|&number| ranges.contains(number)).collect();
        assert_eq!(wanted, [2, 3, 4, 7, 10, 11, 12]);
        assert!(ranges.contains(u64::MAX));
    }

    #[test]
    fn what_is_no_range_says_so() {
        for bad in [
            "",
            "0",
            "a",
            "1-b",
            "-5",
            "1--5",
            "1,,2",
            "5-4",
            "1-18446744073709551616",
        ] {
            let error = bad.parse::<Ranges>().expect_err(bad);
            assert!(error.contains("packet"), "{bad}: {error}");
        }
    }
}
