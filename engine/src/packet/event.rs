//! Decoder events, under Suricata's names (`decode-event:ipv4.trunc_pkt`).

use crate::named::named_events;

named_events! {
    /// What a decoder found wrong with a packet. The order is that of Suricata's own list.
    DecoderEvent {
        /// Fewer bytes than an IPv4 header.
        Ipv4PktTooSmall = "ipv4.pkt_too_small",
        /// Header length below 20 bytes.
        Ipv4HlenTooSmall = "ipv4.hlen_too_small",
        /// Total length below the header length.
        Ipv4IplenSmallerThanHlen = "ipv4.iplen_smaller_than_hlen",
        /// Total length above the captured bytes.
        Ipv4TruncPkt = "ipv4.trunc_pkt",
        /// An option of a type that is not known.
        Ipv4OptInvalid = "ipv4.opt_invalid",
        /// An option whose length does not fit.
        Ipv4OptInvalidLen = "ipv4.opt_invalid_len",
        /// An option with impossible content.
        Ipv4OptMalformed = "ipv4.opt_malformed",
        /// Options not padded to 8 bytes.
        Ipv4OptPadRequired = "ipv4.opt_pad_required",
        /// A last byte that is no end-of-list.
        Ipv4OptEolRequired = "ipv4.opt_eol_required",
        /// An option twice.
        Ipv4OptDuplicate = "ipv4.opt_duplicate",
        /// An option without a check; Suricata keeps it for coding errors of its own.
        Ipv4OptUnknown = "ipv4.opt_unknown",
        /// Version is not 4.
        Ipv4WrongIpVersion = "ipv4.wrong_ip_version",
        /// ICMPv6 in IPv4.
        Ipv4Icmpv6 = "ipv4.icmpv6",
        /// Fewer bytes than an ICMPv4 header.
        Icmpv4PktTooSmall = "icmpv4.pkt_too_small",
        /// Unassigned type.
        Icmpv4UnknownType = "icmpv4.unknown_type",
        /// Unassigned code.
        Icmpv4UnknownCode = "icmpv4.unknown_code",
        /// The embedded packet is cut short.
        Icmpv4Ipv4TruncPkt = "icmpv4.ipv4_trunc_pkt",
        /// The embedded packet is not IPv4.
        Icmpv4Ipv4UnknownVer = "icmpv4.ipv4_unknown_ver",
        /// Fewer bytes than an IGMP header.
        IgmpPktTooSmall = "igmp.pkt_too_small",
        /// Group records that do not fit.
        IgmpMalformed = "igmp.malformed",
        /// Fewer bytes than an IGMPv3 message counts.
        IgmpV3PktTooSmall = "igmp.v3_pkt_too_small",
        /// Unknown error type.
        Icmpv6UnknownType = "icmpv6.unknown_type",
        /// Unassigned code.
        Icmpv6UnknownCode = "icmpv6.unknown_code",
        /// Fewer bytes than an ICMPv6 header.
        Icmpv6PktTooSmall = "icmpv6.pkt_too_small",
        /// The embedded packet is not IPv6.
        Icmpv6Ipv6UnknownVersion = "icmpv6.ipv6_unknown_version",
        /// The embedded packet is cut short.
        Icmpv6Ipv6TruncPkt = "icmpv6.ipv6_trunc_pkt",
        /// Multicast listener message with a hop limit other than 1.
        Icmpv6MldMessageWithInvalidHl = "icmpv6.mld_message_with_invalid_hl",
        /// Unassigned type.
        Icmpv6UnassignedType = "icmpv6.unassigned_type",
        /// Type for private experimentation.
        Icmpv6ExperimentationType = "icmpv6.experimentation_type",
        /// Fewer bytes than an IPv6 header.
        Ipv6PktTooSmall = "ipv6.pkt_too_small",
        /// Payload length above the captured bytes.
        Ipv6TruncPkt = "ipv6.trunc_pkt",
        /// Extension header cut short.
        Ipv6TruncExthdr = "ipv6.trunc_exthdr",
        /// Second fragment header.
        Ipv6ExthdrDuplFh = "ipv6.exthdr_dupl_fh",
        /// Fragment header of a whole packet.
        Ipv6ExthdrUselessFh = "ipv6.exthdr_useless_fh",
        /// Second routing header.
        Ipv6ExthdrDuplRh = "ipv6.exthdr_dupl_rh",
        /// Second hop-by-hop header.
        Ipv6ExthdrDuplHh = "ipv6.exthdr_dupl_hh",
        /// Third destination options header.
        Ipv6ExthdrDuplDh = "ipv6.exthdr_dupl_dh",
        /// Second authentication header.
        Ipv6ExthdrDuplAh = "ipv6.exthdr_dupl_ah",
        /// Second ESP header; what follows the first is encrypted.
        Ipv6ExthdrDuplEh = "ipv6.exthdr_dupl_eh",
        /// Option whose length does not fit.
        Ipv6ExthdrInvalidOptlen = "ipv6.exthdr_invalid_optlen",
        /// Version is not 6.
        Ipv6WrongIpVersion = "ipv6.wrong_ip_version",
        /// Reserved field of the authentication header in use.
        Ipv6ExthdrAhResNotNull = "ipv6.exthdr_ah_res_not_null",
        /// Unknown hop-by-hop option.
        Ipv6HopoptsUnknownOpt = "ipv6.hopopts_unknown_opt",
        /// Hop-by-hop header with nothing but padding.
        Ipv6HopoptsOnlyPadding = "ipv6.hopopts_only_padding",
        /// Unknown destination option.
        Ipv6DstoptsUnknownOpt = "ipv6.dstopts_unknown_opt",
        /// Destination options header with nothing but padding.
        Ipv6DstoptsOnlyPadding = "ipv6.dstopts_only_padding",
        /// Routing header of the deprecated type 0 (RFC 5095).
        Ipv6RhType0 = "ipv6.rh_type_0",
        /// PadN option without padding.
        Ipv6ZeroLenPadn = "ipv6.zero_len_padn",
        /// Reserved field of the fragment header in use.
        Ipv6FhNonZeroReservedField = "ipv6.fh_non_zero_reserved_field",
        /// Bytes after "no next header".
        Ipv6DataAfterNoneHeader = "ipv6.data_after_none_header",
        /// Next header that is not known.
        Ipv6UnknownNextHeader = "ipv6.unknown_next_header",
        /// ICMPv4 in IPv6.
        Ipv6Icmpv4 = "ipv6.icmpv4",
        /// Fewer bytes than a TCP header.
        TcpPktTooSmall = "tcp.pkt_too_small",
        /// Header length below 20 bytes.
        TcpHlenTooSmall = "tcp.hlen_too_small",
        /// Header length above the bytes there are.
        TcpInvalidOptlen = "tcp.invalid_optlen",
        /// An option whose length does not fit.
        TcpOptInvalidLen = "tcp.opt_invalid_len",
        /// An option twice.
        TcpOptDuplicate = "tcp.opt_duplicate",
        /// Length above the bytes there are.
        UdpPktTooSmall = "udp.pkt_too_small",
        /// Fewer bytes than a UDP header.
        UdpHlenTooSmall = "udp.hlen_too_small",
        /// Length that does not fit; raised by no current Suricata.
        UdpHlenInvalid = "udp.hlen_invalid",
        /// Length below 8 bytes.
        UdpLenInvalid = "udp.len_invalid",
        /// Fewer bytes than a Linux cooked header.
        SllPktTooSmall = "sll.pkt_too_small",
        /// Fewer bytes than a Linux cooked header, version 2.
        Sll2PktTooSmall = "sll2.pkt_too_small",
        /// Fewer bytes than an Ethernet header.
        EthernetPktTooSmall = "ethernet.pkt_too_small",
        /// EtherType that is not known.
        EthernetUnknownEthertype = "ethernet.unknown_ethertype",
        /// Fewer bytes than a PPP header.
        PppPktTooSmall = "ppp.pkt_too_small",
        /// Fewer bytes than an IPv4 header behind Van Jacobson's uncompressed protocol number.
        PppVjuPktTooSmall = "ppp.vju_pkt_too_small",
        /// Fewer bytes than an IPv4 header.
        PppIp4PktTooSmall = "ppp.ip4_pkt_too_small",
        /// Fewer bytes than an IPv6 header.
        PppIp6PktTooSmall = "ppp.ip6_pkt_too_small",
        /// Unknown protocol number.
        PppWrongType = "ppp.wrong_type",
        /// Known protocol that is not decoded.
        PppUnsupProto = "ppp.unsup_proto",
        /// Fewer bytes than a PPPoE header.
        PppoePktTooSmall = "pppoe.pkt_too_small",
        /// Unknown discovery code.
        PppoeWrongCode = "pppoe.wrong_code",
        /// Discovery tags that do not fit.
        PppoeMalformedTags = "pppoe.malformed_tags",
        /// Fewer bytes than a GRE header.
        GrePktTooSmall = "gre.pkt_too_small",
        /// Version is neither 0 nor 1.
        GreWrongVersion = "gre.wrong_version",
        /// Recursion control in use.
        GreVersion0Recur = "gre.version0_recur",
        /// Reserved flags in use.
        GreVersion0Flags = "gre.version0_flags",
        /// Header longer than the packet.
        GreVersion0HdrTooBig = "gre.version0_hdr_too_big",
        /// Source route entry longer than the packet.
        GreVersion0MalformedSreHdr = "gre.version0_malformed_sre_hdr",
        /// Version 1 with a checksum.
        GreVersion1Chksum = "gre.version1_chksum",
        /// Version 1 with routing.
        GreVersion1Route = "gre.version1_route",
        /// Version 1 with a strict source route.
        GreVersion1Ssr = "gre.version1_ssr",
        /// Version 1 with recursion control.
        GreVersion1Recur = "gre.version1_recur",
        /// Version 1 with reserved flags.
        GreVersion1Flags = "gre.version1_flags",
        /// Version 1 without a key.
        GreVersion1NoKey = "gre.version1_no_key",
        /// Version 1 that does not carry PPP.
        GreVersion1WrongProtocol = "gre.version1_wrong_protocol",
        /// Version 1 has no source routes.
        GreVersion1MalformedSreHdr = "gre.version1_malformed_sre_hdr",
        /// Header longer than the packet.
        GreVersion1HdrTooBig = "gre.version1_hdr_too_big",
        /// Fewer bytes than a VLAN tag.
        VlanHeaderTooSmall = "vlan.header_too_small",
        /// Unknown EtherType behind a tag.
        VlanUnknownType = "vlan.unknown_type",
        /// More than three tags.
        VlanTooManyLayers = "vlan.too_many_layers",
        /// Fewer bytes than an 802.1ah tag.
        Ieee8021ahHeaderTooSmall = "ieee8021ah.header_too_small",
        /// Fewer bytes than a VN-Tag.
        VntagHeaderTooSmall = "vntag.header_too_small",
        /// Unknown EtherType behind a VN-Tag.
        VntagUnknownType = "vntag.unknown_type",
        /// Raw IP of neither version.
        IprawInvalidIpVersion = "ipraw.invalid_ip_version",
        /// Fewer bytes than a loopback header.
        LtnullPktTooSmall = "ltnull.pkt_too_small",
        /// Address family that is not decoded.
        LtnullUnsupportedType = "ltnull.unsupported_type",
        /// Fewer bytes than an SCTP header.
        SctpPktTooSmall = "sctp.pkt_too_small",
        /// Fewer bytes than an ESP header.
        EspPktTooSmall = "esp.pkt_too_small",
        /// Fragments that add up to more than a packet can be.
        Ipv4FragPktTooLarge = "ipv4.frag_pkt_too_large",
        /// Fragments that add up to more than a packet can be.
        Ipv6FragPktTooLarge = "ipv6.frag_pkt_too_large",
        /// Fragments that overlap.
        Ipv4FragOverlap = "ipv4.frag_overlap",
        /// Fragments that overlap.
        Ipv6FragOverlap = "ipv6.frag_overlap",
        /// Fragment, not the last, whose length is not a multiple of 8.
        Ipv6FragInvalidLength = "ipv6.frag_invalid_length",
        /// Fragment that could not be kept.
        Ipv4FragIgnored = "ipv4.frag_ignored",
        /// Fragment that could not be kept.
        Ipv6FragIgnored = "ipv6.frag_ignored",
        /// Fewer bytes than an IPv4 header inside IPv6.
        Ipv6Ipv4InIpv6TooSmall = "ipv6.ipv4_in_ipv6_too_small",
        /// No IPv4 where IPv6 says IPv4.
        Ipv6Ipv4InIpv6WrongVersion = "ipv6.ipv4_in_ipv6_wrong_version",
        /// Fewer bytes than an IPv6 header inside IPv6.
        Ipv6Ipv6InIpv6TooSmall = "ipv6.ipv6_in_ipv6_too_small",
        /// No IPv6 where IPv6 says IPv6.
        Ipv6Ipv6InIpv6WrongVersion = "ipv6.ipv6_in_ipv6_wrong_version",
        /// Fewer bytes than an MPLS label.
        MplsHeaderTooSmall = "mpls.header_too_small",
        /// Nothing behind the labels to tell the payload by.
        MplsPktTooSmall = "mpls.pkt_too_small",
        /// Router alert label at the bottom.
        MplsBadLabelRouterAlert = "mpls.bad_label_router_alert",
        /// Implicit null label on the wire.
        MplsBadLabelImplicitNull = "mpls.bad_label_implicit_null",
        /// Reserved label.
        MplsBadLabelReserved = "mpls.bad_label_reserved",
        /// Payload that is neither IP nor Ethernet.
        MplsUnknownPayloadType = "mpls.unknown_payload_type",
        /// VXLAN always carries Ethernet, which judges its payload itself.
        VxlanUnknownPayloadType = "vxlan.unknown_payload_type",
        /// Payload that is not decoded.
        GeneveUnknownPayloadType = "geneve.unknown_payload_type",
        /// Fewer bytes than an ERSPAN header.
        ErspanHeaderTooSmall = "erspan.header_too_small",
        /// ERSPAN version that is not decoded.
        ErspanUnsupportedVersion = "erspan.unsupported_version",
        /// ERSPAN VLAN on top of three tags.
        ErspanTooManyVlanLayers = "erspan.too_many_vlan_layers",
        /// Fewer bytes than a Cisco FabricPath header.
        DcePktTooSmall = "dce.pkt_too_small",
        /// Fewer bytes than a Cisco HDLC header.
        ChdlcPktTooSmall = "chdlc.pkt_too_small",
        /// Fewer bytes than a network service header.
        NshHeaderTooSmall = "nsh.header_too_small",
        /// Version is not 0.
        NshUnsupportedVersion = "nsh.unsupported_version",
        /// Header length that does not fit.
        NshBadHeaderLength = "nsh.bad_header_length",
        /// Reserved metadata type.
        NshReservedType = "nsh.reserved_type",
        /// Metadata type that is not decoded.
        NshUnsupportedType = "nsh.unsupported_type",
        /// Next protocol that is not decoded.
        NshUnknownPayload = "nsh.unknown_payload",
        /// More layers than the decoder follows.
        TooManyLayers = "too_many_layers",
        /// Fewer bytes than an ARP header.
        ArpPktTooSmall = "arp.pkt_too_small",
        /// Hardware type is not Ethernet.
        ArpUnsupportedHardware = "arp.unsupported_hardware",
        /// Protocol is not IPv4.
        ArpUnsupportedProtocol = "arp.unsupported_protocol",
        /// Fewer bytes than an ARP packet for IPv4 over Ethernet.
        ArpUnsupportedPkt = "arp.unsupported_pkt",
        /// Hardware address size is not 6.
        ArpInvalidHardwareSize = "arp.invalid_hardware_size",
        /// Protocol address size is not 4.
        ArpInvalidProtocolSize = "arp.invalid_protocol_size",
        /// Operation that is not known.
        ArpUnsupportedOpcode = "arp.unsupported_opcode",
        /// Frame cut by the kernel's ring; captures say so with their lengths.
        AfpacketTruncPkt = "afpacket.trunc_pkt",
    }
}

impl DecoderEvent {
    /// The event that a rule names; the `decoder.` of Suricata's own table may stand in front.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("decoder.").unwrap_or(name);
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// False for the events that rules may name although no packet can raise them here: Suricata keeps the name but no
    /// longer raises it, or raises it from a capture method that Weir does not have.
    pub fn raised(self) -> bool {
        !matches!(
            self,
            Self::Ipv4OptUnknown
                | Self::Ipv6ExthdrDuplEh
                | Self::UdpHlenInvalid
                | Self::GreVersion1MalformedSreHdr
                | Self::VxlanUnknownPayloadType
                | Self::AfpacketTruncPkt
        )
    }
}

/// A set of decoder events; empty for almost every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet([u64; 4]);

// Every event has its bit.
const _: () = assert!(DecoderEvent::ALL.len() <= 4 * 64);

impl EventSet {
    /// True when nothing was raised.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Adds one event.
    pub fn insert(&mut self, event: DecoderEvent) {
        let bit = event as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// True when the event was raised.
    pub fn contains(&self, event: DecoderEvent) -> bool {
        let bit = event as usize;
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The events of the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = DecoderEvent> + use<> {
        let set = *self;
        DecoderEvent::ALL
            .iter()
            .copied()
            .filter(move |event| set.contains(*event))
    }
}
