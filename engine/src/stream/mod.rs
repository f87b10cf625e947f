//! TCP: the state of a connection, its two streams of bytes, and the windows in which rules look at them.
//!
//! `session` follows the handshake, sequence and acknowledgement numbers and windows, and says which segments the
//! receiver takes. Their data goes into the reassembly of its direction.

mod direction;
mod event;
mod policy;
mod pool;
mod pseudo;
mod saved;
mod session;
mod streams;
mod window;

pub(crate) use direction::{Direction, Refusal};
pub use event::{StreamEvent, StreamEvents};
pub use policy::StreamPolicy;
pub(crate) use pseudo::Headers;
pub(crate) use saved::SavedConnection;
pub(crate) use session::is_syn;
pub use session::{Session, SessionConfig, Step, TcpState, UrgentPolicy};
pub use streams::{StreamConfig, StreamCounters};
pub(crate) use streams::{StreamId, Streams};
pub(crate) use window::{Due, MOST_CANDIDATES, Window};
