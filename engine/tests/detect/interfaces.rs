//! By which interface packets came: what is said of a packet names its own, what is said of a flow that of its first packet.

use std::sync::Arc;

use weir_engine::detect::{Engine, EngineConfig, Event, PacketFacts, What};
use weir_engine::eval;
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::Plain;
use weir_engine::packet::{Frame, Interface, LinkType, Origin};
use weir_engine::plan::RuleSet;

use crate::build;
use crate::fallback::{WORDS, rule};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A sensor between two ports.
struct Bridge {
    engine: Engine,
    now_ns: u64,
    events: Vec<Event>,
}

impl Bridge {
    fn new() -> Self {
        let rules = Arc::new(RuleSet::new(WORDS.map(rule).to_vec()));
        let evaluator = Box::new(eval::Plain::new(Arc::clone(&rules)));
        let config = EngineConfig {
            flow: FlowConfig {
                max_flows: 16,
                ..FlowConfig::default()
            },
            flow_records: true,
            app_records: vec!["http"],
            ..EngineConfig::default()
        };
        let engine = Engine::new(rules, Box::new(Plain::new()), evaluator, config);
        Self {
            engine: engine.expect("holds four probes"),
            now_ns: 0,
            events: Vec::new(),
        }
    }

    /// A packet comes on a port.
    fn takes(&mut self, port: usize, data: &[u8]) {
        self.now_ns += 1_000_000;
        let frame = Frame {
            ts_ns: self.now_ns,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            iface: Interface::at(port),
            ..Frame::default()
        };
        self.engine.process(frame, &mut self.events);
    }

    /// The packets that rules matched, in order.
    fn matched(&self) -> Vec<&PacketFacts> {
        let found = self.events.iter().filter_map(|event| match &event.what {
            What::Matches(found) => Some(&found.packet),
            _ => None,
        });
        found.collect()
    }

    /// The packets with which records of HTTP are handed out.
    fn recorded(&self) -> Vec<&PacketFacts> {
        let records = self.events.iter().filter_map(|event| match &event.what {
            What::App(record) => Some(&record.packet),
            _ => None,
        });
        records.collect()
    }

    /// Ends all; the interfaces of the flows.
    fn flows(&mut self) -> Vec<Interface> {
        self.engine.finish(1, &mut self.events);
        let flows = self.events.iter().filter_map(|event| match &event.what {
            What::Flow(ended) => Some(ended.flow.iface),
            _ => None,
        });
        flows.collect()
    }
}

/// The same packet from the other end: a sum does not change with the order of addresses.
fn back(mut packet: Vec<u8>) -> Vec<u8> {
    packet[12..20].rotate_left(4);
    packet
}

/// A segment from the client's port 4000 to the server's port 80.
fn segment(flags: u8, seq: u32, ack: u32, payload: &str) -> Vec<u8> {
    let mut tcp = build::tcp(&[], payload.as_bytes());
    tcp[..2].copy_from_slice(&4000_u16.to_be_bytes());
    tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&ack.to_be_bytes());
    tcp[13] = flags;
    build::ipv4(6, &tcp)
}

/// The same from the server to the client.
fn answer(flags: u8, seq: u32, ack: u32, payload: &str) -> Vec<u8> {
    let mut packet = back(segment(flags, seq, ack, payload));
    packet[20..24].rotate_left(2);
    packet
}

#[test]
fn packets_name_their_own_and_flows_that_of_their_first() {
    for first in [0, 1] {
        let mut bridge = Bridge::new();
        let there = build::ipv4(17, &build::udp(4000, 5000, b"alpha"));
        let here = back(build::ipv4(17, &build::udp(5000, 4000, b"bravo")));
        bridge.takes(first, &there);
        bridge.takes(1 - first, &here);
        bridge.takes(first, &there);
        let ifaces: Vec<Interface> = bridge.matched().iter().map(|facts| facts.iface).collect();
        assert_eq!(ifaces, [first, 1 - first, first].map(Interface::at));
        assert_eq!(bridge.flows(), [Interface::at(first)]);
    }
}

#[test]
fn what_was_in_other_packets_came_where_they_came() {
    let mut bridge = Bridge::new();
    let inside = build::ethernet(
        0x0800,
        &build::ipv4(17, &build::udp(4000, 5000, b"charlie")),
    );
    let vxlan = build::concat(&[&[8, 0, 0, 0, 0, 0, 5, 0], &inside]);
    bridge.takes(1, &build::ipv4(17, &build::udp(4001, 4789, &vxlan)));
    let whole = build::udp(4002, 5000, b"12345delta-and-some-more");
    let (head, tail) = whole.split_at(16);
    // One half by each port: what completes the packet is what brings it.
    bridge.takes(1, &build::ipv4_with(17, 7, 0x2000, &[], head));
    bridge.takes(0, &build::ipv4_with(17, 7, 2, &[], tail));
    let seen: Vec<(bool, Interface)> = (bridge.matched().iter())
        .map(|facts| (facts.origin == Origin::Reassembled, facts.iface))
        .collect();
    assert_eq!(
        seen,
        [(false, Interface::at(1)), (true, Interface::at(0))],
        "a tunnelled and a reassembled one"
    );
}

#[test]
fn records_of_streams_name_the_packet_that_told_or_at_the_end_the_flows() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let asked = 101 + request.len() as u32;
    for (client, answered) in [(0, true), (1, true), (0, false), (1, false)] {
        let mut bridge = Bridge::new();
        bridge.takes(client, &segment(SYN, 100, 0, ""));
        bridge.takes(1 - client, &answer(SYN | ACK, 500, 101, ""));
        bridge.takes(client, &segment(ACK, 101, 501, ""));
        bridge.takes(client, &segment(ACK, 101, 501, request));
        assert!(bridge.recorded().is_empty());
        if answered {
            bridge.takes(1 - client, &answer(ACK, 501, asked, response));
            assert_eq!(bridge.recorded().len(), 1);
        }
        assert_eq!(bridge.flows(), [Interface::at(client)]);
        let recorded = bridge.recorded();
        let [facts] = recorded[..] else {
            panic!("one transaction, {recorded:?}")
        };
        // It is about the client's request, whoever made it known.
        assert_eq!(facts.ports, Some((4000, 80)));
        let (origin, port) = match answered {
            true => (Origin::Wire, 1 - client),
            false => (Origin::Stream, client),
        };
        assert_eq!((facts.origin, facts.iface), (origin, Interface::at(port)));
    }
}
