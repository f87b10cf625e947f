//! Synthesis by yosys, and what it says of the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::target::{Cell, Target};
use crate::hw::report::Area;

/// The script that synthesises `files` with the top module `top` and its `parameters`, keeping `kept` modules as they are.
pub fn script(
    target: Target,
    files: &[&str],
    top: &str,
    parameters: &[(&str, u32)],
    kept: &[String],
) -> String {
    let mut text = format!("read_verilog {}\n", files.join(" "));
    for (name, value) in parameters {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "chparam -set {name} {value} {top}");
    }
    // Reads the device's cells, too, of which the board uses one.
    text += &match target {
        Target::Ecp5 => format!("synth_ecp5 -top {top} -run begin:coarse\n"),
        Target::Xcup | Target::Xc7 => format!("hierarchy -check -top {top}\n"),
    };
    // What is driven twice or not at all, loops of logic, latches: before anything is optimised away.
    text += "proc\ncheck -assert\nselect -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr\n";
    for module in kept {
        let _ = writeln!(text, "setattr -mod -set keep_hierarchy 1 {module}");
    }
    text += &match target {
        Target::Ecp5 => format!("synth_ecp5 -top {top} -json netlist.json -run coarse:\n"),
        Target::Xcup | Target::Xc7 => format!(
            "synth_xilinx -family {} -top {top} -flatten -noiopad -noclkbuf\n",
            target.name()
        ),
    };
    text += "check -assert\nselect -assert-none t:$_DLATCH_* t:LDCE t:LDPE\ntee -q -o area.json stat -json -hierarchy\n";
    text
}

/// Blocks that are kept apart where there is no place and route: each kind is then synthesised once, however many there are.
const BLOCKS: [&str; 10] = [
    "engines",
    "exact",
    "front",
    "gearbox",
    "joint",
    "joints",
    "merge",
    "registers",
    "slices",
    "writer",
];

/// The modules of `verilog` that are such blocks: `PREFIX_BLOCK` or `PREFIX_BLOCK_NUMBER`.
pub fn blocks_of(verilog: &str, prefix: &str) -> Vec<String> {
    let modules = verilog
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("module "))
        .filter_map(|rest| rest.split(['(', ' ', '#']).next());
    let is_block = |module: &&str| {
        let name = module
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('_'))
            .unwrap_or_default();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        BLOCKS.contains(&stem)
    };
    modules.filter(is_block).map(str::to_owned).collect()
}

/// What `stat -json -hierarchy` says of the whole design, and of each module with all that is in it, times how often it is there.
pub fn area(
    target: Target,
    stat: &Value,
    top: &str,
) -> Result<(Area, BTreeMap<String, Area>), String> {
    let design = cells(&stat["design"]);
    if design.is_empty() {
        return Err("area.json: `design` has no cells".into());
    }
    let mut whole = counted(
        target,
        design.iter().map(|(kind, count)| (kind.as_str(), *count)),
    );
    whole.basis = "synthesised".into();
    let mut blocks = BTreeMap::new();
    let modules = stat["modules"].as_object().into_iter().flatten();
    for (name, module) in modules {
        let name = name.trim_start_matches('\\');
        if name != top && !name.starts_with('$') {
            let cells = cells(module);
            let area = counted(
                target,
                cells.iter().map(|(kind, count)| (kind.as_str(), *count)),
            );
            if area.lut + area.ff > 0 {
                blocks.insert(name.to_owned(), area);
            }
        }
    }
    Ok((whole, blocks))
}

/// What is in each block of a flat netlist, by the first parts of the cells' names.
pub fn blocks(target: Target, netlist: &Value, top: &str) -> BTreeMap<String, Area> {
    let mut kinds: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
    let cells = netlist["modules"][top]["cells"].as_object();
    for (name, cell) in cells.into_iter().flatten() {
        let kind = cell["type"].as_str().unwrap_or_default();
        if target.cell(kind) != Cell::Other {
            *kinds
                .entry(block(name))
                .or_default()
                .entry(kind)
                .or_default() += 1;
        }
    }
    kinds
        .into_iter()
        .map(|(block, cells)| (block, counted(target, cells)))
        .collect()
}

/// The block that a cell of a flat netlist belongs to: at most the first three names of its path, numbers of arrays left out.
fn block(cell: &str) -> String {
    let mut parts: Vec<&str> = cell.split('.').collect();
    parts.pop();
    parts.truncate(3);
    if parts.is_empty() {
        return "top".into();
    }
    let plain = parts.iter().map(|part| {
        let stem = part.split('$').next().unwrap_or(part);
        stem.trim_end_matches(|c: char| c.is_ascii_digit())
    });
    plain.collect::<Vec<_>>().join(".")
}

/// Cells by type; the counts are objects of strings, strings, or numbers, by version.
fn cells(module: &Value) -> Vec<(String, u64)> {
    let by_type = module["num_cells_by_type"].as_object();
    by_type
        .into_iter()
        .flatten()
        .filter_map(|(kind, count)| {
            let count = count.get("count").unwrap_or(count);
            let count = count
                .as_u64()
                .or_else(|| count.as_str().and_then(|text| text.parse().ok()))?;
            Some((kind.clone(), count))
        })
        .collect()
}

fn counted<'a>(target: Target, cells: impl IntoIterator<Item = (&'a str, u64)>) -> Area {
    let mut area = Area::default();
    for (kind, count) in cells {
        match target.cell(kind) {
            Cell::Lut(each) => area.lut += each * count,
            Cell::Ff => area.ff += count,
            Cell::Ram(name, halves) => {
                *area.ram.entry(name.into()).or_default() += (halves * count) as f64 / 2.0;
            }
            Cell::Other => {}
        }
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_counted_as_what_they_are() {
        let stat = json!({
            "design": {"num_cells_by_type": {"LUT6": {"count": "10"}, "RAM64M": 2, "RAMB18E2": "3", "FDRE": 7, "CARRY4": 4}},
            "modules": {"\\top": {}, "\\slice": {"num_cells_by_type": {"FDRE": {"count": "5"}}}},
        });
        let (whole, blocks) = area(Target::Xcup, &stat, "top").expect("area");
        assert_eq!((whole.lut, whole.ff), (18, 7));
        assert_eq!(whole.ram["RAMB36"], 1.5);
        assert_eq!(blocks["slice"].ff, 5);
        assert!(area(Target::Xcup, &json!({}), "top").is_err());
    }

    #[test]
    fn blocks_are_told_by_names() {
        let cell = |kind: &str| json!({"type": kind});
        let netlist = json!({"modules": {"t": {"cells": {
            "core.inner.slices$0.lanes$1.q_LUT4_Z": cell("LUT4"),
            "core.inner.slices$1.ff": cell("TRELLIS_FF"),
            "core.inner.slices$1.ram.0.0": cell("DP16KD"),
            "lone": cell("LUT4"),
            "mux.x.y": cell("PFUMX"),
        }}}});
        let blocks = blocks(Target::Ecp5, &netlist, "t");
        let slices = &blocks["core.inner.slices"];
        assert_eq!((slices.lut, slices.ff, slices.ram["DP16KD"]), (1, 1, 1.0));
        assert_eq!(blocks["top"].lut, 1);
        assert_eq!(blocks.len(), 2);
    }

    #[test]
    fn blocks_are_kept_by_their_stem() {
        let text = "module p(\nx);\nmodule p_slices(x);\n module p_slices_2 (x);\nmodule p_slices_head(x);\nmodule q_front(x);\n";
        assert_eq!(blocks_of(text, "p"), ["p_slices", "p_slices_2"]);
    }

    #[test]
    fn the_script_checks_before_it_optimises() {
        let text = script(Target::Ecp5, &["a.v"], "t", &[("N", 3)], &["k".into()]);
        assert!(
            text.contains("chparam -set N 3 t\n")
                && text.contains("begin:coarse\nproc\ncheck -assert\n"),
            "{text}"
        );
        assert!(text.contains("keep_hierarchy 1 k"));
    }
}
