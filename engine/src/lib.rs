//! The packet path of Weir, without any input or output: frames go in, alerts and verdicts come out as values.
//!
//! ```text
//! frame ─► packet (decode, defragment) ─► flow ─► detect ─► matcher ─► eval ─► verdict, alerts
//! ```
//!
//! * [`packet`] turns link-layer frames into [`packet::Packet`]s and raises decoder events.
//! * [`flow`] keeps the flow table: direction, handshake state, what earlier verdicts decided.
//! * [`plan`] is what a rule *is* once its text has been read: predicates, buffers, operations.
//! * [`matcher`] finds probes (short literals) in buffers; one contract, several backends.
//! * [`eval`] decides whether a candidate rule really matches.
//! * [`detect`] ties them together and settles verdicts, thresholds and alerts.
#![warn(missing_docs)]

pub mod detect;
pub mod eval;
pub mod flow;
pub mod matcher;
pub mod packet;
pub mod pcre;
pub mod plan;
