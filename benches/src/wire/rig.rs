//! Two hosts with something between them, and what a load through it gave.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use weir_testbed::{
    Bed, BedCounters, BedOptions, Child, CpuUse, Generator, Histogram, KernelBridge, Load,
    Received, Sent, Sink, generate,
};
use weir_xdp::program;

use super::books::{Account, Books};
use super::search::{Search, Sustained, Tried};
use super::{WireOptions, XdpMode};
use crate::BenchError;

/// How long a sensor may take to load its rules and to be ready.
pub const READY: Duration = Duration::from_secs(300);
/// How long anything else may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long frames that are on their way may take to arrive.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// A rule of which every packet's header is looked at, and that none of a load's matches.
pub const NEVER: &str = "alert udp any any -> any 7 (msg:\"never\"; sid:1;)\n";

/// What a trial may send at least, so that a rate means something.
const FEWEST: u64 = 1000;

/// A bed, and a folder for what sensors read and write.
pub struct Rig<'a> {
    pub options: &'a WireOptions,
    pub bed: Bed,
    folder: tempfile::TempDir,
    /// Tells loads apart: what one left on its way is not the next one's.
    seed: Cell<u32>,
}

/// How a sensor is to run.
#[derive(Clone, Debug)]
pub struct Setup {
    pub mode: XdpMode,
    /// `open` or `closed`.
    pub fail: &'static str,
    pub rules: Vec<PathBuf>,
    /// Other options of `weir run`.
    pub more: Vec<String>,
}

impl<'a> Rig<'a> {
    /// With so many queues on every interface.
    pub fn new(options: &'a WireOptions, queues: u32) -> Result<Self, BenchError> {
        let bed = Bed::new(&BedOptions {
            queues,
            v6: false,
            ..BedOptions::default()
        })?;
        let folder = tempfile::tempdir().map_err(|error| BenchError::Write {
            path: std::env::temp_dir(),
            error,
        })?;
        Ok(Self {
            options,
            bed,
            folder,
            seed: Cell::new(1),
        })
    }

    /// A file in the folder, or where it would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, content: &str) -> Result<PathBuf, BenchError> {
        crate::report::write(self.folder.path(), name, content)
    }

    /// A sensor without rules to speak of, that lets nothing through uninspected.
    pub fn plain(&self, mode: XdpMode) -> Result<Setup, BenchError> {
        Ok(Setup {
            mode,
            fail: "closed",
            rules: vec![self.file("never.rules", NEVER)?],
            more: Vec::new(),
        })
    }

    /// Starts a sensor and waits until traffic goes through it.
    pub fn sensor(&self, setup: &Setup) -> Result<Sensor<'_>, BenchError> {
        let stats = self.path("stats.json");
        // What an earlier one wrote is not this one's.
        let _ = std::fs::remove_file(&stats);
        let middle = self.bed.middle();
        let (a, b) = self.bed.ports();
        let mut command = middle.command(&self.options.weir.to_string_lossy());
        command
            .current_dir(self.folder.path())
            .args(["-v", "run", "--inline", &format!("{a},{b}")])
            .args(["--xdp", setup.mode.name(), "--fail", setup.fail])
            .args(["--stats", "stats.json", "--eve", "eve.json", "--rules"])
            .args(&setup.rules)
            .args(&setup.more);
        if let Some(config) = &self.options.config {
            command.arg("--config").arg(config);
        }
        let mut sensor = Sensor {
            child: middle.spawn(command)?,
            rig: self,
            detach: true,
        };
        sensor.child.expect("traffic goes through", READY)?;
        Ok(sensor)
    }

    /// Joins the ports: by a sensor set up like this, or by the kernel's own bridge.
    pub fn join(&self, setup: Option<&Setup>) -> Result<Joined<'_>, BenchError> {
        Ok(match setup {
            Some(setup) => Joined::Weir(Box::new(self.sensor(setup)?)),
            None => Joined::Bridge(self.bed.bridge()?),
        })
    }

    /// Takes what sensors left off the ports.
    pub fn detach(&self) {
        let (a, _) = self.bed.ports();
        let bpffs = Path::new(program::BPFFS);
        // There may be nothing, which is as well.
        let _ = (self.bed.middle()).enter(|| program::detach(&a, bpffs).map(drop));
    }

    /// The books of both ports over the life of what sensors left there, which is taken away then.
    pub fn close(&self, setup: &Setup) -> Result<[Books; 2], BenchError> {
        let (a, b) = self.bed.ports();
        let options = program::AttachOptions {
            mode: match setup.mode {
                XdpMode::Native => program::AttachMode::Native,
                XdpMode::Generic => program::AttachMode::Generic,
            },
            fail: if setup.fail == "open" {
                program::Fail::Open
            } else {
                program::Fail::Closed
            },
            ..program::AttachOptions::new([a, b])
        };
        let read = || -> Result<[Books; 2], BenchError> {
            let say = |error: program::Error| BenchError::Nothing(error.to_string());
            let attached = program::Ports::attach(&options).map_err(say)?;
            if attached.adopted().is_none() {
                return Err(BenchError::Nothing(
                    "the sensor left nothing on its ports to read".to_owned(),
                ));
            }
            let books = [Books::of_life(&attached, 0)?, Books::of_life(&attached, 1)?];
            attached.detach().map_err(say)?;
            Ok(books)
        };
        self.bed.middle().enter(read)?
    }

    /// Searches for the rate at which nothing of such a load is lost, in trials of `--seconds`.
    pub fn sustained(&self, load: &Load) -> Result<Option<Sustained>, BenchError> {
        Search::default().run(&mut |rate| {
            let load = self.options.paced(load, rate);
            let trial = self.trial(&load, None)?;
            Ok(Tried {
                rate: trial.sent.rate(),
                lost: trial.received.missing(&trial.sent) + trial.received.damaged,
            })
        })
    }

    /// Sends a load from client to server. `through`: whose time is to be told.
    pub fn trial(&self, load: &Load, through: Option<&Child>) -> Result<Trial, BenchError> {
        let spent = || through.map(Child::cpu).transpose();
        let before = (self.bed.counters()?, CpuUse::now()?, spent()?);
        let load = &self.next(load);
        let sink = Sink::start(self.bed.server(), load)?;
        let sent = generate(self.bed.client(), load)?;
        sink.wait_for(sent.frames, settle(&sent));
        let received = sink.stop()?;
        let busy = CpuUse::now()?.since(&before.1).busy();
        let sensor = spent()?.unwrap_or_default();
        let sensor = sensor.saturating_sub(before.2.unwrap_or_default());
        let each = |time: Duration| time.as_nanos() as f64 / sent.frames.max(1) as f64;
        Ok(Trial {
            links: self.bed.counters()?.since(&before.0),
            cpu: CpuPerFrame {
                machine_ns: each(busy),
                sensor_ns: through.map(|_| each(sensor)),
                generator_ns: each(sent.cpu),
                sink_ns: each(received.cpu),
            },
            sent,
            received,
        })
    }

    fn next(&self, load: &Load) -> Load {
        let seed = self.seed.get();
        self.seed.set(seed.wrapping_add(1));
        Load {
            seed,
            ..load.clone()
        }
    }

    /// A generator and a sink that go on while something else happens.
    pub fn flow(&self, load: &Load) -> Result<(Sink, Generator), BenchError> {
        let load = &self.next(load);
        let sink = Sink::start(self.bed.server(), load)?;
        Ok((sink, Generator::start(self.bed.client(), load)?))
    }
}

/// What was sent flat out may fill queues.
fn settle(sent: &Sent) -> Duration {
    // When something was lost nobody knows when the last has come: the sink goes on as long as frames do.
    ON_THE_WAY.min(sent.elapsed / 2 + Duration::from_millis(200))
}

impl Drop for Rig<'_> {
    fn drop(&mut self) {
        self.detach();
    }
}

/// What joins the ports.
pub enum Joined<'a> {
    Bridge(KernelBridge<'a>),
    Weir(Box<Sensor<'a>>),
}

impl Joined<'_> {
    /// The sensor's process.
    pub fn child(&self) -> Option<&Child> {
        match self {
            Self::Bridge(_) => None,
            Self::Weir(sensor) => Some(&sensor.child),
        }
    }

    /// Takes it away; the figures of a sensor.
    pub fn end(self) -> Result<Option<Value>, BenchError> {
        match self {
            Self::Bridge(bridge) => {
                drop(bridge);
                Ok(None)
            }
            Self::Weir(sensor) => sensor.stop().map(Some),
        }
    }
}

/// A running sensor; what it leaves on its ports goes with it.
pub struct Sensor<'a> {
    pub child: Child,
    rig: &'a Rig<'a>,
    detach: bool,
}

impl Sensor<'_> {
    /// Ends it in order; its figures.
    pub fn stop(mut self) -> Result<Value, BenchError> {
        self.end()
    }

    /// As [`Sensor::stop`]; what it has on its ports stays.
    pub fn leave(mut self) -> Result<Value, BenchError> {
        self.detach = false;
        self.end()
    }

    /// Another is to take over from it.
    pub fn killed(mut self) -> Result<(), BenchError> {
        self.detach = false;
        self.child.signal(weir_testbed::Signal::KILL)?;
        self.child.wait(PATIENCE)?;
        Ok(())
    }

    fn end(&mut self) -> Result<Value, BenchError> {
        self.child.stop(PATIENCE)?.success()?;
        let path = self.rig.path("stats.json");
        let text = std::fs::read_to_string(&path).map_err(|error| BenchError::Write {
            path: path.clone(),
            error,
        })?;
        serde_json::from_str(&text).map_err(|error| {
            BenchError::Nothing(format!("the figures in {}: {error}", path.display()))
        })
    }
}

impl Drop for Sensor<'_> {
    fn drop(&mut self) {
        if self.detach {
            // The program stays while its process has the ports.
            let _ = self.child.stop(PATIENCE);
            self.rig.detach();
        }
    }
}

/// Processor time, in nanoseconds a frame that was sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct CpuPerFrame {
    /// Of all CPUs, whatever they did: also other programs.
    pub machine_ns: f64,
    /// Of the sensor's threads, and what they were held up by.
    pub sensor_ns: Option<f64>,
    /// Of the generator's threads, waiting for the next frame's time included, and what the kernel did on their time.
    pub generator_ns: f64,
    /// Of the sink's.
    pub sink_ns: f64,
}

/// What a load gave.
pub struct Trial {
    pub sent: Sent,
    pub received: Received,
    pub links: BedCounters,
    pub cpu: CpuPerFrame,
}

impl Trial {
    /// Where its frames ended.
    pub fn account(&self, books: Option<&Books>) -> Account {
        Account::new(
            self.sent.frames,
            self.received.unique,
            self.received.lost_in_sink,
            &self.links,
            books,
        )
    }

    /// What no path may do, in words.
    pub fn faults(&self) -> Vec<String> {
        let counted = [
            ("came twice", self.received.duplicated),
            ("came damaged", self.received.damaged),
        ];
        let some = counted.into_iter().filter(|(_, count)| *count > 0);
        some.map(|(what, count)| format!("{count} frames {what}"))
            .collect()
    }
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    /// Half of the frames take no longer.
    pub p50: u64,
    /// 99 % take no longer.
    pub p99: u64,
    /// 99.9 % take no longer.
    pub p999: u64,
    /// None took longer.
    pub max: u64,
}

impl Quantiles {
    /// Of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl WireOptions {
    /// The load at a rate, for so long as a trial of the search takes, but not more than a whole trial's frames.
    pub(super) fn paced(&self, load: &Load, rate: f64) -> Load {
        // Rates are far below 2^53, and seconds are few.
        let frames = (rate * self.seconds) as u64;
        Load {
            frames: frames.clamp(FEWEST.min(self.frames), self.frames),
            rate: Some(rate),
            ..load.clone()
        }
    }
}
