//! Numbers as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `count(number)` and the noun, with an `s` unless there is just one.
pub fn counted(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// Bytes with a binary unit: `1.5 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{number} bytes")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// How many a second, rounded: `1,250,000`.
pub fn rate(number: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds <= 0.0 {
        return "–".to_owned();
    }
    // The conversion saturates.
    count((number as f64 / seconds).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [counted(1, "rule"), counted(2, "rule")],
            ["1 rule", "2 rules"]
        );
        assert_eq!(
            [0, 1023, 1536, u64::MAX].map(bytes),
            ["0 bytes", "1023 bytes", "1.5 KiB", "16777216.0 TiB"]
        );
        assert_eq!(rate(1_000_000, Duration::from_millis(500)), "2,000,000");
        assert_eq!(rate(5, Duration::from_secs(2)), "3");
        assert_eq!(rate(5, Duration::ZERO), "–");
    }
}
