//! Plain tables: columns as wide as what is in them, no lines but one under the head. On a terminal they keep within its
//! width.

use std::io::{self, Write};

use console::{measure_text_width, style, truncate_str};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left.
    Left,
    /// To the right, for numbers.
    Right,
}

/// Between two columns.
const GAP: &str = "  ";

/// Columns that the last column is not cut below.
const LAST: usize = 30;

/// Columns of the terminal that standard output is, if it is one.
pub fn terminal_width() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(usize::from(columns))
}

/// Rows under a head. Cells may be coloured: width is what is seen.
pub struct Table<const N: usize> {
    head: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
    room: Option<usize>,
    dispensable: &'static [usize],
}

impl<const N: usize> Table<N> {
    /// An empty table.
    pub fn new(head: [(&'static str, Align); N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
            room: None,
            dispensable: &[],
        }
    }

    /// Keeps within `room` columns, if they are limited: leaves out `dispensable` columns as far as needed, in this order,
    /// then cuts the last column.
    pub fn within(mut self, room: Option<usize>, dispensable: &'static [usize]) -> Self {
        self.room = room;
        self.dispensable = dispensable;
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Writes the table, each line behind `indent`.
    pub fn write(&self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        let mut widths = self.head.map(|(name, _)| measure_text_width(name));
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(measure_text_width(cell));
            }
        }
        let shown = self.fit(&mut widths, measure_text_width(indent));
        let names = self.head.map(|(name, _)| style(name).bold().to_string());
        self.line(out, indent, &widths, &shown, &names)?;
        let rules = widths.map(|width| style("─".repeat(width)).dim().to_string());
        self.line(out, indent, &widths, &shown, &rules)?;
        self.rows
            .iter()
            .try_for_each(|row| self.line(out, indent, &widths, &shown, row))
    }

    /// Which columns are shown; the last one's width may become less.
    fn fit(&self, widths: &mut [usize; N], indent: usize) -> [bool; N] {
        let mut shown = [true; N];
        let (Some(room), Some((last, others))) = (self.room, widths.split_last_mut()) else {
            return shown;
        };
        let left = |shown: &[bool; N]| {
            let used: usize = others
                .iter()
                .zip(shown)
                .filter(|(_, shown)| **shown)
                .map(|(width, _)| width + GAP.len())
                .sum();
            room.saturating_sub(indent + used)
        };
        for &column in self.dispensable {
            if left(&shown) >= LAST.min(*last) {
                break;
            }
            if let Some(shown) = shown.get_mut(column) {
                *shown = false;
            }
        }
        *last = (*last).min(left(&shown).max(LAST));
        shown
    }

    fn line(
        &self,
        out: &mut dyn Write,
        indent: &str,
        widths: &[usize; N],
        shown: &[bool; N],
        cells: &[String; N],
    ) -> io::Result<()> {
        out.write_all(indent.as_bytes())?;
        let columns = cells.iter().zip(widths).zip(&self.head).zip(shown);
        for (at, (((cell, width), (_, align)), shown)) in columns.enumerate() {
            if !shown {
                continue;
            }
            let cell = truncate_str(cell, *width, "…");
            let gap = width.saturating_sub(measure_text_width(&cell));
            let separator = if at == 0 { "" } else { GAP };
            match align {
                Align::Right => write!(out, "{separator}{:gap$}{cell}", "")?,
                // No blanks at the end of a line.
                Align::Left if at + 1 == N => write!(out, "{separator}{cell}")?,
                Align::Left => write!(out, "{separator}{cell}{:gap$}", "")?,
            }
        }
        writeln!(out)
    }
}

/// `text` with what a terminal would act on made visible, cut to `width` columns.
pub fn clean(text: &str, width: usize) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    truncate_str(&out, width, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new([("n", Align::Right), ("name", Align::Left)]);
        table.row(["1".to_owned(), "one".to_owned()]);
        table.row(["1,000".to_owned(), "thousand ✓".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out, "  ").expect("a Vec takes it");
        let text =
            console::strip_ansi_codes(std::str::from_utf8(&out).expect("UTF-8")).into_owned();
        assert_eq!(
            text,
            "      n  name\n  ─────  ──────────\n      1  one\n  1,000  thousand ✓\n"
        );
    }

    #[test]
    fn a_terminal_that_is_too_narrow_costs_columns_and_then_the_end_of_the_last() {
        let mut table = Table::new([
            ("n", Align::Right),
            ("who", Align::Left),
            ("why", Align::Left),
        ]);
        table.row(["1".to_owned(), "w".repeat(20), "y".repeat(40)]);
        let mut wide = |room| {
            table.room = room;
            table.dispensable = &[1];
            let mut out = Vec::new();
            table.write(&mut out, "  ").expect("a Vec takes it");
            let text = String::from_utf8(out).expect("UTF-8");
            let row = text.lines().last().expect("a row").to_owned();
            (measure_text_width(&row), row)
        };
        let all = wide(None);
        assert_eq!(all.0, 2 + 1 + 2 + 20 + 2 + 40);
        assert_eq!(wide(Some(67)), all);
        let (width, row) = wide(Some(60));
        assert!(
            width == 60 && row.contains("www") && row.ends_with("y…"),
            "{row}"
        );
        let (width, row) = wide(Some(50));
        assert!(
            width == 45 && !row.contains("www") && row.ends_with("yy"),
            "{row}"
        );
        assert_eq!(wide(Some(10)).0, 2 + 1 + 2 + LAST, "no less than this");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n", 80), "a\\u{1b}[31mb\\n");
        assert_eq!(clean("abcdef", 4), "abc…");
    }
}
