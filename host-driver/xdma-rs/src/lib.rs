//! Xilinx XDMA cards through the device nodes of the vendor's Linux driver.
//!
//! The driver (`xdma`, of the repository `dma_ip_drivers`) makes for each card a set of nodes, `/dev/xdma0_*` for the first one:
//!
//! | node | what it is | here |
//! |---|---|---|
//! | `user` | registers of the design (AXI4-Lite master) | [`Registers`] |
//! | `control` | registers of the DMA engine itself | [`Registers`], [`Channel`] |
//! | `h2c_N` | DMA channel, host to card | [`HostToCard`] |
//! | `c2h_N` | DMA channel, card to host | [`CardToHost`] |
//! | `events_N` | interrupts of the design | [`Events`] |
//!
//! ```no_run
//! use xdma_rs::{Device, ReadOptions, WriteOptions};
//!
//! let device = Device::first("/dev")?;
//! for channel in device.channels()? {
//!     println!("{channel}");
//! }
//! let mut registers = device.user()?;
//! println!("{:#010x}", registers.read(0)?);
//! // A design that sends back what it gets.
//! let mut to = device.host_to_card(0, WriteOptions::default())?;
//! let mut from = device.card_to_host(0, ReadOptions::default())?;
//! to.write(&[0x5A; 4096])?;
//! let mut buffer = xdma_rs::Buffer::new(4096);
//! let got = from.read(&mut buffer)?;
//! assert_eq!(&buffer[..got], [0x5A; 4096]);
//! # Ok::<(), xdma_rs::Error>(())
//! ```
//!
//! Calls block for as long as the driver pleases, 10 seconds as a rule, and cannot be interrupted: use threads that may hang.
//!
//! The folder is a parameter everywhere, so that anything that serves files of these names can stand in for a card.

mod buffer;
mod channel;
mod device;
mod error;
mod events;
mod mapped;
mod registers;
mod transfer;

pub use buffer::Buffer;
pub use channel::{Channel, Direction, Interface};
pub use device::{Device, discover};
pub use error::Error;
pub use events::Events;
pub use registers::{Access, Registers};
pub use transfer::{CardToHost, HostToCard, MOST_BYTES, ReadOptions, WriteOptions};
