//! IPv6 (RFC 8200).

/// The first fragment header (8 bytes) of a chain of extension headers; `next` is the fixed header's next header field.
pub(super) fn fragment_header(next: u8, extensions: &[u8]) -> Option<&[u8]> {
    let (mut next, mut rest) = (next, extensions);
    loop {
        if next == super::proto::FRAGMENT {
            return rest.get(..8);
        }
        let length = extension_len(next, rest)?;
        next = *rest.first()?;
        rest = rest.get(length..)?;
    }
}

/// Length in bytes of the extension header that `bytes` start with; `None` when `kind` is none that has a length.
fn extension_len(kind: u8, bytes: &[u8]) -> Option<usize> {
    use super::proto::*;
    let field = usize::from(*bytes.get(1)?);
    match kind {
        HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => Some(8 + 8 * field),
        // The field counts 4-byte words; the first is part of the fixed 12 bytes (RFC 4302 reckons one differently).
        AUTH => Some(12 + 4 * field.saturating_sub(1)),
        FRAGMENT => Some(8),
        _ => None,
    }
}
