//! Application layers: which protocol a flow speaks, and what it says, as transactions with buffers that rules look into.
//!
//! ```text
//! stream bytes, datagrams ─► Detector: which protocol ─► Parser ─► Output: transactions ─► detect: probes, rules, records
//! ```
//!
//! [`AppProto`] names protocols, [`AppBuffer`] and [`AppField`] what there is to look at. A [`Parser`] takes bytes of
//! one flow as they come and writes to an [`Output`]. Adding a protocol is a module with a `Parser`, a line in
//! [`parser_for`], its patterns in the detector, and a fuzz target.

use std::sync::LazyLock;

mod apps;
mod buffer;
mod bytes;
mod change;
mod dcerpc;
mod dhcp;
mod dns;
mod file;
mod flow;
mod ftp;
mod http;
mod http2;
mod krb5;
mod lines;
mod magic;
mod mqtt;
mod output;
mod parser;
mod proto;
mod quic;
mod recognise;
mod remember;
mod rfb;
mod sip;
mod smb;
mod smtp;
mod snmp;
mod ssh;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod tls;
mod transaction;
mod websocket;

pub use apps::AppCounters;
pub(crate) use apps::{Apps, Told};
pub use buffer::{AppBuffer, AppField, Ways, level};
pub use file::{FILE_LIMIT, File, FileState};
pub(crate) use flow::AppId;
pub use flow::{FLOW_EVENTS, FlowApp};
pub use magic::describe as describe_file;
pub use output::{Expected, Output, Record, Wants};
pub use parser::{Parser, Pending};
pub use proto::{AppProto, AppSet};
pub use recognise::{Guess, Ports, tcp as recognise_tcp, udp as recognise_udp};
pub use transaction::{MOST_LIVE, Transaction, TxId, Way};

/// A parser for a protocol; `None` for one that is only told by name. `hint`: what another flow said of this one
/// ([`Expected::hint`]).
pub fn parser_for(proto: AppProto, udp: bool, hint: u64) -> Option<Box<dyn Parser>> {
    Some(match (proto, udp) {
        (AppProto::Http1, false) => Box::new(http::Http1::new()),
        (AppProto::Http2 | AppProto::Doh2, false) => Box::new(http2::Http2::new()),
        (AppProto::Dns, _) => Box::new(dns::Dns::new(udp)),
        (AppProto::Mdns, true) => Box::new(dns::Dns::multicast()),
        (AppProto::Tls, false) => Box::new(tls::Tls::new()),
        (AppProto::Quic, true) => Box::new(quic::Quic::new()),
        (AppProto::Ssh, false) => Box::new(ssh::Ssh::new()),
        (AppProto::Smtp, false) => Box::new(smtp::Smtp::default()),
        (AppProto::Ftp, false) => Box::new(ftp::Ftp::default()),
        (AppProto::FtpData, false) => Box::new(ftp::FtpData::new(hint)),
        (AppProto::Smb, false) => Box::new(smb::Smb::default()),
        (AppProto::DceRpc, true) => Box::new(dcerpc::DceRpcUdp::default()),
        (AppProto::DceRpc, false) => Box::new(dcerpc::DceRpc::default()),
        (AppProto::Sip, _) => Box::new(sip::Sip::new(udp)),
        (AppProto::Mqtt, false) => Box::new(mqtt::Mqtt::new()),
        (AppProto::Snmp, true) => Box::new(snmp::Snmp::new()),
        (AppProto::Krb5, _) => Box::new(krb5::Krb5::new(udp)),
        (AppProto::Dhcp, true) => Box::new(dhcp::Dhcp::new()),
        (AppProto::Rfb, false) => Box::new(rfb::Rfb::new()),
        (AppProto::Websocket, false) => Box::new(websocket::Websocket::new()),
        _ => return None,
    })
}

/// The protocols that there is a parser for, over UDP or over TCP.
pub fn read_over(udp: bool) -> AppSet {
    static READ: LazyLock<[AppSet; 2]> = LazyLock::new(|| {
        [false, true].map(|udp| {
            let read = AppProto::ALL
                .iter()
                .filter(|&&proto| parser_for(proto, udp, 0).is_some());
            read.fold(AppSet::EMPTY, |set, &proto| set.or(AppSet::of(&[proto])))
        })
    });
    READ[usize::from(udp)]
}

/// The events that `app-layer-event` can ask for, each with its protocol's name before it.
pub fn events() -> impl Iterator<Item = &'static str> {
    const ALL: &[&[&str]] = &[
        dcerpc::EVENTS,
        dhcp::EVENTS,
        dns::EVENTS,
        dns::MDNS_EVENTS,
        ftp::EVENTS,
        http::EVENTS,
        http2::EVENTS,
        mqtt::EVENTS,
        quic::EVENTS,
        rfb::EVENTS,
        sip::EVENTS,
        smb::EVENTS,
        smtp::EVENTS,
        snmp::EVENTS,
        ssh::EVENTS,
        tls::EVENTS,
        krb5::EVENTS,
        websocket::EVENTS,
    ];
    ALL.iter().copied().flatten().copied()
}
