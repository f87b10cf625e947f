//! Who logs in: NTLMSSP (MS-NLMP) in the security blob of a session setup.

use serde_json::{Value, json};

use super::state::NAME_LIMIT;

const SIGNATURE: &[u8] = b"NTLMSSP\0";

/// The message with which a client proves who it is.
const AUTHENTICATE: u32 = 3;

/// Flag: a version follows.
const HAS_VERSION: u32 = 0x0200_0000;

/// What is in it, in ASCII: of UTF-16, bytes that are 0 are left out, as Suricata does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ntlmssp {
    pub domain: Vec<u8>,
    pub user: Vec<u8>,
    pub host: Vec<u8>,
    version: Option<[u8; 8]>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(
        *bytes.get(at..)?.first_chunk()?,
    )))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The message in a blob, whatever wraps it.
fn find(blob: &[u8]) -> Option<&[u8]> {
    let start = memchr::memmem::find(blob, SIGNATURE)?;
    let message = blob.get(start..)?;
    (u32_at(message, 8)? == AUTHENTICATE).then_some(message)
}

/// True when the message is there, even if it cannot be read.
pub(super) fn authenticates(blob: &[u8]) -> bool {
    find(blob).is_some()
}

/// Reads the message in a blob.
pub(super) fn ntlmssp(blob: &[u8]) -> Option<Ntlmssp> {
    let message = find(blob)?;
    let text = |at: usize| {
        let length = u16_at(message, at)?;
        let offset = usize::try_from(u32_at(message, at + 4)?).ok()?;
        let bytes = message.get(offset..)?.get(..length)?;
        let kept = bytes.iter().copied().filter(|&byte| byte != 0);
        Some(kept.take(NAME_LIMIT).collect())
    };
    let versioned = u32_at(message, 60)? & HAS_VERSION != 0;
    Some(Ntlmssp {
        domain: text(28)?,
        user: text(36)?,
        host: text(44)?,
        version: message
            .get(64..)
            .and_then(|rest| rest.first_chunk().copied())
            .filter(|_| versioned),
    })
}

impl Ntlmssp {
    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.domain.len() + self.user.len() + self.host.len()
    }

    /// The `ntlmssp` object.
    pub fn fields(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = json!({
            "domain": text(&self.domain), "user": text(&self.user), "host": text(&self.host),
        });
        if let Some([major, minor, low, high, _, _, _, revision]) = self.version {
            let build = u16::from_le_bytes([low, high]);
            fields["version"] = format!("{major}.{minor} build {build} rev {revision}").into();
        }
        fields
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn message() -> Vec<u8> {
        message_of(&[b"D\0M\0", b"m\0e\0x\0", b"h\0"])
    }

    /// A message with this domain, user and host.
    pub(in super::super) fn message_of(texts: &[&[u8]; 3]) -> Vec<u8> {
        let mut message = SIGNATURE.to_vec();
        message.extend_from_slice(&3_u32.to_le_bytes());
        message.resize(28, 0);
        let mut offset = 72;
        for text in texts {
            let length = (text.len() as u16).to_le_bytes();
            message.extend_from_slice(&length);
            message.extend_from_slice(&length);
            message.extend_from_slice(&(offset as u32).to_le_bytes());
            offset += text.len();
        }
        message.resize(60, 0);
        message.extend_from_slice(&HAS_VERSION.to_le_bytes());
        message.extend_from_slice(&[6, 1, 0xb1, 0x1d, 0, 0, 0, 15]);
        message.extend_from_slice(&texts.concat());
        message
    }

    #[test]
    fn names_are_read() {
        let blob = [b"\xa1\x82wrapped", &message()[..]].concat();
        let found = ntlmssp(&blob).expect("a message");
        assert_eq!(found.domain, b"DM");
        assert_eq!(found.user, b"mex");
        assert_eq!(found.host, b"h");
        assert_eq!(found.fields()["version"], "6.1 build 7601 rev 15");
        for end in 0..blob.len() {
            assert_eq!(ntlmssp(&blob[..end]), None);
            assert_eq!(authenticates(&blob[..end]), end >= 9 + 12);
        }
    }
}
