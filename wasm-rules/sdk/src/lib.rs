//! Rules for Weir, written in Rust.
//!
//! A module declares rules and decides them. Weir checks what the declaration says of a rule (header, options, patterns,
//! buffers) and asks the module about what passes; the module looks at the packet, its flow and its buffers, keeps state
//! if it needs any, and says whether the rule fires. It can do nothing else: no clock, no files, no network, unless the
//! operator grants it by name.
//!
//! A whole module, with its test:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use weir_sdk::prelude::*;
//!
//! weir_sdk::module! {
//!     name: "telnet-guess",
//!     // Goes up when what is kept changes its form.
//!     state_version: 1,
//!     buffers {
//!         PAYLOAD = "payload",
//!     }
//!     state {
//!         // One value for each client: the destination of what servers say.
//!         FAILURES: Failures { scope: Scope::Destination, bytes: 16, entries: 10_000, seconds: 600 },
//!     }
//!     rules {
//!         // The rule's name in this source, what it is to the sensor, and who decides it.
//!         GUESSING {
//!             sid: 9_100_001,
//!             message: "Telnet: five failed logins within a minute",
//!             header: "tcp-stream $HOME_NET 23 -> any any",
//!             options: "flow:established,to_client;",
//!             class: "attempted-user",
//!             patterns: &[Pattern::new("payload", b"Login incorrect")],
//!             buffers: &[PAYLOAD],
//!         } => guessing,
//!     }
//! }
//!
//! /// Failed logins of a client.
//! #[derive(Default, Serialize, Deserialize)]
//! struct Failures {
//!     /// Second of the first.
//!     since: u64,
//!     count: u8,
//! }
//!
//! fn guessing(event: &Event) -> bool {
//!     let now = event.packet().time.as_secs();
//!     event
//!         .update(FAILURES, |failures| {
//!             if now.saturating_sub(failures.since) > 60 {
//!                 *failures = Failures { since: now, count: 0 };
//!             }
//!             failures.count = failures.count.saturating_add(1);
//!             failures.count == 5
//!         })
//!         .unwrap_or(false)
//! }
//!
//! // In a module: #[test] fn the_fifth_failure_fires() { … }
//! use weir_sdk::testing::{Conversation, Sensor};
//! let mut sensor = Sensor::new(&MODULE);
//! let telnet = Conversation::tcp("192.0.2.7:40000", "198.51.100.2:23");
//! for _ in 0..4 {
//!     assert_eq!(sensor.see(&telnet.to_client().payload(b"Login incorrect\r\n")), []);
//! }
//! assert_eq!(sensor.see(&telnet.to_client().payload(b"Login incorrect\r\n")), [GUESSING]);
//! ```
//!
//! `weir rules new NAME` makes the project around it, `weir rules build` a component, `weir rules test` runs that over a
//! capture. The authors' guide (`GUIDE.md`, beside this crate) goes through it step by step.
//!
//! Where to look:
//!
//! | for | see |
//! |---|---|
//! | the declaration | [`module!`], [`Rule`], [`Pattern`], [`Kept`] |
//! | what a rule can see | [`Event`], [`Packet`], [`Flow`] |
//! | state | [`State`], [`Event::update`] |
//! | streams | [`Seen`]: which bytes of a window are new |
//! | what must be granted | [`log`], [`clock`], [`random`] |
//! | tests without a sensor | [`testing`] |
//!
//! A module that panics has failed at that event: the sensor counts it, goes on without its answer, and after several
//! failures asks it no more. Prefer [`slice::get`] and checked arithmetic where input decides.

// The guide's snippets are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../../GUIDE.md")]
pub struct Guide;

mod check;
mod declare;
mod event;
mod granted;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
mod macros;
mod packet;
mod state;
mod stream;
mod sys;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use declare::{Action, Buffer, Decide, FlowBit, Kept, Module, Pattern, Rule, RuleId, Scope};
pub use event::{Asked, Event};
pub use granted::{clock, log, random};
pub use packet::{Direction, Flow, Packet, Protocol, TcpFlags, Traffic};
pub use state::{NotKept, State};
pub use stream::{Fresh, Seen};

/// What a module needs from here.
pub mod prelude {
    pub use crate::{
        Action, Asked, Buffer, Direction, Event, Flow, FlowBit, Fresh, NotKept, Packet, Pattern,
        Protocol, RuleId, Scope, Seen, State, TcpFlags,
    };
}
