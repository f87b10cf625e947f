//! A plain matcher in software.
