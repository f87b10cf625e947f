use proptest::prelude::*;

use super::refused;
use crate::syntax::ast::{Direction, Expr, Place, Problem, ProblemKind, RuleText};
use crate::syntax::{ACTIONS, parse_rule};

fn parse(text: &str) -> Result<RuleText, Problem> {
    parse_rule(text.as_bytes(), Place { line: 7, column: 1 })
}

fn names(rule: &RuleText) -> Vec<&str> {
    rule.options
        .iter()
        .map(|option| option.name.value.as_str())
        .collect()
}

fn value<'a>(rule: &'a RuleText, name: &str) -> &'a str {
    let option = rule
        .options
        .iter()
        .find(|option| option.name.value == name)
        .expect(name);
    str::from_utf8(&option.value.as_ref().expect(name).value).expect("text")
}

#[test]
fn a_rule_and_its_places() {
    let rule = parse(
        r#"alert tcp any any -> $HOME_NET [80,443] (msg:"a\; b"; content : "x" ; nocase; sid:1;)"#,
    )
    .expect("a rule");
    assert_eq!(
        (rule.action.value.as_str(), rule.proto.value.as_str()),
        ("alert", "tcp")
    );
    assert_eq!((rule.src.value, rule.sport.value), (Expr::Any, Expr::Any));
    assert_eq!(rule.direction.value, Direction::ToRight);
    assert_eq!((rule.dst.place.column, rule.dport.place.column), (22, 32));
    assert_eq!(
        names(&parse(r#"alert ip any any -> any any (a; B.c:d; sid:1;)"#).expect("a rule")),
        ["a", "b.c", "sid"]
    );
    let columns: Vec<u32> = rule
        .options
        .iter()
        .map(|option| option.name.place.column)
        .collect();
    assert_eq!(columns, [42, 55, 71, 79]);
    let content = rule.options[1].value.as_ref().expect("a value");
    assert_eq!(
        (content.value.as_slice(), content.place.column),
        (&b"\"x\""[..], 65)
    );
}

#[test]
fn every_action_and_direction() {
    for action in ACTIONS {
        let rule = parse(&format!("{action} ip any any <> any any (sid:1;)")).expect(action);
        assert_eq!(
            (rule.action.value.as_str(), rule.direction.value),
            (action, Direction::Both)
        );
    }
    let rule = parse("accept:hook http1:request_line any any => any any (sid:1;)").expect("a rule");
    assert_eq!(
        (rule.action.value.as_str(), rule.proto.value.as_str()),
        ("accept:hook", "http1:request_line")
    );
    assert_eq!(rule.direction.value, Direction::Transaction);
    assert!(
        parse("ALERT TCP:all any any -> any any (sid:1;)")
            .is_ok_and(|rule| rule.proto.value == "tcp:all")
    );
}

#[test]
fn what_suricata_takes_is_taken() {
    for text in [
        "alert\ttcp any any -> any any (sid:1;)",
        "alert tcp any any -> any any ((sid:1;))",
        "alert tcp any any -> any any (sid:1; ) ",
        "alert tcp any any -> any any ( sid : 1 ;)\r",
        "alert tcp [1.1.1.1, 2.2.2.2] any -> any [1, 2] (sid:1;)",
        "alert tcp any any -> any any (msg:\"a (b) c\"; sid:1;)",
        "alert tcp any any -> any any (msg:\"\u{e9}\"; sid:1;)",
    ] {
        parse(text).expect(text);
    }
}

#[test]
fn an_escaped_semicolon_does_not_end_an_option() {
    let rule = parse(r#"alert tcp any any -> any any (content:"a\;b"; pcre:"/x\\;y/"; sid:1;)"#)
        .expect("a rule");
    assert_eq!(value(&rule, "content"), r#""a\;b""#);
    assert_eq!(value(&rule, "pcre"), r#""/x\\;y/""#);
}

#[test]
fn header_problems_are_where_they_are() {
    refused(
        parse("alarm tcp any any -> any any (sid:1;)"),
        7,
        1,
        "expected an action (alert, pass,",
    );
    refused(
        parse("alert:flow tcp any any -> any any (sid:1;)"),
        7,
        7,
        "`alert` has no scope",
    );
    refused(
        parse("accept:x tcp any any -> any any (sid:1;)"),
        7,
        8,
        "expected a scope (packet, flow, tx, hook), found `x`",
    );
    refused(
        parse("alert tcp: any any -> any any (sid:1;)"),
        7,
        11,
        "expected a hook of `tcp`",
    );
    refused(
        parse("alert t=p any any -> any any (sid:1;)"),
        7,
        7,
        "expected a protocol",
    );
    refused(
        parse("alert tcp any any <- any any (sid:1;)"),
        7,
        19,
        "expected `->`, `<>` or `=>`, found `<-`",
    );
    refused(
        parse("alert tcp any any -> any (sid:1;)"),
        7,
        26,
        "expected destination ports, found `(sid:1;)`",
    );
    refused(
        parse("alert tcp any 70000 -> any any (sid:1;)"),
        7,
        15,
        "expected a port",
    );
    refused(
        parse("alert tcp [1.2.3.4 any -> any any (sid:1;)"),
        7,
        20,
        "expected `,` or `]`",
    );
    refused(parse("alert"), 7, 6, "expected a protocol, found the end");
    refused(
        parse("alert tcp any any -> any any"),
        7,
        29,
        "expected `(` before the options, found the end",
    );
    refused(
        parse("alert tcp any any -> any any sid:1;)"),
        7,
        30,
        "expected `(` before the options",
    );
    refused(
        parse("alert tcp any any -> any any(sid:1;)"),
        7,
        29,
        "expected white space before `(`",
    );
}

#[test]
fn option_problems_are_where_they_are() {
    let rule = |options: &str| parse(&format!("alert ip any any -> any any ({options}"));
    refused(rule("sid:1;"), 7, 36, "expected `)` after the options");
    refused(
        rule("sid:1)"),
        7,
        35,
        "expected `;` after the option `sid:1`, found `)`",
    );
    refused(
        rule("sid:1; msg:\"x)"),
        7,
        41,
        "the quotation mark is not closed before the end of the rule",
    );
    refused(
        rule("sid:1;; rev:1;)"),
        7,
        36,
        "expected a keyword, found an empty option",
    );
    refused(
        rule("sid:1; :x;)"),
        7,
        37,
        "expected a keyword, found an empty option",
    );
    refused(rule(")"), 7, 29, "the rule has no options");
    refused(rule("msg:\"x\";)"), 7, 1, "the rule has no `sid`");
    refused(rule("sid:1; sid:2;)"), 7, 37, "a second `sid`");
    refused(
        rule("sid:1; msg:\"a\"; msg:\"b\";)"),
        7,
        46,
        "a second `msg`",
    );
    refused(
        rule("sid:1;) alert ip any any -> any any (sid:2;)"),
        7,
        36,
        "a rule ends with `)`",
    );
    refused(
        rule("sid:1;) # more"),
        7,
        36,
        "expected nothing after the closing `)`, found `# more`",
    );
    refused(
        rule("content \"x\"; sid:1;)"),
        7,
        37,
        "expected a keyword followed by `:` or `;`",
    );
}

#[test]
fn invalid_utf8_is_refused_at_its_byte() {
    let text = b"alert ip any any -> any any (msg:\"\xff\"; sid:1;)";
    refused(
        parse_rule(text, Place { line: 7, column: 1 }),
        7,
        35,
        "the rule is not valid UTF-8: found the byte 0xff",
    );
}

#[test]
fn there_is_an_end_to_options() {
    let with = |count: usize| {
        let options = "content:\"a\"; ".repeat(count);
        parse(&format!("alert ip any any -> any any (sid:1; {options})"))
    };
    assert_eq!(with(4095).expect("a rule").options.len(), 4096);
    let problem = with(4096).expect_err("one too many");
    assert_eq!(
        (problem.kind, problem.subject.as_str(), problem.place.column),
        (ProblemKind::Unsupported, "options", 37 + 4095 * 13)
    );
}

#[test]
fn a_very_long_rule_takes_linear_time() {
    let long = format!(
        "alert ip any any -> any any (sid:1; content:\"{}\";)",
        "a\\;".repeat(3_000_000)
    );
    assert_eq!(parse(&long).expect("a rule").options.len(), 2);
    let unclosed = format!(
        "alert ip any any -> any any (msg:\"{}",
        "a\\;".repeat(3_000_000)
    );
    refused(parse(&unclosed), 7, 34, "the quotation mark is not closed");
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_rule_or_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_rule(&bytes, Place { line: 1, column: 1 });
    }

    #[test]
    fn near_rules_end_in_a_rule_or_a_problem(text in "(alert|drop|x)? ?(tcp|ip)? ?[\\[\\]!$,:/0-9a-z. -]{0,20} (->|<>)? any any \\(?([a-z]{0,5}[:;\"\\\\ )]{0,4}){0,6}(sid:1;)?\\)?") {
        if let Err(problem) = parse(&text) {
            prop_assert!(problem.place.line == 7 && problem.place.column as usize <= text.len() + 1, "{problem:?}");
            prop_assert!(!problem.message.is_empty() && !problem.subject.is_empty());
        }
    }
}
