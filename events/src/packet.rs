//! Records of type `packet`: packets of flows and hosts that a rule has tagged.

use std::fmt;

use serde::Serialize;
use weir_engine::detect::Tagged;
use weir_engine::packet::LinkType;

use crate::Interfaces;
use crate::record::{Head, write_line};

/// Appends the packet's EVE record and a newline to `out`.
pub fn write_packet(out: &mut Vec<u8>, tagged: &Tagged, names: &Interfaces) {
    #[derive(Serialize)]
    struct Record<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        packet: Text<Base64<'a>>,
        packet_info: Info,
    }
    #[derive(Serialize)]
    struct Info {
        linktype: u16,
        linktype_name: &'static str,
    }
    write_line(
        out,
        &Record {
            head: Head::new(&tagged.packet, "packet", names),
            packet: Text(Base64(&tagged.bytes)),
            packet_info: Info {
                linktype: tagged.link.0,
                linktype_name: link_name(tagged.link),
            },
        },
    );
}

/// Something that is written as a string.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes in base 64 (RFC 4648), padded.
struct Base64<'a>(&'a [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for chunk in self.0.chunks(3) {
            let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            let mut digits = ['='; 4];
            for (at, digit) in digits.iter_mut().enumerate().take(chunk.len() + 1) {
                *digit = char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
            }
            for digit in digits {
                fmt::Write::write_char(f, digit)?;
            }
        }
        Ok(())
    }
}

/// The name that libpcap gives a link type, as Suricata writes it.
fn link_name(link: LinkType) -> &'static str {
    match link {
        LinkType::NULL => "NULL",
        LinkType::ETHERNET => "EN10MB",
        LinkType::PPP => "PPP",
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 => "RAW",
        LinkType::CHDLC => "C_HDLC",
        LinkType::LOOP => "LOOP",
        LinkType::LINUX_SLL => "LINUX_SLL",
        LinkType::LINUX_SLL2 => "LINUX_SLL2",
        LinkType::IPV4 => "IPV4",
        LinkType::IPV6 => "IPV6",
        _ => "n/a",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, code) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(Base64(text.as_bytes()).to_string(), code);
        }
        assert_eq!(Base64(&[0xfb, 0xff, 0xfe]).to_string(), "+//+");
    }
}
