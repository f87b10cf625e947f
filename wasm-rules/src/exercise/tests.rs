//! Whatever is made, the evaluator accepts.
