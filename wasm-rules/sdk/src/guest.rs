//! The component's side: bindings of the world, and the declaration in its terms.

use crate::declare::{Action, Kept, Module, Pattern, Rule, Scope};

/// Made from the world by wit-bindgen.
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "rules",
        pub_export_macro: true,
        export_macro_name: "__export_weir_rules",
        default_bindings_module: "weir_sdk::guest::bindings",
    });
}

use bindings::weir::rules::declaration as wit;

/// The declaration for the host.
pub fn declare(module: &Module) -> wit::Module {
    wit::Module {
        name: module.name.to_owned(),
        version: module.version.to_owned(),
        state_version: module.state_version,
        rules: module.rules.iter().map(|one| rule(module, one)).collect(),
        buffers: owned(module.buffers),
        flow_bits: owned(module.flow_bits),
        state: module.state.iter().map(kept).collect(),
    }
}

/// Decides rules.
pub fn evaluate(module: &Module, candidates: &[u32]) -> Vec<u32> {
    module.evaluate(candidates)
}

fn rule(module: &Module, rule: &Rule) -> wit::Rule {
    let names = rule.buffers.iter().filter_map(|buffer| {
        let index = usize::try_from(buffer.index).ok()?;
        module.buffers.get(index).map(|&name| name.to_owned())
    });
    wit::Rule {
        sid: rule.sid,
        rev: rule.rev,
        message: rule.message.to_owned(),
        action: match rule.action {
            Action::Alert => wit::Action::Alert,
            Action::Drop => wit::Action::Drop,
            Action::Reject => wit::Action::Reject,
            Action::Pass => wit::Action::Pass,
        },
        class: rule.class.map(str::to_owned),
        priority: rule.priority,
        header: rule.header.to_owned(),
        options: rule.options.to_owned(),
        patterns: rule.patterns.iter().map(pattern).collect(),
        buffers: names.collect(),
        references: pairs(rule.references),
        metadata: pairs(rule.metadata),
    }
}

fn pattern(pattern: &Pattern) -> wit::Pattern {
    wit::Pattern {
        buffer: pattern.buffer.to_owned(),
        bytes: pattern.bytes.to_owned(),
        nocase: pattern.nocase,
    }
}

fn kept(kept: &Kept) -> wit::Kept {
    wit::Kept {
        scope: scope(kept.scope),
        bytes: kept.bytes,
        entries: kept.entries,
        seconds: kept.seconds,
    }
}

pub(crate) fn scope(scope: Scope) -> wit::Scope {
    match scope {
        Scope::Flow => wit::Scope::Flow,
        Scope::Source => wit::Scope::Source,
        Scope::Destination => wit::Scope::Destination,
        Scope::Pair => wit::Scope::Pair,
        Scope::Everywhere => wit::Scope::Everywhere,
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
