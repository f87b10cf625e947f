use std::sync::Arc;

use proptest::prelude::*;
use weir_engine::eval::{Beyond, Evaluator, Plain, Subject};
use weir_engine::packet::Packet;
use weir_engine::plan::{RuleId, RuleSet, StateTest};

use super::*;
use crate::classification::Classification;
use crate::compile::{Compiler, Counts, Variables, load};
use crate::syntax::SourceFile;

const HEADERS: &[&str] = &[
    "tcp $EXTERNAL_NET any -> $HOME_NET $HTTP_PORTS",
    "tcp any any -> any any",
    "udp [10.0.0.0/8,!10.1.0.0/16] 1024: -> $DNS_SERVERS 53",
    "ip !$HOME_NET any <> [2001:db8::/32,::1] any",
    "http $HOME_NET any -> $EXTERNAL_NET any",
    "tcp $NOT_DEFINED any -> any [80,!$ALSO_NOT]",
    "tcp-pkt 1.2.3.4-1.2.3.9 any -> any ![1:10,$SSH_PORTS]",
    "dns any any => any any",
    "icmp any any -> any any",
];

/// Something of every kind that a plan can hold.
const OPTIONS: &[&str] = &[
    r#"content:"abc"; nocase; offset:1; depth:20;"#,
    r#"content:!"zz|00|"; content:"b"; distance:0; within:9;"#,
    r#"content:"GET "; startswith; content:"d"; endswith;"#,
    r#"pcre:"/a+(b)\1?/Ri";"#,
    r#"pcre:"/^[a-c]{2}/smxAEG";"#,
    r#"pcre:!"/nothing/";"#,
    "byte_extract:2,1,len; isdataat:len;",
    "byte_test:1,!&,0x40,0; byte_test:2,>,7,1,relative,little,bitmask 0x0ff0;",
    "byte_jump:1,0,multiplier 2,post_offset 1,align;",
    "byte_math:bytes 1,offset 0,oper +,rvalue 3,result sum; byte_test:1,<,sum,2;",
    r#"base64_decode:bytes 8,offset 1; base64_data; content:"d"; pcre:"/x/";"#,
    "isdataat:!1,relative;",
    r#"http.uri; content:"/a"; bsize:>1;"#,
    r#"http.user_agent; to_lowercase; xor:"0a0b"; content:"q";"#,
    r#"http.header; pcrexform:"(\w+):"; content:"host"; entropy:value > 1.5;"#,
    r#"http.request_body; gunzip; subslice:1,4; content:"z";"#,
    r#"dns.query; dotprefix; content:".example"; endswith;"#,
    "http.cookie; absent;",
    r#"file.data; content:"MZ"; startswith;"#,
    "flow:established,to_server;",
    "flow:to_client,no_stream;",
    "flags:S,12; ttl:<64; ipopts:rr; fragbits:M+;",
    "itype:8; icode:0; icmp_id:7;",
    "dsize:1<>400;",
    "flowbits:set,seen.one; flowbits:isnotset,two|three;",
    "flowint:n,+,1; flowint:n,>,m;",
    "xbits:set,bad,track ip_src,expire 60; hostbits:isset,bad,src;",
    "threshold:type limit,track by_src,count 1,seconds 60;",
    "detection_filter:track by_dst,count 3,seconds 10;",
    "app-layer-event:http.request_field_too_long;",
    "app-layer-event:applayer_wrong_direction_first_data;",
    "app-layer-protocol:!tls;",
    "decode-event:ipv4.trunc_pkt;",
    "stream-event:pkt_invalid_ack;",
    "ssl_version:tls1.2; tls_cert_expired;",
    "tag:session,5,packets; target:src_ip;",
    r#"content:"abc"; replace:"xyz";"#,
    "geoip:src,DE,FR; iprep:dst,CnC,>,30;",
    "flow.age:>10; stream_size:server,>,100; tcp.session:established;",
    r#"reference:url,example.org/x; metadata:os linux,year 2026; classtype:trojan-activity; priority:2;"#,
    "dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003,>1;",
    "http2.settings:SETTINGS_ENABLE_PUSH;",
    "snmp.version:2;",
    "krb5_msg_type:10;",
    r#"http.stat_code; content:"200"; prefilter;"#,
    "bypass; noalert;",
    "vlan.id:12,0; rpc:100000,2,*;",
    "dns.query; dataset:set,names,type string,state names.lst;",
];

fn text(picks: &[(usize, Vec<usize>, u8)]) -> String {
    let mut text = String::new();
    for (sid, (header, options, action)) in (1..).zip(picks) {
        let action = ["alert", "drop", "pass", "rejectboth"][usize::from(*action) % 4];
        let options: String = options.iter().map(|&at| OPTIONS[at]).collect();
        let header = HEADERS[*header];
        text += &format!(
            "{action} {header} (msg:\"rule \\\"{sid}\\\"\"; {options} sid:{sid}; rev:2;)\n"
        );
    }
    text
}

fn source(text: &str) -> [SourceFile; 1] {
    [SourceFile {
        name: "some.rules".into(),
        bytes: text.into(),
    }]
}

fn compiler() -> Compiler {
    Compiler::new(Variables::stock(), Classification::stock())
}

fn parts(text: &str) -> Parts {
    write(load(&source(text), &compiler().keeping_variables())).expect("can be written")
}

fn read_back(parts: &Parts, variables: &Variables) -> Result<Loaded, StoredError> {
    let pieces: Vec<&[u8]> = parts.pieces.iter().map(Vec::as_slice).collect();
    read(&parts.shared, &pieces, variables)
}

/// Rules that can match, and the sets that they name: without those that only keep their place.
fn alive(loaded: Loaded) -> (Vec<Rule>, Vec<DataSet>) {
    let (mut rules, mut sets) = loaded.rules.into_parts();
    rules.retain(|rule| !rule.header.src.is_empty());
    let mut tests = rules.iter().flat_map(|rule| &rule.state_tests);
    let named = tests.any(|test| matches!(test, StateTest::Dataset { .. }));
    sets.retain(|_| named);
    (rules, sets)
}

/// Which rules match some packets, in evaluation order.
fn evaluated(rules: Vec<Rule>) -> Vec<RuleId> {
    let rules = Arc::new(RuleSet::in_order(rules));
    let mut plain = Plain::new(Arc::clone(&rules));
    let all: Vec<RuleId> = (0..rules.rules().len() as RuleId).collect();
    let mut matches = Vec::new();
    let payloads: [&[u8]; 4] = [
        b"GET /abc b ab aab d",
        b"\x02\x00abcxyzaab ZA== cd",
        b"",
        &[b'a'; 300],
    ];
    for payload in payloads {
        let mut packet = Packet::new(0, 1, 0);
        packet.payload = payload;
        plain.evaluate(
            &Subject::packet(&packet, payload),
            Beyond::default(),
            &all,
            &mut matches,
        );
    }
    matches
}

fn picks() -> impl Strategy<Value = Vec<(usize, Vec<usize>, u8)>> {
    let options = proptest::collection::vec(0..OPTIONS.len(), 1..4);
    proptest::collection::vec((0..HEADERS.len(), options, any::<u8>()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rules that went through bytes are those that were compiled, and do the same; what is refused is refused.
    #[test]
    fn rules_survive(picks in picks()) {
        let text = text(&picks);
        let plain = load(&source(&text), &compiler());
        let stored = read_back(&parts(&text), &Variables::stock()).expect("can be read");
        // What is not supported counts as wrong where a variable is wrong, too: here that is not known when it is compiled.
        let sums = |counts: Counts| (counts.read, counts.evaluated, counts.unsupported + counts.syntax);
        prop_assert_eq!(sums(plain.counts), sums(stored.counts));
        let refusals = |loaded: &Loaded| {
            let mut lines: Vec<u32> = loaded.refused.iter().map(|of| of.problems[0].place.line).collect();
            lines.sort_unstable();
            lines
        };
        prop_assert_eq!(refusals(&plain), refusals(&stored));
        prop_assert_eq!(format!("{:?}", plain.warnings), format!("{:?}", stored.warnings));
        let ((plain, sets), (stored, stored_sets)) = (alive(plain), alive(stored));
        prop_assert_eq!(format!("{plain:#?}"), format!("{stored:#?}"));
        prop_assert_eq!(sets, stored_sets);
        prop_assert_eq!(evaluated(plain), evaluated(stored));
    }

    /// Bytes that were changed are refused, or are rules that can be evaluated all the same.
    #[test]
    fn damage_does_no_harm(
        picks in picks(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
        shared: bool,
    ) {
        let mut parts = parts(&text(&picks));
        let damaged = match parts.pieces.first_mut() {
            Some(piece) if !shared => piece,
            _ => &mut parts.shared,
        };
        for (at, byte) in changes {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        if let Some(cut) = cut {
            damaged.truncate(cut.index(damaged.len()));
        }
        if let Ok(loaded) = read_back(&parts, &Variables::stock()) {
            evaluated(loaded.rules.into_parts().0);
        }
    }
}

#[test]
fn every_option_is_tried() {
    let fits = |option: &&&str| {
        HEADERS.iter().any(|header| {
            let text = format!("alert {header} ({option} sid:1;)\n");
            load(&source(&text), &compiler()).counts.evaluated == 1
        })
    };
    let untried: Vec<_> = OPTIONS.iter().filter(|option| !fits(option)).collect();
    assert!(untried.is_empty(), "no header fits {untried:#?}");
}

#[test]
fn variables_are_those_of_the_reader() {
    let text = "alert tcp $EXTERNAL_NET any -> $HOME_NET $APP (sid:1;)\n\
                alert tcp $HOME_NET any -> any any (sid:2;)\n";
    let parts = parts(text);
    let refused = read_back(&parts, &Variables::stock()).expect("can be read");
    assert_eq!(refused.counts.evaluated, 1);
    assert_eq!(refused.counts.syntax, 1);
    assert_eq!(
        refused.refused[0].to_string(),
        "some.rules:1:1: port: the variable $APP is not defined"
    );
    // It keeps its place, and nothing matches it.
    assert_eq!(refused.rules.rules().len(), 2);
    assert!(refused.rules.rules()[0].header.src.is_empty());
    let own = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    let variables = Variables::new(
        [("HOME_NET", "192.0.2.0/24"), ("EXTERNAL_NET", "!$HOME_NET")].map(own),
        [("APP", "[8000:8010]")].map(own),
    );
    let loaded = read_back(&parts, &variables).expect("can be read");
    assert!(loaded.refused.is_empty());
    let [first, second] = loaded.rules.rules() else {
        panic!("two rules");
    };
    assert!(first.header.dst.contains([192, 0, 2, 7].into()));
    assert!(!first.header.src.contains([192, 0, 2, 7].into()));
    assert!(first.header.negated_addresses && !second.header.negated_addresses);
    assert_eq!(first.header.dport.ranges(), [(8000, 8010)]);
}

#[test]
fn data_sets_bring_what_they_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("names.csv");
    std::fs::write(&list, "YWJj\n").expect("written");
    let text = "alert dns any any -> any any (dns.query; dataset:isset,names,type string,load names.csv; sid:1;)\n";
    let source = [SourceFile {
        name: folder.path().join("x.rules").display().to_string().into(),
        bytes: text.into(),
    }];
    let loaded = load(&source, &compiler().keeping_variables());
    assert_eq!(loaded.counts.evaluated, 1, "{:?}", loaded.refused);
    let parts = write(loaded).expect("can be written");
    std::fs::remove_file(&list).expect("removed");
    let loaded = read_back(&parts, &Variables::stock()).expect("can be read");
    assert_eq!(
        loaded.rules.data_sets()[0].contents.as_deref(),
        Some(&b"YWJj\n"[..])
    );
}

#[test]
fn forged_parts_are_refused() {
    let good = parts("alert tcp any any -> any any (content:\"a\"; sid:1;)\n");
    let error = |parts: &Parts| {
        read_back(parts, &Variables::stock())
            .expect_err("is wrong")
            .to_string()
    };
    let mut long = good.clone();
    long.pieces[0].push(0);
    assert!(
        error(&long).contains("1 bytes are left over"),
        "{}",
        error(&long)
    );
    let mut shared: Shared = postcard::from_bytes(&good.shared).expect("its own");
    shared.origins.clear();
    let strays = Parts {
        shared: postcard::to_allocvec(&shared).expect("written"),
        ..good.clone()
    };
    assert!(error(&strays).contains("an expression or a file that there is not"));
    // A set that reads any file, and one that writes any file.
    for (load, save) in [
        (Some("/etc/hostname"), None),
        (None, Some("../x")),
        (None, Some("/x")),
    ] {
        let mut shared: Shared = postcard::from_bytes(&good.shared).expect("its own");
        shared.data_sets.push(DataSet {
            name: "n".into(),
            kind: weir_engine::plan::SetKind::String,
            reputation: false,
            load: load.map(Into::into),
            save: save.map(Into::into),
            restore: false,
            format: weir_engine::plan::SetFormat::Csv,
            memcap: None,
            contents: None,
        });
        let reaching = Parts {
            shared: postcard::to_allocvec(&shared).expect("written"),
            ..good.clone()
        };
        assert!(error(&reaching).contains("a data set"), "{load:?} {save:?}");
    }
    // Base64 in base64 in base64, as deep as no stack is.
    let mut rows: Vec<Row> = postcard::from_bytes(&good.pieces[0]).expect("its own");
    let decode = |data| {
        weir_engine::plan::Op::Base64Decode(weir_engine::plan::Base64Decode {
            bytes: None,
            offset: 0,
            relative: false,
            data,
        })
    };
    rows[0].rule.buffers[0].ops = vec![decode(vec![decode(vec![])])];
    let nested = Parts {
        pieces: vec![postcard::to_allocvec(&rows).expect("written")],
        ..good.clone()
    };
    assert!(error(&nested).contains("a piece"));
    let unkept = load(&source("alert ip any any -> any any (sid:1;)"), &compiler());
    assert!(matches!(write(unkept), Err(StoredError::Resolved)));
}

/// The sum of what these rules are as bytes. When it changes, files that were built before cannot be read any more: raise
/// [`VERSION`], then take the new sum.
#[test]
fn the_encoding_has_a_version() {
    let all: String = (1..)
        .zip(OPTIONS)
        .map(|(sid, option)| format!("alert tcp any any -> any any ({option} sid:{sid};)\n"))
        .collect();
    let parts = parts(&all);
    let mut sum = Sha256::new();
    parts.pieces.iter().for_each(|piece| sum.update(piece));
    let sum: String = (sum.finalize().iter().take(8))
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!((VERSION, sum.as_str()), (1, "c65243fd74bff552"));
}
