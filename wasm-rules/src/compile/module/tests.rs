//! Rules of declarations, by themselves.

use std::sync::Arc;

use weir_engine::plan::{Op, Rule, RuleKind};

use super::*;
use crate::classification::Classification;
use crate::compile::{Compiler, Variables, load};
use crate::syntax::SourceFile;

fn compiler() -> Compiler {
    Compiler::new(Variables::stock(), Classification::stock())
}

fn declaration(rules: Vec<DeclaredRule>) -> Declaration {
    Declaration {
        name: "m".to_owned(),
        rules,
        buffers: ["payload", "http.uri", "dns.query", "tcp.hdr"]
            .map(str::to_owned)
            .to_vec(),
        ..Declaration::default()
    }
}

fn rule(header: &str, buffers: &[&str]) -> DeclaredRule {
    DeclaredRule {
        sid: 5,
        rev: 2,
        header: header.to_owned(),
        buffers: buffers.iter().map(|&name| name.to_owned()).collect(),
        ..DeclaredRule::default()
    }
}

fn pattern(buffer: &str, bytes: &[u8], nocase: bool) -> DeclaredPattern {
    DeclaredPattern {
        buffer: buffer.to_owned(),
        bytes: bytes.to_vec(),
        nocase,
    }
}

fn compiled(rule: DeclaredRule) -> Rule {
    let declaration = declaration(vec![rule]);
    declaration.check().expect("a right declaration");
    let mut done = compiler().module(&declaration, 3, false, &Arc::from("m.wasm"));
    assert!(done.refused.is_empty(), "{:?}", done.refused);
    done.rules.remove(0)
}

#[test]
fn what_a_rule_looks_at_decides_when_the_module_is_asked() {
    for (header, buffers, kind) in [
        ("ip any any -> any any", &[][..], RuleKind::Packet),
        ("tcp any any -> any 22", &[], RuleKind::Packet),
        ("dns any any -> any any", &[], RuleKind::Packet),
        ("tcp any any -> any 22", &["payload"], RuleKind::Stream),
        ("udp any any -> any 22", &["payload"], RuleKind::Packet),
        ("tcp any any -> any 22", &["tcp.hdr"], RuleKind::Packet),
        (
            "http any any -> any any",
            &["http.uri"],
            RuleKind::Transaction,
        ),
        (
            "dns any any -> any any",
            &["dns.query", "payload"],
            RuleKind::Transaction,
        ),
    ] {
        let rule = compiled(rule(header, buffers));
        assert_eq!(rule.kind(), kind, "{header} {buffers:?}");
        assert_eq!(rule.buffers.len(), buffers.len());
        assert!(
            !rule.grows(),
            "more of a stream may change what a module says"
        );
    }
}

#[test]
fn a_plan_has_what_the_declaration_says() {
    let mut declared = rule("tcp $EXTERNAL_NET any -> $HOME_NET 80", &["http.uri"]);
    declared.options = "flow:established,to_server; flowbits:isset,a".to_owned();
    declared.message = "say \"this\"; and \\ that".to_owned();
    declared.class = Some("trojan-activity".to_owned());
    let rule = compiled(declared.clone());
    assert_eq!(rule.meta.msg, declared.message);
    assert_eq!((rule.meta.sid, rule.meta.rev, rule.meta.gid), (5, 2, 1));
    assert_eq!(rule.meta.priority, 1);
    assert_eq!(rule.meta.category, "A Network Trojan was detected");
    assert_eq!(rule.meta.origin, (Arc::from("m.wasm"), 1));
    assert!(
        rule.flow
            .is_some_and(|flow| flow.established && flow.to_server)
    );
    assert_eq!(rule.state_tests.len(), 1);
    let module = rule.module.expect("a module");
    assert_eq!((module.module, module.index), (3, 0));
    assert_eq!(
        &*module.looks_at,
        &[AppBuffer::HttpUri, AppBuffer::DnsQuery]
    );
    declared.priority = Some(7);
    declared.class = Some("no-such-class".to_owned());
    let rule = compiled(declared);
    assert_eq!((rule.meta.priority, rule.meta.category.as_str()), (7, ""));
}

#[test]
fn several_patterns_are_several_probes() {
    let mut declared = rule("tcp any any -> any any", &["payload"]);
    declared.patterns = vec![
        pattern("payload", b"first-one", false),
        pattern("payload", b"SECOND-one", true),
        pattern("payload", b"first-one", false),
    ];
    let several = compiled(declared.clone());
    let probes: Vec<(Vec<u8>, bool)> = several
        .probes()
        .map(|probe| (probe.bytes.clone(), probe.folded))
        .collect();
    assert_eq!(probes.len(), 2, "{probes:?}");
    assert!(b"first-one".windows(8).any(|window| window == probes[0].0));
    assert!(probes[1].1 && b"second-one".windows(8).any(|window| window == probes[1].0));
    // One of them cannot be looked for: then none is.
    declared.patterns.push(pattern("payload", b"x", false));
    assert_eq!(compiled(declared.clone()).probes().count(), 0);
    // One that is needed in any case is better than several.
    declared.options = "content:\"needed-anyway\";".to_owned();
    assert_eq!(compiled(declared.clone()).probes().count(), 1);
    declared.options.clear();
    declared.patterns = vec![
        pattern("http.uri", b"/a-page", false),
        pattern("http.uri", b"/b-page", true),
    ];
    let of_app = compiled(declared.clone());
    assert_eq!(of_app.probes().count(), 2);
    assert!(
        of_app
            .probes()
            .all(|probe| probe.buffer == Buffer::App(AppBuffer::HttpUri))
    );
    declared.patterns.truncate(1);
    let one = compiled(declared);
    let of_uri = one
        .buffers
        .iter()
        .find(|plan| plan.buffer == Buffer::App(AppBuffer::HttpUri));
    assert!(matches!(
        of_uri.expect("a buffer").ops.as_slice(),
        [Op::Content(_)]
    ));
}

#[test]
fn every_byte_can_be_in_a_pattern() {
    let all: Vec<u8> = (0..=255).collect();
    for bytes in all.chunks(64) {
        let mut declared = rule("udp any any -> any any", &["payload"]);
        declared.patterns = vec![pattern("payload", bytes, false)];
        let rule = compiled(declared.clone());
        assert!(
            rule.buffers.iter().any(
                |plan| matches!(&plan.ops[..], [Op::Content(content)] if content.bytes == bytes)
            )
        );
        declared.patterns.push(pattern("payload", bytes, true));
        assert!(matches!(
            &compiled(declared).buffers[0].ops[..],
            [Op::Pcre(_)]
        ));
    }
}

#[test]
fn a_module_cannot_say_more_than_its_fields() {
    for (header, options) in [
        ("udp any any -> any any", "sid:9"),
        ("udp any any -> any any", "msg:\"x\""),
        ("udp any any -> any any", "gid:9"),
        (
            "udp any any -> any any",
            "content:\"x\";) alert udp any any -> any any (sid:7;",
        ),
        ("udp any any -> any any", "replace:\"x\""),
        (
            "udp any any -> any any",
            "dataset:set,x,type string,save /tmp/x",
        ),
        ("udp any any -> any any)", ""),
        ("udp any any -> any any;", ""),
        ("", ""),
    ] {
        let mut declared = rule(header, &["payload"]);
        declared.options = options.to_owned();
        let declaration = declaration(vec![declared]);
        let right = declaration.check().is_ok()
            && compiler()
                .module(&declaration, 0, false, &Arc::from("m.wasm"))
                .refused
                .is_empty();
        assert!(!right, "{header} ({options})");
    }
}

#[test]
fn rules_join_those_of_text() {
    let file = SourceFile {
        name: "a.rules".into(),
        bytes: b"alert udp any any -> any any (sid:5;)\n".to_vec(),
    };
    let mut loaded = load(&[file], &compiler());
    let mut other = rule("udp any any -> any any", &[]);
    other.sid = 6;
    let declaration = declaration(vec![rule("udp any any -> any any", &[]), other]);
    let name: Arc<str> = Arc::from("m.wasm");
    let rules = compiler().module(&declaration, 0, false, &name);
    loaded.add_modules([(Arc::clone(&name), rules)]);
    assert_eq!(loaded.rules.rules().len(), 2);
    assert_eq!(
        (
            loaded.counts.read,
            loaded.counts.evaluated,
            loaded.counts.syntax
        ),
        (3, 2, 1)
    );
    let refused = loaded.refused[0].to_string();
    assert_eq!(
        refused,
        "m.wasm:1:1: sid: the rule 1:5 is already there (a.rules:1)"
    );
    loaded.refuse_module(&name, "no module");
    assert_eq!((loaded.counts.read, loaded.counts.syntax), (4, 2));
}
