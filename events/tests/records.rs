//! EVE records, field by field.

use weir_engine::app::{AppProto, FlowApp, Record};
use weir_engine::detect::{Alert, AppFacts, AppRecord, CarriedOut, FlowFacts, PacketFacts};
use weir_engine::packet::{Carrier, Origin, Tunnel};
use weir_engine::plan::{RejectTo, Rule};
use weir_events::record::Timestamp;
use weir_events::{Interfaces, write_alert, write_app};

mod support;

use support::{ip, packet, rule};

fn line(rule: &Rule, blocked: bool, packet: &PacketFacts) -> String {
    let mut out = Vec::new();
    write_alert(
        &mut out,
        &Alert {
            rule,
            id: 0,
            blocked,
            carried_out: None,
            packet,
            app: None,
        },
        &Interfaces::default(),
    );
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn an_icmp_alert_has_suricatas_fields_in_suricatas_order() {
    let mut rule = rule();
    rule.meta.metadata = [
        ("confidence", "Medium"),
        ("tag", "A"),
        ("created_at", "2010_09_23"),
        ("tag", "B"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    let mut facts = packet(1, "10.10.0.169", "10.20.0.55");
    facts.icmp = Some((8, 0));
    facts.vlan = ([440, 0, 0], 1);
    facts.flow = Some(FlowFacts {
        id: 1_084_736_286_633_171,
        to_server: true,
        start_ns: 1_577_836_800_000_000_000,
        packets: [1, 0],
        bytes: [102, 0],
        client: (ip("10.10.0.169"), 0),
        server: (ip("10.20.0.55"), 0),
        app: FlowApp::default(),
    });
    assert_eq!(
        line(&rule, false, &facts),
        concat!(
            r#"{"timestamp":"2020-01-01T00:00:00.123456+0000","flow_id":1084736286633171,"pcap_cnt":7,"#,
            r#""event_type":"alert","vlan":[440],"src_ip":"10.10.0.169","dest_ip":"10.20.0.55","proto":"ICMP","#,
            r#""ip_v":4,"icmp_type":8,"icmp_code":0,"pkt_src":"wire/pcap","alert":{"action":"allowed","gid":1,"#,
            r#""signature_id":2100366,"rev":8,"signature":"PING *NIX","category":"Misc activity","severity":3,"#,
            r#""metadata":{"confidence":["Medium"],"tag":["A","B"],"created_at":["2010_09_23"]}},"#,
            r#""direction":"to_server","flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":102,"#,
            r#""bytes_toclient":0,"start":"2020-01-01T00:00:00.000000+0000","src_ip":"10.10.0.169","#,
            r#""dest_ip":"10.20.0.55"}}"#,
            "\n"
        )
    );
}

#[test]
fn a_tcp_answer_has_ports_its_flows_direction_and_uncompressed_ipv6() {
    let mut rule = rule();
    rule.meta.target_source = Some(false);
    let mut facts = packet(6, "2001:db8::2", "2001:db8::1");
    facts.ports = Some((80, 40000));
    facts.origin = Origin::Reassembled;
    facts.flow = Some(FlowFacts {
        id: 1,
        to_server: false,
        start_ns: 0,
        packets: [2, 1],
        bytes: [120, 60],
        client: (ip("2001:db8::1"), 40000),
        server: (ip("2001:db8::2"), 80),
        app: FlowApp::default(),
    });
    let json: serde_json::Value = serde_json::from_str(&line(&rule, true, &facts)).expect("JSON");
    assert_eq!(json["src_ip"], "2001:0db8:0000:0000:0000:0000:0000:0002");
    assert_eq!(
        (&json["src_port"], &json["dest_port"]),
        (&80.into(), &40000.into())
    );
    assert_eq!((&json["proto"], &json["ip_v"]), (&"TCP".into(), &6.into()));
    assert_eq!(json["pkt_src"], "defrag");
    assert_eq!(json["alert"]["action"], "blocked");
    assert_eq!(json["alert"]["target"]["port"], 40000);
    assert_eq!(
        json["alert"]["source"]["ip"],
        "2001:0db8:0000:0000:0000:0000:0000:0002"
    );
    assert_eq!(json["direction"], "to_client");
    assert_eq!(
        (&json["flow"]["src_port"], &json["flow"]["dest_port"]),
        (&40000.into(), &80.into())
    );
    assert_eq!(
        json["flow"]["src_ip"],
        "2001:0db8:0000:0000:0000:0000:0000:0001"
    );
}

#[test]
fn an_event_without_an_ip_header_has_no_address_fields() {
    let mut facts = packet(0, "0.0.0.0", "0.0.0.0");
    facts.is_ip = false;
    let mut rule = rule();
    rule.meta.target_source = Some(true);
    let json: serde_json::Value = serde_json::from_str(&line(&rule, false, &facts)).expect("JSON");
    let keys: Vec<&str> = json
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in ["timestamp", "pcap_cnt", "event_type", "pkt_src", "alert"] {
        assert!(keys.contains(&key), "{key}");
    }
    assert!(json["alert"]["source"].is_null());
}

#[test]
fn alerts_on_live_traffic_have_no_packet_number_and_text_is_escaped() {
    let mut rule = rule();
    rule.meta.msg = "quote \" backslash \\ newline \n nul \0 and \u{fffd}".to_owned();
    let mut facts = packet(200, "10.0.0.1", "10.0.0.2");
    facts.number = 0;
    let text = line(&rule, false, &facts);
    assert_eq!(text.matches('\n').count(), 1, "one line");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(json["pcap_cnt"].is_null());
    assert_eq!(json["pkt_src"], "wire/pcap");
    assert_eq!(json["proto"], "200");
    assert_eq!(json["alert"]["signature"], rule.meta.msg.as_str());
}

#[test]
fn what_came_in_a_tunnel_says_which_and_what_carried_it() {
    let mut facts = packet(17, "192.168.0.1", "192.168.0.2");
    facts.ports = Some((1000, 53));
    facts.depth = 2;
    facts.carrier = Some(Carrier {
        src: ip("2001:db8::1"),
        dst: ip("2001:db8::2"),
        sport: 0,
        dport: 0,
        proto: 47,
    });
    for (kind, name) in [
        (Tunnel::Gre, "gre tunnel"),
        (Tunnel::Ipv4, "ipv4 tunnel"),
        (Tunnel::Ipv6, "ipv6 tunnel"),
        (Tunnel::Teredo, "teredo tunnel"),
        (Tunnel::Vxlan, "vxlan encapsulation"),
        (Tunnel::Geneve, "geneve encapsulation"),
    ] {
        facts.origin = Origin::Tunnel(kind);
        let text = line(&rule(), false, &facts);
        assert!(
            text.contains(&format!(r#""pkt_src":"{name}","alert":"#)),
            "{text}"
        );
        assert!(
            text.ends_with(concat!(
                r#""severity":3},"tunnel":{"src_ip":"2001:0db8:0000:0000:0000:0000:0000:0001","src_port":0,"#,
                r#""dest_ip":"2001:0db8:0000:0000:0000:0000:0000:0002","dest_port":0,"proto":"GRE","depth":2,"#,
                r#""pcap_cnt":7,"pkt_src":"wire/pcap"}}"#,
                "\n"
            )),
            "{text}"
        );
    }
}

#[test]
fn timestamps_follow_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01T00:00:00.000000+0000"),
        (951_782_399, "2000-02-28T23:59:59.000000+0000"),
        (951_782_400, "2000-02-29T00:00:00.000000+0000"),
        (951_868_800, "2000-03-01T00:00:00.000000+0000"),
        (1_709_164_800, "2024-02-29T00:00:00.000000+0000"),
        (4_107_542_400, "2100-03-01T00:00:00.000000+0000"),
        (u64::MAX / 1_000_000_000, "2554-07-21T23:34:33.000000+0000"),
    ] {
        assert_eq!(Timestamp(seconds * 1_000_000_000).to_string(), text);
    }
}

/// A flow that speaks this.
fn speaking(proto: AppProto) -> FlowFacts {
    let mut app = FlowApp::default();
    app.proto = Some(proto);
    FlowFacts {
        id: 1,
        to_server: true,
        start_ns: 0,
        packets: [2, 1],
        bytes: [120, 60],
        client: (ip("10.0.0.1"), 40000),
        server: (ip("10.0.0.2"), 80),
        app,
    }
}

#[test]
fn an_alert_in_a_transaction_shows_it() {
    let rule = rule();
    let mut facts = packet(6, "10.0.0.1", "10.0.0.2");
    facts.ports = Some((40000, 80));
    facts.flow = Some(speaking(AppProto::Http1));
    let app = AppFacts {
        kind: "http",
        fields: serde_json::json!({ "hostname": "a.example" }),
        more: None,
        tx: 3,
    };
    let mut out = Vec::new();
    let alert = Alert {
        rule: &rule,
        id: 0,
        blocked: false,
        carried_out: None,
        packet: &facts,
        app: Some(&app),
    };
    write_alert(&mut out, &alert, &Interfaces::default());
    let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(json["app_proto"], "http");
    assert_eq!(json["tx_id"], 3);
    assert_eq!(json["http"]["hostname"], "a.example");
}

#[test]
fn a_record_of_a_protocol_has_its_objects_under_their_names() {
    let mut facts = packet(6, "10.0.0.1", "10.0.0.2");
    facts.ports = Some((40000, 25));
    facts.flow = Some(speaking(AppProto::Smtp));
    let mut record = AppRecord {
        packet: facts,
        record: Record {
            kind: "smtp",
            fields: serde_json::json!({ "helo": "me" }),
            more: Some(("email", serde_json::json!({ "from": "a@b" }))),
        },
    };
    let line = |record: &AppRecord| -> serde_json::Value {
        let mut out = Vec::new();
        write_app(&mut out, record, &Interfaces::default());
        serde_json::from_slice(&out).expect("JSON")
    };
    let json = line(&record);
    assert_eq!(
        (&json["event_type"], &json["src_port"]),
        (&"smtp".into(), &40000.into())
    );
    assert_eq!(
        (&json["smtp"]["helo"], &json["email"]["from"]),
        (&"me".into(), &"a@b".into())
    );
    assert!(json.get("app_proto").is_none());
    record.record.kind = "fileinfo";
    assert_eq!(line(&record)["app_proto"], "smtp");
}

#[test]
fn a_verdict_says_what_became_of_the_packet() {
    let rule = rule();
    let udp = packet(17, "10.0.0.1", "10.0.0.2");
    let mut tcp = packet(6, "10.0.0.1", "10.0.0.2");
    tcp.flow = Some(speaking(AppProto::Http1));
    let said = |packet: &PacketFacts, dropped, reject, passed| {
        let carried_out = CarriedOut {
            dropped,
            reject,
            passed,
        };
        let alert = Alert {
            rule: &rule,
            id: 0,
            blocked: dropped,
            carried_out: Some(carried_out),
            packet,
            app: None,
        };
        let mut out = Vec::new();
        write_alert(&mut out, &alert, &Interfaces::default());
        let json: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        json["verdict"].clone()
    };
    let action = |action: &str| serde_json::json!({ "action": action });
    assert_eq!(said(&tcp, false, None, false), action("alert"));
    assert_eq!(said(&tcp, false, None, true), action("pass"));
    assert_eq!(said(&tcp, true, None, false), action("drop"));
    let rejected = |target: &str, how: &str| serde_json::json!({ "action": "drop", "reject-target": target, "reject": [how] });
    // Without a flow the sender counts as client.
    for (to, to_server, target) in [
        (RejectTo::Source, true, "to_client"),
        (RejectTo::Source, false, "to_server"),
        (RejectTo::Destination, true, "to_server"),
        (RejectTo::Destination, false, "to_client"),
        (RejectTo::Both, true, "both"),
    ] {
        if let Some(flow) = &mut tcp.flow {
            flow.to_server = to_server;
        }
        assert_eq!(
            said(&tcp, true, Some(to), false),
            rejected(target, "tcp-reset")
        );
    }
    assert_eq!(
        said(&udp, true, Some(RejectTo::Source), false),
        rejected("to_client", "icmp-prohib")
    );
}
