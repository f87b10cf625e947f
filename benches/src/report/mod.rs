//! What came out, for machines and for eyes: text, `report.json`, and two plots.

mod plot;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::BenchError;
use crate::contender::Entry;
use crate::scenario::Measured;

pub(crate) use text::columns;
pub use text::table;

/// A run of the bench.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Weir's version.
    pub version: &'static str,
    /// The processor, as the system calls it.
    pub processor: String,
    /// The core that the measuring thread was kept on; `None` where that was not possible.
    pub core: Option<usize>,
    /// Rounds of every scenario.
    pub rounds: usize,
    /// What the buffers are from.
    pub traffic: String,
    /// What the probes are from.
    pub rules: String,
    /// Contenders, and what they are.
    pub contenders: Vec<(String, String)>,
    /// The figures.
    pub scenarios: Vec<Measured>,
}

impl Report {
    /// A report without figures yet.
    pub fn new(
        core: Option<usize>,
        rounds: usize,
        [traffic, rules]: [String; 2],
        contenders: Vec<Entry>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            processor: processor(),
            core,
            rounds,
            traffic,
            rules,
            contenders: contenders
                .into_iter()
                .map(|entry| (entry.name, entry.about))
                .collect(),
            scenarios: Vec::new(),
        }
    }

    /// Writes `report.json`, `throughput.svg` and `latency.svg` into `folder`, which is created if it is not there. Returns what
    /// was written.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
        let files = [
            ("report.json", json(self)?),
            ("throughput.svg", plot::throughput(&self.scenarios)),
            ("latency.svg", plot::latency(&self.scenarios)),
        ];
        files
            .into_iter()
            .map(|(name, content)| write(folder, name, &content))
            .collect()
    }
}

/// As JSON that people can read.
pub(crate) fn json(report: &impl Serialize) -> Result<String, BenchError> {
    let text = serde_json::to_string_pretty(report);
    let text = text.map_err(|error| BenchError::Nothing(error.to_string()))?;
    Ok(text + "\n")
}

/// Writes a file into `folder`, which is created if it is not there. Returns its path.
pub(crate) fn write(folder: &Path, name: &str, content: &str) -> Result<PathBuf, BenchError> {
    let failed = |path: &Path, error| BenchError::Write {
        path: path.to_owned(),
        error,
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let path = folder.join(name);
    std::fs::write(&path, content).map_err(|error| failed(&path, error))?;
    Ok(path)
}

/// The processor's name, from Linux's `/proc/cpuinfo`.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'));
    name.map_or(std::env::consts::ARCH, |(_, name)| name.trim())
        .to_owned()
}

#[cfg(test)]
mod tests;
