//! Numbers and comparisons, in the grammar that Suricata's integer keywords share.

use weir_engine::plan::{Num, NumOp};

use crate::syntax::ast::{At, Problem};
use crate::syntax::cursor::Cursor;

/// Which numbers the ends of a range `a-b` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Excluded,
    Included,
}

/// Parses a comparison of Suricata's integer keywords: `5`, `=5`, `!5`, `!=5`, `<5`, `<=5`, `>5`, `>=5`, `1-5` and
/// `1<>5` ([`NumOp::Between`]: the ends are excluded), `!1-5`, `&6=4`, `&6!=4`, `&6`, `!&6`.
///
/// A number is decimal or `0x…`, and a decimal one can have a unit (`kb`, `mb`, `gb`, `kib`, `mib`, `gib`). It is at
/// most `max`. As in Suricata, a comparison that holds for no number or for every one is refused, and so is a range
/// with nothing between its ends. The masks without a second number (some bit is set, none is) are Weir's own.
pub fn parse_number(value: &At<Vec<u8>>, max: u64) -> Result<Num, Problem> {
    number_at(Cursor::of(value), max)
}

/// [`parse_number`] of what a cursor has before it.
pub(crate) fn number_at(mut cursor: Cursor<'_>, max: u64) -> Result<Num, Problem> {
    let num = comparison(&mut cursor, max, Ends::Excluded)?;
    cursor.finish()?;
    Ok(num)
}

/// Like [`parse_number`] for the few keywords whose ranges include both ends ([`NumOp::Within`]; `!1-5` becomes the
/// exclusive complement); they have no bit masks.
pub fn parse_number_inclusive(value: &At<Vec<u8>>, max: u64) -> Result<Num, Problem> {
    let mut cursor = Cursor::of(value);
    let num = comparison(&mut cursor, max, Ends::Included)?;
    cursor.finish()?;
    Ok(num)
}

/// Parses the value of `urilen`: a comparison, then perhaps `,norm` or `,raw` (the latter gives `true`).
///
/// A range with nothing between its ends, such as `7<>8`, compares with its first number only: Suricata's parser gives
/// up on the range, takes the number that it starts with, and does not look at what follows. Rules rely on it.
pub fn parse_urilen(value: &At<Vec<u8>>) -> Result<(Num, bool), Problem> {
    let max = u16::MAX.into();
    let mut cursor = Cursor::of(value);
    let mut ahead = cursor.clone();
    let num = match comparison(&mut ahead, max, Ends::Excluded) {
        Ok(num) => {
            cursor = ahead;
            num
        }
        Err(problem) => {
            cursor.skip_blanks();
            let a = plain(&mut cursor, max).map_err(|_| problem.clone())?;
            if !matches!(cursor.peek(), Some(b'-' | b'<')) {
                return Err(problem);
            }
            return Ok((Num::one(NumOp::Eq, a), false));
        }
    };
    cursor.skip_blanks();
    let raw = if cursor.eat(b",") {
        cursor.skip_blanks();
        let raw = cursor.eat(b"raw");
        if !raw && !cursor.eat(b"norm") {
            return Err(cursor.expected("`norm` or `raw`"));
        }
        raw
    } else {
        false
    };
    cursor.finish()?;
    Ok((num, raw))
}

/// Parses a plain number, decimal or `0x…`, of at most `max`.
pub fn parse_plain_u64(value: &At<Vec<u8>>, max: u64) -> Result<u64, Problem> {
    plain_at(Cursor::of(value), max)
}

/// [`parse_plain_u64`] of what a cursor has before it.
pub(crate) fn plain_at(mut cursor: Cursor<'_>, max: u64) -> Result<u64, Problem> {
    cursor.skip_blanks();
    let number = plain(&mut cursor, max)?;
    cursor.finish()?;
    Ok(number)
}

fn comparison(cursor: &mut Cursor<'_>, max: u64, ends: Ends) -> Result<Num, Problem> {
    cursor.skip_blanks();
    let start = cursor.clone();
    if ends == Ends::Excluded && cursor.eat(b"&") {
        return mask(cursor, max);
    }
    if cursor.eat(b"!") {
        if ends == Ends::Excluded && cursor.eat(b"&") {
            cursor.skip_blanks();
            return Ok(Num::one(NumOp::NoBit, number(cursor, max)?));
        }
        cursor.eat(b"=");
        let place = cursor.clone();
        cursor.skip_blanks();
        let a = number(cursor, max)?;
        return match range_end(cursor, a, max, ends)? {
            None => Ok(Num::one(NumOp::Ne, a)),
            Some(b) if ends == Ends::Excluded => Ok(Num {
                op: NumOp::NotBetween,
                a,
                b,
            }),
            Some(b) => match (a.checked_sub(1), b.checked_add(1).filter(|&b| b <= max)) {
                (Some(a), Some(b)) => Ok(Num {
                    op: NumOp::NotBetween,
                    a,
                    b,
                }),
                _ => Err(Problem::syntax(
                    place.place(),
                    format!("a range here lies within 1-{}", max - 1),
                )),
            },
        };
    }
    let (op, never) = if cursor.eat(b"<=") {
        (NumOp::Le, Some(max))
    } else if cursor.eat(b">=") {
        (NumOp::Ge, Some(0))
    } else if cursor.eat(b"<") {
        (NumOp::Lt, Some(0))
    } else if cursor.eat(b">") {
        (NumOp::Gt, Some(max))
    } else {
        cursor.eat(b"=");
        (NumOp::Eq, None)
    };
    cursor.skip_blanks();
    let a = number(cursor, max)?;
    if never == Some(a) {
        let always = if matches!(op, NumOp::Le | NumOp::Ge) {
            "for every number"
        } else {
            "for no number"
        };
        return Err(Problem::syntax(
            start.place(),
            format!("the comparison holds {always}: numbers are 0 to {max}"),
        ));
    }
    if op != NumOp::Eq {
        return Ok(Num::one(op, a));
    }
    Ok(match (range_end(cursor, a, max, ends)?, ends) {
        (None, _) => Num::one(NumOp::Eq, a),
        (Some(b), Ends::Excluded) => Num {
            op: NumOp::Between,
            a,
            b,
        },
        (Some(b), Ends::Included) => Num {
            op: NumOp::Within,
            a,
            b,
        },
    })
}

/// `-b` or `<>b` after `a`, if it is there.
fn range_end(
    cursor: &mut Cursor<'_>,
    a: u64,
    max: u64,
    ends: Ends,
) -> Result<Option<u64>, Problem> {
    let mut ahead = cursor.clone();
    ahead.skip_blanks();
    if !ahead.eat(b"-") && !ahead.eat(b"<>") {
        return Ok(None);
    }
    ahead.skip_blanks();
    let place = ahead.place();
    let b = number(&mut ahead, max)?;
    *cursor = ahead;
    let least = if ends == Ends::Excluded { 2 } else { 1 };
    if b.checked_sub(a).is_none_or(|distance| distance < least) {
        return Err(Problem::syntax(
            place,
            format!(
                "the range {a}-{b} is empty: expected a second number of at least {}",
                a.saturating_add(least)
            ),
        ));
    }
    Ok(Some(b))
}

/// What follows `&`.
fn mask(cursor: &mut Cursor<'_>, max: u64) -> Result<Num, Problem> {
    cursor.skip_blanks();
    let a = number(cursor, max)?;
    cursor.skip_blanks();
    let op = if cursor.eat(b"!=") {
        NumOp::NotMasked
    } else if cursor.eat(b"=") {
        NumOp::Masked
    } else {
        return Ok(Num::one(NumOp::AnyBit, a));
    };
    cursor.skip_blanks();
    let place = cursor.place();
    let b = number(cursor, max)?;
    if a & b != b {
        return Err(Problem::syntax(
            place,
            format!("{b:#x} has bits that the mask {a:#x} has not, and is never equal"),
        ));
    }
    Ok(Num { op, a, b })
}

/// A number with an optional unit.
fn number(cursor: &mut Cursor<'_>, max: u64) -> Result<u64, Problem> {
    let start = cursor.clone();
    let hex = start.rest().starts_with(b"0x");
    let number = plain(cursor, max)?;
    if hex {
        return Ok(number);
    }
    let unit = cursor
        .clone()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .to_ascii_lowercase();
    let factor: u64 = match unit.as_slice() {
        b"kb" | b"kib" => 1 << 10,
        b"mb" | b"mib" => 1 << 20,
        b"gb" | b"gib" => 1 << 30,
        _ => return Ok(number),
    };
    cursor.advance(unit.len());
    number
        .checked_mul(factor)
        .filter(|&product| product <= max)
        .ok_or_else(|| too_big(&start, max))
}

fn plain(cursor: &mut Cursor<'_>, max: u64) -> Result<u64, Problem> {
    let start = cursor.clone();
    let (radix, digits) = if cursor.eat(b"0x") {
        (16, cursor.take_while(|byte| byte.is_ascii_hexdigit()))
    } else {
        (10, cursor.take_while(|byte| byte.is_ascii_digit()))
    };
    if digits.is_empty() {
        return Err(start.expected(&format!("a number from 0 to {max}")));
    }
    let mut number: u64 = 0;
    for &digit in digits {
        let digit = (digit as char).to_digit(radix).map_or(0, u64::from);
        number = number
            .checked_mul(radix.into())
            .and_then(|number| number.checked_add(digit))
            .filter(|&number| number <= max)
            .ok_or_else(|| too_big(&start, max))?;
    }
    Ok(number)
}

fn too_big(start: &Cursor<'_>, max: u64) -> Problem {
    start.expected(&format!("a number from 0 to {max}"))
}
