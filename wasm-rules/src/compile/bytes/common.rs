//! What the `byte_*` keywords have in common.

use weir_engine::app::AppField;
use weir_engine::plan::{Endian, NumberBase, Value};

use crate::compile::args::{self, Text};
use crate::compile::draft::Draft;
use crate::syntax::ast::{Place, Problem};

/// Most bytes of a number that is written out in octal, decimal or hexadecimal, in Suricata's `byte_*` keywords.
pub(super) const MAX_DIGITS: i64 = 23;

/// What the `byte_*` keywords have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) relative: bool,
    pub(super) string: bool,
    pub(super) base: Option<NumberBase>,
    pub(super) endian: Option<Endian>,
    pub(super) bitmask: Option<u32>,
    /// Where `dce` stands.
    pub(super) dce: Option<Place>,
}

impl Common {
    /// Takes a part that several keywords have; false when it is not one of those.
    pub(super) fn take(&mut self, key: &Text, rest: Option<&Text>) -> Result<bool, Problem> {
        let twice = |known: bool| {
            if known {
                Err(Problem::syntax(
                    key.place,
                    format!("`{}` contradicts what is before it", args::string(key)),
                ))
            } else {
                Ok(())
            }
        };
        match key.value.to_ascii_lowercase().as_slice() {
            b"relative" => self.relative = true,
            b"string" => {
                self.string = true;
                if let Some(rest) = rest {
                    self.base = Some(digits(rest)?);
                }
                return Ok(true);
            }
            b"dec" | b"hex" | b"oct" => {
                twice(self.base.is_some())?;
                self.base = Some(digits(key)?);
            }
            b"big" | b"little" => {
                twice(self.endian.is_some())?;
                let big = key.value.first().map(u8::to_ascii_lowercase) == Some(b'b');
                self.endian = Some(if big { Endian::Big } else { Endian::Little });
            }
            b"dce" => self.dce = Some(key.place),
            b"bitmask" => {
                twice(self.bitmask.is_some())?;
                self.bitmask = Some(bitmask(rest.unwrap_or(key))?);
                return Ok(true);
            }
            _ => return Ok(false),
        }
        match rest {
            Some(rest) => Err(args::expected(rest, "`,` or the end")),
            None => Ok(true),
        }
    }

    /// `dce` needs flows of DCE/RPC: its requests say the byte order.
    pub(super) fn of_dce(&self, draft: &mut Draft<'_>) -> Result<(), Problem> {
        match self.dce {
            Some(place) => draft.restrict(AppField::DceLittleEndian.protos(), place),
            None => Ok(()),
        }
    }

    /// The encoding, checked against the number of bytes. Digits have no byte order: Suricata takes `big` and `little`
    /// with `string`, and they mean nothing.
    pub(super) fn base(&self, bytes: Value, text: &Text) -> Result<NumberBase, Problem> {
        let place = text.place;
        let count = match bytes {
            Value::Const(count) => Some(count),
            Value::Var(_) => None,
        };
        let most = match (self.string, self.base) {
            (false, Some(_)) => {
                return Err(Problem::syntax(
                    place,
                    "`dec`, `hex` and `oct` need `string`",
                ));
            }
            (true, Some(NumberBase::Hex)) => 14,
            (true, Some(NumberBase::Dec)) => 20,
            (true, _) => MAX_DIGITS,
            (false, None) => 8,
        };
        if count.is_some_and(|count| count > most) {
            return Err(args::expected(
                text,
                &format!("at most {most} bytes for a number in this form"),
            ));
        }
        Ok(match (self.base, self.string) {
            (Some(base), _) => base,
            (None, true) => NumberBase::Guessed,
            (None, false) if self.dce.is_some() => NumberBase::Binary(Endian::Dce),
            (None, false) => NumberBase::Binary(self.endian.unwrap_or_default()),
        })
    }
}

/// How digits are written.
pub(super) fn digits(text: &Text) -> Result<NumberBase, Problem> {
    match text.value.to_ascii_lowercase().as_slice() {
        b"dec" => Ok(NumberBase::Dec),
        b"hex" => Ok(NumberBase::Hex),
        b"oct" => Ok(NumberBase::Oct),
        _ => Err(args::expected(text, "`dec`, `hex` or `oct`")),
    }
}

pub(super) fn bitmask(text: &Text) -> Result<u32, Problem> {
    let digits = args::string(text);
    let hex = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
        .unwrap_or(&digits);
    let valid = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mask = if valid {
        u32::from_str_radix(hex, 16).ok()
    } else {
        None
    };
    mask.filter(|&mask| mask != 0)
        .ok_or_else(|| args::expected(text, "a mask of up to 32 bits in hexadecimal, not 0"))
}

/// A part that has to be there.
pub(super) fn part<'a>(
    parts: &'a [Text],
    at: usize,
    whole: &Text,
    what: &str,
) -> Result<&'a Text, Problem> {
    parts
        .get(at)
        .filter(|part| !part.value.is_empty())
        .ok_or_else(|| args::expected(whole, what))
}

pub(super) fn unknown(key: &Text) -> Problem {
    args::expected(key, "an option of the keyword")
}

/// The number after a key.
pub(super) fn argument<'a>(key: &Text, rest: Option<&'a Text>) -> Result<&'a Text, Problem> {
    rest.ok_or_else(|| {
        Problem::syntax(
            key.place,
            format!("`{}` needs a number after it", args::string(key)),
        )
    })
}
