//! Reputations of addresses, as Suricata's files have them: `address[/prefix],category,value`, and categories
//! `number,short name,description`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::StateError;
use crate::plan::Name;

/// Categories are numbered from 0 to 59.
const MOST_CATEGORIES: u8 = 60;
/// Reputations are at most this.
const HIGHEST: u8 = 127;

/// Files of reputations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReputationFiles {
    /// Which numbers stand for which categories.
    pub categories: Option<PathBuf>,
    /// Addresses and prefixes with their reputations.
    pub lists: Vec<PathBuf>,
}

/// Reputations by prefix.
#[derive(Debug, Default)]
pub(super) struct Reputations {
    /// Number of each category that rules name, by the order of those names.
    numbers: Vec<Option<u8>>,
    /// The lengths of prefixes that occur, the longest first. IPv4 counts as mapped into IPv6.
    lengths: Vec<u8>,
    values: HashMap<(u128, u8, u8), u8>,
}

impl Reputations {
    /// Reads the files; `asked` are the categories that rules name.
    ///
    /// # Errors
    /// When a file cannot be read or has something else in it.
    pub(super) fn read(files: &ReputationFiles, asked: &[Name]) -> Result<Self, StateError> {
        let mut all = Self::default();
        let mut categories: HashMap<String, u8> = HashMap::new();
        if let Some(path) = &files.categories {
            each_line(path, "the reputation categories", |line| {
                let mut parts = line.splitn(3, ',').map(str::trim);
                let number = category(parts.next().unwrap_or_default())?;
                match parts.next() {
                    Some(name) if !name.is_empty() => {
                        categories.insert(name.to_owned(), number);
                        Ok(())
                    }
                    _ => Err("expected `number,short name,description`".to_owned()),
                }
            })?;
        }
        let number = |name: &Name| categories.get(&**name).copied();
        all.numbers = asked.iter().map(number).collect();
        for path in &files.lists {
            each_line(path, "the reputation list", |line| all.take(line))?;
        }
        all.lengths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(all)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let parts: Vec<&str> = line.split(',').map(str::trim).collect();
        let [hosts, number, value] = parts.as_slice() else {
            return Err("expected `address,category,reputation`".to_owned());
        };
        if *hosts == "ip" {
            return Ok(()); // a header
        }
        let (bits, length) = prefix(hosts)
            .ok_or_else(|| format!("expected an address or prefix, found `{hosts}`"))?;
        let number = category(number)?;
        let value: u8 = value
            .parse()
            .ok()
            .filter(|&value| value <= HIGHEST)
            .ok_or_else(|| format!("expected a reputation from 0 to {HIGHEST}, found `{value}`"))?;
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
        }
        self.values.insert((bits, length, number), value);
        Ok(())
    }

    /// The reputation of an address in the category with this place among those that rules name: that of the longest
    /// prefix which has one. `None` where the category is not configured; within, `None` for an address without.
    pub(super) fn of(&self, address: IpAddr, category: usize) -> Option<Option<u8>> {
        let number = (*self.numbers.get(category)?)?;
        let bits = mapped(address);
        Some(self.lengths.iter().find_map(|&length| {
            let key = (bits & mask(length), length, number);
            self.values.get(&key).copied()
        }))
    }
}

fn category(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|&number| number < MOST_CATEGORIES);
    number.ok_or_else(|| {
        let most = MOST_CATEGORIES - 1;
        format!("expected a category from 0 to {most}, found `{text}`")
    })
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .into()
}

fn mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(length.min(128)))
        .unwrap_or(0)
}

fn prefix(text: &str) -> Option<(u128, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (bits, most) = match address {
        IpAddr::V4(_) => (mapped(address), 32),
        IpAddr::V6(v6) => (Ipv6Addr::into(v6), 128),
    };
    let length = length.unwrap_or(most);
    if length > most {
        return None;
    }
    let length = length + (128 - most);
    Some((bits & mask(length), length))
}

fn each_line(
    path: &Path,
    what: &str,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), StateError> {
    let text = std::fs::read(path).map_err(|error| StateError::unreadable(path, what, &error))?;
    for (at, line) in String::from_utf8_lossy(&text).lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            take(line).map_err(|what| StateError::at(path, Some(at + 1), what))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(categories: &str, list: &str) -> Result<Reputations, StateError> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("writes");
            path
        };
        let files = ReputationFiles {
            categories: Some(write("categories.txt", categories)),
            lists: vec![write("list.txt", list)],
        };
        Reputations::read(&files, &["CnC".into(), "Bad".into(), "Other".into()])
    }

    const CATEGORIES: &str = "1,CnC,Command and control\n2,Bad,Bad, really\n";

    #[test]
    fn the_longest_prefix_with_the_category_counts() {
        let list = "ip,category,value\n# comment\n10.0.0.0/8,1,20\n10.1.0.0/16,1,30\n10.1.2.3,2,40\n\
                    10.1.2.3,1,0\n2001:db8::/32,2,127\n";
        let all = read(CATEGORIES, list).expect("right");
        let of = |address: &str, category| all.of(address.parse().expect("address"), category);
        assert_eq!(of("10.9.9.9", 0), Some(Some(20)));
        assert_eq!(of("10.1.9.9", 0), Some(Some(30)));
        assert_eq!(of("10.1.2.3", 0), Some(Some(0)));
        assert_eq!(of("10.1.2.3", 1), Some(Some(40)));
        assert_eq!(of("10.1.2.4", 1), Some(None));
        assert_eq!(of("2001:db8::9", 1), Some(Some(127)));
        assert_eq!(of("2001:db9::9", 1), Some(None));
        assert_eq!(of("10.1.2.3", 2), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (categories, list, expected) in [
            (
                "60,X,x",
                "",
                "categories.txt:1: expected a category from 0 to 59, found `60`",
            ),
            (
                "1",
                "",
                "categories.txt:1: expected `number,short name,description`",
            ),
            (
                CATEGORIES,
                "\n1.2.3.4/33,1,1",
                "list.txt:2: expected an address or prefix, found `1.2.3.4/33`",
            ),
            (
                CATEGORIES,
                "1.2.3.4,1,128",
                "list.txt:1: expected a reputation from 0 to 127, found `128`",
            ),
            (
                CATEGORIES,
                "1.2.3.4,1",
                "list.txt:1: expected `address,category,reputation`",
            ),
        ] {
            let error = read(categories, list).expect_err(expected).to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
