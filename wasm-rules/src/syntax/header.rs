//! What stands before the options of a rule: action, protocol, addresses, ports and direction.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ast::{AddressItem, At, Direction, Expr, Place, PortItem, Problem};
use super::cursor::{Cursor, shown};

/// Actions that a rule can start with.
pub const ACTIONS: [&str; 9] = [
    "alert",
    "pass",
    "drop",
    "reject",
    "rejectsrc",
    "rejectdst",
    "rejectboth",
    "config",
    "accept",
];
/// What an action of a firewall rule can be limited to (`accept:hook`).
const SCOPES: [&str; 4] = ["packet", "flow", "tx", "hook"];
/// How deep lists may be nested. Suricata has no limit; nobody needs more, and recursion must end somewhere.
const MAX_DEPTH: usize = 32;

/// Parses an address expression: `any`, `1.2.3.4`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`, the same
/// for IPv6, `$NAME`, `!x`, `[a, b, …]`. Several items without brackets are a list, as in Suricata.
///
/// Host bits of a prefix are kept as written.
pub fn parse_addresses(text: &[u8], at: Place) -> Result<At<Expr<AddressItem>>, Problem> {
    parse_expr(text, at, "an address", address)
}

/// Parses a port expression: `any`, `80`, `1024:`, `:1023`, `80:90`, `$NAME`, `!x`, `[a, b, …]`.
pub fn parse_ports(text: &[u8], at: Place) -> Result<At<Expr<PortItem>>, Problem> {
    parse_expr(text, at, "a port", port)
}

/// How one item is parsed: its text, and where it starts.
type Leaf<T> = fn(&[u8], Place) -> Result<T, Problem>;

struct ExprParser<'a, T> {
    cursor: Cursor<'a>,
    what: &'static str,
    leaf: Leaf<T>,
}

fn parse_expr<T>(
    text: &[u8],
    at: Place,
    what: &'static str,
    leaf: Leaf<T>,
) -> Result<At<Expr<T>>, Problem> {
    let mut parser = ExprParser {
        cursor: Cursor::new(text, at),
        what,
        leaf,
    };
    parser.cursor.skip_blanks();
    let place = parser.cursor.place();
    let mut items = parser.items(0)?;
    if !parser.cursor.at_end() {
        return Err(parser.cursor.expected("`,` or the end"));
    }
    Ok(match items.pop() {
        Some(only) if items.is_empty() => only,
        last => {
            items.extend(last);
            At {
                value: Expr::List(items),
                place,
            }
        }
    })
}

impl<T> ExprParser<'_, T> {
    /// One or more items with commas between them.
    fn items(&mut self, depth: usize) -> Result<Vec<At<Expr<T>>>, Problem> {
        let mut items = Vec::new();
        loop {
            items.push(self.item(depth)?);
            self.cursor.skip_blanks();
            if !self.cursor.eat(b",") {
                return Ok(items);
            }
        }
    }

    fn item(&mut self, depth: usize) -> Result<At<Expr<T>>, Problem> {
        self.cursor.skip_blanks();
        let place = self.cursor.place();
        if !self.cursor.eat(b"!") {
            let value = self.positive(depth)?;
            return Ok(At { value, place });
        }
        self.cursor.skip_blanks();
        let inner = self.cursor.place();
        match self.positive(depth)? {
            Expr::Any => Err(Problem::syntax(
                place,
                format!("`!any` never matches: expected {} after `!`", self.what),
            )),
            value => Ok(At {
                value: Expr::Not(Box::new(At {
                    value,
                    place: inner,
                })),
                place,
            }),
        }
    }

    fn positive(&mut self, depth: usize) -> Result<Expr<T>, Problem> {
        let start = self.cursor.clone();
        if self.cursor.eat(b"[") {
            if depth >= MAX_DEPTH {
                return Err(Problem::syntax(
                    start.place(),
                    format!("lists are nested more than {MAX_DEPTH} deep"),
                ));
            }
            let items = self.items(depth + 1)?;
            if !self.cursor.eat(b"]") {
                if self.cursor.at_end() {
                    return Err(Problem::syntax(
                        start.place(),
                        "the list is not closed: expected `]`",
                    ));
                }
                return Err(self.cursor.expected("`,` or `]`"));
            }
            return Ok(Expr::List(items));
        }
        if self.cursor.eat(b"$") {
            let name = self.cursor.take_while(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
            });
            if name.is_empty() {
                return Err(self.cursor.expected("a variable's name after `$`"));
            }
            return Ok(Expr::Variable(String::from_utf8_lossy(name).into_owned()));
        }
        let word = self
            .cursor
            .take_while(|byte| !byte.is_ascii_whitespace() && !b",[]!$".contains(&byte));
        if word.is_empty() {
            return Err(start.expected(&format!("{}, `any`, `$NAME`, `!` or `[`", self.what)));
        }
        if word.eq_ignore_ascii_case(b"any") {
            return Ok(Expr::Any);
        }
        (self.leaf)(word, start.place()).map(Expr::Item)
    }
}

fn address(word: &[u8], place: Place) -> Result<AddressItem, Problem> {
    if let Some((first, second)) = split_once(word, b'/') {
        let second_place = place.plus(first.len() + 1);
        let address = ip(first, place)?;
        let length = match address {
            IpAddr::V4(_) if second.contains(&b'.') => mask_length(second, second_place)?,
            IpAddr::V4(_) => bounded(second, second_place, 32, "a prefix length")?,
            IpAddr::V6(_) => bounded(second, second_place, 128, "a prefix length")?,
        };
        return Ok(AddressItem::Prefix(address, length));
    }
    if let Some((first, second)) = split_once(word, b'-') {
        let second_place = place.plus(first.len() + 1);
        let (low, high) = (ip(first, place)?, ip(second, second_place)?);
        if low.is_ipv4() != high.is_ipv4() {
            return Err(Problem::syntax(
                second_place,
                format!("expected an address of the same family as {low}"),
            ));
        }
        if low > high {
            return Err(Problem::syntax(
                second_place,
                format!("expected an address that is not before {low}"),
            ));
        }
        return Ok(AddressItem::Range(low, high));
    }
    let address = ip(word, place)?;
    Ok(AddressItem::Prefix(
        address,
        if address.is_ipv4() { 32 } else { 128 },
    ))
}

fn ip(text: &[u8], place: Place) -> Result<IpAddr, Problem> {
    let parsed = str::from_utf8(text).ok().and_then(|text| {
        if text.contains(':') {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        } else {
            text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
    });
    parsed.ok_or_else(|| {
        Problem::syntax(
            place,
            format!("expected an IPv4 or IPv6 address, found {}", shown(text)),
        )
    })
}

/// `255.255.0.0` as a prefix length.
fn mask_length(text: &[u8], place: Place) -> Result<u8, Problem> {
    let mask = str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<Ipv4Addr>().ok())
        .map(u32::from);
    match mask {
        Some(mask) if mask.leading_ones() + mask.trailing_zeros() >= 32 => {
            Ok(mask.leading_ones() as u8)
        }
        _ => Err(Problem::syntax(
            place,
            format!(
                "expected a network mask such as 255.255.0.0, found {}",
                shown(text)
            ),
        )),
    }
}

fn port(word: &[u8], place: Place) -> Result<PortItem, Problem> {
    let Some((first, second)) = split_once(word, b':') else {
        let port = bounded(word, place, u16::MAX, "a port")?;
        return Ok(PortItem(port, port));
    };
    let second_place = place.plus(first.len() + 1);
    let low = if first.is_empty() {
        0
    } else {
        bounded(first, place, u16::MAX, "a port")?
    };
    let high = if second.is_empty() {
        u16::MAX
    } else {
        bounded(second, second_place, u16::MAX, "a port")?
    };
    if low > high {
        return Err(Problem::syntax(
            second_place,
            format!("expected a port that is not below {low}, found {high}"),
        ));
    }
    Ok(PortItem(low, high))
}

/// A decimal number of at most `max`.
fn bounded<N>(text: &[u8], place: Place, max: N, what: &str) -> Result<N, Problem>
where
    N: TryFrom<u32> + PartialOrd + std::fmt::Display,
{
    let digits = Some(text).filter(|text| text.iter().all(u8::is_ascii_digit));
    let number = digits
        .and_then(|text| str::from_utf8(text).ok()?.parse::<u32>().ok())
        .and_then(|number| N::try_from(number).ok());
    match number {
        Some(number) if number <= max => Ok(number),
        _ => Err(Problem::syntax(
            place,
            format!("expected {what} from 0 to {max}, found {}", shown(text)),
        )),
    }
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let middle = text.iter().position(|&byte| byte == at)?;
    Some((text.get(..middle)?, text.get(middle + 1..)?))
}

/// Everything before the options.
pub(super) struct Header {
    pub(super) action: At<String>,
    pub(super) proto: At<String>,
    pub(super) src: At<Expr<AddressItem>>,
    pub(super) sport: At<Expr<PortItem>>,
    pub(super) direction: At<Direction>,
    pub(super) dst: At<Expr<AddressItem>>,
    pub(super) dport: At<Expr<PortItem>>,
}

/// Parses a header; the cursor ends up at the white space before the options.
pub(super) fn parse_header(cursor: &mut Cursor<'_>) -> Result<Header, Problem> {
    let action = parse_action(field(cursor, "an action (alert, drop, pass, …)")?)
        .map_err(|problem| problem.about("action"))?;
    let proto = parse_protocol(field(cursor, "a protocol")?)
        .map_err(|problem| problem.about("protocol"))?;
    let (text, place) = field(cursor, "source addresses")?;
    let src = parse_addresses(text, place).map_err(|problem| problem.about("source address"))?;
    let (text, place) = field(cursor, "source ports")?;
    let sport = parse_ports(text, place).map_err(|problem| problem.about("source port"))?;
    let direction = parse_direction(field(cursor, "`->`, `<>` or `=>`")?)
        .map_err(|problem| problem.about("direction"))?;
    let (text, place) = field(cursor, "destination addresses")?;
    let dst =
        parse_addresses(text, place).map_err(|problem| problem.about("destination address"))?;
    let (text, place) = field(cursor, "destination ports")?;
    let dport = parse_ports(text, place).map_err(|problem| problem.about("destination port"))?;
    Ok(Header {
        action,
        proto,
        src,
        sport,
        direction,
        dst,
        dport,
    })
}

/// The next field and its place: up to white space that is not within brackets.
fn field<'a>(cursor: &mut Cursor<'a>, what: &str) -> Result<(&'a [u8], Place), Problem> {
    cursor.skip_blanks();
    if cursor.at_end() || cursor.peek() == Some(b'(') {
        return Err(cursor.expected(what).about("header"));
    }
    let (rest, place) = (cursor.rest(), cursor.place());
    let mut depth = 0_usize;
    let end = rest.iter().position(|&byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            // A bracket that is never closed would otherwise swallow the options.
            b'(' | b';' => return true,
            _ => {}
        }
        depth == 0 && byte.is_ascii_whitespace()
    });
    let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    cursor.advance(text.len());
    Ok((text, place))
}

fn parse_action((text, place): (&[u8], Place)) -> Result<At<String>, Problem> {
    let value = String::from_utf8_lossy(text).to_ascii_lowercase();
    let (name, scope) = value
        .split_once(':')
        .map_or((value.as_str(), None), |(name, scope)| (name, Some(scope)));
    if !ACTIONS.contains(&name) {
        return Err(Problem::syntax(
            place,
            format!(
                "expected an action ({}), found {}",
                ACTIONS.join(", "),
                shown(text)
            ),
        ));
    }
    if let Some(scope) = scope {
        let scope_place = place.plus(name.len() + 1);
        if !matches!(name, "accept" | "drop" | "pass") {
            return Err(Problem::syntax(
                scope_place,
                format!("`{name}` has no scope: expected white space after it"),
            ));
        }
        if !SCOPES.contains(&scope) {
            return Err(Problem::syntax(
                scope_place,
                format!(
                    "expected a scope ({}), found {}",
                    SCOPES.join(", "),
                    shown(scope.as_bytes())
                ),
            ));
        }
    }
    Ok(At { value, place })
}

/// Checks the form only: whether there is such a protocol is for `keywords::check_protocol`, because a rule whose
/// `requires` is not met may name one that is not known.
fn parse_protocol((text, place): (&[u8], Place)) -> Result<At<String>, Problem> {
    let value = String::from_utf8_lossy(text).to_ascii_lowercase();
    let (name, hook) = value
        .split_once(':')
        .map_or((value.as_str(), None), |(name, hook)| (name, Some(hook)));
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if !word(name) {
        return Err(Problem::syntax(
            place,
            format!("expected a protocol, found {}", shown(text)),
        ));
    }
    if let Some(hook) = hook.filter(|hook| !word(hook)) {
        let place = place.plus(name.len() + 1);
        return Err(Problem::syntax(
            place,
            format!(
                "expected a hook of `{name}`, found {}",
                shown(hook.as_bytes())
            ),
        ));
    }
    Ok(At { value, place })
}

fn parse_direction((text, place): (&[u8], Place)) -> Result<At<Direction>, Problem> {
    let value = match text {
        b"->" => Direction::ToRight,
        b"<>" => Direction::Both,
        b"=>" => Direction::Transaction,
        _ => {
            return Err(Problem::syntax(
                place,
                format!("expected `->`, `<>` or `=>`, found {}", shown(text)),
            ));
        }
    };
    Ok(At { value, place })
}
