//! Detection: from a packet to its alerts and verdict.
//!
//! An [`Engine`] is one worker: it decodes a frame, finds the flow, asks the matcher which probes occur, checks the
//! header of the rules that this makes candidates, has them evaluated, and settles the verdict. What matched leaves it
//! as [`Found`]. [`Alerts`] takes these in packet order, from however many workers, applies what counts across flows
//! (thresholds) and hands out [`Alert`]s.

mod alert;
mod change;
mod commit;
mod engine;
mod event;
mod glance;
mod groups;
mod header;
mod index;
mod inspector;
mod interval;
mod prepared;
mod profile;
mod search;
#[cfg(test)]
mod strategies;
mod verdict;

pub use alert::{Alert, CarriedOut, FlowFacts, PacketFacts};
pub use change::{Change, Retired, Successor};
pub use commit::Alerts;
pub use engine::{Counters, Engine, EngineConfig, EngineError, Found, Matched};
pub use event::{AppFacts, AppRecord, Event, Noticed, Place, Tagged, What};
pub use groups::Groups;
pub use inspector::inspected_payload;
pub use prepared::Prepared;
pub use profile::{Profile, Spent, Stage};
pub use search::SearchCounters;
pub use verdict::{FlowVerdict, Verdict};
