//! Tables switched word by word, with records of both generations looked through between any two words.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::Rng;
use weir_tables::{DoesNotFit, Entry, Geometry, Golden, Key, Loaded, Write, entries};

/// A core with few slots, so that entries have to move.
const GEOMETRY: Geometry = Geometry {
    lanes: 8,
    filters: [5, 4, 4, 4, 4],
    exact: 4,
    engines: 1,
};

fn probes(rng: &mut Rng, count: usize) -> Vec<Probe> {
    (0..count)
        .filter_map(|_| {
            let length = rng.range(1, 8);
            let groups = 1 << rng.below(3) | 1 << rng.below(3);
            Probe::new(&rng.bytes(b"abAB", length), rng.one_in(3), groups)
        })
        .collect()
}

/// A generation: its entries with their numbers.
type Set<'a> = (&'a [Entry], Vec<u32>, u8);

/// Every entry of the set is found in every one of its groups, and what is found is of the set or (where only groups differ)
/// at least of its literals.
fn check(golden: &mut Golden, (entries, ids, parity): &Set<'_>) {
    let known: BTreeSet<u32> = ids.iter().copied().collect();
    for (entry, &id) in entries.iter().zip(ids) {
        let text = entry.literal.text();
        for group in (0..64).filter(|group| entry.groups >> group & 1 == 1) {
            let mut hits = Vec::new();
            let look = golden.look(text.as_ref(), group, *parity, 0, &mut hits);
            assert!(!look.overflow);
            let end = entry.literal.length() as u16;
            assert!(
                hits.iter().any(|hit| (hit.entry, hit.end) == (id, end)),
                "{:?} is lost: {hits:?}",
                text.as_ref().escape_ascii().to_string()
            );
            assert!(
                hits.iter().all(|hit| known.contains(&hit.entry)),
                "{hits:?} {known:?}"
            );
        }
    }
}

/// Applies writes one by one; `each` sees the core after each of them.
fn apply(golden: &mut Golden, writes: &[Write], each: &mut dyn FnMut(&mut Golden)) {
    for &write in writes {
        golden.table(write);
        each(golden);
    }
}

fn switch_through(seed: u64, sizes: &[usize]) -> (usize, usize) {
    let mut rng = Rng::new(seed);
    let mut pool = probes(&mut rng, 200);
    let draw = |rng: &mut Rng, pool: &mut Vec<Probe>, size: usize| {
        // Some of the same, some others, some with other groups.
        let mut set: Vec<Probe> = (0..size).map(|_| *rng.pick(pool)).collect();
        for probe in &mut set {
            if rng.one_in(4) {
                probe.groups = 1 << rng.below(4);
            }
        }
        entries(&set)
    };
    let mut old = draw(&mut rng, &mut pool, sizes[0]);
    let Ok((mut loaded, mut old_ids)) = Loaded::build(GEOMETRY, Key::from_seed(seed), &old, 7)
    else {
        return (0, 0);
    };
    let mut golden = Golden::new(GEOMETRY);
    // What stood there before must not matter.
    for write in loaded.image(false) {
        golden.table(Write {
            data: rng.draw() as u32,
            ..write
        });
    }
    apply(&mut golden, &loaded.image(false), &mut |_| ());
    golden.write(card_protocol::register::LIMIT, 0xFFFF);
    check(&mut golden, &(&old, old_ids.clone(), 1));
    let (mut switches, mut refused) = (0, 0);
    for &size in &sizes[1..] {
        let next = draw(&mut rng, &mut pool, size);
        let parity = (loaded.generation() & 1) as u8;
        let before = loaded.clone();
        let switch = match loaded.begin(&next) {
            Ok(switch) => switch,
            Err(DoesNotFit::Together { .. }) => {
                assert_eq!(loaded.image(false), before.image(false));
                assert_eq!(loaded.generation(), before.generation());
                refused += 1;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let old_set = (old.as_slice(), old_ids.clone(), parity);
        apply(&mut golden, &switch.writes, &mut |golden| {
            check(golden, &old_set)
        });
        let ids: Vec<u32> = switch.ids.iter().map(|id| id.expect("placed")).collect();
        let new_set = (next.as_slice(), ids.clone(), 1 - parity);
        check(&mut golden, &old_set);
        check(&mut golden, &new_set);
        // Entries that both sets have keep their number.
        for (entry, &id) in next.iter().zip(&ids) {
            let kept = old
                .iter()
                .zip(&old_ids)
                .find(|(old, _)| old.literal == entry.literal);
            assert!(kept.is_none_or(|(_, &old)| old == id));
        }
        assert!(matches!(loaded.begin(&next), Err(DoesNotFit::Switching)));
        let writes = loaded.finish();
        apply(&mut golden, &writes, &mut |golden| check(golden, &new_set));
        assert!(loaded.finish().is_empty());
        // Nothing is left of the old set: the memories do what new ones with the same content would do.
        let mut fresh = Golden::new(GEOMETRY);
        fresh.write(card_protocol::register::LIMIT, 0xFFFF);
        apply(&mut fresh, &loaded.image(true), &mut |_| ());
        for _ in 0..20 {
            let text = rng.bytes(b"abAB", 40);
            let (group, parity) = (rng.below(4) as u8, rng.below(2) as u8);
            let (mut a, mut b) = (Vec::new(), Vec::new());
            assert_eq!(
                golden.look(&text, group, parity, 0, &mut a),
                fresh.look(&text, group, parity, 0, &mut b)
            );
            assert_eq!(a, b);
        }
        (old, old_ids) = (next, ids);
        switches += 1;
    }
    (switches, refused)
}

#[test]
fn many_switches() {
    let (mut switches, mut refused) = (0, 0);
    for seed in 0..12 {
        let (some, others) = switch_through(seed, &[30, 35, 20, 40, 0, 50, 45, 30]);
        switches += some;
        refused += others;
    }
    // Some sets have no place beside each other in 64 slots.
    assert!(switches > 40 && refused > 3, "{switches} {refused}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_switches(seed: u64, sizes in prop::collection::vec(0usize..45, 2..6)) {
        switch_through(seed, &sizes);
    }
}
