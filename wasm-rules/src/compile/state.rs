//! Keywords about state, what is done after a match, and events.

use std::sync::Arc;

use weir_engine::packet::DecoderEvent;
use weir_engine::plan::{
    BitKeyword, BitOp, BitTrack, Compare, FlowIntOp, FlowIntValue, HostSide, Name, Num, NumOp,
    PacketTest, StateAction, StateTest, TagMetric, TagScope,
};
use weir_engine::stream::StreamEvent;

use super::Warning;
use super::args::{self, Text};
use super::draft::{Draft, Latest};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_content, parse_number, split_list};

/// How long `hostbits` and `xbits` last that do not say it, in seconds.
const BIT_SECONDS: u32 = 300;
/// Most packets that a `tag` marks, and how many it marks when it does not say it.
const TAG_PACKETS: u32 = 256;
/// Largest reputation of an address.
const MAX_REPUTATION: u64 = 127;

pub(super) fn name(text: &Text) -> Name {
    Arc::from(args::string(text))
}

/// What is done with a bit.
enum BitCommand {
    Change(BitOp),
    /// `isset`; otherwise `isnotset`.
    Test(bool),
}

/// The parts of `flowbits`, `hostbits` and `xbits`: command, name and what follows; `None` for `noalert`, which is done.
fn bits(
    draft: &mut Draft<'_>,
    option: &RuleOption,
) -> Result<Option<(BitCommand, Text, Vec<Text>)>, Problem> {
    let text = args::bare(args::value(option)?);
    if text.value == b"noalert" {
        draft.noalert = true;
        return Ok(None);
    }
    let mut parts = split_list(&text).into_iter();
    let (Some(command), Some(name)) = (parts.next(), parts.next()) else {
        return Err(args::expected(&text, "`noalert`, or a command and a name"));
    };
    let command = match command.value.as_slice() {
        b"set" => BitCommand::Change(BitOp::Set),
        b"unset" => BitCommand::Change(BitOp::Unset),
        b"toggle" => BitCommand::Change(BitOp::Toggle),
        b"isset" => BitCommand::Test(true),
        b"isnotset" => BitCommand::Test(false),
        _ => {
            let what = "`set`, `unset`, `toggle`, `isset` or `isnotset`";
            return Err(args::expected(&command, what));
        }
    };
    Ok(Some((command, name, parts.collect())))
}

pub(super) fn flowbits(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    match bits(draft, option)? {
        None => {}
        Some((BitCommand::Change(op), bit, _)) => {
            draft.state_actions.push(StateAction::FlowBit {
                op,
                name: name(&bit),
            });
        }
        Some((BitCommand::Test(set), names, _)) => {
            let names = names
                .value
                .split(|&byte| byte == b'|')
                .map(<[u8]>::trim_ascii);
            let names = names.filter(|name| !name.is_empty());
            let names = names.map(|name| Arc::from(String::from_utf8_lossy(name)));
            draft.state_test(StateTest::FlowBit {
                names: names.collect(),
                set,
            });
        }
    }
    Ok(())
}

/// Puts a bit of hosts into the draft.
fn host_bit(
    draft: &mut Draft<'_>,
    command: BitCommand,
    bit: &Text,
    (track, keyword): (BitTrack, BitKeyword),
    seconds: u32,
) {
    let name = name(bit);
    match command {
        BitCommand::Change(op) => draft.state_actions.push(StateAction::HostBit {
            op,
            name,
            track,
            seconds,
            keyword,
        }),
        BitCommand::Test(set) => draft.state_test(StateTest::HostBit {
            name,
            track,
            set,
            keyword,
        }),
    }
}

/// `hostbits:COMMAND,NAME[,src|dst[,SECONDS]]`
pub(super) fn hostbits(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let Some((command, bit, rest)) = bits(draft, option)? else {
        return Ok(());
    };
    let track = match rest.first().map(|side| (side.value.as_slice(), side)) {
        None | Some((b"src", _)) => BitTrack::Src,
        Some((b"dst", _)) => BitTrack::Dst,
        Some((b"both", side)) => {
            let message = "`both` is not supported, as in Suricata";
            return Err(Problem::unsupported(side.place, "", message));
        }
        Some((_, side)) => return Err(args::expected(side, "`src` or `dst`")),
    };
    let seconds = seconds(rest.get(1))?;
    host_bit(draft, command, &bit, (track, BitKeyword::HostBits), seconds);
    Ok(())
}

/// `xbits:COMMAND,NAME,track TRACK[,expire SECONDS]`
pub(super) fn xbits(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let Some((command, bit, rest)) = bits(draft, option)? else {
        return Ok(());
    };
    let (mut track, mut expire) = (None, None);
    for part in &rest {
        match args::pair(part) {
            (key, Some(of)) if key.value == b"track" => track = Some(of),
            (key, Some(of)) if key.value == b"expire" => expire = Some(of),
            (key, _) => return Err(args::expected(&key, "`track TRACK` or `expire SECONDS`")),
        }
    }
    let track = track.ok_or_else(|| {
        Problem::syntax(
            bit.place.plus(bit.value.len()),
            "expected `track` and `ip_src`, `ip_dst` or `ip_pair` after the name",
        )
    })?;
    let track = match track.value.as_slice() {
        b"ip_src" => BitTrack::Src,
        b"ip_dst" => BitTrack::Dst,
        b"ip_pair" => BitTrack::Pair,
        b"tx" => {
            let message = "`track tx` needs transactions of an application layer";
            return Err(Problem::unsupported(track.place, "xbits track tx", message));
        }
        _ => return Err(args::expected(&track, "`ip_src`, `ip_dst` or `ip_pair`")),
    };
    let seconds = seconds(expire.as_ref())?;
    host_bit(draft, command, &bit, (track, BitKeyword::XBits), seconds);
    Ok(())
}

fn seconds(text: Option<&Text>) -> Result<u32, Problem> {
    text.map_or(Ok(BIT_SECONDS), |text| {
        args::integer(text, 1, u32::MAX.into()).map(|number| number as u32)
    })
}

fn compare(text: &Text) -> Option<Compare> {
    Some(match text.value.as_slice() {
        b"==" => Compare::Eq,
        b"!=" => Compare::Ne,
        b"<" => Compare::Lt,
        b"<=" => Compare::Le,
        b">" => Compare::Gt,
        b">=" => Compare::Ge,
        _ => return None,
    })
}

/// `flowint:NAME,OPERATOR,VALUE` or `flowint:NAME,isset`
pub(super) fn flowint(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let (counter, operator, value) = match parts.as_slice() {
        [counter, operator] => (counter, operator, None),
        [counter, operator, value] => (counter, operator, Some(value)),
        _ => return Err(args::expected(&text, "a counter, an operator and a value")),
    };
    let name = name(counter);
    let exists = match (operator.value.as_slice(), value) {
        (b"isset", None) => Some(true),
        (b"notset" | b"isnotset", None) => Some(false),
        _ => None,
    };
    if let Some(exists) = exists {
        draft.state_test(StateTest::FlowIntExists { name, exists });
        return Ok(());
    }
    let value = value.ok_or_else(|| args::expected(operator, "`isset`, `notset` or `isnotset`"))?;
    let value = if args::is_number(value) {
        FlowIntValue::Number(args::integer(value, 0, u32::MAX.into())? as u32)
    } else {
        FlowIntValue::Counter(self::name(value))
    };
    let op = match operator.value.as_slice() {
        b"=" => FlowIntOp::Set,
        b"+" => FlowIntOp::Add,
        b"-" => FlowIntOp::Sub,
        _ => {
            let compare = compare(operator)
                .ok_or_else(|| args::expected(operator, "+, -, =, ==, !=, <, <=, > or >="))?;
            draft.state_test(StateTest::FlowInt {
                name,
                compare,
                value,
            });
            return Ok(());
        }
    };
    draft
        .state_actions
        .push(StateAction::FlowInt { name, op, value });
    Ok(())
}

fn host_side(text: &Text) -> Option<HostSide> {
    Some(match text.value.as_slice() {
        b"src" => HostSide::Src,
        b"dst" => HostSide::Dst,
        b"any" => HostSide::Any,
        b"both" => HostSide::Both,
        _ => return None,
    })
}

/// `iprep:SIDE,CATEGORY,OPERATOR,VALUE` or `iprep:SIDE,CATEGORY,isset`
pub(super) fn iprep(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let [of, category, rest @ ..] = parts.as_slice() else {
        return Err(args::expected(&text, "a side, a category and a comparison"));
    };
    let side = host_side(of).ok_or_else(|| args::expected(of, "`src`, `dst`, `any` or `both`"))?;
    let value = match rest {
        [word] if word.value == b"isset" => Some(Num::one(NumOp::Ge, 0)),
        [word] if word.value == b"isnotset" => None,
        [num] => Some(parse_number(num, MAX_REPUTATION)?),
        // The operator and the number, as if there were no comma between them.
        [operator, number] => {
            let joined = Text {
                value: [operator.value.as_slice(), &number.value].concat(),
                place: operator.place,
            };
            Some(parse_number(&joined, MAX_REPUTATION)?)
        }
        _ => return Err(args::expected(&text, "a side, a category and a comparison")),
    };
    draft.state_test(StateTest::IpRep {
        side,
        category: name(category),
        value,
    });
    Ok(())
}

/// `geoip:[SIDE,]COUNTRY,…`; one `!` negates all of them.
pub(super) fn geoip(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let mut parts = split_list(&text);
    let side = parts.first().and_then(host_side);
    if side.is_some() {
        parts.remove(0);
    }
    let (mut countries, mut negated) = (Vec::with_capacity(parts.len()), false);
    for part in &parts {
        let code = part.value.strip_prefix(b"!");
        negated |= code.is_some();
        let code = code.unwrap_or(&part.value).to_ascii_uppercase();
        let code = <[u8; 2]>::try_from(code.as_slice());
        countries.push(code.map_err(|_| args::expected(part, "a country of two letters"))?);
    }
    if countries.is_empty() {
        return Err(args::expected(&text, "a country of two letters"));
    }
    draft.require_packet = true;
    draft.state_test(StateTest::GeoIp {
        side: side.unwrap_or(HostSide::Any),
        countries,
        negated,
    });
    Ok(())
}

/// `tag:session|host[,COUNT,packets|seconds|bytes[,src|dst]]`
pub(super) fn tag(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let (what, measure, side) = match parts.as_slice() {
        [what] => (what, None, None),
        [what, count, unit] => (what, Some((count, unit)), None),
        [what, count, unit, side] => (what, Some((count, unit)), Some(side)),
        _ => {
            let form = "`session` or `host`, and perhaps a count, a unit and a side";
            return Err(args::expected(&text, form));
        }
    };
    let of_side = match side.map(|side| (side.value.as_slice(), side)) {
        Some((b"src", _)) => TagScope::Src,
        None | Some((b"dst", _)) => TagScope::Dst,
        Some((_, side)) => return Err(args::expected(side, "`src` or `dst`")),
    };
    let scope = match what.value.as_slice() {
        b"session" => TagScope::Session,
        b"host" => of_side,
        _ => return Err(args::expected(what, "`session` or `host`")),
    };
    if let (TagScope::Session, Some(side)) = (scope, side) {
        draft.warnings.push(Warning {
            place: side.place,
            message: "a side does not count for `session`".to_owned(),
        });
    }
    let metric = match measure {
        None => TagMetric::Packets(TAG_PACKETS),
        Some((count, unit)) => {
            let number = args::integer(count, 0, u32::MAX.into())? as u32;
            match unit.value.as_slice() {
                b"packets" => TagMetric::Packets(number.min(TAG_PACKETS)),
                b"seconds" => TagMetric::Seconds(number),
                b"bytes" => TagMetric::Bytes(number),
                _ => return Err(args::expected(unit, "`packets`, `seconds` or `bytes`")),
            }
        }
    };
    draft.state_actions.push(StateAction::Tag { scope, metric });
    Ok(())
}

pub(super) fn bypass(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    draft.state_actions.push(StateAction::Bypass);
    Ok(())
}

/// `replace`: other bytes for the content of the payload before it, just as many.
pub(super) fn replace(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::value(option)?;
    let bytes = parse_content(text)?.bytes;
    let payload = draft.lists.iter().position(super::draft::List::is_payload);
    let content = payload.and_then(|at| Some((at, draft.lists.get(at)?.last_content()?)));
    let Some((list, (entry, content))) = content else {
        let message = "`replace` belongs to a content of the payload, and there is none before it";
        return Err(Problem::syntax(option.name.place, message));
    };
    if content.negated {
        let message = "a negated content cannot be replaced";
        return Err(Problem::syntax(option.name.place, message));
    }
    let length = content.bytes.len();
    if bytes.len() != length {
        let message = format!(
            "the content before it has {length} bytes, and these are {}",
            bytes.len()
        );
        return Err(Problem::syntax(text.place, message));
    }
    if let Some((_, extras)) = draft.content_mut((list, entry)) {
        extras.replace = Some(bytes);
    }
    Ok(())
}

/// `stream-event`, and `engine-event` with the prefix `stream.` or `decoder.`
pub(super) fn event(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    keyword: &str,
) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let event = args::string(&text).to_ascii_lowercase();
    let stream = |event: &str| StreamEvent::from_name(event).map(PacketTest::StreamEvent);
    let decoder = |event: &str| DecoderEvent::from_name(event).map(PacketTest::DecodeEvent);
    let test = match (keyword, event.split_once('.')) {
        ("stream-event", _) => stream(&event),
        (_, Some(("stream", _))) => stream(&event),
        (_, Some(("decoder", _))) => decoder(&event),
        _ => None,
    };
    let what = match keyword {
        "stream-event" => "the name of a stream event (`est_packet_out_of_window`)",
        _ => "the name of an event with its prefix (`stream.…`, `decoder.…`)",
    };
    draft
        .tests
        .push(test.ok_or_else(|| args::expected(&text, what))?);
    draft.latest = Some(Latest::Test);
    Ok(())
}
