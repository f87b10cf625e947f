//! What kind of rule a rule is: when it is looked at, and whether its verdict holds for the packet or the flow.

use super::{Buffer, PacketTest, Proto, Rule};

/// Suricata's signature types, as far as Weir evaluates them (userguide, "Rule Types and Categorization").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// Only addresses and protocol: looked at once per flow and direction, or on every packet that has no flow. Its
    /// verdict holds for the flow.
    IpOnly,
    /// The same with negated addresses: looked at on every packet, its verdict holds for the flow.
    LikeIpOnly,
    /// `decode-event`: looked at on packets that have decoder events.
    DecoderEvent,
    /// Header fields, or payload packet by packet; the verdict holds for the packet.
    Packet,
    /// TCP payload: the verdict holds for the flow when the data is part of a connection.
    Stream,
}

impl Rule {
    /// The rule's kind.
    pub fn kind(&self) -> RuleKind {
        if self
            .tests
            .iter()
            .any(|test| matches!(test, PacketTest::DecodeEvent(_)))
        {
            return RuleKind::DecoderEvent;
        }
        let only_addresses = self.buffers.is_empty()
            && self.flow.is_none()
            && self
                .tests
                .iter()
                .all(|test| matches!(test, PacketTest::L3 { .. }))
            && self.header.sport.is_any()
            && self.header.dport.is_any()
            && !matches!(
                self.header.proto,
                Proto::PktHdr | Proto::Ether | Proto::Arp | Proto::TcpPkt | Proto::TcpStream
            );
        if only_addresses {
            return if self.header.negated_addresses {
                RuleKind::LikeIpOnly
            } else {
                RuleKind::IpOnly
            };
        }
        if self.needs_stream
            && self
                .buffers
                .iter()
                .any(|plan| plan.buffer == Buffer::Payload)
        {
            return RuleKind::Stream;
        }
        RuleKind::Packet
    }
}
