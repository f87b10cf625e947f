//! What kind of rule a rule is: when it is looked at, and whether its verdict holds for the packet or the flow.

use super::{Buffer, Header, PacketTest, Proto, Rule, StateTest};

/// Suricata's signature types, as far as Weir evaluates them (userguide, "Rule Types and Categorization").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleKind {
    /// Only addresses and protocol, and state of addresses: looked at once per flow and direction, or on every packet that
    /// has no flow. Its verdict holds for the flow.
    IpOnly,
    /// The same with a negated address or with ports, so that it is looked at on every packet; its verdict holds for the
    /// flow, too.
    LikeIpOnly,
    /// `decode-event`: looked at on packets that have decoder events.
    DecoderEvent,
    /// `stream-event`: only packets that have stream events can match; the verdict holds for the packet.
    StreamEvent,
    /// Header fields, or payload packet by packet; the verdict holds for the packet.
    Packet,
    /// TCP payload: the verdict holds for the flow when the data is part of a connection.
    Stream,
    /// Which protocol was found, and nothing else: looked at once in each direction, when that is known (Suricata's
    /// SIG_TYPE_PDONLY); the verdict holds for the flow.
    ProtocolFound,
    /// Transactions of application layers: looked at once in each transaction and direction; the verdict holds for the
    /// flow.
    Transaction,
}

impl Rule {
    /// The rule's kind.
    pub fn kind(&self) -> RuleKind {
        let asks = |event: fn(&PacketTest) -> bool| self.tests.iter().any(event);
        if asks(|test| matches!(test, PacketTest::DecodeEvent(_))) {
            return RuleKind::DecoderEvent;
        }
        if asks(|test| matches!(test, PacketTest::StreamEvent(_))) {
            return RuleKind::StreamEvent;
        }
        if self.is_about_transactions() {
            return RuleKind::Transaction;
        }
        // Looking at bits of hosts and at reputations is about addresses, too. What a rule does after a match is no matter.
        let about_addresses =
            |test: &StateTest| matches!(test, StateTest::HostBit { .. } | StateTest::IpRep { .. });
        let only_header = self.buffers.is_empty()
            && self.flow.is_none()
            && self.flow_properties.is_empty()
            && self.state_tests.iter().all(about_addresses)
            && self
                .tests
                .iter()
                .all(|test| matches!(test, PacketTest::L3 { .. }))
            && !matches!(
                self.header.proto,
                Proto::PktHdr | Proto::Ether | Proto::Arp | Proto::TcpPkt | Proto::TcpStream
            );
        if self.module.is_some() && self.buffers.is_empty() {
            // The module is to be asked about every packet, whatever the rule looks at itself.
            return RuleKind::Packet;
        }
        let about_protocols = self.buffers.is_empty()
            && self.tests.is_empty()
            && self.flow_properties.is_empty()
            && self.state_tests.is_empty();
        if about_protocols && !self.app.protocols.is_empty() {
            return RuleKind::ProtocolFound;
        }
        if self.buffers.is_empty() && self.tests.is_empty() && !self.app.protos.is_empty() {
            return RuleKind::LikeIpOnly;
        }
        if only_header && self.app.protocols.is_empty() {
            let Header {
                sport,
                dport,
                negated_addresses,
                ..
            } = &self.header;
            return if *negated_addresses || !sport.is_any() || !dport.is_any() {
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
