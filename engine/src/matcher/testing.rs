//! One corpus of cases and one driver for every matcher backend.
