//! The words of FTP (RFC 959, RFC 2428): commands, and the addresses in them and in replies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

/// Commands that begin a transaction, as Suricata knows them. Others (`FEAT`, `OPTS`) begin none.
const COMMANDS: &[&str] = &[
    "ABOR", "ACCT", "ALLO", "APPE", "AUTH TLS", "CDUP", "CHMOD", "CWD", "DELE", "EPRT", "EPSV",
    "HELP", "IDLE", "LIST", "MAIL", "MDTM", "MKD", "MLFL", "MLSD", "MODE", "MRCP", "MRSQ", "MSAM",
    "MSND", "MSOM", "NLST", "NOOP", "PASS", "PASV", "PORT", "PWD", "QUIT", "REIN", "REST", "RETR",
    "RMD", "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE",
    "UMASK", "USER",
];

/// The shortest command.
const SHORTEST: usize = 3;

/// Commands by their last byte: lines are long, and most of their bytes end no command.
static BY_LAST: LazyLock<[Vec<&str>; 128]> = LazyLock::new(|| {
    std::array::from_fn(|last| {
        let commands = COMMANDS.iter().copied();
        commands
            .filter(|command| command.bytes().last().map(usize::from) == Some(last))
            .collect()
    })
});

/// The command of a line: the one that ends first in it, wherever it begins, in any case of letters. Suricata searches
/// the line for its commands, so that `XPWD` is a `PWD`.
pub(super) fn command(line: &[u8]) -> Option<&'static str> {
    let ends_at = |end: usize| {
        let head = line.get(..end)?;
        let last = head.last()?.to_ascii_uppercase();
        let commands = BY_LAST.get(usize::from(last))?.iter().copied();
        let ends = |command: &&str| {
            head.get(end.wrapping_sub(command.len())..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case(command.as_bytes()))
        };
        commands.into_iter().find(ends)
    };
    (SHORTEST..=line.len()).find_map(ends_at)
}

/// `1,2,3,4,5,6`, with nothing but white space around the numbers: an address and a port.
fn six(text: &[u8]) -> Option<(Ipv4Addr, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut numbers = [0; 6];
    let mut parts = text.splitn(6, ',');
    for (at, number) in numbers.iter_mut().enumerate() {
        let mut part = parts.next()?.trim();
        if at == 5 {
            let digits = part.find(|of: char| !of.is_ascii_digit());
            part = part.get(..digits.unwrap_or(part.len()))?;
        }
        *number = part.parse::<u8>().ok()?;
    }
    let [a, b, c, d, high, low] = numbers;
    Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

/// What `PORT` says: `192,168,0,13,234,10`.
pub(super) fn port(data: &[u8]) -> Option<(IpAddr, u16)> {
    let (address, port) = six(data)?;
    Some((IpAddr::V4(address), port))
}

/// What `EPRT` says: `|2|2001:db8::1|41813|`, with any delimiter. The address may be none.
pub(super) fn extended_port(data: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let text = std::str::from_utf8(data).ok()?.trim();
    let delimiter = text.chars().next()?;
    let mut parts = text.split(delimiter).skip(2);
    let address = parts.next()?.parse().ok();
    let port = parts.next()?.trim().parse().ok()?;
    // The last delimiter must be there.
    parts.next()?;
    Some((address, port))
}

/// The port of `227 Entering Passive Mode (212,27,32,66,221,243).`
pub(super) fn passive(reply: &[u8]) -> Option<u16> {
    let open = memchr::memchr(b'(', reply)?;
    let rest = reply.get(open + 1..)?;
    let close = memchr::memchr(b')', rest)?;
    let (_, port) = six(rest.get(..close)?)?;
    Some(port)
}

/// The port of `229 Entering Extended Passive Mode (|||48758|).`
pub(super) fn extended_passive(reply: &[u8]) -> Option<u16> {
    let at = memchr::memmem::find(reply, b"|||")?;
    let rest = reply.get(at + 3..)?;
    let end = memchr::memchr(b'|', rest)?;
    let port = std::str::from_utf8(rest.get(..end)?).ok()?;
    port.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_as_suricata_finds_them() {
        assert_eq!(command(b"USER anonymous"), Some("USER"));
        assert_eq!(command(b"retr x"), Some("RETR"));
        assert_eq!(command(b"SITE CHMOD 644 x"), Some("SITE"));
        assert_eq!(command(b"XPWD"), Some("PWD"));
        assert_eq!(command(b"auth tls"), Some("AUTH TLS"));
        assert_eq!(command(b"FEAT"), None);
        assert_eq!(command(b""), None);
        assert_eq!(command(b"PW"), None);
    }

    #[test]
    fn addresses_are_read() {
        let local = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 13));
        assert_eq!(port(b"192,168,0,13,234,10"), Some((local, 59914)));
        assert_eq!(port(b"212,27,32,66,257,243"), None);
        assert_eq!(port(b"1,2,3,4,5"), None);
        assert_eq!(port(b""), None);
        let (address, number) = extended_port(b"|2|2001:db8::1|41813|").expect("a port");
        assert_eq!(number, 41813);
        assert_eq!(address, "2001:db8::1".parse().ok());
        assert_eq!(extended_port(b"|2|2001:db8::1|81813|"), None);
        assert_eq!(extended_port(b"|2|2001:db8::1|41813"), None);
        let reply = b"227 Entering Passive Mode (212,27,32,66,221,243).";
        assert_eq!(passive(reply), Some(56819));
        assert_eq!(passive(b"227 (1,2,3,4,256,1)"), None);
        assert_eq!(passive(b"227 ("), None);
        assert_eq!(extended_passive(b"229 Fine (|||48758|)."), Some(48758));
        assert_eq!(extended_passive(b"229 Fine (|||48758"), None);
    }
}
