//! Rules and packets in few words.

use std::sync::Arc;

use weir_engine::eval::{Beyond, EvalCounters, Evaluator, Plain, Subject};
use weir_engine::packet::Packet;
use weir_engine::pcre::{Flags, Regex};
use weir_engine::plan::{
    Action, AddrSet, Buffer, BufferPlan, Content, Header, Meta, Op, PacketTest, Pcre, PortSet,
    Proto, Rule, RuleSet, Value,
};

/// A packet with no layers.
pub fn bare() -> Packet<'static> {
    Packet::new(0, 1, 0)
}

/// A rule with these tests and buffers.
pub fn rule(tests: Vec<PacketTest>, buffers: Vec<BufferPlan>) -> Rule {
    Rule {
        meta: Meta {
            sid: 1,
            ..Meta::default()
        },
        action: Action::Alert,
        noalert: false,
        header: Header {
            proto: Proto::Ip,
            src: AddrSet::any(),
            sport: PortSet::any(),
            dst: AddrSet::any(),
            dport: PortSet::any(),
            bidirectional: false,
            negated_addresses: false,
        },
        flow: None,
        tests,
        buffers,
        variables: 8,
        flow_properties: vec![],
        state_tests: vec![],
        state_actions: vec![],
        threshold: None,
        detection_filter: None,
        probe: None,
        other_probes: Vec::new(),
        module: None,
        prefilter: false,
        needs_packet: true,
        needs_stream: false,
        app: Default::default(),
    }
}

/// What the evaluator says of one rule, and what it counted.
pub fn evaluate(rule: Rule, packet: &Packet<'_>) -> (bool, EvalCounters) {
    let mut plain = Plain::new(Arc::new(RuleSet::new(vec![rule])));
    let mut matches = Vec::new();
    let subject = Subject::packet(packet, packet.payload);
    // A rule that is not in the set matches nothing, and is no reason to stop.
    plain.evaluate(&subject, Beyond::default(), &[7, 0], &mut matches);
    (matches == [0], plain.counters())
}

/// True when the operations hold in a payload.
pub fn holds(ops: &[Op], payload: &[u8]) -> bool {
    let packet = Packet { payload, ..bare() };
    let buffers = vec![BufferPlan {
        buffer: Buffer::Payload,
        transforms: vec![],
        ops: ops.to_vec(),
    }];
    evaluate(rule(Vec::new(), buffers), &packet).0
}

/// Asserts for each case that its operations hold, or not, in the payload.
#[track_caller]
pub fn check(cases: &[(&str, Vec<Op>, &[u8], bool)]) {
    for (name, ops, payload, expected) in cases {
        assert_eq!(
            holds(ops, payload),
            *expected,
            "{name}: {}",
            payload.escape_ascii()
        );
    }
}

/// A `content` in the making.
#[derive(Clone)]
pub struct C(pub Content);

/// `content:"text"`
pub fn content(text: impl AsRef<[u8]>) -> C {
    C(Content {
        bytes: text.as_ref().to_vec(),
        ..Content::default()
    })
}

impl C {
    pub fn not(mut self) -> C {
        self.0.negated = true;
        self
    }
    pub fn nocase(mut self) -> C {
        self.0.nocase = true;
        self
    }
    pub fn offset(mut self, value: impl Into<Number>) -> C {
        self.0.offset = Some(value.into().0);
        self
    }
    pub fn depth(mut self, value: impl Into<Number>) -> C {
        self.0.depth = Some(value.into().0);
        self
    }
    pub fn distance(mut self, value: impl Into<Number>) -> C {
        self.0.distance = Some(value.into().0);
        self
    }
    pub fn within(mut self, value: impl Into<Number>) -> C {
        self.0.within = Some(value.into().0);
        self
    }
    pub fn startswith(mut self) -> C {
        self.0.startswith = true;
        self
    }
    pub fn endswith(mut self) -> C {
        self.0.endswith = true;
        self
    }
}

impl From<C> for Op {
    fn from(content: C) -> Op {
        Op::Content(content.0)
    }
}

/// A [`Value`], from a number.
pub struct Number(pub Value);

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Value::Const(value))
    }
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

/// `pcre:"/pattern/"`, relative with `R` and negated with `!` among the flags.
pub fn pcre(pattern: &str, flags: &str) -> Op {
    let regex = Regex::new(
        pattern.as_bytes(),
        Flags {
            caseless: flags.contains('i'),
            ..Flags::default()
        },
    );
    Op::Pcre(Pcre {
        regex: Arc::new(regex.expect("compiles")),
        relative: flags.contains('R'),
        negated: flags.contains('!'),
    })
}

/// A list of operations from anything that is one.
#[macro_export]
macro_rules! ops {
    ($($op:expr),* $(,)?) => { vec![$(weir_engine::plan::Op::from($op)),*] };
}
