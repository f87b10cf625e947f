use proptest::prelude::*;
use weir_engine::plan::{Num, NumOp};

use super::{at, refused};
use crate::syntax::value::*;

fn content(text: &str) -> Vec<u8> {
    parse_content(&at(text)).expect(text).bytes
}

#[test]
fn content_resolves_hex_and_escapes() {
    assert_eq!(content(r#""abc""#), b"abc");
    assert_eq!(content(r#""a|42 43|d""#), b"aBCd");
    assert_eq!(content(r#""|4142,4 3|""#), b"ABC");
    assert_eq!(content(r#""a\"\;\\\:b""#), br#"a";\:b"#);
    assert_eq!(content("\"\u{e9}\""), "\u{e9}".as_bytes());
    let negated = parse_content(&at(r#" ! "x" "#)).expect("negated");
    assert!(negated.negated && negated.bytes == b"x");
}

#[test]
fn content_problems_are_where_they_are() {
    refused(
        parse_content(&at("abc")),
        3,
        10,
        "expected a string in quotation marks, found `abc`",
    );
    refused(
        parse_content(&at("\"abc")),
        3,
        10,
        "the quotation mark is not closed",
    );
    refused(
        parse_content(&at("\"abc\" x")),
        3,
        15,
        "expected `;` after the closing quotation mark, found ` x`",
    );
    refused(
        parse_content(&at("\"\"")),
        3,
        11,
        "expected at least one byte",
    );
    refused(
        parse_content(&at("\"a|4g|\"")),
        3,
        14,
        "expected a hexadecimal digit or `|`, found `g|`",
    );
    refused(
        parse_content(&at("\"a|414|\"")),
        3,
        16,
        "expected a second hexadecimal digit",
    );
    refused(
        parse_content(&at("\"a||\"")),
        3,
        13,
        "expected hexadecimal digits",
    );
    refused(
        parse_content(&at("\"a|41\"")),
        3,
        12,
        "the hexadecimal block is not closed",
    );
    refused(
        parse_content(&at("\"a\\x\"")),
        3,
        12,
        "expected `\\\"`, `\\;`, `\\\\` or `\\:`",
    );
    refused(
        parse_content(&at("\"a\\\"")),
        3,
        12,
        "expected `\\\"`, `\\;`, `\\\\` or `\\:`",
    );
    refused(
        parse_content(&at("\"a\"b\"")),
        3,
        12,
        "expected `\\\"`: a quotation mark within a string",
    );
}

#[test]
fn pcre_has_pattern_flags_and_captures() {
    let pcre = parse_pcre(&at(r#"!"/a\/b[/]\;/Ui""#)).expect("an expression");
    assert!(pcre.negated);
    assert_eq!(
        (pcre.pattern.as_slice(), pcre.flags.as_slice()),
        (&br"a\/b[/]\;"[..], &b"Ui"[..])
    );
    let pcre = parse_pcre(&at(r#""/(a)(b)/R, flow:one,pkt:two""#)).expect("captures");
    assert_eq!(
        (pcre.flags.as_slice(), pcre.captures),
        (&b"R"[..], vec!["flow:one".to_owned(), "pkt:two".to_owned()])
    );
    assert_eq!(
        parse_pcre(&at("/a/"))
            .expect("without quotation marks")
            .pattern,
        b"a"
    );
    assert_eq!(
        parse_pcre(&at(r#""/a\\/""#))
            .expect("an escaped backslash")
            .pattern,
        br"a\\"
    );
}

#[test]
fn pcre_problems_are_where_they_are() {
    refused(
        parse_pcre(&at("\"a/\"")),
        3,
        11,
        "expected `/` before the expression",
    );
    refused(
        parse_pcre(&at("\"/a\"")),
        3,
        11,
        "the expression is not closed",
    );
    refused(
        parse_pcre(&at("\"/a\\/\"")),
        3,
        11,
        "the expression is not closed",
    );
    refused(parse_pcre(&at("\"/a/iz\"")), 3, 15, "expected a flag");
    refused(
        parse_pcre(&at("\"/(a)/,pkt:\"")),
        3,
        17,
        "expected `pkt:name`",
    );
}

#[test]
fn every_comparison() {
    let num = |op, a, b| Num { op, a, b };
    for (text, expected) in [
        ("5", num(NumOp::Eq, 5, 0)),
        (" = 5 ", num(NumOp::Eq, 5, 0)),
        ("!5", num(NumOp::Ne, 5, 0)),
        ("!= 5", num(NumOp::Ne, 5, 0)),
        ("<5", num(NumOp::Lt, 5, 0)),
        ("<=5", num(NumOp::Le, 5, 0)),
        (">5", num(NumOp::Gt, 5, 0)),
        (">= 5", num(NumOp::Ge, 5, 0)),
        ("1-5", num(NumOp::Between, 1, 5)),
        ("1 <> 5", num(NumOp::Between, 1, 5)),
        ("!1-5", num(NumOp::NotBetween, 1, 5)),
        ("&0x0f", num(NumOp::AnyBit, 15, 0)),
        ("!&0x0f", num(NumOp::NoBit, 15, 0)),
        ("&0xc0=0x80", num(NumOp::Masked, 0xc0, 0x80)),
        ("& 0xc0 != 0", num(NumOp::NotMasked, 0xc0, 0)),
        ("2kb", num(NumOp::Eq, 2048, 0)),
        (">1MiB", num(NumOp::Gt, 1 << 20, 0)),
    ] {
        assert_eq!(
            parse_number(&at(text), u32::MAX.into()).expect(text),
            expected,
            "{text}"
        );
    }
}

#[test]
fn number_problems_are_where_they_are() {
    let number = |text| parse_number(&at(text), 255);
    refused(
        number(""),
        3,
        10,
        "expected a number from 0 to 255, found the end",
    );
    refused(
        number("256"),
        3,
        10,
        "expected a number from 0 to 255, found `256`",
    );
    refused(
        number(">x"),
        3,
        11,
        "expected a number from 0 to 255, found `x`",
    );
    refused(
        number("1kb"),
        3,
        10,
        "expected a number from 0 to 255, found `1kb`",
    );
    refused(number("0x"), 3, 10, "expected a number");
    refused(number("5 6"), 3, 12, "expected nothing more, found `6`");
    refused(
        number("5-6"),
        3,
        12,
        "the range 5-6 is empty: expected a second number of at least 7",
    );
    refused(number("9-5"), 3, 12, "the range 9-5 is empty");
    refused(number("<0"), 3, 10, "the comparison holds for no number");
    refused(number(">255"), 3, 10, "the comparison holds for no number");
    refused(
        number(">=0"),
        3,
        10,
        "the comparison holds for every number",
    );
    refused(
        number("&1=2"),
        3,
        13,
        "0x2 has bits that the mask 0x1 has not",
    );
    refused(
        parse_number(&at("99999999999999999999"), u64::MAX),
        3,
        10,
        "expected a number",
    );
}

#[test]
fn inclusive_ranges_keep_their_ends() {
    let number = |text| parse_number_inclusive(&at(text), 255);
    assert_eq!(
        number("1-5").expect("a range"),
        Num {
            op: NumOp::Within,
            a: 1,
            b: 5
        }
    );
    assert_eq!(
        number("5-6").expect("a range"),
        Num {
            op: NumOp::Within,
            a: 5,
            b: 6
        }
    );
    let outside = number("!1-5").expect("a negated range");
    assert!([0, 6].iter().all(|&n| outside.test(n)) && [1, 5].iter().all(|&n| !outside.test(n)));
    refused(number("5-5"), 3, 12, "the range 5-5 is empty");
}

#[test]
fn an_empty_range_of_urilen_is_its_first_number() {
    let eq = |a| Num::one(NumOp::Eq, a);
    assert_eq!(
        parse_urilen(&at("7<>8")).expect("as Suricata"),
        (eq(7), false)
    );
    assert_eq!(parse_urilen(&at("7, raw")).expect("raw"), (eq(7), true));
    assert_eq!(
        parse_urilen(&at("7<>9,norm")).expect("norm").0,
        Num {
            op: NumOp::Between,
            a: 7,
            b: 9
        }
    );
    refused(parse_urilen(&at("7,x")), 3, 12, "expected `norm` or `raw`");
    refused(parse_urilen(&at("x")), 3, 10, "expected a number");
}

#[test]
fn text_is_unescaped_and_lossy() {
    assert_eq!(parse_text(&at(r#""a\;\"b\\""#)).expect("text"), r#"a;"b\"#);
    assert_eq!(parse_text(&at("plain")).expect("text"), "plain");
    let mut value = at("\"x\"");
    value.value[1] = 0xff;
    assert_eq!(parse_text(&value).expect("text"), "\u{fffd}");
    refused(
        parse_text(&at("\"x")),
        3,
        10,
        "the quotation mark is not closed",
    );
}

#[test]
fn parts_of_a_list_know_their_places() {
    let parts = split_list(&at("a, bc ,,d"));
    let found: Vec<(&[u8], u32)> = parts
        .iter()
        .map(|part| (part.value.as_slice(), part.place.column))
        .collect();
    assert_eq!(found, [(&b"a"[..], 10), (b"bc", 13), (b"", 17), (b"d", 18)]);
}

#[test]
fn plain_numbers() {
    assert_eq!(parse_plain_u64(&at(" 0x1F "), 255).expect("a number"), 31);
    refused(
        parse_plain_u64(&at("1,2"), 255),
        3,
        11,
        "expected nothing more",
    );
    refused(
        parse_plain_u64(&at("-1"), 255),
        3,
        10,
        "expected a number from 0 to 255",
    );
}

proptest! {
    #[test]
    fn any_value_is_parsed_or_refused(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\"|\\/!<>-=&,0x9"[..])], 0..60), max in any::<u64>()) {
        let value = crate::syntax::ast::At { value: bytes, place: Default::default() };
        let _ = (parse_content(&value), parse_pcre(&value), parse_text(&value), split_list(&value), parse_urilen(&value));
        let _ = (parse_number(&value, max), parse_number_inclusive(&value, max), parse_plain_u64(&value, max));
    }

    #[test]
    fn bytes_written_as_hex_come_back(bytes in prop::collection::vec(any::<u8>(), 1..100)) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        prop_assert_eq!(content(&format!("\"|{hex}|\"")), bytes);
    }
}
