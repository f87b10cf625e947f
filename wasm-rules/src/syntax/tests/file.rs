use std::path::PathBuf;

use proptest::prelude::*;

use super::refused;
use crate::syntax::ast::{Problem, RuleText};
use crate::syntax::{LoadError, RuleFile, load_paths};

fn read(text: impl AsRef<[u8]>) -> Vec<Result<RuleText, Problem>> {
    RuleFile::parse(text.as_ref()).collect()
}

const RULE: &str = "alert ip any any -> any any (sid:1;)";

#[test]
fn comments_and_blank_lines_are_counted() {
    let text = format!("# one\n\n  \t\n  # two\n; three\n{RULE}\r\n\r\n{RULE}");
    let mut file = RuleFile::parse(text.as_bytes());
    let lines: Vec<u32> = file
        .by_ref()
        .map(|rule| rule.expect("a rule").place.line)
        .collect();
    assert_eq!(lines, [6, 8]);
    assert_eq!((file.comments(), file.blanks()), (3, 3));
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_first_rule() {
    let rules = read(format!("\u{feff}{RULE}\n"));
    assert_eq!(rules[0].as_ref().expect("a rule").place.column, 1);
}

#[test]
fn a_rule_after_a_space_is_not_silently_skipped() {
    refused(
        read(format!(" {RULE}")).remove(0),
        1,
        1,
        "expected the rule at the start of the line",
    );
    assert!(read(format!("\t{RULE}")).remove(0).is_ok());
}

#[test]
fn continued_lines_are_one_rule_with_the_places_of_the_file() {
    let text = "# x\nalert tcp any any -> any \\\n  any (msg:\"one \\  \r\ntwo\"; \\\n  content:\"a|4|\"; sid:1;)\nnext";
    let mut rules = read(text);
    refused(
        rules.pop().expect("a second rule"),
        6,
        1,
        "expected an action",
    );
    let rule = rules.pop().expect("a rule").expect("a rule");
    assert_eq!((rule.place.line, rule.place.column), (2, 1));
    assert_eq!((rule.dport.place.line, rule.dport.place.column), (2, 28));
    let dport = rule.physical(rule.dport.place);
    assert_eq!((dport.line, dport.column), (3, 3));
    let places: Vec<(u32, u32)> = rule
        .options
        .iter()
        .map(|o| (o.name.place.line, o.name.place.column))
        .collect();
    assert_eq!(places, [(3, 8), (5, 3), (5, 19)]);
    let msg = rule.options[0].value.as_ref().expect("a value");
    assert_eq!(msg.value, b"\"one two\"");
    // A place that was counted in the value lies on the line that the byte is on.
    let second = rule.physical(msg.place.plus(6));
    assert_eq!((second.line, second.column), (4, 2));
    let content = rule.options[1].value.as_ref().expect("a value");
    let problem = crate::syntax::value::parse_content(content).expect_err("half a byte");
    assert_eq!((problem.place.line, problem.place.column), (5, 15));
}

#[test]
fn a_problem_in_a_continued_line_is_on_that_line() {
    refused(
        read("alert tcp any any -> any any \\\n(sid:1; rev:2\\\n)").remove(0),
        3,
        1,
        "expected `;` after the option `rev:2`",
    );
    refused(
        read("alert tcp any \\\n[80,x] -> any any (sid:1;)").remove(0),
        2,
        5,
        "expected a port",
    );
}

#[test]
fn a_backslash_at_the_end_of_the_file_is_a_problem() {
    refused(
        read("alert tcp any any -> any any \\").remove(0),
        1,
        30,
        "expected another line after the backslash",
    );
    refused(
        read("alert \\\n tcp \\\n").remove(0),
        2,
        6,
        "expected another line after the backslash",
    );
}

#[test]
fn files_and_folders_are_read_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("b.rules", "b"), ("a.rules", "a"), ("c.txt", "c")] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let files =
        load_paths(&[folder.path().to_owned(), folder.path().join("c.txt")]).expect("files");
    let texts: Vec<&[u8]> = files.iter().map(|file| file.bytes.as_slice()).collect();
    assert_eq!(texts, [b"a", b"b", b"c"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = |path: PathBuf| load_paths(&[path]).expect_err("an error");
    assert!(matches!(
        load(folder.path().to_owned()),
        LoadError::NoRules { .. }
    ));
    assert!(matches!(
        load(folder.path().join("none.rules")),
        LoadError::Read { .. }
    ));
    assert!(matches!(
        load(folder.path().join("set.wasm")),
        LoadError::NotSupported { .. }
    ));
    let message = load(folder.path().join("set.weir")).to_string();
    assert!(
        message.contains("set.weir") && message.contains("not supported by this version"),
        "{message}"
    );
}

proptest! {
    #[test]
    fn any_file_is_read_to_its_end(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\\'), Just(b';')], 0..400)) {
        let lines = bytes.split(|&byte| byte == b'\n').count();
        let mut file = RuleFile::parse(&bytes);
        prop_assert!(file.by_ref().count() + file.comments() + file.blanks() <= lines);
    }

    #[test]
    fn joining_lines_keeps_every_place(cuts in prop::collection::btree_set(1_usize..30, 0..6)) {
        let text = "alert tcp any any -> any any (msg:\"abcdefghijk\"; sid:1;)";
        let whole = RuleFile::parse(text.as_bytes()).next().expect("a rule").expect("a rule");
        let mut wrapped = text.to_owned();
        for cut in cuts.iter().rev() {
            wrapped.insert_str(*cut, "\\\n");
        }
        let rule = RuleFile::parse(wrapped.as_bytes()).next().expect("a rule").expect("a rule");
        let lines: Vec<&str> = wrapped.lines().collect();
        for (option, unwrapped) in rule.options.iter().zip(&whole.options) {
            prop_assert_eq!(&option.value.as_ref().expect("v").value, &unwrapped.value.as_ref().expect("v").value);
            let place = option.name.place;
            let there = lines[place.line as usize - 1].get(place.column as usize - 1..).expect("a place");
            prop_assert!(there.starts_with(&option.name.value[..1]));
        }
    }
}
