//! Whatever is made for a rule, the evaluator accepts.

use std::sync::Arc;

use proptest::prelude::*;
use weir_engine::app::AppBuffer;
use weir_engine::plan::{Buffer, RuleSet};

use super::checker::Checker;
use super::fill::fill;
use super::{Exerciser, Unmet};
use crate::classification::Classification;
use crate::compile::{Compiler, Variables, load};
use crate::syntax::SourceFile;

pub(super) fn rules(text: &str) -> Arc<RuleSet> {
    let (addresses, ports) = Variables::stock_definitions();
    let compiler = Compiler::new(Variables::new(addresses, ports), Classification::stock());
    let source = SourceFile {
        name: "test.rules".into(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = load(&[source], &compiler);
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Arc::new(loaded.rules)
}

/// Makes bytes for the one rule, and asks the evaluator about each buffer.
pub(super) fn accepted(text: &str) -> Result<Vec<(Buffer, Vec<u8>)>, Unmet> {
    let rules = rules(text);
    let rule = rules.get(0).expect("a rule");
    let mut checker = Checker::new(rule);
    let mut all = Vec::new();
    for attempt in 0..4 {
        let filled = fill(rule, &mut checker, attempt)?;
        all.clear();
        for part in filled {
            let bytes = part.bytes.unwrap_or_default();
            for plan in part.plans {
                assert!(
                    checker.accepts(plan, &bytes),
                    "attempt {attempt} of {text}: {}",
                    bytes.escape_ascii()
                );
            }
            all.push((part.buffer, bytes));
        }
    }
    Ok(all)
}

#[test]
fn operations_of_all_kinds_are_satisfied() {
    for options in [
        r#"content:"abc"; depth:9; offset:4; content:"d"; distance:-2;"#,
        r#"content:"a"; content:!"b"; within:5; content:"c"; distance:5; within:1;"#,
        r#"content:"abc"; endswith; content:"x"; startswith; dsize:10;"#,
        r#"content:"GET|20|"; pcre:"/^[A-Z]{3} \/[^\r\n]{3,} HTTP/"; isdataat:40;"#,
        r#"byte_test:1,&,128,2; byte_test:1,!&,64,2; byte_test:1,=,7,3; content:"zz";"#,
        r#"byte_test:4,>,1000,0,little; content:"q"; offset:4; isdataat:!3,relative;"#,
        r#"content:"L="; byte_test:3,>,120,0,relative,string,dec; content:"|3b|"; distance:3; within:1;"#,
        r#"byte_jump:2,0; content:"at"; within:2;"#,
        r#"byte_math:bytes 1,offset 0,oper +,rvalue 4,result r; content:"here"; offset:r; depth:4;"#,
        r#"content:"MZ"; depth:2; byte_jump:4,58,relative,little; content:"PE|00 00|"; distance:-64; within:4;"#,
        r#"pcre:"/(?P<x>[a-f]{2})-(?P=x)/"; content:"--"; distance:0;"#,
        r#"content:"a="; pcre:"/^\d{3}(?=z)/R"; content:"z"; within:1;"#,
    ] {
        let rule = format!("alert tcp any any -> any any (flow:established; {options} sid:1;)");
        let made = accepted(&rule);
        assert!(made.is_ok(), "{options}: {made:?}");
    }
}

#[test]
fn bytes_are_as_a_message_would_show_them() {
    let buffer = |options: &str, buffer: AppBuffer| {
        let rule = format!("alert http any any -> any any ({options} sid:1;)");
        let made = accepted(&rule).expect("made");
        let found = made.into_iter().find(|(of, _)| *of == Buffer::App(buffer));
        found.expect("the buffer").1
    };
    let uri = buffer(r#"http.uri; content:".php"; endswith;"#, AppBuffer::HttpUri);
    assert!(uri.starts_with(b"/"), "{}", uri.escape_ascii());
    let host = buffer(r#"http.host; content:"a.example";"#, AppBuffer::HttpHost);
    assert_eq!(host, b"a.example");
    let header = buffer(
        r#"http.header; content:"|0d 0a|X-B|3a 20|b";"#,
        AppBuffer::HttpHeader,
    );
    assert!(header.ends_with(b"\r\n") && !header.starts_with(b"\r\n"));
}

#[test]
fn what_cannot_be_is_no_endless_search() {
    for options in [
        r#"content:"abc"; depth:3; content:"abd"; depth:3;"#,
        r#"content:"a"; isdataat:!1; isdataat:10;"#,
        r#"pcre:"/^a.*b$/"; content:"c"; startswith;"#,
    ] {
        let rule = format!("alert tcp any any -> any any ({options} sid:1;)");
        assert_eq!(accepted(&rule), Err(Unmet::Buffer("content")), "{options}");
    }
}

#[test]
fn every_near_miss_has_something_broken() {
    let rules = rules(
        r#"alert tcp any any -> any 99 (flow:established,to_server; content:"abc"; content:"def"; distance:2; sid:1;)"#,
    );
    let exerciser = Exerciser::new(rules);
    let exercise = exerciser.make(0, 0).expect("made");
    let said = exerciser.talk(&exercise, 0).expect("said");
    let misses = exerciser.misses(&exercise);
    assert!(misses.len() >= 3);
    for miss in misses {
        assert_ne!(
            exerciser.talk(&miss.exercise, 0),
            Ok(said.clone()),
            "{}",
            miss.broken
        );
    }
}

fn content() -> impl Strategy<Value = String> {
    let bytes = prop::collection::vec(any::<u8>(), 1..6);
    let place = prop_oneof![
        Just(String::new()),
        (0..20u32).prop_map(|offset| format!(" offset:{offset};")),
        (6..40u32).prop_map(|depth| format!(" depth:{depth};")),
        (0..12i32).prop_map(|distance| format!(" distance:{distance};")),
        (6..20u32).prop_map(|within| format!(" within:{within};")),
    ];
    (bytes, any::<bool>(), any::<bool>(), place).prop_map(|(bytes, negated, nocase, place)| {
        let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "content:{}\"|{}|\";{}{place}",
            if negated { "!" } else { "" },
            hexadecimal.join(" "),
            if nocase { " nocase;" } else { "" },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_made_is_accepted(contents in prop::collection::vec(content(), 1..5)) {
        let options = contents.join(" ");
        // `accepted` asserts; that nothing is found is no fault.
        let _ = accepted(&format!("alert udp any any -> any any ({options} sid:1;)"));
    }
}
