//! Probe sets as memory images of the matcher core, and the golden model of the core.

mod answers;
mod ends;
mod entries;
mod exact;
mod filter;
mod geometry;
mod golden;
mod key;
mod loaded;
mod model;
mod offload;
pub mod rates;
mod records;
pub mod share;
pub mod split;
mod write;

pub use answers::{Answers, Pending};
pub use ends::{Ended, Ends};
pub use entries::{Entry, Literal, entries};
pub use filter::Filters;
pub use geometry::{Geometry, GeometryError, Size};
pub use golden::{EntryHit, Golden, Look};
pub use key::{Hash, Key};
pub use loaded::{DoesNotFit, Loaded, Switch};
pub use model::Model;
pub use offload::{Offload, Settings, Tally};
pub use rates::PassRates;
pub use records::append;
pub use write::{Write, register_writes};
