//! What the engine makes of rules and packets, case by case: kinds of rules, verdicts and their order, limits, flows.

use std::sync::Arc;

use weir_engine::detect::{Alerts, Engine, EngineConfig, Verdict};
use weir_engine::eval;
use weir_engine::flow::FlowAction;
use weir_engine::matcher;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::{RejectTo, RuleSet};
use weir_rules::classification::Classification;
use weir_rules::compile::{self, Compiler, Variables};
use weir_rules::syntax::SourceFile;

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const FIN_ACK: u8 = 0x11;

type End = ([u8; 4], u16);

const CLIENT: End = ([10, 0, 0, 1], 40_000);
const SERVER: End = ([10, 0, 0, 2], 80);

fn rules(text: &str) -> Arc<RuleSet> {
    // Rules start at the start of a line; here they are indented for the reader.
    let text: String = text
        .lines()
        .flat_map(|line| [line.trim_start(), "\n"])
        .collect();
    let source = SourceFile {
        name: "test.rules".into(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = compile::load(
        &[source],
        &Compiler::new(Variables::stock(), Classification::stock()),
    );
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Arc::new(loaded.rules)
}

fn ipv4(proto: u8, src: [u8; 4], dst: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, proto, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(body);
    packet
}

fn udp(from: End, to: End, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(from.1.to_be_bytes());
    body.extend(to.1.to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    ipv4(17, from.0, to.0, &body)
}

fn tcp(from: End, to: End, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(from.1.to_be_bytes());
    body.extend(to.1.to_be_bytes());
    body.extend(seq.to_be_bytes());
    body.extend(ack.to_be_bytes());
    body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend(payload);
    ipv4(6, from.0, to.0, &body)
}

/// A handshake from CLIENT to SERVER.
fn handshake() -> Vec<Vec<u8>> {
    vec![
        tcp(CLIENT, SERVER, SYN, 100, 0, b""),
        tcp(SERVER, CLIENT, SYN_ACK, 500, 101, b""),
        tcp(CLIENT, SERVER, ACK, 101, 501, b""),
    ]
}

/// Runs packets a second apart and lists (packet number, sid) of every alert.
fn run_with(config: EngineConfig, text: &str, packets: &[Vec<u8>]) -> Vec<(u64, u32)> {
    let rules = rules(text);
    let evaluator = eval::Plain::new(rules.clone());
    let mut engine = Engine::new(
        rules.clone(),
        Box::new(matcher::Plain::new()),
        Box::new(evaluator),
        config.clone(),
    )
    .expect("the plain matcher holds any set");
    let mut alerts = Alerts::new(rules, &config);
    let (mut found, mut got) = (Vec::new(), Vec::new());
    for (number, data) in (1..).zip(packets) {
        let frame = Frame {
            ts_ns: number * 1_000_000_000,
            number,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        engine.process(frame, &mut found);
        for found in found.drain(..) {
            alerts.commit(&found, &mut |alert| {
                got.push((alert.packet.number, alert.rule.meta.sid))
            });
        }
    }
    got
}

fn run(text: &str, packets: &[Vec<u8>]) -> Vec<(u64, u32)> {
    run_with(EngineConfig::default(), text, packets)
}

#[test]
fn address_only_rules_speak_once_per_flow_and_direction() {
    let packets: Vec<_> = handshake().into_iter().chain(handshake()).collect();
    assert_eq!(
        run("alert tcp any any -> any any (sid:1;)", &packets),
        [(1, 1), (2, 1)]
    );
    // A port makes it a packet rule.
    assert_eq!(
        run("alert tcp any any -> any 80 (sid:1;)", &packets).len(),
        4
    );
    // So does a negated address, as far as the number of looks is concerned.
    assert_eq!(
        run("alert tcp !10.0.0.2 any -> any any (sid:1;)", &packets).len(),
        4
    );
    // Without a flow there is no first packet.
    let igmp = ipv4(2, CLIENT.0, SERVER.0, &[0x16, 0, 0, 0, 224, 0, 0, 1]);
    assert_eq!(
        run(
            "alert ip any any -> any any (sid:1;)",
            &[igmp.clone(), igmp]
        ),
        [(1, 1), (2, 1)]
    );
}

#[test]
fn a_pass_rule_silences_those_behind_it() {
    let text = r#"
        alert udp any any -> any any (content:"evil"; sid:1;)
        drop udp any any -> any any (content:"evil"; sid:2;)
        pass udp any any -> any 53 (content:"evil"; sid:3;)
    "#;
    let packets = [
        udp(CLIENT, (SERVER.0, 53), b"evil"),
        udp(CLIENT, (SERVER.0, 54), b"evil"),
    ];
    assert_eq!(run(text, &packets), [(2, 2), (2, 1)]);
    let loud = text.replace(
        "pass udp any any -> any 53 (",
        "pass udp any any -> any 53 (alert; ",
    );
    assert_eq!(run(&loud, &packets), [(1, 3), (2, 2), (2, 1)]);
}

#[test]
fn a_drop_of_the_flow_ends_its_inspection() {
    let text = r#"
        drop ip 10.0.0.1 any -> any any (sid:1;)
        alert udp any any -> any any (content:"x"; sid:2;)
    "#;
    let packets = [
        udp(CLIENT, SERVER, b"x"),
        udp(SERVER, CLIENT, b"x"),
        udp(CLIENT, SERVER, b"x"),
    ];
    assert_eq!(run(text, &packets), [(1, 1), (1, 2)]);
    // Nor does a pass leave anything to inspect, also when it was for a port: what the other end sends is passed, too.
    let text = "pass udp any any -> any 80 (sid:1;)\nalert udp any any -> any any (sid:2;)";
    assert_eq!(run(text, &packets), []);
    // A drop of a packet does not end it.
    let text = r#"drop udp any any -> any any (content:"x"; sid:1;)"#;
    assert_eq!(run(text, &packets).len(), 3);
}

#[test]
fn priority_orders_rules_of_one_action() {
    let text = r#"
        alert udp any any -> any any (content:"x"; priority:2; sid:1;)
        alert udp any any -> any any (content:"x"; priority:1; sid:2;)
        alert udp any any -> any any (content:"x"; priority:2; sid:3;)
    "#;
    assert_eq!(
        run(text, &[udp(CLIENT, SERVER, b"x")]),
        [(1, 2), (1, 1), (1, 3)]
    );
}

#[test]
fn a_packet_gives_at_most_alert_max_alerts() {
    let text: String = (1..=20)
        .map(|sid| format!("alert udp any any -> any any (content:\"x\"; sid:{sid};)\n"))
        .collect();
    assert_eq!(run(&text, &[udp(CLIENT, SERVER, b"x")]).len(), 15);
    let config = EngineConfig {
        alert_max: 3,
        ..EngineConfig::default()
    };
    assert_eq!(
        run_with(config, &text, &[udp(CLIENT, SERVER, b"x")]),
        [(1, 1), (1, 2), (1, 3)]
    );
}

#[test]
fn established_begins_after_the_handshake() {
    let mut packets = handshake();
    packets.push(tcp(CLIENT, SERVER, ACK, 101, 501, b"GET"));
    packets.push(tcp(SERVER, CLIENT, ACK, 501, 104, b"GET"));
    packets.push(tcp(SERVER, CLIENT, FIN_ACK, 504, 104, b""));
    let hits = |flow: &str| {
        run(
            &format!("alert tcp any any -> any any (flow:{flow}; content:\"GET\"; sid:1;)"),
            &packets,
        )
        .iter()
        .map(|&(number, _)| number)
        .collect::<Vec<_>>()
    };
    assert_eq!(hits("established"), [4, 5]);
    assert_eq!(hits("established,to_server"), [4]);
    assert_eq!(hits("to_client"), [5]);
    assert_eq!(hits("not_established"), [] as [u64; 0]);
    // Without the handshake nothing is established, unless connections may be taken up in the middle.
    assert_eq!(
        run(
            "alert tcp any any -> any any (flow:established; content:\"GET\"; sid:1;)",
            &packets[3..]
        ),
        []
    );
    let mut config = EngineConfig::default();
    config.flow.session.midstream = true;
    let text = "alert tcp any any -> any any (flow:established; content:\"GET\"; sid:1;)";
    assert_eq!(run_with(config, text, &packets[3..]), [(2, 1)]);
}

#[test]
fn thresholds_limit_alerts_and_filters_limit_matches() {
    let packets: Vec<_> = (0..6).map(|_| udp(CLIENT, SERVER, b"x")).collect();
    let numbers = |text: &str| {
        run(text, &packets)
            .iter()
            .map(|&(number, _)| number)
            .collect::<Vec<_>>()
    };
    let with = |option: &str| {
        numbers(&format!(
            "alert udp any any -> any any (content:\"x\"; {option}; sid:1;)"
        ))
    };
    assert_eq!(
        with("threshold:type limit, track by_src, count 2, seconds 60"),
        [1, 2]
    );
    assert_eq!(
        with("threshold:type threshold, track by_dst, count 3, seconds 60"),
        [3, 6]
    );
    assert_eq!(
        with("threshold:type both, track by_rule, count 2, seconds 60"),
        [2]
    );
    assert_eq!(
        with("detection_filter:track by_src, count 4, seconds 60"),
        [5, 6]
    );
    // A drop that is only silenced still drops; one that is filtered does not, and later rules go on as before.
    let silenced = "drop ip 10.0.0.1 any -> any any (threshold:type limit, track by_src, count 1, seconds 60; sid:2;)";
    assert_eq!(
        numbers(&format!(
            "{silenced}\nalert udp any any -> any any (content:\"x\"; sid:1;)"
        )),
        [1, 1]
    );
}

#[test]
fn rules_of_both_directions_and_of_ports_meet_their_packets() {
    let packets = [udp(CLIENT, SERVER, b"x"), udp(SERVER, CLIENT, b"x")];
    let count =
        |header: &str| run(&format!("alert {header} (content:\"x\"; sid:1;)"), &packets).len();
    assert_eq!(count("udp any any -> any 80"), 1);
    assert_eq!(count("udp any 80 -> any any"), 1);
    assert_eq!(count("udp any any <> any 80"), 2);
    assert_eq!(count("udp 10.0.0.1 any -> 10.0.0.2 [1:79,81:]"), 0);
    assert_eq!(count("udp any any -> any !80"), 1);
    assert_eq!(count("tcp any any -> any any"), 0);
    assert_eq!(count("ip any any -> any any"), 2);
    // The same without a probe.
    let count = |header: &str| run(&format!("alert {header} (dsize:1; sid:1;)"), &packets).len();
    assert_eq!(count("udp any any -> any 80"), 1);
    assert_eq!(count("udp any any <> any 80"), 2);
    assert_eq!(count("udp any [80,81] -> any 1024:"), 1);
}

#[test]
fn an_ended_connection_gives_way_to_the_next() {
    let close = [
        tcp(CLIENT, SERVER, FIN_ACK, 101, 501, b""),
        tcp(SERVER, CLIENT, FIN_ACK, 501, 102, b""),
        tcp(CLIENT, SERVER, ACK, 102, 502, b""),
    ];
    let packets: Vec<_> = handshake()
        .into_iter()
        .chain(close)
        .chain(handshake())
        .collect();
    assert_eq!(
        run("alert tcp any any -> any any (sid:1;)", &packets),
        [(1, 1), (2, 1), (7, 1), (8, 1)]
    );
}

#[test]
fn a_full_flow_table_makes_room() {
    let mut config = EngineConfig::default();
    config.flow.max_flows = 2;
    let from = |port| udp((CLIENT.0, port), SERVER, b"x");
    let packets = [from(1), from(2), from(1), from(3), from(1), from(2)];
    let got = run_with(config, "alert udp any any -> any any (sid:1;)", &packets);
    // Port 2 was idle the longest when port 3 came, so it is new again at the end; port 1 is not.
    assert_eq!(got, [(1, 1), (2, 1), (4, 1), (6, 1)]);
}

#[test]
fn bypass_ends_the_inspection_of_a_flow() {
    let rules = "alert tcp any any -> any any (content:\"enough\"; bypass; sid:1;)
                 alert tcp any any -> any any (content:\"attack\"; sid:2;)";
    let packets: Vec<_> = handshake()
        .into_iter()
        .chain([
            tcp(CLIENT, SERVER, ACK, 101, 501, b"attack "),
            tcp(SERVER, CLIENT, ACK, 501, 108, b"what?"),
            tcp(CLIENT, SERVER, ACK, 108, 506, b"enough "),
            tcp(SERVER, CLIENT, ACK, 506, 115, b"all right"),
            tcp(CLIENT, SERVER, ACK, 115, 515, b"attack"),
        ])
        .collect();
    assert_eq!(run(rules, &packets), [(4, 2), (6, 1)]);
    let without = rules.replace(" bypass;", "");
    assert_eq!(run(&without, &packets), [(4, 2), (6, 1), (8, 2)]);
}

/// What is dropped has not arrived: the sender can send something else in its place.
#[test]
fn inline_a_dropped_segment_leaves_no_trace_in_its_stream() {
    let rules = "drop tcp any any -> any any (content:\"decoy\"; dsize:5; sid:1;)
                 alert tcp-stream any any -> any any (content:\"attack\"; sid:2;)";
    let packets: Vec<_> = handshake()
        .into_iter()
        .chain([
            tcp(CLIENT, SERVER, ACK, 101, 501, b"att"),
            tcp(CLIENT, SERVER, ACK, 104, 501, b"decoy"),
            tcp(CLIENT, SERVER, ACK, 104, 501, b"ack!"),
        ])
        .collect();
    assert_eq!(run_with(inline(), rules, &packets), [(5, 1), (6, 2)]);
    // Where nothing is dropped, the host has read the decoy.
    assert_eq!(run(rules, &packets), [(5, 1)]);
}

/// What becomes of each packet, where verdicts are carried out.
fn verdicts(config: EngineConfig, text: &str, packets: &[Vec<u8>]) -> Vec<Verdict> {
    let rules = rules(text);
    let evaluator = eval::Plain::new(rules.clone());
    let matcher = Box::new(matcher::Plain::new());
    let mut engine = Engine::new(rules, matcher, Box::new(evaluator), config)
        .expect("the plain matcher holds any set");
    let verdicts = (1..).zip(packets).map(|(number, data)| {
        let frame = Frame {
            ts_ns: number * 1_000_000_000,
            number,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            ..Frame::default()
        };
        engine.process(frame, &mut Vec::new())
    });
    verdicts.collect()
}

fn inline() -> EngineConfig {
    EngineConfig {
        inline: true,
        ..EngineConfig::default()
    }
}

#[test]
fn a_drop_in_a_stream_drops_the_packet_and_the_rest_of_the_flow() {
    let rules = "drop tcp any any -> any any (content:\"attack\"; sid:1;)";
    let packets: Vec<_> = handshake()
        .into_iter()
        .chain([
            // Cut across segments: the second one completes it.
            tcp(CLIENT, SERVER, ACK, 101, 501, b"att"),
            tcp(CLIENT, SERVER, ACK, 104, 501, b"ack"),
            tcp(CLIENT, SERVER, ACK, 107, 501, b"more"),
            tcp(SERVER, CLIENT, ACK, 501, 104, b"yes?"),
            udp(CLIENT, SERVER, b"attack"),
        ])
        .collect();
    let got = verdicts(inline(), rules, &packets);
    let dropped: Vec<bool> = got.iter().map(|verdict| verdict.drop).collect();
    assert_eq!(
        dropped,
        [false, false, false, false, true, true, true, false]
    );
    let flow = got[4].flow.expect("it is decided");
    assert_eq!(flow.action, FlowAction::Drop);
    assert_eq!((flow.client.1, flow.server.1, flow.proto), (40_000, 80, 6));
    assert!(got[3].flow.is_none() && got[7].flow.is_none());
    // Where nothing is carried out, nothing is dropped.
    let offline = verdicts(EngineConfig::default(), rules, &packets);
    assert!(offline.iter().all(|verdict| !verdict.drop));
}

#[test]
fn who_is_told_of_a_rejected_packet_is_what_the_rules_say_together() {
    for (rules, expected) in [
        (
            "reject udp any any -> any any (content:\"a\"; sid:1;)",
            Some(RejectTo::Source),
        ),
        (
            "rejectdst udp any any -> any any (content:\"a\"; sid:1;)",
            Some(RejectTo::Destination),
        ),
        (
            "rejectsrc udp any any -> any any (content:\"a\"; sid:1;)
             rejectdst udp any any -> any any (content:\"a\"; sid:2;)",
            Some(RejectTo::Both),
        ),
        ("drop udp any any -> any any (content:\"a\"; sid:1;)", None),
    ] {
        let got = verdicts(inline(), rules, &[udp(CLIENT, SERVER, b"a")]);
        assert_eq!((got[0].drop, got[0].reject), (true, expected), "{rules}");
    }
}

#[test]
fn a_pass_goes_before_a_drop_and_a_drop_before_an_alert() {
    let rules = "drop udp any any -> any any (content:\"bad\"; sid:1;)
                 pass udp any any -> any any (content:\"mine\"; sid:2;)
                 alert udp any any -> any any (content:\"bad\"; sid:3;)";
    let packets = [
        udp(CLIENT, SERVER, b"bad"),
        udp((CLIENT.0, 5), SERVER, b"bad but mine"),
        udp((CLIENT.0, 6), SERVER, b"good"),
    ];
    let got = verdicts(inline(), rules, &packets);
    let dropped: Vec<bool> = got.iter().map(|verdict| verdict.drop).collect();
    assert_eq!(dropped, [true, false, false]);
    assert_eq!(
        run_with(inline(), rules, &packets),
        [(1, 1), (1, 3)],
        "a drop does not hide what else is found"
    );
}

#[test]
fn flows_are_shunted_after_so_many_bytes() {
    let rules = "alert udp any any -> any any (content:\"attack\"; sid:1;)";
    let config = EngineConfig {
        shunt_after: Some(200),
        ..inline()
    };
    let packets: Vec<_> = (0..5)
        .map(|_| udp(CLIENT, SERVER, &[b"attack".as_slice(), &[0; 50]].concat()))
        .collect();
    // 84 bytes each: the third makes it 252.
    assert_eq!(
        run_with(config.clone(), rules, &packets),
        [(1, 1), (2, 1), (3, 1)]
    );
    let got = verdicts(config, rules, &packets);
    let flows: Vec<Option<FlowAction>> = (got.iter())
        .map(|verdict| verdict.flow.map(|flow| flow.action))
        .collect();
    let bypass = Some(FlowAction::Bypass);
    assert_eq!(flows, [None, None, bypass, bypass, bypass]);
}

#[test]
fn a_frame_goes_on_when_all_packets_in_it_do() {
    let rules = "drop udp any any -> any any (content:\"attack\"; sid:1;)";
    let inner = udp(CLIENT, SERVER, b"attack");
    let outer = ipv4(4, [172, 16, 0, 1], [172, 16, 0, 2], &inner);
    let got = verdicts(inline(), rules, &[outer]);
    assert!(got[0].drop);
    // The kernel cannot tell it from others of the same tunnel.
    assert!(got[0].flow.is_none());
}
