//! Rules on buffers that are transformed first.

use weir_engine::eval::{Buffers, Subject};
use weir_engine::packet::{Net, Packet};
use weir_engine::plan::{Buffer, BufferPlan, Num, NumOp, Op, Transform};

use crate::ops;
use crate::support::{bare, content, evaluate, rule};

/// From 10.0.0.1, the MD5 sum of whose four bytes begins with these.
const SUM: &[u8] = b"\x36\x28\x12\x22";

fn packet() -> Packet<'static> {
    let header = b"\x45\0\0\x14\0\0\0\0\x40\x06\0\0\x0a\0\0\x01ABcd";
    Packet {
        net: Net::V4 { header },
        ..bare()
    }
}

fn plan(buffer: Buffer, transforms: &[Transform], ops: Vec<Op>) -> BufferPlan {
    BufferPlan {
        buffer,
        transforms: transforms.to_vec(),
        ops,
    }
}

fn matches(plans: Vec<BufferPlan>) -> bool {
    evaluate(rule(Vec::new(), plans), &packet()).0
}

#[test]
fn operations_see_what_transforms_make() {
    let md5 = [Transform::ToMd5];
    let sum = || {
        ops![
            content(SUM).startswith(),
            Op::BSize(Num::one(NumOp::Eq, 16))
        ]
    };
    assert!(matches(vec![plan(Buffer::IpSrc, &md5, sum())]));
    assert!(!matches(vec![plan(Buffer::IpSrc, &[], sum())]));
    assert!(!matches(vec![plan(Buffer::IpDst, &md5, sum())]));
    // Each buffer has its own, and one leaves nothing behind for the next.
    assert!(matches(vec![
        plan(Buffer::IpSrc, &md5, sum()),
        plan(
            Buffer::IpDst,
            &[Transform::ToLowercase],
            ops![content("abcd")]
        ),
        plan(Buffer::IpDst, &[], ops![content("ABcd")]),
    ]));
    // Asking nothing of a buffer that is there holds, of one that is not does not.
    assert!(matches(vec![plan(Buffer::IpSrc, &md5, vec![])]));
    assert!(!matches(vec![plan(Buffer::TcpHdr, &md5, vec![])]));
}

#[test]
fn absent_is_about_the_buffer_before_its_transforms() {
    let absent = |or_else| vec![Op::Absent { or_else }];
    let md5 = [Transform::ToMd5];
    assert!(matches(vec![plan(Buffer::TcpHdr, &md5, absent(false))]));
    assert!(!matches(vec![plan(Buffer::IpSrc, &md5, absent(false))]));
}

#[test]
fn limits_are_counted() {
    // "aaaa…", 1,000 times, as zlib writes it.
    let packed = b"\x78\xda\x4b\x4c\x1c\x05\xa3\x60\x14\x0c\x77\x00\x00\xf9\xd8\x7a\xf8";
    let bomb = Packet {
        net: Net::Arp(packed),
        ..bare()
    };
    let few = |max_size| {
        let transform = Transform::ZlibDeflate { max_size };
        let ops = ops![
            content("aaaa"),
            Op::BSize(Num::one(NumOp::Eq, u64::from(max_size)))
        ];
        evaluate(
            rule(Vec::new(), vec![plan(Buffer::ArpHdr, &[transform], ops)]),
            &bomb,
        )
    };
    let (holds, counters) = few(10);
    assert!(holds && counters.transform_limits == 1);
    let (holds, counters) = few(1000);
    assert!(holds && counters.transform_limits == 0);
}

/// What tests on state use.
#[test]
fn bytes_of_buffers_can_be_had_without_a_rule() {
    let packet = packet();
    let subject = Subject::packet(&packet, b"");
    let mut buffers = Buffers::new();
    let md5 = [Transform::ToMd5];
    let sum = buffers.bytes(Buffer::IpSrc, &md5, &subject);
    assert!(sum.is_some_and(|sum| sum.len() == 16 && sum.starts_with(SUM)));
    let plain = buffers.bytes(Buffer::IpDst, &[], &subject);
    assert_eq!(plain, Some(&b"ABcd"[..]));
    assert_eq!(buffers.bytes(Buffer::TcpHdr, &md5, &subject), None);
}
