//! Words, names and addresses that traffic is filled with.

use super::rng::Rng;

const WORDS: &[&str] = &[
    "river", "account", "market", "season", "report", "garden", "window", "harbour", "signal",
    "paper", "letter", "summer", "engine", "bridge", "forest", "meeting", "question", "answer",
    "travel", "museum", "school", "library", "weather", "kitchen", "company", "product", "service",
    "delivery", "morning", "evening", "station", "platform", "ticket", "holiday", "mountain",
    "valley", "village", "city", "street", "number", "customer", "order", "invoice", "project",
    "the", "a", "of", "and", "to", "in", "for", "with", "on", "from", "by", "is", "was", "are",
    "has", "will", "new", "first", "last", "long", "small", "large", "open", "early", "late",
];

const HOSTS: &[&str] = &[
    "www.example.com",
    "news.example.net",
    "shop.example.org",
    "static.example.com",
    "api.example.net",
    "images.example.org",
    "mail.example.com",
    "login.example.net",
    "video.example.org",
    "updates.example.com",
    "cdn.example.net",
    "maps.example.org",
    "docs.example.com",
    "telemetry.example.net",
    "fonts.example.org",
    "weather.example.com",
];

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "curl/8.5.0",
    "python-requests/2.32.3",
];

pub(super) fn word(rng: &mut Rng) -> &'static str {
    rng.pick(WORDS)
}

pub(super) fn host(rng: &mut Rng) -> &'static str {
    rng.pick(HOSTS)
}

pub(super) fn agent(rng: &mut Rng) -> &'static str {
    rng.pick(AGENTS)
}

/// Appends about `n` bytes of prose.
pub(super) fn prose(rng: &mut Rng, out: &mut Vec<u8>, n: usize) {
    let end = out.len() + n;
    while out.len() < end {
        out.extend_from_slice(word(rng).as_bytes());
        out.extend_from_slice(if rng.one_in(12) { b".\n" } else { b" " });
    }
}

/// Appends `n` hexadecimal digits.
pub(super) fn hex(rng: &mut Rng, out: &mut Vec<u8>, n: usize) {
    for _ in 0..n {
        out.push(b"0123456789abcdef"[rng.below(16) as usize]);
    }
}

/// Appends a string as UTF-16, little endian.
pub(super) fn utf16(out: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        out.extend_from_slice(&unit.to_le_bytes());
    }
}
