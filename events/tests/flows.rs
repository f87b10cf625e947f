//! Records of type `flow` and `stats`, field by field.

use std::net::IpAddr;

use weir_engine::flow::{Detail, Ended, FlowAction, FlowConfig, FlowTable, StreamFacts};
use weir_engine::packet::{Net, Packet, Transport};
use weir_events::{CounterRecord, Interfaces, write_counters, write_flow};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_577_836_800 * SECOND;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A packet between the ends with the ports 1000 and 53, `seconds` after the start.
fn packet<'a>(
    transport: Transport<'a>,
    proto: u8,
    (src, dst): (&str, &str),
    seconds: u64,
) -> Packet<'a> {
    let mut packet = Packet::new(START + seconds * SECOND, 1, 60);
    packet.net = Net::V4 { header: &[0; 20] };
    (packet.src, packet.dst) = (ip(src), ip(dst));
    (packet.sport, packet.dport) = if src.ends_with('1') {
        (1000, 53)
    } else {
        (53, 1000)
    };
    packet.proto = proto;
    packet.transport = transport;
    packet
}

fn shut_down(mut table: FlowTable) -> Ended {
    table.close();
    table.next_over().expect("one flow")
}

fn line(ended: &Ended) -> String {
    let mut out = Vec::new();
    write_flow(&mut out, ended, &Interfaces::default());
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&line(ended)).expect("one JSON object")
}

const THERE: (&str, &str) = ("10.0.0.1", "10.0.0.2");
const BACK: (&str, &str) = ("10.0.0.2", "10.0.0.1");

#[test]
fn a_connection_has_suricatas_fields_in_suricatas_order() {
    let mut table = FlowTable::new(FlowConfig::default());
    let mut send = |ends, seconds, flags: u8, seq: u32, ack: u32| {
        let mut header = [0; 20];
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        header[12..16].copy_from_slice(&[0x50, flags, 0xff, 0xff]);
        let mut packet = packet(Transport::Tcp { header: &header }, 6, ends, seconds);
        (packet.vlan, packet.vlan_layers) = ([440, 0, 0], 1);
        table.track(&packet).expect("a flow")
    };
    send(THERE, 0, 0x02, 100, 0);
    send(BACK, 0, 0x12, 500, 101);
    let view = send(THERE, 2, 0x10, 101, 501);
    table.get_mut(view).alerted = true;
    let mut ended = shut_down(table);
    let id = ended.flow.id;
    let before_streams = concat!(
        r#""event_type":"flow","vlan":[440],"src_ip":"10.0.0.1","src_port":1000,"dest_ip":"10.0.0.2","#,
        r#""dest_port":53,"ip_v":4,"proto":"TCP","flow":{"pkts_toserver":2,"pkts_toclient":1,"#,
        r#""bytes_toserver":120,"bytes_toclient":60,"start":"2020-01-01T00:00:00.000000+0000","#,
        r#""end":"2020-01-01T00:00:02.000000+0000","age":2,"state":"established","reason":"shutdown","#,
        r#""alerted":true},"tcp":{"tcp_flags":"12","tcp_flags_ts":"12","tcp_flags_tc":"12","syn":true,"ack":true,"#,
        r#""state":"established""#
    );
    let head = format!(r#"{{"timestamp":"2020-01-01T00:00:02.000000+0000","flow_id":{id},"#);
    assert_eq!(line(&ended), format!("{head}{before_streams}}}}}\n"));
    ended.streams = Some(StreamFacts {
        gap: [true, false],
        max_regions: [1, 2],
        urgent: [0, 3],
    });
    let streams = r#","ts_gap":true,"ts_max_regions":1,"tc_max_regions":2,"tc_urgent_oob_data":3"#;
    assert_eq!(
        line(&ended),
        format!("{head}{before_streams}{streams}}}}}\n")
    );
}

#[test]
fn ping_has_no_ports_but_types_both_ways() {
    let mut table = FlowTable::new(FlowConfig::default());
    let ask = Transport::Icmp4 {
        header: &[8, 0, 0, 0, 0, 0, 0, 0],
    };
    let answer = Transport::Icmp4 {
        header: &[0, 0, 0, 0, 0, 0, 0, 0],
    };
    table.track(&packet(ask, 1, THERE, 0)).expect("a flow");
    let record = |table: FlowTable| json(&shut_down(table));
    let mut unanswered = FlowTable::new(FlowConfig::default());
    unanswered.track(&packet(ask, 1, THERE, 0)).expect("a flow");
    let alone = record(unanswered);
    assert_eq!(
        (&alone["icmp_type"], &alone["icmp_code"]),
        (&8.into(), &0.into())
    );
    assert!(alone["response_icmp_type"].is_null() && alone["src_port"].is_null());
    assert_eq!(alone["flow"]["state"], "new");
    assert!(alone["tcp"].is_null() && alone["vlan"].is_null());
    table.track(&packet(answer, 1, BACK, 1)).expect("a flow");
    let both = record(table);
    assert_eq!(
        (&both["response_icmp_type"], &both["response_icmp_code"]),
        (&0.into(), &0.into())
    );
    assert_eq!(both["flow"]["state"], "established");
}

#[test]
fn reasons_verdicts_and_marks_are_said() {
    let udp = Transport::Udp { header: &[0; 8] };
    let ended = |action| {
        let mut table = FlowTable::new(FlowConfig::default());
        let view = table.track(&packet(udp, 17, THERE, 0)).expect("a flow");
        table.decide(view, action);
        table.look(START);
        table.look(START + 500 * SECOND);
        let mut ended = table.next_over().expect("timed out");
        ended.flow.elephant = [false, true];
        ended.emergency = true;
        json(&ended)
    };
    let passed = ended(FlowAction::Pass);
    assert_eq!(passed["timestamp"], "2020-01-01T00:00:30.000000+0000");
    assert_eq!(passed["flow"]["reason"], "timeout");
    assert_eq!(passed["flow"]["action"], "pass");
    for mark in ["elephant", "elephant_toclient", "emergency"] {
        assert_eq!(passed["flow"][mark], true, "{mark}");
    }
    assert!(passed["flow"]["elephant_toserver"].is_null());
    assert_eq!(ended(FlowAction::Drop)["flow"]["action"], "drop");
    let bypassed = ended(FlowAction::Bypass);
    assert_eq!(bypassed["flow"]["state"], "bypassed");
    assert_eq!(bypassed["flow"]["bypass"], "local");
    assert!(bypassed["flow"]["action"].is_null());
}

#[test]
fn esp_has_its_index() {
    let mut table = FlowTable::new(FlowConfig::default());
    let esp = Transport::Esp {
        header: &[0, 0, 1, 2, 0, 0, 0, 0],
    };
    table.track(&packet(esp, 50, THERE, 0)).expect("a flow");
    let ended = shut_down(table);
    assert_eq!(ended.flow.detail, Detail::Esp(258));
    assert_eq!(json(&ended)["spi"], 258);
}

#[test]
fn counters_lead_into_objects_by_their_dots() {
    let counters = [
        ("flow.tcp", 1),
        ("decoder.pkts", 2),
        ("flow.end.state.new", 3),
        ("flow.end.state.closed", 4),
        ("flow_bypassed.pkts", 5),
        ("flow.udp", 6),
        // A name can be a number or an object, not both; and only once.
        ("decoder.pkts.more", 7),
        ("decoder.pkts", 8),
        ("alone", 9),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let record = CounterRecord::new(START, 17, counters.into());
    let mut out = Vec::new();
    write_counters(&mut out, &record);
    assert_eq!(
        String::from_utf8(out).expect("JSON is UTF-8"),
        concat!(
            r#"{"timestamp":"2020-01-01T00:00:00.000000+0000","event_type":"stats","stats":{"uptime":17,"alone":9,"#,
            r#""decoder":{"pkts":2},"flow":{"end":{"state":{"closed":4,"new":3}},"tcp":1,"udp":6},"#,
            r#""flow_bypassed":{"pkts":5}}}"#,
            "\n"
        )
    );
    let mut out = Vec::new();
    write_counters(&mut out, &CounterRecord::default());
    assert!(out.ends_with(b"\"stats\":{\"uptime\":0}}\n"));
}
