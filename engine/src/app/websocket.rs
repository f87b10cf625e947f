//! WebSocket (RFC 6455): frames, and messages that come in several, unpacked (RFC 7692). Each frame is a transaction of its
//! own; the last of a message has all of it as its payload.
//!
//! Limits: 64 KiB of a frame and of a message are kept, before and after unpacking.

use std::collections::VecDeque;

use flate2::{Decompress, FlushDecompress, Status};
use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::{AppBuffer, AppField, AppProto, MOST_LIVE, Output, Parser, TxId, Way};

/// Events of WebSocket, by their names in rules.
pub const EVENTS: &[&str] = &[
    "websocket.skip_end_of_payload",
    "websocket.reassembly_limit_reached",
];

/// Most bytes of a payload (Suricata's default `max-payload-size`).
const MOST_PAYLOAD: usize = 0xffff;

/// A frame's head.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// FIN, RSV1 to RSV3 and the opcode.
    first: u8,
    mask: Option<[u8; 4]>,
    payload: u64,
}

impl Head {
    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let first = bytes.u8()?;
        let second = bytes.u8()?;
        let payload = match second & 0x7f {
            126 => bytes.u16()?.into(),
            127 => u64::from(bytes.u32()?) << 32 | u64::from(bytes.u32()?),
            short => short.into(),
        };
        let mask = match second & 0x80 != 0 {
            true => Some(bytes.u32()?.to_be_bytes()),
            false => None,
        };
        Some(Self {
            first,
            mask,
            payload,
        })
    }

    fn is_last(self) -> bool {
        self.first & 0x80 != 0
    }

    fn is_packed(self) -> bool {
        self.first & 0x40 != 0
    }

    fn opcode(self) -> u8 {
        self.first & 0x0f
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    /// A head that is not complete, or a head and what there is of its payload.
    pending: Vec<u8>,
    /// So much of a frame's end is passed over.
    skip: u64,
    /// What there is of a message that goes on in the next frame.
    message: Vec<u8>,
    /// A message goes on in the next frame.
    goes_on: bool,
    packed: bool,
    /// What earlier messages said may be referred to.
    unpacker: Option<Decompress>,
}

/// Reads WebSocket.
#[derive(Debug, Default)]
pub struct Websocket {
    sides: [Side; 2],
    objects: VecDeque<(TxId, Value)>,
    lost: bool,
}

impl Side {
    /// Takes a frame's payload; what rules see of it, and whether there was no room for all.
    fn frame(&mut self, head: Head, mut payload: Vec<u8>) -> (Vec<u8>, bool) {
        // Control frames come between the frames of a message, whole.
        let control = head.opcode() & 8 != 0;
        let mut full = false;
        let mut packed = head.is_packed();
        if !control && (self.goes_on || !head.is_last()) {
            if !std::mem::replace(&mut self.goes_on, !head.is_last()) {
                self.packed = head.is_packed();
            }
            let room = MOST_PAYLOAD.saturating_sub(self.message.len());
            full = payload.len() > room;
            self.message
                .extend_from_slice(payload.get(..room).unwrap_or(&payload));
            if head.is_last() {
                payload = std::mem::take(&mut self.message);
                packed = self.packed;
            } else {
                packed = false;
            }
        }
        if packed && !control && head.is_last() {
            payload = self.unpack(payload);
        }
        (payload, full)
    }

    /// A message unpacked, as far as that succeeds; as it is where it does not.
    fn unpack(&mut self, mut packed: Vec<u8>) -> Vec<u8> {
        // RFC 7692, 7.2.2.
        packed.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let unpacker = self.unpacker.get_or_insert_with(|| Decompress::new(false));
        let mut plain = Vec::with_capacity(MOST_PAYLOAD.min(packed.len().saturating_mul(8)));
        let start = unpacker.total_in();
        loop {
            let used = usize::try_from(unpacker.total_in() - start).unwrap_or(usize::MAX);
            let rest = packed.get(used..).unwrap_or_default();
            if plain.len() >= MOST_PAYLOAD {
                // What is left out may be referred to, and cannot.
                self.unpacker = None;
                break;
            }
            if plain.len() == plain.capacity() {
                plain.reserve(plain.len().clamp(1024, MOST_PAYLOAD));
            }
            let before = (unpacker.total_in(), unpacker.total_out());
            match unpacker.decompress_vec(rest, &mut plain, FlushDecompress::Sync) {
                Ok(Status::Ok) if before != (unpacker.total_in(), unpacker.total_out()) => {}
                Ok(Status::StreamEnd) => {
                    unpacker.reset(false);
                    break;
                }
                Ok(_) => break,
                Err(_) => {
                    self.unpacker = None;
                    break;
                }
            }
        }
        plain.truncate(MOST_PAYLOAD);
        if plain.is_empty() { packed } else { plain }
    }

    fn memory(&self) -> usize {
        /// About what an unpacker holds.
        const UNPACKER: usize = 48 * 1024;
        let unpacker = self.unpacker.as_ref().map_or(0, |_| UNPACKER);
        self.pending.capacity() + self.message.capacity() + unpacker
    }
}

fn opcode_name(opcode: u8) -> String {
    match opcode {
        0 => "continuation".to_owned(),
        1 => "text".to_owned(),
        2 => "binary".to_owned(),
        8 => "connection_close".to_owned(),
        9 => "ping".to_owned(),
        10 => "pong".to_owned(),
        other => format!("unknown-{other}"),
    }
}

impl Websocket {
    /// For a connection that has switched to it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a frame from the front of what is there; how many bytes it had, `None` where it is not complete.
    fn frame(&mut self, way: Way, bytes: &[u8], out: &mut Output) -> Option<usize> {
        let mut rest = Bytes(bytes);
        let head = Head::read(&mut rest)?;
        let kept = head.payload.min(MOST_PAYLOAD as u64);
        let payload = rest.take(usize::try_from(kept).ok()?)?;
        let mut payload = payload.to_vec();
        if let Some(mask) = head.mask {
            for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= mask;
            }
        }
        let side = &mut self.sides[way as usize];
        side.skip = head.payload - kept;
        let (skipped, (payload, full)) = (side.skip > 0, side.frame(head, payload));
        let tx = out.begin();
        let mut object = Map::new();
        object.insert("fin".into(), head.is_last().into());
        if let Some(mask) = head.mask {
            let mask = u32::from_be_bytes(mask);
            out.number(tx, way, AppField::WebsocketMask, mask.into());
            object.insert("mask".into(), mask.into());
        }
        object.insert("opcode".into(), opcode_name(head.opcode()).into());
        out.number(tx, way, AppField::WebsocketOpcode, head.opcode().into());
        let flags = head.first & 0xf0;
        out.number(tx, way, AppField::WebsocketFlags, flags.into());
        out.put(tx, way, AppBuffer::WebsocketPayload, &payload);
        if skipped {
            out.event(tx, "websocket.skip_end_of_payload");
        }
        if full {
            out.event(tx, "websocket.reassembly_limit_reached");
        }
        out.finish(tx);
        let object = Value::Object(object);
        if out.logs() {
            out.log(way, "websocket", object.clone());
        }
        if self.objects.len() >= MOST_LIVE {
            self.objects.pop_front();
        }
        self.objects.push_back((tx, object));
        Some(bytes.len() - rest.len())
    }
}

impl Parser for Websocket {
    fn proto(&self) -> AppProto {
        AppProto::Websocket
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        if self.lost {
            return;
        }
        while let Some((tx, _)) = self.objects.front() {
            if out.get(*tx).is_some() {
                break;
            }
            self.objects.pop_front();
        }
        let skip = &mut self.sides[way as usize].skip;
        let over = usize::try_from(*skip).unwrap_or(usize::MAX).min(data.len());
        *skip -= over as u64;
        let data = data.get(over..).unwrap_or_default();
        // A frame of the longest payload that is kept fits, so there is never much more than that.
        let mut pending = std::mem::take(&mut self.sides[way as usize].pending);
        pending.extend_from_slice(data);
        let mut at = 0;
        while let Some(rest) = pending.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(used) = self.frame(way, rest, out) else {
                break;
            };
            at += used;
            let skip = &mut self.sides[way as usize].skip;
            let over = usize::try_from(*skip)
                .unwrap_or(usize::MAX)
                .min(pending.len() - at);
            *skip -= over as u64;
            at += over;
        }
        pending.drain(..at);
        pending.shrink_to(MOST_PAYLOAD);
        self.sides[way as usize].pending = pending;
    }

    fn gap(&mut self, _way: Way, out: &mut Output) {
        // Nothing says where the next frame begins.
        self.lost = true;
        self.sides = Default::default();
        out.fail();
    }

    fn end(&mut self, _way: Way, _out: &mut Output) {}

    fn describe(&self, tx: TxId, _out: &Output) -> Option<(&'static str, Value)> {
        let found = self.objects.binary_search_by_key(&tx, |(id, _)| *id);
        let (_, object) = self.objects.get(found.ok()?)?;
        Some(("websocket", object.clone()))
    }

    fn memory(&self) -> usize {
        let sides: usize = self.sides.iter().map(Side::memory).sum();
        sides + self.objects.len() * 256 + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(bit | short as u8),
            len => {
                bytes.push(bit | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        let mask = mask.inspect(|mask| bytes.extend(mask));
        let masks = mask.unwrap_or_default();
        bytes.extend(
            payload
                .iter()
                .zip(masks.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    fn read(bytes: &[u8], step: usize) -> Output {
        let (mut parser, mut out) = (Websocket::new(), Output::everything());
        for piece in bytes.chunks(step) {
            parser.data(Way::ToServer, piece, &mut out);
        }
        out
    }

    fn payloads(out: &Output) -> Vec<Vec<u8>> {
        let buffers = |tx: &crate::app::Transaction| {
            tx.buffers(Way::ToServer, AppBuffer::WebsocketPayload)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        out.transactions().flat_map(buffers).collect()
    }

    #[test]
    fn a_message_in_several_frames_is_seen_whole_at_its_end() {
        let bytes = [
            frame(0x01, Some([1, 2, 3, 4]), b"one "),
            frame(0x89, None, b"ping"),
            frame(0x80, Some([9; 4]), b"two"),
            frame(0x82, None, &[7; 300]),
        ];
        let bytes = bytes.concat();
        for step in 1..bytes.len() {
            let out = read(&bytes, step);
            assert_eq!(
                payloads(&out),
                [&b"one "[..], b"ping", b"one two", &[7; 300]]
            );
            let tx = out.get(0).expect("a transaction");
            assert!(tx.is_done());
            assert!(
                tx.numbers(Way::ToServer, AppField::WebsocketMask)
                    .eq([0x0102_0304])
            );
            assert!(tx.numbers(Way::ToServer, AppField::WebsocketFlags).eq([0]));
        }
    }

    #[test]
    fn packed_messages_are_unpacked_and_may_refer_to_earlier_ones() {
        // RFC 7692, 7.2.3.2: "Hello" twice, the second time by reference to the first.
        let bytes = [
            frame(0xc1, None, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
            frame(0xc1, None, b"\xf2\x00\x11\x00\x00"),
            // In two frames.
            frame(0x41, None, b"\xf2\x48\xcd"),
            frame(0x80, None, b"\xc9\xc9\x07\x00"),
        ];
        let out = read(&bytes.concat(), 1000);
        let payloads = payloads(&out);
        assert_eq!(payloads[0], b"Hello");
        assert_eq!(payloads[1], b"Hello");
        assert_eq!(payloads[3], b"Hello");
    }

    #[test]
    fn an_empty_first_frame_begins_a_message() {
        let bytes = [
            frame(0x41, None, b""),
            frame(0x80, None, b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
            // And one that ends without more.
            frame(0x01, None, b"a"),
            frame(0x80, None, b""),
            frame(0x81, None, b"b"),
        ];
        let out = read(&bytes.concat(), 1000);
        assert_eq!(payloads(&out), [&b""[..], b"Hello", b"a", b"a", b"b"]);
    }

    #[test]
    fn the_end_of_a_long_payload_is_passed_over() {
        let bytes = [
            frame(0x82, None, &vec![1; 100_000]),
            frame(0x81, None, b"after"),
        ];
        for step in [1000, 70_000, 200_000] {
            let out = read(&bytes.concat(), step);
            let payloads = payloads(&out);
            assert_eq!(payloads[0].len(), MOST_PAYLOAD);
            assert_eq!(payloads[1], b"after");
            let tx = out.get(0).expect("a transaction");
            assert_eq!(tx.events(), ["websocket.skip_end_of_payload"]);
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1_usize..100) {
            read(&bytes, step);
        }
    }
}
