//! A report as tables.

use super::{WireReport, bypass, failures, latency, rates};
use crate::report::columns;

/// Frames a second.
pub fn rate(rate: f64) -> String {
    format!("{rate:.0}")
}

/// Nanoseconds.
pub fn cpu(ns: Option<f64>) -> String {
    ns.map_or("–".to_owned(), |ns| format!("{ns:.0}"))
}

/// Nanoseconds as microseconds.
pub fn micros(ns: u64) -> String {
    format!("{:.1}", ns as f64 / 1e3)
}

/// What came out, as text.
pub fn text(report: &WireReport) -> String {
    let mut out = format!(
        "{}, {} CPUs, Linux {}; Weir {}\nFrames between network namespaces (veth). Sizes are without Ethernet's checksum of 4 bytes: 60 is \
         the smallest frame there is. Processor time is in nanoseconds a frame that was sent; that of the machine is of all \
         programs on it, and what the kernel does for a frame is counted with whoever it interrupted.\n",
        report.processor, report.cpus, report.kernel, report.version
    );
    let mut section = |head: &str, lines: &[Vec<String>]| {
        if lines.len() > 1 {
            out += &format!("\n{head}\n{}", columns(lines));
        }
    };
    section(
        "rates: nothing is lost (left), and flat out (right); off: frames that nobody counted",
        &rates::table(&report.rates),
    );
    section(
        "latency at half of what each path sustains, from send to receive; inside: what the sensor says of itself",
        &latency::table(&report.latency),
    );
    section(
        "bypass: flows through user space, and forwarded in the kernel",
        &bypass::table(&report.bypass),
    );
    section(
        "failures under traffic; counts are of both ports",
        &failures::table(&report.failures),
    );
    for note in &report.notes {
        out += &format!("\nnot measured: {note}");
    }
    for fault in report.faults() {
        out += &format!("\nwrong: {fault}");
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}
