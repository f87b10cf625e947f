//! Application layers: which protocol a flow speaks, and what it says, as transactions with buffers that rules look into.
//!
//! ```text
//! stream bytes, datagrams ─► Detector: which protocol ─► Parser ─► Output: transactions ─► detect: probes, rules, records
//! ```
//!
//! [`AppProto`] names protocols, [`AppBuffer`] and [`AppField`] what there is to look at. A [`Parser`] takes bytes of
//! one flow as they come and writes to an [`Output`]. Adding a protocol is a module with a `Parser`, a line in
//! [`parser_for`], its patterns in the detector, and a fuzz target.

mod buffer;
mod bytes;
pub mod dns;
mod file;
pub mod krb5;
mod magic;
pub mod mqtt;
mod parser;
mod proto;
pub mod quic;
pub mod sip;
pub mod snmp;
pub mod ssh;
mod text;
pub mod tls;
mod transaction;

pub use buffer::{AppBuffer, AppField, Ways, level};
pub use file::{FILE_LIMIT, File, FileState};
pub use magic::describe as describe_file;
pub use parser::{Parser, Pending};
pub use proto::{AppProto, AppSet};
pub use transaction::{Expected, MOST_LIVE, Output, Record, Transaction, TxId, Wants, Way};

/// A parser for a protocol; `None` for one that is only told by name.
pub fn parser_for(proto: AppProto, udp: bool, hint: u64) -> Option<Box<dyn Parser>> {
    let _ = hint;
    Some(match proto {
        AppProto::Dns => Box::new(dns::Dns::new(udp)),
        AppProto::Mdns => Box::new(dns::Dns::multicast()),
        AppProto::Tls => Box::new(tls::Tls::new()),
        AppProto::Ssh => Box::new(ssh::Ssh::new()),
        AppProto::Sip => Box::new(sip::Sip::new(udp)),
        AppProto::Mqtt => Box::new(mqtt::Mqtt::new()),
        AppProto::Snmp => Box::new(snmp::Snmp::new()),
        AppProto::Quic => Box::new(quic::Quic::new()),
        AppProto::Krb5 => Box::new(krb5::Krb5::new(udp)),
        _ => return None,
    })
}

/// The events that `app-layer-event` can ask for, each with its protocol's name before it.
pub fn events() -> impl Iterator<Item = &'static str> {
    let all: &[&[&'static str]] = &[
        dns::EVENTS,
        dns::MDNS_EVENTS,
        tls::EVENTS,
        ssh::EVENTS,
        sip::EVENTS,
        mqtt::EVENTS,
        snmp::EVENTS,
        quic::EVENTS,
        krb5::EVENTS,
    ];
    all.iter().copied().flatten().copied()
}
