//! Keywords about what is known about a flow: its age, packets and bytes, and the phase of its connection.

use weir_engine::plan::{FlowProperty, FlowSide, Num, NumOp};

use super::args::{self, Text};
use super::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, parse_plain_u64, split_list};

/// `flow.age`
pub(super) fn flow_age(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let num = parse_number(&args::bare(args::value(option)?), u32::MAX.into())?;
    draft.require_packet = true;
    draft.flow_property(FlowProperty::Age(num));
    Ok(())
}

/// A direction, as `flow.pkts` and its like have it.
fn side(text: &Text) -> Result<FlowSide, Problem> {
    Ok(match text.value.as_slice() {
        b"toserver" => FlowSide::ToServer,
        b"toclient" => FlowSide::ToClient,
        b"either" => FlowSide::Either,
        b"both" => FlowSide::Both,
        _ => {
            let what = "`toserver`, `toclient`, `either` or `both`";
            return Err(args::expected(text, what));
        }
    })
}

/// `flow.pkts` and `flow.bytes`, whose direction may be in the keyword's name.
pub(super) fn flow_count(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    keyword: &str,
) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let (what, named) = match keyword.split_once('_') {
        Some((what, "toserver")) => (what, Some(FlowSide::ToServer)),
        Some((what, _)) => (what, Some(FlowSide::ToClient)),
        None => (keyword, None),
    };
    let parts = split_list(&text);
    let (side, number) = match (named, parts.as_slice()) {
        (Some(side), [number]) => (side, number),
        (None, [of, number]) => (side(of)?, number),
        (Some(_), _) => return Err(args::expected(&text, "a number")),
        (None, _) => return Err(args::expected(&text, "a direction and a number")),
    };
    draft.require_packet = true;
    draft.flow_property(match what {
        "flow.pkts" => FlowProperty::Packets(side, parse_number(number, u32::MAX.into())?),
        _ => FlowProperty::Bytes(side, parse_number(number, u64::MAX)?),
    });
    Ok(())
}

/// `flow.elephant`
pub(super) fn flow_elephant(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let side = side(&args::bare(args::value(option)?))?;
    draft.require_packet = true;
    draft.flow_property(FlowProperty::Elephant(side));
    Ok(())
}

/// `tcp.session`: some of its phases.
pub(super) fn tcp_session(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let (mut setup, mut established, mut closing) = (false, false, false);
    for phase in split_list(&args::bare(args::value(option)?)) {
        let flag = match phase.value.as_slice() {
            b"setup" => &mut setup,
            b"established" => &mut established,
            b"closing" => &mut closing,
            _ => {
                let what = "`setup`, `established` or `closing`";
                return Err(args::expected(&phase, what));
            }
        };
        if std::mem::replace(flag, true) {
            return Err(args::expected(&phase, "each phase once"));
        }
    }
    draft.require_packet = true;
    draft.flow_property(FlowProperty::Session {
        setup,
        established,
        closing,
    });
    Ok(())
}

/// `stream_size:SIDE,OPERATOR,NUMBER`, where the comma between the last two may be left out.
pub(super) fn stream_size(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let parts = split_list(&text);
    let num = match parts.as_slice() {
        [_, num] => parse_number(num, u32::MAX.into())?,
        [_, operator, number] => {
            let op = match operator.value.as_slice() {
                b"=" => NumOp::Eq,
                b"!=" | b"!" => NumOp::Ne,
                b"<" => NumOp::Lt,
                b"<=" => NumOp::Le,
                b">" => NumOp::Gt,
                b">=" => NumOp::Ge,
                _ => return Err(args::expected(operator, "=, !=, <, <=, > or >=")),
            };
            Num::one(op, parse_plain_u64(number, u32::MAX.into())?)
        }
        _ => return Err(args::expected(&text, "a side, an operator and a number")),
    };
    let of = parts.first().unwrap_or(&text);
    let side = match of.value.as_slice() {
        // What a side has sent goes to the other one.
        b"server" => FlowSide::ToClient,
        b"client" => FlowSide::ToServer,
        b"either" => FlowSide::Either,
        b"both" => FlowSide::Both,
        _ => {
            let what = "`server`, `client`, `both` or `either`";
            return Err(args::expected(of, what));
        }
    };
    draft.flow_property(FlowProperty::StreamSize(side, num));
    Ok(())
}
