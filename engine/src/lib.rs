//! The packet path of Weir, without any input or output: frames go in, alerts and verdicts come out as values.
//!
//! ```text
//! frame ─► packet (decode, defragment) ─► flow ─► stream ─► detect ─► matcher ─► eval ─► verdict, alerts
//! ```
//!
//! * [`packet`] turns link-layer frames into [`packet::Packet`]s and raises decoder events.
//! * [`flow`] keeps the flow table: direction, handshake state, what earlier verdicts decided.
//! * [`stream`] follows TCP connections and puts their streams of bytes together.
//! * [`plan`] is what a rule *is* once its text has been read: predicates, buffers, operations.
//! * [`matcher`] finds probes (short literals) in buffers; one contract, several backends.
//! * [`eval`] decides whether a candidate rule really matches.
//! * [`state`] is what rules keep: bits, counts, tags and sets of flows and hosts.
//! * [`handover`] saves what workers know for the next process.
//! * [`detect`] ties them together and settles verdicts, thresholds and alerts.
//!
//! The stages can be used one by one:
//!
//! ```
//! use weir_engine::matcher::{Matcher, Probe, Request, Software};
//! use weir_engine::packet::{Decoder, DecoderConfig, Frame, LinkType};
//!
//! // An IPv4 packet with a UDP datagram: "hello" from 10.0.0.1:4000 to 10.0.0.2:53.
//! let mut data = b"\x45\0\0\x21\0\x01\0\0\x40\x11\0\0\x0a\0\0\x01\x0a\0\0\x02".to_vec();
//! data.extend(b"\x0f\xa0\0\x35\0\x0d\0\0hello");
//! let (link, wire_len) = (LinkType::RAW, data.len() as u32);
//! let frame = Frame { number: 1, link, wire_len, data: &data, ..Frame::default() };
//!
//! let mut matcher = Software::new();
//! matcher.load(&[Probe::new(b"ELL", true, 1).expect("1 to 8 bytes")])?;
//! Decoder::new(DecoderConfig::default()).decode(frame, &mut |packet| {
//!     assert_eq!((packet.dport, packet.payload), (53, &b"hello"[..]));
//!     let request = Request { tag: packet.number, group: 0, carry: 0, data: packet.payload };
//!     matcher.submit(request).expect("room for one");
//! });
//! matcher.poll(&mut |report| assert_eq!(report.hits[0].end, 4));
//! # Ok::<(), weir_engine::matcher::MatcherError>(())
//! ```
//!
//! [`detect::Engine`] and [`detect::Alerts`] do all of it; `DESIGN.md` beside this crate says what is subtle.
#![warn(missing_docs)]

pub mod app;
pub mod detect;
pub mod eval;
pub mod flow;
pub mod handover;
pub mod matcher;
mod named;
pub mod packet;
pub mod pcre;
pub mod plan;
pub mod state;
pub mod stream;
