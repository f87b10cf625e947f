//! Plain tables: columns as wide as what is in them, no lines but one under the head.

use std::io::{self, Write};

use console::{measure_text_width, style};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To the left.
    Left,
    /// To the right, for numbers.
    Right,
}

/// Rows under a head. Cells may be coloured: width is what is seen.
pub struct Table<const N: usize> {
    head: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// An empty table.
    pub fn new(head: [(&'static str, Align); N]) -> Self {
        Self {
            head,
            rows: Vec::new(),
        }
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
        let names = self.head.map(|(name, _)| style(name).bold().to_string());
        self.line(out, indent, &widths, &names)?;
        let rules = widths.map(|width| style("─".repeat(width)).dim().to_string());
        self.line(out, indent, &widths, &rules)?;
        self.rows
            .iter()
            .try_for_each(|row| self.line(out, indent, &widths, row))
    }

    fn line(
        &self,
        out: &mut dyn Write,
        indent: &str,
        widths: &[usize; N],
        cells: &[String; N],
    ) -> io::Result<()> {
        out.write_all(indent.as_bytes())?;
        for (at, ((cell, width), (_, align))) in
            cells.iter().zip(widths).zip(&self.head).enumerate()
        {
            let gap = width.saturating_sub(measure_text_width(cell));
            let separator = if at == 0 { "" } else { "  " };
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
    console::truncate_str(&out, width, "…").into_owned()
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
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\n", 80), "a\\u{1b}[31mb\\n");
        assert_eq!(clean("abcdef", 4), "abc…");
    }
}
