//! The world of `wasm-rules/wit`, as Rust has it.
#![expect(
    missing_docs,
    reason = "what is generated says nothing that the world does not"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "rules",
    imports: { default: trappable },
});

pub use weir::rules::declaration;
pub use weir::rules::{clock, host, log, random};
