//! A sensor on the wire: what it sustains, how long frames take, what bypassing is worth, and what failures cost.
//!
//! Client, sensor and server are network namespaces of this machine ([`weir_testbed::Bed`]). The sensor is a process, as users run
//! it. Frames are numbered, and every one of them must be found again: received, or counted by whoever lost it.
//!
//! * `rates`: the highest rate at which nothing is lost, held with a long trial; then flat out, and where frames ended.
//! * `latency`: at half of that rate, with and without rules, with software and with a card.
//! * `bypass`: through user space and in the kernel.
//! * `failures`: the sensor is killed, stopped, or loads its rules again, under traffic.
//!
//! Beside it stands the kernel's own bridge. On a machine with few cores, generator, sensor and sink take them from each other.

mod books;
mod bypass;
mod card;
mod failures;
mod latency;
mod rates;
mod rig;
mod search;
mod text;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{BenchError, report};

pub use books::{Account, Books};
pub use bypass::BypassRow;
pub use failures::{Event, FailureRow};
pub use latency::LatencyRow;
pub use rates::{RateRow, RateTrial};
pub use rig::{CpuPerFrame, Quantiles};

/// The parts, as `only` names them.
pub const PARTS: [&str; 4] = ["rates", "latency", "bypass", "failures"];

/// Flows of a load, shared evenly by queues.
const FLOWS: u32 = 64;

/// Words that rules look for, none of them an attack: buffers are searched, and what is found is evaluated.
const CONTENT: &[u8] = b"GET /index.html?id=42&page=login HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 \
    (Windows NT 10.0; Win64; x64)\r\nAccept: */*\r\nCookie: session=0123456789abcdef; admin=0\r\nContent-Type: text/html\r\n\r\n\
    <html><head><script>var a = document.cookie;</script></head><body>cmd.exe /bin/sh password powershell</body></html>\r\n";

/// How an XDP program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// By the driver.
    Native,
    /// By the kernel's slower way.
    Generic,
}

impl XdpMode {
    /// As `weir run --xdp` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct WireOptions {
    /// The `weir` program to run.
    pub weir: PathBuf,
    /// Rules for latency and failures; without any, nothing is measured with rules.
    pub rules: Vec<PathBuf>,
    /// A configuration for all sensors.
    pub config: Option<PathBuf>,
    /// Only parts whose name contains one of these; all of them if there is none.
    pub only: Vec<String>,
    /// How long a trial of a search takes.
    pub seconds: f64,
    /// Frames of a long trial, and most of a short one.
    pub frames: u64,
    /// Bytes of a frame, Ethernet's checksum not counted: 60 to 1514.
    pub sizes: Vec<usize>,
    /// Queues of every interface, and workers.
    pub queues: Vec<u32>,
    /// How XDP programs are attached.
    pub modes: Vec<XdpMode>,
    /// A card for latencies: a folder of device nodes.
    pub device: Option<PathBuf>,
    /// The `weir-sim` program, for latencies with a simulated card.
    pub simulator: Option<PathBuf>,
}

/// What came out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WireReport {
    /// Weir's version.
    pub version: &'static str,
    /// The processor, as the system calls it.
    pub processor: String,
    /// How many of it.
    pub cpus: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Rates by path, queues and size.
    pub rates: Vec<RateRow>,
    /// Latencies by path and size.
    pub latency: Vec<LatencyRow>,
    /// Through user space, and through the kernel.
    pub bypass: Vec<BypassRow>,
    /// Events under traffic.
    pub failures: Vec<FailureRow>,
    /// What could not be measured, though it was to be.
    pub failed: Vec<String>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Measures; `tell` hears what comes next.
///
/// # Errors
/// When nothing can be measured here: no root, no program. What goes wrong later is in [`WireReport::faults`].
pub fn measure(
    options: &WireOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<WireReport, BenchError> {
    let options = &absolute(options)?;
    check(options)?;
    let mut report = WireReport {
        version: env!("CARGO_PKG_VERSION"),
        processor: report::processor(),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        ..WireReport::default()
    };
    let WireReport {
        rates,
        latency,
        bypass,
        failures,
        failed,
        notes,
        ..
    } = &mut report;
    for part in parts(&options.only) {
        let done = match part {
            "rates" => rates::measure(options, rates, failed, tell),
            "latency" => latency::measure(options, latency, failed, notes, tell),
            "bypass" => bypass::measure(options, bypass, failed, tell),
            _ => failures::measure(options, failures, failed, notes, tell),
        };
        if let Err(error) = done {
            failed.push(format!("{part}: {error}"));
        }
    }
    Ok(report)
}

/// The parts that are wanted.
fn parts(only: &[String]) -> Vec<&'static str> {
    let wanted =
        |part: &&str| only.is_empty() || only.iter().any(|name| part.contains(name.as_str()));
    PARTS.into_iter().filter(wanted).collect()
}

/// Sensors run in a folder of their own, and must find the same files.
fn absolute(options: &WireOptions) -> Result<WireOptions, BenchError> {
    let mut options = options.clone();
    let optional = [
        &mut options.config,
        &mut options.device,
        &mut options.simulator,
    ];
    let optional = optional.into_iter().filter_map(Option::as_mut);
    for path in optional
        .chain(&mut options.rules)
        .chain([&mut options.weir])
    {
        *path = std::path::absolute(&path)
            .map_err(|error| BenchError::Nothing(format!("{}: {error}", path.display())))?;
    }
    Ok(options)
}

fn check(options: &WireOptions) -> Result<(), BenchError> {
    let nothing = |why: String| Err(BenchError::Nothing(why));
    if parts(&options.only).is_empty() {
        return nothing(format!("wire has {}: none is named so", PARTS.join(", ")));
    }
    for program in std::iter::once(&options.weir).chain(&options.simulator) {
        if !program.is_file() {
            return nothing(format!("{}: no such program", program.display()));
        }
    }
    if options.queues.is_empty() || options.sizes.is_empty() || options.modes.is_empty() {
        return nothing("wire needs sizes, queues and modes: at least one of each".to_owned());
    }
    if let Some(queues) = options
        .queues
        .iter()
        .find(|queues| !(1..=64).contains(*queues))
    {
        return nothing(format!("{queues} queues: 1 to 64 are possible"));
    }
    if let Some(size) = options
        .sizes
        .iter()
        .find(|size| !(60..=1514).contains(*size))
    {
        return nothing(format!("frames of {size} bytes: 60 to 1514 are possible"));
    }
    if !(options.seconds > 0.0 && options.seconds <= 3600.0) {
        return nothing(format!(
            "trials of {} seconds: more than 0, at most 3600",
            options.seconds
        ));
    }
    let most = weir_testbed::MAX_FRAMES;
    if !(1..=most).contains(&options.frames) {
        return nothing(format!(
            "{} frames: 1 to {most} are possible",
            options.frames
        ));
    }
    match weir_testbed::missing() {
        Some(why) => nothing(format!("wire cannot be measured here: {why}")),
        None => Ok(()),
    }
}

impl WireReport {
    /// What is wrong, where something is: frames that nobody can account for, and what could not be measured.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.failed.clone();
        let mut add = |name: String, of: &[String]| {
            faults.extend(of.iter().map(|fault| format!("{name}: {fault}")));
        };
        for row in &self.rates {
            add(
                format!(
                    "rates, {}, {} queues, {} bytes",
                    row.path, row.queues, row.size
                ),
                &row.faults,
            );
        }
        for row in &self.latency {
            add(
                format!("latency, {}, {} bytes", row.path, row.size),
                &row.faults,
            );
        }
        for row in &self.bypass {
            add(
                format!("bypass, {}, {}, {} flows", row.path, row.mode, row.flows),
                &row.faults,
            );
        }
        for row in &self.failures {
            add(
                format!("failures, {:?}, {}", row.event, row.fail),
                &row.faults,
            );
        }
        faults
    }

    /// As text.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// Writes `wire.json` into `folder`, which is created if it is not there. Returns what was written.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, BenchError> {
        report::write(folder, "wire.json", &report::json(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> WireOptions {
        WireOptions {
            weir: "/nowhere/weir".into(),
            rules: Vec::new(),
            config: None,
            only: Vec::new(),
            seconds: 1.0,
            frames: 1000,
            sizes: vec![60],
            queues: vec![1],
            modes: vec![XdpMode::Native],
            device: None,
            simulator: None,
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_a_reason() {
        let here = std::env::current_exe().expect("this program is somewhere");
        type Change = fn(&mut WireOptions);
        let cases: [(&str, Change); 7] = [
            ("no such program", |_| {}),
            ("none is named so", |options| {
                options.only = vec!["rats".to_owned()]
            }),
            ("at least one", |options| options.modes.clear()),
            ("65 queues", |options| options.queues = vec![1, 65]),
            ("59 bytes", |options| options.sizes = vec![59]),
            ("NaN seconds", |options| options.seconds = f64::NAN),
            ("0 frames", |options| options.frames = 0),
        ];
        for (at, (why, change)) in cases.iter().enumerate() {
            let mut options = options();
            if at > 0 {
                options.weir.clone_from(&here);
            }
            change(&mut options);
            let error = measure(&options, &mut |_| {}).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
        assert_eq!(parts(&["late".to_owned()]), ["latency"]);
        assert_eq!(parts(&[]), PARTS);
    }

    #[test]
    fn faults_of_rows_are_the_reports() {
        let mut report = WireReport::default();
        assert!(report.faults().is_empty());
        report.failed.push("no sensor".to_owned());
        report.latency.push(LatencyRow {
            path: "bridge".to_owned(),
            size: 60,
            sustained: 1.0,
            rate: 1.0,
            frames: 1,
            lost: 1,
            latency: Quantiles::default(),
            late: Quantiles::default(),
            inside: None,
            buffers: None,
            card_buffers: None,
            candidates: None,
            alerts: None,
            faults: vec!["1 of 1 frames lost".to_owned()],
        });
        let faults = report.faults();
        assert_eq!(
            faults,
            ["no sensor", "latency, bridge, 60 bytes: 1 of 1 frames lost"]
        );
        let text = report.text();
        assert!(faults.iter().all(|fault| text.contains(fault)), "{text}");
    }
}
