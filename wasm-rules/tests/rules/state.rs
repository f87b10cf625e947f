//! Keywords about state: from text to plan.

use weir_engine::packet::DecoderEvent;
use weir_engine::plan::{
    BitKeyword, BitOp, BitTrack, Compare, FlowIntOp, FlowIntValue, FlowProperty, FlowSide,
    HostSide, Num, NumOp, PacketTest, Rule, RuleKind, StateAction, StateTest, TagMetric, TagScope,
};
use weir_engine::stream::StreamEvent;
use weir_rules::compile::{Compiled, load};
use weir_rules::syntax::SourceFile;
use weir_rules::syntax::ast::ProblemKind;

use super::support::{compiler, outcome, plan, tcp};

fn properties(options: &str) -> Vec<FlowProperty> {
    tcp(options).flow_properties
}

fn tests(options: &str) -> Vec<StateTest> {
    tcp(options).state_tests
}

fn actions(options: &str) -> Vec<StateAction> {
    tcp(options).state_actions
}

/// True when a TCP rule with these options is wrong, and for one reason.
#[track_caller]
fn wrong(options: &str) -> bool {
    let text = format!("alert tcp any any -> any any ({options} sid:1;)");
    let problems = outcome(&text).expect_err(&text);
    let [problem] = problems.as_slice() else {
        panic!("{options}: {problems:?}")
    };
    problem.kind == ProblemKind::Syntax
}

#[test]
fn bits_of_flows() {
    let rule = tcp(
        "flowbits:isset, a | b; flowbits:isnotset,c; flowbits:set,d; flowbits:toggle,e; flowbits:noalert;",
    );
    assert!(rule.noalert);
    assert_eq!(
        rule.state_tests,
        [
            StateTest::FlowBit {
                names: vec!["a".into(), "b".into()],
                set: true
            },
            StateTest::FlowBit {
                names: vec!["c".into()],
                set: false
            },
        ]
    );
    let action = |op, name: &str| StateAction::FlowBit {
        op,
        name: name.into(),
    };
    assert_eq!(
        rule.state_actions,
        [action(BitOp::Set, "d"), action(BitOp::Toggle, "e")]
    );
    assert_eq!(
        actions("flowbits:unset,a&b;"),
        [action(BitOp::Unset, "a&b")]
    );
}

#[test]
fn bits_of_hosts() {
    let test = |track, set, keyword| StateTest::HostBit {
        name: "x".into(),
        track,
        set,
        keyword,
    };
    assert_eq!(
        tests("hostbits:isset,x; hostbits:isnotset,x,dst; xbits:isset,x,track ip_pair,expire 9;"),
        [
            test(BitTrack::Src, true, BitKeyword::HostBits),
            test(BitTrack::Dst, false, BitKeyword::HostBits),
            test(BitTrack::Pair, true, BitKeyword::XBits),
        ]
    );
    let set = |seconds, track, keyword| StateAction::HostBit {
        op: BitOp::Set,
        name: "x".into(),
        track,
        seconds,
        keyword,
    };
    assert_eq!(
        actions(
            "hostbits:set,x; hostbits:set,x,dst,60; xbits:set,x, track ip_src, expire 15; xbits:set,x,track ip_dst;"
        ),
        [
            set(300, BitTrack::Src, BitKeyword::HostBits),
            set(60, BitTrack::Dst, BitKeyword::HostBits),
            set(15, BitTrack::Src, BitKeyword::XBits),
            set(300, BitTrack::Dst, BitKeyword::XBits),
        ]
    );
    assert!(tcp("xbits:noalert;").noalert && tcp("hostbits:noalert;").noalert);
    assert!(wrong("xbits:set,x,expire 5;"));
    assert!(wrong("hostbits:set,x,up;"));
}

#[test]
fn counters() {
    assert_eq!(
        actions("flowint: a, +, 1; flowint:b,=,c; flowint:b,-,0x10;"),
        [
            StateAction::FlowInt {
                name: "a".into(),
                op: FlowIntOp::Add,
                value: FlowIntValue::Number(1)
            },
            StateAction::FlowInt {
                name: "b".into(),
                op: FlowIntOp::Set,
                value: FlowIntValue::Counter("c".into())
            },
            StateAction::FlowInt {
                name: "b".into(),
                op: FlowIntOp::Sub,
                value: FlowIntValue::Number(16)
            },
        ]
    );
    let exists = |exists| StateTest::FlowIntExists {
        name: "a".into(),
        exists,
    };
    assert_eq!(
        tests("flowint:a,isset; flowint:a,notset; flowint:a,isnotset; flowint:a,>=,5;"),
        [
            exists(true),
            exists(false),
            exists(false),
            StateTest::FlowInt {
                name: "a".into(),
                compare: Compare::Ge,
                value: FlowIntValue::Number(5)
            },
        ]
    );
    assert!(wrong("flowint:a,+;"));
}

#[test]
fn what_flows_are_like() {
    let eq = |number| Num::one(NumOp::Eq, number);
    assert_eq!(
        properties(
            "flow.pkts:toclient,=10; flow.bytes:both,<3000; flow.pkts_toserver:10; flow.bytes_toclient:>4; flow.age:>=3;"
        ),
        [
            FlowProperty::Packets(FlowSide::ToClient, eq(10)),
            FlowProperty::Bytes(FlowSide::Both, Num::one(NumOp::Lt, 3000)),
            FlowProperty::Packets(FlowSide::ToServer, eq(10)),
            FlowProperty::Bytes(FlowSide::ToClient, Num::one(NumOp::Gt, 4)),
            FlowProperty::Age(Num::one(NumOp::Ge, 3)),
        ]
    );
    assert_eq!(
        properties("stream_size:server,<,1111; stream_size:client,!=6; stream_size:either, = , 9;"),
        [
            FlowProperty::StreamSize(FlowSide::ToClient, Num::one(NumOp::Lt, 1111)),
            FlowProperty::StreamSize(FlowSide::ToServer, Num::one(NumOp::Ne, 6)),
            FlowProperty::StreamSize(FlowSide::Either, eq(9)),
        ]
    );
    assert_eq!(
        properties("flow.elephant:toserver; tcp.session:closing,setup;"),
        [
            FlowProperty::Elephant(FlowSide::ToServer),
            FlowProperty::Session {
                setup: true,
                established: false,
                closing: true
            },
        ]
    );
    assert!(tcp("flow.age:>3;").needs_packet && !tcp("flow.age:>3;").needs_stream);
    assert!(tcp("stream_size:server,<,9;").needs_stream);
}

#[test]
fn reputations_and_countries() {
    let rep = |side, value| StateTest::IpRep {
        side,
        category: "CnC".into(),
        value,
    };
    assert_eq!(
        tests(
            "iprep:src,CnC,>,30; iprep:any,CnC,isset; iprep:both,CnC,isnotset; iprep:dst,CnC,<=5;"
        ),
        [
            rep(HostSide::Src, Some(Num::one(NumOp::Gt, 30))),
            rep(HostSide::Any, Some(Num::one(NumOp::Ge, 0))),
            rep(HostSide::Both, None),
            rep(HostSide::Dst, Some(Num::one(NumOp::Le, 5))),
        ]
    );
    let geo = |side, countries: &[&[u8; 2]], negated| StateTest::GeoIp {
        side,
        countries: countries.iter().map(|&&code| code).collect(),
        negated,
    };
    assert_eq!(
        tests("geoip:any,FR,de; geoip:src,!US; geoip:CN;"),
        [
            geo(HostSide::Any, &[b"FR", b"DE"], false),
            geo(HostSide::Src, &[b"US"], true),
            geo(HostSide::Any, &[b"CN"], false),
        ]
    );
}

#[test]
fn what_is_done_after_a_match() {
    let tag = |scope, metric| StateAction::Tag { scope, metric };
    assert_eq!(
        actions(
            "tag:session; tag:host,9,packets,src; tag:host,100,bytes; tag:session,1000,packets; tag:session,30,seconds; bypass;"
        ),
        [
            tag(TagScope::Session, TagMetric::Packets(256)),
            tag(TagScope::Src, TagMetric::Packets(9)),
            tag(TagScope::Dst, TagMetric::Bytes(100)),
            tag(TagScope::Session, TagMetric::Packets(256)),
            tag(TagScope::Session, TagMetric::Seconds(30)),
            StateAction::Bypass,
        ]
    );
    let rule =
        tcp(r#"tcp.hdr; content:"h"; pkt_data; content:"a"; content:"big"; replace:"p|69|g";"#);
    assert_eq!(
        rule.state_actions,
        [StateAction::Replace {
            buffer: 1,
            op: 1,
            bytes: b"pig".to_vec()
        }]
    );
    for options in [
        r#"content:"big"; replace:"pi";"#,
        r#"content:!"big"; replace:"pig";"#,
        r#"tcp.hdr; content:"big"; replace:"pig";"#,
    ] {
        assert!(wrong(options), "{options}");
    }
}

#[test]
fn events_of_streams_and_decoders() {
    let tests = |options: &str| tcp(options).tests;
    let is = |options: &str, event| matches!(tests(options).as_slice(), [PacketTest::StreamEvent(found)] if *found == event);
    assert!(is(
        "stream-event:est_packet_out_of_window;",
        StreamEvent::EstPacketOutOfWindow
    ));
    assert!(is(
        "stream-event:stream.est_syn_resend;",
        StreamEvent::EstSynResend
    ));
    assert!(is(
        "engine-event:stream.EST_SYN_RESEND;",
        StreamEvent::EstSynResend
    ));
    assert!(matches!(
        tests("engine-event:decoder.ipv4.trunc_pkt;").as_slice(),
        [PacketTest::DecodeEvent(DecoderEvent::Ipv4TruncPkt)]
    ));
    assert_eq!(
        tcp("stream-event:est_syn_resend;").kind(),
        RuleKind::StreamEvent
    );
    for options in [
        "stream-event:nonsense;",
        "engine-event:est_syn_resend;",
        "engine-event:http.invalid;",
        "stream-event:decoder.ipv4.trunc_pkt;",
    ] {
        assert!(wrong(options), "{options}");
    }
}

/// Which state makes a rule more than a rule about addresses, as Suricata has it.
#[test]
fn kinds_of_rules_that_ask_about_state() {
    let kind = |options: &str| {
        plan(&format!(
            "alert ip 1.1.1.1 any -> any any ({options} sid:1;)"
        ))
        .kind()
    };
    for options in [
        "flowbits:set,a;",
        "flowint:a,+,1;",
        "hostbits:isset,a;",
        "xbits:isset,a,track ip_pair;",
        "iprep:src,CnC,>,30;",
        "tag:session;",
        "threshold:type limit,track by_src,count 1,seconds 1;",
    ] {
        assert_eq!(kind(options), RuleKind::IpOnly, "{options}");
    }
    for options in [
        "flowbits:isset,a;",
        "flowint:a,isset;",
        "flow.pkts:either,>3;",
        "geoip:US;",
    ] {
        assert_eq!(kind(options), RuleKind::Packet, "{options}");
    }
}

#[test]
fn a_test_on_state_can_be_the_whole_rule_and_can_be_prefiltered_on() {
    for options in [
        "flowbits:isset,a; prefilter;",
        "stream_size:server,<,9; prefilter;",
        "flow.pkts:either,>3;",
    ] {
        let rule = tcp(options);
        assert!(rule.buffers.is_empty() && rule.probe.is_none(), "{options}");
    }
    assert!(tcp(r#"flowbits:isset,a; prefilter; content:"abc";"#).prefilter);
}

/// The signature identifiers of rules with these options, in the order in which they are evaluated. The first one has 1.
fn order(options: &[&str]) -> Vec<u32> {
    let text: String = (1..)
        .zip(options)
        .map(|(sid, options)| format!("alert tcp any any -> any any ({options} sid:{sid};)\n"))
        .collect();
    let file = SourceFile {
        name: "a.rules".into(),
        bytes: text.into(),
    };
    let loaded = load(&[file], &compiler());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded
        .rules
        .rules()
        .iter()
        .map(|rule| rule.meta.sid)
        .collect()
}

#[test]
fn rules_that_change_state_come_before_those_that_look_at_it() {
    assert_eq!(
        order(&[
            r#"content:"a"; priority:1;"#,
            "flowbits:isset,a; priority:1;",
            "flowbits:isset,a; flowbits:set,b; priority:1;",
            "flowbits:set,a; priority:9;",
            "flowbits:unset,a;",
        ]),
        [5, 4, 3, 2, 1]
    );
    assert_eq!(
        order(&[
            "flowint:a,>,1;",
            "flowint:a,+,1;",
            "flowint:a,notset;",
            "flowbits:isset,x;"
        ]),
        [4, 2, 1, 3]
    );
    // `xbits` that write are not moved, `hostbits` that read are not either.
    assert_eq!(
        order(&[
            "xbits:set,a,track ip_src;",
            "hostbits:isset,a;",
            "xbits:isset,a,track ip_src;",
            "hostbits:set,a;",
            "xbits:isset,a,track ip_pair;",
        ]),
        [4, 3, 5, 1, 2]
    );
    assert_eq!(
        order(&[
            "priority:3;",
            "priority:1;",
            "flowbits:noalert; priority:2;"
        ]),
        [2, 3, 1]
    );
}

#[test]
fn names_are_shared_as_they_are_written() {
    let name = |rule: &Rule| match rule.state_actions.as_slice() {
        [StateAction::FlowBit { name, .. }] => name.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name(&tcp("flowbits:set, ET.Some_Bit-1 ;")), "ET.Some_Bit-1");
    assert_ne!(name(&tcp("flowbits:set,a;")), name(&tcp("flowbits:set,A;")));
    let Ok(Compiled::Rule { warnings, .. }) =
        outcome("alert tcp any any -> any any (tag:session,5,packets,src; sid:1;)")
    else {
        panic!("a rule")
    };
    assert_eq!(warnings.len(), 1, "the side means nothing");
}
