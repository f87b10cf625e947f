//! Traffic through ports.

mod gather;
