//! Certificates that can be read, and that nobody signed (RFC 5280, X.690).

/// What a certificate shows.
pub(super) struct Certificate<'a> {
    pub(super) subject: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) serial: Vec<u8>,
    pub(super) names: Vec<&'a [u8]>,
    /// Seconds since the Unix epoch.
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    /// Bytes that stand in the signature.
    pub(super) signature: Vec<u8>,
}

/// Attributes of names, with what readers write for them, and their object identifiers.
const ATTRIBUTES: &[(&str, &[u8])] = &[
    ("CN", &[0x55, 4, 3]),
    ("SN", &[0x55, 4, 4]),
    ("serialNumber", &[0x55, 4, 5]),
    ("C", &[0x55, 4, 6]),
    ("L", &[0x55, 4, 7]),
    ("ST", &[0x55, 4, 8]),
    ("street", &[0x55, 4, 9]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
    ("title", &[0x55, 4, 12]),
    ("description", &[0x55, 4, 13]),
    ("businessCategory", &[0x55, 4, 15]),
    ("postalCode", &[0x55, 4, 17]),
    (
        "emailAddress",
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1],
    ),
];

/// The attributes of a name that is written `C=DE, O=Example`; what belongs to none is a common name.
fn attributes(name: &[u8]) -> Vec<(&'static str, &'static [u8], Vec<u8>)> {
    let mut all: Vec<(&str, &[u8], Vec<u8>)> = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let len = rest.windows(2).position(|two| two == b", ");
        let (piece, after) = match len {
            Some(len) => (
                rest.get(..len).unwrap_or_default(),
                rest.get(len + 2..).unwrap_or_default(),
            ),
            None => (rest, &b""[..]),
        };
        rest = after;
        let known = ATTRIBUTES.iter().find_map(|(key, oid)| {
            let value = piece.get(key.len()..)?.strip_prefix(b"=")?;
            let same = piece.get(..key.len())?.eq_ignore_ascii_case(key.as_bytes());
            same.then(|| (*key, *oid, value.to_vec()))
        });
        match (known, all.last_mut()) {
            (Some(known), _) => all.push(known),
            (None, Some(last)) => last.2.extend([b", ", piece].concat()),
            (None, None) => all.push(("CN", &[0x55, 4, 3], piece.to_vec())),
        }
    }
    all
}

/// A name as readers write it.
pub(super) fn name_text(name: &[u8]) -> Vec<u8> {
    let pieces = attributes(name)
        .into_iter()
        .map(|(key, _, value)| [key.as_bytes(), b"=", &value].concat());
    pieces.collect::<Vec<_>>().join(&b", "[..])
}

impl Certificate<'_> {
    /// The certificate.
    pub(super) fn der(&self) -> Vec<u8> {
        let algorithm = tlv(
            0x30,
            &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0]],
        );
        let key_algorithm = tlv(
            0x30,
            &[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0]],
        );
        let key = tlv(
            0x30,
            &[&tlv(2, &[&[0, 0xc1, 0xd2, 0xe3]]), &tlv(2, &[&[1, 0, 1]])],
        );
        let key_info = tlv(0x30, &[&key_algorithm, &tlv(3, &[&[0], &key])]);
        let validity = tlv(0x30, &[&time(self.not_before), &time(self.not_after)]);
        let names: Vec<Vec<u8>> = self.names.iter().map(|name| tlv(0x82, &[name])).collect();
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let extensions = if names.is_empty() {
            Vec::new()
        } else {
            let alternatives = tlv(4, &[&tlv(0x30, &names)]);
            let extension = tlv(0x30, &[&tlv(6, &[&[0x55, 0x1d, 0x11]]), &alternatives]);
            tlv(0xa3, &[&tlv(0x30, &[&extension])])
        };
        let body = tlv(
            0x30,
            &[
                &[0xa0, 3, 2, 1, 2],
                &tlv(2, &[&self.serial]),
                &algorithm,
                &name(self.issuer),
                &validity,
                &name(self.subject),
                &key_info,
                &extensions,
            ],
        );
        tlv(
            0x30,
            &[&body, &algorithm, &tlv(3, &[&[0], &self.signature])],
        )
    }
}

fn name(text: &[u8]) -> Vec<u8> {
    let sets = attributes(text).into_iter().map(|(_, oid, value)| {
        let kind = if value.is_ascii() { 0x0c } else { 0x14 };
        tlv(
            0x31,
            &[&tlv(0x30, &[&tlv(6, &[oid]), &tlv(kind, &[&value])])],
        )
    });
    let sets: Vec<Vec<u8>> = sets.collect();
    let sets: Vec<&[u8]> = sets.iter().map(Vec::as_slice).collect();
    tlv(0x30, &sets)
}

/// `YYYYMMDDHHMMSSZ`, as UTCTime where that is possible.
fn time(seconds: u64) -> Vec<u8> {
    // Days to a date: Howard Hinnant's civil_from_days.
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let clock = seconds % 86_400;
    let rest = format!(
        "{month:02}{day:02}{:02}{:02}{:02}Z",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    );
    if (1950..2050).contains(&year) {
        tlv(0x17, &[format!("{:02}{rest}", year % 100).as_bytes()])
    } else {
        tlv(0x18, &[format!("{year:04}{rest}").as_bytes()])
    }
}

/// A tag, a length, and what follows.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match len {
        0..0x80 => out.push(len as u8),
        0x80..0x100 => out.extend_from_slice(&[0x81, len as u8]),
        0x100..0x1_0000 => {
            out.push(0x82);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x83);
            out.extend_from_slice((len as u32).to_be_bytes().get(1..).unwrap_or_default());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}
