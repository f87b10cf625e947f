//! What bytes must be so that transforms make the wanted ones of them.

use weir_engine::plan::Transform;

use super::layout::LONGEST;

/// Undoes transforms, the last one first; `None` where that cannot be done. Whether it worked the engine says.
pub(super) fn undo(transforms: &[Transform], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = bytes.to_vec();
    for transform in transforms.iter().rev() {
        if bytes.len() > LONGEST {
            return None;
        }
        bytes = match transform {
            Transform::DotPrefix => bytes.strip_prefix(b".")?.to_vec(),
            Transform::UrlDecode => url_encode(&bytes),
            Transform::Xor(key) => bytes
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect(),
            Transform::FromBase64 { offset, .. } => {
                let mut all = vec![b'A'; *offset as usize];
                all.extend(base64(&bytes));
                all
            }
            Transform::ToMd5 | Transform::ToSha1 | Transform::ToSha256 => return None,
            Transform::Gunzip { .. }
            | Transform::ZlibDeflate { .. }
            | Transform::Pcre(_)
            | Transform::Subslice(_) => {
                return None;
            }
            // These leave alone what is already of their kind.
            _ => bytes,
        };
    }
    Some(bytes)
}

fn url_encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+') {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02x}").as_bytes());
        }
    }
    out
}

/// Base64 with padding (RFC 4648).
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut word = [0; 4];
        for (to, from) in word.iter_mut().skip(1).zip(three) {
            *to = *from;
        }
        let word = u32::from_be_bytes(word);
        for at in 0..4 {
            if at <= three.len() {
                let six = word >> (18 - 6 * at) & 63;
                out.push(ALPHABET[six as usize]);
            } else {
                out.push(b'=');
            }
        }
    }
    out
}
