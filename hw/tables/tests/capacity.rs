//! What fits, what is said of what does not, and what software gets.

use std::collections::BTreeSet;

use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::Rng;
use weir_tables::split::{self, Guide};
use weir_tables::{Geometry, Key, Loaded, PassRates, Size, entries};

/// So many distinct probes.
fn distinct(rng: &mut Rng, count: usize) -> Vec<Probe> {
    let mut seen = BTreeSet::new();
    let mut probes = Vec::new();
    while probes.len() < count {
        let length = rng.range(4, 8);
        let text = rng.bytes(b"abcdefghijklmnopqrstuvwxyz0123456789/.-=", length);
        if seen.insert(text.clone()) {
            probes.extend(Probe::new(&text, rng.one_in(2), 1 << rng.below(64)));
        }
    }
    probes
}

#[test]
fn both_sizes_hold_what_they_are_said_to() {
    for (size, count) in [(Size::Full, 30_000), (Size::Compact, 3_900)] {
        let geometry = Geometry::new(64, size);
        let probes = distinct(&mut Rng::new(1), count);
        for seed in 0..3 {
            let built = Loaded::build(geometry, Key::from_seed(seed), &entries(&probes), 0);
            let (loaded, ids) =
                built.unwrap_or_else(|error| panic!("{size:?}, key {seed}: {error}"));
            assert_eq!(loaded.entries(), count);
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count);
            assert!(loaded.load_factor() > 0.91);
        }
    }
}

#[test]
fn errors_say_which_limit_and_by_how_much() {
    let geometry = Geometry::new(8, Size::Compact);
    let build = |probes: &[Probe]| {
        let built = Loaded::build(geometry, Key::from_seed(1), &entries(probes), 0);
        built.map(|_| ()).map_err(|error| error.to_string())
    };
    let mut probes = distinct(&mut Rng::new(2), 4_100);
    assert_eq!(
        build(&probes).expect_err("an error"),
        "4100 distinct probes, but the exact table has 4096 slots: 4 too many"
    );
    probes.truncate(4_096);
    let error = build(&probes).expect_err("an error");
    assert!(
        error.contains("of 4096 distinct probes have no place in the 4096 slots"),
        "{error}"
    );
    let variant = |text: &[u8], folded| Probe::new(text, folded, 1).expect("a probe");
    let mut variants: Vec<Probe> = [b"get", b"Get", b"GET"]
        .map(|text| variant(text, false))
        .into();
    variants.push(variant(b"get", true));
    assert_eq!(build(&variants), Ok(()));
    variants.push(variant(b"GEt", false));
    assert_eq!(
        build(&variants).expect_err("an error"),
        "5 distinct probes differ from \"get\" in case alone: the exact table holds at most 4 of them"
    );
    let (loaded, split) = split::fill(&variants, geometry, Key::from_seed(1), 0, &Guide::default());
    assert_eq!((loaded.entries(), split.software.len()), (4, 1));
}

/// As few as can be, and those that the sample has most of.
#[test]
fn a_split_moves_the_fewest() {
    let geometry = Geometry {
        exact: 6,
        ..Geometry::new(8, Size::Compact)
    };
    let mut rng = Rng::new(3);
    let mut probes = distinct(&mut rng, 256);
    // Duplicates share an entry; theirs is not the one to go.
    let doubled: Vec<Probe> = probes.iter().take(40).copied().collect();
    probes.extend(doubled);
    let common: Vec<usize> = (60..100).collect();
    let sample: Vec<Vec<u8>> = common
        .iter()
        .map(|&at| [b"~", probes[at].bytes(), b"~"].concat().repeat(3))
        .collect();
    let guide = Guide { sample, rate: None };
    let (loaded, split) = split::fill(&probes, geometry, Key::from_seed(4), 0, &guide);
    // What could be placed without any preference is as many.
    let (plain, _) = Loaded::fill(geometry, Key::from_seed(4), &entries(&probes), 0);
    assert_eq!(loaded.entries(), plain.entries());
    assert!(
        (245..256).contains(&loaded.entries()),
        "{}",
        loaded.entries()
    );
    assert_eq!(split.software.len(), 256 - loaded.entries());
    let moved_common = split
        .software
        .iter()
        .filter(|&&probe| common.contains(&(probe as usize)));
    assert_eq!(moved_common.count(), split.software.len());
    // Every probe is in one place.
    let mut all: Vec<u32> = split
        .entries
        .iter()
        .flatten()
        .map(|&(probe, _)| probe)
        .collect();
    all.extend(&split.software);
    all.sort_unstable();
    assert_eq!(all, (0..probes.len() as u32).collect::<Vec<_>>());
}

#[test]
fn a_bound_on_the_pass_rate_is_met() {
    let geometry = Geometry::new(8, Size::Compact);
    let mut rng = Rng::new(5);
    let mut probes = distinct(&mut rng, 2_000);
    probes.extend([b"e ", b"th", b"in"].map(|text| Probe::new(text, true, 1).expect("a probe")));
    let words: [&[u8]; 6] = [b"the ", b"thin ", b"ice ", b"inn ", b"we ", b"xyz12 "];
    let sample: Vec<Vec<u8>> = (0..50)
        .map(|_| (0..60).flat_map(|_| rng.pick(&words).to_vec()).collect())
        .collect();
    let measure = |loaded: &Loaded| {
        PassRates::measure(
            loaded.hash(),
            loaded.filters(),
            sample.iter().map(Vec::as_slice),
        )
        .rate()
    };
    let mut guide = Guide {
        sample: sample.clone(),
        rate: None,
    };
    let (loaded, split) = split::fill(&probes, geometry, Key::from_seed(6), 0, &guide);
    assert_eq!(split.software.len(), 0);
    assert!(measure(&loaded) > 0.2, "{}", measure(&loaded));
    for (rate, most) in [(0.1, 20), (0.01, 60), (0.0, 200)] {
        guide.rate = Some(rate);
        let (loaded, split) = split::fill(&probes, geometry, Key::from_seed(6), 0, &guide);
        assert!(measure(&loaded) <= rate, "{rate}: {}", measure(&loaded));
        assert!(
            (1..most).contains(&split.software.len()),
            "{rate}: {}",
            split.software.len()
        );
    }
}

/// What is expected of random bytes is what they do.
#[test]
fn expected_rates() {
    let mut rng = Rng::new(7);
    let mut probes = distinct(&mut rng, 3_000);
    for length in 1..=3 {
        probes.extend(
            (0..60).filter_map(|_| Probe::new(&rng.draw().to_le_bytes()[..length], true, 1)),
        );
    }
    let geometry = Geometry {
        filters: [7, 8, 8, 8, 9],
        ..Geometry::new(8, Size::Compact)
    };
    let (loaded, _) = Loaded::fill(geometry, Key::from_seed(8), &entries(&probes), 0);
    let expected = weir_tables::rates::expected(loaded.hash(), loaded.filters());
    let random: Vec<u8> = (0..1 << 16)
        .flat_map(|_| rng.draw().to_le_bytes())
        .collect();
    let measured = PassRates::measure(loaded.hash(), loaded.filters(), [random.as_slice()]);
    for (n, (expected, count)) in expected.iter().zip(measured.candidates).enumerate() {
        let expected = expected * measured.ends as f64;
        // Five times the deviation of as many independent events; short ones are not quite independent.
        let tolerance = 5.0 * expected.sqrt() + 0.1 * expected + 5.0;
        assert!(
            (expected - count as f64).abs() < tolerance,
            "length {}: {expected} {count}",
            n + 1
        );
    }
    assert!(measured.candidates[7] > 100);
}
