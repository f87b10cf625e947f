//! HTTP: the length of a URI, settings of HTTP/2.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Buffer, Op};

use super::need;
use crate::compile::args::{self, Text};
use crate::compile::draft::{Draft, Target};
use crate::compile::names;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, parse_urilen};

/// `urilen:5<>10,raw`: the length of a buffer.
pub(super) fn urilen(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppBuffer::HttpUri.protos())?;
    let (num, raw) = parse_urilen(&args::bare(args::value(option)?))?;
    let buffer = if raw {
        AppBuffer::HttpUriRaw
    } else {
        AppBuffer::HttpUri
    };
    draft.push_to(
        Target::Buffer(Buffer::App(buffer)),
        Op::BSize(num),
        option.name.place,
    );
    Ok(())
}

/// `http2.settings:NAME[op number]`
pub(super) fn http2_settings(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::Http2Setting.protos())?;
    let value = args::bare(args::value(option)?);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = value.value.iter().position(|byte| !is_name(byte));
    let (name, rest) = value.value.split_at(end.unwrap_or(value.value.len()));
    let known = names::HTTP2_SETTINGS
        .iter()
        .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
    let &(_, id) = known.ok_or_else(|| args::expected(&value, "the name of a setting"))?;
    let rest = Text {
        value: rest.trim_ascii().to_vec(),
        place: value.place,
    };
    let num = match rest.value.is_empty() {
        true => None,
        false => Some(parse_number(&rest, u32::MAX.into())?),
    };
    draft.app_test(AppTest::Setting { id, num });
    Ok(())
}
