use super::*;
use crate::plan::SetFormat;
use proptest::prelude::*;

fn definition(kind: SetKind) -> DataSet {
    crate::state::example::data_set("test", kind)
}

/// A set that is loaded from a file with this text.
fn loaded(definition: DataSet, text: &str) -> Result<Set, StateError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("list");
    std::fs::write(&path, text).expect("writes");
    let definition = DataSet {
        load: Some(path),
        ..definition
    };
    Set::read(&definition, 1 << 20, None)
}

proptest! {
    #[test]
    fn base64_comes_back(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        let text = encode_base64(&bytes);
        prop_assert_eq!(text.len() % 4, 0);
        prop_assert_eq!(decode_base64(&text), Some(bytes));
    }
}

#[test]
fn only_base64_is_base64() {
    assert_eq!(encode_base64(b"foob"), "Zm9vYg==");
    for bad in ["Zm9v!", "Zm9vY", "foo bar", "Zh==", ""] {
        assert_eq!(decode_base64(bad), None, "{bad}");
    }
}

#[test]
fn every_kind_is_read_as_files_have_it() {
    let has = |set: &Set, bytes: &[u8]| set.test(DatasetOp::IsSet, bytes);
    let strings = loaded(definition(SetKind::String), "Zm9v\n\n# comment\nYmFy\n").expect("right");
    assert!(has(&strings, b"foo") && has(&strings, b"bar") && !has(&strings, b"Zm9v"));
    let hex = "00112233445566778899aabbccddeeff";
    let sums = loaded(definition(SetKind::Md5), hex).expect("right");
    assert!(has(&sums, &decode_hex(hex).expect("hex")) && !has(&sums, hex.as_bytes()));
    let text = "10.0.0.1\n2001:db8::1\n::ffff:10.0.0.2\n";
    let addresses = loaded(definition(SetKind::Ip), text).expect("right");
    assert!(has(&addresses, &[10, 0, 0, 1]) && has(&addresses, &[10, 0, 0, 2]));
    assert!(!has(&addresses, &[10, 0, 0, 3]));
    let of_four = loaded(definition(SetKind::Ipv4), "10.0.0.1").expect("right");
    assert!(has(&of_four, &[10, 0, 0, 1]) && !has(&of_four, &[0; 16]));
}

#[test]
fn reputations_are_compared() {
    let mut with = definition(SetKind::String);
    with.reputation = true;
    let set = loaded(with.clone(), "Zm9v,200\nYmFy, 3").expect("right");
    assert!(set.reputation(b"foo", Compare::Ge, 200) && !set.reputation(b"foo", Compare::Gt, 200));
    assert!(set.reputation(b"bar", Compare::Lt, 4) && !set.reputation(b"none", Compare::Lt, 4));
    let error = loaded(with, "Zm9v").err().expect("no reputation");
    assert!(
        error
            .to_string()
            .ends_with("list:1: expected a comma and a reputation after the member")
    );
}

#[test]
fn json_is_read_as_an_array_or_by_lines() {
    let format = |lines, value_key: Option<&str>, array_key: Option<&str>| {
        let mut definition = definition(SetKind::Ip);
        definition.format = SetFormat::Json {
            lines,
            value_key: value_key.map(str::to_owned),
            array_key: array_key.map(str::to_owned),
            context_key: None,
            remove_key: false,
        };
        definition
    };
    let has = |set: &Set| set.test(DatasetOp::IsSet, &[10, 0, 0, 1]) && set.len() == 1;
    let nested = r#"{"a": {"b": [{"x": {"ip": "10.0.0.1"}}, {"other": 1}]}}"#;
    assert!(has(&loaded(
        format(false, Some("x.ip"), Some("a.b")),
        nested
    )
    .expect("right")));
    assert!(has(
        &loaded(format(false, None, None), r#"["10.0.0.1"]"#).expect("right")
    ));
    assert!(has(&loaded(
        format(true, Some("ip"), None),
        "{\"ip\": \"10.0.0.1\"}\n"
    )
    .expect("right")));
    for (definition, text, expected) in [
        (
            format(false, Some("ip"), Some("a.c")),
            nested,
            "list: expected an array at `a.c`",
        ),
        (
            format(true, Some("ip"), None),
            "{\"ip\": 7}",
            "list:1: expected a string as member, found 7",
        ),
        (
            format(true, Some("ip"), None),
            "{\"ip\": \"x\"}",
            "list:1: expected an IP address, found `x`",
        ),
    ] {
        let error = loaded(definition, text).err().expect(expected).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn what_is_no_member_is_refused_with_its_place() {
    for (kind, text, expected) in [
        (
            SetKind::String,
            "Zm9v\n!!",
            "list:2: expected a string in base64, found `!!`",
        ),
        (
            SetKind::Md5,
            "00",
            "list:1: expected 32 hexadecimal digits, found `00`",
        ),
        (
            SetKind::Sha256,
            "zz",
            "list:1: expected 64 hexadecimal digits, found `zz`",
        ),
        (
            SetKind::Ipv4,
            "::1",
            "list:1: expected an IPv4 address, found `::1`",
        ),
        (
            SetKind::Ip,
            "10.0.0.1,x",
            "list:1: expected a reputation from 0 to 65535, found `x`",
        ),
    ] {
        let error = loaded(definition(kind), text)
            .err()
            .expect(expected)
            .to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let mut missing = definition(SetKind::Ip);
    missing.load = Some("no/such/list".into());
    let error = Set::read(&missing, 1, None)
        .err()
        .expect("no file")
        .to_string();
    assert!(
        error.starts_with("no/such/list: cannot read the data set: "),
        "{error}"
    );
}

#[test]
fn rules_change_a_set_once_and_memory_ends() {
    let mut small = definition(SetKind::String);
    small.memcap = Some(2 * (ENTRY_BYTES + 3));
    let set = Set::read(&small, 0, None).expect("nothing to read");
    let test = |op, bytes: &[u8]| set.test(op, bytes);
    assert!(test(DatasetOp::Set, b"one") && !test(DatasetOp::Set, b"one"));
    assert!(test(DatasetOp::Set, b"two") && !test(DatasetOp::Set, b"six"));
    assert_eq!((set.full(), set.len()), (1, 2));
    assert!(test(DatasetOp::IsNotSet, b"six") && test(DatasetOp::Unset, b"one"));
    assert!(!test(DatasetOp::Unset, b"one") && test(DatasetOp::Set, b"six"));
    let error = loaded(small, "b25l\ndHdv\nc2l4")
        .err()
        .expect("too much")
        .to_string();
    assert!(
        error.ends_with("list:3: the set `test` may take 166 bytes, and this is more"),
        "{error}"
    );
}

#[test]
fn a_set_is_written_and_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut kept = definition(SetKind::Ip);
    (kept.save, kept.restore) = (Some("seen/list.csv".into()), true);
    let set = Set::read(&kept, 1 << 20, Some(folder.path())).expect("not there yet");
    assert!(set.test(DatasetOp::Set, &[10, 0, 0, 1]) && set.test(DatasetOp::Set, &[1; 16]));
    set.write(folder.path()).expect("writes");
    let text = std::fs::read_to_string(folder.path().join("seen/list.csv")).expect("is there");
    assert_eq!(text, "10.0.0.1\n101:101:101:101:101:101:101:101\n");
    let again = Set::read(&kept, 1 << 20, Some(folder.path())).expect("as written");
    assert!(again.test(DatasetOp::IsSet, &[10, 0, 0, 1]) && again.len() == 2);
    assert_eq!(
        again.import(&[("10.0.0.9".to_owned(), 0), ("x".to_owned(), 0)]),
        1
    );
    assert!(again.test(DatasetOp::IsSet, &[10, 0, 0, 9]) && again.len() == 1);
}
