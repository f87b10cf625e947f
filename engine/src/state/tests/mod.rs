//! Rules with state, settled one after the other.

mod flows;
mod hosts;
mod limits;
mod sets;

use std::net::IpAddr;
use std::sync::Arc;

use super::country::tests::database;
use super::example::data_set;
use super::*;
use crate::flow::{FlowConfig, FlowTable, FlowView};
use crate::packet::{Net, Packet, Transport};
use crate::plan::{
    Action, BitKeyword, BitOp, BitTrack, Compare, DatasetOp, FlowIntOp, FlowIntValue, FlowProperty,
    FlowSide, HostSide, Num, NumOp, Rule, RuleId, RuleSet, SetKind, StateAction, StateTest,
    TagMetric, TagScope, Threshold, ThresholdKind, Track,
};

const SECOND: u64 = 1_000_000_000;
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 2];
const C: [u8; 4] = [10, 0, 0, 3];

/// A rule with these tests and actions; the sid is its priority, too.
fn rule(sid: u32, tests: Vec<StateTest>, actions: Vec<StateAction>) -> Rule {
    let mut rule = example::rule();
    rule.meta.sid = sid;
    rule.meta.priority = sid as u8;
    (rule.state_tests, rule.state_actions) = (tests, actions);
    rule
}

fn flow_bit(op: BitOp, name: &str) -> StateAction {
    let name = name.into();
    StateAction::FlowBit { op, name }
}

fn has_flow_bit(names: &[&str], set: bool) -> StateTest {
    let names = names.iter().map(|&name| name.into()).collect();
    StateTest::FlowBit { names, set }
}

fn host_bit(op: BitOp, track: BitTrack, seconds: u32) -> StateAction {
    StateAction::HostBit {
        op,
        name: "seen".into(),
        track,
        seconds,
        keyword: BitKeyword::HostBits,
    }
}

fn has_host_bit(track: BitTrack, set: bool) -> StateTest {
    StateTest::HostBit {
        name: "seen".into(),
        track,
        set,
        keyword: BitKeyword::XBits,
    }
}

fn packet(src: [u8; 4], dst: [u8; 4], ts_ns: u64) -> Packet<'static> {
    let mut packet = Packet::new(ts_ns, 1, 100);
    (packet.src, packet.dst) = (src.into(), dst.into());
    (packet.sport, packet.dport, packet.proto) = (1000, 1000, 17);
    packet.net = Net::V4 {
        header: &[0x45; 20],
    };
    packet.transport = Transport::Udp { header: &[0; 8] };
    packet
}

/// One worker, its flows and its rules.
struct World {
    rules: RuleSet,
    plan: Plan,
    shared: Arc<Shared>,
    seat: Seat,
    flows: FlowTable,
}

/// The same bytes for every buffer.
struct Fixed<'a>(Option<&'a [u8]>);

impl Buffers for Fixed<'_> {
    fn bytes(&mut self, _: RuleId, _: u8) -> Option<&[u8]> {
        self.0
    }
}

impl World {
    fn new(rules: Vec<Rule>) -> Self {
        Self::with(
            RuleSet::new(rules),
            &Overrides::default(),
            &StateConfig::default(),
        )
    }

    fn with(rules: RuleSet, overrides: &Overrides, config: &StateConfig) -> Self {
        let plan = Plan::new(&rules, overrides);
        let shared = Arc::new(Shared::new(&rules, &plan, config).expect("files are right"));
        Self {
            rules,
            plan,
            seat: Seat::new(Arc::clone(&shared), Turn::free()),
            shared,
            flows: FlowTable::new(FlowConfig::default()),
        }
    }

    /// Does something with the context of a packet of its flow.
    fn packet<T>(
        &mut self,
        (src, dst): ([u8; 4], [u8; 4]),
        seconds: u64,
        bytes: Option<&[u8]>,
        look: impl FnOnce(&Plan, &mut Context<'_>) -> T,
    ) -> T {
        let packet = packet(src, dst, seconds * SECOND);
        let view: FlowView = self.flows.track(&packet).expect("UDP has flows");
        let mut context = Context {
            ts_ns: packet.ts_ns,
            addresses: Some((packet.src, packet.dst)),
            flow: Some(self.flows.get_mut(view)),
            seat: &mut self.seat,
            buffers: &mut Fixed(bytes),
        };
        look(&self.plan, &mut context)
    }

    /// The sids of the rules, sorted, that match a packet with this in every buffer, each settled in turn.
    fn matches_with(
        &mut self,
        ends: ([u8; 4], [u8; 4]),
        seconds: u64,
        bytes: Option<&[u8]>,
    ) -> Vec<u32> {
        let all: Vec<(RuleId, u32, Action)> = (0..)
            .zip(self.rules.rules())
            .map(|(id, rule)| (id, rule.meta.sid, rule.action))
            .collect();
        let mut found: Vec<u32> = self.packet(ends, seconds, bytes, |plan, context| {
            all.into_iter()
                .filter(|&(id, _, action)| plan.settle(id, action, context).is_some())
                .map(|(_, sid, _)| sid)
                .collect()
        });
        found.sort_unstable();
        found
    }

    fn matches(&mut self, ends: ([u8; 4], [u8; 4]), seconds: u64) -> Vec<u32> {
        self.matches_with(ends, seconds, None)
    }
}

fn dataset(op: DatasetOp) -> StateTest {
    StateTest::Dataset {
        buffer: 0,
        set: "seen".into(),
        op,
    }
}
