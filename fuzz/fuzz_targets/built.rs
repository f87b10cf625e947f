//! Reading rules that are said to have been compiled before. What can be read is evaluated on a few packets, and takes no more
//! memory than its bytes allow.
//!
//! The first two bytes of the input are how many of the others all rules share; the rest is one piece of rules.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use weir_engine::detect::Prepared;
use weir_engine::eval::{Beyond, Evaluator, Plain, Subject};
use weir_engine::packet::{Decoder, DecoderConfig};
use weir_engine::plan::RuleId;
use weir_engine::state::Overrides;
use weir_fuzz::Traffic;
use weir_rules::compile::Variables;
use weir_rules::stored;

static VARIABLES: LazyLock<Variables> = LazyLock::new(Variables::stock);

/// A TCP segment with an HTTP request, a DNS query over IPv6, an ICMP echo and a truncated frame.
const PACKETS: &[u8] = include_bytes!("../seeds/evaluate/mixed");

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (shared, piece) = rest.split_at(length);
    let Ok(loaded) = stored::read(shared, &[piece], &VARIABLES) else {
        return;
    };
    let rules = Arc::new(loaded.rules);
    let prepared = Prepared::new(Arc::clone(&rules), &Overrides::default());
    assert!(prepared.probes().len() <= input.len());
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
        });
    }
});
