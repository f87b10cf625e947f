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
mod dcerpc;
mod file;
mod ftp;
mod lines;
mod magic;
mod parser;
mod proto;
mod smb;
mod smtp;
mod transaction;

pub use buffer::{AppBuffer, AppField, Ways, level};
pub use file::{FILE_LIMIT, File, FileState};
pub use magic::describe as describe_file;
pub use parser::{Parser, Pending};
pub use proto::{AppProto, AppSet};
pub use transaction::{Expected, MOST_LIVE, Output, Record, Transaction, TxId, Wants, Way};

/// A parser for a protocol; `None` for one that is only told by name.
pub fn parser_for(proto: AppProto, udp: bool, hint: u64) -> Option<Box<dyn Parser>> {
    match proto {
        AppProto::Ftp => Some(Box::new(ftp::Ftp::default())),
        AppProto::FtpData => Some(Box::new(ftp::FtpData::new(hint))),
        AppProto::Smb => Some(Box::new(smb::Smb::default())),
        AppProto::Smtp => Some(Box::new(smtp::Smtp::default())),
        AppProto::DceRpc if udp => Some(Box::new(dcerpc::DceRpcUdp::default())),
        AppProto::DceRpc => Some(Box::new(dcerpc::DceRpc::default())),
        _ => None,
    }
}

/// The events that `app-layer-event` can ask for, each with its protocol's name before it.
pub fn events() -> impl Iterator<Item = &'static str> {
    let all: [&[&str]; 4] = [ftp::EVENTS, smtp::EVENTS, smb::EVENTS, dcerpc::EVENTS];
    all.into_iter().flatten().copied()
}
