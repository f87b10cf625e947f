//! The host's side of a card.
//!
//! A [`Card`] is opened once; every worker has a [`Port`] to it, which is a [`Matcher`](weir_engine::matcher::Matcher). Ports pack
//! buffers as records into staging buffers; I/O threads carry them over a [`link::Link`] and bring reports back. While the card is not
//! healthy, ports have software look through what is under way and what follows, so that nobody ever waits for it.
//!
//! `DESIGN.md` says why it is as it is.

mod card;
mod config;
mod control;
mod cost;
mod error;
mod flight;
mod health;
mod identity;
pub mod inspect;
mod known;
pub mod link;
mod oracle;
mod port;
mod records;
pub mod selftest;
mod session;
mod set;
mod shared;
pub mod status;

pub use card::Card;
pub use config::{Config, Policy};
pub use cost::{Choice, Costs};
pub use error::OpenError;
pub use health::{Change, Counts, State};
pub use identity::Identity;
pub use port::Port;
pub use status::Status;
