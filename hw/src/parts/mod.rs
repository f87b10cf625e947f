//! What the blocks of a core are made of: memory, FIFO, delay line, and the clock for unit tests.

mod delay;
mod fifo;
mod ram;
pub mod run;
#[cfg(test)]
mod tests;

pub use delay::Delay;
pub use fifo::Fifo;
pub use ram::Ram;
