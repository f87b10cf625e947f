//! What the levels make of long buffers that repeat themselves, with probes cut from them.

use proptest::prelude::*;

use super::{Level, Software};
use crate::matcher::testing::naive;
use crate::matcher::{Matcher, Probe, Request};

/// A stretch: so many bytes of a text of this period.
type Stretch = (Vec<u8>, usize);

fn stretch() -> impl Strategy<Value = Stretch> {
    let byte = prop::sample::select(b"abA\0 @\xff".to_vec());
    let long = prop_oneof![0usize..40, 40usize..200, Just(4096usize)];
    (prop::collection::vec(byte, 1..28), long)
}

/// Stretches one after the other, and probes cut out of them, mostly from where one ends.
fn case() -> impl Strategy<Value = (Vec<u8>, Vec<Probe>)> {
    let cut = (
        any::<prop::sample::Index>(),
        0usize..12,
        1usize..=8,
        any::<bool>(),
    );
    let cuts = prop::collection::vec(cut, 1..24);
    (prop::collection::vec(stretch(), 1..9), cuts).prop_map(|(stretches, cuts)| {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for (text, length) in &stretches {
            data.extend(text.iter().cycle().take(*length));
            ends.push(data.len());
        }
        let probes = cuts
            .iter()
            .filter_map(|(end, before, length, folded)| {
                let at = match before {
                    // Anywhere.
                    9.. => end.index(data.len().max(1)),
                    _ => ends[end.index(ends.len())].checked_sub(*before)?,
                };
                Probe::new(data.get(at..at + length)?, *folded, 1)
            })
            .collect();
        (data, probes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn repeats_hide_nothing((data, probes) in case(), carry in 0u8..8) {
        let carry = carry.min(data.len() as u8);
        let request = Request { tag: 0, group: 0, carry, data: &data };
        let want = naive(&probes, &request);
        for level in Level::ALL.into_iter().filter(|level| level.available()) {
            let mut matcher = Software::with_level(level);
            matcher.load(&probes).expect("fits");
            matcher.submit(request).expect("room");
            let mut hits = Vec::new();
            matcher.poll(&mut |report| hits.extend_from_slice(report.hits));
            hits.sort_unstable();
            prop_assert_eq!(&hits, &want, "{}", level);
        }
    }
}
