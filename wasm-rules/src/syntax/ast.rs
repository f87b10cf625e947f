//! The syntax tree of a rule: what was written, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a file: byte offsets in the logical rule text are kept as line and column of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Place {
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in bytes.
    pub column: u32,
}

/// Something and the place of its first byte.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    /// The thing.
    pub value: T,
    /// Where it starts.
    pub place: Place,
}

/// Direction operator of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `->`
    ToRight,
    /// `<>`
    Both,
    /// `=>` (transactional)
    Transaction,
}

/// An address or port expression of a header or of a variable.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<T> {
    /// `any`
    Any,
    /// `$NAME`, without the dollar sign.
    Variable(String),
    /// One address, prefix, port or range.
    Item(T),
    /// `[a, b, …]`
    List(Vec<At<Expr<T>>>),
    /// `!x`
    Not(Box<At<Expr<T>>>),
}

impl<T> Expr<T> {
    /// True when its value depends on a variable.
    pub fn has_variable(&self) -> bool {
        match self {
            Self::Variable(_) => true,
            Self::Any | Self::Item(_) => false,
            Self::List(list) => list.iter().any(|item| item.value.has_variable()),
            Self::Not(inner) => inner.value.has_variable(),
        }
    }
}

/// As rules have it.
impl<T: fmt::Display> fmt::Display for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Variable(name) => write!(f, "${name}"),
            Self::Item(item) => item.fmt(f),
            Self::List(list) => {
                for (at, item) in list.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "[" } else { "," }, item.value)?;
                }
                f.write_str("]")
            }
            Self::Not(inner) => write!(f, "!{}", inner.value),
        }
    }
}

impl fmt::Display for AddressItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(address, length) => write!(f, "{address}/{length}"),
            Self::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Display for PortItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(first, last) = self;
        if first == last {
            first.fmt(f)
        } else {
            write!(f, "{first}:{last}")
        }
    }
}

/// One address item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressItem {
    /// Address and prefix length (32 or 128 for a single one).
    Prefix(std::net::IpAddr, u8),
    /// First and last.
    Range(std::net::IpAddr, std::net::IpAddr),
}

/// One port item: first and last (`1024:` ends at 65535, `:1024` starts at 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortItem(pub u16, pub u16);

/// One `name;` or `name:value;`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOption {
    /// Keyword as written (lower-cased where Suricata does).
    pub name: At<String>,
    /// Everything between the colon and the semicolon, white space around it removed, escapes (`\;`) kept as written.
    pub value: Option<At<Vec<u8>>>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleText {
    /// Where it starts.
    pub place: Place,
    /// `alert`, `drop`, …
    pub action: At<String>,
    /// `tcp`, `http`, …
    pub proto: At<String>,
    /// Source addresses.
    pub src: At<Expr<AddressItem>>,
    /// Source ports.
    pub sport: At<Expr<PortItem>>,
    /// Arrow.
    pub direction: At<Direction>,
    /// Destination addresses.
    pub dst: At<Expr<AddressItem>>,
    /// Destination ports.
    pub dport: At<Expr<PortItem>>,
    /// Options, in order.
    pub options: Vec<RuleOption>,
    /// Where the physical lines of a rule that is continued with backslashes begin; empty for a rule on one line.
    pub wraps: Vec<Wrap>,
}

/// Where a physical line begins in the text of a rule that is continued over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Offset in the joined text.
    pub offset: usize,
    /// Place in the file.
    pub place: Place,
}

impl Place {
    /// The place `offset` bytes further on the same line.
    pub fn plus(self, offset: usize) -> Self {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        Self {
            line: self.line,
            column: self.column.saturating_add(offset),
        }
    }
}

impl RuleText {
    /// The place in the file of a place that was found by counting bytes in an option's value.
    ///
    /// Value parsers know where a value starts but not where its line was continued, so that they can name a column
    /// past the end of a line; this moves such a place to the line that it is really on.
    pub fn physical(&self, place: Place) -> Place {
        physical(&self.wraps, place)
    }
}

/// See [`RuleText::physical`].
pub(super) fn physical(wraps: &[Wrap], place: Place) -> Place {
    let line = wraps
        .partition_point(|wrap| wrap.place.line <= place.line)
        .checked_sub(1);
    let Some(wrap) = line.and_then(|line| wraps.get(line)) else {
        return place;
    };
    let ahead = place.column.saturating_sub(wrap.place.column) as usize;
    at_offset(wraps, wrap.offset.saturating_add(ahead)).unwrap_or(place)
}

/// The place of an offset in joined text; `None` when there are no wraps.
pub(super) fn at_offset(wraps: &[Wrap], offset: usize) -> Option<Place> {
    let line = wraps
        .partition_point(|wrap| wrap.offset <= offset)
        .checked_sub(1)?;
    let wrap = wraps.get(line)?;
    Some(wrap.place.plus(offset - wrap.offset))
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProblemKind {
    /// The text is not a rule, or an option's value is not what the keyword takes.
    Syntax,
    /// The text is right, but Weir does not evaluate it (yet).
    Unsupported,
}

/// A problem with one rule, and its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Which kind.
    pub kind: ProblemKind,
    /// Where.
    pub place: Place,
    /// The keyword, protocol or action that it is about, for the summary (`http.uri`, `protocol dns`, `action config`).
    pub subject: String,
    /// What is wrong and what was expected, in one line.
    pub message: String,
}

/// Longest subject, in bytes: longer than any keyword, so that only what nobody knows is cut.
const MAX_SUBJECT: usize = 60;
/// Longest message, in bytes.
pub(crate) const MAX_MESSAGE: usize = 400;

/// Cuts text that quotes a rule, whose words can be megabytes long.
pub(crate) fn clipped(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

impl Problem {
    /// A [`ProblemKind::Syntax`] problem whose subject is not known yet (see [`Problem::about`]).
    pub fn syntax(place: Place, message: impl Into<String>) -> Self {
        Self {
            kind: ProblemKind::Syntax,
            place,
            subject: String::new(),
            message: clipped(message.into(), MAX_MESSAGE),
        }
    }

    /// A [`ProblemKind::Unsupported`] problem.
    pub fn unsupported(
        place: Place,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind: ProblemKind::Unsupported,
            place,
            subject: clipped(subject.into(), MAX_SUBJECT),
            message: clipped(message.into(), MAX_MESSAGE),
        }
    }

    /// Names the subject, unless it has been named already.
    pub fn about(mut self, subject: &str) -> Self {
        if self.subject.is_empty() {
            self.subject = clipped(subject.to_owned(), MAX_SUBJECT);
        }
        self
    }
}
