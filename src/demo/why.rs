//! Why a rule fires, in a few words.

use weir_engine::plan::{BufferPlan, Op, PacketTest, Rule, Threshold, ThresholdKind, Track};

/// Most contents that are shown.
const CONTENTS: usize = 2;

/// What a packet must have for `rule` to fire: its most telling contents, else its header tests, and its limits.
pub fn why(rule: &Rule) -> String {
    let mut parts: Vec<String> = Vec::new();
    let ops = || {
        rule.buffers
            .iter()
            .flat_map(|buffer: &BufferPlan| &buffer.ops)
    };
    let mut contents: Vec<_> = ops()
        .filter_map(|op| match op {
            Op::Content(content) if !content.negated => Some(content),
            _ => None,
        })
        .enumerate()
        .collect();
    // The longest say most; those that stay keep their order.
    contents.sort_by_key(|(_, content)| std::cmp::Reverse(content.bytes.len()));
    contents.truncate(CONTENTS);
    contents.sort_by_key(|&(at, _)| at);
    parts.extend(contents.iter().map(|(_, content)| literal(&content.bytes)));
    let mut has = |what: &str, found: fn(&Op) -> bool| {
        if ops().any(found) {
            parts.push(what.to_owned());
        }
    };
    has("a regular expression", |op| matches!(op, Op::Pcre(_)));
    has("a number in the payload", |op| {
        matches!(
            op,
            Op::ByteTest(_) | Op::ByteJump(_) | Op::ByteExtract(_) | Op::ByteMath(_)
        )
    });
    has("base64 data", |op| matches!(op, Op::Base64Decode(_)));
    has("the size of the payload", |op| {
        matches!(op, Op::BSize(_) | Op::IsDataAt(_))
    });
    parts.extend(rule.tests.iter().filter_map(test));
    parts.extend(
        [rule.detection_filter, rule.threshold]
            .into_iter()
            .flatten()
            .map(|limit| often(&limit)),
    );
    if parts.is_empty() {
        "addresses and ports".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Bytes as a rule writes them: printable ones as they are, others in hexadecimal between bars.
fn literal(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    let mut in_hex = false;
    for &byte in bytes {
        let plain = (byte == b' ' || byte.is_ascii_graphic())
            && !matches!(byte, b'"' | b'|' | b';' | b'\\');
        if plain == in_hex {
            out.push('|');
            in_hex = !plain;
        } else if in_hex {
            out.push(' ');
        }
        if plain {
            out.push(char::from(byte))
        } else {
            out.push_str(&format!("{byte:02x}"))
        }
    }
    if in_hex {
        out.push('|');
    }
    out.push('"');
    out
}

/// Header tests that say something by themselves.
fn test(test: &PacketTest) -> Option<String> {
    Some(match test {
        PacketTest::DecodeEvent(event) => format!("decoder event {}", event.name()),
        PacketTest::TcpFlags { bits, .. } => {
            let letters = b"FSRPAUEC"
                .iter()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1);
            let letters: String = letters.map(|(_, letter)| char::from(*letter)).collect();
            format!(
                "TCP flags {}",
                if letters.is_empty() { "none" } else { &letters }
            )
        }
        PacketTest::IcmpType(number) => format!("ICMP type {number}"),
        PacketTest::Dsize(number) => format!("payload size {number}"),
        PacketTest::IpProto(number) => format!("IP protocol {number}"),
        PacketTest::Ttl(number) => format!("TTL {number}"),
        PacketTest::FragBits { .. } | PacketTest::FragOffset(_) => "a fragment".to_owned(),
        PacketTest::SameIp => "sender and receiver are one".to_owned(),
        _ => return None,
    })
}

fn often(limit: &Threshold) -> String {
    let from = match limit.track {
        Track::BySrc => "from one sender",
        Track::ByDst => "to one receiver",
        Track::ByBoth => "between two hosts",
        Track::ByRule => "in all",
        Track::ByFlow => "in one flow",
    };
    let Threshold { count, seconds, .. } = limit;
    match limit.kind {
        ThresholdKind::Limit => format!("at most {count} alerts in {seconds} s {from}"),
        ThresholdKind::DetectionFilter => format!("more than {count} in {seconds} s {from}"),
        ThresholdKind::Threshold | ThresholdKind::Both => format!("{count} in {seconds} s {from}"),
        ThresholdKind::Backoff { .. } => format!("{count} {from}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_as_in_a_rule() {
        for (bytes, text) in [
            (b"GET /".as_slice(), "\"GET /\""),
            (b"a\r\nb", "\"a|0d 0a|b\""),
            (b"\x90\x90", "\"|90 90|\""),
            (b";|", "\"|3b 7c|\""),
            (b"", "\"\""),
        ] {
            assert_eq!(literal(bytes), text);
        }
    }
}
