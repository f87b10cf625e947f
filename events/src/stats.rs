//! The figures of a run, as `weir run --stats FILE` writes them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

/// One run, from the first packet to the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Frames read.
    pub packets: u64,
    /// Bytes of those frames, as captured.
    pub bytes: u64,
    /// Alerts written.
    pub alerts: u64,
    /// Wall-clock seconds of packet processing; rules were loaded before.
    pub seconds: f64,
    /// CPU seconds, user and system, of all threads during packet processing.
    pub cpu_seconds: f64,
    /// Wall-clock seconds from the start to the first packet: reading and compiling rules.
    pub load_seconds: f64,
    /// The most memory that was resident, in bytes.
    pub peak_rss_bytes: u64,
    /// The matcher that was used.
    pub matcher: String,
    /// Buffers given to the matcher.
    pub buffers: u64,
    /// Buffers that a card finished.
    pub card_buffers: u64,
    /// Probes found.
    pub probe_hits: u64,
    /// Rules that became candidates.
    pub candidates: u64,
    /// Buffers that a backend could not finish and the software path went through again.
    pub rescanned: u64,
    /// Times that software took over from a backend.
    pub failovers: u64,
    /// Packets dropped by a verdict, and packets that an interface had and that were not read in time.
    pub dropped: u64,
    /// Captures that ended in the middle of a record.
    pub truncated: u64,
    /// Frames of which the capture holds less than was on the wire.
    pub snap_cut: u64,
    /// What happened to the rules.
    pub rules: RuleCounts,
    /// Alerts held back by `threshold` or by the limit of alerts a packet, and the engine's other counters, by name.
    pub engine: BTreeMap<&'static str, u64>,
    /// How often each decoder event was raised, by Suricata's name.
    pub decoder_events: BTreeMap<&'static str, u64>,
    /// What each stage of a packet's way took, by name; left out where it was not measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<&'static str, StageCost>,
    /// What was counted of each rule module; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<serde_json::Value>,
    /// What came of reloads of the rules; left out where there could be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload: Option<ReloadStats>,
    /// What evaluated text rules: `wasm` or `plain`.
    pub evaluator: &'static str,
    /// What each rule took; left out where that was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_times: Option<serde_json::Value>,
    /// How long frames were held before they went on, nanoseconds: p50, p90, p99, p999, max; left out where none are forwarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<serde_json::Value>,
    /// What became of every frame of ports; left out where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire: Option<serde_json::Value>,
    /// What is known of the card; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<serde_json::Value>,
}

/// What came of reloads of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReloadStats {
    /// How many there were.
    pub count: u64,
    /// How many failed, so that the rules before stayed in force.
    pub failed: u64,
    /// How long the slowest worker took for a swap, in which it inspected nothing: the median of the latest 1,024, microseconds.
    pub median_swap_us: u64,
    /// The longest of all, microseconds.
    pub longest_swap_us: u64,
    /// The longest time that was spent aside, in a thread of its own, on reading and preparing rules, microseconds.
    pub longest_load_us: u64,
}

/// What one stage of a packet's way took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StageCost {
    /// Seconds, all threads together.
    pub seconds: f64,
    /// How often it was gone through.
    pub laps: u64,
}

/// What happened to the rules that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleCounts {
    /// Rules in the files.
    pub read: u64,
    /// Rules that are evaluated.
    pub evaluated: u64,
    /// Rules that use something that this version does not evaluate.
    pub unsupported: u64,
    /// Rules with an error in their text.
    pub syntax: u64,
    /// Rules whose own `requires` left them out.
    pub skipped: u64,
}

impl Stats {
    /// Writes the figures as one JSON object; `-` is standard output.
    ///
    /// # Errors
    /// Whatever the system says about the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        if path == Path::new("-") {
            let mut stdout = io::stdout().lock();
            io::Write::write_all(&mut stdout, &text)?;
            return io::Write::flush(&mut stdout);
        }
        std::fs::write(path, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_scripts_rely_on_is_there() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("stats.json");
        let stats = Stats {
            packets: 3,
            seconds: 0.5,
            matcher: "software".to_owned(),
            ..Stats::default()
        };
        stats.write(&path).expect("writes");
        let read: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("one JSON object");
        for key in [
            "packets",
            "bytes",
            "alerts",
            "seconds",
            "cpu_seconds",
            "load_seconds",
            "peak_rss_bytes",
            "buffers",
            "card_buffers",
            "probe_hits",
            "candidates",
            "rescanned",
            "failovers",
            "dropped",
        ] {
            assert!(read[key].is_number(), "{key}");
        }
        assert_eq!(read["matcher"], "software");
        assert_eq!(read["packets"], 3);
    }
}
