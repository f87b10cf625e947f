//! Little-endian numbers at places that are known to exist.

/// The 16-bit number at `at`; 0 beyond the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.copied().map_or(0, u16::from_le_bytes)
}

/// The 32-bit number at `at`; 0 beyond the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.copied().map_or(0, u32::from_le_bytes)
}
