//! `weir run --inline` between two hosts: real clients and servers, attacks, failures. Hosts are network namespaces.

#[path = "../common/mod.rs"]
mod common;
mod sensor;

#[path = "../../wasm-rules/wasm/tests/modules/guest.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod guest;

mod failures;
mod flows;
mod interfaces;
mod modules;
mod refusals;
mod soak;
mod traffic;
mod writing;
