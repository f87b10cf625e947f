//! Reading a stream from windows that overlap.

use serde::{Deserialize, Serialize, Serializer};

use crate::declare::Buffer;
use crate::event::Event;
use crate::packet::Direction;

/// How far each direction of a stream has been read; belongs into state of the flow.
///
/// A module is asked about windows of a stream, which overlap, so that a pattern on an edge is not lost. A module that
/// counts or parses must read each byte once:
///
/// ```
/// use weir_sdk::prelude::*;
///
/// weir_sdk::module! {
///     name: "lines",
///     buffers { PAYLOAD = "payload" }
///     // `Seen` itself, or a type that has one.
///     state { READ: Seen { scope: Scope::Flow, bytes: 20, entries: 10_000, seconds: 0 } }
///     rules {
///         A_LINE { sid: 1, message: "a line ends", header: "tcp-stream any any -> any any", buffers: &[PAYLOAD] } => line,
///     }
/// }
///
/// fn line(event: &Event) -> bool {
///     event
///         .update(READ, |seen| seen.fresh(event, PAYLOAD).bytes.contains(&b'\n'))
///         .unwrap_or(false)
/// }
///
/// use weir_sdk::testing::{Conversation, Sensor};
/// let mut sensor = Sensor::new(&MODULE);
/// let tcp = Conversation::tcp("192.0.2.7:40000", "198.51.100.2:80");
/// assert_eq!(sensor.see(&tcp.to_server().window(0, b"one\ntw")), [A_LINE]);
/// assert_eq!(sensor.see(&tcp.to_server().window(2, b"e\ntwo")), []);
/// ```
///
/// What comes without an offset (a datagram, a packet that belongs to no stream) is new as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Offset of the next byte to the server, and to the client.
    ends: [u64; 2],
}

/// New bytes of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Bytes between the last ones and these that were not shown: the stream has a hole, or rules were not asked there.
    pub missed: u64,
}

impl Seen {
    /// What of this buffer, the payload, was not there before. Bytes that cannot be used yet, such as half a line, can be
    /// [put back](Self::put_back).
    pub fn fresh(&mut self, event: &Event, payload: Buffer) -> Fresh {
        let Some(bytes) = event.buffer(payload) else {
            return Fresh::default();
        };
        let Some(offset) = event.stream_offset() else {
            return Fresh { bytes, missed: 0 };
        };
        let next = self.next(event);
        let known = usize::try_from(next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let missed = offset.saturating_sub(*next);
        let end = offset.saturating_add(bytes.len() as u64);
        *next = end.max(*next);
        Fresh {
            bytes: bytes.get(known..).unwrap_or_default().to_vec(),
            missed,
        }
    }

    /// The last bytes of this event are shown again with the next window, as far as that still has them: the sensor shows
    /// at least what may be part of a pattern again.
    pub fn put_back(&mut self, event: &Event, bytes: usize) {
        let next = self.next(event);
        *next = next.saturating_sub(bytes as u64);
    }

    /// The end of the event's direction.
    fn next(&mut self, event: &Event) -> &mut u64 {
        let [server, client] = &mut self.ends;
        match event.flow().map(|flow| flow.direction) {
            Some(Direction::ToClient) => client,
            _ => server,
        }
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.ends.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u64; 2]>::deserialize(deserializer).map(|ends| Self { ends })
    }
}
