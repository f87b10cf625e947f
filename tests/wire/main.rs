//! `weir run --inline` between two hosts: real clients and servers, attacks, failures. Hosts are network namespaces.

#[path = "../common/mod.rs"]
mod common;
mod sensor;

mod failures;
mod flows;
mod refusals;
mod soak;
mod traffic;
