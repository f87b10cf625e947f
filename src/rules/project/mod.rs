//! Modules from source: `weir rules new`, `build` and `test`.

mod build;
mod create;
mod expect;
mod test;
mod toolchain;

pub use build::{build, is_source};
pub use create::create;
pub use test::test;
