//! Other people's matchers, each in the fastest configuration we know of for this work.
//!
//! | contender | configuration |
//! |---|---|
//! | `hyperscan` or `vectorscan` | block mode, `HS_FLAG_SINGLEMATCH`, `HS_FLAG_CASELESS` where a probe is folded, literals by `hs_compile_lit_multi`, scratch allocated once |
//! | `aho-corasick/dfa` | a DFA, overlapping search, ASCII case ignored; only up to [`aho::MOST_DFA`] probes, for its memory |
//! | `aho-corasick/nfa` | the same as a contiguous NFA |
//! | `daachorse` | byte-wise double array over folded literals; buffers are folded into a copy first |
//!
//! The last three know one case rule for a whole set, so they ignore case for all and compare where it matters; and they have no mode
//! for first occurrences, so a mark for each probe says that it was seen. Both are counted as their time.

pub mod aho;
mod daac;
mod fold;
pub mod hyperscan;

use crate::contender::Entry;

/// All of them.
pub fn all() -> Vec<Entry> {
    vec![
        Entry::new(
            hyperscan::name(),
            hyperscan::version(),
            hyperscan::Hyperscan::new,
        ),
        Entry::new(aho::DFA, "crate aho-corasick 1, DFA", aho::Aho::dfa),
        Entry::new(
            aho::NFA,
            "crate aho-corasick 1, contiguous NFA",
            aho::Aho::nfa,
        ),
        Entry::new("daachorse", "crate daachorse 5, byte-wise", daac::Daac::new),
    ]
}

#[cfg(test)]
mod tests;
