//! The stream of records, cut into records.

use card_protocol::record;

/// Bytes of the record that begins here; a beat where none does; `None` when it is not all there.
pub(crate) fn next(bytes: &[u8], lanes: usize) -> Option<usize> {
    let length = |bytes: &[u8]| {
        bytes
            .get(12..14)
            .and_then(<[u8]>::first_chunk)
            .map(|length| u16::from_le_bytes(*length))
    };
    let known = bytes.len().min(4);
    let size = if bytes[..known] != record::MAGIC.to_le_bytes()[..known] {
        lanes
    } else {
        match length(bytes).map(usize::from) {
            // A header that cannot be, which the core will refuse.
            Some(length) if length > record::MAX_LENGTH => lanes,
            Some(length) => record::size(length, lanes),
            None => return None,
        }
    };
    (bytes.len() >= size).then_some(size)
}

/// Changes so many bits, drawn at random; one may be drawn twice.
pub(crate) fn corrupt(bytes: &mut [u8], bits: u32, rng: &mut fastrand::Rng) {
    for _ in 0..bits {
        let at = rng.usize(..bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_where_they_end() {
        for lanes in [8, 16, 32, 64] {
            for length in [0, 1, 31, 32, 33, 1500, record::MAX_LENGTH] {
                let payload = vec![7; length];
                let record = record::Record {
                    nonce: 1,
                    sequence: 2,
                    group: 0,
                    carry: 0,
                    generation: 3,
                    payload: &payload,
                };
                let mut bytes = vec![0; record.size(lanes) + lanes];
                let size = record.write(lanes, &mut bytes).expect("fits");
                assert_eq!(next(&bytes, lanes), Some(size));
                for less in [0, 3, 13, size - 1] {
                    assert_eq!(next(&bytes[..less], lanes), None, "{less} of {size} bytes");
                }
                assert_eq!(
                    next(&bytes[size..], lanes),
                    Some(lanes),
                    "what is no record goes by beats"
                );
            }
        }
        let mut header = [0; 64];
        header[..4].copy_from_slice(&record::MAGIC.to_le_bytes());
        header[12..14].fill(0xFF);
        assert_eq!(next(&header, 64), Some(64), "a length that cannot be");
    }
}
