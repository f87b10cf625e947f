//! DHCP for IPv4 (RFC 2131, 2132): who asks for which address, and what is offered for how long. Each message is a
//! transaction of its own.
//!
//! Limits: a message's options end with the datagram; a record names at most 256 parameters, servers or routers each.

use serde_json::{Map, Value};

use super::remember::Remembered;
use super::text::{eve_text, hex};
use super::{AppField, AppProto, Output, Parser, TxId, Way};

/// Events of DHCP, by their names in rules.
pub const EVENTS: &[&str] = &["dhcp.malformed_options", "dhcp.truncated_options"];

/// Bytes before the options: header, server name, file name, magic cookie.
const HEADER: usize = 240;
/// Most values of a list that a record shows.
const MOST_VALUES: usize = 256;

const SUBNET_MASK: u8 = 1;
const ROUTERS: u8 = 3;
const DNS_SERVERS: u8 = 6;
const HOSTNAME: u8 = 12;
const REQUESTED_IP: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const PARAMETERS: u8 = 55;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
const CLIENT_ID: u8 = 61;
const END: u8 = 255;

/// Reads DHCP.
#[derive(Debug, Default)]
pub struct Dhcp {
    objects: Remembered<Value>,
}

impl Dhcp {
    /// For a flow of DHCP.
    pub fn new() -> Self {
        Self::default()
    }
}

/// An address, or what stands in its place.
fn address(bytes: &[u8]) -> String {
    match bytes {
        [a, b, c, d] => format!("{a}.{b}.{c}.{d}"),
        _ => hex(bytes, ":"),
    }
}

fn addresses(bytes: &[u8]) -> Value {
    let all = bytes.chunks_exact(4).take(MOST_VALUES);
    all.map(address).collect::<Vec<_>>().into()
}

/// What the header says.
fn header(message: &[u8], object: &mut Map<String, Value>) {
    let at = |start: usize, len: usize| message.get(start..start + len).unwrap_or_default();
    let opcode = message.first().copied().unwrap_or_default();
    let kind = match opcode {
        1 => "request",
        2 => "reply",
        _ => "<unknown>",
    };
    object.insert("type".into(), kind.into());
    let id = at(4, 4).first_chunk().copied().unwrap_or_default();
    object.insert("id".into(), u32::from_be_bytes(id).into());
    let hardware = usize::from(message.get(2).copied().unwrap_or_default()).min(16);
    object.insert("client_mac".into(), hex(at(28, hardware), ":").into());
    object.insert("assigned_ip".into(), address(at(16, 4)).into());
    object.insert("client_ip".into(), address(at(12, 4)).into());
    if opcode == 2 {
        object.insert("relay_ip".into(), address(at(24, 4)).into());
        object.insert("next_server_ip".into(), address(at(20, 4)).into());
    }
}

/// What an option says.
fn option(code: u8, data: &[u8], object: &mut Map<String, Value>) {
    let (name, value): (_, Value) = match code {
        SUBNET_MASK => ("subnet_mask", address(data).into()),
        ROUTERS => ("routers", addresses(data)),
        DNS_SERVERS => ("dns_servers", addresses(data)),
        HOSTNAME if !data.is_empty() => ("hostname", eve_text(data).into()),
        REQUESTED_IP => ("requested_ip", address(data).into()),
        KIND if !data.is_empty() => ("dhcp_type", kind(data).into()),
        PARAMETERS => {
            let names = data.iter().filter_map(|&code| parameter(code));
            ("params", names.take(MOST_VALUES).collect::<Vec<_>>().into())
        }
        CLIENT_ID => (
            "client_id",
            hex(data.get(1..).unwrap_or_default(), ":").into(),
        ),
        _ => return,
    };
    object.insert(name.into(), value);
}

fn kind(data: &[u8]) -> &'static str {
    match data.first() {
        Some(1) => "discover",
        Some(2) => "offer",
        Some(3) => "request",
        Some(4) => "decline",
        Some(5) => "ack",
        Some(6) => "nak",
        Some(7) => "release",
        Some(8) => "inform",
        _ => "unknown",
    }
}

fn parameter(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "subnet_mask",
        3 => "router",
        6 => "dns_server",
        15 => "domain",
        35 => "arp_timeout",
        42 => "ntp_server",
        66 => "tftp_server_name",
        150 => "tftp_server_ip",
        _ => return None,
    })
}

impl Parser for Dhcp {
    fn proto(&self) -> AppProto {
        AppProto::Dhcp
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        self.objects.forget(out);
        let Some(mut rest) = data.get(HEADER..) else {
            return;
        };
        let tx = out.begin();
        let mut object = Map::new();
        header(data, &mut object);
        loop {
            let (code, len, tail) = match rest {
                [END, ..] => break,
                [code, len, tail @ ..] => (*code, usize::from(*len), tail),
                _ => {
                    out.event(tx, "dhcp.truncated_options");
                    break;
                }
            };
            let time = match code {
                LEASE_TIME => Some((AppField::DhcpLeaseTime, "lease_time")),
                REBINDING_TIME => Some((AppField::DhcpRebindingTime, "rebinding_time")),
                RENEWAL_TIME => Some((AppField::DhcpRenewalTime, "renewal_time")),
                _ => None,
            };
            // A time is four bytes, whatever its length says.
            let len = if time.is_some() { 4 } else { len };
            let Some((value, tail)) = tail.split_at_checked(len) else {
                out.event(tx, "dhcp.truncated_options");
                break;
            };
            if code == CLIENT_ID && len < 2 {
                out.event(tx, "dhcp.malformed_options");
                break;
            }
            rest = tail;
            match (time, value.first_chunk::<4>()) {
                (Some((field, name)), Some(seconds)) => {
                    let seconds = u32::from_be_bytes(*seconds);
                    // Rules see the first of a kind.
                    if !object.contains_key(name) {
                        out.number(tx, way, field, seconds.into());
                        object.insert(name.into(), seconds.into());
                    }
                }
                _ => option(code, value, &mut object),
            }
        }
        out.finish(tx);
        let object = Value::Object(object);
        if out.logs() {
            out.log(way, "dhcp", object.clone());
        }
        self.objects.put(tx, object, out);
    }

    fn gap(&mut self, _way: Way, _out: &mut Output) {}

    fn end(&mut self, _way: Way, _out: &mut Output) {}

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let object = self.objects.get(tx)?;
        Some(("dhcp", object.clone()))
    }

    fn memory(&self) -> usize {
        self.objects.memory()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(opcode: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![opcode, 1, 6, 0, 0, 0, 0x3d, 0x1d];
        bytes.resize(16, 0);
        bytes.extend([192, 168, 0, 10, 192, 168, 0, 1, 0, 0, 0, 0]);
        bytes.extend([0, 0x0b, 0x82, 1, 0xfc, 0x42]);
        bytes.resize(236, 0);
        bytes.extend([0x63, 0x82, 0x53, 0x63]);
        bytes.extend(options);
        bytes
    }

    fn read(bytes: &[u8]) -> (Dhcp, Output) {
        let (mut parser, mut out) = (Dhcp::new(), Output::everything());
        parser.data(Way::ToClient, bytes, &mut out);
        (parser, out)
    }

    #[test]
    fn an_offer_shows_its_times() {
        let options = [
            &[53, 1, 2, 58, 4, 0, 0, 7, 8, 59, 4, 0, 0, 12, 78][..],
            &[51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255],
        ];
        let (parser, out) = read(&message(2, &options.concat()));
        let tx = out.get(0).expect("a transaction");
        assert!(tx.is_done() && tx.events().is_empty());
        let first = |field| tx.numbers(Way::ToClient, field).next();
        assert_eq!(first(AppField::DhcpLeaseTime), Some(3600));
        assert_eq!(first(AppField::DhcpRenewalTime), Some(1800));
        assert_eq!(first(AppField::DhcpRebindingTime), Some(3150));
        let (_, object) = parser.describe(0, &out).expect("an object");
        assert_eq!(object["dhcp_type"], "offer");
        assert_eq!(object["client_mac"], "00:0b:82:01:fc:42");
        assert_eq!(object["assigned_ip"], "192.168.0.10");
        assert_eq!(object["subnet_mask"], "255.255.255.0");
    }

    #[test]
    fn options_that_break_off_are_told() {
        for options in [&[53, 4, 1][..], &[53], &[], &[51, 4, 0, 0]] {
            let (_, out) = read(&message(1, options));
            let tx = out.get(0).expect("a transaction");
            assert_eq!(tx.events(), ["dhcp.truncated_options"]);
        }
        let (_, out) = read(&message(1, &[61, 1, 1, 255]));
        let tx = out.get(0).expect("a transaction");
        assert_eq!(tx.events(), ["dhcp.malformed_options"]);
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(options in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..600) {
            let mut bytes = message(2, &options);
            bytes.truncate(cut);
            read(&bytes);
        }
    }
}
