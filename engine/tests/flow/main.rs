//! The flow table: direction, handshakes and their evasions, timeouts, eviction, ICMP errors.

mod ends;
mod icmp;
mod model;
mod support;
mod table;
