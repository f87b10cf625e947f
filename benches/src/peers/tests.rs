//! The peers on the engine's corpus: they must give the right answers too, or their times say nothing.

use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::{Case, corpus, random_cases};

use super::*;

/// Compares all peers' answers on the buffers of a case that have no carry. Returns how many hits there were.
fn hold(case: &Case) -> usize {
    // Peers know no groups: one group after the other.
    let mut hits = 0;
    for group in 0..64 {
        let asks = case
            .asks
            .iter()
            .filter(|ask| ask.group == group && ask.carry == 0);
        let mut asks = asks.peekable();
        if asks.peek().is_none() {
            continue;
        }
        let numbered = case.probes.iter().zip(0u32..);
        let (probes, numbers): (Vec<Probe>, Vec<u32>) = numbered
            .filter(|(probe, _)| probe.groups >> group & 1 == 1)
            .unzip();
        let mut peers: Vec<_> = all()
            .into_iter()
            .filter(|entry| entry.name != aho::DFA || probes.len() < 1000)
            .map(|entry| {
                (
                    entry.name.clone(),
                    entry.load(&probes).expect("it takes the set"),
                )
            })
            .collect();
        for ask in asks {
            hits += ask.hits.len();
            for (name, peer) in &mut peers {
                let mut found = Vec::new();
                peer.scan(&ask.data, &mut found).expect("it finishes");
                for hit in &mut found {
                    hit.probe = numbers[hit.probe as usize];
                }
                found.sort_unstable();
                assert_eq!(found, ask.hits, "{name}: {}: {:?}", case.name, probes);
            }
        }
    }
    hits
}

#[test]
fn peers_find_what_the_definition_finds() {
    let cases = corpus().expect("the corpus is well-formed");
    // Automata over tens of thousands of literals take long to build without optimisation.
    let small = cases.iter().filter(|case| case.probes.len() < 10_000);
    let hits: usize = small.map(hold).sum();
    assert!(hits > 1000, "{hits}");
    let hits: usize = random_cases(9, 60).map(|case| hold(&case)).sum();
    assert!(hits > 100, "{hits}");
}
