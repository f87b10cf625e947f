//! `content`, its modifiers, `isdataat` and `pcre`.

mod pcre;

use weir_engine::plan::{Content, IsDataAt, Op, Value};

use super::args::{self, Text};
use super::draft::{Draft, Extras, Target};
use crate::syntax::ast::{Place, Problem, RuleOption};
use crate::syntax::value::parse_content;
pub(super) use pcre::pcre;

/// Largest `distance` and `within`, either way (Suricata's `DETECT_CONTENT_VALUE_MAX`).
const MAX_RELATIVE: i64 = 1 << 20;
/// Largest `offset` and `depth`.
const MAX_ABSOLUTE: i64 = u16::MAX as i64;

const MIXED: &str = "`distance` and `within` count from the match before, `offset`, `depth` and `startswith` from the \
    start of the buffer: one content cannot have both";

pub(super) fn content(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let parsed = parse_content(args::value(option)?)?;
    draft.push(
        Op::Content(Content {
            bytes: parsed.bytes,
            negated: parsed.negated,
            ..Content::default()
        }),
        option.name.place,
    );
    Ok(())
}

/// The content that `option` modifies, with a check that is common to all modifiers: `twice` says whether it has this
/// one already.
fn modify(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    twice: impl Fn(&Content, &Extras) -> bool,
    apply: impl FnOnce(&mut Content, &mut Extras) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let name = &option.name;
    let at = draft.last_content(&name.value, name.place)?;
    let Some((content, extras)) = draft.content_mut(at) else {
        return Ok(());
    };
    if twice(content, extras) {
        return Err(Problem::syntax(
            name.place,
            format!("a second `{}` for the same content", name.value),
        ));
    }
    apply(content, extras)
}

/// Checks that concern every modifier of position.
fn placed(content: &Content, only: bool, place: Place) -> Result<(), Problem> {
    if content.negated && content.fast_pattern {
        return Err(Problem::syntax(
            place,
            "a negated content with `fast_pattern` cannot have a position",
        ));
    }
    if only {
        return Err(Problem::syntax(
            place,
            "a content with `fast_pattern:only` cannot have a position",
        ));
    }
    Ok(())
}

fn absolute(content: &Content, place: Place) -> Result<(), Problem> {
    if content.relative() {
        Err(Problem::syntax(place, MIXED))
    } else {
        Ok(())
    }
}

fn relative(content: &Content, place: Place) -> Result<(), Problem> {
    let anchored = content.offset.is_some() || content.depth.is_some() || content.startswith;
    if anchored {
        Err(Problem::syntax(place, MIXED))
    } else {
        Ok(())
    }
}

/// A problem when a window is shorter than what it must hold.
fn holds(value: Value, content: &Content, text: &Text, what: &str) -> Result<(), Problem> {
    let length = content.bytes.len();
    match value {
        Value::Const(number) if number < length as i64 => Err(Problem::syntax(
            text.place,
            format!("{what} {number} is too small for the content, which has {length} bytes"),
        )),
        _ => Ok(()),
    }
}

/// A problem when the content cannot be given a position counted from the start of the buffer; `what` names it.
fn takes_position(
    content: &Content,
    extras: &Extras,
    place: Place,
    what: &str,
) -> Result<(), Problem> {
    absolute(content, place)?;
    placed(content, extras.only, place)?;
    if content.startswith {
        let message = format!("a content with `startswith` cannot have {what}");
        return Err(Problem::syntax(place, message));
    }
    Ok(())
}

pub(super) fn offset(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let value = draft.operand(&text, 0, MAX_ABSOLUTE)?;
    modify(
        draft,
        option,
        |content, _| content.offset.is_some(),
        |content, extras| {
            takes_position(content, extras, option.name.place, "an `offset`")?;
            content.offset = Some(value);
            Ok(())
        },
    )
}

pub(super) fn depth(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let value = draft.operand(&text, 0, MAX_ABSOLUTE)?;
    modify(
        draft,
        option,
        |content, _| content.depth.is_some(),
        |content, extras| {
            takes_position(content, extras, option.name.place, "a `depth`")?;
            holds(value, content, &text, "a depth of")?;
            content.depth = Some(value);
            Ok(())
        },
    )
}

pub(super) fn distance(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let value = draft.operand(
        &args::bare(args::value(option)?),
        -MAX_RELATIVE,
        MAX_RELATIVE,
    )?;
    follows_only(draft, option)?;
    modify(
        draft,
        option,
        |content, _| content.distance.is_some(),
        |content, extras| {
            relative(content, option.name.place)?;
            placed(content, extras.only, option.name.place)?;
            content.distance = Some(value);
            Ok(())
        },
    )
}

pub(super) fn within(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let value = draft.operand(&text, -MAX_RELATIVE, MAX_RELATIVE)?;
    follows_only(draft, option)?;
    modify(
        draft,
        option,
        |content, _| content.within.is_some(),
        |content, extras| {
            relative(content, option.name.place)?;
            placed(content, extras.only, option.name.place)?;
            holds(value, content, &text, "`within`")?;
            content.within = Some(value);
            Ok(())
        },
    )
}

/// A problem when the content before the one that `option` modifies has `fast_pattern:only`: it has no position that
/// another could be relative to.
fn follows_only(draft: &Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let (list, entry) = draft.last_content(&option.name.value, option.name.place)?;
    let before = entry
        .checked_sub(1)
        .and_then(|entry| draft.lists.get(list)?.entries.get(entry));
    match before {
        Some(before) if before.extras.only => {
            let message =
                "the content before it has `fast_pattern:only`, and so no position to count from";
            Err(Problem::syntax(option.name.place, message))
        }
        _ => Ok(()),
    }
}

pub(super) fn nocase(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    modify(
        draft,
        option,
        |content, _| content.nocase,
        |content, _| {
            content.nocase = true;
            content.bytes.make_ascii_lowercase();
            Ok(())
        },
    )
}

/// `rawbytes` means nothing more: Suricata and Weir never match a packet's payload in any other form.
pub(super) fn rawbytes(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    modify(
        draft,
        option,
        |_, extras| extras.rawbytes,
        |_, extras| {
            extras.rawbytes = true;
            Ok(())
        },
    )
}

pub(super) fn startswith(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    modify(
        draft,
        option,
        |content, _| content.startswith,
        |content, extras| {
            if content.offset.is_some() || content.depth.is_some() || content.relative() {
                let message = "a content with `startswith` cannot have `offset`, `depth`, `distance` or `within`";
                return Err(Problem::syntax(option.name.place, message));
            }
            placed(content, extras.only, option.name.place)?;
            content.startswith = true;
            Ok(())
        },
    )
}

pub(super) fn endswith(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    modify(
        draft,
        option,
        |content, _| content.endswith,
        |content, _| {
            content.endswith = true;
            Ok(())
        },
    )
}

pub(super) fn fast_pattern(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let place = option.name.place;
    let at = draft.last_content(&option.name.value, place)?;
    if draft
        .lists
        .get(at.0)
        .is_some_and(|list| list.target == Target::Base64)
    {
        return Err(Problem::syntax(
            place,
            "decoded data is not searched ahead: `fast_pattern` cannot be used there",
        ));
    }
    let is_fast = |op: &Op| matches!(op, Op::Content(content) if content.fast_pattern);
    if draft
        .lists
        .iter()
        .flat_map(|list| &list.entries)
        .any(|entry| is_fast(&entry.op))
    {
        return Err(Problem::syntax(
            place,
            "a second `fast_pattern`: only one content of a rule can have it",
        ));
    }
    let Some((content, extras)) = draft.content_mut(at) else {
        return Ok(());
    };
    let positioned = content.relative()
        || content.offset.is_some()
        || content.depth.is_some()
        || content.startswith;
    if content.negated && positioned {
        return Err(Problem::syntax(
            place,
            "a negated content with a position cannot have `fast_pattern`",
        ));
    }
    if let Some(value) = &option.value {
        if value.value == b"only" {
            if content.negated {
                return Err(Problem::syntax(
                    value.place,
                    "a negated content cannot have `fast_pattern:only`",
                ));
            }
            if positioned {
                return Err(Problem::syntax(
                    value.place,
                    "a content with a position cannot have `fast_pattern:only`",
                ));
            }
            extras.only = true;
        } else {
            let parts = crate::syntax::value::split_list(value);
            let [from, length] = parts.as_slice() else {
                return Err(args::expected(value, "`only` or `OFFSET,LENGTH`"));
            };
            if content.negated {
                return Err(Problem::syntax(
                    value.place,
                    "a negated content cannot be cut by `fast_pattern`",
                ));
            }
            let from = args::integer(from, 0, MAX_ABSOLUTE)? as usize;
            let count = args::integer(length, 1, MAX_ABSOLUTE)? as usize;
            if from + count > content.bytes.len() {
                let length = content.bytes.len();
                let message = format!(
                    "bytes {from} to {} of a content that has {length}",
                    from + count
                );
                return Err(Problem::syntax(value.place, message));
            }
            extras.chop = Some((from, count));
        }
    }
    content.fast_pattern = true;
    Ok(())
}

/// An old-style modifier (`http_uri`) that moves the content before it to another buffer.
pub(super) fn move_content(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    to: Target,
) -> Result<(), Problem> {
    let name = &option.name;
    let (list, entry) = draft.last_content(&name.value, name.place)?;
    let found = draft
        .lists
        .get(list)
        .and_then(|list| list.entries.get(entry));
    if found.is_some_and(|found| found.extras.replace.is_some()) {
        let message = "a content that is replaced stays in the payload: in another buffer it is not as packets have it";
        return Err(Problem::syntax(name.place, message));
    }
    draft.move_entry((list, entry), to);
    Ok(())
}

pub(super) fn isdataat(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let mut parts = crate::syntax::value::split_list(&text).into_iter();
    let Some(mut first) = parts.next() else {
        return Err(args::expected(&text, "a number"));
    };
    let negated = first.value.first() == Some(&b'!');
    if negated {
        first.value.remove(0);
        first = Text {
            value: first.value.trim_ascii().to_vec(),
            place: first.place.plus(1),
        };
    }
    let at = draft.operand(&first, 0, MAX_ABSOLUTE)?;
    let mut from_cursor = false;
    for part in parts {
        match part.value.as_slice() {
            b"relative" => from_cursor = true,
            b"rawbytes" => {}
            _ => return Err(args::expected(&part, "`relative` or `rawbytes`")),
        }
    }
    draft.keep_position(from_cursor);
    // As in Suricata, "no byte follows" straight after a content is that content's `endswith`.
    let after_content = draft
        .entries()
        .last()
        .is_some_and(|entry| matches!(entry.op, Op::Content(_)));
    if negated && from_cursor && at == Value::Const(1) && after_content {
        let found = draft.last_content(&option.name.value, option.name.place)?;
        if let Some((content, _)) = draft.content_mut(found) {
            content.endswith = true;
        }
        // Nothing was put anywhere: the next option goes to the buffer at hand.
        draft.stay();
        return Ok(());
    }
    draft.push(
        Op::IsDataAt(IsDataAt {
            at,
            relative: from_cursor,
            negated,
        }),
        option.name.place,
    );
    Ok(())
}
