//! DCE/RPC: interfaces and operations.

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::AppTest;

use super::need;
use crate::compile::args;
use crate::compile::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list};

/// `dcerpc.iface:UUID[,[op]version][,any_frag]`
pub(super) fn interface(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppBuffer::DceInterface.protos())?;
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let Some(first) = parts.first() else {
        return Err(args::expected(&value, "an interface"));
    };
    let digits: Vec<u8> = first
        .value
        .iter()
        .copied()
        .filter(|&byte| byte != b'-')
        .collect();
    let uuid = args::hex(&digits).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let uuid = uuid.ok_or_else(|| args::expected(first, "a UUID"))?;
    let mut version = None;
    for part in parts.iter().skip(1) {
        if part.value.trim_ascii() != b"any_frag" {
            version = Some(parse_number(part, u16::MAX.into())?);
        }
    }
    draft.app_test(AppTest::DceInterface { uuid, version });
    Ok(())
}

/// `dcerpc.opnum:15,17-20`
pub(super) fn opnum(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::DceOpnum.protos())?;
    let value = args::bare(args::value(option)?);
    let mut ranges = Vec::new();
    for part in split_list(&value) {
        let text = args::string(&part);
        let number = |text: &str| {
            text.trim()
                .parse::<u16>()
                .map_err(|_| args::expected(&part, "an operation number"))
        };
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(&text)?, number(&text)?),
        };
        if from > to {
            return Err(args::expected(
                &part,
                "a range whose second number is greater",
            ));
        }
        ranges.push((u64::from(from), u64::from(to)));
    }
    ranges.sort_unstable();
    let mut values: Vec<u64> = Vec::new();
    for (from, to) in ranges {
        // What ranges have in common is there once.
        let from = values.last().map_or(from, |&last| from.max(last + 1));
        values.extend(from..=to);
    }
    draft.app_test(AppTest::OneOf {
        field: AppField::DceOpnum,
        values,
        negated: false,
    });
    Ok(())
}
