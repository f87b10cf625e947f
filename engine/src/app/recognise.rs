//! Which protocol a flow speaks, by its first bytes: whatever its ports, where the bytes alone say it, and by port and
//! bytes for protocols whose messages begin like anything.
//!
//! What is looked for is what Suricata looks for (its protocol detection patterns and probing parsers).

use super::proto::AppProto;
use super::transaction::Way;

/// What the first bytes of a direction say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// It is this.
    Is(AppProto),
    /// More bytes may tell.
    More,
    /// Nothing that is known.
    Nothing,
}

/// As many bytes as are waited for before a direction counts as unknown.
pub const ENOUGH: usize = 64;

/// Methods that begin an HTTP request, each followed by a blank.
const METHODS: &[&str] = &[
    "GET",
    "PUT",
    "POST",
    "HEAD",
    "TRACE",
    "OPTIONS",
    "CONNECT",
    "DELETE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "CHECKOUT",
    "UNCHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "REPORT",
    "MKWORKSPACE",
    "MKACTIVITY",
    "MERGE",
    "INVALID",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

/// Methods of SIP requests.
const SIP_METHODS: &[&str] = &[
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];

/// What is known of a flow beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The client's.
    pub client: u16,
    /// The server's.
    pub server: u16,
}

impl Ports {
    fn has(self, port: u16) -> bool {
        self.client == port || self.server == port
    }
}

/// Whether bytes begin with a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// As far as there are bytes.
    SoFar,
}

fn begins(data: &[u8], with: &[u8]) -> Fit {
    let common = data.len().min(with.len());
    match data.get(..common) == with.get(..common) {
        true if common == with.len() => Fit::Yes,
        true => Fit::SoFar,
        false => Fit::No,
    }
}

fn begins_nocase(data: &[u8], with: &[u8]) -> Fit {
    let common = data.len().min(with.len());
    let (left, right) = (
        data.get(..common).unwrap_or_default(),
        with.get(..common).unwrap_or_default(),
    );
    match left.eq_ignore_ascii_case(right) {
        true if common == with.len() => Fit::Yes,
        true => Fit::SoFar,
        false => Fit::No,
    }
}

/// A word and then a blank.
fn word(data: &[u8], word: &str) -> Fit {
    match begins_nocase(data, word.as_bytes()) {
        Fit::Yes => match data.get(word.len()) {
            Some(b' ' | b'\t') => Fit::Yes,
            Some(_) => Fit::No,
            None => Fit::SoFar,
        },
        other => other,
    }
}

/// What a direction of a TCP connection begins with.
pub fn tcp(way: Way, data: &[u8], ports: Ports) -> Guess {
    if data.is_empty() {
        return Guess::More;
    }
    let mut more = false;
    let mut is = |fit: Fit| {
        more |= fit == Fit::SoFar;
        fit == Fit::Yes
    };
    let to_server = way == Way::ToServer;
    if to_server {
        if is(begins(data, b"PRI * HTTP/2.0\r\n")) {
            return Guess::Is(AppProto::Http2);
        }
        // Some methods are SIP's and HTTP's: the end of the line says whose.
        const LONG_LINE: usize = 512;
        let sip = SIP_METHODS
            .iter()
            .any(|method| word(data, method) == Fit::Yes);
        match line_of(data) {
            Some(line) if sip && ends_nocase(line, b"SIP/2.0") => return Guess::Is(AppProto::Sip),
            None if sip && data.len() < LONG_LINE => return Guess::More,
            _ => {}
        }
        let may_be_sip = |method: &&str| word(data, method) == Fit::SoFar;
        if SIP_METHODS.iter().any(may_be_sip) {
            return Guess::More;
        }
        // Empty lines before a request do no harm.
        let start = data
            .iter()
            .take(4)
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let request = data.get(start..).unwrap_or(data);
        if METHODS.iter().any(|method| is(word(request, method))) {
            return Guess::Is(AppProto::Http1);
        }
    } else {
        if ["HTTP/0.9", "HTTP/1.0", "HTTP/1.1"]
            .iter()
            .any(|start| is(begins_nocase(data, start.as_bytes())))
        {
            return Guess::Is(AppProto::Http1);
        }
        if is(begins_nocase(data, b"SIP/2.0 ")) {
            return Guess::Is(AppProto::Sip);
        }
        // A server's HTTP/2 settings.
        if matches!(data, [0, 0, length, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0) && ports.has(80)
        {
            return Guess::Is(AppProto::Http2);
        }
    }
    match tls(data, to_server) {
        Fit::Yes => return Guess::Is(AppProto::Tls),
        Fit::SoFar => more = true,
        Fit::No => {}
    }
    let mut is = |fit: Fit| {
        more |= fit == Fit::SoFar;
        fit == Fit::Yes
    };
    if is(begins(data, b"SSH-")) {
        return Guess::Is(AppProto::Ssh);
    }
    if is(begins(data, b"RFB ")) {
        return Guess::Is(AppProto::Rfb);
    }
    if to_server {
        for command in ["EHLO", "HELO"] {
            if is(begins_nocase(data, command.as_bytes())) {
                return Guess::Is(AppProto::Smtp);
            }
        }
        for command in ["USER ", "PASS ", "PORT ", "FEAT"] {
            if is(begins_nocase(data, command.as_bytes())) {
                let pop = ports.has(110) && command == "USER ";
                return Guess::Is(if pop { AppProto::Pop3 } else { AppProto::Ftp });
            }
        }
        if is(begins_nocase(data, b"QUIT")) && (ports.server == 25 || ports.server == 587) {
            return Guess::Is(AppProto::Smtp);
        }
        if is(begins_nocase(data, b"1 CAPABILITY")) {
            return Guess::Is(AppProto::Imap);
        }
        if is(mqtt(data)) {
            return Guess::Is(AppProto::Mqtt);
        }
    } else {
        if is(begins(data, b"* OK ")) {
            return Guess::Is(AppProto::Imap);
        }
        if is(begins(data, b"+OK ")) {
            return Guess::Is(AppProto::Pop3);
        }
        if matches!(begins(data, b"220 "), Fit::Yes) || matches!(begins(data, b"220-"), Fit::Yes) {
            // Both mail and file servers say that; which of them, their words or the port tell.
            match line_of(data) {
                Some(line)
                    if contains_nocase(line, b"smtp")
                        || ports.server == 25
                        || ports.server == 587 =>
                {
                    return Guess::Is(AppProto::Smtp);
                }
                Some(_) => return Guess::Is(AppProto::Ftp),
                None => more = true,
            }
        } else {
            more |= begins(data, b"220 ") == Fit::SoFar;
        }
    }
    let mut is = |fit: Fit| {
        more |= fit == Fit::SoFar;
        fit == Fit::Yes
    };
    if is(smb(data, ports)) {
        return Guess::Is(AppProto::Smb);
    }
    if is(dcerpc(data)) {
        return Guess::Is(AppProto::DceRpc);
    }
    if is(begins(data, b"\xff\xfd")) || is(begins(data, b"\xff\xfb")) {
        return Guess::Is(AppProto::Telnet);
    }
    if is(rdp(data)) {
        return Guess::Is(AppProto::Rdp);
    }
    if ports.has(1883) && is(mqtt_message(data)) {
        return Guess::Is(AppProto::Mqtt);
    }
    if ports.has(53) && is(dns_tcp(data)) {
        return Guess::Is(AppProto::Dns);
    }
    if ports.has(88) && is(krb5(data.get(4..).unwrap_or_default())) {
        return Guess::Is(AppProto::Krb5);
    }
    if more && data.len() < ENOUGH * 8 {
        Guess::More
    } else {
        Guess::Nothing
    }
}

/// What a datagram is.
pub fn udp(_way: Way, data: &[u8], ports: Ports) -> Guess {
    if ports.has(5353) && dns(data) {
        return Guess::Is(AppProto::Mdns);
    }
    if ports.has(53) && dns(data) {
        return Guess::Is(AppProto::Dns);
    }
    if begins_nocase(data, b"SIP/2.0 ") == Fit::Yes
        || SIP_METHODS
            .iter()
            .any(|method| word(data, method) == Fit::Yes)
            && line_of(data).is_some_and(|line| ends_nocase(line, b"SIP/2.0"))
    {
        return Guess::Is(AppProto::Sip);
    }
    if (ports.has(161) || ports.has(162)) && snmp(data) {
        return Guess::Is(AppProto::Snmp);
    }
    if ports.has(88) && krb5(data) == Fit::Yes {
        return Guess::Is(AppProto::Krb5);
    }
    if quic(data) {
        return Guess::Is(AppProto::Quic);
    }
    if data.starts_with(b"d1:ad2:id20:")
        || data.starts_with(b"d1:rd2:id20:")
        || data.starts_with(b"d2:ip6:")
    {
        return Guess::Is(AppProto::BittorrentDht);
    }
    if ports.has(123)
        && data.len() >= 48
        && matches!(data.first(), Some(first) if (1..=4).contains(&(first >> 3 & 7)))
    {
        return Guess::Is(AppProto::Ntp);
    }
    if (ports.has(67) || ports.has(68)) && data.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63]) {
        return Guess::Is(AppProto::Dhcp);
    }
    if ports.has(69) && matches!(data, [0, 1..=5, ..]) {
        return Guess::Is(AppProto::Tftp);
    }
    if (ports.has(500) || ports.has(4500))
        && data.len() >= 28
        && matches!(data.get(17), Some(0x10 | 0x20))
    {
        return Guess::Is(AppProto::Ike);
    }
    if matches!(data, [4, 0..=10, _, _, ..]) && data.len() >= 80 {
        return Guess::Is(AppProto::DceRpc);
    }
    Guess::Nothing
}

/// TLS and SSL records, and SSLv2 hellos.
fn tls(data: &[u8], to_server: bool) -> Fit {
    match data {
        [0x14..=0x17, 3] | [0x14..=0x17] => Fit::SoFar,
        [0x14..=0x17, 3, 0..=4, ..] => Fit::Yes,
        // A hello of SSLv2, alone or for later versions: two bytes of length, then its type and version.
        [first, _, 1, 0, 2, ..] | [first, _, 1, 3, 0..=4, ..] if to_server && first & 0x80 != 0 => {
            Fit::Yes
        }
        [first] | [first, _] | [first, _, 1] | [first, _, 1, 0 | 3]
            if to_server && first & 0x80 != 0 =>
        {
            Fit::SoFar
        }
        _ => Fit::No,
    }
}

/// SMB over NetBIOS sessions.
fn smb(data: &[u8], ports: Ports) -> Fit {
    // A session request and its answer come before SMB on port 139.
    if ports.has(139) && matches!(data, [0x81 | 0x82, 0, ..]) {
        return Fit::Yes;
    }
    match data {
        [0] | [0, _] | [0, _, _] | [0, _, _, _] => Fit::SoFar,
        [0, _, _, _, rest @ ..] => {
            let fits = [b"\xffSMB", b"\xfeSMB", b"\xfdSMB"].map(|magic| begins(rest, magic));
            if fits.contains(&Fit::Yes) {
                Fit::Yes
            } else if fits.contains(&Fit::SoFar) {
                Fit::SoFar
            } else {
                Fit::No
            }
        }
        _ => Fit::No,
    }
}

/// Connection-oriented DCE/RPC: version 5.0 or 5.1, a known packet type, a known byte order.
fn dcerpc(data: &[u8]) -> Fit {
    match data {
        [5] | [5, 0 | 1] | [5, 0 | 1, 0..=19] | [5, 0 | 1, 0..=19, _] => Fit::SoFar,
        [5, 0 | 1, 0..=19, _, order, ..] if matches!(order & 0xf0, 0 | 0x10) => Fit::Yes,
        _ => Fit::No,
    }
}

/// A connection request or confirm of X.224 in TPKT.
fn rdp(data: &[u8]) -> Fit {
    match data {
        [3, 0, _, _, _, 0xe0 | 0xd0, ..] => Fit::Yes,
        [3] | [3, 0] | [3, 0, _] | [3, 0, _, _] | [3, 0, _, _, _] => Fit::SoFar,
        _ => Fit::No,
    }
}

/// A CONNECT of MQTT: its type, a length in one to four bytes, the protocol's name.
fn mqtt(data: &[u8]) -> Fit {
    if data.first() != Some(&0x10) {
        return Fit::No;
    }
    let length = data
        .iter()
        .skip(1)
        .take(4)
        .position(|byte| byte & 0x80 == 0);
    let Some(rest) = length.and_then(|at| data.get(at + 2..)) else {
        return if data.len() < 5 { Fit::SoFar } else { Fit::No };
    };
    match (begins(rest, b"\0\x04MQTT"), begins(rest, b"\0\x06MQIsdp")) {
        (Fit::Yes, _) | (_, Fit::Yes) => Fit::Yes,
        (Fit::SoFar, _) | (_, Fit::SoFar) => Fit::SoFar,
        _ => Fit::No,
    }
}

/// Any message of MQTT: a type that is assigned, a quality of service that is, a length in one to four bytes.
fn mqtt_message(data: &[u8]) -> Fit {
    match data.split_first() {
        Some((first, _)) if first & 0xf0 == 0 || first & 6 == 6 => Fit::No,
        Some((_, length)) if length.iter().take(4).any(|byte| byte & 0x80 == 0) => Fit::Yes,
        Some((_, length)) if length.len() >= 4 => Fit::No,
        _ => Fit::SoFar,
    }
}

/// A header of DNS that makes sense, and a first name that does.
fn dns(data: &[u8]) -> bool {
    let Some(header) = data.first_chunk::<12>() else {
        return false;
    };
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let opcode = header[2] >> 3 & 0xf;
    // What no message has: thousands of questions, or nothing at all.
    let questions = count(4);
    let records = [count(6), count(8), count(10)];
    if opcode > 6 && opcode != 15 || questions > 32 {
        return false;
    }
    let room = (data.len() - 12) / 5;
    usize::from(questions) <= room + 1
        && (questions > 0 || records.iter().any(|&count| count > 0) || header[2] & 0x80 != 0)
}

/// A message of DNS behind its length.
fn dns_tcp(data: &[u8]) -> Fit {
    match data.get(2..) {
        Some(message) if message.len() >= 12 => {
            if dns(message) {
                Fit::Yes
            } else {
                Fit::No
            }
        }
        _ => Fit::SoFar,
    }
}

/// A message of SNMP: a sequence that begins with a small version number.
fn snmp(data: &[u8]) -> bool {
    let Some((&0x30, rest)) = data.split_first() else {
        return false;
    };
    let skip = match rest.first() {
        Some(length) if length & 0x80 == 0 => 1,
        Some(length) => 1 + usize::from(length & 0x7f),
        None => return false,
    };
    matches!(rest.get(skip..), Some([2, 1, 0..=3, ..]))
}

/// A message of Kerberos: an application tag that it uses.
fn krb5(data: &[u8]) -> Fit {
    match data.first() {
        Some(tag)
            if tag & 0xe0 == 0x60 && matches!(tag & 0x1f, 10..=16 | 20..=22 | 25..=27 | 30) =>
        {
            Fit::Yes
        }
        Some(_) => Fit::No,
        None => Fit::SoFar,
    }
}

/// A long header of QUIC that a client begins with: version 1, 2 or a draft, or Google's.
fn quic(data: &[u8]) -> bool {
    match data {
        [first, version @ ..] if first & 0xc0 == 0xc0 => match version {
            [0, 0, 0, 1, ..] | [0x6b, 0x33, 0x43, 0xcf, ..] | [0xff, 0, 0, _, ..] => {
                data.len() > 40
            }
            [b'Q' | b'T', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => data.len() > 40,
            _ => false,
        },
        // Google's public header with a version.
        [first, rest @ ..] if first & 0x09 == 0x09 && first & 0xc0 == 0 => {
            matches!(
                rest.get(8..12),
                Some([b'Q', b'0', b'0'..=b'9', b'0'..=b'9'])
            )
        }
        _ => false,
    }
}

/// The first line, without its end.
fn line_of(data: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 2048;
    let end = data.iter().take(LONGEST).position(|&byte| byte == b'\n')?;
    let line = data.get(..end)?;
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn ends_nocase(line: &[u8], with: &[u8]) -> bool {
    let tail = line
        .len()
        .checked_sub(with.len())
        .and_then(|at| line.get(at..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(with))
}

fn contains_nocase(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len())
        .any(|window| window.eq_ignore_ascii_case(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Ports = Ports {
        client: 40_000,
        server: 80,
    };

    fn guess(way: Way, data: &[u8], server: u16) -> Guess {
        tcp(
            way,
            data,
            Ports {
                client: 40_000,
                server,
            },
        )
    }

    #[test]
    fn protocols_are_known_by_their_first_bytes_on_any_port() {
        use AppProto::*;
        let (ts, tc) = (Way::ToServer, Way::ToClient);
        let cases: &[(Way, &[u8], AppProto)] = &[
            (ts, b"GET / HTTP/1.1\r\n", Http1),
            (ts, b"post /x HTTP/1.1\r\n", Http1),
            (tc, b"HTTP/1.1 200 OK\r\n", Http1),
            (ts, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2),
            (ts, b"OPTIONS sip:a@b SIP/2.0\r\n", Sip),
            (ts, b"INVITE sip:a@b SIP/2.0\r\n", Sip),
            (ts, b"\x16\x03\x01\x02\0\x01", Tls),
            (ts, b"\x80\x2e\x01\x03\x01\0", Tls),
            (ts, b"SSH-2.0-x\r\n", Ssh),
            (tc, b"SSH-2.0-x\r\n", Ssh),
            (ts, b"EHLO me\r\n", Smtp),
            (ts, b"USER me\r\n", Ftp),
            (tc, b"220 ftp ready\r\n", Ftp),
            (tc, b"220 x ESMTP\r\n", Smtp),
            (ts, b"\0\0\0\x45\xffSMBr", Smb),
            (ts, b"\0\0\0\x45\xfeSMB@", Smb),
            (ts, b"\x05\0\x0b\x03\x10\0\0\0", DceRpc),
            (ts, b"\x10\x10\0\x04MQTT\x04", Mqtt),
            (ts, b"\x03\0\0\x13\x0e\xe0\0\0", Rdp),
        ];
        for &(way, data, proto) in cases {
            assert_eq!(
                guess(way, data, 4444),
                Guess::Is(proto),
                "{}",
                data.escape_ascii()
            );
            // No prefix says anything else.
            for end in 0..data.len() {
                let of_part = guess(way, &data[..end], 4444);
                assert!(
                    matches!(of_part, Guess::More) || of_part == Guess::Is(proto),
                    "{} {of_part:?}",
                    data[..end].escape_ascii()
                );
            }
        }
        for data in [&b"hello there"[..], b"GETTING", b"\0\0\0\0\0\0\0\0\0"] {
            assert_eq!(
                tcp(ts, data, WEB),
                Guess::Nothing,
                "{}",
                data.escape_ascii()
            );
        }
    }

    #[test]
    fn datagrams_are_known_by_their_port_and_bytes() {
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let ports = |server| Ports {
            client: 40_000,
            server,
        };
        assert_eq!(
            udp(Way::ToServer, query, ports(53)),
            Guess::Is(AppProto::Dns)
        );
        assert_eq!(
            udp(Way::ToServer, query, ports(5353)),
            Guess::Is(AppProto::Mdns)
        );
        assert_eq!(udp(Way::ToServer, query, ports(54)), Guess::Nothing);
        assert_eq!(
            udp(Way::ToServer, b"\x30\x05\x02\x01\x01", ports(161)),
            Guess::Is(AppProto::Snmp)
        );
    }
}
