//! TCP: the state of a connection, its two streams of bytes, and the windows in which rules look at them.
//!
//! `session` follows the handshake, sequence and acknowledgement numbers and windows, and says which segments the
//! receiver takes. Their data goes into the reassembly of its direction.

mod event;
mod session;

pub use event::{StreamEvent, StreamEvents};
pub(crate) use session::is_syn;
pub use session::{Session, Step, TcpState};
