use super::*;
use crate::matcher::testing::{Driver, random_cases};

#[test]
fn every_level_answers_the_corpus_as_it_should() {
    for level in Level::ALL.into_iter().filter(|level| level.available()) {
        let mut matcher = Software::with_level(level);
        assert_eq!(matcher.level(), level);
        let driver = Driver::default();
        let tally = driver
            .check(&mut matcher)
            .unwrap_or_else(|error| panic!("{level}: {error}"));
        assert_eq!((tally.skipped, tally.unfinished), (0, 0));
        for case in random_cases(7, 300) {
            driver
                .run(&mut matcher, &case)
                .unwrap_or_else(|error| panic!("{level}: {error}"));
        }
    }
}
