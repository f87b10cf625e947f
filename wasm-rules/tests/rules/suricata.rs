//! Keywords that Suricata reads otherwise than one would think.

use weir_engine::plan::{BitsMode, NumberBase, Op, PacketTest, Value};
use weir_rules::compile::Compiled;

use super::support::{outcome, tcp};

fn tests(options: &str) -> String {
    format!("{:?}", tcp(options).tests)
}

#[test]
fn no_flags_at_all() {
    let flags = |mode, bits, ignore| format!("{:?}", [PacketTest::TcpFlags { mode, bits, ignore }]);
    // What is ignored elsewhere is looked at here.
    assert_eq!(tests("flags:0;"), flags(BitsMode::Exact, 0, 0));
    assert_eq!(tests("flags:0,12;"), flags(BitsMode::Exact, 0, 0));
    assert_eq!(tests("flags:+0;"), flags(BitsMode::Exact, 0, 0));
    assert_eq!(tests("flags:!0;"), flags(BitsMode::Any, 0xFF, 0));
    // `0` takes back what stands before it.
    assert_eq!(tests("flags:SA0;"), flags(BitsMode::Exact, 0, 0));
    assert_eq!(tests("flags:0S,12;"), flags(BitsMode::Exact, 0x02, 0xC0));
    assert_eq!(tests("flags:S+A;"), flags(BitsMode::All, 0x12, 0));
    for wrong in ["flags:+;", "flags:+S+;", "flags:S,0;", "flags:S,;"] {
        let text = format!("alert tcp any any -> any any ({wrong} sid:1;)");
        assert!(outcome(&text).is_err(), "{wrong}");
    }
}

#[test]
fn more_fragmentation_bits_than_these() {
    let bits = |of: &[(BitsMode, u8)]| {
        let tests: Vec<_> = of
            .iter()
            .map(|&(mode, bits)| PacketTest::FragBits { mode, bits })
            .collect();
        format!("{tests:?}")
    };
    assert_eq!(tests("fragbits:MD;"), bits(&[(BitsMode::Exact, 3)]));
    assert_eq!(tests("fragbits:*MR;"), bits(&[(BitsMode::Any, 5)]));
    assert_eq!(
        tests("fragbits:+ D;"),
        bits(&[(BitsMode::All, 2), (BitsMode::Any, 5)])
    );
    assert_eq!(tests("fragbits:M+;"), bits(&[(BitsMode::Exact, 1)]));
    let text = "alert tcp any any -> any any (fragbits:M+; sid:1;)";
    assert!(
        matches!(outcome(text), Ok(Compiled::Rule { warnings, .. }) if warnings.len() == 1),
        "its author is told"
    );
}

#[test]
fn numbers_of_byte_test_are_those_of_c() {
    let value = |options: &str| match tcp(options).buffers.first().map(|plan| &plan.ops[..]) {
        Some([Op::ByteTest(test)]) => (test.value, test.offset),
        other => panic!("{options}: {other:?}"),
    };
    let number = |value, offset| (Value::Const(value), Value::Const(offset));
    assert_eq!(value("byte_test:1,=,010,0;"), number(8, 0));
    assert_eq!(value("byte_test:1,=,10,0x10;"), number(10, 16));
    assert_eq!(value("byte_test:1,=,0,-010,relative;"), number(0, -8));
    assert_eq!(
        value("byte_test:8,=,0xFFFFFFFFFFFFFFFF,0;"),
        number(-1, 0),
        "all 64 bits"
    );
    for wrong in ["08", "18446744073709551616", "0x", "-1", "0x+1"] {
        let text = format!("alert tcp any any -> any any (byte_test:1,=,{wrong},0; sid:1;)");
        assert!(outcome(&text).is_err(), "{wrong}");
    }
}

#[test]
fn digits_are_decimal_where_nothing_is_said() {
    let rule = tcp("byte_extract:4,0,v,string;");
    let ops = rule.buffers.first().map(|plan| &plan.ops[..]);
    assert!(
        matches!(ops, Some([Op::ByteExtract(extract)]) if extract.base == NumberBase::Dec),
        "{ops:?}"
    );
}

#[test]
fn a_base_is_guessed_where_suricata_guesses() {
    let rule = tcp("byte_test:5,>,256,0,relative,string; byte_jump:4,0,string;");
    let ops = rule.buffers.first().map(|plan| &plan.ops[..]);
    assert!(
        matches!(ops, Some([Op::ByteTest(test), Op::ByteJump(jump)])
            if (test.base, jump.base) == (NumberBase::Guessed, NumberBase::Guessed)),
        "{ops:?}"
    );
}

#[test]
fn offset_and_depth_by_variable() {
    for (modifiers, offset, depth) in [
        ("offset:1; depth:v;", Value::Const(1), Value::Var(0)),
        ("depth:v; offset:1;", Value::Const(1), Value::Var(0)),
        ("offset:v; depth:9;", Value::Var(0), Value::Const(9)),
        ("offset:v; depth:w;", Value::Var(0), Value::Var(1)),
    ] {
        let rule = tcp(&format!(
            r#"byte_extract:1,0,v; byte_extract:1,1,w; content:"x"; {modifiers}"#
        ));
        let content = rule.buffers.iter().flat_map(|plan| &plan.ops).last();
        assert!(
            matches!(content, Some(Op::Content(content)) if (content.offset, content.depth) == (Some(offset), Some(depth))),
            "{modifiers}: {content:?}"
        );
    }
}

#[test]
fn a_hook_is_named_as_one() {
    let problems = outcome("alert tcp:all any any -> any any (sid:1;)").expect_err("a hook");
    assert!(
        problems.len() == 1 && problems.iter().all(|it| it.message.contains("hook")),
        "{problems:?}"
    );
}
