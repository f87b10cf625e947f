//! A rule and packets to make records of.

use std::net::IpAddr;

use weir_engine::detect::PacketFacts;
use weir_engine::packet::{Interface, Origin};
use weir_engine::plan::{Action, AddrSet, Header, Meta, PortSet, Proto, Rule};

/// A rule for anything.
pub fn rule() -> Rule {
    Rule {
        meta: Meta {
            sid: 2100366,
            gid: 1,
            rev: 8,
            msg: "PING *NIX".to_owned(),
            category: "Misc activity".to_owned(),
            priority: 3,
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
        tests: vec![],
        buffers: vec![],
        app: Default::default(),
        variables: 0,
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
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A packet of a file.
pub fn packet(proto: u8, src: &str, dst: &str) -> PacketFacts {
    PacketFacts {
        ts_ns: 1_577_836_800_123_456_789,
        number: 7,
        iface: Interface::NONE,
        is_ip: true,
        is_arp: false,
        src: ip(src),
        dst: ip(dst),
        proto,
        ports: None,
        icmp: None,
        vlan: ([0; 3], 0),
        macs: None,
        origin: Origin::Wire,
        depth: 0,
        carrier: None,
        flow: None,
    }
}
