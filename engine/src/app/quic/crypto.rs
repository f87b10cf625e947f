//! Keys of the first packets (RFC 9001, section 5; RFC 9369, section 3.3): they follow from what the client sent in the
//! clear.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{Aes128Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;

/// QUIC version 2.
pub(super) const VERSION_2: u32 = 0x6b33_43cf;

/// Keys of one direction.
struct Keys {
    header: Aes128,
    packet: Aes128Gcm,
    iv: [u8; 12],
}

/// Keys of the client's and the server's first packets.
pub(super) struct InitialKeys {
    sides: [Keys; 2],
}

impl std::fmt::Debug for InitialKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InitialKeys")
    }
}

fn salt(version: u32) -> Option<&'static [u8; 20]> {
    Some(match version {
        // Q050.
        0x5130_3530 => {
            b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45"
        }
        // Drafts 29 to 32, 23 to 28, and Facebook's.
        0xff00_001d..=0xff00_0020 => {
            b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
        }
        0xface_b002 | 0xff00_0017..=0xff00_001c => {
            b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
        }
        // Version 1, and the drafts before it.
        1 | 0xff00_0021..=0xff00_0022 => {
            b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
        }
        VERSION_2 => {
            b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
        }
        _ => return None,
    })
}

/// HKDF-Expand-Label (RFC 8446, section 7.1) with an empty context.
fn expand<const LEN: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; LEN]> {
    let mut info = (LEN as u16).to_be_bytes().to_vec();
    info.push(6 + label.len() as u8);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    let mut key = [0; LEN];
    secret.expand(&info, &mut key).ok()?;
    Some(key)
}

impl Keys {
    fn new(initial: &Hkdf<Sha256>, side: &str, version: u32) -> Option<Self> {
        let secret: [u8; 32] = expand(initial, side)?;
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let [header, packet, iv] = if version == VERSION_2 {
            ["quicv2 hp", "quicv2 key", "quicv2 iv"]
        } else {
            ["quic hp", "quic key", "quic iv"]
        };
        Some(Self {
            header: Aes128::new(&expand::<16>(&secret, header)?.into()),
            packet: Aes128Gcm::new(&expand::<16>(&secret, packet)?.into()),
            iv: expand(&secret, iv)?,
        })
    }
}

impl InitialKeys {
    /// The keys for a version and the connection that the client chose; `None` for a version that is not known.
    pub(super) fn new(version: u32, connection: &[u8]) -> Option<Self> {
        let initial = Hkdf::<Sha256>::new(Some(salt(version)?), connection);
        Some(Self {
            sides: [
                Keys::new(&initial, "client in", version)?,
                Keys::new(&initial, "server in", version)?,
            ],
        })
    }

    /// What a packet says; `header` bytes of it are in the clear, its number follows.
    pub(super) fn open(&self, way: usize, packet: &[u8], header: usize) -> Option<Vec<u8>> {
        let keys = self.sides.get(way)?;
        let sample = packet.get(header + 4..header + 20)?;
        let mut mask: [u8; 16] = sample.try_into().ok()?;
        let mut block = mask.into();
        keys.header.encrypt_block(&mut block);
        mask.copy_from_slice(&block);
        let [first_mask, number_mask @ ..] = &mask;

        let first = packet.first()? ^ (first_mask & 0x0f);
        let number_len = usize::from(first & 3) + 1;
        let mut clear = packet.get(..header + number_len)?.to_vec();
        *clear.first_mut()? = first;
        let mut number = 0_u64;
        for (byte, mask) in clear.get_mut(header..)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let mut nonce = keys.iv;
        for (byte, of_number) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= of_number;
        }
        let payload = Payload {
            msg: packet.get(header + number_len..)?,
            aad: &clear,
        };
        keys.packet.decrypt(&nonce.into(), payload).ok()
    }

    /// Makes a packet of a header without its number and of what it says: for tests.
    #[cfg(test)]
    pub(super) fn seal(&self, way: usize, header: &[u8], text: &[u8]) -> Vec<u8> {
        let keys = &self.sides[way];
        let mut clear = header.to_vec();
        clear[0] &= 0xf0;
        clear.push(0);
        let payload = Payload {
            msg: text,
            aad: &clear,
        };
        let sealed = keys.packet.encrypt(&keys.iv.into(), payload);
        let sealed = sealed.expect("it fits");
        let mut packet = [clear, sealed].concat();
        let mut block: [u8; 16] = packet[header.len() + 4..header.len() + 20]
            .try_into()
            .expect("sixteen bytes");
        let mut mask = block.into();
        keys.header.encrypt_block(&mut mask);
        block.copy_from_slice(&mask);
        packet[0] ^= block[0] & 0x0f;
        packet[header.len()] ^= block[1];
        packet
    }
}
