//! Which protocol a flow speaks, and events of reading it.

use weir_engine::app::{self, AppSet, FLOW_EVENTS};
use weir_engine::plan::{AppTest, ProtocolMode, ProtocolTest};

use super::need;
use crate::compile::args;
use crate::compile::draft::{Draft, Latest};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::split_list;

pub(super) fn protocol(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "a protocol"));
    };
    let text = args::string(first);
    let (negated, name) = match text.trim().strip_prefix('!') {
        Some(name) => (true, name.trim()),
        None => (false, text.trim()),
    };
    let mode = match parts.get(1).map(args::string).as_deref().map(str::trim) {
        None => ProtocolMode::Direction,
        Some("final") => ProtocolMode::Final,
        Some("original") => ProtocolMode::Original,
        Some("either") => ProtocolMode::Either,
        Some("to_server" | "toserver") => ProtocolMode::ToServer,
        Some(_) => ProtocolMode::ToClient,
    };
    if name == "unknown" {
        draft.app.protocols.push(ProtocolTest::Unknown);
        draft.latest = Some(Latest::Test);
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
    draft
        .app
        .protocols
        .push(ProtocolTest::Is { set, negated, mode });
    draft.latest = Some(Latest::Test);
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
        draft.app.protocols.push(ProtocolTest::Event(known));
        draft.latest = Some(Latest::Test);
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
