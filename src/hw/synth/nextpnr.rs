//! What nextpnr says of a placed and routed design.

use serde_json::Value;

use super::target::Target;
use crate::hw::report::{Area, Path};

/// The lowest frequency in MHz that any clock reaches, of those that were asked to reach `goal`.
pub fn mhz(report: &Value, goal: f64) -> Result<f64, String> {
    let clocks = report["fmax"].as_object().into_iter().flatten();
    clocks
        .filter(|(_, clock)| {
            let asked = clock["constraint"].as_f64().unwrap_or_default();
            (asked - goal).abs() < goal / 100.0
        })
        .filter_map(|(_, clock)| clock["achieved"].as_f64())
        .min_by(f64::total_cmp)
        .ok_or_else(|| format!("no clock of {goal} MHz in the report of place and route"))
}

/// What the placed design takes.
pub fn area(target: Target, report: &Value) -> Area {
    let used = |name: &str| {
        report["utilization"][name]["used"]
            .as_u64()
            .unwrap_or_default()
    };
    let mut area = Area {
        lut: used("TRELLIS_COMB"),
        ff: used("TRELLIS_FF"),
        basis: "placed".into(),
        ..Area::default()
    };
    for (name, _) in target.has().iter().filter(|(name, _)| *name == "DP16KD") {
        area.ram.insert((*name).into(), used(name) as f64);
    }
    area
}

/// The longest path from register to register of one clock.
pub fn critical(report: &Value) -> Path {
    let paths = report["critical_paths"].as_array().into_iter().flatten();
    let within = |path: &&Value| {
        let edge = |end: &str| path[end].as_str().unwrap_or_default().to_owned();
        edge("from") == edge("to") && edge("from").contains("edge")
    };
    paths
        .filter(within)
        .map(read)
        .max_by(|a, b| (a.logic + a.routing).total_cmp(&(b.logic + b.routing)))
        .unwrap_or_default()
}

fn read(path: &Value) -> Path {
    let mut read = Path::default();
    let steps = path["path"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let cell = |step: Option<&Value>, end: &str| {
        let name = step.and_then(|step| step[end]["cell"].as_str());
        name.unwrap_or_default().to_owned()
    };
    read.from = cell(steps.first(), "from");
    read.to = cell(steps.last(), "to");
    for step in steps {
        let delay = step["delay"].as_f64().unwrap_or_default();
        match step["type"].as_str() {
            Some("routing") => {
                read.routing += delay;
                read.nets.extend(step["net"].as_str().map(str::to_owned));
            }
            Some("logic") => {
                read.logic += delay;
                read.levels += 1;
            }
            _ => read.logic += delay,
        }
    }
    for time in [&mut read.logic, &mut read.routing] {
        *time = (*time * 1000.0).round() / 1000.0;
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_read() {
        let step = |kind: &str, delay: f64, from: &str, to: &str| json!({"type": kind, "delay": delay, "from": {"cell": from}, "to": {"cell": to}, "net": "n"});
        let report = json!({
            "fmax": {
                "board": {"achieved": 300.0, "constraint": 100.0},
                "core": {"achieved": 171.5, "constraint": 150.015},
            },
            "utilization": {"TRELLIS_COMB": {"used": 5}, "DP16KD": {"used": 2}},
            "critical_paths": [
                {"from": "async", "to": "posedge c", "path": [step("routing", 99.0, "x", "y")]},
                {"from": "posedge c", "to": "posedge c", "path": [
                    step("clk-to-q", 0.5, "a", "a"), step("routing", 1.0, "a", "b"),
                    step("logic", 0.25, "b", "b"), step("setup", 0.1, "d", "d")]},
            ],
        });
        assert_eq!(mhz(&report, 150.0), Ok(171.5));
        assert!(mhz(&report, 200.0).is_err());
        let placed = area(Target::Ecp5, &report);
        assert_eq!((placed.lut, placed.ram["DP16KD"]), (5, 2.0));
        let path = critical(&report);
        assert_eq!(
            (path.from.as_str(), path.to.as_str(), path.levels),
            ("a", "d", 1)
        );
        assert_eq!((path.logic, path.routing), (0.85, 1.0));
    }
}
