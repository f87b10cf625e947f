//! The world of `wasm-rules/wit`, as Rust has it.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "rules",
    imports: { default: trappable },
});

pub use weir::rules::declaration;
pub use weir::rules::{clock, host, log, random};
