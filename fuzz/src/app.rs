//! Parsers of application layers: how bytes become a conversation, and what holds of every one.
//!
//! ```text
//! options (1 byte)  then, until the end:  what (1 byte)  length (1 byte)  bytes
//! ```
//!
//! `what`: bit 0 to the client, bit 1 bytes are missing first, bit 2 nothing more comes that way, bits 4 to 7 how often
//! the bytes come.

use weir_engine::app::{AppBuffer, AppField, AppProto, Output, Way, parser_for};

/// Bytes that a parser and its transactions may hold, whatever it is told: limits of single things are far below, and
/// 256 transactions may be open.
const MOST_BYTES: usize = 64 << 20;

/// Tells a parser what an input says.
pub fn drive(proto: AppProto, udp: bool, input: &[u8]) {
    let Some((&options, mut rest)) = input.split_first() else {
        return;
    };
    let Some(mut parser) = parser_for(proto, udp, options.into()) else {
        panic!("{} has no parser", proto.name());
    };
    let mut out = Output::everything();
    while let [what, length, tail @ ..] = rest {
        let (piece, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        let way = Way::of(usize::from(what & 1));
        if what & 2 != 0 {
            parser.gap(way, &mut out);
        }
        for _ in 0..=what >> 4 {
            if out.is_over() {
                return;
            }
            parser.data(way, piece, &mut out);
            look(&*parser, &mut out);
        }
        if what & 4 != 0 {
            parser.end(way, &mut out);
        }
        look(&*parser, &mut out);
    }
    for way in Way::ALL {
        parser.end(way, &mut out);
    }
    look(&*parser, &mut out);
}

/// Looks at everything, as rules and records would.
fn look(parser: &dyn weir_engine::app::Parser, out: &mut Output) {
    for tx in out.transactions() {
        for way in Way::ALL {
            let bytes =
                |&buffer: &AppBuffer| tx.buffers(way, buffer).map(<[u8]>::len).sum::<usize>();
            let all: usize = AppBuffer::ALL.iter().map(bytes).sum();
            let numbers = |&field: &AppField| tx.numbers(way, field).count();
            assert!(all <= 1 << 20 && AppField::ALL.iter().map(numbers).sum::<usize>() <= 4096);
        }
        for event in tx.events() {
            let mut known = weir_engine::app::events();
            assert!(
                known.any(|name| name == *event),
                "{event} is no event that rules can ask for"
            );
        }
        let _ = parser.describe(tx.id, out);
    }
    assert!(
        parser.memory() + out.memory() <= MOST_BYTES,
        "{} bytes",
        parser.memory() + out.memory()
    );
    out.look();
}
