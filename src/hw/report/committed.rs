//! Figures that come with Weir: reports of synthesis, and throughput by simulation.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Report;

/// Reports of `weir hw synth`, by the file that they are from.
const REPORTS: &[(&str, &str)] = &[
    (
        "bitstreams/ecp5-85f/8-compact.json",
        include_str!("../../../bitstreams/ecp5-85f/8-compact.json"),
    ),
    (
        "bitstreams/xcup/8-full.json",
        include_str!("../../../bitstreams/xcup/8-full.json"),
    ),
    (
        "bitstreams/xcup/64-full.json",
        include_str!("../../../bitstreams/xcup/64-full.json"),
    ),
];

/// The reports, in the order of the table.
pub fn reports() -> Result<Vec<Report>, String> {
    REPORTS
        .iter()
        .map(|(name, text)| serde_json::from_str(text).map_err(|error| format!("{name}: {error}")))
        .collect()
}

/// Throughput on a trace by cycle-exact simulation.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Throughput {
    /// The traffic.
    pub trace: String,
    /// Payload bytes per clock cycle by lanes.
    pub bytes_per_cycle: BTreeMap<usize, f64>,
}

/// Throughput as it was measured, if it was.
pub fn throughput() -> Result<Throughput, String> {
    let text = include_str!("../../../bitstreams/throughput.json");
    serde_json::from_str(text).map_err(|error| format!("bitstreams/throughput.json: {error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_figures_can_be_read() {
        super::reports().expect("reports");
        let throughput = super::throughput().expect("throughput");
        for (lanes, bytes) in throughput.bytes_per_cycle {
            assert!(
                bytes > 0.0 && bytes <= lanes as f64,
                "{lanes} lanes: {bytes}"
            );
        }
    }
}
