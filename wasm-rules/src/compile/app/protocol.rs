//! Which protocol a flow speaks, and events of reading it.

use weir_engine::app::{self, AppSet, FLOW_EVENTS};
use weir_engine::plan::{AppTest, ProtocolMode, ProtocolTest};

use super::need;
use super::values::negation;
use crate::compile::args;
use crate::compile::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::split_list;

pub(super) fn protocol(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a protocol"));
    };
    let text = args::string(first);
    let (negated, name) = negation(&text);
    let mode = match parts.get(1) {
        None => ProtocolMode::Direction,
        Some(mode) => match mode.value.as_slice() {
            b"direction" => ProtocolMode::Direction,
            b"final" => ProtocolMode::Final,
            b"original" => ProtocolMode::Original,
            b"either" => ProtocolMode::Either,
            b"to_server" | b"toserver" => ProtocolMode::ToServer,
            b"to_client" | b"toclient" => ProtocolMode::ToClient,
            _ => {
                let what = "`direction`, `final`, `original`, `either`, `to_server` or `to_client`";
                return Err(args::expected(mode, what));
            }
        },
    };
    if name == "unknown" {
        if negated {
            let message = "`unknown` cannot be negated";
            return Err(Problem::syntax(first.place, message));
        }
        if mode != ProtocolMode::Direction {
            let message = "`unknown` is asked in the packet's direction only";
            return Err(Problem::unsupported(first.place, "", message));
        }
        draft.protocol_test(ProtocolTest::Unknown);
        return Ok(());
    }
    let Some(set) = AppSet::named(name) else {
        let message = format!("the protocol `{name}` is not told from others yet");
        return Err(Problem::unsupported(
            first.place,
            "app-layer-protocol",
            message,
        ));
    };
    if negated && !draft.app.protos.is_empty() {
        let message = "a rule for one protocol cannot ask for another not to be there";
        return Err(Problem::syntax(first.place, message));
    }
    draft.protocol_test(ProtocolTest::Is { set, negated, mode });
    Ok(())
}

pub(super) fn event(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = args::bare(args::value(option)?);
    let name = args::string(&value);
    let name = name.trim();
    let name = name
        .strip_prefix("http1.")
        .map_or_else(|| name.to_owned(), |rest| format!("http.{rest}"));
    if let Some(known) = FLOW_EVENTS.iter().find(|known| **known == name) {
        draft.protocol_test(ProtocolTest::Event(known));
        return Ok(());
    }
    let proto = name.split('.').next().unwrap_or_default();
    match app::events().find(|known| *known == name) {
        Some(known) => {
            let protos = AppSet::named(proto).unwrap_or_default();
            need(draft, option, protos)?;
            draft.app_test(AppTest::Event(known));
            Ok(())
        }
        None => {
            let message = format!("the event `{name}` is not raised yet");
            Err(Problem::unsupported(
                value.place,
                format!("app-layer-event {proto}"),
                message,
            ))
        }
    }
}
