//! The model against the corpus and random cases.

use proptest::prelude::*;
use weir_engine::matcher::testing::{Driver, random_cases, strategies};
use weir_tables::{Geometry, Key, Model, Size};

const LANES: [usize; 4] = [8, 16, 32, 64];

/// All cores that are built.
fn models() -> impl Iterator<Item = (String, Model)> {
    LANES.into_iter().flat_map(|lanes| {
        [Size::Compact, Size::Full].map(|size| {
            let model = Model::new(Geometry::new(lanes, size), Key::from_seed(7), u16::MAX);
            (format!("{lanes} lanes, {size:?}"), model)
        })
    })
}

#[test]
fn corpus() {
    for (name, mut model) in models() {
        let tally = Driver::default().check(&mut model);
        let tally = tally.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((tally.skipped, tally.unfinished), (0, 0), "{name}");
        assert!(tally.cases > 10 && tally.hits > 100, "{name}: {tally:?}");
    }
}

#[test]
fn random() {
    for (seed, (name, mut model)) in (0..).zip(models()) {
        for case in random_cases(seed, 150) {
            if let Err(error) = Driver::default().run(&mut model, &case) {
                panic!("{name}: {error}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_cases(cases in strategies::cases(40), key: u64, lanes in 0usize..4) {
        let mut model = Model::new(Geometry::new(LANES[lanes], Size::Compact), Key::from_seed(key), u16::MAX);
        for case in &cases {
            Driver::default().run(&mut model, case).map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
    }
}

/// Tables so small that most probes are software's, and a limit that most buffers overflow: the answers are right all the same, or
/// said to be unfinished.
#[test]
fn what_does_not_fit() {
    let tiny = Geometry {
        lanes: 16,
        filters: [2; 5],
        exact: 1,
        engines: 1,
    };
    let mut model = Model::new(tiny, Key::from_seed(1), u16::MAX);
    let mut moved = 0;
    for case in random_cases(99, 300) {
        if let Err(error) = Driver::default().run(&mut model, &case) {
            panic!("{error}");
        }
        moved += model.tables().map_or(0, |(_, share)| share.moved().len());
    }
    assert!(moved > 300, "{moved}");
    let mut model = Model::new(tiny, Key::from_seed(2), 3);
    let driver = Driver {
        unfinished: usize::MAX,
        ..Driver::default()
    };
    let mut unfinished = 0;
    let mut finished = 0;
    for case in random_cases(100, 300) {
        match driver.run(&mut model, &case) {
            Ok(tally) => {
                unfinished += tally.unfinished;
                finished += tally.buffers;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(unfinished > 50 && finished > 50, "{unfinished} {finished}");
}
