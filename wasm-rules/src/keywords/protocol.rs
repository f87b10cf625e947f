//! The protocols that a rule's header can name.

use super::nearest;
use crate::syntax::ast::{At, Problem};

/// Protocols of packets.
const PACKET: [&str; 15] = [
    "ip",
    "ipv4",
    "ip4",
    "ipv6",
    "ip6",
    "tcp",
    "tcp-pkt",
    "tcp-stream",
    "udp",
    "icmp",
    "icmpv4",
    "icmpv6",
    "sctp",
    "arp",
    "ether",
];
/// Pseudo-protocol of header tests, and protocols that are rarely asked for.
const OTHER_PACKET: [&str; 10] = [
    "pkthdr", "igmp", "esp", "gre", "tcp4", "tcp6", "udp4", "udp6", "icmp4", "icmp6",
];
/// Application layers.
const APPLICATION: [&str; 39] = [
    "http",
    "http1",
    "http2",
    "dns",
    "doh2",
    "mdns",
    "tls",
    "ssl",
    "quic",
    "ssh",
    "smb",
    "dcerpc",
    "smtp",
    "imap",
    "pop3",
    "ftp",
    "ftp-data",
    "tftp",
    "nfs",
    "ntp",
    "krb5",
    "ldap",
    "snmp",
    "dhcp",
    "sip",
    "rfb",
    "rdp",
    "telnet",
    "mqtt",
    "websocket",
    "pgsql",
    "ike",
    "modbus",
    "dnp3",
    "enip",
    "bittorrent-dht",
    "irc",
    "jabber",
    "template",
];

fn all() -> impl Iterator<Item = &'static str> {
    PACKET.into_iter().chain(OTHER_PACKET).chain(APPLICATION)
}

/// Checks that a header's protocol, with or without a hook (`http1:request_line`), is known.
///
/// # Errors
///
/// [`ProblemKind::Unsupported`](crate::syntax::ast::ProblemKind::Unsupported) when it is not. Look at `requires` first:
/// a rule for another version of Suricata may name a protocol that this one does not have.
pub fn check_protocol(proto: &At<String>) -> Result<(), Problem> {
    let name = proto.value.split(':').next().unwrap_or_default();
    if all().any(|known| known == name) {
        return Ok(());
    }
    let message = match nearest(name, all()) {
        Some(known) => format!("unknown protocol `{name}`; is `{known}` meant?"),
        None => format!("unknown protocol `{name}`"),
    };
    Err(Problem::unsupported(
        proto.place,
        format!("protocol {name}"),
        message,
    ))
}
