//! Records in a staging buffer.

use card_protocol::record::Record;

use crate::set::Set;

/// Adds a record to `bytes`, and returns where its payload starts. The payload is at most
/// [`MAX_LENGTH`](card_protocol::record::MAX_LENGTH) bytes, `carry` at most that and below 8: what is not makes no record, and its answer
/// never comes.
pub(crate) fn put(
    bytes: &mut Vec<u8>,
    set: &Set,
    nonce: u32,
    sequence: u32,
    group: u8,
    carry: u8,
    payload: &[u8],
) -> usize {
    let record = Record {
        nonce,
        sequence,
        group,
        carry,
        generation: set.generation,
        payload,
    };
    let end = bytes.len();
    weir_tables::append(bytes, set.geometry.lanes, &record).unwrap_or(end)
}
