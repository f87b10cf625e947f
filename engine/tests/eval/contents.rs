//! `content`, `pcre`, `isdataat`, `bsize`, `absent`, `base64_decode`: cursor and backtracking.

use weir_engine::packet::{Net, Packet};
use weir_engine::plan::{
    Base64Decode, Buffer, BufferPlan, Entropy, IsDataAt, Num, NumOp, Op, Value,
};

use crate::ops;
use crate::support::{bare, check, content, evaluate, holds, pcre, rule};

fn at(place: i64) -> IsDataAt {
    IsDataAt {
        at: Value::Const(place),
        relative: false,
        negated: false,
    }
}

fn base64(data: Vec<Op>) -> Base64Decode {
    Base64Decode {
        bytes: None,
        offset: 0,
        relative: false,
        data,
    }
}

#[test]
fn limits_from_the_start() {
    check(&[
        ("plain", ops![content("cd")], b"abcdef", true),
        ("absent", ops![content("ce")], b"abcdef", false),
        ("case", ops![content("CD")], b"abcdef", false),
        ("nocase", ops![content("cd").nocase()], b"abCDef", true),
        (
            "nocase without letters",
            ops![content("1-2").nocase()],
            b"x1-2",
            true,
        ),
        (
            "nul and high bytes",
            ops![content([0, 0xff])],
            &[1, 0, 0xff],
            true,
        ),
        (
            "offset reaches",
            ops![content("cd").offset(2)],
            b"abcdef",
            true,
        ),
        (
            "offset past",
            ops![content("cd").offset(3)],
            b"abcdef",
            false,
        ),
        (
            "offset past the end",
            ops![content("cd").offset(9)],
            b"abcdef",
            false,
        ),
        (
            "depth just enough",
            ops![content("cd").depth(4)],
            b"abcdef",
            true,
        ),
        (
            "depth too short",
            ops![content("cd").depth(3)],
            b"abcdef",
            false,
        ),
        (
            "depth beyond the end",
            ops![content("ef").depth(900)],
            b"abcdef",
            true,
        ),
        (
            "depth counts from offset",
            ops![content("cd").offset(2).depth(2)],
            b"abcdef",
            true,
        ),
        (
            "depth from offset, short",
            ops![content("cd").offset(1).depth(2)],
            b"abcdef",
            false,
        ),
        (
            "startswith",
            ops![content("ab").startswith()],
            b"abab",
            true,
        ),
        (
            "startswith elsewhere",
            ops![content("bc").startswith()],
            b"abc",
            false,
        ),
        (
            "endswith, second place",
            ops![content("ab").endswith()],
            b"abxab",
            true,
        ),
        (
            "endswith elsewhere",
            ops![content("ab").endswith()],
            b"abx",
            false,
        ),
        (
            "both ends",
            ops![content("ab").startswith().endswith()],
            b"ab",
            true,
        ),
        (
            "both ends, longer",
            ops![content("ab").startswith().endswith()],
            b"abab",
            false,
        ),
        (
            "longer than the payload",
            ops![content("abcd")],
            b"abc",
            false,
        ),
    ]);
}

#[test]
fn negated_contents() {
    check(&[
        ("not there", ops![content("x").not()], b"abc", true),
        ("there", ops![content("b").not()], b"abc", false),
        (
            "there past its depth",
            ops![content("c").not().depth(2)],
            b"abc",
            true,
        ),
        (
            "window is empty",
            ops![content("c").not().offset(9)],
            b"abc",
            true,
        ),
        (
            "near",
            ops![content("a"), content("b").not().within(2)],
            b"a..b",
            true,
        ),
        (
            "too near",
            ops![content("a"), content("b").not().within(2)],
            b"ab.",
            false,
        ),
        (
            "second start is free",
            ops![content("a"), content("b").not().within(1)],
            b"abac",
            true,
        ),
        (
            "anywhere after",
            ops![content("a"), content("b").not().distance(0)],
            b"ab ac",
            true,
        ),
        (
            "cursor stays",
            ops![content("a"), content("x").not(), content("b").within(1)],
            b"ab",
            true,
        ),
        (
            "ends otherwise",
            ops![content("ab").not().endswith()],
            b"abx",
            true,
        ),
        (
            "ends so",
            ops![content("ab").not().endswith()],
            b"xab",
            false,
        ),
        // Suricata looks at the first place only.
        (
            "ends so, not first",
            ops![content("ab").not().endswith()],
            b"abab",
            true,
        ),
    ]);
}

#[test]
fn relative_contents_and_backtracking() {
    let get = || content("GET");
    check(&[
        (
            "within reaches",
            ops![get(), content("/a").within(3)],
            b"GET /a",
            true,
        ),
        (
            "within too short",
            ops![get(), content("/a").within(2)],
            b"GET /a",
            false,
        ),
        (
            "within counts from distance",
            ops![get(), content("b").distance(2).within(1)],
            b"GETaab",
            true,
        ),
        (
            "distance skips",
            ops![content("a"), content("a").distance(1)],
            b"aab",
            false,
        ),
        (
            "distance 0 follows",
            ops![content("a"), content("a").distance(0)],
            b"aa",
            true,
        ),
        (
            "negative distance",
            ops![content("bc"), content("ab").distance(-3)],
            b"abc",
            true,
        ),
        (
            "negative distance stops at the start",
            ops![content("b"), content("a").distance(-90)],
            b"ab",
            true,
        ),
        // The end falls before the start, wraps around, and is no limit any more.
        (
            "negative end is no limit",
            ops![
                content("ABC").nocase(),
                content("abCa").distance(-10).within(4)
            ],
            b"abCaBcd",
            true,
        ),
        (
            "second start",
            ops![content("ab"), content("c").within(1)],
            b"ababc",
            true,
        ),
        (
            "overlapping starts",
            ops![content("aa"), content("b").within(1)],
            b"aaab",
            true,
        ),
        (
            "third level",
            ops![content("a"), content("b").within(3), content("c").within(1)],
            b"axb.a.bc",
            true,
        ),
        (
            "middle one moves",
            ops![
                content("a"),
                content("b").distance(0),
                content("c").within(1)
            ],
            b"ab.bc",
            true,
        ),
        (
            "no such chain",
            ops![content("a"), content("b").within(1), content("c").within(1)],
            b"ab.bc.ac",
            false,
        ),
        (
            "relative at first",
            ops![content("b").within(2)],
            b"ab",
            true,
        ),
        (
            "relative at first, far",
            ops![content("b").within(1)],
            b"ab",
            false,
        ),
        (
            "absolute resets nothing before",
            ops![content("b"), content("a"), content("b").within(1)],
            b"ab",
            true,
        ),
        (
            "relative endswith",
            ops![content("a"), content("b").within(1).endswith()],
            b"ab.ab",
            true,
        ),
        (
            "far end is no limit",
            ops![content("a"), content("b").distance(i64::from(i32::MAX))],
            b"ab",
            false,
        ),
    ]);
}

#[test]
fn expressions() {
    check(&[
        ("plain", ops![pcre("b+c", "")], b"abbc", true),
        ("caseless", ops![pcre("b+c", "i")], b"aBBC", true),
        ("negated", ops![pcre("x", "!")], b"abc", true),
        ("negated, there", ops![pcre("b", "!")], b"abc", false),
        ("relative", ops![content("a"), pcre("^b", "R")], b"ab", true),
        (
            "relative, later start",
            ops![content("a"), pcre("^b", "R")],
            b"a.ab",
            true,
        ),
        (
            "not relative",
            ops![content("b"), pcre("^a", "")],
            b"ab",
            true,
        ),
        (
            "content after it",
            ops![pcre("a.", ""), content("c").within(1)],
            b"ab.axc",
            true,
        ),
        (
            "content after it, nowhere",
            ops![pcre("a.", ""), content("c").within(1)],
            b"ab.ax.c",
            false,
        ),
        (
            "overlapping matches",
            ops![pcre("aa", ""), content("b").within(1)],
            b"aaab",
            true,
        ),
        (
            "relative to each other",
            ops![pcre("a", ""), pcre("^b", "R"), pcre("^c", "R")],
            b"ab.a.abc",
            true,
        ),
        (
            "empty match moves on",
            ops![pcre("x*", ""), content("b").within(1)],
            b"aab",
            true,
        ),
        (
            "negated keeps the cursor",
            ops![content("a"), pcre("^x", "R!"), content("b").within(1)],
            b"axab",
            true,
        ),
        (
            "at the very end",
            ops![content("b"), pcre("^$", "R")],
            b"ab",
            true,
        ),
    ]);
}

#[test]
fn places_that_must_be_there() {
    let relative = |place, negated| IsDataAt {
        relative: true,
        negated,
        ..at(place)
    };
    let absent = |place| IsDataAt {
        negated: true,
        ..at(place)
    };
    check(&[
        ("there", ops![Op::IsDataAt(at(2))], b"abc", true),
        ("just not", ops![Op::IsDataAt(at(3))], b"abc", false),
        ("negated", ops![Op::IsDataAt(absent(3))], b"abc", true),
        (
            "negated, there",
            ops![Op::IsDataAt(absent(2))],
            b"abc",
            false,
        ),
        (
            "relative",
            ops![content("a"), Op::IsDataAt(relative(2, false))],
            b"abc",
            true,
        ),
        (
            "relative, just not",
            ops![content("a"), Op::IsDataAt(relative(3, false))],
            b"abc",
            false,
        ),
        (
            "relative negated",
            ops![content("a"), Op::IsDataAt(relative(3, true))],
            b"abc",
            true,
        ),
        (
            "nothing follows",
            ops![content("a"), Op::IsDataAt(relative(1, true))],
            b"aba",
            true,
        ),
        (
            "something follows",
            ops![content("a"), Op::IsDataAt(relative(1, true))],
            b"ab",
            false,
        ),
        (
            "little follows the second",
            ops![content("a"), Op::IsDataAt(relative(2, true))],
            b"abba",
            true,
        ),
    ]);
}

#[test]
fn sizes_and_entropy() {
    let size = |op, a, b| Op::BSize(Num { op, a, b });
    let entropy = |op, a| {
        Op::Entropy(Entropy {
            offset: 0,
            bytes: 0,
            op,
            a,
            b: 0.0,
        })
    };
    check(&[
        ("exact", ops![size(NumOp::Eq, 3, 0)], b"abc", true),
        ("other", ops![size(NumOp::Eq, 4, 0)], b"abc", false),
        (
            "range leaves out its ends",
            ops![size(NumOp::Between, 3, 9)],
            b"abc",
            false,
        ),
        (
            "after a content",
            ops![content("a"), size(NumOp::Lt, 4, 0)],
            b"abc",
            true,
        ),
        ("entropy", ops![entropy(NumOp::Ge, 1.5)], b"abc", true),
        ("no entropy", ops![entropy(NumOp::Gt, 0.0)], b"aaa", false),
    ]);
}

#[test]
fn base64_data() {
    let text = b"id=Zm9vYmFy;"; // foobar
    check(&[
        (
            "decoded",
            ops![
                content("id="),
                Op::Base64Decode(Base64Decode {
                    relative: true,
                    ..base64(ops![content("foobar")])
                })
            ],
            text,
            true,
        ),
        (
            "offset",
            ops![Op::Base64Decode(Base64Decode {
                offset: 3,
                ..base64(ops![content("oba").offset(2)])
            })],
            text,
            true,
        ),
        (
            "bytes",
            ops![Op::Base64Decode(Base64Decode {
                offset: 3,
                bytes: Some(4),
                ..base64(ops![content("foob")])
            })],
            text,
            false,
        ),
        (
            "not base64 here",
            ops![Op::Base64Decode(base64(ops![content("foobar")]))],
            text,
            false,
        ),
        (
            "offset past the end",
            ops![Op::Base64Decode(Base64Decode {
                offset: 12,
                ..base64(ops![content("f")])
            })],
            text,
            false,
        ),
        (
            "inside it, backtracking",
            ops![Op::Base64Decode(Base64Decode {
                offset: 3,
                ..base64(ops![content("o"), content("b").within(1)])
            })],
            text,
            true,
        ),
        (
            "nothing looks at it",
            ops![Op::Base64Decode(Base64Decode {
                offset: 3,
                ..base64(vec![])
            })],
            text,
            false,
        ),
        (
            "what follows is not looked at",
            ops![
                Op::Base64Decode(Base64Decode {
                    offset: 3,
                    ..base64(ops![content("foo")])
                }),
                content("nowhere")
            ],
            text,
            true,
        ),
        (
            "base64 in base64",
            ops![Op::Base64Decode(Base64Decode {
                offset: 3,
                ..base64(ops![Op::Base64Decode(base64(ops![content("f")]))])
            })],
            text,
            false,
        ),
    ]);
}

#[test]
fn a_payload_of_no_bytes_matches_nothing() {
    for ops in [
        ops![content("x").not()],
        ops![content("x")],
        ops![pcre("^$", "")],
    ] {
        assert!(!holds(&ops, b""));
    }
    // A rule that does not look at the payload is not concerned.
    assert!(evaluate(rule(vec![], vec![]), &bare()).0);
}

#[test]
fn buffers_that_are_not_there() {
    let header = [0x45u8; 20];
    let ip4 = Packet {
        net: Net::V4 { header: &header },
        ..bare()
    };
    let with = |buffer, ops: Vec<Op>| {
        rule(
            vec![],
            vec![BufferPlan {
                buffer,
                transforms: vec![],
                ops,
            }],
        )
    };
    let absent = || Op::Absent { or_else: false };
    let or_else = || Op::Absent { or_else: true };
    for (buffer, ops, expected) in [
        (Buffer::Ipv6Hdr, ops![content("x").not()], false),
        (Buffer::Ipv6Hdr, ops![absent()], true),
        (Buffer::Ipv6Hdr, ops![or_else(), content("x")], true),
        (Buffer::Ipv4Hdr, ops![absent()], false),
        (Buffer::Ipv4Hdr, ops![or_else(), content("x")], false),
        (Buffer::Ipv4Hdr, ops![or_else(), content("EE")], true),
        (Buffer::Ipv4Hdr, ops![content("x").not()], true),
    ] {
        assert_eq!(
            evaluate(with(buffer, ops.clone()), &ip4).0,
            expected,
            "{buffer:?} {ops:?}"
        );
    }
}

#[test]
fn hopeless_backtracking_ends() {
    let chain = ops![
        content("a"),
        content("a").distance(-60).within(90),
        content("a").distance(-60).within(90),
        content("b").distance(-60).within(30),
    ];
    let payload = [b'a'; 200];
    let packet = Packet {
        payload: &payload,
        ..bare()
    };
    let buffers = vec![BufferPlan {
        buffer: Buffer::Payload,
        transforms: vec![],
        ops: chain,
    }];
    let (matched, counters) = evaluate(rule(vec![], buffers), &packet);
    assert!(!matched);
    assert_eq!(counters.recursion_limits, 1);
    assert_eq!((counters.checks, counters.matches), (2, 0));
}

/// Each of these looks at most of the payload again from every place where the first content matches. Unbounded, the
/// second takes seconds.
#[test]
fn looking_at_the_same_bytes_again_and_again_ends() {
    let payload = [b'q'; 65_000];
    let packet = Packet {
        payload: &payload,
        ..bare()
    };
    let late = [&[b'q'; 200][..], b"e"].concat();
    let base64 = Op::Base64Decode(Base64Decode {
        bytes: None,
        offset: 0,
        relative: true,
        data: ops![content("never")],
    });
    let there = Op::IsDataAt(IsDataAt {
        at: Value::Const(1),
        relative: true,
        negated: false,
    });
    for ops in [
        ops![content("q"), content("zz").distance(0).within(65_000)],
        ops![
            content("q"),
            content(&late).nocase().distance(0).within(65_000)
        ],
        ops![content("q"), pcre("q[0-9]", "R")],
        ops![content("q"), pcre("q", "R"), there, base64],
    ] {
        let name = format!("{ops:?}");
        let buffers = vec![BufferPlan {
            buffer: Buffer::Payload,
            transforms: vec![],
            ops,
        }];
        let (matched, counters) = evaluate(rule(vec![], buffers), &packet);
        assert!(!matched, "{name}");
        assert_eq!(
            (counters.work_limits, counters.recursion_limits),
            (1, 0),
            "{name}"
        );
    }
    // As many passes as there are steps are no reason to stop.
    let mut payload = payload.to_vec();
    payload.extend(b"!");
    let passes = vec![Op::from(content("!")); 100];
    assert!(holds(&passes, &payload));
}

#[test]
fn expressions_that_are_given_up_do_not_match() {
    let payload = [b'x'; 20_000];
    let packet = Packet {
        payload: &payload,
        ..bare()
    };
    for flags in ["", "!"] {
        let ops = ops![pcre("(x+x+)+[yz]", flags)];
        let buffers = vec![BufferPlan {
            buffer: Buffer::Payload,
            transforms: vec![],
            ops,
        }];
        let (matched, counters) = evaluate(rule(vec![], buffers), &packet);
        // With every byte of the payload in its way there is no end to it; which limit ends it does not matter.
        assert_eq!((matched, counters.pcre_limits), (false, 1), "{flags:?}");
    }
}
