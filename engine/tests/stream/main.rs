//! TCP connections: what is believed, the states, the events, and any sequence of segments.

mod believed;
mod support;
