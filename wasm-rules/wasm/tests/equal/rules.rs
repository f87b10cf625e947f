//! Rules, payloads and packets of all kinds, small enough to hit each other.

use proptest::prelude::*;
use weir_engine::packet::{Decoder, DecoderConfig, Frame, LinkType, Packet};
use weir_engine::pcre::{Flags, Regex};
use weir_engine::plan::{
    Action, AddrSet, Base64Decode, BitsMode, Buffer, BufferPlan, ByteExtract, ByteJump, ByteMath,
    ByteTest, ByteTestOp, Content, Endian, Entropy, Header, IsDataAt, JumpFrom, MathOp, Meta, Num,
    NumOp, NumberBase, Op, PacketTest, Pcre, PortSet, Proto, Rule, Transform, Value, VlanLayer,
};

/// A byte that others are likely to be, too.
pub fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        8 => prop::sample::select(b"aAbBcq01 =".to_vec()),
        1 => any::<u8>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-4i64..24).prop_map(Value::Const),
        1 => any::<i64>().prop_map(Value::Const),
        2 => (0u8..3).prop_map(Value::Var),
    ]
}

fn place() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![3 => Just(None), 2 => value().prop_map(Some)]
}

fn content() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![
        9 => prop::collection::vec(byte(), 1..5),
        1 => prop::collection::vec(byte(), 5..24),
    ];
    let marks = (
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.15),
    );
    (bytes, marks, place(), place(), place(), place()).prop_map(
        |(mut bytes, (nocase, negated, startswith, endswith), offset, depth, distance, within)| {
            if nocase {
                bytes.make_ascii_lowercase();
            }
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
                fast_pattern: false,
            })
        },
    )
}

fn pcre() -> impl Strategy<Value = Op> {
    let patterns = [
        "a", "b+", "a.b", "[aA]{2}", "^a", "q$", "(?=b)", "", "a*", "(a+)+c", "0|1",
    ];
    let pattern = prop::sample::select(patterns.to_vec());
    (
        pattern,
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(pattern, caseless, relative, negated)| {
            let flags = Flags {
                caseless,
                ..Flags::default()
            };
            let regex = Regex::new(pattern.as_bytes(), flags).expect("compiles");
            Op::Pcre(Pcre {
                regex: regex.into(),
                relative,
                negated,
            })
        })
}

fn base() -> impl Strategy<Value = NumberBase> {
    prop::sample::select(vec![
        NumberBase::Binary(Endian::Big),
        NumberBase::Binary(Endian::Little),
        NumberBase::Binary(Endian::Dce),
        NumberBase::Dec,
        NumberBase::Hex,
        NumberBase::Oct,
        NumberBase::Guessed,
    ])
}

fn bitmask() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![
        Just(None),
        Just(Some(0)),
        any::<u32>().prop_map(Some),
        Just(Some(0xf0))
    ]
}

fn count() -> impl Strategy<Value = Value> {
    prop_oneof![8 => (0i64..10).prop_map(Value::Const), 1 => value()]
}

fn byte_test() -> impl Strategy<Value = Op> {
    use ByteTestOp::{And, Eq, Ge, Gt, Le, Lt, Xor};
    let op = prop::sample::select(vec![Lt, Le, Eq, Ge, Gt, And, Xor]);
    let number = prop_oneof![value(), (0i64..0x7171).prop_map(Value::Const)];
    (
        count(),
        op,
        any::<bool>(),
        number,
        value(),
        any::<bool>(),
        base(),
        bitmask(),
    )
        .prop_map(
            |(bytes, op, negated, value, offset, relative, base, bitmask)| {
                Op::ByteTest(ByteTest {
                    bytes,
                    op,
                    negated,
                    value,
                    offset,
                    relative,
                    base,
                    bitmask,
                })
            },
        )
}

fn byte_jump() -> impl Strategy<Value = Op> {
    let from = prop::sample::select(vec![JumpFrom::Here, JumpFrom::Beginning, JumpFrom::End]);
    let multiplier = prop_oneof![Just(1u32), Just(2), any::<u32>()];
    (
        count(),
        value(),
        any::<bool>(),
        base(),
        (multiplier, any::<bool>()),
        from,
        value(),
        bitmask(),
    )
        .prop_map(
            |(bytes, offset, relative, base, (multiplier, align), from, post_offset, bitmask)| {
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
        )
}

fn byte_extract() -> impl Strategy<Value = Op> {
    let align = prop::sample::select(vec![0u8, 2, 4]);
    (
        0u8..10,
        -4i32..24,
        any::<bool>(),
        base(),
        any::<u16>(),
        align,
        0u8..3,
    )
        .prop_map(|(bytes, offset, relative, base, multiplier, align, var)| {
            Op::ByteExtract(ByteExtract {
                bytes,
                offset,
                relative,
                base,
                multiplier: multiplier % 4,
                align,
                var,
            })
        })
}

fn byte_math() -> impl Strategy<Value = Op> {
    use MathOp::{Add, Div, Mul, Shl, Shr, Sub};
    let op = prop::sample::select(vec![Add, Sub, Mul, Div, Shl, Shr]);
    (
        count(),
        -4i32..24,
        any::<bool>(),
        base(),
        op,
        value(),
        bitmask(),
        0u8..3,
    )
        .prop_map(
            |(bytes, offset, relative, base, op, rvalue, bitmask, var)| {
                Op::ByteMath(ByteMath {
                    bytes,
                    offset,
                    relative,
                    base,
                    op,
                    rvalue,
                    bitmask,
                    var,
                })
            },
        )
}

fn num() -> impl Strategy<Value = Num> {
    use NumOp::{
        AnyBit, Between, Eq, Ge, Gt, Le, Lt, Masked, Ne, NoBit, NotBetween, NotMasked, Within,
    };
    let ops = vec![
        Eq, Ne, Lt, Le, Gt, Ge, Between, Within, NotBetween, AnyBit, NoBit, Masked, NotMasked,
    ];
    (prop::sample::select(ops), 0u64..70, 0u64..70).prop_map(|(op, a, b)| Num { op, a, b })
}

fn simple() -> impl Strategy<Value = Op> {
    let is_data_at = (value(), any::<bool>(), any::<bool>()).prop_map(|(at, relative, negated)| {
        Op::IsDataAt(IsDataAt {
            at,
            relative,
            negated,
        })
    });
    // How rules said `endswith` before there was one.
    let ends = Just(Op::IsDataAt(IsDataAt {
        at: Value::Const(1),
        relative: true,
        negated: true,
    }));
    let entropy = (0u32..20, 0u32..20, num(), 0.0..4.0f64).prop_map(|(offset, bytes, num, a)| {
        Op::Entropy(Entropy {
            offset,
            bytes,
            op: num.op,
            a,
            b: a + 1.0,
        })
    });
    prop_oneof![
        12 => content(),
        4 => pcre(),
        3 => byte_test(),
        3 => byte_jump(),
        3 => byte_extract(),
        2 => byte_math(),
        3 => is_data_at,
        1 => ends,
        1 => num().prop_map(Op::BSize),
        1 => entropy,
        1 => any::<bool>().prop_map(|or_else| Op::Absent { or_else }),
    ]
}

/// Operations on a buffer.
pub fn operations() -> impl Strategy<Value = Vec<Op>> {
    let inner = prop::collection::vec(simple(), 0..4);
    let bytes = prop_oneof![Just(None), (0u32..30).prop_map(Some)];
    let base64 =
        (inner, bytes, 0u32..10, any::<bool>()).prop_map(|(data, bytes, offset, relative)| {
            Op::Base64Decode(Base64Decode {
                bytes,
                offset,
                relative,
                data,
            })
        });
    let last = prop_oneof![4 => Just(None), 1 => base64.prop_map(Some)];
    (prop::collection::vec(simple(), 0..7), last).prop_map(|(mut ops, last)| {
        ops.extend(last);
        ops
    })
}

fn rule(tests: Vec<PacketTest>, buffers: Vec<BufferPlan>) -> Rule {
    Rule {
        meta: Meta::default(),
        action: Action::Alert,
        noalert: false,
        header: Header {
            proto: Proto::Ip,
            src: AddrSet::any(),
            sport: PortSet::any(),
            dst: AddrSet::any(),
            dport: PortSet::any(),
            bidirectional: false,
            negated_addresses: false,
        },
        flow: None,
        tests,
        buffers,
        variables: 3,
        flow_properties: vec![],
        state_tests: vec![],
        state_actions: vec![],
        threshold: None,
        detection_filter: None,
        probe: None,
        other_probes: vec![],
        module: None,
        prefilter: false,
        needs_packet: true,
        needs_stream: false,
        app: Default::default(),
    }
}

/// A rule with operations on the payload, and the same on a payload that is transformed.
pub fn of_payload(ops: Vec<Op>) -> Rule {
    let plan = |transforms: Vec<Transform>| BufferPlan {
        buffer: Buffer::Payload,
        transforms,
        ops: ops.clone(),
    };
    // A part of the rules looks at two buffers.
    let transforms = match ops.len() % 5 {
        3 => vec![plan(vec![]), plan(vec![Transform::ToLowercase])],
        4 => vec![plan(vec![Transform::StripWhitespace])],
        _ => vec![plan(vec![])],
    };
    rule(vec![], transforms)
}

/// Tests on header fields.
pub fn tests() -> impl Strategy<Value = Vec<PacketTest>> {
    use BitsMode::{All, Any, Exact, Not};
    let mode = || prop::sample::select(vec![Exact, All, Any, Not]);
    let one = prop_oneof![
        (mode(), any::<u8>(), any::<u8>()).prop_map(|(mode, bits, ignore)| PacketTest::TcpFlags {
            mode,
            bits: bits & 0x1f,
            ignore
        }),
        (mode(), 0u8..8).prop_map(|(mode, bits)| PacketTest::FragBits { mode, bits }),
        num().prop_map(PacketTest::FragOffset),
        (0u16..3).prop_map(PacketTest::IpId),
        num().prop_map(PacketTest::IpProto),
        any::<bool>().prop_map(|v4| PacketTest::L3 { v4 }),
        Just(PacketTest::SameIp),
        num().prop_map(PacketTest::Ttl),
        (0u8..3, any::<bool>()).prop_map(|(value, negated)| PacketTest::Tos { value, negated }),
        num().prop_map(PacketTest::IcmpType),
        num().prop_map(PacketTest::IcmpCode),
        (0u16..3).prop_map(PacketTest::IcmpId),
        (0u16..3).prop_map(PacketTest::IcmpSeq),
        num().prop_map(PacketTest::TcpSeq),
        num().prop_map(PacketTest::TcpAck),
        (0u16..3, any::<bool>())
            .prop_map(|(value, negated)| PacketTest::TcpWindow { value, negated }),
        num().prop_map(PacketTest::TcpMss),
        num().prop_map(PacketTest::TcpWscale),
        num().prop_map(PacketTest::Dsize),
        num().prop_map(PacketTest::VlanLayers),
        num().prop_map(|id| PacketTest::VlanId {
            id,
            layer: VlanLayer::Any
        }),
        Just(PacketTest::IpOptAny),
    ];
    prop::collection::vec(one, 1..4)
}

/// A rule with tests on header fields.
pub fn of_header(tests: Vec<PacketTest>) -> Rule {
    rule(tests, vec![])
}

/// An Ethernet frame: IPv4 with TCP, UDP or ICMP, sound enough to be decoded, or not.
pub fn frame() -> impl Strategy<Value = Vec<u8>> {
    let proto = prop::sample::select(vec![6u8, 17, 1, 47]);
    let ip = (
        proto,
        0u8..70,
        0u8..3,
        0u16..3,
        prop::sample::select(vec![0u16, 0x4000, 0x2000, 0x8003]),
    );
    let rest = prop::collection::vec(0u8..70, 0..48);
    (ip, rest, any::<bool>(), prop::bool::weighted(0.1)).prop_map(
        |((proto, ttl, tos, id, fragment), rest, same, cut)| {
            let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
            let length = (20 + rest.len()) as u16;
            frame.extend([0x45, tos]);
            frame.extend(length.to_be_bytes());
            frame.extend(id.to_be_bytes());
            frame.extend(fragment.to_be_bytes());
            frame.extend([
                ttl,
                proto,
                0,
                0,
                10,
                0,
                0,
                1,
                10,
                0,
                0,
                if same { 1 } else { 2 },
            ]);
            let transport = frame.len();
            frame.extend(rest);
            // A TCP header says how long it is.
            if let Some(offset) = frame.get_mut(transport + 12).filter(|_| proto == 6) {
                *offset = 0x50;
            }
            if cut {
                frame.truncate(30);
            }
            frame
        },
    )
}

/// The packets of a frame.
pub fn decoded(frame: &[u8], with: &mut dyn FnMut(&Packet<'_>)) {
    let frame = Frame {
        ts_ns: 0,
        number: 1,
        link: LinkType::ETHERNET,
        data: frame,
        wire_len: frame.len() as u32,
        ..Frame::default()
    };
    Decoder::new(DecoderConfig::default()).decode(frame, with);
}
