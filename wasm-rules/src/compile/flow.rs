//! `flow`, `threshold` and `detection_filter`.

use weir_engine::plan::{FlowTest, Threshold, ThresholdKind, Track};

use super::args::{self, Text};
use super::draft::{Draft, Latest};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::split_list;

pub(super) fn flow(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    if draft.flow.is_some() {
        return Err(Problem::syntax(
            option.name.place,
            "a second `flow`: a rule has only one",
        ));
    }
    let mut flow = FlowTest::default();
    for part in split_list(&text) {
        let FlowTest {
            to_server,
            to_client,
            established,
            not_established,
            stateless,
            ..
        } = flow;
        let state = established || not_established || stateless;
        let direction = to_server || to_client;
        let (field, taken): (fn(&mut FlowTest) -> &mut bool, bool) = match part
            .value
            .to_ascii_lowercase()
            .as_slice()
        {
            b"established" => (|flow| &mut flow.established, state),
            b"not_established" => (|flow| &mut flow.not_established, state),
            b"stateless" => (|flow| &mut flow.stateless, state),
            b"to_server" | b"from_client" => (|flow| &mut flow.to_server, direction),
            b"to_client" | b"from_server" => (|flow| &mut flow.to_client, direction),
            b"only_stream" => (
                |flow| &mut flow.only_stream,
                flow.only_stream || flow.no_stream,
            ),
            b"no_stream" => (
                |flow| &mut flow.no_stream,
                flow.only_stream || flow.no_stream,
            ),
            b"only_frag" => (|flow| &mut flow.only_frag, flow.only_frag || flow.no_frag),
            b"no_frag" => (|flow| &mut flow.no_frag, flow.only_frag || flow.no_frag),
            _ => {
                let what = "`established`, `not_established`, `stateless`, `to_server`, `to_client`, `from_server`, \
                    `from_client`, `only_stream`, `no_stream`, `only_frag` or `no_frag`";
                return Err(args::expected(&part, what));
            }
        };
        if taken {
            return Err(Problem::syntax(
                part.place,
                format!("`{}` contradicts what is before it", args::string(&part)),
            ));
        }
        *field(&mut flow) = true;
    }
    draft.require_stream |= flow.only_stream;
    draft.require_packet |= flow.no_stream;
    draft.flow = Some(flow);
    draft.latest = Some(Latest::Test);
    Ok(())
}

/// The parts of `threshold` and `detection_filter`.
#[derive(Debug, Default)]
struct Parts {
    kind: Option<Text>,
    track: Option<Track>,
    count: Option<u32>,
    seconds: Option<u32>,
    multiplier: Option<u32>,
}

fn parts(option: &RuleOption, threshold: bool) -> Result<Parts, Problem> {
    let mut parts = Parts::default();
    for (key, rest) in args::pairs(&args::bare(args::value(option)?)) {
        let rest = rest.ok_or_else(|| args::expected(&key, "a name and a value"))?;
        let number =
            || args::integer(&rest, 1, i64::from(u32::MAX)).map(|number| Some(number as u32));
        let twice = match key.value.as_slice() {
            b"track" => parts.track.replace(track(&rest)?).is_some(),
            b"count" => std::mem::replace(&mut parts.count, number()?).is_some(),
            b"seconds" => std::mem::replace(&mut parts.seconds, number()?).is_some(),
            b"type" if threshold => parts.kind.replace(rest).is_some(),
            b"multiplier" if threshold => {
                std::mem::replace(&mut parts.multiplier, number()?).is_some()
            }
            _ if threshold => {
                return Err(args::expected(
                    &key,
                    "`type`, `track`, `count`, `seconds` or `multiplier`",
                ));
            }
            _ => return Err(args::expected(&key, "`track`, `count` or `seconds`")),
        };
        if twice {
            return Err(Problem::syntax(
                key.place,
                format!("a second `{}`", args::string(&key)),
            ));
        }
    }
    Ok(parts)
}

fn track(text: &Text) -> Result<Track, Problem> {
    Ok(match text.value.as_slice() {
        b"by_src" => Track::BySrc,
        b"by_dst" => Track::ByDst,
        b"by_rule" => Track::ByRule,
        b"by_both" => Track::ByBoth,
        b"by_flow" => Track::ByFlow,
        _ => {
            return Err(args::expected(
                text,
                "`by_src`, `by_dst`, `by_both`, `by_rule` or `by_flow`",
            ));
        }
    })
}

/// A part that has to be there.
fn needed<T>(part: Option<T>, name: &str, option: &RuleOption) -> Result<T, Problem> {
    part.ok_or_else(|| {
        Problem::syntax(
            option.name.place,
            format!("`{}` needs `{name}`", option.name.value),
        )
    })
}

/// A rule has one of `threshold` and `detection_filter`. Suricata takes several `threshold`.
fn alone(draft: &Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let place = option.name.place;
    let second = option.name.value == "threshold";
    match (&draft.threshold, &draft.detection_filter) {
        (None, None) => Ok(()),
        (Some(_), None) if second => Err(Problem::unsupported(
            place,
            "",
            "two `threshold` in one rule",
        )),
        (None, Some(_)) if !second => Err(Problem::syntax(
            place,
            "a second `detection_filter`: a rule has only one",
        )),
        _ => Err(Problem::syntax(
            place,
            "a rule has a `threshold` or a `detection_filter`, not both",
        )),
    }
}

pub(super) fn threshold(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    alone(draft, option)?;
    let parts = parts(option, true)?;
    let (kind, track) = (
        needed(parts.kind, "type", option)?,
        needed(parts.track, "track", option)?,
    );
    let count = needed(parts.count, "count", option)?;
    let backoff = kind.value == b"backoff";
    let kind = match kind.value.as_slice() {
        b"limit" => ThresholdKind::Limit,
        b"threshold" => ThresholdKind::Threshold,
        b"both" => ThresholdKind::Both,
        b"backoff" => ThresholdKind::Backoff {
            multiplier: needed(parts.multiplier, "multiplier", option)?,
        },
        _ => {
            return Err(args::expected(
                &kind,
                "`limit`, `threshold`, `both` or `backoff`",
            ));
        }
    };
    if backoff && track != Track::ByFlow {
        return Err(Problem::syntax(
            option.name.place,
            "`type backoff` needs `track by_flow`",
        ));
    }
    if !backoff && parts.multiplier.is_some() {
        return Err(Problem::syntax(
            option.name.place,
            "`multiplier` needs `type backoff`",
        ));
    }
    // `backoff` has no period.
    let seconds = if backoff {
        parts.seconds.unwrap_or(0)
    } else {
        needed(parts.seconds, "seconds", option)?
    };
    draft.threshold = Some(Threshold {
        kind,
        track,
        count,
        seconds,
    });
    Ok(())
}

pub(super) fn detection_filter(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    alone(draft, option)?;
    let parts = parts(option, false)?;
    draft.detection_filter = Some(Threshold {
        kind: ThresholdKind::DetectionFilter,
        track: needed(parts.track, "track", option)?,
        count: needed(parts.count, "count", option)?,
        seconds: needed(parts.seconds, "seconds", option)?,
    });
    Ok(())
}
