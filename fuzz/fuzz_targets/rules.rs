//! Reading, checking and compiling arbitrary rule files; what compiles is evaluated on a few packets.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::eval::{Beyond, Evaluator, Plain, Subject};
use weir_engine::packet::{Decoder, DecoderConfig};
use weir_engine::plan::RuleId;
use weir_fuzz::{Traffic, compiler};
use weir_rules::compile::{Compiler, load};
use weir_rules::syntax::SourceFile;

static COMPILER: LazyLock<Compiler> = LazyLock::new(compiler);

/// A TCP segment with an HTTP request, a DNS query over IPv6, an ICMP echo and a truncated frame.
const PACKETS: &[u8] = include_bytes!("../seeds/evaluate/mixed");

fuzz_target!(|input: &[u8]| {
    let file = SourceFile {
        name: "input".into(),
        bytes: input.to_vec(),
    };
    let loaded = load(&[file], &COMPILER);
    for refused in &loaded.refused {
        // Every problem points into the file and says something.
        assert!(
            refused
                .problems
                .iter()
                .all(|problem| !problem.message.is_empty() && problem.place.line > 0)
        );
    }
    let rules = Arc::new(loaded.rules);
    if rules.rules().is_empty() {
        return;
    }
    let all: Vec<RuleId> = (0..rules.rules().len() as RuleId).collect();
    let mut plain = Plain::new(Arc::clone(&rules));
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut matches = Vec::new();
    for frame in Traffic::new(PACKETS).into_iter().flatten() {
        decoder.decode(frame, &mut |packet| {
            matches.clear();
            plain.evaluate(
                &Subject::packet(packet, packet.payload),
                Beyond::default(),
                &all,
                &mut matches,
            );
            for &id in &matches {
                let probe = rules.get(id).and_then(|rule| rule.probe.as_ref());
                let present =
                    probe.is_none_or(|probe| contains(packet.payload, &probe.bytes, probe.folded));
                assert!(present, "a rule matched without its probe: {probe:?}");
            }
        });
    }
});

fn contains(haystack: &[u8], needle: &[u8], folded: bool) -> bool {
    haystack.windows(needle.len()).any(|at| {
        if folded {
            at.eq_ignore_ascii_case(needle)
        } else {
            at == needle
        }
    })
}
