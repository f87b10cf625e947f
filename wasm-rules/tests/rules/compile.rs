//! From the text of rules to plans and problems.

use proptest::prelude::*;
use weir_engine::plan::{
    Action, BitsMode, Buffer, ByteTestOp, Endian, JumpFrom, Num, NumOp, NumberBase, Op, PacketTest,
    Proto, Rule, ThresholdKind, Track, Value, VlanLayer,
};
use weir_rules::compile::Compiled;
use weir_rules::syntax::ast::{Problem, ProblemKind};

use super::support::{outcome, plan, tcp};

/// The problems of a TCP rule with these options: kind, subject, and the text from the problem's place on.
fn refused(options: &str) -> Vec<(ProblemKind, String, String)> {
    let text = format!("alert tcp any any -> any any ({options} sid:1;)");
    let problems = outcome(&text).expect_err(&text);
    let at = |problem: &Problem| {
        text.get(problem.place.column as usize - 1..)
            .unwrap_or_default()
            .to_owned()
    };
    problems
        .iter()
        .map(|problem| (problem.kind, problem.subject.clone(), at(problem)))
        .collect()
}

fn ops(rule: &Rule) -> &[Op] {
    &rule.buffers.first().expect("a buffer").ops
}

#[test]
fn contents_carry_all_their_modifiers() {
    let rule = tcp(
        r#"content:"AbC|00|"; nocase; offset:3; depth:9; content:!"x"; distance:-2; within:20;"#,
    );
    let [Op::Content(first), Op::Content(second)] = ops(&rule) else {
        panic!("{rule:?}")
    };
    assert_eq!(
        (first.bytes.as_slice(), first.nocase, first.negated),
        (&b"abc\0"[..], true, false)
    );
    assert_eq!(
        (first.offset, first.depth),
        (Some(Value::Const(3)), Some(Value::Const(9)))
    );
    assert_eq!(
        (second.distance, second.within, second.negated),
        (Some(Value::Const(-2)), Some(Value::Const(20)), true)
    );
    assert!(
        rule.needs_packet && rule.needs_stream,
        "a content with a place is looked for in both"
    );
    let probe = rule.probe.expect("a probe");
    assert_eq!(
        (probe.bytes.as_slice(), probe.folded),
        (&b"abc\0"[..], true)
    );
}

#[test]
fn nocase_before_and_after_other_modifiers_is_the_same() {
    for options in [
        r#"content:"ABC"; nocase; depth:5;"#,
        r#"content:"ABC"; depth:5; nocase;"#,
    ] {
        let rule = tcp(options);
        assert!(
            matches!(ops(&rule), [Op::Content(content)] if content.nocase && content.bytes == b"abc"),
            "{rule:?}"
        );
    }
}

#[test]
fn sticky_buffers_gather_their_operations() {
    let rule = tcp(
        r#"content:"one"; ipv4.hdr; content:"|45|"; startswith; tcp.hdr; content:"a"; pkt_data; content:"two"; ipv4.hdr; content:"b";"#,
    );
    let shape: Vec<_> = rule
        .buffers
        .iter()
        .map(|plan| (plan.buffer, plan.ops.len()))
        .collect();
    assert_eq!(
        shape,
        [
            (Buffer::Payload, 2),
            (Buffer::Ipv4Hdr, 2),
            (Buffer::TcpHdr, 1)
        ]
    );
    assert!(rule.needs_packet && !rule.needs_stream);
}

#[test]
fn byte_operations_keep_every_part() {
    let rule = tcp(
        "byte_extract:2,1,len,relative,little,multiplier 2,align 4; byte_test:4,!&,0xFF,len,relative,bitmask 0x0F; \
         byte_jump:1,-2,string,dec,from_beginning,post_offset -7,align; \
         byte_math:bytes 2, offset 4, oper <<, rvalue len, result sum, endian little; isdataat:!sum; content:\"x\"; depth:sum;",
    );
    assert_eq!(rule.variables, 2);
    let [
        Op::ByteExtract(extract),
        Op::ByteTest(test),
        Op::ByteJump(jump),
        Op::ByteMath(math),
        Op::IsDataAt(at),
        Op::Content(content),
    ] = ops(&rule)
    else {
        panic!("{rule:?}")
    };
    assert_eq!(
        (
            extract.bytes,
            extract.offset,
            extract.relative,
            extract.multiplier,
            extract.align,
            extract.var
        ),
        (2, 1, true, 2, 4, 0)
    );
    assert_eq!(extract.base, NumberBase::Binary(Endian::Little));
    assert_eq!(
        (test.op, test.negated, test.value, test.offset),
        (ByteTestOp::And, true, Value::Const(255), Value::Var(0))
    );
    assert_eq!((test.relative, test.bitmask), (true, Some(0x0F)));
    assert_eq!(
        (jump.offset, jump.base, jump.from),
        (Value::Const(-2), NumberBase::Dec, JumpFrom::Beginning)
    );
    assert_eq!(
        (jump.post_offset, jump.align, jump.multiplier),
        (Value::Const(-7), true, 1)
    );
    assert_eq!(
        (math.rvalue, math.var, math.base),
        (Value::Var(0), 1, NumberBase::Binary(Endian::Little))
    );
    assert_eq!(
        (at.at, at.negated, at.relative),
        (Value::Var(1), true, false)
    );
    assert_eq!(content.depth, Some(Value::Var(1)));
}

#[test]
fn decoded_data_hangs_on_its_decoder() {
    let rule = tcp(
        r#"content:"Basic "; base64_decode:bytes 12, offset 1, relative; base64_data; content:"admin"; nocase;"#,
    );
    let [Op::Content(_), Op::Base64Decode(decode)] = ops(&rule) else {
        panic!("{rule:?}")
    };
    assert_eq!(
        (decode.bytes, decode.offset, decode.relative),
        (Some(12), 1, true)
    );
    assert!(matches!(decode.data.as_slice(), [Op::Content(content)] if content.bytes == b"admin"));
    assert_eq!(
        rule.probe.expect("a probe").bytes,
        b"Basic ",
        "decoded data is not in the payload"
    );
}

#[test]
fn no_more_data_after_a_content_is_its_end() {
    assert!(
        matches!(ops(&tcp(r#"content:"x"; isdataat:!1,relative;"#)), [Op::Content(content)] if content.endswith)
    );
    assert!(matches!(
        ops(&tcp(r#"content:"x"; isdataat:!2,relative;"#)),
        [Op::Content(_), Op::IsDataAt(_)]
    ));
}

#[test]
fn header_tests() {
    let tests = |options: &str| format!("{:?}", tcp(options).tests);
    let expected = |tests: &[PacketTest]| format!("{tests:?}");
    let cases = [
        (
            "flags:SA,CE;",
            PacketTest::TcpFlags {
                mode: BitsMode::Exact,
                bits: 0x12,
                ignore: 0xC0,
            },
        ),
        (
            "tcp.flags:+F;",
            PacketTest::TcpFlags {
                mode: BitsMode::All,
                bits: 0x01,
                ignore: 0,
            },
        ),
        (
            "flags:0;",
            PacketTest::TcpFlags {
                mode: BitsMode::Exact,
                bits: 0,
                ignore: 0,
            },
        ),
        (
            "fragbits:!DM;",
            PacketTest::FragBits {
                mode: BitsMode::Not,
                bits: 3,
            },
        ),
        ("ttl:<5;", PacketTest::Ttl(Num::one(NumOp::Lt, 5))),
        (
            "dsize:8<>20;",
            PacketTest::Dsize(Num {
                op: NumOp::Between,
                a: 8,
                b: 20,
            }),
        ),
        (
            "ip_proto:!TCP;",
            PacketTest::IpProto(Num::one(NumOp::Ne, 6)),
        ),
        ("ipopts:lsrr;", PacketTest::IpOpt(131)),
        (
            "tos:!x10;",
            PacketTest::Tos {
                value: 16,
                negated: true,
            },
        ),
        (
            "vlan.id:!0x12C,-1;",
            PacketTest::VlanId {
                id: Num::one(NumOp::Ne, 300),
                layer: VlanLayer::At(-1),
            },
        ),
        (
            "vlan.id:5,all;",
            PacketTest::VlanId {
                id: Num::one(NumOp::Eq, 5),
                layer: VlanLayer::All,
            },
        ),
        (
            "window:!55808;",
            PacketTest::TcpWindow {
                value: 55808,
                negated: true,
            },
        ),
        (
            "rpc:100000,*,3;",
            PacketTest::Rpc {
                program: 100_000,
                version: None,
                procedure: Some(3),
            },
        ),
        ("icmp_id:0;", PacketTest::IcmpId(0)),
    ];
    for (options, test) in cases {
        assert_eq!(tests(options), expected(&[test]), "{options}");
    }
}

#[test]
fn packets_and_streams() {
    let needs = |text: &str| {
        let rule = plan(text);
        (rule.needs_packet, rule.needs_stream)
    };
    for (text, expected) in [
        (
            r#"alert tcp any any -> any any (content:"a"; sid:1;)"#,
            (false, true),
        ),
        (
            r#"alert ip any any -> any any (content:"a"; sid:1;)"#,
            (false, true),
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; startswith; sid:1;)"#,
            (true, true),
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; dsize:>5; sid:1;)"#,
            (true, false),
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; flow:no_stream; sid:1;)"#,
            (true, false),
        ),
        (
            r#"alert tcp any any -> any any (content:"a"; depth:4; flow:only_stream; sid:1;)"#,
            (false, true),
        ),
        (
            r#"alert tcp-pkt any any -> any any (content:"a"; sid:1;)"#,
            (true, false),
        ),
        (
            r#"alert tcp-stream any any -> any any (content:"a"; sid:1;)"#,
            (false, true),
        ),
        (
            r#"alert udp any any -> any any (content:"a"; sid:1;)"#,
            (true, false),
        ),
        (
            r#"alert ip any any -> any any (content:"a"; ip_proto:17; sid:1;)"#,
            (true, false),
        ),
    ] {
        assert_eq!(needs(text), expected, "{text}");
    }
}

#[test]
fn what_alerts_say() {
    let rule = plan(
        r#"drop udp $HOME_NET 1024: <> [1.2.3.4,!1.2.3.5] 53 (msg:"a \"b\""; reference:url,x.org/a,b; reference:cve,2020-1;
            classtype:trojan-activity; metadata:one two, three four five, alone; gid:7; rev:9; target:dest_ip; noalert; sid:3;
            threshold:type limit, track by_src, count 2, seconds 60;)"#
            .replace('\n', " ")
            .as_str(),
    );
    assert_eq!(
        (
            rule.action,
            rule.noalert,
            rule.header.proto,
            rule.header.bidirectional
        ),
        (Action::Drop, true, Proto::Udp, true)
    );
    assert!(
        rule.header.negated_addresses
            && rule.header.sport.contains(1024)
            && !rule.header.sport.contains(1023)
    );
    let meta = &rule.meta;
    assert_eq!(
        (
            meta.sid,
            meta.gid,
            meta.rev,
            meta.priority,
            meta.msg.as_str()
        ),
        (3, 7, 9, 1, r#"a "b""#)
    );
    assert_eq!(meta.category, "A Network Trojan was detected");
    assert_eq!(
        meta.references,
        [
            ("url".into(), "x.org/a,b".into()),
            ("cve".into(), "2020-1".to_owned())
        ]
    );
    assert_eq!(
        meta.metadata,
        [
            ("one".into(), "two".into()),
            ("three".into(), "four five".to_owned())
        ]
    );
    assert_eq!(meta.target_source, Some(false));
    let threshold = rule.threshold.expect("a threshold");
    assert_eq!(
        (
            threshold.kind,
            threshold.track,
            threshold.count,
            threshold.seconds
        ),
        (ThresholdKind::Limit, Track::BySrc, 2, 60)
    );
    let noalert = |text| plan(text).noalert;
    assert!(
        noalert("pass tcp any any -> any any (sid:1;)")
            && !noalert("pass tcp any any -> any any (alert; sid:1;)")
    );
}

#[test]
fn priorities() {
    assert_eq!(tcp("").meta.priority, 3);
    assert_eq!(
        tcp("priority:5; classtype:trojan-activity;").meta.priority,
        5
    );
    assert_eq!(
        tcp("classtype:trojan-activity; priority:5;").meta.priority,
        5
    );
    let unknown = outcome("alert tcp any any -> any any (classtype:none-such; sid:1;)");
    let Ok(Compiled::Rule { rule, warnings, .. }) = unknown else {
        panic!("{unknown:?}")
    };
    assert_eq!(
        (
            rule.meta.priority,
            rule.meta.category.as_str(),
            warnings.len()
        ),
        (3, "", 1)
    );
}

#[test]
fn what_suricata_refuses_is_a_syntax_problem_at_its_place() {
    for (options, subject, at) in [
        ("nocase;", "nocase", "nocase;"),
        (r#"content:"a"; nocase; nocase;"#, "nocase", "nocase; sid"),
        (r#"content:"a"; depth:3; within:3;"#, "within", "within:3"),
        (
            r#"content:"a"; distance:3; offset:3;"#,
            "offset",
            "offset:3",
        ),
        (r#"content:"abc"; depth:2;"#, "depth", "2; sid"),
        (r#"content:"abc"; within:2;"#, "within", "2; sid"),
        (
            r#"content:"a"; depth:9; startswith;"#,
            "startswith",
            "startswith;",
        ),
        (
            r#"content:"a"; startswith; offset:1;"#,
            "offset",
            "offset:1",
        ),
        (
            r#"content:"a"; fast_pattern; content:"b"; fast_pattern;"#,
            "fast_pattern",
            "fast_pattern; sid",
        ),
        (
            r#"content:"a"; fast_pattern:only; distance:1;"#,
            "distance",
            "distance:1",
        ),
        (
            r#"content:"a"; fast_pattern:only; content:"b"; distance:1;"#,
            "distance",
            "distance:1",
        ),
        (
            r#"content:!"a"; fast_pattern:only;"#,
            "fast_pattern",
            "only",
        ),
        (r#"content:"abc"; fast_pattern:2,2;"#, "fast_pattern", "2,2"),
        (r#"content:"a"; depth:len;"#, "depth", "len"),
        ("byte_test:4,>,len,0;", "byte_test", "len"),
        ("byte_test:9,>,1,0;", "byte_test", "9,"),
        ("byte_test:2,>,1,0,dec;", "byte_test", "2,"),
        (
            "byte_math:bytes 1, offset 0, oper /, rvalue 0, result x;",
            "byte_math",
            "0, result",
        ),
        (
            "byte_math:bytes 8, offset 0, oper <<, rvalue 1, result x;",
            "byte_math",
            "8, offset",
        ),
        ("bsize:4;", "bsize", "bsize:4"),
        (r#"ipv4.hdr; bsize:2; content:"abc";"#, "bsize", "bsize:2"),
        (r#"dsize:<3; content:"abc";"#, "dsize", "dsize:"),
        ("base64_data;", "base64_data", "base64_data"),
        ("ipv4.hdr;", "buffer", "ipv4.hdr"),
        ("absent;", "absent", "absent"),
        (
            r#"ipv4.hdr; absent; content:"x";"#,
            "absent",
            "absent; content",
        ),
        ("ipv4.hdr; absent:or_else;", "absent", "absent:or_else"),
        (
            r#"ipv4.hdr; absent:or_else; content:"x"; fast_pattern;"#,
            "absent",
            "absent:or_else",
        ),
        ("prefilter;", "prefilter", "prefilter"),
        (
            "flow:established,not_established;",
            "flow",
            "not_established",
        ),
        ("flow:to_server,from_server;", "flow", "from_server"),
        ("flow:only_stream; ttl:3;", "flow", "alert tcp"),
        (
            "threshold:type limit,track by_src,count 1,seconds 1; detection_filter:track by_src,count 1,seconds 1;",
            "detection_filter",
            "detection_filter",
        ),
        (
            "threshold:type limit,track by_src,count 1;",
            "threshold",
            "type limit",
        ),
        (r#"pcre:"/a(/";"#, "pcre", r#""/a(/""#),
    ] {
        let found = refused(options);
        let [(ProblemKind::Syntax, subject_found, rest)] = found.as_slice() else {
            panic!("{options}: {found:?}")
        };
        assert!(
            subject_found == subject && rest.starts_with(at),
            "{options}: {found:?}"
        );
    }
}

#[test]
fn what_is_not_evaluated_is_named() {
    for (options, subjects) in [
        (
            r#"ike.nonce_payload; content:"a"; bsize:5; pkt_data; content:"b";"#,
            vec!["ike.nonce_payload"],
        ),
        (
            "app-layer-event:ike.weak_auth;",
            vec!["app-layer-event ike"],
        ),
        (r#"pcre:"/(a)/, flow:x";"#, vec!["pcre capture"]),
        (
            "byte_extract:4,0,v,slice; isdataat:v;",
            vec!["byte_extract"],
        ),
        ("byte_test:0,>,1,0,string,dec;", vec!["byte_test"]),
        (r#"ip.src; luaxform:a.lua; content:"a";"#, vec!["luaxform"]),
        (
            "asn1:double_overflow; xbits:set,b,track tx;",
            vec!["asn1", "xbits track tx"],
        ),
        ("hostbits:set,a,both;", vec!["hostbits"]),
        ("stream.reassembled:x;", vec!["stream.reassembled"]),
        ("base64_decode;", vec!["base64_decode"]),
        ("nosuchkeyword;", vec!["nosuchkeyword"]),
        ("frame:mqtt.pdu; content:\"x\"; bsize:4;", vec!["frame"]),
        ("flowvar:a,b; prefilter;", vec!["flowvar"]),
        (
            "base64_decode; base64_data; dataset:isset,x,type string;",
            vec!["dataset"],
        ),
    ] {
        let found = refused(options);
        assert!(
            found
                .iter()
                .all(|(kind, ..)| *kind == ProblemKind::Unsupported),
            "{options}: {found:?}"
        );
        assert_eq!(
            found
                .iter()
                .map(|(_, subject, _)| subject.as_str())
                .collect::<Vec<_>>(),
            subjects,
            "{options}"
        );
    }
    for (text, subject) in [
        (
            "alert modbus any any -> any any (sid:1;)",
            "protocol modbus",
        ),
        ("alert tcp any any => any any (sid:1;)", "direction =>"),
        ("config tcp any any -> any any (sid:1;)", "action config"),
    ] {
        let problems = outcome(text).expect_err(text);
        assert_eq!(
            problems
                .iter()
                .map(|problem| problem.subject.as_str())
                .collect::<Vec<_>>(),
            [subject],
            "{text}"
        );
    }
}

/// Pieces of rules, right and wrong.
const PIECES: &[&str] = &[
    r#"content:"abc";"#,
    r#"content:!"|00 01|z";"#,
    "nocase;",
    "offset:3;",
    "depth:7;",
    "distance:-4;",
    "within:9;",
    "startswith;",
    "endswith;",
    "rawbytes;",
    "fast_pattern;",
    "fast_pattern:only;",
    "fast_pattern:1,2;",
    r#"pcre:"/a.c/Ri";"#,
    "isdataat:!1,relative;",
    "byte_extract:2,0,v,relative;",
    "byte_test:2,>,v,0;",
    "byte_jump:1,v,relative,post_offset v;",
    "byte_math:bytes v, offset 0, oper *, rvalue v, result w;",
    "depth:w;",
    "base64_decode:relative;",
    "base64_data;",
    "pkt_data;",
    "ipv4.hdr;",
    "udp.hdr;",
    "http.uri;",
    "http_header;",
    "bsize:>4;",
    "dsize:<9;",
    "entropy:value > 4.5;",
    "absent:or_else;",
    "prefilter;",
    "flow:established,to_server;",
    "flags:!SF,12;",
    "flowbits:set,x;",
    "flowbits:isset,x|y;",
    "xbits:isset,x,track ip_pair;",
    "flowint:n,+,1;",
    "flow.pkts:either,>3;",
    "stream_size:server,<,9;",
    "tag:session;",
    r#"replace:"xyz";"#,
    "to_lowercase;",
    "from_base64:offset 2;",
    "dataset:set,d,type string;",
    "requires:version >= 8;",
    "priority:2;",
    "metadata:a b;",
    "noalert;",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_options_compile_or_are_refused_and_probes_are_parts_of_contents(
        picks in prop::collection::vec(0..PIECES.len(), 0..14),
        udp in any::<bool>(),
    ) {
        let options: String = picks.iter().filter_map(|&at| PIECES.get(at)).copied().collect();
        let text = format!("alert {} any any -> any any ({options} sid:1;)", if udp { "udp" } else { "tcp" });
        match outcome(&text) {
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in problems {
                    prop_assert!(!problem.subject.is_empty() && !problem.message.is_empty(), "{text}: {problem:?}");
                    prop_assert!(problem.place.line == 1 && problem.place.column as usize <= text.len() + 1, "{text}: {problem:?}");
                }
            }
            Ok(Compiled::Skipped { reason }) => prop_assert!(false, "{text}: {reason}"),
            Ok(Compiled::Rule { rule, .. }) => {
                // A rule about transactions is prefiltered on one of their buffers, or on nothing.
                let buffer = rule.probe.as_ref().map_or(Buffer::Payload, |probe| probe.buffer);
                let of_probe = rule.buffers.iter().filter(|plan| plan.buffer == buffer);
                let positive: Vec<_> = of_probe.flat_map(|plan| &plan.ops).filter_map(|op| match op {
                    Op::Content(content) if !content.negated => Some(content),
                    _ => None,
                }).collect();
                if let Some(probe) = &rule.probe {
                    let part_of = |bytes: &[u8]| bytes.windows(probe.bytes.len()).any(|window| window == probe.bytes);
                    prop_assert!(positive.iter().any(|content| part_of(&content.bytes) && (content.nocase || !probe.folded)), "{text}");
                } else {
                    prop_assert!(positive.is_empty() || rule.tx_needs().is_some(), "{text}");
                }
                prop_assert!(rule.needs_packet || rule.needs_stream, "{text}");
            }
        }
    }
}

#[test]
fn what_is_asked_of_transactions_goes_to_their_buffers() {
    use weir_engine::app::{AppBuffer::*, AppField, AppProto};
    use weir_engine::plan::{AppTest, RuleKind};

    // Sticky buffers, old modifiers and letters of expressions mean the same.
    for text in [
        r#"http.uri; content:"/evil"; http.method; content:"PUT"; pkt_data; pcre:"/x/U";"#,
        r#"content:"/evil"; http_uri; content:"PUT"; http_method; pcre:"/x/U";"#,
        r#"uricontent:"/evil"; pcre:"/x/U"; content:"PUT"; http_method;"#,
    ] {
        let rule = tcp(text);
        let buffers: Vec<_> = rule
            .buffers
            .iter()
            .map(|plan| (plan.buffer, plan.ops.len()))
            .collect();
        assert_eq!(
            buffers,
            [(Buffer::App(HttpUri), 2), (Buffer::App(HttpMethod), 1)],
            "{text}"
        );
        assert_eq!(rule.kind(), RuleKind::Transaction);
        assert!(rule.app.protos.has(AppProto::Http1) && !rule.app.protos.has(AppProto::Dns));
        let probe = rule.probe.expect("a probe");
        assert_eq!(
            (probe.buffer, probe.bytes.as_slice()),
            (Buffer::App(HttpUri), &b"/evil"[..])
        );
    }
    let needs = tcp(r#"http.stat_code; content:"200";"#)
        .tx_needs()
        .expect("needs");
    assert_eq!(needs.ways, [false, true]);
    // What counts from a match in a buffer stays in that buffer.
    let rule = tcp(r#"content:"id="; http_uri; byte_test:4,>,9,0,string,dec,relative;"#);
    assert_eq!(rule.buffers.len(), 1);
    assert_eq!(rule.buffers[0].ops.len(), 2);
    // Each naming of a buffer of which there may be several is about one of them.
    let rule = tcp(r#"dns.query; content:"a"; content:"b"; dns.query; content:"c";"#);
    let lengths: Vec<_> = rule.buffers.iter().map(|plan| plan.ops.len()).collect();
    assert_eq!(lengths, [2, 1]);
    // A dot that a transform puts before the buffer is not looked for in it.
    let rule = tcp(r#"tls.sni; dotprefix; content:".evil.example"; endswith;"#);
    assert!(!rule.probe.expect("a probe").bytes.starts_with(b"."));
    let rule = tcp("dns.rcode:nxdomain; flow:to_client;");
    assert!(matches!(
        rule.app.tests.as_slice(),
        [AppTest::Number {
            field: AppField::DnsRcode,
            num: Num { a: 3, .. },
            ..
        }]
    ));
}

#[test]
fn what_protocols_do_not_have_in_common_is_a_syntax_problem() {
    for options in [
        r#"http.uri; content:"a"; tls.sni; content:"b";"#,
        r#"http.uri: to_server; content:"a";"#,
        r#"http.header: to_server; content:"a";"#,
    ] {
        let found = refused(options);
        assert!(
            found.iter().all(|(kind, ..)| *kind == ProblemKind::Syntax),
            "{options} {found:?}"
        );
        assert_eq!(found.len(), 1, "{options} {found:?}");
    }
}
