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

/// Sum of `bytes` and of the pseudo header of TCP, UDP or ICMPv6 in front of them.
fn sum_with_pseudo(src: IpAddr, dst: IpAddr, proto: u8, bytes: &[u8]) -> u64 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    address(src) + address(dst) + u64::from(proto) + bytes.len() as u64 + sum(bytes)
}

/// True when `bytes`, their checksum included, add up with the pseudo header of TCP, UDP or ICMPv6 in front.
pub(super) fn holds_with_pseudo(src: IpAddr, dst: IpAddr, proto: u8, bytes: &[u8]) -> bool {
    fold(sum_with_pseudo(src, dst, proto, bytes)) == 0xffff
}

/// The checksum of `bytes`, whose checksum field is zero.
pub fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The checksum of a TCP segment or an ICMPv6 message, whose checksum field is zero, between these addresses (RFC 9293, 3.1;
/// RFC 4443, 2.3).
pub fn of_with_pseudo(src: IpAddr, dst: IpAddr, proto: u8, bytes: &[u8]) -> u16 {
    !fold(sum_with_pseudo(src, dst, proto, bytes))
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
    fn what_is_computed_holds() {
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("an address"));
        for address in addresses {
            for length in 8..12 {
                let mut segment: Vec<u8> = (1..=length).map(|byte| byte * 17).collect();
                segment[6..8].fill(0);
                let sum = of_with_pseudo(address, address, 6, &segment);
                segment[6..8].copy_from_slice(&sum.to_be_bytes());
                assert!(holds_with_pseudo(address, address, 6, &segment));
                assert!(!holds_with_pseudo(address, address, 17, &segment));
            }
        }
    }

    #[test]
    fn an_odd_byte_is_padded() {
        assert_eq!(of(&[0x12]), !0x1200);
    }
}
