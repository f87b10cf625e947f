//! What Weir tells the outside: EVE JSON, and the figures of a run.
//!
//! * [`record`] turns an [`weir_engine::detect::Alert`] into one line of EVE JSON, laid out as Suricata 8 does; [`flow`] a
//!   flow that ended, [`packet`] a packet that was tagged, [`module`] what
//!   happened in an author's module, and [`counters`] what has been counted.
//! * [`interfaces`] says what the interfaces are called on which packets came.
//! * [`sink`] takes such records to a file or to standard output, and never leaves half a record behind.
//! * [`stats`] is the JSON object that `weir run --stats` writes.
//! * [`usage`] measures CPU time and memory of this process.
#![warn(missing_docs)]

pub mod app;
pub mod counters;
pub mod flow;
pub mod interfaces;
pub mod module;
pub mod packet;
pub mod protocol;
pub mod record;
pub mod sink;
pub mod stats;
pub mod usage;

pub use app::write_app;
pub use counters::{CounterRecord, write_counters};
pub use flow::write_flow;
pub use interfaces::Interfaces;
pub use module::write_module;
pub use packet::write_packet;
pub use record::write_alert;
pub use sink::{Eve, EveSink, FileSink, SinkError};
pub use stats::{StageCost, Stats};
