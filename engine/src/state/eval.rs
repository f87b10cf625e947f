//! Tests and actions, made by a worker.

use std::net::IpAddr;

use super::counts::{Counted, Decision, Due};
use super::plan::{Act, FlowBitId, Operand, Plan, Test};
use super::property;
use super::shared::{Owner, Seat, Shared};
use super::vars::FlowVars;
use crate::flow::Flow;
use crate::plan::{Action, BitOp, BitTrack, Compare, HostSide, Num, RuleId, TagScope};

/// Gives the bytes of a rule's buffers.
pub trait Buffers {
    /// The bytes of the rule's buffer with this index, after its transforms; `None` where the packet has no such buffer.
    fn bytes(&mut self, rule: RuleId, buffer: u8) -> Option<&[u8]>;
}

/// A packet, its flow's state, and the way to shared state.
pub struct Context<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Source and destination; `None` without an IP header.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// The packet's flow, which has counted the packet.
    pub flow: Option<&'a mut Flow>,
    /// The worker's way to shared state.
    pub seat: &'a mut Seat,
    /// The bytes that rules look at.
    pub buffers: &'a mut dyn Buffers,
}

/// Room for [`Plan::screen`].
#[derive(Debug, Default)]
pub struct Screen {
    /// Bits that a candidate before the one at hand may set.
    set: Vec<FlowBitId>,
    /// Bits that one may clear.
    cleared: Vec<FlowBitId>,
}

/// Compares two numbers.
pub(super) fn compare(compare: Compare, left: u32, right: u32) -> bool {
    match compare {
        Compare::Eq => left == right,
        Compare::Ne => left != right,
        Compare::Lt => left < right,
        Compare::Le => left <= right,
        Compare::Gt => left > right,
        Compare::Ge => left >= right,
    }
}

impl Plan {
    /// Leaves out the candidates of a packet that cannot match, whatever is in it: the flow is not as they ask, or they
    /// ask for a bit that is not set and that no candidate before them can set. `candidates` are in rule order.
    pub fn screen(&self, candidates: &mut Vec<RuleId>, flow: Option<&Flow>, screen: &mut Screen) {
        screen.set.clear();
        screen.cleared.clear();
        candidates.retain(|&id| self.may_hold(id, flow, screen));
    }

    #[inline]
    fn may_hold(&self, id: RuleId, flow: Option<&Flow>, screen: &mut Screen) -> bool {
        let Some(state) = self.state(id) else {
            return true;
        };
        let mut properties = state.properties.iter();
        let holds = properties
            .all(|property| flow.is_some_and(|flow| property::holds(property, flow)))
            && state
                .tests
                .iter()
                .all(|test| match (test, flow.map(|flow| &flow.vars)) {
                    (Test::FlowBit { bits, set: true }, Some(vars)) => bits
                        .iter()
                        .any(|bit| vars.bit(*bit) || screen.set.contains(bit)),
                    (Test::FlowBit { bits, set: false }, Some(vars)) => bits
                        .iter()
                        .any(|bit| !vars.bit(*bit) || screen.cleared.contains(bit)),
                    (
                        Test::FlowBit { .. } | Test::Counter { .. } | Test::CounterExists { .. },
                        None,
                    ) => false,
                    _ => true,
                });
        if holds {
            for act in &state.acts {
                if let Act::FlowBit { op, bit } = act {
                    if *op != BitOp::Unset {
                        screen.set.push(*bit);
                    }
                    if *op != BitOp::Set {
                        screen.cleared.push(*bit);
                    }
                }
            }
        }
        holds
    }

    /// Settles a rule of which everything but state holds: makes its tests, and if they hold, changes state and says
    /// what the limits make of the match. `None`: it does not match. To be called in rule order.
    ///
    /// Limits of rules whose matches nothing but their own alert depends on are not asked: [`crate::detect::Alerts`] does
    /// that.
    #[inline]
    pub fn settle(
        &self,
        id: RuleId,
        action: Action,
        context: &mut Context<'_>,
    ) -> Option<Decision> {
        let state = self.state(id);
        if let Some(state) = state {
            let flow = context.flow.as_deref();
            let is_so = |property| flow.is_some_and(|flow| property::holds(property, flow));
            let mut tests = state.tests.iter();
            if !state.properties.iter().all(is_so)
                || !tests.all(|test| self.holds(id, test, context))
            {
                return None;
            }
            for act in &state.acts {
                make(act, context);
            }
        }
        let decision = self.decide(id, action, context);
        if let Some(state) = state
            && decision.due != Due::Nothing
        {
            for &(scope, metric) in &state.tags {
                tag(state.rule, scope, metric, context);
            }
        }
        Some(decision)
    }

    fn decide(&self, id: RuleId, action: Action, context: &mut Context<'_>) -> Decision {
        let limits = self.limits();
        if !limits.in_worker(id) {
            let due = Due::Alert;
            return Decision { due, action };
        }
        let packet = Counted {
            ts_ns: context.ts_ns,
            addresses: context.addresses,
            flow: context.flow.as_ref().map(|flow| flow.id),
        };
        let shared = if limits.crosses_flows(id) {
            context.seat.in_turn()
        } else {
            context.seat.shared()
        };
        shared.counts().decide(limits, id, action, &packet)
    }

    fn holds(&self, id: RuleId, test: &Test, context: &mut Context<'_>) -> bool {
        let Context {
            ts_ns,
            addresses,
            flow,
            seat,
            buffers,
        } = context;
        let vars = flow.as_ref().map(|flow| &flow.vars);
        match test {
            Test::FlowBit { bits, set } => {
                vars.is_some_and(|vars| bits.iter().any(|bit| vars.bit(*bit) == *set))
            }
            Test::Counter {
                counter,
                compare: how,
                with,
            } => vars.is_some_and(|vars| {
                vars.counter(*counter)
                    .is_some_and(|value| compare(*how, value, operand(with, vars)))
            }),
            Test::CounterExists { counter, exists } => {
                vars.is_some_and(|vars| vars.counter(*counter).is_some() == *exists)
            }
            Test::HostBit { bit, track, set } => owner(*track, *addresses)
                .is_some_and(|owner| seat.in_turn().host_bit(*bit, owner, *ts_ns) == *set),
            Test::Set { buffer, set, op } => buffers.bytes(id, *buffer).is_some_and(|bytes| {
                let shared = self.for_set(*set, seat);
                shared
                    .set(*set)
                    .is_some_and(|set| !bytes.is_empty() && set.test(*op, bytes))
            }),
            Test::DataRep {
                buffer,
                set,
                compare,
                value,
            } => buffers.bytes(id, *buffer).is_some_and(|bytes| {
                let shared = self.for_set(*set, seat);
                shared
                    .set(*set)
                    .is_some_and(|set| set.reputation(bytes, *compare, *value))
            }),
            Test::IpRep {
                side,
                category,
                value,
            } => reputation(seat.shared(), *addresses, *side, *category, *value),
            Test::GeoIp {
                side,
                countries,
                negated,
            } => addresses.is_some_and(|addresses| {
                let shared = seat.shared();
                sided(*side, addresses, |address| {
                    shared
                        .country(address)
                        .is_some_and(|country| countries.contains(&country) != *negated)
                })
            }),
        }
    }

    /// Shared state for a look at a set: a turn is needed only where some rule changes it.
    fn for_set<'s>(&self, set: usize, seat: &'s mut Seat) -> &'s Shared {
        if self.changes(set) {
            seat.in_turn()
        } else {
            seat.shared()
        }
    }

    /// Counts the packet for the tags of its flow and hosts; true when it is to be logged because of one of them.
    ///
    /// To be called for every packet, after its rules were settled. `bytes`: of the whole packet.
    #[inline]
    pub fn tagged(&self, context: &mut Context<'_>, bytes: u32) -> bool {
        let ts_ns = context.ts_ns;
        let mut tagged = context
            .flow
            .as_mut()
            .is_some_and(|flow| flow.vars.tagged(ts_ns, bytes));
        if self.tags_hosts()
            && let Some((src, dst)) = context.addresses
        {
            let shared = context.seat.in_turn();
            tagged |= shared.host_tagged(src, ts_ns, bytes);
            tagged |= shared.host_tagged(dst, ts_ns, bytes);
        }
        tagged
    }
}

/// Makes one action.
fn make(act: &Act, context: &mut Context<'_>) {
    let Context {
        ts_ns,
        addresses,
        flow,
        seat,
        ..
    } = context;
    let vars = flow.as_mut().map(|flow| &mut flow.vars);
    match *act {
        Act::FlowBit { op, bit } => {
            let Some(vars) = vars else { return };
            let set = match op {
                BitOp::Set => true,
                BitOp::Unset => false,
                BitOp::Toggle => !vars.bit(bit),
            };
            if set {
                seat.shared().refuse_unless(vars.set_bit(bit));
            } else {
                vars.clear_bit(bit);
            }
        }
        Act::Counter {
            counter,
            op,
            ref with,
        } => {
            let Some(vars) = vars else { return };
            let value = operand(with, vars);
            seat.shared()
                .refuse_unless(vars.compute(counter, op, value));
        }
        Act::HostBit {
            op,
            bit,
            track,
            seconds,
        } => {
            if let Some(owner) = owner(track, *addresses) {
                let shared = seat.in_turn();
                shared.change_host_bit(op, bit, owner, *ts_ns, seconds);
            }
        }
    }
}

fn tag(
    rule: (u32, u32),
    scope: TagScope,
    metric: crate::plan::TagMetric,
    context: &mut Context<'_>,
) {
    let Context {
        ts_ns,
        addresses,
        flow,
        seat,
        ..
    } = context;
    let vars = flow.as_mut().map(|flow| &mut flow.vars);
    let host = match (scope, addresses) {
        (TagScope::Session, _) => {
            if let Some(vars) = vars {
                let done = vars.tag(rule, metric, *ts_ns);
                seat.shared().refuse_unless(done);
            }
            return;
        }
        (TagScope::Src, Some((src, _))) => *src,
        (TagScope::Dst, Some((_, dst))) => *dst,
        (_, None) => return,
    };
    seat.in_turn().tag_host(host, rule, metric, *ts_ns);
}

/// What a counter is compared or computed with; a counter that does not exist counts as 0.
fn operand(with: &Operand, vars: &FlowVars) -> u32 {
    match with {
        Operand::Number(number) => *number,
        Operand::Counter(counter) => vars.counter(*counter).unwrap_or(0),
    }
}

fn owner(track: BitTrack, addresses: Option<(IpAddr, IpAddr)>) -> Option<Owner> {
    let (src, dst) = addresses?;
    Some(match track {
        BitTrack::Src => Owner::Host(src),
        BitTrack::Dst => Owner::Host(dst),
        BitTrack::Pair => Owner::Pair(src.min(dst), src.max(dst)),
    })
}

fn sided(side: HostSide, (src, dst): (IpAddr, IpAddr), test: impl Fn(IpAddr) -> bool) -> bool {
    match side {
        HostSide::Src => test(src),
        HostSide::Dst => test(dst),
        HostSide::Any => test(src) || test(dst),
        HostSide::Both => test(src) && test(dst),
    }
}

fn reputation(
    shared: &Shared,
    addresses: Option<(IpAddr, IpAddr)>,
    side: HostSide,
    category: usize,
    value: Option<Num>,
) -> bool {
    let Some(addresses) = addresses else {
        return false;
    };
    sided(side, addresses, |address| {
        // A category that is not configured: no, whatever is asked.
        let Some(found) = shared.reputations().of(address, category) else {
            return false;
        };
        match (value, found) {
            (Some(value), Some(found)) => value.test(found.into()),
            (None, None) => true,
            _ => false,
        }
    })
}

/// For rules without buffers.
impl Buffers for () {
    fn bytes(&mut self, _: RuleId, _: u8) -> Option<&[u8]> {
        None
    }
}
