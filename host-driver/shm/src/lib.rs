//! A card over shared memory: two byte streams and registers between two processes of one host.
//!
//! The side that is the card makes a file ([`Card::create`]), on a memory file system for speed; the side that uses the card opens it
//! ([`Host::open`]). One host at a time: a second one is refused, and one that died makes way for the next.
//!
//! ```
//! use std::time::Duration;
//! use card_shm::{Card, Host, Options};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("card");
//! let mut card = Card::create(&path, &Options::default())?;
//! // Another process, as a rule.
//! let host = std::thread::spawn(move || {
//!     let mut host = Host::open(&path, Duration::from_secs(5))?;
//!     host.sender.send(b"ping", Duration::from_secs(5))?;
//!     host.registers.read(0x10, Duration::from_secs(5))
//! });
//! let mut got = [0; 16];
//! while !host.is_finished() {
//!     card.wait(Duration::from_millis(10));
//!     card.host();
//!     let _bytes = card.input(&mut got)?;
//!     while let Some(request) = card.request()? {
//!         card.answer(&request, request.address() + 1)?;
//!     }
//! }
//! assert_eq!(host.join().expect("no panic")?, 0x11);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is trusted
//!
//! Nothing that the other side writes: positions, sizes and requests are checked before use, and bytes are copied by atomic loads and stores, so
//! that a side that changes them meanwhile can spoil its own data alone. Who can write the file can also cut it short, which
//! ends a process that has it mapped (SIGBUS); it is therefore made readable and writable for its owner alone.
//!
//! # Who is there
//!
//! Each side holds a lock on a byte of the file, which the system lets go when the process ends, however it ends. A side that
//! waits looks at the other's lock every [`LIVENESS`].

mod card;
mod error;
mod host;
mod layout;
mod lock;
mod map;
mod ring;
mod wait;

pub use card::{Card, Change, Request, Waker};
pub use error::ShmError;
pub use host::{Host, Receiver, Registers, Sender};
pub use layout::{Options, VERSION};
pub use wait::LIVENESS;
