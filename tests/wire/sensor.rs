//! A sensor between two hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use weir_testbed::{Bed, BedOptions, Captured, Child, Load, Sink, Tap, Trace, generate};

use crate::common::Bench;

/// How long anything may take on a machine that does other things, too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Client and server with a sensor between them.
pub struct Scene {
    pub bench: Bench,
    pub bed: Bed,
}

impl Scene {
    /// `None` where it cannot be made: that has been said.
    pub fn new(queues: u32, rules: &str) -> Option<Self> {
        if !weir_testbed::ready(&[]) {
            return None;
        }
        let options = BedOptions {
            queues,
            ..BedOptions::default()
        };
        let bed = Bed::new(&options).expect("the bed can be made: it was tried");
        let bench = Bench::new();
        bench.file("a.rules", rules);
        // Frames between namespaces have all their checksums; what is to be found in them must not hang on it.
        bench.file("a.toml", "[capture]\nchecksums = \"verify\"\n");
        Some(Self { bench, bed })
    }

    /// Has the kernel wait for sensors that are slow, where a test is about something else, on a machine that does other things, too.
    pub fn patient(self) -> Self {
        self.configured("")
    }

    /// The same, with more of a configuration.
    pub fn configured(self, more: &str) -> Self {
        let patient = "[capture]\nchecksums = \"verify\"\n[wire]\nheartbeat = 3000\n";
        self.bench.file("a.toml", format!("{patient}{more}"));
        self
    }

    /// Starts the sensor, and waits until traffic goes through.
    pub fn sensor(&self, options: &str) -> Sensor<'_> {
        self.start(options).ready()
    }

    /// Starts the sensor.
    pub fn start(&self, options: &str) -> Sensor<'_> {
        self.start_by("", &format!("--eve e.json {options}"))
    }

    /// Starts the sensor by another program, which is to become it, and with records that go where `options` say.
    pub fn start_by(&self, program: &str, options: &str) -> Sensor<'_> {
        let mut words = program
            .split_whitespace()
            .chain([env!("CARGO_BIN_EXE_weir")]);
        let first = words.next().unwrap_or_default();
        let mut command = self.bed.middle().command(first);
        command
            .args(words)
            .current_dir(self.bench.path("."))
            .args(["-v", "run", "--inline", "port-a,port-b"])
            .args([
                "--rules", "a.rules", "--config", "a.toml", "--stats", "s.json",
            ])
            .args(options.split_whitespace());
        let child = self.bed.middle().spawn(command).expect("weir starts");
        Sensor { child, scene: self }
    }

    /// Runs a command of the sensor's host to its end: exit status, standard output and error.
    pub fn weir(&self, arguments: &str) -> (i32, String, String) {
        let mut command = self.bed.middle().command(env!("CARGO_BIN_EXE_weir"));
        command
            .current_dir(self.bench.path("."))
            .args(arguments.split_whitespace());
        let ended = self.bed.middle().run(command).expect("weir starts");
        let code = ended.status.code().unwrap_or(-1);
        (code, ended.stdout, ended.stderr)
    }

    /// Listens at both ends.
    pub fn taps(&self) -> [Tap; 2] {
        [self.bed.client(), self.bed.server()]
            .map(|host| Tap::start(host, host.interface()).expect("it can listen"))
    }

    /// What both ends sent, in the order of time: what the sensor has seen.
    pub fn sent(taps: [Tap; 2]) -> Vec<Captured> {
        let traces = taps.map(|tap| tap.stop().expect("it listened"));
        assert!(traces.iter().all(|trace: &Trace| trace.lost == 0));
        let mut frames: Vec<Captured> = traces
            .into_iter()
            .flat_map(|trace| trace.frames)
            .filter(|frame| frame.outgoing)
            .collect();
        assert!(frames.iter().all(|frame| !frame.unfinished));
        frames.sort_by_key(|frame| frame.time_ns);
        frames
    }

    /// What records of a type say, by what `pick` picks.
    pub fn records(&self, kind: &str) -> Vec<Value> {
        let records = self.bench.eve("e.json").into_iter();
        records
            .filter(|record| record["event_type"] == kind)
            .collect()
    }

    /// How often each signature fired.
    pub fn alerts(&self) -> BTreeMap<u64, usize> {
        sids(&self.records("alert"))
    }
}

/// How often each signature is in these alerts.
pub fn sids(alerts: &[Value]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for alert in alerts {
        let sid = alert["alert"]["signature_id"]
            .as_u64()
            .expect("alerts have one");
        *counts.entry(sid).or_default() += 1;
    }
    counts
}

/// A running sensor.
pub struct Sensor<'a> {
    pub child: Child,
    scene: &'a Scene,
}

impl Sensor<'_> {
    /// Once traffic goes through.
    pub fn ready(mut self) -> Self {
        let ready = self.child.expect("traffic goes through", PATIENCE);
        ready.unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Ends it in order; what it left in its figures.
    pub fn stop(self) -> Value {
        let (code, stats, stderr) = self.stop_as();
        assert_eq!(code, Some(0), "{stderr}");
        stats
    }

    /// Ends it in order: how it ended, its figures, and what it said.
    pub fn stop_as(mut self) -> (Option<i32>, Value, String) {
        let ended = self.child.stop(PATIENCE).expect("it ends");
        let stats = self.scene.bench.json("s.json");
        (ended.status.code(), stats, ended.stderr)
    }

    /// What each of its threads may do: their permitted capabilities.
    pub fn capabilities(&self) -> Vec<u64> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.pid()));
        let threads = threads.expect("it runs").filter_map(|thread| {
            let status = std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("CapPrm:"))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        });
        threads.collect()
    }
}

/// What a sensor keeps: CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK and CAP_BPF, by their numbers in capabilities(7).
pub const KEPT: u64 = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 39;

/// Sends frames of one flow to port 9 at a pace at which hardly any is lost; how many came.
pub fn flow(scene: &Scene, frames: u64, content: &[u8]) -> u64 {
    let load = Load {
        frames,
        rate: Some(2000.0),
        size: 120,
        content: content.to_vec(),
        ..Load::default()
    };
    let sink = Sink::start(scene.bed.server(), &load).expect("it can listen");
    let sent = generate(scene.bed.client(), &load).expect("it can send");
    assert_eq!(sent.frames, frames);
    sink.wait_for(frames, Duration::from_secs(2));
    sink.stop().expect("it listened").unique
}

/// What the namespaces pinned goes with the scene.
impl Drop for Scene {
    fn drop(&mut self) {
        self.weir("detach port-a");
    }
}

/// One of a port's figures.
pub fn figure(stats: &Value, port: usize, name: &str) -> u64 {
    let value = &stats["wire"]["ports"][port][name];
    let value = if value.is_object() {
        &value["packets"]
    } else {
        value
    };
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no {name} of port {port} in {stats:#}"))
}

/// Every frame that the kernel saw came to one end, and every frame that a worker had, too.
pub fn balanced(stats: &Value) {
    for port in [0, 1] {
        let sum =
            |names: &[&str]| -> u64 { names.iter().map(|name| figure(stats, port, name)).sum() };
        assert_eq!(
            figure(stats, port, "seen"),
            sum(&[
                "to_user",
                "bypassed",
                "blocked",
                "failed_open",
                "failed_closed",
                "no_peer"
            ]),
            "port {port}: {stats:#}"
        );
        assert_eq!(
            figure(stats, port, "to_user"),
            sum(&["received", "ring_dropped", "lost_in_rings", "under_way"]),
            "port {port}: {stats:#}"
        );
        assert_eq!(
            figure(stats, port, "received"),
            sum(&[
                "passed",
                "dropped",
                "rejected",
                "tx_full",
                "invalid",
                "hand_over_full",
                "lost_in_hands"
            ]),
            "port {port}: {stats:#}"
        );
    }
}
