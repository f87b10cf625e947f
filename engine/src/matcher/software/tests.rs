//! That all levels answer rightly is for [`crate::matcher::testing`] to check.

use super::*;

#[test]
fn a_level_that_is_there_is_the_one_that_runs() {
    for level in Level::ALL.into_iter().filter(|level| level.available()) {
        assert_eq!(Software::with_level(level).level(), level);
    }
    assert_eq!(Software::new().level(), Level::best());
}
