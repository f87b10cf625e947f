//! Drawing a window as SVG.

use std::fmt::Write;

use super::Row;

/// Width of a cycle.
const CELL: usize = 36;
const HIGH: usize = 18;
const PITCH: usize = 30;
const TOP: usize = 44;
const LEFT: usize = 8;
/// Width of a character of the font that is asked for.
const CHARACTER: usize = 7;
/// Height of a line of text.
const LINE: usize = 15;
/// By how much the edges of a bus lean.
const SLANT: usize = 3;
/// Values written out below the drawing; those beyond them are told by their tooltips.
const MOST_WRITTEN: usize = 64;

const STYLE: &str = "  svg { background: #fff; color: #1b1f24 }
  @media (prefers-color-scheme: dark) { svg { background: #14171a; color: #e6e8ea } }
  text { fill: currentColor; stroke: none }
  path { fill: none; stroke: currentColor }
  .grid { opacity: .15 }
  .high { fill: currentColor; opacity: .12; stroke: none }
  .idle { opacity: .35 }
  .stall { fill: #e67e22; opacity: .4; stroke: none }
  .unknown { stroke: #c0392b }
";

/// Draws rows over the cycles from `first` on. Where a row ends in `valid`, those that begin like it are its stream: they are pale while it is low,
/// and where the row `ready` is low besides, the cycle is marked as a stall. Values that have no room are written out below.
pub fn svg(title: &str, rows: &[Row], first: u64) -> String {
    let drawing = Drawing::new(rows, first);
    let mut body = String::new();
    drawing.axis(&mut body);
    for number in 0..rows.len() {
        drawing.row(&mut body, number);
    }
    let (across, height) = drawing.notes(&mut body);
    let width = drawing.width().max(across);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"11\">\n<style>\n{STYLE}</style>\n<title>{0}</title>\n\
         <text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{0}</text>\n{body}</svg>\n",
        escaped(title)
    )
}

/// A row's stream: its rows `valid` and `ready`, if they are drawn.
#[derive(Clone, Copy, Default)]
struct Stream {
    valid: Option<usize>,
    ready: Option<usize>,
}

struct Drawing<'a> {
    rows: &'a [Row],
    first: u64,
    cycles: usize,
    /// Names without the scopes that all have.
    names: Vec<&'a str>,
    streams: Vec<Stream>,
    /// Where cycles begin.
    left: usize,
}

/// Samples of a row that are the same and follow each other.
struct Stretch<'a> {
    at: usize,
    count: usize,
    value: &'a str,
    /// The stream's `valid` is low.
    idle: bool,
}

impl<'a> Drawing<'a> {
    fn new(rows: &'a [Row], first: u64) -> Self {
        let common = rows.first().map_or(0, |row| {
            let scopes = row.name.rmatch_indices('.').map(|(at, _)| at + 1);
            let shared = |&at: &usize| rows.iter().all(|other| starts(&other.name, &row.name, at));
            scopes.into_iter().find(shared).unwrap_or(0)
        });
        let names: Vec<&str> = rows
            .iter()
            .map(|row| row.name.get(common..).unwrap_or(&row.name))
            .collect();
        let label = names.iter().map(|name| name.chars().count()).max();
        Self {
            rows,
            first,
            cycles: rows.iter().map(|row| row.samples.len()).max().unwrap_or(0),
            streams: names.iter().map(|name| stream(&names, name)).collect(),
            names,
            left: LEFT + (label.unwrap_or(0) + 2) * CHARACTER,
        }
    }

    fn width(&self) -> usize {
        self.left + self.cycles * CELL + LEFT
    }

    fn x(&self, cycle: usize) -> usize {
        self.left + cycle * CELL
    }

    fn bottom(&self) -> usize {
        TOP + self.rows.len() * PITCH
    }

    fn is(&self, row: Option<usize>, cycle: usize, level: &str) -> bool {
        let row = row.and_then(|row| self.rows.get(row));
        row.and_then(|row| row.samples.get(cycle))
            .is_some_and(|sample| sample == level)
    }

    fn stalls(&self, stream: Stream, cycle: usize) -> bool {
        self.is(stream.valid, cycle, "1") && self.is(stream.ready, cycle, "0")
    }

    /// Cycles, and their numbers.
    fn axis(&self, out: &mut String) {
        // What is written to a string does not fail.
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"34\">cycle</text>");
        for cycle in 0..=self.cycles {
            let (x, from, to) = (self.x(cycle), TOP - 4, self.bottom() - 6);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{x} {from} V{to}\"/>");
            // Numbers have room at every second line.
            if cycle < self.cycles && cycle % 2 == 0 {
                let number = self.first + cycle as u64;
                let _ = writeln!(out, "<text x=\"{x}\" y=\"34\">{number}</text>");
            }
        }
    }

    fn row(&self, out: &mut String, number: usize) {
        let (Some(row), Some(name)) = (self.rows.get(number), self.names.get(number)) else {
            return;
        };
        let y = TOP + number * PITCH;
        let stream = self.streams.get(number).copied().unwrap_or_default();
        for cycle in (0..self.cycles).filter(|&cycle| self.stalls(stream, cycle)) {
            let _ = writeln!(
                out,
                "<rect class=\"stall\" x=\"{}\" y=\"{}\" width=\"{CELL}\" height=\"{}\"/>",
                self.x(cycle),
                y - 4,
                HIGH + 8
            );
        }
        let name = escaped(name);
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{name}</text>", y + 14);
        let stretches = self.stretches(row, stream);
        if row.width == 1 {
            self.line(out, &stretches, y);
        } else {
            self.boxes(out, &stretches, y);
        }
    }

    fn stretches(&self, row: &'a Row, stream: Stream) -> Vec<Stretch<'a>> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for (at, value) in row.samples.iter().enumerate() {
            let idle = row.width > 1 && self.is(stream.valid, at, "0");
            match stretches.last_mut() {
                Some(last) if last.value == value && last.idle == idle => last.count += 1,
                _ => stretches.push(Stretch {
                    at,
                    count: 1,
                    value,
                    idle,
                }),
            }
        }
        stretches
    }

    fn line(&self, out: &mut String, stretches: &[Stretch], y: usize) {
        let mut path = String::new();
        for stretch in stretches {
            let (from, to) = (self.x(stretch.at), self.x(stretch.at + stretch.count));
            let level = match stretch.value {
                "1" => y,
                "0" => y + HIGH,
                _ => y + HIGH / 2,
            };
            if level == y {
                let width = to - from;
                let _ = writeln!(
                    out,
                    "<rect class=\"high\" x=\"{from}\" y=\"{y}\" width=\"{width}\" height=\"{HIGH}\"/>"
                );
            } else if level != y + HIGH {
                let _ = writeln!(out, "<path class=\"unknown\" d=\"M{from} {level} H{to}\"/>");
            }
            let start = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{start}{from} {level} H{to} ");
        }
        let _ = writeln!(out, "<path d=\"{}\"/>", path.trim_end());
    }

    fn boxes(&self, out: &mut String, stretches: &[Stretch], y: usize) {
        for stretch in stretches {
            let value = stretch.value;
            let (from, to) = (self.x(stretch.at), self.x(stretch.at + stretch.count));
            let (middle, low) = (y + HIGH / 2, y + HIGH);
            let class = match (stretch.idle, value.contains('x')) {
                (true, _) => " class=\"idle\"",
                (false, true) => " class=\"unknown\"",
                (false, false) => "",
            };
            let _ = writeln!(
                out,
                "<g{class}><path d=\"M{from} {middle} L{} {y} H{} L{to} {middle} L{} {low} H{} Z\"/>\
                 <text x=\"{}\" y=\"{}\">{}<title>{value}</title></text></g>",
                from + SLANT,
                to - SLANT,
                to - SLANT,
                from + SLANT,
                from + SLANT + 2,
                y + 13,
                shortened(value, room(stretch))
            );
        }
    }

    /// What colours mean, and values that had no room. Returns how far this reaches, across and down.
    fn notes(&self, out: &mut String) -> (usize, usize) {
        let mut across = 0;
        let mut y = self.bottom() + LINE;
        let any = |cycle| self.streams.iter().any(|&of| self.stalls(of, cycle));
        if (0..self.cycles).any(any) {
            let _ = writeln!(
                out,
                "<rect class=\"stall\" x=\"{LEFT}\" y=\"{}\" width=\"12\" height=\"12\"/>\
                 <text x=\"{}\" y=\"{y}\">stall: valid without ready</text>",
                y - 10,
                LEFT + 20
            );
            y += LINE;
        }
        let mut written = 0;
        for ((row, name), &stream) in self.rows.iter().zip(&self.names).zip(&self.streams) {
            if row.width == 1 {
                continue;
            }
            for stretch in self.stretches(row, stream) {
                let digits = digits(stretch.value);
                if stretch.idle || digits.len() <= room(&stretch) || written == MOST_WRITTEN {
                    continue;
                }
                written += 1;
                across = across.max(self.left + 2 * CELL + (digits.len() + 1) * CHARACTER);
                let cycle = self.first + stretch.at as u64;
                let _ = writeln!(
                    out,
                    "<text x=\"{LEFT}\" y=\"{y}\">{}<tspan x=\"{}\">{cycle}</tspan><tspan x=\"{}\">{digits}</tspan></text>",
                    escaped(name),
                    self.left,
                    self.left + 2 * CELL
                );
                y += LINE;
            }
        }
        (across, y)
    }
}

/// True when both names are the same up to `at`.
fn starts(name: &str, other: &str, at: usize) -> bool {
    name.get(..at)
        .is_some_and(|head| other.get(..at) == Some(head))
}

/// The stream that a name belongs to, by how its last part begins.
fn stream(names: &[&str], name: &str) -> Stream {
    let place = |wanted: &str| names.iter().position(|&other| other == wanted);
    for (valid, of) in names.iter().enumerate() {
        let Some(stem) = of.strip_suffix("valid") else {
            continue;
        };
        if !stem.is_empty() && name.starts_with(stem) {
            return Stream {
                valid: Some(valid),
                ready: place(&format!("{stem}ready")),
            };
        }
    }
    Stream::default()
}

/// A value without zeros in front.
fn digits(value: &str) -> &str {
    match value.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    }
}

/// Characters that a stretch has room for.
fn room(stretch: &Stretch) -> usize {
    (stretch.count * CELL - 2 * SLANT) / CHARACTER
}

/// The last digits, if not all have room.
fn shortened(value: &str, room: usize) -> String {
    let digits = digits(value);
    if digits.len() <= room {
        return digits.to_owned();
    }
    let from = digits.len() - room.saturating_sub(1);
    format!("…{}", digits.get(from..).unwrap_or(""))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
