//! What the tests of this crate have in common.

use std::sync::Arc;

use weir_engine::plan::Rule;
use weir_rules::classification::Classification;
use weir_rules::compile::{Compiled, Compiler, Variables};
use weir_rules::syntax::ast::{Place, Problem};
use weir_rules::syntax::parse_rule;

pub fn compiler() -> Compiler {
    Compiler::new(Variables::stock(), Classification::stock())
}

pub fn outcome(text: &str) -> Result<Compiled, Vec<Problem>> {
    let rule = parse_rule(text.as_bytes(), Place { line: 1, column: 1 })
        .map_err(|problem| vec![problem])?;
    compiler().compile(&rule, &Arc::from("test.rules"))
}

/// The plan of a rule that must compile.
pub fn plan(text: &str) -> Rule {
    match outcome(text) {
        Ok(Compiled::Rule { rule, .. }) => *rule,
        other => panic!("{text}: {other:?}"),
    }
}

/// The plan of a TCP rule with these options.
pub fn tcp(options: &str) -> Rule {
    plan(&format!("alert tcp any any -> any any ({options} sid:1;)"))
}
