//! Random rule headers, packets and flow views that often meet, for property tests.

use std::net::IpAddr;

use proptest::prelude::*;

use crate::flow::FlowView;
use crate::packet::{Net, Origin, Packet, Transport};
use crate::plan::{
    Action, AddrSet, Buffer, FlowTest, Header, Meta, PacketTest, PortSet, ProbeChoice, Proto, Rule,
};
use crate::stream::Step;

const PORTS: [u16; 8] = [0, 25, 53, 80, 445, 8080, 40_000, u16::MAX];

fn port() -> impl Strategy<Value = u16> {
    prop::sample::select(&PORTS[..])
}

/// Few ports, ranges, the rest of either, or any.
fn ports() -> impl Strategy<Value = PortSet> {
    let range = (port(), port()).prop_map(|(a, b)| PortSet::range(a.min(b), a.max(b)));
    let one = port().prop_map(|port| PortSet::range(port, port));
    let some = prop::collection::vec(prop_oneof![3 => one, 1 => range], 1..4);
    (some, 0..4u8).prop_map(|(some, how)| {
        let mut set = if how == 0 {
            PortSet::any()
        } else {
            PortSet::none()
        };
        for part in some.iter().flatten() {
            match how {
                0 => set.subtract(part),
                1 => return PortSet::any(),
                _ => set.union(part),
            }
        }
        set
    })
}

const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.9.0.1", "192.0.2.7", "2001:db8::5"];

fn address() -> impl Strategy<Value = IpAddr> {
    prop::sample::select(&ADDRESSES[..]).prop_map(|text| text.parse().expect("an address"))
}

fn addresses() -> impl Strategy<Value = AddrSet> {
    let prefix = (address(), prop::sample::select(&[0u8, 6, 16, 32][..]));
    prop_oneof![
        Just(AddrSet::any()),
        prefix.prop_map(|(address, length)| AddrSet::prefix(address, length).expect("fits")),
    ]
}

fn proto() -> impl Strategy<Value = Proto> {
    prop::sample::select(
        &[
            Proto::Ip,
            Proto::Ip4,
            Proto::Tcp,
            Proto::Tcp,
            Proto::Udp,
            Proto::Icmp,
            Proto::Sctp,
            Proto::Number(6),
            Proto::Number(1),
            Proto::PktHdr,
        ][..],
    )
}

fn flow_test() -> impl Strategy<Value = Option<FlowTest>> {
    let test =
        (0..4u8, any::<[bool; 4]>()).prop_map(|(way, [established, not, stream, frag])| FlowTest {
            to_server: way == 1,
            to_client: way == 2,
            established: established && !not,
            not_established: not,
            only_stream: stream,
            no_frag: frag,
            ..FlowTest::default()
        });
    prop::option::of(test)
}

/// A rule with a header; with a probe in the payload, with a packet test, or with neither.
pub(super) fn rule() -> impl Strategy<Value = Rule> {
    let ends = (addresses(), ports(), addresses(), ports());
    (proto(), ends, any::<bool>(), flow_test(), 0..3u8).prop_map(
        |(proto, (src, sport, dst, dport), bidirectional, flow, how)| Rule {
            meta: Meta::default(),
            action: Action::Alert,
            noalert: false,
            header: Header {
                proto,
                src,
                sport,
                dst,
                dport,
                bidirectional,
                negated_addresses: false,
            },
            flow,
            tests: if how == 1 {
                vec![PacketTest::SameIp]
            } else {
                Vec::new()
            },
            buffers: Vec::new(),
            variables: 0,
            flow_properties: vec![],
            state_tests: vec![],
            state_actions: vec![],
            threshold: None,
            detection_filter: None,
            probe: (how == 2).then(|| ProbeChoice {
                buffer: Buffer::Payload,
                bytes: b"probe".to_vec(),
                folded: false,
            }),
            other_probes: Vec::new(),
            module: None,
            prefilter: false,
            needs_packet: how == 2,
            needs_stream: false,
            app: Default::default(),
        },
    )
}

/// A packet with any transport, a fragment, or no IP at all; and what the flow table says of it.
pub(super) fn packet() -> impl Strategy<Value = (Packet<'static>, Option<FlowView>)> {
    const HEADER: &[u8] = &[0; 40];
    let ends = (address(), port(), address(), port());
    let view = prop::option::of(any::<[bool; 3]>()).prop_map(|view| {
        view.map(|[to_server, established, first]| FlowView {
            slot: 0,
            to_server,
            established,
            first,
            step: Step::default(),
            app: crate::flow::Speaks::Unknown,
        })
    });
    (0..8u8, ends, view, any::<bool>()).prop_map(|(kind, (src, sport, dst, dport), view, whole)| {
        let mut packet = Packet::new(0, 1, 100);
        if kind == 0 {
            return (packet, None);
        }
        (packet.src, packet.dst) = (src, dst);
        packet.net = match src {
            IpAddr::V4(_) => Net::V4 {
                header: &HEADER[..20],
            },
            IpAddr::V6(_) => Net::V6 {
                header: HEADER,
                extensions: &[],
            },
        };
        (packet.proto, packet.transport) = match kind {
            1..=3 => (
                6,
                Transport::Tcp {
                    header: &HEADER[..20],
                },
            ),
            4 | 5 => (
                17,
                Transport::Udp {
                    header: &HEADER[..8],
                },
            ),
            6 => (
                1,
                Transport::Icmp4 {
                    header: &HEADER[..8],
                },
            ),
            _ => (
                132,
                Transport::Sctp {
                    header: &HEADER[..12],
                },
            ),
        };
        packet.fragment = kind == 3 && !whole;
        if packet.fragment {
            packet.transport = Transport::None;
        } else if kind != 6 {
            (packet.sport, packet.dport) = (sport, dport);
        }
        if whole && kind == 2 {
            packet.origin = Origin::Reassembled;
        }
        (packet, view)
    })
}
