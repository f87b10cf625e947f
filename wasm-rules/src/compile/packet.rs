//! Keywords that test header fields of a packet.

use weir_engine::packet::DecoderEvent;
use weir_engine::plan::{BitsMode, Num, NumOp, PacketTest, VlanLayer};

use super::Warning;
use super::args::{self, Text};
use super::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, parse_plain_u64, split_list};

/// Names and type octets of IPv4 options.
const IP_OPTIONS: [(&[u8], u8); 9] = [
    (b"eol", 0),
    (b"nop", 1),
    (b"rr", 7),
    (b"ts", 68),
    (b"sec", 130),
    (b"lsrr", 131),
    (b"esec", 133),
    (b"satid", 136),
    (b"ssrr", 137),
];

/// Names of IP protocols that rules use (IANA "Assigned Internet Protocol Numbers", as in `/etc/protocols`).
const IP_PROTOCOLS: [(&str, u8); 24] = [
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
];

/// A comparison with numbers of at most `max`.
fn number(option: &RuleOption, max: u64) -> Result<Num, Problem> {
    parse_number(&args::bare(args::value(option)?), max)
}

/// The keywords that compare one field with a number. `None` for other keywords.
pub(super) fn compared(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    keyword: &str,
) -> Option<Result<(), Problem>> {
    type Make = fn(Num) -> PacketTest;
    let (max, make): (u64, Make) = match keyword {
        "fragoffset" => (u16::MAX.into(), PacketTest::FragOffset),
        "ttl" => (u8::MAX.into(), PacketTest::Ttl),
        "itype" => (u8::MAX.into(), PacketTest::IcmpType),
        "icode" => (u8::MAX.into(), PacketTest::IcmpCode),
        "icmpv6.mtu" => (u32::MAX.into(), PacketTest::Icmp6Mtu),
        "igmp.type" => (u8::MAX.into(), PacketTest::IgmpType),
        "tcp.seq" => (u32::MAX.into(), PacketTest::TcpSeq),
        "tcp.ack" => (u32::MAX.into(), PacketTest::TcpAck),
        "tcp.mss" => (u16::MAX.into(), PacketTest::TcpMss),
        "tcp.wscale" => (u8::MAX.into(), PacketTest::TcpWscale),
        "vlan.layers" => (u8::MAX.into(), PacketTest::VlanLayers),
        _ => return None,
    };
    Some(number(option, max).map(|num| draft.test(make(num))))
}

/// `icmp_id` and `icmp_seq`: one value.
pub(super) fn equal(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    make: fn(u16) -> PacketTest,
) -> Result<(), Problem> {
    let value = parse_plain_u64(&args::bare(args::value(option)?), u16::MAX.into())?;
    draft.test(make(value as u16));
    Ok(())
}

/// `id`: one value. Other comparisons are not supported.
pub(super) fn id(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    match number(option, u16::MAX.into())? {
        Num {
            op: NumOp::Eq, a, ..
        } => draft.test(PacketTest::IpId(a as u16)),
        other => return Err(only_equality(option, &other)),
    }
    Ok(())
}

fn only_equality(option: &RuleOption, num: &Num) -> Problem {
    let message = format!("the comparison `{num}` is not supported for this field");
    Problem::unsupported(option.name.place, "", message)
}

/// How bits are compared.
fn modifier(symbol: u8) -> Option<BitsMode> {
    match symbol {
        b'+' => Some(BitsMode::All),
        b'*' => Some(BitsMode::Any),
        b'!' => Some(BitsMode::Not),
        _ => None,
    }
}

fn tcp_flag(letter: u8) -> Option<u8> {
    Some(match letter.to_ascii_uppercase() {
        b'F' => 0x01,
        b'S' => 0x02,
        b'R' => 0x04,
        b'P' => 0x08,
        b'A' => 0x10,
        b'U' => 0x20,
        b'E' | b'2' => 0x40,
        b'C' | b'1' => 0x80,
        _ => return None,
    })
}

pub(super) fn tcp_flags(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const LETTERS: &str = "TCP flags (F S R P A U E C 0)";
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let (wanted, ignored) = match parts.as_slice() {
        [wanted] => (wanted, None),
        [wanted, ignored] => (wanted, Some(ignored)),
        _ => {
            return Err(args::expected(
                &text,
                "flags and, after a comma, flags to ignore",
            ));
        }
    };
    let letters = |text: &'_ Text| {
        let bytes = text.value.iter().copied();
        bytes
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect::<Vec<_>>()
    };
    let flag = |letter, text| tcp_flag(letter).ok_or_else(|| args::expected(text, LETTERS));
    let (mut mode, mut bits) = (None, None);
    for letter in letters(wanted) {
        match modifier(letter) {
            // The modifier may stand anywhere.
            Some(found) => {
                if mode.replace(found).is_some() {
                    return Err(args::expected(wanted, "at most one modifier"));
                }
            }
            // `0` takes back what was before it.
            None if letter == b'0' => bits = Some(0),
            None => bits = Some(bits.unwrap_or(0) | flag(letter, wanted)?),
        }
    }
    let bits = bits.ok_or_else(|| args::expected(wanted, LETTERS))?;
    let mut ignore = 0;
    for letter in ignored.map(letters).unwrap_or_default() {
        ignore |= flag(letter, ignored.unwrap_or(wanted))?;
    }
    let mode = mode.unwrap_or(BitsMode::Exact);
    draft.test(match (mode, bits) {
        // Without flags Suricata looks at all of the packet's, also at those to ignore: `0` asks for none, `!0` for any.
        (BitsMode::Not, 0) => PacketTest::TcpFlags {
            mode: BitsMode::Any,
            bits: u8::MAX,
            ignore: 0,
        },
        (BitsMode::Exact | BitsMode::All, 0) => PacketTest::TcpFlags {
            mode: BitsMode::Exact,
            bits,
            ignore: 0,
        },
        _ => PacketTest::TcpFlags { mode, bits, ignore },
    });
    Ok(())
}

pub(super) fn fragbits(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const ALL: u8 = 0b111;
    let text = args::bare(args::value(option)?);
    let bit = |letter: u8| match letter.to_ascii_uppercase() {
        b'R' => Some(4),
        b'D' => Some(2),
        b'M' => Some(1),
        _ => None,
    };
    let (mode, letters) = match text.value.as_slice() {
        [first, rest @ ..] => match modifier(*first) {
            Some(mode) => (mode, rest.trim_ascii_start()),
            None => (BitsMode::Exact, text.value.as_slice()),
        },
        [] => (BitsMode::Exact, text.value.as_slice()),
    };
    let bits: Vec<u8> = letters.iter().copied().map_while(bit).collect();
    if bits.is_empty() {
        return Err(args::expected(&text, "fragmentation bits (M D R)"));
    }
    if bits.len() < letters.len() {
        let message =
            "what follows the bits does not count, as in Suricata: a modifier stands before them";
        draft.warnings.push(Warning {
            place: text.place,
            message: message.to_owned(),
        });
    }
    let bits = bits.into_iter().fold(0, |all, bit| all | bit);
    draft.test(PacketTest::FragBits { mode, bits });
    if mode == BitsMode::All {
        // Unlike `flags:+S`, which takes SYN alone, `fragbits:+D` wants another bit besides.
        draft.test(PacketTest::FragBits {
            mode: BitsMode::Any,
            bits: ALL & !bits,
        });
    }
    Ok(())
}

pub(super) fn ipopts(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let name = text.value.to_ascii_lowercase();
    if name == b"any" {
        draft.test(PacketTest::IpOptAny);
        return Ok(());
    }
    let known = IP_OPTIONS.iter().find(|(known, _)| *known == name);
    let &(_, number) = known.ok_or_else(|| {
        args::expected(&text, "the name of an IPv4 option (rr, lsrr, …) or `any`")
    })?;
    draft.test(PacketTest::IpOpt(number));
    Ok(())
}

pub(super) fn ip_proto(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let (op, skip) = match text.value.first() {
        Some(b'!') => (NumOp::Ne, 1),
        Some(b'<') => (NumOp::Lt, 1),
        Some(b'>') => (NumOp::Gt, 1),
        _ => (NumOp::Eq, 0),
    };
    let rest = text.value.get(skip..).unwrap_or_default().trim_ascii();
    let name = Text {
        value: rest.to_ascii_lowercase(),
        place: text.place.plus(skip),
    };
    let number = match IP_PROTOCOLS
        .iter()
        .find(|(known, _)| known.as_bytes() == name.value)
    {
        Some(&(_, number)) => u64::from(number),
        None if args::is_number(&name) => parse_plain_u64(&name, u8::MAX.into())?,
        None => {
            return Err(args::expected(
                &name,
                "the name or number of an IP protocol",
            ));
        }
    };
    draft.test_anywhere(PacketTest::IpProto(Num::one(op, number)));
    Ok(())
}

pub(super) fn l3_proto(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let v4 = match text.value.to_ascii_lowercase().as_slice() {
        b"ip4" | b"ipv4" => true,
        b"ip6" | b"ipv6" => false,
        _ => return Err(args::expected(&text, "`ipv4` or `ipv6`")),
    };
    draft.test_anywhere(PacketTest::L3 { v4 });
    Ok(())
}

pub(super) fn sameip(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    draft.test(PacketTest::SameIp);
    Ok(())
}

/// Takes a `!` off the front.
fn negation(text: Text) -> (bool, Text) {
    match text.value.strip_prefix(b"!") {
        Some(rest) => (
            true,
            Text {
                value: rest.trim_ascii().to_vec(),
                place: text.place.plus(1),
            },
        ),
        None => (false, text),
    }
}

pub(super) fn tos(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let (negated, text) = negation(args::bare(args::value(option)?));
    let value = match text.value.as_slice() {
        [b'x' | b'X', hex @ ..] => {
            let number = Text {
                value: [b"0x", hex].concat(),
                place: text.place,
            };
            parse_plain_u64(&number, u8::MAX.into())?
        }
        _ => parse_plain_u64(&text, u8::MAX.into())?,
    };
    draft.test(PacketTest::Tos {
        value: value as u8,
        negated,
    });
    Ok(())
}

pub(super) fn window(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let (value, negated) = match number(option, u16::MAX.into())? {
        Num {
            op: NumOp::Eq, a, ..
        } => (a as u16, false),
        Num {
            op: NumOp::Ne, a, ..
        } => (a as u16, true),
        other => return Err(only_equality(option, &other)),
    };
    draft.test(PacketTest::TcpWindow { value, negated });
    Ok(())
}

pub(super) fn dsize(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let num = number(option, u16::MAX.into())?;
    if draft.dsize.replace((num, option.name.place)).is_some() {
        return Err(Problem::syntax(
            option.name.place,
            "a second `dsize`: a rule has only one",
        ));
    }
    draft.test(PacketTest::Dsize(num));
    Ok(())
}

pub(super) fn vlan_id(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let (id, layer) = match parts.as_slice() {
        [id] => (id, VlanLayer::Any),
        [id, layer] => {
            let at = match layer.value.to_ascii_lowercase().as_slice() {
                b"any" => VlanLayer::Any,
                b"all" => VlanLayer::All,
                _ => VlanLayer::At(args::integer(layer, -3, 2)? as i8),
            };
            (id, at)
        }
        _ => {
            return Err(args::expected(
                &text,
                "an identifier and, after a comma, a layer",
            ));
        }
    };
    draft.test(PacketTest::VlanId {
        id: parse_number(id, 0xFFF)?,
        layer,
    });
    Ok(())
}

pub(super) fn decode_event(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let event = DecoderEvent::from_name(&args::string(&text))
        .ok_or_else(|| args::expected(&text, "the name of a decoder event (`ipv4.trunc_pkt`)"))?;
    draft.test_anywhere(PacketTest::DecodeEvent(event));
    Ok(())
}

pub(super) fn rpc(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let number = |part: &Text| Ok(parse_plain_u64(part, u32::MAX.into())? as u32);
    let optional = |part: Option<&Text>| match part {
        None => Ok(None),
        Some(part) if part.value == b"*" => Ok(None),
        Some(part) => number(part).map(Some),
    };
    let (Some(program), true) = (parts.first(), parts.len() <= 3) else {
        return Err(args::expected(&text, "`PROGRAM, VERSION, PROCEDURE`"));
    };
    let program = number(program)?;
    let (version, procedure) = (optional(parts.get(1))?, optional(parts.get(2))?);
    draft.test(PacketTest::Rpc {
        program,
        version,
        procedure,
    });
    Ok(())
}
