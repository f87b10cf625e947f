//! From what a compiler makes, a core module, to a component of the rule world.

use std::fmt;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The world that modules are written against.
pub const WORLD: &str = include_str!("../../wit/rules.wit");

/// Why bytes could not be made a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// They are no WebAssembly at all.
    #[error("not WebAssembly: {0}; expected a core module, which begins with \\0asm")]
    NotWasm(String),
    /// They are a component already.
    #[error("it is a component already, and can be used as it is")]
    Component,
    /// The module does not fit the world.
    #[error("it does not fit the world weir:rules: {0}{hint}", hint = Hint(.0))]
    Misfit(String),
}

/// What to do about the commonest misfits.
struct Hint<'a>(&'a str);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains("wasi") {
            f.write_str("; modules have no WASI: build for wasm32-unknown-unknown")
        } else if self.0.contains("export") {
            f.write_str(
                "; a module exports declare, evaluate and cabi_realloc (in Rust, weir_sdk::module! does, in a crate of type cdylib)",
            )
        } else {
            Ok(())
        }
    }
}

/// Makes a component of a core module.
///
/// What the compiler's bindings say of the world is used where they say it (a section `component-type`); else the names
/// of imports and exports alone are held against the world, so that any compiler will do.
///
/// # Errors
/// When it is no core module, or one that does not fit the world.
pub fn encode(core: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let not_wasm = |error: &dyn fmt::Display| EncodeError::NotWasm(error.to_string());
    if Parser::is_component(core) {
        return Err(EncodeError::Component);
    }
    if !Parser::is_core_wasm(core) {
        return Err(not_wasm(&"it begins with something else"));
    }
    let mut described = false;
    for payload in Parser::new(0).parse_all(core) {
        if let Payload::CustomSection(section) = payload.map_err(|error| not_wasm(&error))? {
            described |= section.name().starts_with("component-type");
        }
    }
    let misfit = |error: &dyn fmt::Display| EncodeError::Misfit(error.to_string());
    let mut module = core.to_vec();
    if !described {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_source("rules.wit", WORLD)
            .map_err(|error| misfit(&format_args!("{error:#}")))?;
        let world = resolve
            .select_world(&[package], Some("rules"))
            .map_err(|error| misfit(&format_args!("{error:#}")))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .map_err(|error| misfit(&format_args!("{error:#}")))?;
    }
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| misfit(&format_args!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("the test's module is right")
    }

    const EXPORTS: &str = r#"
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "declare") (result i32) unreachable)
        (func (export "evaluate") (param i32 i32) (result i32) unreachable)
    "#;

    #[test]
    fn a_core_module_with_the_right_names_becomes_a_component() {
        let text = format!(
            r#"(module (import "weir:rules/host@1.0.0" "flow-bit" (func (param i32) (result i32))) {EXPORTS})"#
        );
        let component = encode(&core(&text)).expect("it fits");
        assert!(Parser::is_component(&component));
        assert_eq!(encode(&component), Err(EncodeError::Component));
    }

    #[test]
    fn only_what_is_called_is_imported() {
        let component = encode(&core(&format!("(module {EXPORTS})"))).expect("it fits");
        let mut imports = Vec::new();
        for payload in Parser::new(0).parse_all(&component) {
            if let Payload::ComponentImportSection(section) = payload.expect("it is valid") {
                for import in section {
                    imports.push(import.expect("it is valid").name.name.to_owned());
                }
            }
        }
        assert!(
            !imports.iter().any(|name| ["log", "clock", "random"]
                .iter()
                .any(|granted| name.contains(granted))),
            "nothing that must be granted: {imports:?}"
        );
    }

    #[test]
    fn what_cannot_be_made_a_component_is_refused_with_the_reason() {
        let says = |bytes: &[u8], what: &str| {
            let error = encode(bytes).expect_err("it is refused").to_string();
            assert!(error.contains(what), "{error:?} says {what:?}");
        };
        says(b"", "not WebAssembly");
        says(b"alert tcp any any -> any any", "not WebAssembly");
        says(b"\0asm\x01\0\0\0\xff", "not WebAssembly");
        says(&core("(module)"), "declare");
        let wasi = format!(
            r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))) {EXPORTS})"#
        );
        says(&core(&wasi), "no WASI");
        let wrong = EXPORTS.replace(
            "(func (export \"declare\") (result i32)",
            "(func (export \"declare\")",
        );
        says(&core(&format!("(module {wrong})")), "declare");
    }
}
