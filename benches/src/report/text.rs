//! A scenario as a table.

use crate::scenario::{Measured, Row};

/// Whom the others are compared with: the first of these that took part.
const RIVALS: [&str; 3] = ["hyperscan", "vectorscan", "plain"];

const HEAD: [&str; 10] = [
    "contender",
    "Gbit/s",
    "low",
    "high",
    "times",
    "ns/buffer",
    "p50 ns",
    "p99 ns",
    "p99.9 ns",
    "load ms",
];

/// The scenario's name, what it is, and a row a contender.
pub fn table(measured: &Measured) -> String {
    let rival = RIVALS
        .iter()
        .find_map(|&name| measured.rows.iter().find(|row| row.contender == name));
    let mut lines = vec![
        HEAD.map(str::to_owned)
            .into_iter()
            .chain(["tables".to_owned()])
            .collect::<Vec<_>>(),
    ];
    lines.extend(measured.rows.iter().map(|row| cells(row, rival)));
    let mut out = format!(
        "{}: {} probes ({}), {} buffers ({}), {:.1} MB, {} hits\n",
        measured.name,
        measured.probes,
        measured.set,
        measured.buffer_count,
        measured.buffers,
        measured.bytes as f64 / 1e6,
        measured.hits
    );
    out += &columns(&lines);
    for why in &measured.left_out {
        out += &format!("  {why}\n");
    }
    if let Some(rival) = rival {
        out += &format!("  times: as fast as {}\n", rival.contender);
    }
    out
}

/// Lines of cells, one below the other: the first column to the left, the others to the right.
pub(crate) fn columns(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let lengths = lines.iter().filter_map(|line| line.get(column));
        lengths.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            out += &if column == 0 {
                format!("  {cell:width$}")
            } else {
                format!("  {cell:>width$}")
            };
        }
        out.push('\n');
    }
    out
}

fn cells(row: &Row, rival: Option<&Row>) -> Vec<String> {
    let times = rival.map_or("–".to_owned(), |rival| {
        format!("{:.2}", row.gbit / rival.gbit)
    });
    let table = match row.table_bytes {
        Some(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
        None => "–".to_owned(),
    };
    let latency = row.latency_ns;
    vec![
        row.contender.clone(),
        format!("{:.2}", row.gbit),
        format!("{:.2}", row.gbit_low),
        format!("{:.2}", row.gbit_high),
        times,
        format!("{:.0}", row.ns_per_buffer),
        latency.p50.to_string(),
        latency.p99.to_string(),
        latency.p999.to_string(),
        format!("{:.1}", row.load_ms),
        table,
    ]
}
