//! Transforms of sticky buffers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::pcre::Regex;

/// What is done to a buffer before a rule looks at it (userguide, "Transformations"). Nothing is done to an empty one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Transform {
    /// `to_lowercase`, of ASCII letters.
    ToLowercase,
    /// `to_uppercase`, of ASCII letters.
    ToUppercase,
    /// `strip_whitespace`: without C's `isspace`.
    StripWhitespace,
    /// `compress_whitespace`: the first character of each run of white space stays, whatever it is.
    CompressWhitespace,
    /// `dotprefix`: a dot before it.
    DotPrefix,
    /// `domain`: what can be registered, by the Public Suffix List; empty where there is none.
    Domain,
    /// `tld`: the public suffix of a domain that can be registered; empty where there is none.
    Tld,
    /// `url_decode`: `%HH`, and `+` for a space. What is not of this form stays.
    UrlDecode,
    /// `header_lowercase`: the names of headers, up to the colon of each line.
    HeaderLowercase,
    /// `strip_pseudo_headers`: without the lines that begin with a colon.
    StripPseudoHeaders,
    /// `to_md5`: the 16 bytes of the sum.
    ToMd5,
    /// `to_sha1`: 20 bytes.
    ToSha1,
    /// `to_sha256`: 32 bytes.
    ToSha256,
    /// `xor`, with a key that is repeated; not empty.
    Xor(Box<[u8]>),
    /// `from_base64`. What cannot be decoded stays as it is.
    FromBase64 {
        /// First byte.
        offset: u32,
        /// How many bytes; where there are fewer, nothing is decoded. `None`: to the end.
        bytes: Option<u32>,
        /// How strictly.
        mode: Base64Mode,
    },
    /// `gunzip`: RFC 1952; empty where it is none.
    Gunzip {
        /// Most bytes that come out.
        max_size: u32,
    },
    /// `zlib_deflate`: RFC 1950, decompressed; empty where it is none.
    ZlibDeflate {
        /// Most bytes that come out.
        max_size: u32,
    },
    /// `pcrexform`: what the one group of the expression matched; as it was where nothing matches.
    Pcre(#[serde(with = "super::shared")] Arc<Regex>),
    /// `subslice`
    Subslice(Subslice),
}

/// What `from_base64` makes of what is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Base64Mode {
    /// The text ends at the first byte that is not of the alphabet.
    Rfc4648,
    /// Bytes that are not of the alphabet are left out.
    Rfc2045,
    /// There may be none, and the padding must be right.
    Strict,
}

/// `subslice`: a part of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subslice {
    /// First byte; from the end when negative.
    pub offset: i64,
    /// How many bytes; when negative, the part ends so far before the end. `None`: to the end. Never 0.
    pub bytes: Option<i64>,
    /// What lies beyond the buffer is left out; otherwise it makes the part empty.
    pub truncate: bool,
}
