//! The plain evaluator, from outside: plans and packets in, decisions out.

mod bytes;
mod chains;
mod contents;
mod headers;
mod support;
mod transforms;
