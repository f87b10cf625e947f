//! Tests of finding protocols, of what parsers may hold, and of what follows them.

use std::net::{IpAddr, Ipv4Addr};

use super::flow::AppId;
use super::*;

const LIMIT: usize = 1 << 20;

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

fn told(client: u8, server: u16) -> Told {
    Told {
        client: (address(client), 40_000),
        server: (address(200), server),
        udp: false,
        now_ns: 1,
    }
}

fn apps() -> Apps {
    Apps::new(Wants::all(), true, LIMIT)
}

/// Looks at everything, as rules do.
fn look(apps: &mut Apps, flow: &mut FlowApp) {
    if let Some(app) = apps.get_mut(flow.id) {
        for tx in &mut app.output.live {
            tx.halves.iter_mut().for_each(|half| half.fresh = false);
        }
        app.output.records.clear();
    }
    apps.looked(flow);
}

#[test]
fn the_other_direction_confirms_however_it_is_cut() {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for most in 1..answer.len() {
        let (mut apps, mut flow) = (apps(), FlowApp::default());
        apps.data(&mut flow, Way::ToServer, request, &told(1, 8080));
        for piece in answer.chunks(most) {
            apps.data(&mut flow, Way::ToClient, piece, &told(1, 8080));
        }
        assert_eq!(flow.found, [Some(AppProto::Http1); 2], "pieces of {most}");
        assert_eq!(flow.events, 0, "pieces of {most}");
    }
    // What is no answer of HTTP is told, however it is cut.
    for most in [1, 2, 100] {
        let (mut apps, mut flow) = (apps(), FlowApp::default());
        apps.data(&mut flow, Way::ToServer, request, &told(1, 8080));
        for piece in b"HTTP/2 no, hello there".chunks(most) {
            apps.data(&mut flow, Way::ToClient, piece, &told(1, 8080));
        }
        assert_eq!(flow.found[1], Some(AppProto::Failed));
        assert_ne!(flow.events, 0);
    }
}

#[test]
fn the_other_side_may_say_what_datagrams_are() {
    let told = Told {
        udp: true,
        ..told(1, 53)
    };
    let message = |flags: u8| {
        let mut message = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
        message[2] = flags;
        message
    };
    let (mut apps, mut flow) = (apps(), FlowApp::default());
    assert!(!apps.data(&mut flow, Way::ToServer, b"junk", &told));
    assert!(!apps.data(&mut flow, Way::ToServer, &message(1), &told));
    assert!(!apps.data(&mut flow, Way::ToClient, b"no", &told));
    assert_eq!((flow.proto, flow.id), (Some(AppProto::Failed), AppId::NONE));
    assert!(apps.data(&mut flow, Way::ToClient, &message(0x81), &told));
    assert_eq!(flow.proto, Some(AppProto::Dns));
    look(&mut apps, &mut flow);
    assert!(apps.data(&mut flow, Way::ToServer, &message(1), &told));
    assert_eq!(apps.counters.transactions, 2);
}

#[test]
fn an_announced_connection_waits_for_its_client_and_the_oldest_gives_way() {
    let announce = |server: u16| Expected {
        server: (address(200), server),
        client: address(1),
        proto: AppProto::FtpData,
        hint: 1,
        name: b"a".to_vec(),
    };
    let speaks = |apps: &mut Apps, client: u8, server: u16| {
        let mut flow = FlowApp::default();
        apps.data(&mut flow, Way::ToClient, b"x", &told(client, server));
        flow.proto
    };
    let mut apps = apps();
    apps.expect(announce(5000));
    assert_eq!(speaks(&mut apps, 2, 5000), None, "it is not for this one");
    assert_eq!(speaks(&mut apps, 1, 5000), Some(AppProto::FtpData));
    assert_eq!(speaks(&mut apps, 1, 5000), None, "once");
    for server in 10_000..11_500 {
        apps.expect(announce(server));
    }
    assert_eq!(speaks(&mut apps, 1, 11_499), Some(AppProto::FtpData));
    assert_eq!(speaks(&mut apps, 1, 10_600), Some(AppProto::FtpData));
    assert_eq!(speaks(&mut apps, 1, 10_000), None);
    assert!(apps.counters.dropped > 0);
}

#[test]
fn what_files_hold_is_counted() {
    let mut out = Output::everything();
    let tx = out.begin();
    let file = out.open_file(tx, Way::ToServer, b"name");
    out.file_data(tx, file, &[b'x'; 50_000]);
    assert!(out.memory() >= 50_000, "{}", out.memory());
    for at in 0..1000 {
        out.number(tx, Way::ToServer, AppField::Http2Setting, at);
    }
    assert!(out.memory() >= 66_000, "{}", out.memory());
}

#[test]
fn connections_that_grow_give_way_when_all_hold_too_much() {
    let mut apps = apps();
    let mut flows = [FlowApp::default(); 40];
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n";
    for (at, flow) in (0..).zip(&mut flows) {
        apps.data(flow, Way::ToServer, head, &told(at, 80));
    }
    assert_eq!(apps.counters.no_room, 0);
    for _ in 0..80 {
        for (at, flow) in (0..).zip(&mut flows) {
            if apps.data(flow, Way::ToServer, &[b'a'; 1000], &told(at, 80)) {
                look(&mut apps, flow);
            }
        }
    }
    assert!(apps.counters.most_memory < 2 * LIMIT as u64 + 100_000);
    assert!(apps.counters.no_room > 0);
    let read = flows.iter().filter(|flow| !flow.over).count();
    assert!(read > 2, "some are read on: {read}");
}

#[test]
fn a_transaction_that_gives_way_shows_its_files() {
    let mut out = Output::everything();
    let tx = out.begin();
    let file = out.open_file(tx, Way::ToServer, b"name");
    out.file_data(tx, file, b"begun");
    for _ in 0..MOST_LIVE {
        out.begin();
    }
    out.crowd();
    let tx = out.get(tx).expect("it is to be looked at");
    assert!(tx.is_done());
    let data = tx.buffers(Way::ToServer, AppBuffer::FileData);
    assert!(data.eq([b"begun"]));
    assert!(
        out.records
            .iter()
            .any(|(_, record)| record.kind == "fileinfo")
    );
}

#[test]
fn what_was_looked_at_and_is_not_read_on_is_forgotten() {
    let (mut apps, mut flow) = (apps(), FlowApp::default());
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    let agreed = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n";
    apps.data(&mut flow, Way::ToServer, upgrade, &told(1, 80));
    look(&mut apps, &mut flow);
    let before = apps.get(flow.id).expect("it").memory();
    apps.data(&mut flow, Way::ToClient, agreed, &told(1, 80));
    assert_eq!(flow.proto, Some(AppProto::Websocket));
    let app = apps.get(flow.id).expect("it");
    assert!(app.memory() >= before, "the parser before it is counted");
    assert_eq!(app.describe(0).map(|(kind, _)| kind), Some("http"));
    look(&mut apps, &mut flow);
    let after = apps.get(flow.id).expect("it").memory();
    assert!(after < before, "{after} of {before}");
    // One that cannot go on.
    apps.gap(&mut flow, Way::ToClient, None, 1);
    assert!(flow.over);
    look(&mut apps, &mut flow);
    assert_eq!(flow.id, AppId::NONE);
}

#[test]
fn transactions_that_nobody_looks_at_do_not_pile_up() {
    let mut out = Output::everything();
    for _ in 0..10_000 {
        let tx = out.begin();
        for way in Way::ALL {
            out.number(tx, way, AppField::DceLittleEndian, 1);
        }
        out.crowd();
        // As with datagrams of one direction.
        for tx in &mut out.live {
            tx.halves[0].fresh = false;
        }
        out.sweep();
        assert!(out.live.len() <= MOST_LIVE);
    }
}
