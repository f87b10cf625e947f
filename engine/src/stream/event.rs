//! Stream events, under Suricata's names (`stream-event:est_packet_out_of_window`).

use crate::named::named_events;

named_events! {
    /// What the stream engine found wrong with a packet or its connection. The order is that of Suricata's own list.
    StreamEvent {
        /// Acknowledgement by the server where the client's third packet was due.
        ThreeWhsAckInWrongDir = "3whs_ack_in_wrong_dir",
        /// One-sided connection: a sequence number that does not continue the SYN.
        ThreeWhsAsyncWrongSeq = "3whs_async_wrong_seq",
        /// The client's third packet acknowledges what the server never sent.
        ThreeWhsRightSeqWrongAckEvasion = "3whs_right_seq_wrong_ack_evasion",
        /// SYN/ACK by the client.
        ThreeWhsSynackInWrongDirection = "3whs_synack_in_wrong_direction",
        /// Second SYN/ACK with another acknowledgement number.
        ThreeWhsSynackResendWithDifferentAck = "3whs_synack_resend_with_different_ack",
        /// Second SYN/ACK with another sequence number.
        ThreeWhsSynackResendWithDiffSeq = "3whs_synack_resend_with_diff_seq",
        /// SYN/ACK by the client after that of the server.
        ThreeWhsSynackToserverOnSynRecv = "3whs_synack_toserver_on_syn_recv",
        /// SYN/ACK that acknowledges no SYN.
        ThreeWhsSynackWithWrongAck = "3whs_synack_with_wrong_ack",
        /// More different SYN/ACKs than are kept.
        ThreeWhsSynackFlood = "3whs_synack_flood",
        /// SYN/ACK that acknowledges the SYN of TCP Fast Open, but not its data.
        ThreeWhsSynackTfoDataIgnored = "3whs_synack_tfo_data_ignored",
        /// More different SYNs than are kept.
        ThreeWhsSynFlood = "3whs_syn_flood",
        /// SYN with another sequence number after the SYN/ACK.
        ThreeWhsSynResendDiffSeqOnSynRecv = "3whs_syn_resend_diff_seq_on_syn_recv",
        /// SYN by the server after its SYN/ACK.
        ThreeWhsSynToclientOnSynRecv = "3whs_syn_toclient_on_syn_recv",
        /// The client's third packet has neither the right sequence number nor acknowledges the SYN/ACK.
        ThreeWhsWrongSeqWrongAck = "3whs_wrong_seq_wrong_ack",
        /// Inline: data of the server before the handshake is complete.
        ThreeWhsAckDataInject = "3whs_ack_data_inject",
        /// Both ends sent a SYN: SYN/ACK that acknowledges another SYN.
        FourWhsSynackWithWrongAck = "4whs_synack_with_wrong_ack",
        /// Both ends sent a SYN: SYN/ACK with another sequence number than the SYN before.
        FourWhsSynackWithWrongSyn = "4whs_synack_with_wrong_syn",
        /// Both ends sent a SYN: acknowledgement with a wrong sequence number.
        FourWhsWrongSeq = "4whs_wrong_seq",
        /// Both ends sent a SYN: an acknowledgement number of nothing that was sent.
        FourWhsInvalidAck = "4whs_invalid_ack",
        /// After the FIN of one end: data outside of the window.
        ClosewaitAckOutOfWindow = "closewait_ack_out_of_window",
        /// After the FIN of one end: FIN outside of the window.
        ClosewaitFinOutOfWindow = "closewait_fin_out_of_window",
        /// After the FIN of one end: data that was acknowledged before.
        ClosewaitPktBeforeLastAck = "closewait_pkt_before_last_ack",
        /// After the FIN of one end: an acknowledgement number of nothing that was sent.
        ClosewaitInvalidAck = "closewait_invalid_ack",
        /// Both ends sent a FIN: acknowledgement with a wrong sequence number.
        ClosingAckWrongSeq = "closing_ack_wrong_seq",
        /// Both ends sent a FIN: an acknowledgement number of nothing that was sent.
        ClosingInvalidAck = "closing_invalid_ack",
        /// Data outside of the window.
        EstPacketOutOfWindow = "est_packet_out_of_window",
        /// Data that was acknowledged before.
        EstPktBeforeLastAck = "est_pkt_before_last_ack",
        /// The SYN/ACK of the handshake again.
        EstSynackResend = "est_synack_resend",
        /// SYN/ACK in an established connection, with another acknowledgement number.
        EstSynackResendWithDifferentAck = "est_synack_resend_with_different_ack",
        /// SYN/ACK in an established connection, with another sequence number.
        EstSynackResendWithDiffSeq = "est_synack_resend_with_diff_seq",
        /// SYN/ACK by the client in an established connection.
        EstSynackToserver = "est_synack_toserver",
        /// The SYN of the handshake again.
        EstSynResend = "est_syn_resend",
        /// SYN in an established connection, with another sequence number.
        EstSynResendDiffSeq = "est_syn_resend_diff_seq",
        /// SYN by the server in an established connection.
        EstSynToclient = "est_syn_toclient",
        /// Established: an acknowledgement number of nothing that was sent.
        EstInvalidAck = "est_invalid_ack",
        /// Acknowledgement of the byte of a zero window probe.
        EstAckZwpData = "est_ack_zwp_data",
        /// FIN with an acknowledgement number of nothing that was sent.
        FinInvalidAck = "fin_invalid_ack",
        /// First FIN not yet acknowledged: a sequence number outside of the window.
        Fin1AckWrongSeq = "fin1_ack_wrong_seq",
        /// First FIN not yet acknowledged: FIN outside of the window.
        Fin1FinWrongSeq = "fin1_fin_wrong_seq",
        /// First FIN not yet acknowledged: an acknowledgement number of nothing that was sent.
        Fin1InvalidAck = "fin1_invalid_ack",
        /// First FIN acknowledged: a sequence number outside of the window.
        Fin2AckWrongSeq = "fin2_ack_wrong_seq",
        /// First FIN acknowledged: FIN outside of the window.
        Fin2FinWrongSeq = "fin2_fin_wrong_seq",
        /// First FIN acknowledged: an acknowledgement number of nothing that was sent.
        Fin2InvalidAck = "fin2_invalid_ack",
        /// FIN of no known connection.
        FinButNoSession = "fin_but_no_session",
        /// FIN outside of the window.
        FinOutOfWindow = "fin_out_of_window",
        /// SYN and FIN in one packet.
        FinSyn = "fin_syn",
        /// Second FIN not yet acknowledged: acknowledgement with a wrong sequence number.
        LastackAckWrongSeq = "lastack_ack_wrong_seq",
        /// Second FIN not yet acknowledged: an acknowledgement number of nothing that was sent.
        LastackInvalidAck = "lastack_invalid_ack",
        /// RST of no known connection.
        RstButNoSession = "rst_but_no_session",
        /// Both FINs acknowledged: a wrong sequence number.
        TimewaitAckWrongSeq = "timewait_ack_wrong_seq",
        /// Both FINs acknowledged: an acknowledgement number of nothing that was sent.
        TimewaitInvalidAck = "timewait_invalid_ack",
        /// SYN after a FIN.
        ShutdownSynResend = "shutdown_syn_resend",
        /// Timestamp that is older than the latest (RFC 7323, PAWS).
        PktInvalidTimestamp = "pkt_invalid_timestamp",
        /// An acknowledgement number of nothing that was sent.
        PktInvalidAck = "pkt_invalid_ack",
        /// An acknowledgement number without the ACK flag.
        PktBrokenAck = "pkt_broken_ack",
        /// RST with an acknowledgement number of nothing that was sent.
        RstInvalidAck = "rst_invalid_ack",
        /// RST that carries data.
        RstWithData = "rst_with_data",
        /// Data that was sent before.
        PktRetransmission = "pkt_retransmission",
        /// Data that was sent, and acknowledged, before.
        PktSpuriousRetransmission = "pkt_spurious_retransmission",
        /// A window that shrinks although data was sent beyond it.
        PktBadWindowUpdate = "pkt_bad_window_update",
        /// Traffic of an end that a RST should have silenced.
        SuspectedRstInject = "suspected_rst_inject",
        /// Packets of one connection at several workers.
        WrongThread = "wrong_thread",
        /// Data from before the reassembled part.
        ReassemblySegmentBeforeBaseSeq = "reassembly_segment_before_base_seq",
        /// No room to keep a segment.
        ReassemblyNoSegment = "reassembly_no_segment",
        /// Data is missing.
        ReassemblySeqGap = "reassembly_seq_gap",
        /// Segments that overlap and differ.
        ReassemblyOverlapDifferentData = "reassembly_overlap_different_data",
        /// More data than is inspected.
        ReassemblyDepthReached = "reassembly_depth_reached",
        /// A segment was not kept: memory limit.
        ReassemblyInsertMemcap = "reassembly_insert_memcap",
        /// A segment was not kept: too many of its connection.
        ReassemblyInsertLimit = "reassembly_insert_limit",
        /// A segment was not kept: invalid.
        ReassemblyInsertInvalid = "reassembly_insert_invalid",
    }
}

impl StreamEvent {
    /// The event that a rule names; the `stream.` of Suricata's own table may stand in front.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.strip_prefix("stream.").unwrap_or(name) {
            // Suricata's table of events spells two of them otherwise than its rules.
            "3whs_synack_resend_with_diff_ack" => Some(Self::ThreeWhsSynackResendWithDifferentAck),
            "est_synack_resend_with_diff_ack" => Some(Self::EstSynackResendWithDifferentAck),
            name => Self::ALL.iter().copied().find(|event| event.name() == name),
        }
    }

    /// False for the events that rules may name although nothing can raise them here: all packets of a connection go to
    /// one worker, and for the other one Suricata only keeps the name.
    pub fn raised(self) -> bool {
        !matches!(
            self,
            Self::WrongThread | Self::ThreeWhsSynackResendWithDiffSeq
        )
    }
}

/// A set of stream events; empty for almost every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamEvents(u128);

// Every event has its bit.
const _: () = assert!(StreamEvent::ALL.len() <= u128::BITS as usize);

impl StreamEvents {
    /// True when nothing was raised.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds one event.
    pub fn insert(&mut self, event: StreamEvent) {
        self.0 |= 1 << event as u8;
    }

    /// True when the event was raised.
    pub fn contains(self, event: StreamEvent) -> bool {
        self.0 >> event as u8 & 1 == 1
    }

    /// The events of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = StreamEvent> {
        StreamEvent::ALL
            .iter()
            .copied()
            .filter(move |&event| self.contains(event))
    }
}
