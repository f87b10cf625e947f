//! Drawing a window as SVG.

use std::fmt::Write;

use super::Row;

const CELL: usize = 34;
const HIGH: usize = 18;
const PITCH: usize = 30;
const TOP: usize = 44;
/// Width of a character of the font that is asked for.
const CHARACTER: usize = 7;

/// Draws rows over the cycles from `first` on.
pub fn svg(title: &str, rows: &[Row], first: u64) -> String {
    let cycles = rows.iter().map(|row| row.samples.len()).max().unwrap_or(0);
    let label = rows
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0);
    let left = (label + 2) * CHARACTER;
    let (width, height) = (left + cycles * CELL + 10, TOP + rows.len() * PITCH + 10);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"11\">\n\
         <style>\n  svg {{ background: #fff; color: #1b1f24 }}\n  @media (prefers-color-scheme: dark) {{ svg {{ background: #14171a; \
         color: #e6e8ea }} }}\n  text {{ fill: currentColor }}\n  path {{ fill: none; stroke: currentColor }}\n  .grid {{ opacity: .15 \
         }}\n  .unknown {{ stroke: #c0392b }}\n</style>\n<title>{0}</title>\n<text x=\"6\" y=\"16\" font-weight=\"bold\">{0}</text>\n",
        escaped(title)
    );
    // What is written to a string does not fail.
    let _ = writeln!(out, "<text x=\"6\" y=\"34\">cycle</text>");
    for cycle in 0..=cycles {
        let x = left + cycle * CELL;
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x} {} V{}\"/>",
            TOP - 4,
            height - 6
        );
        // Numbers have room at every second line.
        if cycle < cycles && cycle % 2 == 0 {
            let _ = writeln!(
                out,
                "<text x=\"{x}\" y=\"34\">{}</text>",
                first + cycle as u64
            );
        }
    }
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + number * PITCH;
        let name = escaped(&row.name);
        let _ = writeln!(out, "<text x=\"6\" y=\"{}\">{name}</text>", y + 14);
        if row.width == 1 {
            line(&mut out, row, left, y);
        } else {
            boxes(&mut out, row, left, y);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Equal samples that follow each other: (first, how many, value).
fn stretches(row: &Row) -> Vec<(usize, usize, &str)> {
    let mut stretches: Vec<(usize, usize, &str)> = Vec::new();
    for (at, value) in row.samples.iter().enumerate() {
        match stretches.last_mut() {
            Some((_, count, last)) if *last == value => *count += 1,
            _ => stretches.push((at, 1, value)),
        }
    }
    stretches
}

fn line(out: &mut String, row: &Row, left: usize, y: usize) {
    let mut path = String::new();
    for (at, count, value) in stretches(row) {
        let (from, to) = (left + at * CELL, left + (at + count) * CELL);
        let level = match value {
            "1" => y,
            "0" => y + HIGH,
            _ => y + HIGH / 2,
        };
        if value != "0" && value != "1" {
            let _ = writeln!(out, "<path class=\"unknown\" d=\"M{from} {level} H{to}\"/>");
        }
        let start = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{start}{from} {level} H{to} ");
    }
    let _ = writeln!(out, "<path d=\"{}\"/>", path.trim_end());
}

fn boxes(out: &mut String, row: &Row, left: usize, y: usize) {
    const SLANT: usize = 3;
    for (at, count, value) in stretches(row) {
        let (from, to) = (left + at * CELL, left + (at + count) * CELL);
        let (middle, low) = (y + HIGH / 2, y + HIGH);
        let class = if value.contains('x') {
            " class=\"unknown\""
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<path{class} d=\"M{from} {middle} L{} {y} H{} L{to} {middle} L{} {low} H{} Z\"/>",
            from + SLANT,
            to - SLANT,
            to - SLANT,
            from + SLANT
        );
        let room = (count * CELL - 2 * SLANT) / CHARACTER;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\">{}<title>{value}</title></text>",
            from + SLANT + 2,
            y + 13,
            shortened(value, room)
        );
    }
}

/// The last digits, if not all have room.
fn shortened(value: &str, room: usize) -> String {
    match value.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits if digits.len() <= room => digits.to_owned(),
        digits => {
            let from = digits.len() - room.saturating_sub(1);
            format!("…{}", digits.get(from..).unwrap_or(""))
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
