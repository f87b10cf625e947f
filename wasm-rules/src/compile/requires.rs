//! `requires`: rules that are only for some versions of the engine.

use super::args::{self, Text};
use crate::syntax::ast::{MAX_MESSAGE, Problem, RuleOption, clipped};
use crate::syntax::value::split_list;

/// The version of Suricata whose rule language this is: major, minor, patch.
pub const SURICATA_VERSION: [u8; 3] = [8, 0, 6];

/// What rules can ask for and is there. (`output::file-store` is not: files are not written.)
const FEATURES: [&str; 4] = ["ja3", "ja4", "hassh", "true"];

/// Whether the rule is for this engine; if not, why.
///
/// # Errors
///
/// When the value does not follow the keyword's grammar.
pub(super) fn unmet(option: &RuleOption) -> Result<Option<String>, Problem> {
    let text = args::value(option)?;
    let (mut reason, mut versions) = (None, false);
    for part in split_list(text) {
        let (key, rest) = args::pair(&part);
        let wanted = rest.as_ref().map(args::string).unwrap_or_default();
        let failed = match (key.value.as_slice(), &rest) {
            (b"version", Some(rest)) => {
                if std::mem::replace(&mut versions, true) {
                    return Err(Problem::syntax(key.place, "a second `version`"));
                }
                (!version(rest)?).then(|| {
                    let [major, minor, patch] = SURICATA_VERSION;
                    format!("it requires version {wanted}, and this is the language of Suricata {major}.{minor}.{patch}")
                })
            }
            (b"keyword", Some(_)) => crate::keywords::lookup(&wanted)
                .is_none()
                .then(|| format!("it requires the keyword {wanted}")),
            (b"feature", Some(_)) => (!FEATURES.contains(&wanted.as_str()))
                .then(|| format!("it requires the feature {wanted}")),
            (b"version" | b"keyword" | b"feature", None) => {
                return Err(Problem::syntax(
                    key.place,
                    format!("`{}` needs a value after it", args::string(&key)),
                ));
            }
            // As in Suricata, what is not known is not met.
            _ => Some(format!(
                "it requires {}, which is not known",
                args::string(&part)
            )),
        };
        reason = reason.or(failed);
    }
    Ok(reason.map(|reason| clipped(reason, MAX_MESSAGE)))
}

/// `>= 7.0.3 < 8 | >= 9`
fn version(text: &Text) -> Result<bool, Problem> {
    let mut met = false;
    let mut offset = 0;
    for alternative in text.value.split(|&byte| byte == b'|') {
        let part = Text {
            value: alternative.to_vec(),
            place: text.place.plus(offset),
        };
        offset += alternative.len() + 1;
        met |= comparisons(&part)?;
    }
    Ok(met)
}

fn comparisons(text: &Text) -> Result<bool, Problem> {
    const FORM: &str = "`>`, `>=`, `<` or `<=` and a version such as 8.0.1";
    let written = args::string(text);
    let mut rest = written.trim();
    if rest.is_empty() {
        return Err(args::expected(text, FORM));
    }
    let mut met = true;
    while !rest.is_empty() {
        let symbol = ["<=", ">=", "<", ">"]
            .into_iter()
            .find(|symbol| rest.starts_with(symbol));
        let Some((symbol, after)) =
            symbol.and_then(|symbol| Some((symbol, rest.strip_prefix(symbol)?.trim_start())))
        else {
            return Err(args::expected(text, FORM));
        };
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (digits, next) = after.split_at(end);
        let wanted = parse_version(digits).ok_or_else(|| args::expected(text, FORM))?;
        met &= match symbol {
            "<=" => SURICATA_VERSION <= wanted,
            ">=" => SURICATA_VERSION >= wanted,
            "<" => SURICATA_VERSION < wanted,
            _ => SURICATA_VERSION > wanted,
        };
        rest = next.trim_start();
    }
    Ok(met)
}

/// `8`, `8.0` or `8.0.1`, and perhaps `-beta1` after it.
fn parse_version(text: &str) -> Option<[u8; 3]> {
    let text = text.split('-').next()?;
    let mut version = [0; 3];
    let mut parts = text.split('.');
    *version.first_mut()? = parts.next()?.parse().ok()?;
    for to in version.iter_mut().skip(1) {
        if let Some(part) = parts.next() {
            *to = part.parse().ok()?;
        }
    }
    parts.next().is_none().then_some(version)
}
