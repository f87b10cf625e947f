//! Versions and states of TLS, and the times of certificates.

use weir_engine::app::AppField;
use weir_engine::plan::{AppTest, Num, NumOp, Which};

use super::need;
use super::values::negation;
use crate::compile::args;
use crate::compile::draft::Draft;
use crate::compile::names;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::split_list;

/// The number of a version of TLS, by its name.
pub(super) fn tls_number(name: &str) -> Option<u64> {
    Some(match name.trim() {
        "sslv2" => 0x0002,
        "sslv3" => 0x0300,
        "1.0" | "tls1.0" => 0x0301,
        "1.1" | "tls1.1" => 0x0302,
        "1.2" | "tls1.2" => 0x0303,
        "1.3" | "tls1.3" => 0x0304,
        other => u64::from_str_radix(other.strip_prefix("0x")?, 16).ok()?,
    })
}

pub(super) fn tls_version(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::TlsVersion.protos())?;
    let value = args::bare(args::value(option)?);
    let number = tls_number(&args::string(&value))
        .ok_or_else(|| args::expected(&value, "a version of TLS"))?;
    draft.app_test(AppTest::OneOf {
        field: AppField::TlsVersion,
        values: vec![number],
        negated: false,
    });
    Ok(())
}

pub(super) fn ssl_version(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::TlsVersion.protos())?;
    let value = args::bare(args::value(option)?);
    let (mut values, mut negations) = (Vec::new(), Vec::new());
    for part in split_list(&value) {
        let text = args::string(&part).to_ascii_lowercase();
        let (negated, name) = negation(&text);
        let number = tls_number(name);
        values.push(number.ok_or_else(|| args::expected(&part, "a version of SSL or TLS"))?);
        negations.push(negated);
    }
    let negated = negations.contains(&true);
    if negated && negations.contains(&false) {
        let message = "versions that are wanted beside others that are not";
        return Err(Problem::unsupported(value.place, "", message));
    }
    draft.app_test(AppTest::OneOf {
        field: AppField::TlsVersion,
        values,
        negated,
    });
    Ok(())
}

pub(super) fn ssl_state(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    const STATES: [(&str, u64); 5] = [
        ("client_hello", 1),
        ("server_hello", 2),
        ("client_keyx", 4),
        ("server_keyx", 8),
        ("unknown", 16),
    ];
    need(draft, option, AppField::TlsState.protos())?;
    let value = args::bare(args::value(option)?);
    let (mut mask, mut not) = (0, 0);
    for part in args::string(&value).split(['|', ',']) {
        let (negated, name) = negation(part);
        let Some((_, bit)) = STATES.iter().find(|(known, _)| *known == name) else {
            return Err(args::expected(&value, "states of a handshake"));
        };
        if negated { not |= bit } else { mask |= bit }
    }
    if not != 0 {
        draft.app_test(AppTest::Bits {
            field: AppField::TlsState,
            mask: not,
            value: 0,
            negated: false,
        });
    }
    if mask != 0 {
        draft.app_test(AppTest::AnyBit {
            field: AppField::TlsState,
            mask,
        });
    }
    Ok(())
}

pub(super) fn ages(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    of: &[(AppField, bool)],
) -> Result<(), Problem> {
    args::no_value(option)?;
    for &(field, past) in of {
        need(draft, option, field.protos())?;
        draft.app_test(AppTest::Age { field, past });
    }
    Ok(())
}

/// `tls_cert_notbefore:<2020`: a date, or two with `<>` between them.
pub(super) fn date(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    field: AppField,
) -> Result<(), Problem> {
    need(draft, option, field.protos())?;
    let value = args::bare(args::value(option)?);
    let text = args::string(&value);
    let text = text.trim();
    let seconds = |text: &str| {
        names::seconds_of(text)
            .ok_or_else(|| args::expected(&value, "a date such as 2020-01-31T12:00:00"))
    };
    let num = if let Some((from, to)) = text.split_once("<>") {
        let (a, b) = (seconds(from)?, seconds(to)?);
        if a >= b {
            return Err(args::expected(&value, "a range whose second date is later"));
        }
        Num {
            op: NumOp::Between,
            a,
            b,
        }
    } else if let Some(date) = text.strip_prefix('<') {
        Num::one(NumOp::Lt, seconds(date)?)
    } else if let Some(date) = text.strip_prefix('>') {
        Num::one(NumOp::Gt, seconds(date)?)
    } else {
        Num::one(NumOp::Eq, seconds(text)?)
    };
    draft.app_test(AppTest::Number {
        field,
        num,
        which: Which::Any,
        way: None,
    });
    Ok(())
}
