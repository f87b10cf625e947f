//! The way to a card, whatever it is made of.
//!
//! The three ends are used by I/O threads alone, one thread each: a call may block for as long as the device pleases.

mod open;
mod shm;
mod xdma;

pub use open::{default_device, open};

/// Why an access failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing happened in the link's own time.
    #[error("{what}: timed out")]
    TimedOut {
        /// What was tried.
        what: &'static str,
    },
    /// The other side is gone; only opening the link anew helps.
    #[error("{what}: the card is gone")]
    Gone {
        /// What was tried.
        what: &'static str,
    },
    /// What the operating system says.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        error: std::io::Error,
    },
}

/// Registers: 32 bits wide, at byte offsets that are multiples of four.
pub trait Registers: Send {
    /// Reads one.
    ///
    /// # Errors
    /// When it was not answered.
    fn read(&mut self, address: u32) -> Result<u32, LinkError>;
    /// Writes some, in order.
    ///
    /// # Errors
    /// When one was not taken; those after it were not tried.
    fn write(&mut self, writes: &[(u32, u32)]) -> Result<(), LinkError>;
}

/// The stream of records, host to card.
pub trait Sender: Send {
    /// Sends whole beats; returns when the card has taken them.
    ///
    /// # Errors
    /// When it did not; how much was taken is not known then.
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError>;
}

/// The stream of reports, card to host.
pub trait Receiver: Send {
    /// Waits for bytes, and returns how many came: any number of them, 0 when none came in the link's own time.
    ///
    /// # Errors
    /// When the stream has ended or cannot be read.
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, LinkError>;
}

/// An open card.
pub struct Link {
    /// What messages call it.
    pub name: String,
    /// Registers.
    pub registers: Box<dyn Registers>,
    /// To the card.
    pub sender: Box<dyn Sender>,
    /// From the card.
    pub receiver: Box<dyn Receiver>,
}
