//! Packets for rules about packets: payloads as they are, and header fields.

use weir_engine::plan::{Num, PacketTest, Proto, Rule};

use super::messages::Messages;
use super::numbers::passing;
use super::parts::Parts;
use super::talk::{Carrier, Fields, Say};
use super::unmet::Unmet;

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const PSH_ACK: u8 = 24;

/// A payload as it is.
pub(super) fn messages(
    rule: &Rule,
    parts: &Parts<'_>,
    carrier: Carrier,
) -> Result<Messages, Unmet> {
    let mut payload = parts.payload().map(<[u8]>::to_vec);
    for test in &rule.tests {
        if let PacketTest::Rpc {
            program,
            version,
            procedure,
        } = test
        {
            payload.get_or_insert_with(|| rpc(*program, *version, *procedure, carrier));
        }
    }
    let payload = payload.unwrap_or_else(|| b"abcd".to_vec());
    let say = Say {
        to_server: parts.to_server,
        bytes: payload,
        fields: Fields::default(),
    };
    let mut says = Vec::new();
    if !parts.to_server && carrier != Carrier::Icmp {
        says.push(Say::up(*b"abcd\r\n"));
    }
    says.push(say);
    Ok(Messages {
        carrier,
        says,
        ports: &[],
        bare: false,
    })
}

/// A SunRPC call (RFC 5531).
fn rpc(program: u32, version: Option<u32>, procedure: Option<u32>, carrier: Carrier) -> Vec<u8> {
    let words = [
        1,
        0,
        2,
        program,
        version.unwrap_or(2),
        procedure.unwrap_or(0),
        0,
        0,
        0,
        0,
    ];
    let mut call: Vec<u8> = Vec::with_capacity(44);
    if carrier == Carrier::Tcp {
        call.extend_from_slice(&0x8000_0028_u32.to_be_bytes());
    }
    call.extend(words.iter().flat_map(|word: &u32| word.to_be_bytes()));
    call
}

/// What carries packets for a rule about IP.
pub(super) fn carrier_of_tests(tests: &[PacketTest]) -> Carrier {
    let proto = tests.iter().find_map(|test| match test {
        PacketTest::IpProto(num) => passing(num, 255, 17),
        PacketTest::TcpFlags { .. } | PacketTest::TcpSeq(_) | PacketTest::TcpWindow { .. } => {
            Some(6)
        }
        PacketTest::IcmpType(_) | PacketTest::IcmpCode(_) => Some(1),
        _ => None,
    });
    match proto {
        None | Some(17) => Carrier::Udp,
        Some(6) => Carrier::Tcp,
        Some(1 | 58) => Carrier::Icmp,
        Some(other) => Carrier::Ip(other as u8),
    }
}

/// Sets the header fields that a rule asks for, on the last thing that its side says.
pub(super) fn fields(rule: &Rule, to_server: bool, made: &mut Messages) -> Result<(), Unmet> {
    let mut fields = Fields::default();
    for test in &rule.tests {
        set(test, &mut fields)?;
    }
    let flags = |test: &PacketTest, flags: u8| matches!(*test, PacketTest::TcpFlags { mode, bits, ignore } if mode.holds(flags & !ignore, bits));
    if !to_server && rule.tests.iter().any(|test| flags(test, SYN | ACK)) {
        // The handshake has it.
        return Ok(());
    }
    if made.carrier == Carrier::Udp && rule.flow.is_some_and(|flow| flow.established) {
        // Both must have spoken before.
        let mut before = made.says.clone();
        before.truncate(2);
        if !before.iter().any(|say| !say.to_server) {
            before.push(Say::down(*b"abcd"));
        }
        if !before.iter().any(|say| say.to_server) {
            before.insert(0, Say::up(*b"abcd"));
        }
        before.append(&mut made.says);
        made.says = before;
    }
    if let Some(flags) = fields.flags {
        let established = rule.flow.is_some_and(|flow| flow.established);
        let opening = flags & (SYN | RST) != 0 || flags & ACK == 0;
        if opening && !established || rule.flow.is_some_and(|flow| flow.not_established) {
            made.bare = true;
            made.says.retain(|say| say.to_server == to_server);
            let payload = rule.buffers.is_empty()
                && !rule
                    .tests
                    .iter()
                    .any(|test| matches!(test, PacketTest::Dsize(_)));
            if payload {
                made.says.iter_mut().for_each(|say| say.bytes.clear());
            }
        }
    }
    if rule.flow.is_some_and(|flow| flow.not_established) && made.carrier == Carrier::Tcp {
        made.bare = true;
    }
    if matches!(rule.header.proto, Proto::Icmp6) {
        fields.icmp_type = fields.icmp_type.or(Some(128));
    }
    if let Some(say) = made
        .says
        .iter_mut()
        .rev()
        .find(|say| say.to_server == to_server)
    {
        say.fields = fields;
    }
    Ok(())
}

fn set(test: &PacketTest, fields: &mut Fields) -> Result<(), Unmet> {
    let pass = |num: &Num, most: u64, wanted: u64| passing(num, most, wanted).ok_or(Unmet::Header);
    match test {
        &PacketTest::TcpFlags { mode, bits, ignore } => {
            let usual = [
                PSH_ACK,
                ACK,
                SYN,
                SYN | ACK,
                RST | ACK,
                RST,
                17,
                bits,
                bits | ACK,
            ];
            let all = usual.into_iter().chain(0..=255);
            let flags = all
                .into_iter()
                .find(|flags| mode.holds(flags & !ignore, bits));
            fields.flags = Some(flags.ok_or(Unmet::Header)?).filter(|&flags| flags != PSH_ACK);
        }
        &PacketTest::FragBits { mode, bits } => {
            let all = [2_u8, 0, 1, 4, 3, 5, 6, 7];
            let found = all.into_iter().find(|&found| mode.holds(found, bits));
            fields.frag_bits = Some(found.ok_or(Unmet::Header)?);
        }
        PacketTest::FragOffset(num) => fields.frag_offset = Some(pass(num, 0x1fff, 0)? as u16),
        PacketTest::IpId(id) => fields.ip_id = Some(*id),
        PacketTest::IpOpt(option) => fields.ip_option = Some(*option),
        PacketTest::IpOptAny => fields.ip_option = Some(7),
        PacketTest::Ttl(num) => fields.ttl = Some(pass(num, 255, 64)? as u8),
        PacketTest::Tos { value, negated } => {
            fields.tos = Some(if *negated {
                value.wrapping_add(4)
            } else {
                *value
            })
        }
        PacketTest::IcmpType(num) => fields.icmp_type = Some(pass(num, 255, 8)? as u8),
        PacketTest::IcmpCode(num) => fields.icmp_code = Some(pass(num, 255, 0)? as u8),
        PacketTest::IcmpId(id) => fields.icmp_id = Some(*id),
        PacketTest::IcmpSeq(seq) => fields.icmp_seq = Some(*seq),
        PacketTest::TcpSeq(num) => fields.seq = Some(pass(num, u32::MAX.into(), 1)? as u32),
        PacketTest::TcpAck(num) => fields.ack = Some(pass(num, u32::MAX.into(), 1)? as u32),
        PacketTest::TcpWindow { value, negated } => {
            fields.window = Some(if *negated {
                value.wrapping_add(1)
            } else {
                *value
            });
        }
        PacketTest::L3 { .. }
        | PacketTest::Dsize(_)
        | PacketTest::IpProto(_)
        | PacketTest::Rpc { .. } => {}
        _ => return Err(Unmet::Header),
    }
    Ok(())
}
