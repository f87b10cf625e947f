//! Which protocol a flow speaks, by its first bytes: whatever its ports, where the bytes alone say it, and by port and
//! bytes for protocols whose messages begin like anything.
//!
//! What is looked for is what Suricata looks for (its protocol detection patterns and probing parsers).

mod binary;
#[cfg(test)]
mod tests;
mod text;

use std::cell::Cell;

use binary::{dcerpc, dns, dns_tcp, krb5, mqtt, mqtt_message, quic, rdp, smb, snmp, tls};
use text::{
    METHODS, SIP_METHODS, begins, begins_nocase, contains_nocase, ends_nocase, line_of, word,
};

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

/// Once so many bytes of a direction have come, more of them tell nothing.
const ENOUGH: usize = 512;

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

/// What a direction of a TCP connection begins with.
pub fn tcp(way: Way, data: &[u8], ports: Ports) -> Guess {
    if data.is_empty() {
        return Guess::More;
    }
    let more = Cell::new(false);
    let is = |fit: Fit| {
        more.set(more.get() || fit == Fit::SoFar);
        fit == Fit::Yes
    };
    let to_server = way == Way::ToServer;
    if to_server {
        if is(begins(data, b"PRI * HTTP/2.0\r\n")) {
            return Guess::Is(AppProto::Http2);
        }
        // Some methods are SIP's and HTTP's: the end of the line says whose.
        let sip = SIP_METHODS
            .iter()
            .any(|method| word(data, method) == Fit::Yes);
        match line_of(data) {
            Some(line) if sip && ends_nocase(line, b"SIP/2.0") => return Guess::Is(AppProto::Sip),
            None if sip && data.len() < ENOUGH => return Guess::More,
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
    if is(tls(data, to_server)) {
        return Guess::Is(AppProto::Tls);
    }
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
        if is(begins(data, b"220 ")) || is(begins(data, b"220-")) {
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
                None => more.set(true),
            }
        }
    }
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
    if more.get() && data.len() < ENOUGH {
        Guess::More
    } else {
        Guess::Nothing
    }
}

/// What a datagram is.
pub fn udp(_way: Way, data: &[u8], ports: Ports) -> Guess {
    if ports.has(5353) && dns(data, data.len()) {
        return Guess::Is(AppProto::Mdns);
    }
    if ports.has(53) && dns(data, data.len()) {
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
