//! What is said so that a rule sees its buffers: a protocol, its messages, what carries them.

use weir_engine::app::{AppProto, AppSet};
use weir_engine::plan::{Buffer, Proto, Rule};

use super::fill::{Filled, keyword};
use super::parts::Parts;
use super::talk::{Carrier, Say};
use super::unmet::Unmet;
use super::{dns, http, mail, packet, tls};

/// What is said for a rule.
pub(super) struct Messages {
    pub(super) carrier: Carrier,
    pub(super) says: Vec<Say>,
    /// Ports of the server that are expected, the best first.
    pub(super) ports: &'static [u16],
    /// TCP segments without a handshake.
    pub(super) bare: bool,
}

/// What is said for a rule.
pub(super) fn messages(rule: &Rule, filled: &[Filled], attempt: usize) -> Result<Messages, Unmet> {
    let parts = Parts::new(rule, filled);
    for part in filled {
        if !matches!(part.buffer, Buffer::Payload | Buffer::App(_)) {
            return Err(Unmet::Buffer(keyword(part.buffer)));
        }
    }
    let carrier = carrier(rule);
    let proto = proto(rule, carrier, attempt);
    let mut made = match proto {
        None => packet::messages(rule, &parts, carrier)?,
        Some(proto) => of_protocol(rule, &parts, proto, attempt)?,
    };
    packet::fields(rule, parts.to_server, &mut made)?;
    Ok(made)
}

fn of_protocol(
    rule: &Rule,
    parts: &Parts<'_>,
    proto: AppProto,
    attempt: usize,
) -> Result<Messages, Unmet> {
    let tcp = |says: Vec<Say>, ports: &'static [u16]| Messages {
        carrier: Carrier::Tcp,
        says,
        ports,
        bare: false,
    };
    Ok(match proto {
        AppProto::Http1 => tcp(http::messages(rule, parts, attempt)?, &[80, 8080]),
        AppProto::Dns => {
            let over_tcp = matches!(
                rule.header.proto,
                Proto::Tcp | Proto::TcpPkt | Proto::TcpStream
            );
            Messages {
                carrier: if over_tcp { Carrier::Tcp } else { Carrier::Udp },
                says: dns::messages(rule, parts, over_tcp)?,
                ports: &[53],
                bare: false,
            }
        }
        AppProto::Tls => tcp(tls::messages(rule, parts, attempt)?, &[443]),
        AppProto::Smtp => tcp(mail::smtp(rule, parts, attempt)?, &[25, 587]),
        AppProto::Ftp => tcp(mail::ftp(rule, parts)?, &[21]),
        AppProto::Ssh => tcp(mail::ssh(rule, parts)?, &[22]),
        other => return Err(Unmet::Protocol(other.name())),
    })
}

/// True for a rule about HTTP/1.
pub(super) fn is_http(rule: &Rule) -> bool {
    proto(rule, carrier(rule), 0) == Some(AppProto::Http1)
}

/// The protocol that a rule's flow must speak; `None` where any bytes will do.
fn proto(rule: &Rule, carrier: Carrier, attempt: usize) -> Option<AppProto> {
    let protos = match rule.tx_needs() {
        Some(needs) => needs.protos,
        None if rule.app.protos.is_empty() => return None,
        None => rule.app.protos,
    };
    // Those that can be made, in the order of how common they are.
    const ORDER: &[AppProto] = &[
        AppProto::Http1,
        AppProto::Dns,
        AppProto::Tls,
        AppProto::Smtp,
        AppProto::Ftp,
        AppProto::Ssh,
        AppProto::Smb,
    ];
    let fits = |proto: AppProto| match carrier {
        Carrier::Udp => proto == AppProto::Dns,
        _ => true,
    };
    let known: Vec<AppProto> = ORDER
        .iter()
        .copied()
        .filter(|&of| protos.has(of) && fits(of))
        .collect();
    let turn = attempt % known.len().max(1);
    known.get(turn).copied().or_else(|| first(protos))
}

fn first(protos: AppSet) -> Option<AppProto> {
    AppProto::ALL.iter().copied().find(|&of| protos.has(of))
}

/// What carries the packets that a rule is about.
fn carrier(rule: &Rule) -> Carrier {
    match rule.header.proto {
        Proto::Tcp | Proto::TcpPkt | Proto::TcpStream => Carrier::Tcp,
        Proto::Udp => Carrier::Udp,
        Proto::Icmp | Proto::Icmp4 | Proto::Icmp6 => Carrier::Icmp,
        Proto::Igmp => Carrier::Ip(2),
        Proto::Sctp => Carrier::Ip(132),
        Proto::Number(number) => Carrier::Ip(number),
        _ => packet::carrier_of_tests(&rule.tests),
    }
}
