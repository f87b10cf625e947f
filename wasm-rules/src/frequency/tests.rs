//! Tables against exact counts, files against damage.

use std::collections::HashMap;

use proptest::prelude::*;
use weir_engine::matcher::MAX_PROBE;

use super::learn::Learner;
use super::{Limits, STANDARD, Table, TableError};

/// Everything is kept.
const ALL: Limits = Limits {
    hits: 1,
    payloads: 1,
    windows: usize::MAX,
};

fn learnt(mut learner: Learner, payloads: &[Vec<u8>], limits: Limits) -> Table {
    for payload in payloads {
        learner.packet();
        learner.payload(payload);
    }
    learner.finish(limits)
}

/// Offsets and payloads of every window, by the definition.
fn counted(payloads: &[Vec<u8>], folded: bool) -> HashMap<Vec<u8>, (u64, u64)> {
    let mut counts: HashMap<Vec<u8>, (u64, u64, usize)> = HashMap::new();
    for (number, payload) in (1..).zip(payloads) {
        let mut payload = payload.clone();
        if folded {
            payload.make_ascii_lowercase();
        }
        for length in 1..=MAX_PROBE {
            for window in payload.windows(length) {
                let (hits, payloads, last) = counts.entry(window.to_vec()).or_default();
                *hits += 1;
                *payloads += u64::from(*last != number);
                *last = number;
            }
        }
    }
    let pairs = counts.into_iter();
    pairs
        .map(|(window, (hits, payloads, _))| (window, (hits, payloads)))
        .collect()
}

/// Payloads of few letters, so that windows repeat; zeros, because short windows are filled up with them.
fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop::sample::select(b"aAbB\0\xff".to_vec());
    prop::collection::vec(prop::collection::vec(byte, 0..40), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_table_that_keeps_all_has_the_exact_counts(payloads in payloads(), folded: bool) {
        let table = learnt(Learner::new(), &payloads, ALL);
        let (bytes, all) = (table.learnt().bytes as f64, table.learnt().payloads as f64);
        for (window, (hits, inside)) in counted(&payloads, folded) {
            let estimate = table.estimate(&window, folded);
            let (offsets, share) = (estimate.offsets * bytes, estimate.payloads * all);
            // Rounded up, by a quarter at most; a single precision number in between.
            prop_assert!(offsets > hits as f64 * 0.999 && offsets < hits as f64 * 1.251, "{window:?}: {hits}, {offsets}");
            // A payload with several spellings counts for each.
            let most = if folded { all } else { inside as f64 * 1.251 };
            prop_assert!(share > inside as f64 * 0.999 && share <= most, "{window:?}: {inside}, {share}");
        }
    }

    #[test]
    fn what_was_seen_often_is_never_taken_for_rare(payloads in payloads(), folded: bool, batch in 1usize..300, remembered in 50usize..400) {
        let limits = Limits { hits: 3, payloads: 1, windows: 150 };
        let table = learnt(Learner::sized(batch, remembered), &payloads, limits);
        prop_assert!(table.windows() <= limits.windows && table.least() >= limits.hits);
        let read = Table::read(&table.to_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&table), "no window is commoner than what it begins with");
        let bytes = table.learnt().bytes as f64;
        for (window, (hits, inside)) in counted(&payloads, folded) {
            let kept = table.estimate(&window, false).offsets * bytes > table.least() as f64 * 1.001;
            prop_assert!(folded || !kept || hits >= limits.hits && inside >= limits.payloads, "{window:?} of {hits}");
            // Each spelling of a window is kept or left out by itself.
            let letters = window.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
            let left_out = if folded { ((1 << letters) - 1) * (table.least() - 1) } else { 0 };
            if hits >= table.least() + left_out {
                let most = (bytes / (hits - left_out) as f64).log2() as f32 + 0.001;
                prop_assert!(table.rarity(&window, folded) <= most, "{window:?} of {hits}");
            }
        }
    }

    #[test]
    fn a_table_survives_its_file(payloads in payloads(), least in 1u64..4) {
        let table = learnt(Learner::new(), &payloads, Limits { hits: least, ..ALL });
        prop_assert_eq!(Table::read(&table.to_bytes()), Ok(table));
    }

    #[test]
    fn a_damaged_file_is_refused(payloads in payloads(), at: prop::sample::Index, bit in 0u8..8) {
        let mut file = learnt(Learner::new(), &payloads, ALL).to_bytes();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(Table::read(&file).is_err());
    }

    #[test]
    fn a_body_that_contradicts_itself_is_refused_or_harmless(payloads in payloads(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let table = learnt(Learner::new(), &payloads, ALL);
        let file = super::file::with_body(&table, |body| {
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
        });
        if let Ok(table) = Table::read(&file) {
            for window in [&b"a"[..], b"aB\0\xff", b"aabbaabb"] {
                prop_assert!(table.rarity(window, true).is_finite());
            }
        }
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Table::read(&bytes).is_err());
        let file = [b"weirfreq\x01\0".as_slice(), &bytes].concat();
        prop_assert!(Table::read(&file).is_err());
    }
}

#[test]
fn every_cut_is_named() {
    let payloads = vec![b"GET / HTTP/1.1".to_vec(); 20];
    let file = learnt(Learner::new(), &payloads, ALL).to_bytes();
    for length in 0..file.len() {
        let error = Table::read(&file[..length]).expect_err("it is cut");
        match error {
            TableError::NotATable => assert!(length < 8),
            TableError::Truncated { expected, found } => {
                assert!(found == length && expected > length && expected <= file.len());
            }
            other => panic!("{length}: {other}"),
        }
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(matches!(Table::read(&longer), Err(TableError::Corrupt(_))));
    let mut newer = file.clone();
    newer[8] = 2;
    assert_eq!(Table::read(&newer), Err(TableError::Version { found: 2 }));
    assert_eq!(
        Table::read(b"\xd4\xc3\xb2\xa1 a capture"),
        Err(TableError::NotATable)
    );
}

#[test]
fn a_window_that_few_payloads_have_stays_out() {
    let mut payloads = vec![b"a jumpiq, a jumpiq, a jumpiq, a jumpiq".to_vec(); 3];
    payloads.extend(vec![b"what everyone sends".to_vec(); 30]);
    let limits = Limits {
        hits: 4,
        payloads: 4,
        windows: 1_000,
    };
    let table = learnt(Learner::new(), &payloads, limits);
    let file = table.to_bytes();
    for window in [&b"jumpiq"[..], b"umpiq", b", a", b"mp"] {
        assert!(
            table.estimate(window, false).offsets < 4.0 / table.learnt().bytes as f64,
            "only as likely as its parts make it"
        );
    }
    let everyone = table.estimate(b"everyone", false).payloads;
    assert!((0.9..1.2).contains(&everyone), "{everyone}");
    // The same file comes of the same traffic, whatever was rare in it.
    for payload in &mut payloads[..3] {
        payload[2..8].copy_from_slice(b"JUMPIQ");
        payload[12..18].copy_from_slice(b"JUMPIQ");
        payload[22..28].copy_from_slice(b"JUMPIQ");
        payload[32..38].copy_from_slice(b"JUMPIQ");
    }
    assert_eq!(learnt(Learner::new(), &payloads, limits).to_bytes(), file);
}

#[test]
fn what_was_never_seen_is_rarer_the_less_its_parts_were() {
    let mut payloads = vec![b"content-type: text/html".to_vec(); 200];
    payloads.extend(vec![b"content-length: 20".to_vec(); 200]);
    let table = learnt(Learner::new(), &payloads, Limits::default());
    let likely = table.rarity(b"t-text/h", false);
    let unlikely = table.rarity(b"hq\x99zp\x01xx", false);
    assert!(
        table.rarity(b"content-", false) < likely && likely < unlikely,
        "{likely} {unlikely}"
    );
}

#[test]
fn the_standard_table_is_there_and_small() {
    let table = Table::read(STANDARD).expect("the file is whole");
    assert_eq!(*Table::standard(), table);
    assert!(STANDARD.len() <= 300 << 10, "{} bytes", STANDARD.len());
    assert!(table.least() >= Limits::default().hits && table.windows() > 100_000);
    assert!(table.rarity(b"http/1.1", true) < 16.0);
    assert!(table.rarity(b"\0\0\0\0\0\0\0\0", false) < 8.0);
    assert!(table.rarity(b"zq\xf3Kw#\x15|", false) > 30.0);
}
