//! Words of the world, as the rule compiler has them.

use weir_rules::compile::module::{Declaration, Scope};

use crate::modules::bindings;

/// The scope of a name in the world.
pub(super) fn scope(of: bindings::declaration::Scope) -> Scope {
    use bindings::declaration::Scope as Of;
    match of {
        Of::Flow => Scope::Flow,
        Of::Source => Scope::Source,
        Of::Destination => Scope::Destination,
        Of::Pair => Scope::Pair,
        Of::Everywhere => Scope::Everywhere,
    }
}

/// A declaration, as the rule compiler has it.
pub(in crate::modules) fn declaration(of: bindings::declaration::Module) -> Declaration {
    use bindings::declaration::Action;
    use weir_rules::compile::module::{DeclaredAction, DeclaredPattern, DeclaredRule, Kept};
    let rule = |rule: bindings::declaration::Rule| DeclaredRule {
        sid: rule.sid,
        rev: rule.rev,
        message: rule.message,
        action: match rule.action {
            Action::Alert => DeclaredAction::Alert,
            Action::Drop => DeclaredAction::Drop,
            Action::Reject => DeclaredAction::Reject,
            Action::Pass => DeclaredAction::Pass,
        },
        class: rule.class,
        priority: rule.priority,
        header: rule.header,
        options: rule.options,
        patterns: (rule.patterns.into_iter())
            .map(|pattern| DeclaredPattern {
                buffer: pattern.buffer,
                bytes: pattern.bytes,
                nocase: pattern.nocase,
            })
            .collect(),
        buffers: rule.buffers,
        references: rule.references,
        metadata: rule.metadata,
    };
    Declaration {
        name: of.name,
        version: of.version,
        state_version: of.state_version,
        rules: of.rules.into_iter().map(rule).collect(),
        buffers: of.buffers,
        flow_bits: of.flow_bits,
        state: (of.state.into_iter())
            .map(|kept| Kept {
                scope: scope(kept.scope),
                bytes: kept.bytes,
                entries: kept.entries,
                seconds: kept.seconds,
            })
            .collect(),
    }
}
