//! What the rules of a set do with state, by number instead of by name.

use std::collections::HashMap;

use super::limits::{Limits, Overrides};
use crate::plan::{
    BitOp, BitTrack, Compare, DatasetOp, FlowIntOp, FlowIntValue, FlowProperty, HostSide, Name,
    Num, Rule, RuleId, RuleSet, StateAction, StateTest, TagMetric, TagScope,
};

/// A flow bit; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowBitId(pub(super) u32);

impl FlowBitId {
    pub(super) const NONE: Self = Self(0);
}

/// A counter of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterId(pub(super) u32);

/// Names of one kind, numbered from 1.
#[derive(Debug, Default)]
struct Numbered {
    numbers: HashMap<Name, u32>,
    names: Vec<Name>,
}

impl Numbered {
    fn number(&mut self, name: &Name) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.names.push(Name::clone(name));
        let number = self.names.len() as u32;
        self.numbers.insert(Name::clone(name), number);
        number
    }

    fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    fn name(&self, number: u32) -> Option<String> {
        let at = number.checked_sub(1)? as usize;
        self.names.get(at).map(|name| name.to_string())
    }
}

/// The names that a rule set uses for its state.
#[derive(Debug, Default)]
pub struct Names {
    flow_bits: Numbered,
    counters: Numbered,
    host_bits: Numbered,
    sets: Numbered,
    categories: Numbered,
}

impl Names {
    pub(super) fn flow_bit(&self, bit: FlowBitId) -> Option<String> {
        self.flow_bits.name(bit.0)
    }

    /// The number of a flow bit; `None` for one that no rule changes or looks at.
    pub fn find_flow_bit(&self, name: &str) -> Option<FlowBitId> {
        self.flow_bits.find(name).map(FlowBitId)
    }

    pub(super) fn counter(&self, counter: CounterId) -> Option<String> {
        self.counters.name(counter.0)
    }

    pub(super) fn find_counter(&self, name: &str) -> Option<CounterId> {
        self.counters.find(name).map(CounterId)
    }

    pub(super) fn host_bit(&self, bit: u32) -> Option<String> {
        self.host_bits.name(bit)
    }

    pub(super) fn find_host_bit(&self, name: &str) -> Option<u32> {
        self.host_bits.find(name)
    }

    /// The set's number, from 0, in the order in which [`Names::sets`] has them.
    pub(super) fn find_set(&self, name: &str) -> Option<usize> {
        Some(self.sets.find(name)?.checked_sub(1)? as usize)
    }

    pub(super) fn sets(&self) -> &[Name] {
        &self.sets.names
    }

    /// Short names of reputation categories that rules ask for.
    pub(super) fn categories(&self) -> &[Name] {
        &self.categories.names
    }
}

/// What a counter is compared or computed with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    Number(u32),
    Counter(CounterId),
}

/// A [`StateTest`] by numbers.
#[derive(Debug)]
pub(super) enum Test {
    FlowBit {
        bits: Box<[FlowBitId]>,
        set: bool,
    },
    Counter {
        counter: CounterId,
        compare: Compare,
        with: Operand,
    },
    CounterExists {
        counter: CounterId,
        exists: bool,
    },
    HostBit {
        bit: u32,
        track: BitTrack,
        set: bool,
    },
    Set {
        buffer: u8,
        set: usize,
        op: DatasetOp,
    },
    DataRep {
        buffer: u8,
        set: usize,
        compare: Compare,
        value: u16,
    },
    IpRep {
        side: HostSide,
        category: usize,
        value: Option<Num>,
    },
    GeoIp {
        side: HostSide,
        countries: Box<[[u8; 2]]>,
        negated: bool,
    },
}

/// A [`StateAction`] by numbers.
#[derive(Debug)]
pub(super) enum Act {
    FlowBit {
        op: BitOp,
        bit: FlowBitId,
    },
    Counter {
        counter: CounterId,
        op: FlowIntOp,
        with: Operand,
    },
    HostBit {
        op: BitOp,
        bit: u32,
        track: BitTrack,
        seconds: u32,
    },
}

/// What one rule does with state.
#[derive(Debug)]
pub(super) struct RuleState {
    /// `gid` and `sid`.
    pub(super) rule: (u32, u32),
    pub(super) properties: Box<[FlowProperty]>,
    pub(super) tests: Box<[Test]>,
    pub(super) acts: Box<[Act]>,
    pub(super) tags: Box<[(TagScope, TagMetric)]>,
}

const STATELESS: u32 = u32::MAX;

/// What all rules of a set do with state, and what limits their alerts.
#[derive(Debug)]
pub struct Plan {
    names: Names,
    /// For each rule its place in `states`.
    places: Vec<u32>,
    states: Vec<RuleState>,
    limits: Limits,
    /// Sets, by number, that some rule changes.
    changing: Vec<bool>,
    tags: bool,
    host_tags: bool,
    crosses_flows: bool,
}

impl Plan {
    /// Numbers what the rules name, and applies what the configuration says about their limits.
    pub fn new(rules: &RuleSet, overrides: &Overrides) -> Self {
        let mut names = Names::default();
        for set in rules.data_sets() {
            names.sets.number(&set.name);
        }
        let mut states = Vec::new();
        let mut places = Vec::with_capacity(rules.rules().len());
        for rule in rules.rules() {
            let state = compile(rule, &mut names);
            let stateless = state.properties.is_empty()
                && state.tests.is_empty()
                && state.acts.is_empty()
                && state.tags.is_empty();
            places.push(if stateless {
                STATELESS
            } else {
                states.push(state);
                (states.len() - 1) as u32
            });
        }
        let mut changing = vec![false; names.sets().len()];
        for test in states.iter().flat_map(|state| &state.tests) {
            if let Test::Set { set, op, .. } = test
                && op.changes()
                && let Some(changing) = changing.get_mut(*set)
            {
                *changing = true;
            }
        }
        let tags = states.iter().any(|state| !state.tags.is_empty());
        let host_tags = states
            .iter()
            .flat_map(|state| &state.tags)
            .any(|(scope, _)| *scope != TagScope::Session);
        let limits = Limits::new(rules, overrides);
        let crosses_flows = host_tags
            || limits.verdicts_cross_flows()
            || states.iter().any(|state| crosses(state, &changing))
            || (rules.rules().iter()).any(|rule| {
                rule.module
                    .as_ref()
                    .is_some_and(|module| module.crosses_flows)
            });
        Self {
            names,
            places,
            states,
            limits,
            changing,
            tags,
            host_tags,
            crosses_flows,
        }
    }

    /// The names that rules use.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What limits alerts.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// True when what happens in one flow can change what rules do in another, so that offline the workers have to keep
    /// to packet order ([`super::Order`]).
    pub fn crosses_flows(&self) -> bool {
        self.crosses_flows
    }

    /// True when some rule has a tag, so that [`Plan::tagged`] is to be called for every packet.
    pub fn has_tags(&self) -> bool {
        self.tags
    }

    /// True when some rule tags hosts, so that every packet has to be looked up.
    pub(super) fn tags_hosts(&self) -> bool {
        self.host_tags
    }

    /// True when some rule changes the set.
    pub(super) fn changes(&self, set: usize) -> bool {
        self.changing.get(set).copied().unwrap_or(false)
    }

    /// What the rule does with state; `None` for most rules.
    #[inline]
    pub(super) fn state(&self, rule: RuleId) -> Option<&RuleState> {
        let place = *self.places.get(rule as usize)?;
        self.states.get(place as usize)
    }
}

/// True when the rule looks at or changes what flows share and rules change.
fn crosses(state: &RuleState, changing: &[bool]) -> bool {
    let changes = |set: usize| changing.get(set).copied().unwrap_or(false);
    state.tests.iter().any(|test| match test {
        Test::HostBit { .. } => true,
        Test::Set { set, .. } | Test::DataRep { set, .. } => changes(*set),
        _ => false,
    }) || state
        .acts
        .iter()
        .any(|act| matches!(act, Act::HostBit { .. }))
}

fn compile(rule: &Rule, names: &mut Names) -> RuleState {
    let tests = rule.state_tests.iter();
    let mut acts = Vec::new();
    let mut tags = Vec::new();
    let tests = tests.map(|test| compile_test(test, names)).collect();
    for action in &rule.state_actions {
        match action {
            StateAction::FlowBit { op, name } => acts.push(Act::FlowBit {
                op: *op,
                bit: FlowBitId(names.flow_bits.number(name)),
            }),
            StateAction::FlowInt { name, op, value } => acts.push(Act::Counter {
                counter: CounterId(names.counters.number(name)),
                op: *op,
                with: operand(value, names),
            }),
            StateAction::HostBit {
                op,
                name,
                track,
                seconds,
                ..
            } => acts.push(Act::HostBit {
                op: *op,
                bit: names.host_bits.number(name),
                track: *track,
                seconds: *seconds,
            }),
            StateAction::Tag { scope, metric } => tags.push((*scope, *metric)),
            // What happens to the flow and to the bytes is the engine's matter.
            StateAction::Bypass | StateAction::Replace { .. } => {}
        }
    }
    RuleState {
        rule: (rule.meta.gid, rule.meta.sid),
        properties: rule.flow_properties.clone().into(),
        tests,
        acts: acts.into(),
        tags: tags.into(),
    }
}

fn compile_test(test: &StateTest, names: &mut Names) -> Test {
    match test {
        StateTest::FlowBit { names: bits, set } => Test::FlowBit {
            bits: bits
                .iter()
                .map(|bit| FlowBitId(names.flow_bits.number(bit)))
                .collect(),
            set: *set,
        },
        StateTest::FlowInt {
            name,
            compare,
            value,
        } => Test::Counter {
            counter: CounterId(names.counters.number(name)),
            compare: *compare,
            with: operand(value, names),
        },
        StateTest::FlowIntExists { name, exists } => Test::CounterExists {
            counter: CounterId(names.counters.number(name)),
            exists: *exists,
        },
        StateTest::HostBit {
            name, track, set, ..
        } => Test::HostBit {
            bit: names.host_bits.number(name),
            track: *track,
            set: *set,
        },
        StateTest::Dataset { buffer, set, op } => Test::Set {
            buffer: *buffer,
            set: number_set(set, names),
            op: *op,
        },
        StateTest::DataRep {
            buffer,
            set,
            compare,
            value,
        } => Test::DataRep {
            buffer: *buffer,
            set: number_set(set, names),
            compare: *compare,
            value: *value,
        },
        StateTest::IpRep {
            side,
            category,
            value,
        } => Test::IpRep {
            side: *side,
            category: names.categories.number(category) as usize - 1,
            value: *value,
        },
        StateTest::GeoIp {
            side,
            countries,
            negated,
        } => Test::GeoIp {
            side: *side,
            countries: countries.clone().into(),
            negated: *negated,
        },
    }
}

fn number_set(name: &Name, names: &mut Names) -> usize {
    names.sets.number(name) as usize - 1
}

fn operand(value: &FlowIntValue, names: &mut Names) -> Operand {
    match value {
        FlowIntValue::Number(number) => Operand::Number(*number),
        FlowIntValue::Counter(name) => Operand::Counter(CounterId(names.counters.number(name))),
    }
}
