//! Rules that authors' modules declare: from a declaration to plans.
//!
//! A module says of a rule what a text rule says in its header and options, and decides the rest itself. What it says
//! goes through the same compiler as text, so that variables, application layers, flow bits and thresholds mean the same.
//! Nothing here knows how a module is run.
//!
//! Here is what a declaration is; `check` holds it to its form, `job` makes a plan of a rule, `rules` puts the plans of all rules
//! among others.

mod check;
mod job;
mod rules;
#[cfg(test)]
mod tests;

use weir_engine::app::AppBuffer;
use weir_engine::plan::Buffer;

use super::sticky_buffer;
use crate::syntax::ast::{MAX_MESSAGE, clipped};

pub use rules::ModuleRules;

/// Most rules of a module.
pub const MAX_RULES: usize = 4096;
/// Most buffers, and most flow bits, that a module may look at.
pub const MAX_NAMES: usize = 64;
/// Most patterns of a rule.
pub const MAX_PATTERNS: usize = 64;
/// Most bytes of a pattern.
pub const MAX_PATTERN: usize = 255;
/// Most bytes of a value that is kept.
pub const MAX_VALUE: u32 = 4096;
/// Most values that are kept in a scope.
pub const MAX_ENTRIES: u32 = 1_000_000;

/// A module, as it declares itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// What logs, counters and the operator's policy call it.
    pub name: String,
    /// The module's own version, for people.
    pub version: String,
    /// Version of the values that it keeps.
    pub state_version: u32,
    /// Its rules; what it is asked about are indexes of this.
    pub rules: Vec<DeclaredRule>,
    /// Names of the buffers that it may look at.
    pub buffers: Vec<String>,
    /// Names of the flow bits that it may look at.
    pub flow_bits: Vec<String>,
    /// State that it keeps.
    pub state: Vec<Kept>,
}

/// A rule of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredRule {
    /// `sid`
    pub sid: u32,
    /// `rev`
    pub rev: u32,
    /// `msg`
    pub message: String,
    /// What it does when the module says that it fires.
    pub action: DeclaredAction,
    /// Short name of a classtype.
    pub class: Option<String>,
    /// 1 (highest) to 255; else that of the class.
    pub priority: Option<u8>,
    /// Protocol, addresses, direction and ports, as in a text rule.
    pub header: String,
    /// Options of a text rule that must hold, or act.
    pub options: String,
    /// Literals of which one must occur.
    pub patterns: Vec<DeclaredPattern>,
    /// Names of buffers that must be there.
    pub buffers: Vec<String>,
    /// System and what follows it.
    pub references: Vec<(String, String)>,
    /// Keys and values.
    pub metadata: Vec<(String, String)>,
}

/// What a rule of a module does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclaredAction {
    /// Alert.
    #[default]
    Alert,
    /// Drop the packet and alert.
    Drop,
    /// Drop, alert and answer the sender.
    Reject,
    /// Let the packet through.
    Pass,
}

/// A literal that a rule of a module is looked for by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredPattern {
    /// Name of the buffer.
    pub buffer: String,
    /// The literal.
    pub bytes: Vec<u8>,
    /// ASCII letters stand for both cases.
    pub nocase: bool,
}

/// What state is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A flow.
    Flow,
    /// The packet's source address.
    Source,
    /// The packet's destination address.
    Destination,
    /// Both addresses, in either order.
    Pair,
    /// Everything.
    Everywhere,
}

/// State that a module keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// For what.
    pub scope: Scope,
    /// Most bytes of a value.
    pub bytes: u32,
    /// Most values.
    pub entries: u32,
    /// Seconds of packet time after which a value that was not written again is gone; 0: never.
    pub seconds: u32,
}

/// What is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct DeclarationError {
    /// Where: `rules[3].sid`.
    pub place: String,
    /// What is wrong and what was expected.
    pub message: String,
}

fn wrong(place: impl Into<String>, message: impl Into<String>) -> DeclarationError {
    DeclarationError {
        place: place.into(),
        message: clipped(message.into(), MAX_MESSAGE),
    }
}

/// A name as it is quoted in messages.
fn quoted(name: &str) -> String {
    clipped(format!("`{}`", name.escape_debug()), 80)
}

/// The buffer of a name in a declaration.
pub fn buffer_named(name: &str) -> Option<Buffer> {
    if name == "payload" {
        return Some(Buffer::Payload);
    }
    // Those in parentheses are for keywords that are no buffers themselves.
    let of_app = || AppBuffer::named(name).filter(|_| !name.starts_with('('));
    match sticky_buffer(name) {
        Some((buffer, _)) => Some(buffer),
        None => of_app().map(Buffer::App),
    }
}

impl Declaration {
    /// True when it keeps state for more than one flow.
    pub fn crosses_flows(&self) -> bool {
        self.state.iter().any(|kept| kept.scope != Scope::Flow)
    }

    /// What it keeps in a scope.
    pub fn kept(&self, scope: Scope) -> Option<&Kept> {
        self.state.iter().find(|kept| kept.scope == scope)
    }
}
