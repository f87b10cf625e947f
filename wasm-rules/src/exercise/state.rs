//! Which rules set the bits that others ask for.

use std::collections::HashMap;

use weir_engine::plan::{BitOp, FlowIntOp, Name, RuleId, RuleSet, StateAction, StateTest};

use super::unmet::Unmet;

/// Rules by the bits that they set.
pub(super) struct Setters {
    bits: HashMap<Name, Vec<RuleId>>,
    hosts: HashMap<Name, Vec<RuleId>>,
    counters: HashMap<Name, Vec<RuleId>>,
}

/// What a test needs to have happened.
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// One of these rules must have matched.
    One(Vec<RuleId>),
    /// It cannot hold.
    Impossible(Unmet),
}

impl Setters {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let mut all = Self {
            bits: HashMap::new(),
            hosts: HashMap::new(),
            counters: HashMap::new(),
        };
        for (rule, id) in rules.rules().iter().zip(0..) {
            for action in &rule.state_actions {
                let (names, name) = match action {
                    StateAction::FlowBit {
                        op: BitOp::Set | BitOp::Toggle,
                        name,
                    } => (&mut all.bits, name),
                    StateAction::HostBit {
                        op: BitOp::Set | BitOp::Toggle,
                        name,
                        ..
                    } => (&mut all.hosts, name),
                    StateAction::FlowInt {
                        op: FlowIntOp::Set | FlowIntOp::Add,
                        name,
                        ..
                    } => (&mut all.counters, name),
                    _ => continue,
                };
                names.entry(name.clone()).or_default().push(id);
            }
        }
        all
    }

    pub(super) fn of(&self, test: &StateTest) -> Need {
        let one = |setters: Vec<RuleId>| match setters.is_empty() {
            true => Need::Impossible(Unmet::State),
            false => Need::One(setters),
        };
        let of = |names: &HashMap<Name, Vec<RuleId>>, name: &Name| {
            names.get(name).cloned().unwrap_or_default()
        };
        match test {
            StateTest::FlowBit { set: false, .. }
            | StateTest::HostBit { set: false, .. }
            | StateTest::FlowIntExists { exists: false, .. } => Need::Nothing,
            StateTest::FlowBit { names, set: true } => {
                one(names.iter().flat_map(|name| of(&self.bits, name)).collect())
            }
            StateTest::HostBit {
                name, set: true, ..
            } => one(of(&self.hosts, name)),
            StateTest::FlowIntExists { name, .. } | StateTest::FlowInt { name, .. } => {
                one(of(&self.counters, name))
            }
            _ => Need::Impossible(Unmet::Data),
        }
    }
}
