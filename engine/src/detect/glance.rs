//! A glance at a frame that is not due yet: which buffer will it have searched, and in which group?
//!
//! Nothing here decides anything. A wrong guess costs a search that nobody asks for, and one by software; so only what nearly all traffic is made
//! of is looked at: TCP and UDP in IPv4 and IPv6 without fragments, extension headers or tunnels.

use super::Groups;
use crate::flow::network;
use crate::packet::Frame;
use crate::packet::proto::{TCP, UDP};

/// Directions that are remembered.
const SLOTS: usize = 1 << 16;
const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

/// Bytes before a payload that a probe may begin in.
pub(super) const TAIL: usize = 7;

/// What is guessed about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// Where its payload stands: compared, never followed.
    start: usize,
    length: usize,
    /// Group whose probes will be wanted.
    pub(super) group: u8,
    slot: u16,
    /// The connection, and who its client was taken to be.
    mark: u16,
    /// What the segment before ended with, if this one goes on where it ended.
    pub(super) tail: Option<[u8; TAIL]>,
}

impl Glance {
    /// True when this is the payload that was seen.
    pub(super) fn is_of(&self, payload: &[u8]) -> bool {
        (self.start, self.length) == (payload.as_ptr() as usize, payload.len())
    }
}

/// What is remembered of a connection.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Bits 15..1: which connection; bit 0: its lower end is the client. 0 is none.
    mark: u16,
    /// From the higher end, from the lower one: how many bytes of `tails` there are.
    lengths: [u8; 2],
    /// The sequence number that follows.
    next: [u32; 2],
    /// The last bytes.
    tails: [[u8; TAIL]; 2],
}

impl Known {
    /// Takes a segment's data; what came right before it, if that was enough.
    fn follow(&mut self, way: usize, seq: u32, payload: &[u8]) -> Option<[u8; TAIL]> {
        let (next, length) = (&mut self.next[way], &mut self.lengths[way]);
        let tail = &mut self.tails[way];
        let follows = *length > 0 && *next == seq;
        if *length > 0 && (seq.wrapping_sub(*next) as i32) < 0 {
            // Once more: what follows is as it was.
            return None;
        }
        let before = (follows && usize::from(*length) == TAIL).then_some(*tail);
        *next = seq.wrapping_add(payload.len() as u32);
        match payload.last_chunk::<TAIL>() {
            Some(last) => (*tail, *length) = (*last, TAIL as u8),
            None if follows => {
                tail.rotate_left(payload.len());
                let at = TAIL - payload.len();
                if let Some(room) = tail.get_mut(at..) {
                    room.copy_from_slice(payload);
                }
                *length = (usize::from(*length) + payload.len()).min(TAIL) as u8;
            }
            None => {
                let at = TAIL - payload.len();
                if let Some(room) = tail.get_mut(at..) {
                    room.copy_from_slice(payload);
                }
                *length = payload.len() as u8;
            }
        }
        before
    }
}

/// Remembers which end of a connection is the client, and how each direction goes on. Connections that fall on one place
/// forget each other.
pub(super) struct Directions {
    slots: Box<[Known]>,
}

/// A transport header.
struct Header<'a> {
    proto: u8,
    ends: [(&'a [u8], u16); 2],
    flags: u8,
    /// Of the first byte of data.
    seq: Option<u32>,
    payload: &'a [u8],
}

impl Directions {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Known::default(); SLOTS].into_boxed_slice(),
        }
    }

    /// Looks at a frame; `None` where there is no payload, or none that could be foreseen.
    pub(super) fn glance<'a>(
        &mut self,
        frame: &Frame<'a>,
        groups: &Groups,
    ) -> Option<(Glance, &'a [u8])> {
        let Header {
            proto,
            ends: [from, to],
            flags,
            seq,
            payload,
        } = header(network(frame)?)?;
        if payload.is_empty() {
            return None;
        }
        let from_low = from <= to;
        let (low, high) = if from_low { (from, to) } else { (to, from) };
        let (slot, mark) = place(proto, low, high);
        let known = self.slots.get_mut(usize::from(slot))?;
        if known.mark & !1 != mark {
            // The sender of the first packet is the client, but for an answer.
            let client_sends = flags & SYN_ACK != SYN_ACK;
            *known = Known {
                mark: mark | u16::from(from_low == client_sends),
                ..Known::default()
            };
        }
        let to_server = from_low == (known.mark & 1 == 1);
        let tail = seq.and_then(|seq| known.follow(usize::from(from_low), seq, payload));
        let glance = Glance {
            start: payload.as_ptr() as usize,
            length: payload.len(),
            group: groups.of_ports(proto, to_server, from.1, to.1),
            slot,
            mark: known.mark,
            tail,
        };
        Some((glance, payload))
    }

    /// The group was another one: what was guessed goes the other way, and so will what follows. Several guesses may have to be told.
    pub(super) fn turn(&mut self, glance: &Glance) {
        let known = self.slots.get_mut(usize::from(glance.slot));
        if let Some(known) = known.filter(|known| (known.mark ^ glance.mark) & !1 == 0) {
            known.mark = glance.mark ^ 1;
        }
    }
}

/// Where a connection is remembered, and its mark there.
fn place(proto: u8, low: (&[u8], u16), high: (&[u8], u16)) -> (u16, u16) {
    let ports = u64::from(low.1) ^ u64::from(high.1) << 16 ^ u64::from(proto) << 32;
    let hash = mix(mix(mix(0, low.0), high.0) ^ ports, &[]);
    // The upper bits of a product depend on all bits of its factors.
    ((hash >> 48) as u16, (hash >> 32) as u16 & !1 | 2)
}

fn mix(sum: u64, bytes: &[u8]) -> u64 {
    let sum = bytes.chunks(4).fold(sum, |sum, word| {
        let word = word
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        (sum ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
    });
    (sum ^ sum >> 31).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The transport header behind a plain IP header.
fn header(ip: &[u8]) -> Option<Header<'_>> {
    let (src, dst, proto, rest) = match ip.first()? >> 4 {
        4 => {
            let header = usize::from(ip.first()? & 0xf) * 4;
            if half(ip, 6)? & 0x3fff != 0 {
                return None;
            }
            let rest = ip.get(header..usize::from(half(ip, 2)?))?;
            (ip.get(12..16)?, ip.get(16..20)?, *ip.get(9)?, rest)
        }
        6 => {
            let rest = ip.get(40..)?.get(..usize::from(half(ip, 4)?))?;
            (ip.get(8..24)?, ip.get(24..40)?, *ip.get(6)?, rest)
        }
        _ => return None,
    };
    let (flags, seq, payload) = match proto {
        TCP => {
            let flags = *rest.get(13)?;
            let seq = u32::from_be_bytes(*rest.get(4..)?.first_chunk()?);
            let seq = seq.wrapping_add(u32::from(flags & SYN != 0));
            let payload = rest.get(usize::from(*rest.get(12)? >> 4) * 4..)?;
            (flags, Some(seq), payload)
        }
        UDP => (0, None, rest.get(8..usize::from(half(rest, 4)?))?),
        _ => return None,
    };
    Some(Header {
        proto,
        ends: [(src, half(rest, 0)?), (dst, half(rest, 2)?)],
        flags,
        seq,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn connections_of_one_server_have_places_of_their_own() {
        let server = [192, 0, 2, 1];
        let slots = |connection: &dyn Fn(u16) -> ([u8; 4], u16)| {
            let place = |n| {
                let (client, port) = connection(n);
                place(TCP, (&server, 80), (&client, port))
            };
            let places: HashSet<_> = (0..4096).map(place).collect();
            assert!(places.len() >= 4090, "{} places", places.len());
            places
                .iter()
                .map(|&(slot, _)| slot)
                .collect::<HashSet<_>>()
                .len()
        };
        // Of 4096 that fall anywhere in 65,536, about 124 share one.
        let by_port = slots(&|n| ([192, 0, 2, 9], 49_152 + n));
        let by_address = slots(&|n| ([10, 0, (n >> 8) as u8, n as u8], 50_000));
        assert!(
            by_port > 3900 && by_address > 3900,
            "{by_port} {by_address}"
        );
    }
}
