//! ICMP errors belong to the flow of the packet that they quote.

use std::net::IpAddr;

use proptest::prelude::*;
use weir_engine::flow::{Endpoint, FlowAction, FlowConfig};
use weir_engine::stream::TcpState;

use crate::support::{ACK, Connection, SECOND, Table, v4, v6};

/// The start of a packet, as errors quote it.
fn quote(from: Endpoint, to: Endpoint, proto: u8) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    let mut packet = match (from.0, to.0) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 1, proto, 0, 0];
            header.extend(src.octets());
            header.extend(dst.octets());
            header
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 8, proto, 1];
            header.extend(src.octets());
            header.extend(dst.octets());
            header
        }
        _ => panic!("one family"),
    };
    packet.extend(ports);
    packet.extend([0; 4]);
    packet
}

fn table() -> Table {
    Table::new(FlowConfig::default())
}

#[test]
fn an_error_belongs_to_the_flow_it_is_about() {
    for (client, server, router, kinds) in [
        (v4(1, 9), v4(2, 7), v4(254, 0).0, &[3, 4, 5, 11, 12][..]),
        (v6(1, 9), v6(2, 7), v6(254, 0).0, &[1, 2, 3, 4]),
    ] {
        let mut table = table();
        let view = table.udp(client, server);
        let id = table.flow(view).id;
        let about_request = quote(client, server, 17);
        let about_answer = quote(server, client, 17);
        for &kind in kinds {
            for (from, to, quoted, to_server) in [
                (router, client.0, &about_request, false),
                (server.0, client.0, &about_request, false),
                (client.0, server.0, &about_answer, true),
            ] {
                let view = table.icmp(from, to, kind, quoted).expect("flow");
                assert_eq!(table.flow(view).id, id);
                assert_eq!((view.to_server, view.first), (to_server, false));
                assert!(!view.established, "an error is no answer");
            }
        }
        // The first answer is still the first of its direction.
        assert!(table.udp(server, client).first);
        let errors = kinds.len() as u64;
        let view = table.udp(server, client);
        assert_eq!(table.flow(view).packets, [1 + errors, 2 + 2 * errors]);
        assert_eq!(table.flows.counters().created, 1);
    }
}

#[test]
fn an_error_leaves_the_connection_as_it_is_and_meets_its_verdict() {
    let mut tcp = Connection::new(false);
    tcp.shake_hands();
    let view = tcp.send(true, ACK, 101, 501, 10);
    tcp.table.flows.decide(view, FlowAction::Drop);
    let (client, server) = (tcp.client, tcp.server);
    let view = tcp
        .table
        .icmp(server.0, client.0, 3, &quote(client, server, 6))
        .expect("flow");
    assert!(view.established && !view.to_server);
    assert_eq!(tcp.table.state(view), TcpState::Established);
    assert_eq!(tcp.table.flow(view).action, FlowAction::Drop);
}

#[test]
fn an_error_about_no_flow_makes_none() {
    let mut table = table();
    let (client, server) = (v4(1, 9), v4(2, 7));
    let about = quote(client, server, 17);
    assert_eq!(table.icmp(server.0, client.0, 3, &about), None);
    table.udp(client, server);
    // Another protocol, other ports, not sent to whom it concerns, another type.
    let other_port = quote((client.0, 10), server, 17);
    for (to, kind, quoted) in [
        (client.0, 3, quote(client, server, 6)),
        (client.0, 3, other_port),
        (v4(3, 0).0, 3, about.clone()),
    ] {
        assert_eq!(table.icmp(server.0, to, kind, &quoted), None);
    }
    assert!(table.icmp(server.0, client.0, 3, &about).is_some());
    // One that is over.
    table.now_ns += 31 * SECOND;
    assert_eq!(table.icmp(server.0, client.0, 3, &about), None);
    assert_eq!(table.flows.counters().created, 1);
}

#[test]
fn ports_are_found_behind_options_and_not_in_later_fragments() {
    let mut table = table();
    let (client, server) = (v4(1, 9), v4(2, 7));
    table.udp(client, server);
    let plain = quote(client, server, 17);
    let mut error = |quoted: &[u8]| table.icmp(server.0, client.0, 11, quoted).is_some();

    let mut options = plain.clone();
    options[0] = 0x46;
    options.splice(20..20, [1, 1, 1, 0]);
    assert!(error(&options));
    let mut first = plain.clone();
    first[6] = 0x20;
    assert!(error(&first));
    let mut later = plain.clone();
    later[7] = 1;
    assert!(!error(&later));
    assert!(error(&plain[..24]));
    assert!(!error(&plain[..23]));

    let mut table = self::table();
    let (client, server) = (v6(1, 9), v6(2, 7));
    table.udp(client, server);
    let mut error = |quoted: &[u8]| table.icmp(server.0, client.0, 3, quoted).is_some();
    let behind = |first: u8, extensions: &[u8]| {
        let mut packet = quote(client, server, first);
        packet.splice(40..40, extensions.iter().copied());
        packet
    };
    let destination = [44, 0, 1, 4, 0, 0, 0, 0];
    let fragment = |offset| [17, 0, 0, offset, 0, 0, 0, 1];
    assert!(error(&behind(60, &[destination, fragment(1)].concat())));
    assert!(!error(&behind(60, &[destination, fragment(8)].concat())));
    assert!(!error(&behind(60, &destination)));
}

#[test]
fn an_error_about_a_ping_belongs_to_the_ping() {
    let mut table = table();
    let (client, server) = (v4(1, 0), v4(2, 0));
    table.icmp(client.0, server.0, 8, b"").expect("flow");
    let mut quoted = quote(client, server, 1);
    quoted[20] = 8;
    let view = table
        .icmp(v4(254, 0).0, client.0, 11, &quoted)
        .expect("flow");
    assert!(!view.to_server);
    // An error about an error is about nothing.
    quoted[20] = 3;
    assert_eq!(table.icmp(v4(254, 0).0, client.0, 11, &quoted), None);
}

proptest! {
    /// Whatever an error quotes, it makes no flow.
    #[test]
    fn any_bytes_may_be_quoted(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        first in prop::sample::select(vec![0x45u8, 0x4f, 0x60, 0]),
        next in prop::sample::select(vec![0u8, 6, 43, 44, 51, 60]),
        v6_packet: bool,
    ) {
        let mut table = table();
        let mut bytes = bytes;
        for (at, byte) in [(0, first), (6, next)] {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let (from, to) = if v6_packet { (v6(1, 0), v6(2, 0)) } else { (v4(1, 0), v4(2, 0)) };
        prop_assert_eq!(table.icmp(from.0, to.0, 3, &bytes), None);
        prop_assert_eq!(table.flows.counters().created, 0);
    }
}
