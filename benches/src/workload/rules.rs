//! Probes of rules: from each, the window of its contents that is rarest in traffic that is not measured.

use weir_engine::matcher::{MAX_PROBE, Probe};
use weir_engine::plan::Buffer;
use weir_rules::contents::{self, Literal};
use weir_rules::frequency::Table;
use weir_rules::probe::{Candidate, choose};
use weir_rules::syntax::{RuleFile, SourceFile};

use super::count::Counter;
use super::{Buffers, distinct};

/// What was made of rules.
#[derive(Clone, Debug, Default)]
pub struct RuleProbes {
    /// Rules in the files.
    pub rules: usize,
    /// Rules without a positive content, or whose text is wrong.
    pub without: usize,
    /// One probe a rule, each once.
    pub probes: Vec<Probe>,
    /// What Weir looks for, by the frequency table that comes with it: no probe for rules with nothing rare to offer.
    pub planned: Vec<Probe>,
    /// Other windows of the rules' contents, of 3 to 8 bytes, that are not in the traffic they were chosen by.
    pub others: Vec<Probe>,
}

/// Windows that a content can be looked for by: as long as it is, 8 bytes at most.
fn windows(literal: &Literal) -> std::slice::Windows<'_, u8> {
    literal
        .bytes
        .windows(literal.bytes.len().clamp(1, MAX_PROBE))
}

/// Takes from every rule, whether Weir can evaluate it or not, the window of its positive contents that stands at the
/// fewest offsets of `learnt`, case ignored; of equals the longest, of those the first. There is no lower bound: a rule
/// with nothing rare to offer gives a common probe.
pub fn rule_probes(sources: &[SourceFile], learnt: &Buffers) -> RuleProbes {
    let mut made = RuleProbes::default();
    let mut rules = Vec::new();
    let mut counter = Counter::new();
    for source in sources {
        for rule in RuleFile::parse(&source.bytes) {
            made.rules += 1;
            let literals = rule.map(|rule| contents::positive(&rule));
            let literals = literals.unwrap_or_default();
            if literals.is_empty() {
                made.without += 1;
                continue;
            }
            literals
                .iter()
                .flat_map(windows)
                .for_each(|window| counter.want(window));
            rules.push(literals);
        }
    }
    for payload in learnt.iter() {
        counter.count(payload);
    }
    let mut probes = Vec::with_capacity(rules.len());
    let mut others = Vec::new();
    for literals in &rules {
        let candidates = literals
            .iter()
            .flat_map(|literal| windows(literal).map(|window| (window, literal.nocase)));
        let rarest = candidates
            .clone()
            .min_by_key(|(window, _)| (counter.hits(window), MAX_PROBE - window.len()));
        let probe = |(window, nocase): (&[u8], bool)| {
            let folded = nocase && window.iter().any(u8::is_ascii_alphabetic);
            Probe::new(window, folded, 1)
        };
        probes.extend(rarest.and_then(probe));
        let unseen =
            candidates.filter(|(window, _)| window.len() >= 3 && counter.hits(window) == 0);
        others.extend(unseen.filter_map(probe));
    }
    made.planned = distinct(rules.iter().filter_map(|literals| planned(literals)));
    made.probes = distinct(probes);
    made.others = distinct(others);
    made
}

/// The probe that the planner chooses.
fn planned(literals: &[Literal]) -> Option<Probe> {
    let lower: Vec<_> = literals
        .iter()
        .map(|literal| {
            let mut bytes = literal.bytes.clone();
            if literal.nocase {
                bytes.make_ascii_lowercase();
            }
            bytes
        })
        .collect();
    let candidates: Vec<_> = literals
        .iter()
        .zip(&lower)
        .map(|(literal, bytes)| Candidate {
            bytes,
            nocase: literal.nocase,
            preferred: literal.preferred,
        })
        .collect();
    let choice = choose(&candidates, Buffer::Payload, &*Table::standard())?;
    Probe::new(&choice.bytes, choice.folded, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_looked_for_by_what_is_rare() {
        let text = br#"alert tcp any any -> any any (content:"common"; content:"Rare words"; nocase; sid:1;)
alert http any any -> any any (http.uri; content:"common"; content:"ab"; sid:2;)
alert tcp any any -> any any (content:"common"; content:"rare WORDS"; nocase; sid:3;)
alert tcp any any -> any any (dsize:4; sid:4;)
not a rule
"#;
        let source = SourceFile {
            name: "test".into(),
            bytes: text.to_vec(),
        };
        let mut learnt = Buffers::new();
        learnt.push(b"common common rare wor");
        let made = rule_probes(&[source], &learnt);
        assert_eq!((made.rules, made.without), (5, 2));
        let probe = |literal: &[u8], folded| Probe::new(literal, folded, 1).expect("short");
        assert_eq!(made.probes, [probe(b"are word", true), probe(b"ab", false)]);
        assert_eq!(
            made.others,
            [probe(b"are word", true), probe(b"re words", true)]
        );
    }
}
