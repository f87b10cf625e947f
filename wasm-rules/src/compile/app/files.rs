//! Files, and texts that a keyword looks for in a buffer of its own.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Buffer, Content, Num, NumOp, Op, Which};

use super::need;
use crate::compile::args::{self, Text};
use crate::compile::dataset::beside;
use crate::compile::draft::{Draft, Target};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_bytes, parse_number, split_list, unquote};

/// Most bytes of a list of hashes: some ten million of SHA-256.
const MAX_LIST: u64 = 1 << 30;

/// How a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Anywhere, whatever its case; written as a content.
    Anywhere,
    /// As the end of a name, behind a dot, whatever its case; written as a content.
    Extension,
    /// Anywhere, as it is written.
    Exact,
    /// Anywhere, in lower case.
    Lower,
}

/// A keyword that looks for a text in a buffer of its own.
pub(super) fn text_in(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    buffer: AppBuffer,
    look: Look,
) -> Result<(), Problem> {
    need(draft, option, buffer.protos())?;
    let value = args::value(option)?;
    let unquoted = unquote(value, true)?;
    let mut bytes = match look {
        Look::Anywhere | Look::Extension => parse_bytes(unquoted.text, unquoted.place)?,
        Look::Exact | Look::Lower => unquoted.text.to_vec(),
    };
    let nocase = matches!(look, Look::Anywhere | Look::Extension);
    if look == Look::Extension {
        bytes.insert(0, b'.');
    }
    if nocase || look == Look::Lower {
        bytes.make_ascii_lowercase();
    }
    draft.push_to(
        Target::Buffer(Buffer::App(buffer)),
        Op::Content(Content {
            bytes,
            nocase,
            negated: unquoted.negated,
            endswith: look == Look::Extension,
            ..Content::default()
        }),
        option.name.place,
    );
    Ok(())
}

pub(super) fn filesize(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::FileSize.protos())?;
    let value = args::bare(args::value(option)?);
    let parts = split_list(&value);
    let (way, number) = match parts.as_slice() {
        [number] => (None, number),
        [way, number] => (Some(direction(way)?), number),
        _ => return Err(args::expected(&value, "a size")),
    };
    let num = parse_number(number, u64::MAX)?;
    draft.app_test(AppTest::Number {
        field: AppField::FileSize,
        num,
        which: Which::Any,
        way,
    });
    Ok(())
}

/// True for the direction to the server.
pub(super) fn direction(text: &Text) -> Result<bool, Problem> {
    match text.value.as_slice() {
        b"to_server" | b"toserver" => Ok(true),
        b"to_client" | b"toclient" => Ok(false),
        _ => Err(args::expected(text, "`to_server` or `to_client`")),
    }
}

/// `filestore`: the rule needs a file. (Where files are written is the operator's matter, not the rule's.)
pub(super) fn filestore(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::FileStored.protos())?;
    let parts = option.value.as_ref().map(split_list).unwrap_or_default();
    let way = match parts.first() {
        None => None,
        Some(first) => match first.value.as_slice() {
            b"both" => None,
            b"request" => Some(true),
            b"response" => Some(false),
            _ => Some(direction(first)?),
        },
    };
    draft.app_test(AppTest::Number {
        field: AppField::FileStored,
        num: Num::one(NumOp::Ge, 1),
        which: Which::Any,
        way,
    });
    Ok(())
}

/// `filemd5:[!]FILE`: a list of hashes, one a line, beside the rule file.
pub(super) fn hashes(
    draft: &mut Draft<'_>,
    option: &RuleOption,
    buffer: AppBuffer,
    length: usize,
) -> Result<(), Problem> {
    need(draft, option, buffer.protos())?;
    let value = args::value(option)?;
    let unquoted = unquote(value, true)?;
    let (negated, name) = (
        unquoted.negated,
        String::from_utf8_lossy(unquoted.text).into_owned(),
    );
    let problem = |message: String| Problem::syntax(value.place, message);
    let path = beside(&name, &draft.meta.origin.0)
        .ok_or_else(|| problem(format!("the list of hashes `{name}` cannot be read")))?;
    let hashes = draft
        .compiler
        .hashes(&path, length)
        .map_err(|why| problem(format!("{name}: {why}")))?;
    draft.app_test(AppTest::HashIn {
        buffer,
        hashes,
        negated,
    });
    Ok(())
}

/// Reads a list of hashes of so many bytes, one at the start of each line; sorted, each once.
///
/// # Errors
/// What is wrong with it, and in which line.
pub(in crate::compile) fn read_hashes(path: &Path, length: usize) -> Result<Vec<Vec<u8>>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    if size > MAX_LIST {
        return Err(format!("has {size} bytes; lists have {MAX_LIST} at most"));
    }
    let mut text = Vec::new();
    file.take(MAX_LIST).read_to_end(&mut text).map_err(cannot)?;
    let mut hashes = Vec::new();
    for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let digits = line.iter().position(|byte: &u8| !byte.is_ascii_hexdigit());
        let digits = line.get(..digits.unwrap_or(line.len())).unwrap_or_default();
        let hash = args::hex(digits).filter(|hash| hash.len() == length);
        let hash = hash.ok_or_else(|| {
            let digits = length * 2;
            format!("line {number}: expected a hash of {digits} hexadecimal digits")
        })?;
        hashes.push(hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes)
}
