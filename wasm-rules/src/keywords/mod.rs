//! The keywords of Suricata 8: what there are, what values they take, and how far along Weir's conformance they stand.

mod app;
mod forms;
mod grammar;
mod payload;
mod protocol;
mod state;
mod table;
mod table_app;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use grammar::{Form, Grammar};
pub use protocol::check_protocol;

use crate::syntax::ast::{Problem, RuleOption};

/// What kind of thing a keyword is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Says something about the rule (`msg`, `sid`).
    Meta,
    /// Tests a header field or a decoder's finding.
    Header,
    /// Looks at bytes (`content`, `byte_test`).
    Payload,
    /// Changes the `content` before it.
    Modifier,
    /// Chooses the buffer that what follows looks at.
    StickyBuffer,
    /// Changes the sticky buffer before it.
    Transform,
    /// Tests the flow or the stream.
    Flow,
    /// Reads or writes state that outlives the packet.
    State,
    /// Tests what an application layer's parser found.
    AppLayer,
    /// Takes effect once everything else has matched (`threshold`, `tag`, `replace`).
    PostMatch,
}

/// How much of an engine a keyword needs, as the conformance tiers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The packet alone.
    One,
    /// Flow, stream, state, transforms.
    Two,
    /// HTTP.
    ThreeA,
    /// HTTP with files.
    ThreeB,
    /// Any other application layer.
    Four,
}

/// Whether a keyword has a value, and of which form.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// It has none.
    None,
    /// It must have one.
    Required(Grammar),
    /// It may have one.
    Optional(Grammar),
}

/// One keyword.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// Its preferred name, in lower case.
    pub name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// What it is.
    pub category: Category,
    /// What value it takes.
    pub value: ValueKind,
    /// True when a rule may have it more than once.
    pub multi: bool,
    /// True when its value, or a part of it, can be negated with `!`.
    pub negatable: bool,
    /// What it needs.
    pub tier: Tier,
}

impl Keyword {
    const fn new(name: &'static str, category: Category, value: ValueKind, tier: Tier) -> Self {
        let negatable = match value {
            ValueKind::None => false,
            ValueKind::Required(grammar) | ValueKind::Optional(grammar) => grammar.negatable(),
        };
        Self {
            name,
            aliases: &[],
            category,
            value,
            multi: true,
            negatable,
            tier,
        }
    }

    const fn once(self) -> Self {
        Self {
            multi: false,
            ..self
        }
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}

const fn row(name: &'static str, category: Category, grammar: Grammar, tier: Tier) -> Keyword {
    Keyword::new(name, category, ValueKind::Required(grammar), tier)
}

const fn optional(name: &'static str, category: Category, grammar: Grammar, tier: Tier) -> Keyword {
    Keyword::new(name, category, ValueKind::Optional(grammar), tier)
}

const fn flag(name: &'static str, category: Category, tier: Tier) -> Keyword {
    Keyword::new(name, category, ValueKind::None, tier)
}

const fn modifier(name: &'static str, tier: Tier) -> Keyword {
    flag(name, Category::Modifier, tier)
}

const fn buffer(name: &'static str, aliases: &'static [&'static str], tier: Tier) -> Keyword {
    flag(name, Category::StickyBuffer, tier).alias(aliases)
}

/// A buffer of both directions: in a transactional rule (`=>`) its value says which one is meant.
const fn either_way(name: &'static str, aliases: &'static [&'static str], tier: Tier) -> Keyword {
    let grammar = Grammar::OneOf(&["to_server", "to_client", "toserver", "toclient"]);
    optional(name, Category::StickyBuffer, grammar, tier).alias(aliases)
}

/// All keywords by all their names.
static BY_NAME: LazyLock<HashMap<&'static str, &'static Keyword>> = LazyLock::new(|| {
    let named = |keyword: &'static Keyword| {
        let names = std::iter::once(keyword.name).chain(keyword.aliases.iter().copied());
        names.map(move |name| (name, keyword))
    };
    all().flat_map(named).collect()
});

/// All keywords.
pub fn all() -> impl Iterator<Item = &'static Keyword> {
    table::CORE.iter().chain(table_app::APP)
}

/// The keyword of a name or an alias, which is in lower case.
pub fn lookup(name: &str) -> Option<&'static Keyword> {
    BY_NAME.get(name).copied()
}

/// The keyword of an option, whose value is checked to have the keyword's form.
///
/// # Errors
///
/// [`ProblemKind::Unsupported`](crate::syntax::ast::ProblemKind::Unsupported) for a keyword that is not known, and a
/// syntax problem, with its place in the value, for a value that the keyword does not take.
pub fn check(option: &RuleOption) -> Result<&'static Keyword, Problem> {
    let name = &option.name;
    let Some(keyword) = lookup(&name.value) else {
        let message = match nearest(&name.value, BY_NAME.keys().copied()) {
            Some(known) => format!("unknown keyword `{}`; is `{known}` meant?", name.value),
            None => format!("unknown keyword `{}`", name.value),
        };
        return Err(Problem::unsupported(
            name.place,
            name.value.clone(),
            message,
        ));
    };
    let checked = match (keyword.value, &option.value) {
        (ValueKind::None, None) | (ValueKind::Optional(_), None) => Ok(()),
        (ValueKind::None, Some(value)) => Err(Problem::syntax(
            value.place,
            format!("`{}` takes no value: expected `;`", name.value),
        )),
        (ValueKind::Required(_), None) => {
            let end = name.place.plus(name.value.len());
            Err(Problem::syntax(
                end,
                format!("`{}` needs a value: expected `:` and the value", name.value),
            ))
        }
        (ValueKind::Required(grammar) | ValueKind::Optional(grammar), Some(value)) => {
            grammar.check(value)
        }
    };
    match checked {
        Ok(()) => Ok(keyword),
        Err(problem) => Err(problem.about(&name.value)),
    }
}

/// The known name that is nearest to `name`, if one is near enough to be meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer than any keyword; a name from a rule could be of any length.
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let limit = name.len() / 3;
    // Files can be full of unknown names: most known ones are ruled out without a closer look.
    let letters = letters_of(name);
    let near = known.filter(|known| {
        let other = (letters ^ letters_of(known)).count_ones() as usize;
        known.len().abs_diff(name.len()) <= limit && other <= 2 * limit
    });
    near.filter_map(|known| {
        distance(name.as_bytes(), known.as_bytes(), limit).map(|distance| (distance, known))
    })
    .min()
    .map(|(_, known)| known)
}

/// Which letters there are, as bits. One edit changes two of them at most.
fn letters_of(name: &str) -> u32 {
    name.bytes()
        .fold(0, |letters, byte| letters | 1 << (byte & 31))
}

/// How many bytes must be put in, taken out or replaced to make one name the other (Levenshtein), unless it is more
/// than `limit`.
fn distance(from: &[u8], to: &[u8], limit: usize) -> Option<usize> {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, &left) in from.iter().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        let mut least = before;
        for (&right, cell) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(diagonal + 1);
            least = least.min(before);
            *cell = before;
        }
        if least > limit {
            return None;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().filter(|&distance| distance <= limit)
}

#[cfg(test)]
mod tests;
