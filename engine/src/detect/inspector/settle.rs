//! From the rules that matched to what they decide.

use super::super::verdict::both;
use super::super::{FlowFacts, Found, Matched, PacketFacts, Prepared};
use crate::app::{AppId, FlowApp};
use crate::eval::{self, Subject};
use crate::flow::{Flow, FlowAction};
use crate::packet::{Packet, Transport};
use crate::plan::{Action, RuleId, RuleKind, RuleSet, StateAction};
use crate::state::{self, Context, Decision, Due, Seat};

/// Where rules matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// In a packet, and perhaps in the stream that it is a part of.
    Packet,
    /// In a stream.
    Stream,
    /// In a transaction.
    Transaction,
}

/// What settling needs beside rules and packets.
pub(super) struct Settler {
    /// The way to what flows share.
    pub(super) seat: Seat,
    buffers: eval::Buffers,
}

impl Settler {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            buffers: eval::Buffers::new(),
        }
    }
}

/// The bytes that tests on data sets ask for.
struct Bytes<'a, 's> {
    rules: &'a RuleSet,
    subject: &'a Subject<'s>,
    buffers: &'a mut eval::Buffers,
}

impl state::Buffers for Bytes<'_, '_> {
    fn bytes(&mut self, rule: RuleId, buffer: u8) -> Option<&[u8]> {
        let list = self.rules.get(rule)?.buffers.get(usize::from(buffer))?;
        self.buffers
            .bytes(list.buffer, &list.transforms, self.subject)
    }
}

/// Goes through the matches in order: a pass ends it, a drop holds, both may hold for the flow. `flow`: the flow, and
/// whether the subject goes to its server.
pub(super) fn settle(
    prepared: &Prepared,
    settler: &mut Settler,
    matches: &[RuleId],
    subject: &Subject<'_>,
    mut flow: Option<(&mut Flow, bool)>,
    how: Settled,
) -> Found {
    let of_flow = (flow.as_ref()).map(|(flow, to_server)| FlowFacts::new(flow, *to_server));
    let mut found = Found {
        packet: facts(subject.packet, of_flow),
        matches: Vec::with_capacity(matches.len()),
        dropped: false,
        reject: None,
        app: None,
    };
    for &id in matches {
        let Some(rule) = prepared.rules.get(id) else {
            continue;
        };
        let Settler { seat, buffers } = settler;
        let decision = prepared.state.settle(
            id,
            rule.action,
            &mut Context {
                ts_ns: subject.packet.ts_ns,
                addresses: found.packet.addresses(),
                flow: flow.as_mut().map(|(flow, _)| &mut **flow),
                seat,
                buffers: &mut Bytes {
                    rules: &prepared.rules,
                    subject,
                    buffers,
                },
            },
        );
        let Some(decision) = decision else {
            continue; // the state is not as it asks
        };
        let Decision { due, action } = decision;
        let kind = prepared.index.kind(id);
        let for_flow = matches!(
            kind,
            RuleKind::IpOnly
                | RuleKind::LikeIpOnly
                | RuleKind::ProtocolFound
                | RuleKind::Transaction
        ) || kind == RuleKind::Stream
            && (how == Settled::Stream
                || (flow.as_ref()).is_some_and(|(flow, _)| flow.tcp.established()));
        let flow_action = match action {
            _ if due == Due::Nothing => FlowAction::None,
            Action::Drop => {
                found.dropped = true;
                FlowAction::Drop
            }
            Action::Reject(to) => {
                found.dropped = true;
                found.reject = Some(both(found.reject, to));
                FlowAction::Drop
            }
            // What was dropped stays dropped.
            Action::Pass if !found.dropped => FlowAction::Pass,
            Action::Pass | Action::Alert => FlowAction::None,
        };
        if let Some((flow, _)) = &mut flow
            && flow.action == FlowAction::None
        {
            if for_flow {
                flow.action = flow_action;
            }
            let bypasses = |action: &StateAction| matches!(action, StateAction::Bypass);
            if flow.action == FlowAction::None
                && due != Due::Nothing
                && rule.state_actions.iter().any(bypasses)
            {
                flow.action = FlowAction::Bypass;
            }
        }
        if due != Due::Nothing {
            found.matches.push(Matched { rule: id, decision });
        }
        if let Some((flow, _)) = &mut flow
            && due == Due::Alert
            && action != Action::Pass
            && !rule.noalert
        {
            flow.alerted = true;
        }
        if action == Action::Pass && due != Due::Nothing {
            break;
        }
    }
    found
}

impl FlowFacts {
    pub(super) fn new(flow: &Flow, to_server: bool) -> Self {
        Self {
            id: flow.id,
            to_server,
            start_ns: flow.start_ns,
            packets: flow.packets,
            bytes: flow.bytes,
            client: flow.client,
            server: flow.server,
            // Where a worker keeps what it reads depends on which other flows it has.
            app: FlowApp {
                id: AppId::default(),
                ..flow.app
            },
        }
    }
}

pub(super) fn facts(packet: &Packet<'_>, flow: Option<FlowFacts>) -> PacketFacts {
    let ports = match packet.transport {
        Transport::Tcp { .. } | Transport::Udp { .. } | Transport::Sctp { .. } => {
            Some((packet.sport, packet.dport))
        }
        _ => None,
    };
    let mac = |at: usize| {
        packet
            .ether
            .and_then(|header| header.get(at..at + 6)?.try_into().ok())
    };
    PacketFacts {
        ts_ns: packet.ts_ns,
        number: packet.number,
        iface: packet.iface,
        is_ip: packet.is_ip(),
        is_arp: matches!(packet.net, crate::packet::Net::Arp(_)),
        src: packet.src,
        dst: packet.dst,
        proto: packet.proto,
        ports,
        icmp: packet.icmp_type().zip(packet.icmp_code()),
        vlan: (packet.vlan, packet.vlan_layers),
        macs: mac(6).zip(mac(0)),
        origin: packet.origin,
        depth: packet.depth,
        carrier: packet.carrier,
        flow,
    }
}
