//! What alerts say about a rule: `msg`, `sid`, `classtype` and their like.

use super::Warning;
use super::args;
use super::draft::Draft;
use crate::syntax::ast::{MAX_MESSAGE, Problem, RuleOption, clipped};
use crate::syntax::value::{parse_plain_u64, parse_text, split_list};

/// Priority of a rule that says nothing about it.
pub(super) const DEFAULT_PRIORITY: u8 = 3;

pub(super) fn msg(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    draft.meta.msg = parse_text(args::value(option)?)?;
    Ok(())
}

/// A number of 32 bits.
fn number(option: &RuleOption) -> Result<u32, Problem> {
    Ok(parse_plain_u64(&args::bare(args::value(option)?), u32::MAX.into())? as u32)
}

pub(super) fn sid(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    draft.meta.sid = number(option)?;
    if draft.meta.sid == 0 {
        return Err(Problem::syntax(
            args::value(option)?.place,
            "expected a number from 1 on, found 0",
        ));
    }
    Ok(())
}

pub(super) fn gid(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    draft.meta.gid = number(option)?;
    Ok(())
}

pub(super) fn rev(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    draft.meta.rev = number(option)?;
    Ok(())
}

pub(super) fn classtype(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let name = args::string(&text);
    let known = draft.compiler.classification().get(&name).cloned();
    let (description, priority) = match known {
        Some(class) => (class.description, class.priority),
        None => {
            let message =
                format!("the classtype {name} is not known: it gets priority {DEFAULT_PRIORITY}");
            draft.warnings.push(Warning {
                place: text.place,
                message: clipped(message, MAX_MESSAGE),
            });
            (String::new(), DEFAULT_PRIORITY)
        }
    };
    // Of two classtypes the one of higher priority counts.
    if draft.meta.classtype.is_some() {
        let message = "a second `classtype`: the one of higher priority counts".to_owned();
        draft.warnings.push(Warning {
            place: option.name.place,
            message,
        });
        if priority >= draft.meta.priority {
            return Ok(());
        }
    }
    draft.meta.classtype = Some(name);
    draft.meta.category = description;
    if !draft.explicit_priority {
        draft.meta.priority = priority;
    }
    Ok(())
}

pub(super) fn priority(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    let priority = args::integer(&text, 1, 255)? as u8;
    draft.meta.priority = if draft.explicit_priority {
        draft.meta.priority.min(priority)
    } else {
        priority
    };
    draft.explicit_priority = true;
    Ok(())
}

pub(super) fn reference(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = parse_text(args::value(option)?)?;
    let Some((system, rest)) = text.split_once(',') else {
        return Err(args::expected(args::value(option)?, "`SYSTEM,REFERENCE`"));
    };
    draft
        .meta
        .references
        .push((system.trim().to_owned(), rest.trim().to_owned()));
    Ok(())
}

pub(super) fn metadata(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    for part in split_list(args::value(option)?) {
        // Suricata leaves out what has no value.
        if let (key, Some(value)) = args::pair(&part) {
            draft
                .meta
                .metadata
                .push((args::string(&key), args::string(&value)));
        }
    }
    Ok(())
}

pub(super) fn target(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::bare(args::value(option)?);
    draft.meta.target_source = Some(match text.value.as_slice() {
        b"src_ip" => true,
        b"dest_ip" => false,
        _ => return Err(args::expected(&text, "`src_ip` or `dest_ip`")),
    });
    Ok(())
}

pub(super) fn noalert(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    draft.noalert = true;
    Ok(())
}

pub(super) fn alert(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    draft.alert = true;
    Ok(())
}
