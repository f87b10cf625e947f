//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// Sum of the 16-bit words of `bytes`, the last one padded with zero; not folded.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let total: u64 = words
        .by_ref()
        .map(|word| {
            word.iter()
                .fold(0, |high, &byte| high << 8 | u64::from(byte))
        })
        .sum();
    total
        + words
            .remainder()
            .first()
            .map_or(0, |&byte| u64::from(byte) << 8)
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// True when `bytes`, their checksum included, add up.
pub(super) fn holds(bytes: &[u8]) -> bool {
    fold(sum(bytes)) == 0xffff
}

/// True when `bytes`, their checksum included, add up with the pseudo header of TCP, UDP or ICMPv6 in front.
pub(super) fn holds_with_pseudo(src: IpAddr, dst: IpAddr, proto: u8, bytes: &[u8]) -> bool {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    fold(address(src) + address(dst) + u64::from(proto) + bytes.len() as u64 + sum(bytes)) == 0xffff
}

/// The checksum of `bytes`, whose checksum field is zero.
pub(super) fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_adds_up() {
        let mut bytes = vec![0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of(&bytes), !0xddf2);
        bytes.extend_from_slice(&of(&bytes).to_be_bytes());
        assert!(holds(&bytes));
        bytes[0] ^= 1;
        assert!(!holds(&bytes));
    }

    #[test]
    fn an_odd_byte_is_padded() {
        assert_eq!(of(&[0x12]), !0x1200);
    }
}
