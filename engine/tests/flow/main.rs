//! The flow table: direction, handshakes and their evasions, timeouts, eviction, ICMP errors.

mod icmp;
mod support;
mod table;
mod tcp;
