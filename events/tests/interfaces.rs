//! `in_iface`: which records have it, and where.

use weir_engine::app::{FlowApp, Record};
use weir_engine::detect::{Alert, AppRecord, FlowFacts, Noticed, PacketFacts, Tagged};
use weir_engine::eval::{Notice, NoticeKind};
use weir_engine::flow::{Ended, FlowConfig, FlowTable};
use weir_engine::packet::{Interface, LinkType, Net, Packet, Transport};
use weir_events::sink::Existing;
use weir_events::{CounterRecord, Eve, EveSink, FileSink, Interfaces};

mod support;

use support::{ip, packet, rule};

fn names() -> Interfaces {
    Interfaces::new(["eth1", "a \"b\""])
}

/// A packet of the flow 5.
fn facts(iface: Interface) -> PacketFacts {
    PacketFacts {
        iface,
        flow: Some(FlowFacts {
            id: 5,
            to_server: true,
            start_ns: 0,
            packets: [1, 0],
            bytes: [60, 0],
            client: (ip("10.0.0.1"), 1000),
            server: (ip("10.0.0.2"), 53),
            app: FlowApp::default(),
        }),
        ..packet(17, "10.0.0.1", "10.0.0.2")
    }
}

/// A flow whose first packet came by this interface, and its second by another one.
fn ended(iface: Interface) -> Ended {
    let mut table = FlowTable::new(FlowConfig::default());
    for iface in [iface, Interface::at(7)] {
        let mut packet = Packet::new(1, 1, 60);
        packet.iface = iface;
        packet.net = Net::V4 { header: &[0; 20] };
        (packet.src, packet.dst) = (ip("10.0.0.1"), ip("10.0.0.2"));
        packet.proto = 17;
        packet.transport = Transport::Udp { header: &[0; 8] };
        table.track(&packet).expect("a flow");
    }
    table.close();
    table.next_over().expect("one flow")
}

/// Hands a record of each kind that is about a packet or a flow to `look`, with its type.
fn each_kind(iface: Interface, look: &mut dyn FnMut(&str, &Eve<'_>)) {
    let rule = rule();
    let packet = facts(iface);
    let alert = Alert {
        rule: &rule,
        id: 0,
        blocked: false,
        carried_out: None,
        packet: &packet,
        app: None,
    };
    look("alert", &Eve::Alert(&alert));
    look("flow", &Eve::Flow(&ended(iface)));
    for kind in ["http", "dns", "tls", "fileinfo"] {
        let record = AppRecord {
            packet: packet.clone(),
            record: Record {
                kind,
                fields: serde_json::json!({}),
                more: None,
            },
        };
        look(kind, &Eve::App(&record));
    }
    let tagged = Tagged {
        packet,
        link: LinkType::ETHERNET,
        bytes: vec![0; 60],
    };
    look("packet", &Eve::Packet(&tagged));
}

fn line(record: &Eve<'_>, names: &Interfaces) -> String {
    let mut out = Vec::new();
    record.write(&mut out, names);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("one JSON object")
}

#[test]
fn records_of_packets_and_flows_name_the_interface_after_the_flow() {
    for (index, name) in ["eth1", "a \"b\""].into_iter().enumerate() {
        let mut kinds = 0;
        each_kind(Interface::at(index), &mut |kind, record| {
            kinds += 1;
            let line = line(record, &names());
            let json = json(&line);
            assert_eq!(json["event_type"], kind);
            assert_eq!(json["in_iface"], name, "{line}");
            let before = format!(r#","flow_id":{},"in_iface":""#, json["flow_id"]);
            assert!(line.contains(&before), "{line}");
            let after = if kind == "flow" {
                // Flows have no number of a packet.
                format!(r#","event_type":"{kind}""#)
            } else {
                format!(r#","pcap_cnt":7,"event_type":"{kind}""#)
            };
            let (_, rest) = line.split_once(r#""in_iface":"#).expect("it is there");
            let name = serde_json::to_string(name).expect("JSON");
            assert!(rest.starts_with(&(name + &after)), "{line}");
        });
        assert_eq!(kinds, 7);
    }
}

#[test]
fn without_an_interface_or_its_name_records_are_as_those_of_files() {
    let mut of_files = Vec::new();
    each_kind(Interface::NONE, &mut |_, record| {
        let line = line(record, &Interfaces::default());
        assert!(!line.contains("in_iface"), "{line}");
        of_files.push(line);
    });
    for (iface, names) in [
        (Interface::NONE, names()),
        (Interface::at(1), Interfaces::default()),
        (Interface::at(2), names()),
    ] {
        let mut expected = of_files.iter();
        each_kind(iface, &mut |_, record| {
            assert_eq!(Some(&line(record, &names)), expected.next(), "{iface:?}");
        });
        assert_eq!(expected.next(), None);
    }
}

#[test]
fn a_packet_without_a_flow_has_the_interface_after_the_time() {
    let mut facts = facts(Interface::at(0));
    facts.flow = None;
    facts.number = 0;
    let tagged = Tagged {
        packet: facts,
        link: LinkType::ETHERNET,
        bytes: Vec::new(),
    };
    let line = line(&Eve::Packet(&tagged), &names());
    let head = concat!(
        r#"{"timestamp":"2020-01-01T00:00:00.123456+0000","in_iface":"eth1","#,
        r#""event_type":"packet","src_ip":"#
    );
    assert!(line.starts_with(head), "{line}");
}

#[test]
fn what_is_about_the_sensor_itself_has_none() {
    let noticed = Noticed {
        ts_ns: 1,
        notice: Notice {
            module: "m".into(),
            kind: NoticeKind::Failed,
            reason: "it trapped".to_owned(),
            failures: 1,
        },
    };
    let counters = CounterRecord::new(1, 0, vec![("decoder.pkts".to_owned(), 1)]);
    for record in [Eve::Module(&noticed), Eve::Counters(&counters)] {
        let line = line(&record, &names());
        assert!(json(&line)["event_type"].is_string());
        assert!(!line.contains("in_iface"), "{line}");
    }
}

#[test]
fn a_sink_writes_the_names_that_it_was_given() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("eve.json");
    let written = |interfaces: Option<Interfaces>| {
        let mut sink = FileSink::open(&path, Existing::Truncate).expect("opens");
        if let Some(interfaces) = interfaces {
            sink = sink.with_interfaces(interfaces);
        }
        each_kind(Interface::at(0), &mut |_, record| {
            sink.record(record).expect("held");
        });
        sink.flush().expect("writes");
        let lines = std::fs::read_to_string(&path).expect("reads");
        let named = lines.lines().map(|line| json(line)["in_iface"] == "eth1");
        named.collect::<Vec<bool>>()
    };
    assert_eq!(written(Some(names())), [true; 7]);
    assert_eq!(written(None), [false; 7]);
}
