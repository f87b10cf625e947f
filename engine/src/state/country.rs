//! Countries of addresses, from a database in MaxMind's format.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::Reader;
use serde::Deserialize;

use super::StateError;

/// The database, in memory.
pub(super) struct Countries(Reader<Vec<u8>>);

/// The part of a record that matters: both kinds of databases, of countries and of cities, have it.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

impl Countries {
    /// Reads a database.
    ///
    /// # Errors
    /// When the file cannot be read or is no such database.
    pub(super) fn read(path: &Path) -> Result<Self, StateError> {
        let bytes = std::fs::read(path)
            .map_err(|error| StateError::unreadable(path, "the database of countries", &error))?;
        Reader::from_source(bytes).map(Self).map_err(|error| {
            let what = format!("expected a database in MaxMind's format: {error}");
            StateError::at(path, None, what)
        })
    }

    /// The country's code; `None` where the database knows none.
    pub(super) fn of(&self, address: IpAddr) -> Option<[u8; 2]> {
        let found = self.0.lookup(address).ok()?;
        let record: Record<'_> = found.decode().ok()??;
        let code = record.country?.iso_code?;
        code.as_bytes().try_into().ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A database that knows `networks` of IPv4: 24-bit records, a tree over 128 bits with IPv4 under 96 zero bits.
    pub(in crate::state) fn database(networks: &[([u8; 4], u8, &str)]) -> Vec<u8> {
        const UNKNOWN: u32 = u32::MAX;
        const DATA: u32 = 1 << 30;
        let mut nodes = vec![[UNKNOWN; 2]];
        let mut data: Vec<u8> = Vec::new();
        for (address, length, code) in networks {
            let bits = u128::from(u32::from_be_bytes(*address));
            let mut node = 0;
            for at in 0..95 + usize::from(*length) {
                let bit = (bits >> (127 - at) & 1) as usize;
                if nodes[node][bit] == UNKNOWN {
                    nodes[node][bit] = nodes.len() as u32;
                    nodes.push([UNKNOWN; 2]);
                }
                node = nodes[node][bit] as usize;
            }
            let last = (bits >> (128 - 96 - usize::from(*length)) & 1) as usize;
            nodes[node][last] = DATA | data.len() as u32;
            data.extend(b"\xe1\x47country\xe1\x48iso_code\x42");
            data.extend(code.as_bytes());
        }
        let count = nodes.len() as u32;
        let mut file = Vec::new();
        for record in nodes.iter().flatten() {
            let value = match *record {
                UNKNOWN => count,
                data if data & DATA != 0 => count + 16 + (data & !DATA),
                node => node,
            };
            file.extend(&value.to_be_bytes()[1..]);
        }
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        file.extend(b"\xe9");
        let mut number = |name: &str, control: u8, value: &[u8]| {
            file.push(0x40 | name.len() as u8);
            file.extend(name.as_bytes());
            file.push(control);
            file.extend(value);
        };
        number("binary_format_major_version", 0xa1, &[2]);
        number("binary_format_minor_version", 0xa0, &[]);
        number("node_count", 0xc4, &count.to_be_bytes());
        number("record_size", 0xa1, &[24]);
        number("ip_version", 0xa1, &[6]);
        file.extend(b"\x4bbuild_epoch\x01\x02\x01");
        file.extend(b"\x4ddatabase_type\x44Test");
        file.extend(b"\x49languages\x00\x04");
        file.extend(b"\x4bdescription\xe0");
        file
    }

    #[test]
    fn addresses_are_of_the_country_that_the_database_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("countries.mmdb");
        let bytes = database(&[([10, 0, 0, 0], 8, "FR"), ([192, 0, 2, 0], 24, "DE")]);
        std::fs::write(&path, bytes).expect("writes");
        let countries = Countries::read(&path).expect("a database");
        let of = |address: &str| countries.of(address.parse().expect("address"));
        assert_eq!(of("10.255.0.1"), Some(*b"FR"));
        assert_eq!(of("192.0.2.77"), Some(*b"DE"));
        assert_eq!(of("192.0.3.77"), None);
        assert_eq!(of("2001:db8::1"), None);
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.mmdb");
        std::fs::write(&path, "no database").expect("writes");
        let error = Countries::read(&path).err().expect("refused").to_string();
        assert!(
            error.contains("x.mmdb: expected a database in MaxMind's format"),
            "{error}"
        );
    }
}
