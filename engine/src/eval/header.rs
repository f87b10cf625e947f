//! Tests on header fields.

use super::Subject;
use crate::packet::{Packet, Transport};
use crate::plan::{Num, NumOp, PacketTest, VlanLayer};

/// True when the packet passes. A packet without the field fails, also where the test is negated.
pub(super) fn test(test: &PacketTest, subject: &Subject<'_>) -> bool {
    let packet = subject.packet;
    match test {
        &PacketTest::TcpFlags { mode, bits, ignore } => packet
            .tcp_flags()
            .is_some_and(|flags| mode.holds(flags & !ignore, bits)),
        &PacketTest::FragBits { mode, bits } => packet
            .frag_bits()
            .is_some_and(|found| mode.holds((found >> 13) as u8 & 0b111, bits)),
        PacketTest::FragOffset(num) => passes(num, packet.frag_offset()),
        PacketTest::IpId(id) => packet.ip_id() == Some(*id),
        PacketTest::IpOpt(wanted) => packet.ip_options().any(|option| option == *wanted),
        PacketTest::IpOptAny => packet.ip_options().next().is_some(),
        PacketTest::IpProto(num) => packet.is_ip() && num.test(packet.proto.into()),
        PacketTest::L3 { v4 } => packet.is_ip() && packet.src.is_ipv4() == *v4,
        PacketTest::SameIp => packet.is_ip() && packet.src == packet.dst,
        PacketTest::Ttl(num) => passes(num, packet.ttl()),
        PacketTest::Tos { value, negated } => {
            packet.tos().is_some_and(|tos| (tos == *value) != *negated)
        }
        PacketTest::IcmpType(num) => passes(num, packet.icmp_type()),
        PacketTest::IcmpCode(num) => passes(num, packet.icmp_code()),
        PacketTest::IcmpId(id) => packet.icmp_id() == Some(*id),
        PacketTest::IcmpSeq(seq) => packet.icmp_seq() == Some(*seq),
        PacketTest::Icmp6Mtu(num) => passes(num, packet.icmp6_mtu()),
        PacketTest::IgmpType(num) => passes(num, packet.igmp_type()),
        PacketTest::TcpSeq(num) => passes(num, packet.tcp_seq()),
        PacketTest::TcpAck(num) => passes(num, packet.tcp_ack()),
        PacketTest::TcpWindow { value, negated } => packet
            .tcp_window()
            .is_some_and(|window| (window == *value) != *negated),
        PacketTest::TcpMss(num) => passes(num, packet.tcp_mss()),
        PacketTest::TcpWscale(num) => passes(num, packet.tcp_wscale()),
        PacketTest::Dsize(num) => dsize(num, packet),
        PacketTest::VlanId { id, layer } => vlan_id(id, *layer, packet),
        PacketTest::VlanLayers(num) => num.test(packet.vlan_layers.into()),
        PacketTest::DecodeEvent(event) => packet.events.contains(*event),
        &PacketTest::StreamEvent(event) => subject.events.contains(event),
        &PacketTest::Rpc {
            program,
            version,
            procedure,
        } => rpc(packet, program, version, procedure),
    }
}

fn passes<T: Into<u64>>(num: &Num, field: Option<T>) -> bool {
    field.is_some_and(|value| num.test(value.into()))
}

/// Except with `<`, `<=` and 0, the payload has to be one that rules may look into, and not be empty: `dsize:!5` does
/// not match a packet without payload.
fn dsize(num: &Num, packet: &Packet<'_>) -> bool {
    let inspected = !packet.no_payload_inspection && !packet.payload.is_empty();
    let eligible = match num {
        Num {
            op: NumOp::Lt | NumOp::Le,
            ..
        } => true,
        Num {
            op: NumOp::Eq,
            a: 0,
            ..
        } => !inspected,
        _ => inspected,
    };
    eligible && num.test(packet.payload.len() as u64)
}

fn vlan_id(id: &Num, layer: VlanLayer, packet: &Packet<'_>) -> bool {
    let layers = packet
        .vlan
        .get(..usize::from(packet.vlan_layers))
        .unwrap_or(&packet.vlan);
    let passes = |vlan: &u16| id.test((*vlan).into());
    match layer {
        VlanLayer::Any => layers.iter().any(passes),
        VlanLayer::All => !layers.is_empty() && layers.iter().all(passes),
        VlanLayer::At(at) => {
            let place = usize::from(at.unsigned_abs());
            let place = if at < 0 {
                layers.len().checked_sub(place)
            } else {
                Some(place)
            };
            place
                .and_then(|place| layers.get(place))
                .is_some_and(passes)
        }
    }
}

/// SunRPC call (RFC 5531): transaction, 0 for a call, RPC version, program, version, procedure; over TCP after a
/// record mark of four bytes.
fn rpc(packet: &Packet<'_>, program: u32, version: Option<u32>, procedure: Option<u32>) -> bool {
    let message = match packet.transport {
        Transport::Tcp { .. } => packet.payload.get(4..),
        Transport::Udp { .. } => Some(packet.payload),
        _ => None,
    };
    let Some(call) = message.and_then(|message| message.first_chunk::<24>()) else {
        return false;
    };
    let (words, _) = call.as_chunks::<4>();
    let [_, kind, _, prog, vers, proc] = *words else {
        return false;
    };
    let is =
        |word: [u8; 4], wanted: Option<u32>| wanted.is_none_or(|it| u32::from_be_bytes(word) == it);
    is(kind, Some(0)) && is(prog, Some(program)) && is(vers, version) && is(proc, procedure)
}
