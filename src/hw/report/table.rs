//! Rows for a reader: every figure with where it is from.

use std::fmt::Write as _;

use card_protocol::record::HEADER;
use serde::Serialize;

use super::committed::Throughput;
use super::{Area, Report};
use crate::ui::table::{Align, Table};

/// Of the exact table's slots, the percentage that is counted on: four-way cuckoo tables fill further, but take longer for it.
const FILL: usize = 92;
/// What the shells of PCIe cards clock a core with; assumed where no place and route is to be had.
const CARD_MHZ: f64 = 250.0;
/// The target that is placed and routed here; nothing is assumed of its clock.
const PLACEABLE: &str = "ecp5-85f";

/// A figure and where it is from: `measured`, `placed`, `synthesised`, `scaled`, `assumed`, `published`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// In the unit that the column says.
    pub value: f64,
    /// Where it is from.
    pub basis: String,
}

impl Figure {
    fn new(value: f64, basis: &str) -> Self {
        Self {
            value,
            basis: basis.into(),
        }
    }
}

/// One design.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it is, and the device.
    pub design: String,
    /// Bytes of a beat.
    pub width: Option<usize>,
    /// `compact`, `full`, or nothing.
    pub size: String,
    /// Probes, or for others rules, that it holds.
    pub probes: Option<Figure>,
    /// Look-up tables.
    pub lut: Option<Figure>,
    /// Flip-flops.
    pub ff: Option<Figure>,
    /// Memory blocks.
    pub ram: Option<(String, String)>,
    /// Share of the device's scarcest resource, in percent.
    pub device_percent: Option<f64>,
    /// Clock in MHz.
    pub mhz: Option<Figure>,
    /// Payload bytes per clock cycle.
    pub bytes_per_cycle: Option<Figure>,
    /// Their product.
    pub gbit_per_second: Option<Figure>,
    /// What else is to be said.
    pub note: String,
}

impl Row {
    /// The row of a report. `current` says whether it is of today's source.
    pub fn new(
        report: &Report,
        current: Option<bool>,
        throughput: &Throughput,
        buffer: u32,
    ) -> Self {
        let area = &report.area;
        let placeable = report.target == PLACEABLE;
        let mhz = report
            .timing
            .as_ref()
            .and_then(|timing| timing.best())
            .map(|run| Figure::new(run.mhz, "placed"))
            .or_else(|| (!placeable).then(|| Figure::new(CARD_MHZ, "assumed")));
        let core = report.core.as_ref();
        let bytes = core.map(|core| {
            let measured = throughput.bytes_per_cycle.get(&core.lanes);
            measured.map_or_else(
                || Figure::new(bytes_per_cycle(core.lanes, buffer as usize), "assumed"),
                |bytes| Figure::new(*bytes, "measured"),
            )
        });
        let mut notes = Vec::new();
        match current {
            Some(false) => notes.push("of another source revision".to_owned()),
            None => notes.push("source not compared".to_owned()),
            Some(true) => {}
        }
        if report.timing.is_none() {
            let why = if placeable {
                "not placed and routed"
            } else {
                "no place and route for this part"
            };
            notes.push(format!("Fmax not measured: {why}"));
        }
        Self {
            design: format!("Weir, {}", report.part),
            width: core.map(|core| core.lanes),
            size: core.map(|core| core.size.clone()).unwrap_or_default(),
            probes: core.map(|core| Figure::new((core.slots * FILL / 100) as f64, "scaled")),
            lut: Some(Figure::new(area.lut as f64, &area.basis)),
            ff: Some(Figure::new(area.ff as f64, &area.basis)),
            ram: Some((ram(area), area.basis.clone())),
            device_percent: share(report),
            gbit_per_second: bytes
                .as_ref()
                .zip(mhz.as_ref())
                .map(|(bytes, mhz)| product(bytes, mhz)),
            mhz,
            bytes_per_cycle: bytes,
            note: notes.join("; "),
        }
    }

    /// Pigasus, by Zhao and others, OSDI 2020: 100 Gbit/s of traffic, a string matcher that takes 32 bytes a cycle at 400 MHz.
    pub fn pigasus() -> Self {
        let published = |value| Some(Figure::new(value, "published"));
        Self {
            design: "Pigasus, Stratix 10 MX".into(),
            width: Some(32),
            size: String::new(),
            probes: published(7_236.0),
            lut: None,
            ff: None,
            ram: None,
            device_percent: None,
            mhz: published(400.0),
            bytes_per_cycle: published(32.0),
            gbit_per_second: published(102.4),
            note: "rules, not probes; tables fixed in the bitstream, no exact check".into(),
        }
    }

    fn cells(&self) -> [String; 11] {
        let figure = |figure: &Option<Figure>, digits: usize| {
            figure.as_ref().map_or_else(
                || "-".into(),
                |figure| format!("{} {}", number(figure.value, digits), mark(&figure.basis)),
            )
        };
        [
            self.design.clone(),
            self.width
                .map_or_else(|| "-".into(), |width| width.to_string()),
            self.size.clone(),
            figure(&self.probes, 0),
            figure(&self.lut, 0),
            figure(&self.ff, 0),
            self.ram.as_ref().map_or_else(
                || "-".into(),
                |(ram, basis)| format!("{ram} {}", mark(basis)),
            ),
            figure(&self.mhz, 1),
            figure(&self.bytes_per_cycle, 2),
            figure(&self.gbit_per_second, 2),
            self.note.clone(),
        ]
    }
}

/// Payload bytes per cycle of buffers of so many bytes, a beat a cycle and nothing lost: the header's and the last beat's share off.
fn bytes_per_cycle(lanes: usize, buffer: usize) -> f64 {
    buffer as f64 / (HEADER + buffer).div_ceil(lanes) as f64
}

/// A rate is measured when all of it is.
fn product(bytes: &Figure, mhz: &Figure) -> Figure {
    let basis = if bytes.basis == "assumed" || mhz.basis == "assumed" {
        "assumed"
    } else {
        &mhz.basis
    };
    Figure::new(bytes.value * mhz.value * 8.0 / 1000.0, basis)
}

fn ram(area: &Area) -> String {
    let blocks = area
        .ram
        .iter()
        .map(|(name, count)| format!("{count} {name}"));
    blocks.collect::<Vec<_>>().join(" + ")
}

/// The share, in percent, of what is scarcest in the device.
fn share(report: &Report) -> Option<f64> {
    let area = &report.area;
    let used = [("lut", area.lut as f64), ("ff", area.ff as f64)];
    let ram = area.ram.iter().map(|(name, count)| (name.as_str(), *count));
    used.into_iter()
        .chain(ram)
        .filter_map(|(name, count)| Some(100.0 * count / *report.device.get(name)? as f64))
        .max_by(f64::total_cmp)
}

/// A letter for where a figure is from.
fn mark(basis: &str) -> &str {
    match basis {
        "measured" => "m",
        "placed" => "p",
        "synthesised" => "s",
        "scaled" => "x",
        "assumed" => "a",
        "published" => "q",
        other => other,
    }
}

const MARKS: &str = "m measured in cycle-exact simulation, p placed and routed, s synthesised, x scaled (probes: 92 % of the slots), a assumed, \
                     q published";
const HEAD: [(&str, Align); 11] = [
    ("design", Align::Left),
    ("B/beat", Align::Right),
    ("size", Align::Left),
    ("probes", Align::Right),
    ("LUT", Align::Right),
    ("FF", Align::Right),
    ("memory blocks", Align::Right),
    ("MHz", Align::Right),
    ("B/cycle", Align::Right),
    ("Gbit/s", Align::Right),
    ("note", Align::Left),
];

fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// For a terminal.
pub fn plain(rows: &[Row], throughput: &Throughput) -> std::io::Result<String> {
    let mut table = Table::new(HEAD);
    for row in rows {
        table.row(row.cells());
    }
    let mut text = Vec::new();
    table.write(&mut text, "")?;
    let legend = legend(throughput);
    Ok(format!("{}\n{legend}", String::from_utf8_lossy(&text)))
}

/// For a page.
pub fn markdown(rows: &[Row], throughput: &Throughput) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(HEAD.iter().map(|(name, _)| *name).collect());
    text += &line(
        HEAD.iter()
            .map(|(_, align)| {
                if *align == Align::Right {
                    "---:"
                } else {
                    "---"
                }
            })
            .collect(),
    );
    for row in rows {
        let cells = row.cells();
        text += &line(cells.iter().map(String::as_str).collect());
    }
    text + "\n" + &legend(throughput)
}

/// What the letters mean, and what was measured on.
fn legend(throughput: &Throughput) -> String {
    if throughput.bytes_per_cycle.is_empty() {
        format!("{MARKS}\n")
    } else {
        format!(
            "{MARKS}\nbytes per cycle measured on {}\n",
            throughput.trace
        )
    }
}

/// One report, in full.
pub fn text_of(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "{} on {}", report.top, report.part)?;
    if let Some(core) = &report.core {
        writeln!(
            out,
            "core: {} lanes, {}; filters of 2^{:?} words, {} slots, {} exact engines",
            core.lanes, core.size, core.filters, core.slots, core.engines
        )?;
    }
    writeln!(out, "core's Verilog: sha256 {}", report.verilog)?;
    if let Some(revision) = &report.revision {
        writeln!(out, "source: {revision}")?;
    }
    for (tool, version) in &report.tools {
        writeln!(out, "{tool}: {version}")?;
    }
    let share = share(report).map_or_else(String::new, |share| {
        format!(", {share:.0} % of what is scarcest")
    });
    writeln!(
        out,
        "area ({}): {} LUT, {} FF, {}{share}",
        report.area.basis,
        report.area.lut,
        report.area.ff,
        ram(&report.area)
    )?;
    for (block, area) in &report.blocks {
        writeln!(
            out,
            "  {block}: {} LUT, {} FF, {}",
            area.lut,
            area.ff,
            ram(area)
        )?;
    }
    match &report.timing {
        None => writeln!(
            out,
            "frequency: not measured; no place and route for this part, or none asked for"
        )?,
        Some(timing) => {
            let runs: Vec<String> = timing
                .runs
                .iter()
                .map(|run| format!("{:.1}", run.mhz))
                .collect();
            writeln!(
                out,
                "frequency: {} MHz by seed, asked for {}",
                runs.join(", "),
                timing.goal
            )?;
            let path = &timing.critical;
            writeln!(
                out,
                "longest path: {} to {}, {} levels, {:.2} ns in cells and {:.2} ns between",
                path.from, path.to, path.levels, path.logic, path.routing
            )?;
            for net in &path.nets {
                writeln!(out, "  {net}")?;
            }
        }
    }
    if let Some(bitstream) = &report.bitstream {
        writeln!(
            out,
            "bitstream: {} bytes, seed {}, sha256 {}; never loaded into a device",
            bitstream.bytes, bitstream.seed, bitstream.sha256
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::report::{Core, Path, Run, Timing};

    fn report() -> Report {
        Report {
            target: "ecp5-85f".into(),
            part: "P".into(),
            core: Some(Core {
                lanes: 8,
                size: "compact".into(),
                filters: [1; 5],
                slots: 1000,
                engines: 1,
                revision: 0,
                clock_khz: 0,
            }),
            top: "t".into(),
            verilog: "0".into(),
            revision: None,
            date: None,
            tools: Default::default(),
            area: Area {
                lut: 12_345,
                ff: 50,
                ram: [("DP16KD".to_owned(), 104.0)].into(),
                basis: "placed".into(),
            },
            device: [("lut".to_owned(), 100_000), ("DP16KD".to_owned(), 208)].into(),
            blocks: Default::default(),
            timing: Some(Timing {
                goal: 150.0,
                runs: vec![
                    Run {
                        seed: 1,
                        mhz: 140.0,
                    },
                    Run {
                        seed: 2,
                        mhz: 160.0,
                    },
                ],
                critical: Path::default(),
            }),
            bitstream: None,
        }
    }

    #[test]
    fn every_figure_says_where_it_is_from() {
        let measured = Throughput {
            trace: "t".into(),
            bytes_per_cycle: [(8, 7.0)].into(),
        };
        let row = Row::new(&report(), Some(false), &measured, 100);
        assert_eq!(row.gbit_per_second, Some(Figure::new(8.96, "placed")));
        assert_eq!(row.device_percent, Some(50.0));
        assert!(row.note.contains("another source"), "{}", row.note);
        let row = Row::new(&report(), Some(true), &Throughput::default(), 100);
        // 132 bytes are 17 beats.
        assert_eq!(
            row.bytes_per_cycle,
            Some(Figure::new(100.0 / 17.0, "assumed"))
        );
        assert_eq!(
            row.gbit_per_second.map(|figure| figure.basis),
            Some("assumed".into())
        );
        assert_eq!(row.note, "");
        let unplaced = Report {
            target: "xcup".into(),
            timing: None,
            ..report()
        };
        let row = Row::new(&unplaced, Some(true), &measured, 100);
        assert_eq!(row.mhz, Some(Figure::new(250.0, "assumed")));
        assert_eq!(row.gbit_per_second, Some(Figure::new(14.0, "assumed")));
        assert!(row.note.contains("not measured"));
        let placeable = Report {
            timing: None,
            target: PLACEABLE.into(),
            ..report()
        };
        let row = Row::new(&placeable, Some(true), &measured, 100);
        assert_eq!((row.mhz, row.gbit_per_second), (None, None));
    }

    #[test]
    fn tables_have_a_cell_a_column() {
        let rows = [
            Row::new(&report(), Some(true), &Throughput::default(), 100),
            Row::pigasus(),
        ];
        let page = markdown(&rows, &Throughput::default());
        for line in page.lines().take(4) {
            assert_eq!(line.matches('|').count(), HEAD.len() + 1, "{line}");
        }
        assert!(page.contains("12,345 p"), "{page}");
        assert!(
            plain(&rows, &Throughput::default())
                .expect("a table")
                .contains("104 DP16KD p")
        );
    }
}
