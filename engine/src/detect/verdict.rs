//! What is to become of a frame.

use std::ops::BitOrAssign;

use super::Found;
use crate::flow::{Endpoint, Flow, FlowAction};
use crate::packet::{Origin, Packet, proto};
use crate::plan::RejectTo;

/// What is to become of a frame, where verdicts are carried out ([`super::EngineConfig::inline`]). Without, nothing is dropped,
/// and only the flow's action means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The frame does not go on.
    pub drop: bool,
    /// A rule rejects it: these are to be told, by a TCP reset or an ICMP unreachable.
    pub reject: Option<RejectTo>,
    /// Its flow needs no inspection any more.
    pub flow: Option<FlowVerdict>,
}

/// What was decided about all that is still to come of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowVerdict {
    /// What: never [`FlowAction::None`].
    pub action: FlowAction,
    /// Who began it.
    pub client: Endpoint,
    /// The other end.
    pub server: Endpoint,
    /// IP protocol number.
    pub proto: u8,
    /// VLAN identifiers, outermost first, and how many.
    pub vlan: ([u16; 3], u8),
}

impl FlowVerdict {
    /// What was decided about the flow of `packet`, where that is a frame's only one: what came in a tunnel or in fragments
    /// can be told from other packets only by looking into it. A flow that carries others, or may by its ports, says nothing
    /// about those that need inspection; dropped it takes them along.
    pub(super) fn of(packet: &Packet<'_>, flow: &Flow, tunnel_ports: &[u16]) -> Option<Self> {
        let carries = || {
            packet.no_payload_inspection
                || packet.proto == proto::UDP
                    && [packet.sport, packet.dport]
                        .iter()
                        .any(|port| tunnel_ports.contains(port))
        };
        let holds = match flow.action {
            FlowAction::None => false,
            FlowAction::Drop => true,
            FlowAction::Pass | FlowAction::Bypass => !carries(),
        };
        (holds && packet.origin == Origin::Wire).then_some(Self {
            action: flow.action,
            client: flow.client,
            server: flow.server,
            proto: packet.proto,
            vlan: (packet.vlan, packet.vlan_layers),
        })
    }
}

impl Verdict {
    /// What matched is to be carried out on the packet at hand. `same`: it matched in a packet that goes the same way; otherwise
    /// in one that the packet at hand answers, whose sender is its receiver.
    pub(super) fn add(&mut self, found: &Found, same: bool) {
        self.drop |= found.dropped;
        let turned = |to| match to {
            RejectTo::Source if !same => RejectTo::Destination,
            RejectTo::Destination if !same => RejectTo::Source,
            to => to,
        };
        if let Some(to) = found.reject.map(turned) {
            self.reject = Some(both(self.reject, to));
        }
    }
}

/// A frame that holds several packets goes on when all of them do.
impl BitOrAssign for Verdict {
    fn bitor_assign(&mut self, other: Self) {
        self.drop |= other.drop;
        if let Some(to) = other.reject {
            self.reject = Some(both(self.reject, to));
        }
        self.flow = self.flow.or(other.flow);
    }
}

/// Who is told when two say so.
pub(super) fn both(before: Option<RejectTo>, now: RejectTo) -> RejectTo {
    match before {
        Some(before) if before != now => RejectTo::Both,
        _ => now,
    }
}
