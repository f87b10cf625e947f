//! Near misses: the same conversation with one condition broken.

use weir_engine::plan::{Buffer, Content, Rule, RuleSet};

use super::canonical::canonical;
use super::checker::Checker;
use super::fill::{Filled, content, keyword};
use super::render::Wrong;
use super::{Exercise, Part};

/// Most near misses of a rule that are offered.
const MOST: usize = 8;

/// A near miss.
#[derive(Clone, Debug)]
pub struct Miss {
    /// Which condition is broken, in words.
    pub broken: String,
    /// What is said.
    pub exercise: Exercise,
}

pub(super) fn misses(rules: &RuleSet, exercise: &Exercise) -> Vec<Miss> {
    let mut all = Vec::new();
    let Some((own, before)) = exercise.parts.split_last() else {
        return all;
    };
    let Some(rule) = rules.get(own.rule) else {
        return all;
    };
    let mut checker = Checker::new(rule);
    contents(rule, own, &mut checker, &mut |broken, filled| {
        let mut parts = before.to_vec();
        parts.push(Part {
            rule: own.rule,
            filled,
        });
        if all.len() < MOST {
            let exercise = Exercise {
                parts,
                ..exercise.clone()
            };
            all.push(Miss { broken, exercise });
        }
    });
    if !before.is_empty() {
        all.push(Miss {
            broken: "what must come before does not".to_owned(),
            exercise: Exercise {
                parts: vec![own.clone()],
                ..exercise.clone()
            },
        });
    }
    if exercise.times > 1 {
        all.push(Miss {
            broken: "once less than it counts".to_owned(),
            exercise: Exercise {
                times: exercise.times - 1,
                ..exercise.clone()
            },
        });
    }
    let header = &rule.header;
    let (own, others) = if super::parts::to_server(rule) {
        (
            (Wrong::Client, Wrong::ClientPort),
            (Wrong::Server, Wrong::ServerPort),
        )
    } else {
        (
            (Wrong::Server, Wrong::ServerPort),
            (Wrong::Client, Wrong::ClientPort),
        )
    };
    let wrongs = [
        (!header.dport.is_any(), others.1, "destination port"),
        (!header.sport.is_any(), own.1, "source port"),
        (!rule.tests.is_empty(), Wrong::Fields, "header fields"),
        (!header.src.is_any(), own.0, "source address"),
        (!header.dst.is_any(), others.0, "destination address"),
        (
            rule.flow
                .is_some_and(|flow| flow.to_server || flow.to_client),
            Wrong::Direction,
            "direction",
        ),
    ];
    for (asked, wrong, broken) in wrongs {
        if asked {
            all.push(Miss {
                broken: broken.to_owned(),
                exercise: Exercise {
                    wrong: Some(wrong),
                    ..exercise.clone()
                },
            });
        }
    }
    all
}

/// Breaks contents, and where there are none, any byte that matters.
fn contents(
    rule: &Rule,
    own: &Part,
    checker: &mut Checker,
    offer: &mut dyn FnMut(String, Vec<Filled>),
) {
    for (at, filled) in own.filled.iter().enumerate() {
        let Some(bytes) = &filled.bytes else { continue };
        let replaced = |bytes: Vec<u8>| {
            let mut all = own.filled.clone();
            if let Some(filled) = all.get_mut(at) {
                filled.bytes = Some(bytes);
            }
            all
        };
        let mut rejects = |bytes: &[u8]| {
            filled
                .plans
                .iter()
                .any(|&plan| !checker.accepts(plan, bytes))
        };
        let plans = filled
            .plans
            .iter()
            .filter_map(|&plan| rule.buffers.get(plan));
        let mut literals: Vec<&Content> = plans
            .flat_map(|plan| &plan.ops)
            .filter_map(content)
            .collect();
        literals.sort_by_key(|content| std::cmp::Reverse(content.bytes.len()));
        let mut offered = false;
        for content in literals {
            let broken = broken(bytes, content).and_then(|bytes| canonical(filled.buffer, bytes));
            if let Some(broken) = broken.filter(|broken| rejects(broken)) {
                let what = format!(
                    "content \"{}\" in {}",
                    content.bytes.escape_ascii(),
                    name(filled.buffer)
                );
                offer(what, replaced(broken));
                offered = true;
            }
        }
        if offered {
            continue;
        }
        // Anything that an expression or a number looks at.
        let stride = bytes.len().div_ceil(64).max(1);
        for place in (0..bytes.len()).step_by(stride) {
            let mut broken = bytes.clone();
            if let Some(byte) = broken.get_mut(place) {
                *byte = other(*byte);
            }
            if let Some(broken) = canonical(filled.buffer, broken)
                && rejects(&broken)
            {
                offer(
                    format!("byte {place} of {}", name(filled.buffer)),
                    replaced(broken),
                );
                break;
            }
        }
        let longer = [bytes.as_slice(), b"zz"].concat();
        if let Some(longer) = canonical(filled.buffer, longer)
            && (filled.plans.is_empty() || rejects(&longer))
        {
            offer(format!("size of {}", name(filled.buffer)), replaced(longer));
        }
    }
}

fn name(buffer: Buffer) -> &'static str {
    match buffer {
        Buffer::Payload => "the payload",
        buffer => keyword(buffer),
    }
}

/// Changes a byte of every occurrence of a content: a letter or digit where it has one.
fn broken(bytes: &[u8], content: &Content) -> Option<Vec<u8>> {
    let literal = &content.bytes;
    let at = literal.len() / 2;
    let by_middle = |&place: &usize| (place.abs_diff(at), place);
    let places: Vec<usize> = (0..literal.len()).collect();
    let alphanumeric = places
        .iter()
        .copied()
        .filter(|&place| literal.get(place).is_some_and(u8::is_ascii_alphanumeric));
    let place = alphanumeric
        .min_by_key(by_middle)
        .or(places.iter().copied().min_by_key(by_middle))?;
    let mut out = bytes.to_vec();
    let mut changed = false;
    for start in 0..bytes.len().saturating_sub(literal.len() - 1) {
        let there = bytes.get(start..start + literal.len())?;
        let same = if content.nocase {
            there.eq_ignore_ascii_case(literal)
        } else {
            there == literal
        };
        if same && let Some(byte) = out.get_mut(start + place) {
            *byte = other(*byte);
            changed = true;
        }
    }
    changed.then_some(out)
}

/// Another byte of the same kind.
fn other(byte: u8) -> u8 {
    match byte {
        b'q' => b'k',
        b'Q' => b'K',
        b'7' => b'3',
        b'a'..=b'z' => b'q',
        b'A'..=b'Z' => b'Q',
        b'0'..=b'9' => b'7',
        b'!'..=b'~' => b'q',
        _ => byte ^ 0x40,
    }
}
