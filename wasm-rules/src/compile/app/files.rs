//! Files, and texts that a keyword looks for in a buffer of its own.

use std::sync::Arc;

use weir_engine::app::{AppBuffer, AppField};
use weir_engine::plan::{AppTest, Buffer, Content, Num, NumOp, Op, Which};

use super::need;
use crate::compile::args::{self, Text};
use crate::compile::draft::{Draft, Target};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::{parse_number, split_list, unquote};

/// How a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Anywhere, whatever its case.
    Anywhere,
    /// As the end of a name, behind a dot, whatever its case.
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
    let mut bytes = unquoted.text.to_vec();
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
        [way, number] => (Some(is_to_server(way)), number),
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

pub(super) fn is_to_server(way: &Text) -> bool {
    matches!(
        way.value.as_slice(),
        b"to_server" | b"toserver" | b"request"
    )
}

/// `filestore`: the rule needs a file. (Where files are written is the operator's matter, not the rule's.)
pub(super) fn filestore(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    need(draft, option, AppField::FileStored.protos())?;
    let way = option.value.as_ref().and_then(|value| {
        let parts = split_list(value);
        let first = parts.first()?;
        (first.value != b"both").then(|| is_to_server(first))
    });
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
    let beside = std::path::Path::new(&*draft.meta.origin.0)
        .parent()
        .map(|folder| folder.join(&name));
    let read = beside
        .and_then(|path| std::fs::read(path).ok())
        .or_else(|| std::fs::read(&name).ok());
    let Some(text) = read else {
        let message = format!("the list of hashes `{name}` cannot be read");
        return Err(Problem::syntax(value.place, message));
    };
    let mut hashes = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let digits = line
            .split(|byte| !byte.is_ascii_hexdigit())
            .next()
            .unwrap_or_default();
        match hex(digits).filter(|hash| hash.len() == length) {
            Some(hash) => hashes.push(hash),
            None => {
                let message = format!(
                    "{name}:{}: expected a hash of {} hexadecimal digits",
                    number + 1,
                    length * 2
                );
                return Err(Problem::syntax(value.place, message));
            }
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    draft.app_test(AppTest::HashIn {
        buffer,
        hashes: Arc::new(hashes),
        negated,
    });
    Ok(())
}

pub(super) fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}
