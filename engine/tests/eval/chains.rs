//! Chains of contents, held against a search that tries every place; and everything at once, which must only end.

use proptest::prelude::*;
use weir_engine::plan::{
    Base64Decode, ByteExtract, ByteJump, ByteMath, ByteTest, ByteTestOp, Content, Endian, Entropy,
    IsDataAt, JumpFrom, MathOp, Num, NumOp, NumberBase, Op, Value,
};

use crate::support::{holds, pcre};

/// True when places can be found for the contents from `cursor` on: every place is tried.
fn exists(contents: &[Content], payload: &[u8], cursor: i64) -> bool {
    let Some((content, rest)) = contents.split_first() else {
        return true;
    };
    let number = |value: Option<Value>| match value {
        Some(Value::Const(number)) => number,
        _ => 0,
    };
    let length = payload.len() as i64;
    let (from, to) = if content.relative() {
        let from = cursor + number(content.distance);
        let end = from + number(content.within);
        // An end before the start is none.
        let limited = content.within.is_some() && end >= 0;
        (from.max(0), if limited { end.min(length) } else { length })
    } else if content.startswith {
        (0, content.bytes.len() as i64)
    } else {
        let offset = number(content.offset);
        (
            offset,
            content
                .depth
                .map_or(length, |_| offset + number(content.depth)),
        )
    };
    let places = (0..length).filter(|&place| {
        let end = place + content.bytes.len() as i64;
        let inside = from <= place && end <= to && end <= length;
        inside && {
            let here = &payload[place as usize..end as usize];
            let same = if content.nocase {
                here.eq_ignore_ascii_case(&content.bytes)
            } else {
                here == content.bytes
            };
            same && (!content.endswith || end == length)
        }
    });
    if content.negated {
        return places.count() == 0 && exists(rest, payload, cursor);
    }
    let length = content.bytes.len() as i64;
    places
        .map(|place| place + length)
        .any(|end| exists(rest, payload, end))
}

fn value(range: std::ops::Range<i64>) -> impl Strategy<Value = Option<Value>> {
    prop::option::of(range.prop_map(Value::Const))
}

prop_compose! {
    fn content()(
        bytes in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..3),
        nocase: bool,
        negated in prop::bool::weighted(0.2),
        kind in 0..4,
        (offset, depth) in (value(0..6), value(1..8)),
        (distance, within) in (value(-8..6), value(1..7)),
        endswith in prop::bool::weighted(0.1),
    ) -> Content {
        let content = Content { bytes, nocase, negated, ..Content::default() };
        match kind {
            0 => Content { offset, depth, ..content },
            // `!endswith` looks at one place only, as Suricata's does; it has its own test.
            1 => Content { endswith: endswith && !negated, ..content },
            2 if !negated => Content { startswith: true, ..content },
            _ => Content { distance, within, ..content },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn chains_are_found_where_they_exist(
        contents in prop::collection::vec(content(), 1..5),
        payload in prop::collection::vec(prop::sample::select(b"aAbB.".to_vec()), 1..13),
    ) {
        // What refers back to a negated content that itself stands alone gives, in Suricata, no second try to the
        // content before both.
        let refers_past = contents.windows(2).any(|pair| pair[0].negated && !pair[0].relative() && pair[1].relative());
        prop_assume!(!refers_past);
        let ops: Vec<_> = contents.iter().cloned().map(Op::Content).collect();
        prop_assert_eq!(holds(&ops, &payload), exists(&contents, &payload, 0));
    }

    #[test]
    fn anything_ends(
        ops in prop::collection::vec(any_op(), 1..7),
        payload in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), Just(b'a'), Just(b'1'), any::<u8>()], 1..40),
    ) {
        // Neither panics nor loops; and what a rule left behind does not change its next answer.
        prop_assert_eq!(holds(&ops, &payload), holds(&ops, &payload));
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-20i64..20).prop_map(Value::Const),
        any::<i64>().prop_map(Value::Const),
        (0u8..3).prop_map(Value::Var),
    ]
}

fn any_base() -> impl Strategy<Value = NumberBase> {
    prop::sample::select(vec![
        NumberBase::Binary(Endian::Big),
        NumberBase::Binary(Endian::Little),
        NumberBase::Binary(Endian::Dce),
        NumberBase::Dec,
        NumberBase::Hex,
        NumberBase::Oct,
    ])
}

fn any_content() -> impl Strategy<Value = Op> {
    let limit = || prop::option::of(any_value());
    (
        prop::collection::vec(prop::sample::select(vec![0, 0xff, b'a', b'1']), 0..3),
        (limit(), limit(), limit(), limit()),
        any::<(bool, bool, bool, bool)>(),
    )
        .prop_map(
            |(
                bytes,
                (offset, depth, distance, within),
                (nocase, negated, startswith, endswith),
            )| {
                Op::Content(Content {
                    bytes,
                    nocase,
                    negated,
                    offset,
                    depth,
                    distance,
                    within,
                    startswith,
                    endswith,
                    ..Content::default()
                })
            },
        )
}

fn any_op() -> impl Strategy<Value = Op> {
    let byte_test = (
        any_value(),
        any_value(),
        any_value(),
        any::<(bool, bool, Option<u32>)>(),
        any_base(),
    )
        .prop_map(
            |(bytes, value, offset, (relative, negated, bitmask), base)| {
                Op::ByteTest(ByteTest {
                    bytes,
                    op: ByteTestOp::Gt,
                    negated,
                    value,
                    offset,
                    relative,
                    base,
                    bitmask,
                })
            },
        );
    let byte_jump = (
        any_value(),
        any_value(),
        any_value(),
        any::<(bool, bool, u32, Option<u32>)>(),
        any_base(),
        prop::sample::select(vec![JumpFrom::Here, JumpFrom::Beginning, JumpFrom::End]),
    )
        .prop_map(
            |(bytes, offset, post_offset, (relative, align, multiplier, bitmask), base, from)| {
                Op::ByteJump(ByteJump {
                    bytes,
                    offset,
                    relative,
                    base,
                    multiplier,
                    align,
                    from,
                    post_offset,
                    bitmask,
                })
            },
        );
    let byte_extract = (any::<(u8, i32, bool, u16, u8)>(), any_base(), 0u8..3).prop_map(
        |((bytes, offset, relative, multiplier, align), base, var)| {
            Op::ByteExtract(ByteExtract {
                bytes: bytes % 10,
                offset: offset % 30,
                relative,
                base,
                multiplier,
                align,
                var,
            })
        },
    );
    let byte_math = (
        any_value(),
        any::<(i32, bool, Option<u32>)>(),
        any_value(),
        any_base(),
        prop::sample::select(vec![
            MathOp::Add,
            MathOp::Sub,
            MathOp::Mul,
            MathOp::Div,
            MathOp::Shl,
            MathOp::Shr,
        ]),
        0u8..3,
    )
        .prop_map(
            |(bytes, (offset, relative, bitmask), rvalue, base, op, var)| {
                Op::ByteMath(ByteMath {
                    bytes,
                    offset: offset % 30,
                    relative,
                    base,
                    op,
                    rvalue,
                    bitmask,
                    var,
                })
            },
        );
    let is_data_at = (any_value(), any::<(bool, bool)>()).prop_map(|(at, (relative, negated))| {
        Op::IsDataAt(IsDataAt {
            at,
            relative,
            negated,
        })
    });
    let base64 = (
        any::<(Option<u32>, u32, bool)>(),
        prop::collection::vec(any_content(), 0..3),
    )
        .prop_map(|((bytes, offset, relative), data)| {
            Op::Base64Decode(Base64Decode {
                bytes,
                offset: offset % 50,
                relative,
                data,
            })
        });
    prop_oneof![
        6 => any_content(),
        2 => (prop::sample::select(vec!["a", "^", "$", "a*", ".\\K", "\\xff+"]),
              prop::sample::select(vec!["", "R", "!", "R!"])).prop_map(|(pattern, flags)| pcre(pattern, flags)),
        2 => byte_test,
        2 => byte_jump,
        2 => byte_extract,
        2 => byte_math,
        2 => is_data_at,
        1 => base64,
        1 => any::<u64>().prop_map(|size| Op::BSize(Num::one(NumOp::Lt, size))),
        1 => any::<(u32, u32)>().prop_map(|(offset, bytes)| Op::Entropy(Entropy {
            offset: offset % 50, bytes: bytes % 50, op: NumOp::Gt, a: 1.0, b: 0.0,
        })),
        1 => any::<bool>().prop_map(|or_else| Op::Absent { or_else }),
    ]
}
