//! `pcre`.

use weir_engine::app::AppBuffer;
use weir_engine::pcre::Flags;
use weir_engine::plan::{Buffer, Op, Pcre};

use crate::compile::args;
use crate::compile::draft::{Draft, Latest, Target};
use crate::syntax::ast::{Problem, RuleOption};
use crate::syntax::value::parse_pcre;

/// Letters of `pcre` that select an HTTP buffer, and the buffer of each.
const HTTP_LETTERS: [(u8, AppBuffer); 13] = [
    (b'U', AppBuffer::HttpUri),
    (b'I', AppBuffer::HttpUriRaw),
    (b'P', AppBuffer::HttpRequestBody),
    (b'Q', AppBuffer::HttpResponseBody),
    (b'H', AppBuffer::HttpHeader),
    (b'D', AppBuffer::HttpHeaderRaw),
    (b'M', AppBuffer::HttpMethod),
    (b'C', AppBuffer::HttpCookie),
    (b'S', AppBuffer::HttpStatCode),
    (b'Y', AppBuffer::HttpStatMsg),
    (b'V', AppBuffer::HttpUserAgent),
    (b'W', AppBuffer::HttpHost),
    (b'Z', AppBuffer::HttpHostRaw),
];

pub(in crate::compile) fn pcre(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let text = args::value(option)?;
    let parsed = parse_pcre(text)?;
    let place = option.name.place;
    let (mut flags, mut from_cursor) = (Flags::default(), false);
    let mut of_http = None;
    for &letter in &parsed.flags {
        match letter {
            b'i' => flags.caseless = true,
            b's' => flags.dotall = true,
            b'm' => flags.multiline = true,
            b'x' => flags.extended = true,
            b'A' => flags.anchored = true,
            b'E' => flags.dollar_endonly = true,
            b'G' => flags.ungreedy = true,
            b'R' => from_cursor = true,
            // The payload is never matched in any other form than raw, and the match limit is not the author's to set.
            b'B' | b'O' => {}
            _ => match HTTP_LETTERS.iter().find(|(known, _)| *known == letter) {
                Some((_, buffer)) => of_http = Some(*buffer),
                None => return Err(args::expected(text, "only flags that Suricata has")),
            },
        }
    }
    let regex = draft
        .compiler
        .regex(&parsed.pattern, flags)
        .map_err(|error| {
            Problem::syntax(text.place, format!("the expression is not valid: {error}"))
        })?;
    draft.keep_position(from_cursor);
    draft.stay();
    draft.push(
        Op::Pcre(Pcre {
            regex,
            relative: from_cursor,
            negated: parsed.negated,
        }),
        place,
    );
    if let Some(buffer) = of_http {
        draft.restrict(buffer.protos(), place)?;
        draft.one_way(buffer, place)?;
        if let Some(Latest::Entry(list, entry)) = draft.latest {
            draft.move_entry((list, entry), Target::Buffer(Buffer::App(buffer)));
        }
    }
    if let Some(capture) = parsed.captures.first() {
        let message = format!("storing what a group matched (`{capture}`) needs flow variables");
        return Err(Problem::unsupported(place, "pcre capture", message));
    }
    Ok(())
}
