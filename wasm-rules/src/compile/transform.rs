//! Transforms of sticky buffers.

use std::sync::Arc;

use weir_engine::pcre::Regex;
use weir_engine::plan::{Base64Mode, NumOp, Subslice, Transform};

use super::args::{self, Text};
use super::draft::Draft;
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list, unquote, unquote_strictly};

/// What decompression gives at most when a rule does not say it.
const DEFAULT_SIZE: u32 = 1024;
/// Most that a rule may say.
const MAX_SIZE: u64 = 16 << 20;
/// Longest key of `xor`, in bytes.
const MAX_KEY: usize = 255;
/// Largest number of `from_base64`.
const MAX_OFFSET: i64 = u16::MAX as i64;
/// Largest number of `subslice`, either way: no buffer is longer.
const MAX_SLICE: i64 = u32::MAX as i64;

/// Puts a transform into the draft; `None` for other keywords.
pub(super) fn transform(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    keyword: &str,
) -> Option<Result<(), Problem>> {
    let made = match keyword {
        "to_lowercase" => plain(option, Transform::ToLowercase),
        "to_uppercase" => plain(option, Transform::ToUppercase),
        "strip_whitespace" => plain(option, Transform::StripWhitespace),
        "compress_whitespace" => plain(option, Transform::CompressWhitespace),
        "dotprefix" => plain(option, Transform::DotPrefix),
        "domain" => plain(option, Transform::Domain),
        "tld" => plain(option, Transform::Tld),
        "url_decode" => plain(option, Transform::UrlDecode),
        "header_lowercase" => plain(option, Transform::HeaderLowercase),
        "strip_pseudo_headers" => plain(option, Transform::StripPseudoHeaders),
        "to_md5" => plain(option, Transform::ToMd5),
        "to_sha1" => plain(option, Transform::ToSha1),
        "to_sha256" => plain(option, Transform::ToSha256),
        "xor" => xor(option),
        "from_base64" => from_base64(option),
        "gunzip" => max_size(option).map(|max_size| Transform::Gunzip { max_size }),
        "zlib_deflate" => max_size(option).map(|max_size| Transform::ZlibDeflate { max_size }),
        "pcrexform" => pcrexform(option),
        "subslice" => subslice(option),
        _ => return None,
    };
    Some(made.and_then(|transform| draft.transform(transform, option.name.place)))
}

/// A transform without settings.
fn plain(option: &RuleOption, transform: Transform) -> Result<Transform, Problem> {
    args::no_value(option).map(|()| transform)
}

fn xor(option: &RuleOption) -> Result<Transform, Problem> {
    let text = args::value(option)?;
    let digits = unquote(text, false)?.text;
    let key = args::hex(digits).filter(|key| (1..=MAX_KEY).contains(&key.len()));
    key.map(|key| Transform::Xor(key.into())).ok_or_else(|| {
        let what = format!("a key of 1 to {MAX_KEY} bytes, each in two hexadecimal digits");
        args::expected(text, &what)
    })
}

fn from_base64(option: &RuleOption) -> Result<Transform, Problem> {
    let (mut offset, mut bytes, mut mode) = (None, None, None);
    for (key, rest) in option.value.as_ref().map(args::pairs).unwrap_or_default() {
        let rest = rest.ok_or_else(|| args::expected(&key, "a setting and its value"))?;
        let number = |least| args::integer(&rest, least, MAX_OFFSET).map(|number| number as u32);
        let twice = match key.value.as_slice() {
            b"offset" => offset.replace(number(0)?).is_some(),
            b"bytes" => bytes.replace(number(1)?).is_some(),
            b"mode" => mode.replace(base64_mode(&rest)?).is_some(),
            _ => return Err(args::expected(&key, "`bytes`, `offset` or `mode`")),
        };
        if twice {
            return Err(args::expected(&key, "each setting once"));
        }
    }
    Ok(Transform::FromBase64 {
        offset: offset.unwrap_or(0),
        bytes,
        mode: mode.unwrap_or(Base64Mode::Rfc4648),
    })
}

fn base64_mode(text: &Text) -> Result<Base64Mode, Problem> {
    Ok(match text.value.as_slice() {
        b"rfc4648" => Base64Mode::Rfc4648,
        b"rfc2045" => Base64Mode::Rfc2045,
        b"strict" => Base64Mode::Strict,
        _ => return Err(args::expected(text, "`rfc4648`, `rfc2045` or `strict`")),
    })
}

/// `max-size` of decompression, with `=` or white space before its number.
fn max_size(option: &RuleOption) -> Result<u32, Problem> {
    let Some(text) = &option.value else {
        return Ok(DEFAULT_SIZE);
    };
    let number = text.value.strip_prefix(b"max-size").and_then(|rest| {
        let number = rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii();
        (number.len() < rest.len()).then(|| Text {
            value: number.to_vec(),
            place: text.place.plus(text.value.len() - number.len()),
        })
    });
    let number = number.ok_or_else(|| args::expected(text, "`max-size=` and a number"))?;
    let num = parse_number(&number, MAX_SIZE)?;
    if num.op != NumOp::Eq || num.a == 0 {
        let what = format!("a number of bytes from 1 to {MAX_SIZE}");
        return Err(args::expected(&number, &what));
    }
    Ok(num.a as u32)
}

fn pcrexform(option: &RuleOption) -> Result<Transform, Problem> {
    let text = unquote_strictly(args::value(option)?, false)?;
    let regex = Regex::capturing(text.text).map_err(|error| {
        Problem::syntax(text.place, format!("the expression is not valid: {error}"))
    })?;
    match regex.groups() {
        1 => Ok(Transform::Pcre(Arc::new(regex))),
        groups => {
            let message =
                format!("the expression needs one group in parentheses, and has {groups}");
            Err(Problem::syntax(text.place, message))
        }
    }
}

/// `subslice:OFFSET[,BYTES][,truncate]`
fn subslice(option: &RuleOption) -> Result<Transform, Problem> {
    let text = args::value(option)?;
    let parts = split_list(text);
    let is_flag = |part: &Text| part.value.eq_ignore_ascii_case(b"truncate");
    let (offset, bytes, truncate) = match parts.as_slice() {
        [offset] => (offset, None, false),
        [offset, flag] if is_flag(flag) => (offset, None, true),
        [offset, bytes] => (offset, Some(bytes), false),
        [offset, bytes, flag] if is_flag(flag) => (offset, Some(bytes), true),
        _ => {
            let what = "an offset, and perhaps a number of bytes and `truncate`";
            return Err(args::expected(text, what));
        }
    };
    let number = |text: &Text| args::integer(text, -MAX_SLICE, MAX_SLICE);
    let count = |text: &Text| match number(text)? {
        0 => Err(args::expected(text, "a number of bytes other than 0")),
        number => Ok(number),
    };
    Ok(Transform::Subslice(Subslice {
        offset: number(offset)?,
        bytes: bytes.map(count).transpose()?,
        truncate,
    }))
}
