mod file;
mod header;
mod rule;
mod value;

use super::ast::{At, Place, Problem};

fn at(text: &str) -> At<Vec<u8>> {
    At {
        value: text.as_bytes().to_vec(),
        place: Place {
            line: 3,
            column: 10,
        },
    }
}

/// Line, column and message of what must be a problem.
fn problem<T: std::fmt::Debug>(result: Result<T, Problem>) -> (u32, u32, String) {
    let problem = result.expect_err("a problem");
    (problem.place.line, problem.place.column, problem.message)
}

/// Asserts where a problem is and what its message starts with.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Problem>, line: u32, column: u32, message: &str) {
    let (found_line, found_column, found) = problem(result);
    assert_eq!((found_line, found_column), (line, column), "{found}");
    assert!(found.starts_with(message), "{found}");
}
