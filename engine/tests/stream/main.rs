//! TCP connections: what is believed, the states, the events, and any sequence of segments.

mod any;
mod believed;
mod events;
mod handshake;
mod support;
mod transfer;
