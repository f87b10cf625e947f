//! `byte_test`, `byte_jump`, `byte_extract`, `byte_math`, and the variables between them.

use weir_engine::plan::{
    ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Endian, IsDataAt, JumpFrom, MathOp,
    NumberBase, Op, Value,
};

use crate::ops;
use crate::support::{check, content};

const BIG: NumberBase = NumberBase::Binary(Endian::Big);
const LITTLE: NumberBase = NumberBase::Binary(Endian::Little);
const VAR: Value = Value::Var(0);

fn num(value: i64) -> Value {
    Value::Const(value)
}

fn test(bytes: i64, op: ByteTestOp, value: i64, offset: i64) -> ByteTest {
    ByteTest {
        bytes: num(bytes),
        op,
        negated: false,
        value: num(value),
        offset: num(offset),
        relative: false,
        base: BIG,
        bitmask: None,
    }
}

fn jump(bytes: i64, offset: i64) -> ByteJump {
    ByteJump {
        bytes: num(bytes),
        offset: num(offset),
        relative: false,
        base: BIG,
        multiplier: 1,
        align: false,
        from: JumpFrom::Here,
        post_offset: num(0),
        bitmask: None,
    }
}

fn extract(bytes: u8, offset: i32) -> ByteExtract {
    ByteExtract {
        bytes,
        offset,
        relative: false,
        base: BIG,
        multiplier: 1,
        align: 0,
        var: 0,
    }
}

fn math(bytes: i64, offset: i32, op: MathOp, rvalue: i64) -> ByteMath {
    ByteMath {
        bytes: num(bytes),
        offset,
        relative: false,
        base: BIG,
        op,
        rvalue: num(rvalue),
        bitmask: None,
        var: 0,
    }
}

/// Holds when variable 0 has the value that the first eight bytes of the payload hold.
fn var_is_first() -> Op {
    Op::ByteTest(ByteTest {
        value: VAR,
        ..test(8, ByteTestOp::Eq, 0, 0)
    })
}

#[test]
fn byte_tests() {
    use ByteTestOp::*;
    let payload = &[0x01, 0x02, 0xff, 0x10, b'4', b'2', b' ', b'z'];
    let relative = |it: ByteTest| {
        Op::ByteTest(ByteTest {
            relative: true,
            ..it
        })
    };
    let not = |it: ByteTest| {
        Op::ByteTest(ByteTest {
            negated: true,
            ..it
        })
    };
    let with = |base, it: ByteTest| Op::ByteTest(ByteTest { base, ..it });
    let masked = |mask, it: ByteTest| {
        Op::ByteTest(ByteTest {
            bitmask: Some(mask),
            ..it
        })
    };
    let plain = Op::ByteTest;
    check(&[
        ("equal", ops![plain(test(2, Eq, 0x0102, 0))], payload, true),
        (
            "little",
            ops![with(LITTLE, test(2, Eq, 0x0201, 0))],
            payload,
            true,
        ),
        ("less", ops![plain(test(1, Lt, 2, 0))], payload, true),
        ("not less", ops![plain(test(1, Lt, 1, 0))], payload, false),
        (
            "less or equal",
            ops![plain(test(1, Le, 1, 0))],
            payload,
            true,
        ),
        ("greater", ops![plain(test(1, Gt, 1, 1))], payload, true),
        (
            "greater or equal",
            ops![plain(test(1, Ge, 3, 1))],
            payload,
            false,
        ),
        ("and", ops![plain(test(1, And, 0x80, 2))], payload, true),
        (
            "and, none",
            ops![plain(test(1, And, 0x80, 3))],
            payload,
            false,
        ),
        ("xor", ops![plain(test(1, Xor, 0x10, 3))], payload, false),
        ("negated", ops![not(test(1, Eq, 2, 0))], payload, true),
        (
            "negated and outside",
            ops![not(test(4, Eq, 2, 6))],
            payload,
            false,
        ),
        (
            "last byte",
            ops![plain(test(1, Eq, 0x7a, 7))],
            payload,
            true,
        ),
        (
            "past the end",
            ops![plain(test(1, Ge, 0, 8))],
            payload,
            false,
        ),
        (
            "before the start",
            ops![plain(test(1, Ge, 0, -1))],
            payload,
            false,
        ),
        (
            "text",
            ops![with(NumberBase::Dec, test(4, Eq, 42, 4))],
            payload,
            true,
        ),
        (
            "hexadecimal text",
            ops![with(NumberBase::Hex, test(2, Eq, 0x42, 4))],
            payload,
            true,
        ),
        (
            "no text",
            ops![with(NumberBase::Dec, test(1, Ge, 0, 7))],
            payload,
            false,
        ),
        (
            "mask",
            ops![masked(0xf0, test(1, Eq, 0xf, 2))],
            payload,
            true,
        ),
        (
            "relative",
            ops![content([0xff]), relative(test(1, Eq, 0x10, 0))],
            payload,
            true,
        ),
        (
            "relative, backwards",
            ops![content([0xff]), relative(test(1, Eq, 2, -2))],
            payload,
            true,
        ),
        (
            "relative, before the start",
            ops![content([0xff]), relative(test(1, Ge, 0, -4))],
            payload,
            false,
        ),
        (
            "relative at the end",
            ops![content("z"), relative(test(1, Ge, 0, 0))],
            payload,
            false,
        ),
        (
            "cursor stays",
            ops![
                content([0xff]),
                relative(test(1, Eq, 0x10, 0)),
                content([0x10]).within(1)
            ],
            payload,
            true,
        ),
        (
            "tries the next place",
            ops![content("a"), relative(test(1, Eq, 9, 0))],
            b"a\x01a\x09",
            true,
        ),
        (
            "largest number",
            ops![plain(test(8, Eq, -1, 0))],
            &[0xff; 8],
            true,
        ),
        (
            "is not less than zero",
            ops![plain(test(8, Lt, 0, 0))],
            &[0xff; 8],
            false,
        ),
    ]);
}

#[test]
fn byte_jumps() {
    // Length 3, then three bytes, then a mark.
    let payload = &[0, 3, b'a', b'b', b'c', b'!', b'?'];
    let mark = || content("!").within(1);
    let plain = Op::ByteJump;
    check(&[
        (
            "over the bytes",
            ops![plain(jump(2, 0)), mark()],
            payload,
            true,
        ),
        (
            "relative",
            ops![
                content([0]),
                plain(ByteJump {
                    relative: true,
                    ..jump(1, 0)
                }),
                mark()
            ],
            payload,
            true,
        ),
        (
            "multiplier",
            ops![
                plain(ByteJump {
                    multiplier: 2,
                    ..jump(1, 1)
                }),
                content("?").within(1)
            ],
            &[0, 2, b'a', b'b', b'c', b'!', b'?'],
            true,
        ),
        (
            "from the beginning",
            ops![
                plain(ByteJump {
                    from: JumpFrom::Beginning,
                    ..jump(1, 1)
                }),
                content("b").within(1)
            ],
            payload,
            true,
        ),
        (
            "from the end",
            ops![
                plain(ByteJump {
                    from: JumpFrom::End,
                    post_offset: num(-5),
                    ..jump(1, 1)
                }),
                mark()
            ],
            payload,
            true,
        ),
        (
            "align",
            ops![
                plain(ByteJump {
                    align: true,
                    ..jump(2, 0)
                }),
                content("?").within(1)
            ],
            payload,
            true,
        ),
        (
            "post offset",
            ops![
                plain(ByteJump {
                    post_offset: num(1),
                    ..jump(2, 0)
                }),
                content("?").within(1)
            ],
            payload,
            true,
        ),
        (
            "to the very end",
            ops![plain(ByteJump {
                post_offset: num(2),
                ..jump(2, 0)
            })],
            payload,
            true,
        ),
        (
            "past the end",
            ops![plain(ByteJump {
                post_offset: num(3),
                ..jump(2, 0)
            })],
            payload,
            false,
        ),
        (
            "before the start is the start",
            ops![
                plain(ByteJump {
                    post_offset: num(-100),
                    ..jump(2, 0)
                }),
                content([0]).within(1)
            ],
            payload,
            true,
        ),
        (
            "no number, just a move",
            ops![
                content("a"),
                plain(ByteJump {
                    relative: true,
                    post_offset: num(2),
                    ..jump(0, 0)
                }),
                mark()
            ],
            payload,
            true,
        ),
        (
            "number past the end",
            ops![plain(jump(4, 5))],
            payload,
            false,
        ),
        (
            "mask",
            ops![
                plain(ByteJump {
                    bitmask: Some(0x0c),
                    ..jump(1, 1)
                }),
                content("a").within(1)
            ],
            &[0, 0x33 & !0x0c, b'a'],
            true,
        ),
        (
            "text",
            ops![
                content("="),
                plain(ByteJump {
                    relative: true,
                    base: NumberBase::Dec,
                    ..jump(2, 0)
                }),
                content("!").within(1)
            ],
            b"=2;ab!",
            false,
        ),
        (
            "text takes its digits only",
            ops![
                content("="),
                plain(ByteJump {
                    relative: true,
                    base: NumberBase::Dec,
                    ..jump(2, 0)
                }),
                content("b").within(1)
            ],
            b"=2;ab!",
            true,
        ),
        (
            "wraps around to before the start",
            ops![plain(ByteJump {
                multiplier: 65_535,
                ..jump(8, 0)
            })],
            &[0xff; 9],
            true,
        ),
        (
            "tries the next place",
            ops![
                content("L"),
                plain(ByteJump {
                    relative: true,
                    ..jump(1, 0)
                }),
                mark()
            ],
            b"L\x00xL\x01x!",
            true,
        ),
    ]);
}

#[test]
fn extracted_numbers() {
    let eight = |value: u64| value.to_be_bytes();
    let mut text = eight(42).to_vec();
    text.extend_from_slice(b"42,");
    check(&[
        (
            "value",
            ops![Op::ByteExtract(extract(8, 0)), var_is_first()],
            &eight(77),
            true,
        ),
        (
            "multiplier and alignment",
            ops![
                Op::ByteExtract(ByteExtract {
                    multiplier: 3,
                    align: 4,
                    ..extract(1, 7)
                }),
                var_is_first()
            ],
            &eight(0),
            true,
        ),
        (
            "text",
            ops![
                Op::ByteExtract(ByteExtract {
                    base: NumberBase::Dec,
                    ..extract(3, 8)
                }),
                var_is_first()
            ],
            &text,
            true,
        ),
        (
            "cursor moves behind it",
            ops![Op::ByteExtract(extract(2, 0)), content("a").within(1)],
            b"\0\0a",
            true,
        ),
        (
            "past the end",
            ops![Op::ByteExtract(extract(2, 2))],
            b"\0\0a",
            false,
        ),
        (
            "relative",
            ops![
                content("a"),
                Op::ByteExtract(ByteExtract {
                    relative: true,
                    ..extract(1, 0)
                }),
                content("c").within(VAR)
            ],
            b"a\x02bc",
            true,
        ),
        (
            "relative, reach too short",
            ops![
                content("a"),
                Op::ByteExtract(ByteExtract {
                    relative: true,
                    ..extract(1, 0)
                }),
                content("c").within(VAR)
            ],
            b"a\x01bc",
            false,
        ),
        (
            "distance",
            ops![
                Op::ByteExtract(extract(1, 0)),
                content("c").distance(VAR).within(1)
            ],
            b"\x02..c",
            true,
        ),
        (
            "offset",
            ops![Op::ByteExtract(extract(1, 0)), content("c").offset(VAR)],
            b"\x03c.c",
            true,
        ),
        (
            "offset too far",
            ops![Op::ByteExtract(extract(1, 0)), content("c").offset(VAR)],
            b"\x04c.c",
            false,
        ),
        (
            "depth",
            ops![Op::ByteExtract(extract(1, 0)), content("c").depth(VAR)],
            b"\x03.c",
            true,
        ),
        (
            "depth too short",
            ops![Op::ByteExtract(extract(1, 0)), content("c").depth(VAR)],
            b"\x02.c",
            false,
        ),
        (
            "depth counts from offset",
            ops![
                Op::ByteExtract(extract(1, 0)),
                content("c").offset(2).depth(VAR)
            ],
            b"\x01.c",
            true,
        ),
        (
            "isdataat",
            ops![
                Op::ByteExtract(extract(1, 0)),
                Op::IsDataAt(IsDataAt {
                    at: VAR,
                    relative: true,
                    negated: false
                })
            ],
            b"\x02ab",
            true,
        ),
        (
            "isdataat, too far",
            ops![
                Op::ByteExtract(extract(4, 0)),
                Op::IsDataAt(IsDataAt {
                    at: VAR,
                    relative: true,
                    negated: true
                })
            ],
            &[0xff; 4],
            true,
        ),
        (
            "huge offset",
            ops![Op::ByteExtract(extract(8, 0)), content([0xff]).offset(VAR)],
            &[0xff; 8],
            false,
        ),
    ]);
}

#[test]
fn computed_numbers() {
    use MathOp::*;
    let equals = |it: ByteMath, number: u64| {
        let payload = number.to_be_bytes();
        let mut all = payload.to_vec();
        all.extend_from_slice(&[0x0c, 0x05]);
        let held = crate::support::holds(&[Op::ByteMath(it.clone()), var_is_first()], &all);
        assert!(held, "{it:?} is {number}");
    };
    equals(math(1, 8, Add, 3), 15);
    equals(math(1, 8, Sub, 3), 9);
    equals(math(1, 8, Sub, 13), u64::MAX);
    equals(math(1, 8, Mul, 3), 36);
    equals(math(1, 8, Div, 5), 2);
    equals(math(1, 8, Shl, 4), 0xc0);
    equals(math(1, 8, Shr, 2), 3);
    equals(math(1, 8, Shl, 64), 0);
    equals(math(2, 8, Add, 0), 0x0c05);
    equals(
        ByteMath {
            base: LITTLE,
            ..math(2, 8, Add, 0)
        },
        0x050c,
    );
    // The mask is for the result.
    equals(
        ByteMath {
            bitmask: Some(0xf0),
            ..math(1, 8, Add, 0x24)
        },
        3,
    );
    let divided = math(1, 8, Div, 0);
    check(&[
        (
            "division by zero",
            ops![Op::ByteMath(divided)],
            &[1; 9],
            false,
        ),
        (
            "outside",
            ops![Op::ByteMath(math(4, 8, Add, 1))],
            &[1; 9],
            false,
        ),
        (
            "backwards",
            ops![
                content("c"),
                Op::ByteMath(ByteMath {
                    relative: true,
                    ..math(1, 0, Sub, 5)
                }),
                content("b").distance(VAR).within(1)
            ],
            b"abc\x02",
            true,
        ),
    ]);
}

#[test]
fn byte_counts_from_variables() {
    let bytes = |base, count: u8, rest: &[u8]| {
        let mut payload = vec![count];
        payload.extend_from_slice(rest);
        let it = ByteTest {
            bytes: VAR,
            base,
            ..test(0, ByteTestOp::Eq, 1, 1)
        };
        crate::support::holds(
            &[Op::ByteExtract(extract(1, 0)), Op::ByteTest(it)],
            &payload,
        )
    };
    assert!(bytes(BIG, 2, &[0, 1, 9]));
    assert!(!bytes(BIG, 3, &[0, 1, 9]));
    assert!(
        !bytes(BIG, 9, &[0, 0, 0, 0, 0, 0, 0, 0, 1]),
        "more than eight bytes are no number"
    );
    assert!(bytes(NumberBase::Dec, 23, b"00000000000000000000001"));
    assert!(!bytes(NumberBase::Dec, 24, b"000000000000000000000001"));
}
