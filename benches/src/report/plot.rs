//! Two plots as SVG: one block a scenario, one line a contender.

use std::fmt::Write;

use crate::scenario::{Measured, Row};

/// Pixels.
const WIDTH: f64 = 900.0;
/// Where names end and lines begin.
const LEFT: f64 = 180.0;
/// Room for figures behind the longest line.
const RIGHT: f64 = 90.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 30.0;

/// Gbit/s of one core as bars, the slowest to the fastest round as a line.
pub(super) fn throughput(scenarios: &[Measured]) -> String {
    let rows = || scenarios.iter().flat_map(|measured| &measured.rows);
    let most = rows().map(|row| row.gbit_high).fold(1e-9, f64::max);
    let at = |gbit: f64| LEFT + gbit / most * (WIDTH - LEFT - RIGHT);
    plot(
        "Gbit/s of one core (median; line: slowest to fastest round)",
        scenarios,
        |out, row, top| {
            let middle = top + ROW / 2.0;
            let (low, high) = (at(row.gbit_low), at(row.gbit_high));
            let width = at(row.gbit) - LEFT;
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                r##"<rect x="{LEFT}" y="{:.1}" width="{width:.1}" height="{:.1}" fill="{}"/><path d="M{low:.1} {middle:.1}H{high:.1}" stroke="#222"/><text x="{:.1}" y="{:.1}">{:.2}</text>"##,
                top + 2.0,
                ROW - 4.0,
                colour(&row.contender),
                high.max(at(row.gbit)) + 5.0,
                middle + 4.0,
                row.gbit
            );
        },
    )
}

/// Nanoseconds a buffer: median, 99 % and 99.9 % on a logarithmic scale.
pub(super) fn latency(scenarios: &[Measured]) -> String {
    let rows = || scenarios.iter().flat_map(|measured| &measured.rows);
    let decades = |nanos: u64| (nanos.max(1) as f64).log10();
    let most = rows()
        .map(|row| decades(row.latency_ns.p999))
        .fold(1.0, f64::max);
    let least = rows()
        .map(|row| decades(row.latency_ns.p50))
        .fold(most, f64::min)
        .floor();
    let room = WIDTH - LEFT - RIGHT;
    let at = |nanos: u64| LEFT + (decades(nanos) - least) / (most - least).max(1e-9) * room;
    plot(
        "nanoseconds a buffer: p50, p99, p99.9 (logarithmic)",
        scenarios,
        |out, row, top| {
            let middle = top + ROW / 2.0;
            let latency = row.latency_ns;
            let [p50, p99, p999] = [latency.p50, latency.p99, latency.p999].map(at);
            let colour = colour(&row.contender);
            let _ = write!(
                out,
                r#"<path d="M{p50:.1} {middle:.1}H{p999:.1}" stroke="{colour}" stroke-width="2"/>"#
            );
            for (x, radius) in [(p50, 5.0), (p99, 4.0), (p999, 3.0)] {
                let _ = write!(
                    out,
                    r#"<circle cx="{x:.1}" cy="{middle:.1}" r="{radius}" fill="{colour}"/>"#
                );
            }
            let _ = write!(
                out,
                r#"<text x="{:.1}" y="{:.1}">{} – {}</text>"#,
                p999 + 7.0,
                middle + 4.0,
                latency.p50,
                latency.p999
            );
        },
    )
}

fn plot(
    title: &str,
    scenarios: &[Measured],
    mut line: impl FnMut(&mut String, &Row, f64),
) -> String {
    let lines: usize = scenarios.iter().map(|measured| measured.rows.len()).sum();
    let height = HEAD * (scenarios.len() + 1) as f64 + ROW * lines as f64 + 10.0;
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{height}" fill="#fff"/><text x="10" y="20" font-size="14" font-weight="bold">{}</text>"##,
        escape(title)
    );
    let mut top = HEAD;
    for measured in scenarios {
        let _ = write!(
            out,
            r#"<text x="10" y="{:.1}" font-weight="bold">{}: {} probes, {}</text>"#,
            top + HEAD - 9.0,
            escape(&measured.name),
            measured.probes,
            escape(&measured.buffers)
        );
        top += HEAD;
        for row in &measured.rows {
            let _ = write!(
                out,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 8.0,
                top + ROW / 2.0 + 4.0,
                escape(&row.contender)
            );
            line(&mut out, row, top);
            top += ROW;
        }
    }
    out + "</svg>\n"
}

/// Ours in one hue, others in others.
fn colour(contender: &str) -> &'static str {
    match contender.split('/').next() {
        Some("software") => "#1b7f79",
        Some("plain") => "#8fc1bd",
        Some("hyperscan" | "vectorscan") => "#c0562f",
        Some("aho-corasick") => "#d9a441",
        _ => "#7a6fa8",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
