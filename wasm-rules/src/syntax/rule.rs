//! One rule.

use super::ast::{At, Place, Problem, RuleOption, RuleText, Wrap, at_offset, physical};
use super::cursor::{Cursor, shown};
use super::header::parse_header;

/// Options that a rule can have once only.
const ONCE: [&str; 5] = ["sid", "rev", "msg", "flow", "dsize"];

/// Most options of a rule. Suricata has no such limit, and no rule comes near this one: it keeps what one line can cost
/// in bounds.
const MAX_OPTIONS: usize = 4096;

/// Parses one rule. `text` has no line breaks of its own; `at` is the place of its first byte.
///
/// Only the grammar is checked: what keywords there are and what values they take is for the `keywords` module to say.
pub fn parse_rule(text: &[u8], at: Place) -> Result<RuleText, Problem> {
    parse_wrapped(text, at, Vec::new())
}

/// Parses a rule that was put together from the lines that `wraps` gives.
pub(super) fn parse_wrapped(text: &[u8], at: Place, wraps: Vec<Wrap>) -> Result<RuleText, Problem> {
    let place = |offset: usize| at_offset(&wraps, offset).unwrap_or_else(|| at.plus(offset));
    let parsed = parse(text, at, &place);
    match parsed {
        Ok(rule) => Ok(RuleText { wraps, ..rule }),
        Err(problem) => Err(Problem {
            place: physical(&wraps, problem.place),
            ..problem
        }),
    }
}

fn parse(text: &[u8], at: Place, place: &dyn Fn(usize) -> Place) -> Result<RuleText, Problem> {
    if let Err(error) = str::from_utf8(text) {
        let found = text.get(error.valid_up_to()).map_or(0, |&byte| byte);
        let message = format!(
            "the rule is not valid UTF-8: found the byte {found:#04x} (in `content` it is written `|{found:02x}|`)"
        );
        return Err(Problem::syntax(place(error.valid_up_to()), message).about("encoding"));
    }
    let mut cursor = Cursor::new(text, at);
    let header = parse_header(&mut cursor)?;
    let options = parse_options(text, cursor.pos(), place)?;
    check_once(&options)?;
    if !options.iter().any(|option| option.name.value == "sid") {
        return Err(Problem::syntax(
            at,
            "the rule has no `sid`: expected `sid:NUMBER;` among its options",
        )
        .about("sid"));
    }
    Ok(RuleText {
        place: header.action.place,
        action: header.action,
        proto: header.proto,
        src: header.src,
        sport: header.sport,
        direction: header.direction,
        dst: header.dst,
        dport: header.dport,
        options,
        wraps: Vec::new(),
    })
}

fn check_once(options: &[RuleOption]) -> Result<(), Problem> {
    let mut seen = [false; ONCE.len()];
    for option in options {
        let known = ONCE.iter().position(|&name| name == option.name.value);
        if let Some(seen) = known.and_then(|known| seen.get_mut(known)) {
            if *seen {
                let name = &option.name.value;
                return Err(Problem::syntax(
                    option.name.place,
                    format!("a second `{name}`: a rule has only one"),
                )
                .about(name));
            }
            *seen = true;
        }
    }
    Ok(())
}

/// Options with their parentheses, from `start` to the end.
fn parse_options(
    text: &[u8],
    start: usize,
    place: &dyn Fn(usize) -> Place,
) -> Result<Vec<RuleOption>, Problem> {
    let blank = |text: &[u8]| text.len() - text.trim_ascii_start().len();
    let all = text.get(start..).unwrap_or_default();
    let open = start + blank(all);
    match text.get(open) {
        Some(b'(') if open > start => {}
        Some(b'(') => {
            return Err(
                Problem::syntax(place(open), "expected white space before `(`").about("header"),
            );
        }
        _ => {
            let found = shown(text.get(open..).unwrap_or_default());
            return Err(Problem::syntax(
                place(open),
                format!("expected `(` before the options, found {found}"),
            )
            .about("header"));
        }
    }
    // Suricata takes any number of parentheses, and so do we; none is a mistake.
    let is_edge =
        |parenthesis: u8| move |byte: &u8| *byte == parenthesis || byte.is_ascii_whitespace();
    let mut at = text
        .iter()
        .skip(open)
        .position(|byte| !is_edge(b'(')(byte))
        .map_or(text.len(), |skip| open + skip);
    let end = text
        .iter()
        .rposition(|byte| !is_edge(b')')(byte))
        .map_or(0, |last| last + 1);
    let closed = text.get(end..).is_some_and(|tail| tail.contains(&b')'));

    let mut options = Vec::with_capacity(16);
    while let Some(rest) = text.get(at..end).filter(|rest| !rest.is_empty()) {
        at += blank(rest);
        let rest = text.get(at..end).unwrap_or_default();
        let Some(length) = option_length(rest) else {
            return Err(unterminated(rest, at, closed, place));
        };
        if options.len() == MAX_OPTIONS {
            let message = format!("a rule with more than {MAX_OPTIONS} options");
            return Err(Problem::unsupported(place(at), "options", message));
        }
        options.push(parse_option(
            rest.get(..length).unwrap_or_default(),
            at,
            place,
        )?);
        at += length + 1;
    }
    if !closed {
        return Err(Problem::syntax(
            place(end),
            "expected `)` after the options, found the end of the rule",
        )
        .about("options"));
    }
    if options.is_empty() {
        return Err(Problem::syntax(
            place(open),
            "the rule has no options: expected `sid:NUMBER;` at least",
        )
        .about("options"));
    }
    Ok(options)
}

/// Length of the option at the start of `rest`, without its semicolon. A semicolon after a backslash is not the end,
/// whatever stands before the backslash; quotation marks make no difference.
fn option_length(rest: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + rest.get(from..)?.iter().position(|&byte| byte == b';')?;
        if at == 0 || rest.get(at - 1) != Some(&b'\\') {
            return Some(at);
        }
        from = at + 1;
    }
}

/// What to say of text that no semicolon ends.
fn unterminated(rest: &[u8], at: usize, closed: bool, place: &dyn Fn(usize) -> Place) -> Problem {
    if rest.first() == Some(&b')') {
        let message = format!(
            "expected nothing after the closing `)`, found {}",
            shown(rest.get(1..).unwrap_or_default().trim_ascii_start())
        );
        return Problem::syntax(place(at), message).about("options");
    }
    let name = rest
        .split(|&byte| byte == b':')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let problem = match rest.iter().position(|&byte| byte == b'"') {
        Some(quote) if quotes(rest) % 2 == 1 => Problem::syntax(
            place(at + quote),
            "the quotation mark is not closed before the end of the rule",
        ),
        _ => {
            let end = at + rest.len();
            let found = if closed { "`)`" } else { "the end of the rule" };
            Problem::syntax(
                place(end),
                format!(
                    "expected `;` after the option {}, found {found}",
                    shown(rest)
                ),
            )
        }
    };
    problem.about(&String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// How many quotation marks are not escaped.
fn quotes(text: &[u8]) -> usize {
    let mut escaped = false;
    let mut count = 0;
    for &byte in text {
        count += usize::from(byte == b'"' && !escaped);
        escaped = byte == b'\\' && !escaped;
    }
    count
}

/// `name` or `name:value`, without white space before it and without the semicolon.
fn parse_option(
    text: &[u8],
    at: usize,
    place: &dyn Fn(usize) -> Place,
) -> Result<RuleOption, Problem> {
    let colon = text.iter().position(|&byte| byte == b':');
    let name = text
        .get(..colon.unwrap_or(text.len()))
        .unwrap_or(text)
        .trim_ascii();
    match name.first() {
        None => {
            return Err(
                Problem::syntax(place(at), "expected a keyword, found an empty option")
                    .about("options"),
            );
        }
        Some(b')') => {
            let message = "a rule ends with `)`, and only one rule fits on a line: expected a keyword, found `)`";
            return Err(Problem::syntax(place(at), message).about("options"));
        }
        Some(_) => {}
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if let Some(bad) = name.iter().position(|byte| !is_word(byte)) {
        let found = shown(name);
        return Err(Problem::syntax(
            place(at + bad),
            format!("expected a keyword followed by `:` or `;`, found {found}"),
        )
        .about("options"));
    }
    // Keywords are ASCII, as has just been checked; case makes no difference to Suricata.
    let name = At {
        value: String::from_utf8_lossy(name).to_ascii_lowercase(),
        place: place(at),
    };
    let value = colon.and_then(|colon| {
        let written = text.get(colon + 1..)?;
        let start = written.len() - written.trim_ascii_start().len();
        let value = written.trim_ascii();
        (!value.is_empty()).then(|| At {
            value: value.to_vec(),
            place: place(at + colon + 1 + start),
        })
    });
    Ok(RuleOption { name, value })
}
