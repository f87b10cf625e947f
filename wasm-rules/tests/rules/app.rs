//! What rules ask of application layers.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{
    AppTest, Buffer, NumOp, Op, ProtocolMode, ProtocolTest, Rule, StateAction,
};
use weir_rules::keywords::{self, Grammar, ValueKind};
use weir_rules::syntax::ast::ProblemKind;

use super::support::{outcome, plan, tcp};

/// Buffers with the number of operations on each.
fn lists(rule: &Rule) -> Vec<(Buffer, usize)> {
    let of = |plan: &weir_engine::plan::BufferPlan| (plan.buffer, plan.ops.len());
    rule.buffers.iter().map(of).collect()
}

/// True when a rule with these options is refused for its syntax, and for nothing else.
fn is_wrong(header: &str, options: &str) -> bool {
    let problems = outcome(&format!("{header} ({options} sid:1;)"));
    problems.is_err_and(|problems| {
        let syntax =
            |problem: &weir_rules::syntax::ast::Problem| problem.kind == ProblemKind::Syntax;
        !problems.is_empty() && problems.iter().all(syntax)
    })
}

const TCP: &str = "alert tcp any any -> any any";
const WEB: &str = "alert http any any => any any";

#[test]
fn what_follows_the_end_of_a_content_goes_where_it_belongs() {
    let rule = tcp(r#"content:"x"; isdataat:!1,relative; http.uri; content:"y";"#);
    let uri = Buffer::App(AppBuffer::HttpUri);
    assert_eq!(lists(&rule), [(Buffer::Payload, 1), (uri, 1)]);
    let rule = tcp(r#"content:"p"; content:"a"; http_uri; isdataat:!1,relative; content:"next";"#);
    assert_eq!(lists(&rule), [(Buffer::Payload, 2), (uri, 1)]);
    let [Op::Content(uri)] = rule.buffers[1].ops.as_slice() else {
        panic!("{rule:?}")
    };
    assert!(uri.endswith && uri.bytes == b"a");
}

#[test]
fn a_content_is_replaced_where_it_stands() {
    let rule =
        tcp(r#"content:"k"; content:"ab"; replace:"cd"; content:"u"; http_uri; content:"xy";"#);
    let replaced = rule.state_actions.iter().find_map(|action| match action {
        StateAction::Replace { buffer, op, bytes } => Some((*buffer, *op, bytes.clone())),
        _ => None,
    });
    assert_eq!(replaced, Some((0, 1, b"cd".to_vec())));
    // It is in no packet as it is then.
    assert!(is_wrong(
        TCP,
        r#"content:"ab"; replace:"cd"; http_uri; content:"xy";"#
    ));
}

#[test]
fn directions_are_written_as_suricata_has_them() {
    for (written, to_server) in [
        ("to_server", true),
        ("toserver", true),
        ("to_client", false),
        ("toclient", false),
    ] {
        let rule = plan(&format!(
            "{WEB} (http.header:{written}; content:\"a\"; filesize:{written},>5; sid:1;)"
        ));
        assert_eq!(
            rule.buffers[0].buffer,
            Buffer::AppOf(AppBuffer::HttpHeader, to_server)
        );
        let [AppTest::Number { way, .. }] = rule.app.tests.as_slice() else {
            panic!("{rule:?}")
        };
        assert_eq!(*way, Some(to_server));
    }
    for options in [
        r#"http.header:To_Server; content:"a";"#,
        r#"http.uri; content:"a"; filesize:TO_SERVER,>5;"#,
        r#"http.uri; content:"a"; filestore:Request;"#,
        r#"http.uri; content:"a"; filestore:BOTH;"#,
    ] {
        assert!(is_wrong(WEB, options), "{options}");
    }
    // Which of the two is meant is not said.
    for options in [
        r#"http.header; content:"a";"#,
        r#"content:"a"; http_header;"#,
        r#"http.uri; content:"b"; pkt_data; pcre:"/a/H";"#,
    ] {
        assert!(is_wrong(WEB, options), "{options}");
    }
}

#[test]
fn a_protocol_is_asked_for_in_every_mode() {
    let mode = |value: &str| match tcp(&format!("app-layer-protocol:{value};"))
        .app
        .protocols
        .as_slice()
    {
        [ProtocolTest::Is { mode, negated, .. }] => (*mode, *negated),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(mode("tls"), (ProtocolMode::Direction, false));
    assert_eq!(mode("!tls,direction"), (ProtocolMode::Direction, true));
    assert_eq!(mode("!tls,final"), (ProtocolMode::Final, true));
    assert_eq!(mode("tls,original"), (ProtocolMode::Original, false));
    assert_eq!(mode("tls,either"), (ProtocolMode::Either, false));
    assert_eq!(mode("tls,to_server"), (ProtocolMode::ToServer, false));
    assert_eq!(mode("tls,toclient"), (ProtocolMode::ToClient, false));
    for value in ["tls,Final", "tls,TO_SERVER", "!unknown"] {
        assert!(
            is_wrong(TCP, &format!("app-layer-protocol:{value};")),
            "{value}"
        );
    }
    assert!(matches!(
        tcp("app-layer-protocol:unknown;").app.protocols.as_slice(),
        [ProtocolTest::Unknown]
    ));
    assert!(
        outcome("alert tcp any any -> any any (app-layer-protocol:unknown,final; sid:1;)").is_err()
    );
}

#[test]
fn texts_of_files_are_contents() {
    let first = |options: &str| match tcp(options).buffers[0].ops.first() {
        Some(Op::Content(content)) => (
            content.bytes.clone(),
            content.nocase,
            content.negated,
            content.endswith,
        ),
        other => panic!("{options}: {other:?}"),
    };
    assert_eq!(
        first(r#"fileext:"P|64|F";"#),
        (b".pdf".to_vec(), true, false, true)
    );
    assert_eq!(
        first(r#"filename:!"a\;b|20|c";"#),
        (b"a;b c".to_vec(), true, true, false)
    );
    assert_eq!(
        first("filemagic:PDF document;"),
        (b"pdf document".to_vec(), true, false, false)
    );
    // Names of certificates are looked for as they are written.
    assert_eq!(
        first(r#"tls.subject:"CN=*.A, O=b|c";"#),
        (b"CN=*.A, O=b|c".to_vec(), false, false, false)
    );
    for options in [r#"filename:"a|zz|";"#, r#"fileext:"a|4";"#] {
        assert!(is_wrong(TCP, options), "{options}");
    }
}

#[test]
fn every_name_of_a_value_is_understood() {
    let mut names_tried = 0;
    for keyword in keywords::all() {
        let (ValueKind::Required(grammar) | ValueKind::Optional(grammar)) = keyword.value else {
            continue;
        };
        let names = match grammar {
            Grammar::IndexedNumber { names, .. } | Grammar::Bits { names, .. } => names,
            _ => continue,
        };
        for name in names {
            for value in [(*name).to_owned(), format!("!{name}")] {
                let text = format!(
                    "alert ip any any -> any any ({}:{value}; sid:1;)",
                    keyword.name
                );
                let wrong = outcome(&text).err().into_iter().flatten();
                let wrong: Vec<_> = wrong
                    .filter(|problem| problem.kind == ProblemKind::Syntax)
                    .collect();
                assert!(wrong.is_empty(), "{text}: {wrong:?}");
                names_tried += 1;
            }
        }
    }
    assert!(names_tried > 100, "{names_tried}");
    let rule = plan("alert rfb any any -> any any (rfb.secresult:!unknown; sid:1;)");
    assert!(matches!(
        rule.app.tests.as_slice(),
        [AppTest::Number { field: AppField::RfbSecResult, num, .. }] if num.op == NumOp::Ne && num.a == 3
    ));
}

#[test]
fn operations_of_dcerpc_are_a_set() {
    let values = |value: &str| match tcp(&format!("dcerpc.opnum:{value};")).app.tests.as_slice() {
        [
            AppTest::OneOf {
                values,
                negated: false,
                ..
            },
        ] => values.clone(),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(values("15,12-14,13"), [12, 13, 14, 15]);
    // However often all of them are named, there are no more.
    let all = ["0-65535"; 500].join(",");
    assert!(values(&all).len() == 65_536);
    for value in ["20-10", "1-70000", "x"] {
        assert!(is_wrong(TCP, &format!("dcerpc.opnum:{value};")), "{value}");
    }
}

#[test]
fn versions_of_tls_are_wanted_or_not_wanted() {
    let versions = |value: &str| match tcp(&format!("ssl_version:{value};")).app.tests.as_slice() {
        [
            AppTest::OneOf {
                values, negated, ..
            },
        ] => (values.clone(), *negated),
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(versions("tls1.2,sslv3"), (vec![0x0303, 0x0300], false));
    assert_eq!(versions("!tls1.0,!sslv2"), (vec![0x0301, 0x0002], true));
    // Nobody can say what this means.
    assert!(outcome("alert tcp any any -> any any (ssl_version:tls1.2,!tls1.0; sid:1;)").is_err());
}

#[test]
fn ranges_of_dates_hold_something() {
    tcp("tls_cert_notafter:2020-01-01<>2021;");
    for value in ["2021<>2020", "2020<>2020"] {
        assert!(
            is_wrong(TCP, &format!("tls_cert_notafter:{value};")),
            "{value}"
        );
    }
}

#[test]
fn dots_that_transforms_make_are_looked_for_in_no_buffer() {
    for (dots, content) in [
        ("dotprefix;", ".evil.example"),
        ("dotprefix; dotprefix;", "..evil.example"),
    ] {
        let rule = tcp(&format!("tls.sni; {dots} content:\"{content}\";"));
        let probe = rule.probe.expect("a probe");
        assert!(!probe.bytes.starts_with(b"."), "{dots} {:?}", probe.bytes);
    }
}

#[test]
fn lists_of_hashes_are_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    let rule = |path: &std::path::Path| {
        outcome(&format!(
            "alert http any any -> any any (filemd5:{}; sid:1;)",
            path.display()
        ))
    };
    std::fs::write(
        &path,
        "# known\n2f8d0355f0032c3e6311c6408d7c2dc2  util-path.c\r\n\n00000000000000000000000000000001\n",
    )
    .expect("writes");
    let Ok(weir_rules::compile::Compiled::Rule { rule: found, .. }) = rule(&path) else {
        panic!("it is a list");
    };
    let [
        AppTest::HashIn {
            hashes,
            negated: false,
            ..
        },
    ] = found.app.tests.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!(hashes.len(), 2);
    assert_eq!(hashes[0][15], 1);
    std::fs::write(&path, "2f8d0355\n").expect("writes");
    assert!(rule(&path).is_err(), "too short");
    // What never ends is no file.
    assert!(rule(std::path::Path::new("/dev/zero")).is_err());
    assert!(rule(folder.path()).is_err());
}

#[test]
fn a_list_of_hashes_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    std::fs::write(&path, "2f8d0355f0032c3e6311c6408d7c2dc2\n").expect("writes");
    let rule = |sid: u32| {
        format!(
            "alert http any any -> any any (filemd5:{}; sid:{sid};)\n",
            path.display()
        )
    };
    let file = weir_rules::syntax::SourceFile {
        name: "a.rules".into(),
        bytes: [rule(1), rule(2)].concat().into(),
    };
    let loaded = weir_rules::compile::load(&[file], &super::support::compiler());
    let lists: Vec<_> = (loaded.rules.rules().iter())
        .flat_map(|rule| &rule.app.tests)
        .filter_map(|test| match test {
            AppTest::HashIn { hashes, .. } => Some(hashes),
            _ => None,
        })
        .collect();
    assert!(std::sync::Arc::ptr_eq(lists[0], lists[1]));
}
