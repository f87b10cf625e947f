//! Records in a staging buffer.

use card_protocol::record::{HEADER, Header, size};

use crate::set::Set;

/// Adds a record to `bytes`, and returns where its payload starts. The payload is at most
/// [`MAX_LENGTH`](card_protocol::record::MAX_LENGTH) bytes, `carry` at most that and below 8.
pub(crate) fn put(
    bytes: &mut Vec<u8>,
    set: &Set,
    nonce: u32,
    sequence: u32,
    group: u8,
    carry: u8,
    payload: &[u8],
) -> usize {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; HEADER]);
    bytes.extend_from_slice(payload);
    bytes.resize(at + size(payload.len(), set.geometry.lanes), 0);
    let header = Header {
        nonce,
        sequence,
        length: payload.len() as u16,
        group,
        carry,
        generation: set.generation,
        payload_crc: crc32fast::hash(bytes.get(at + HEADER..).unwrap_or_default()),
    };
    if let Some(room) = bytes.get_mut(at..at + HEADER) {
        room.copy_from_slice(&header.encode());
    }
    at + HEADER
}
