//! What the operator must grant.

/// Lines for the sensor's log; the operator must grant `log`.
pub mod log {
    use crate::sys;

    /// How much a line matters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Level {
        /// For who looks for a fault.
        Debug,
        /// What goes on.
        Info,
        /// What the operator should know.
        Warn,
    }

    /// Writes a line: at most 1,024 bytes, 16 a second.
    pub fn write(level: Level, message: &str) {
        sys::log(level, message);
    }

    /// A line for who looks for a fault.
    pub fn debug(message: &str) {
        write(Level::Debug, message);
    }

    /// A line about what goes on.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// A line that the operator should see.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }
}

/// A clock; the operator must grant `clock`. The packet's own time needs no grant.
pub mod clock {
    use std::time::Duration;

    use crate::sys;

    /// Time since some moment, that never goes back.
    pub fn now() -> Duration {
        Duration::from_nanos(sys::now())
    }
}

/// Randomness; the operator must grant `random`.
pub mod random {
    use crate::sys;

    /// 64 random bits.
    pub fn next() -> u64 {
        sys::random()
    }
}
