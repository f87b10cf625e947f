//! Records at the end of a stream.

use card_protocol::record::{HEADER, Header, Record, WriteError, size};

/// Adds a record to `stream`, and returns where its payload starts. As [`Record::write`], but its CRC is taken by the processor's own
/// instructions, and nothing is written twice: this is most of what a packet costs the host of a card.
///
/// # Errors
/// When the record is malformed; nothing is added.
pub fn append(
    stream: &mut Vec<u8>,
    lanes: usize,
    record: &Record<'_>,
) -> Result<usize, WriteError> {
    let header = record.header().map_err(WriteError::Malformed)?;
    let at = stream.len();
    stream.extend_from_slice(&[0; HEADER]);
    stream.extend_from_slice(record.payload);
    stream.resize(at + size(record.payload.len(), lanes), 0);
    let header = Header {
        payload_crc: crc32fast::hash(stream.get(at + HEADER..).unwrap_or_default()),
        ..header
    };
    if let Some(room) = stream.get_mut(at..at + HEADER) {
        room.copy_from_slice(&header.encode());
    }
    Ok(at + HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_records_are() {
        for (length, lanes) in [
            (0, 64),
            (1, 8),
            (31, 32),
            (470, 64),
            (16_384, 16),
            (16_385, 8),
        ] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let record = Record {
                nonce: 1,
                sequence: 2,
                group: 3,
                carry: 0,
                generation: 5,
                payload: &payload,
            };
            let mut expected = vec![7; record.size(lanes)];
            let written = record.write(lanes, &mut expected);
            let mut stream = vec![9; 3];
            let appended = append(&mut stream, lanes, &record);
            assert_eq!(appended.map(|at| at - 3), written.map(|_| HEADER));
            let expected = if written.is_ok() { &expected[..] } else { &[] };
            assert_eq!(&stream[3..], expected);
        }
    }
}
