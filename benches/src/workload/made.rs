//! Probe sets and buffers that are made up; the same seed gives the same.

use fastrand::Rng;
use weir_engine::matcher::{MAX_PROBE, Probe};

use super::{Buffers, distinct};

const SYLLABLES: [&str; 32] = [
    "ad", "min", "cmd", "exe", "shell", "load", "get", "sys", "tem", "pass", "wd", "bin", "etc",
    "log", "php", "asp", "eval", "base", "user", "root", "dll", "reg", "net", "key", "beacon",
    "drop", "spy", "trojan", "bot", "grab", "inject", "hook",
];

/// A literal as rules have them: a word or two, or bytes of a binary protocol.
fn literal(rng: &mut Rng) -> Vec<u8> {
    // Most contents have eight bytes to offer.
    let length = if rng.u8(..10) < 7 {
        MAX_PROBE
    } else {
        rng.usize(3..MAX_PROBE)
    };
    if rng.u8(..4) == 0 {
        return (0..length).map(|_| rng.u8(..)).collect();
    }
    let mut text = String::new();
    while text.len() < length + 4 {
        match rng.u8(..8) {
            0 => text.push(['/', '.', '=', '_', '-', '%', '?', ':'][rng.usize(..8)]),
            1 => text.push(char::from(rng.u8(b'0'..=b'9'))),
            _ => text.push_str(SYLLABLES[rng.usize(..SYLLABLES.len())]),
        }
    }
    let from = rng.usize(..=4);
    text.as_bytes()[from..from + length].to_vec()
}

/// `count` probes: `given` ones first, drawn without repetition, then made-up ones of 3 to 8 bytes, half of those that
/// have letters folded.
pub fn made_probes(seed: u64, count: usize, given: &[Vec<Probe>]) -> Vec<Probe> {
    let mut rng = Rng::with_seed(seed);
    let mut probes = Vec::with_capacity(count);
    for tier in given {
        let mut tier = tier.clone();
        rng.shuffle(&mut tier);
        probes.extend(tier);
        probes = distinct(probes);
        if probes.len() >= count {
            break;
        }
    }
    while probes.len() < count {
        let short = count - probes.len();
        for _ in 0..short {
            let literal = literal(&mut rng);
            let folded = rng.bool() && literal.iter().any(u8::is_ascii_alphabetic);
            probes.extend(Probe::new(&literal, folded, 1));
        }
        probes = distinct(probes);
    }
    probes.truncate(count);
    probes
}

/// Uniformly random bytes.
pub fn random_bytes(seed: u64, size: usize, bytes: usize) -> Buffers {
    let mut rng = Rng::with_seed(seed);
    let mut all = vec![0; bytes];
    rng.fill(&mut all);
    Buffers::cut(&all, size)
}

/// Pieces strung together until there are `bytes` bytes, cut into buffers.
fn strung(
    seed: u64,
    size: usize,
    bytes: usize,
    mut piece: impl FnMut(&mut Rng, &mut Vec<u8>),
) -> Buffers {
    let mut rng = Rng::with_seed(seed);
    let mut all = Vec::with_capacity(bytes + MAX_PROBE);
    while all.len() < bytes {
        let before = all.len();
        piece(&mut rng, &mut all);
        if all.len() == before {
            all.push(0);
        }
    }
    Buffers::cut(&all[..bytes], size)
}

/// One of `probes`, in upper or lower case where it is folded.
fn spelt(rng: &mut Rng, probes: &[Probe]) -> Vec<u8> {
    let Some(probe) = rng.choice(probes) else {
        return Vec::new();
    };
    let mut bytes = probe.bytes().to_vec();
    if probe.folded() && rng.bool() {
        bytes.make_ascii_uppercase();
    }
    bytes
}

/// Probes of which the last byte is wrong, strung together: all that is looked at before the last byte is right.
pub fn near_misses(seed: u64, probes: &[Probe], size: usize, bytes: usize) -> Buffers {
    strung(seed, size, bytes, |rng, all| {
        let mut wrong = spelt(rng, probes);
        if let Some(last) = wrong.last_mut() {
            *last ^= 1 << rng.u8(..5);
        }
        all.extend(wrong);
    })
}

/// Probes strung together.
pub fn genuine(seed: u64, probes: &[Probe], size: usize, bytes: usize) -> Buffers {
    strung(seed, size, bytes, |rng, all| all.extend(spelt(rng, probes)))
}

/// Runs of one byte or of a short period, a buffer or so long each.
pub fn runs(seed: u64, probes: &[Probe], size: usize, bytes: usize) -> Buffers {
    strung(seed, size, bytes, |rng, all| {
        // What probes begin with: a run of what no probe has is no work at all.
        let unit = spelt(rng, probes);
        let period = rng.usize(1..=3).min(unit.len());
        let length = rng.usize(size / 2..=size + size / 2);
        all.extend(unit[..period].iter().copied().cycle().take(length));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_the_size_that_was_asked_for_and_given_probes_first() {
        let given: Vec<Probe> = ["one", "two", "three"]
            .iter()
            .filter_map(|text| Probe::new(text.as_bytes(), false, 1))
            .collect();
        let all = made_probes(1, 500, &[given.clone(), given.clone()]);
        assert_eq!(distinct(all.clone()).len(), 500);
        assert!(given.iter().all(|probe| all[..3].contains(probe)));
        assert!(made_probes(1, 500, &[given.clone(), given.clone()]) == all);
        let two = made_probes(1, 2, std::slice::from_ref(&given));
        assert!(two.len() == 2 && two.iter().all(|probe| given.contains(probe)));
        assert!(made_probes(2, 300, &[]).iter().any(Probe::folded));
    }

    #[test]
    fn worst_cases_are_what_they_are_called() {
        let probes = made_probes(1, 50, &[]);
        for buffers in [
            near_misses(1, &probes, 300, 3000),
            genuine(1, &probes, 300, 3000),
            runs(1, &probes, 300, 3000),
            random_bytes(1, 300, 3000),
            runs(1, &[], 300, 3000),
        ] {
            assert_eq!((buffers.len(), buffers.bytes().len()), (10, 3000));
        }
        let there = |buffers: &Buffers| {
            let bytes = buffers.bytes();
            (1..=bytes.len())
                .filter(|&end| probes.iter().any(|probe| probe.ends(&bytes[..end])))
                .count()
        };
        assert!(there(&genuine(1, &probes, 300, 3000)) > 350);
        assert!(there(&near_misses(1, &probes, 300, 3000)) < 50);
        let repeats = |buffers: &Buffers| {
            let bytes = buffers.bytes();
            bytes
                .windows(7)
                .filter(|window| window[..1] == window[6..])
                .count()
        };
        assert!(repeats(&runs(1, &probes, 300, 3000)) > 2500);
    }
}
