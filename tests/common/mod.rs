//! What the tests of the command line share: running it, and small captures.

// Every test binary compiles this file and uses its own part of it.
#![allow(dead_code)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use weir_capture::PcapWriter;
use weir_engine::packet::{Frame, LinkType};

/// Longer than any of these runs takes; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a run of `weir` ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts the exit status.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that standard error says this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in {self:#?}");
        self
    }

    /// Asserts that standard output says this.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} in {self:#?}");
        self
    }

    /// Asserts that standard error says nothing.
    #[track_caller]
    pub fn quiet(self) -> Self {
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }
}

/// A folder of its own for a test.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the file is written");
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file is read")
    }

    /// The EVE records of a file.
    pub fn eve(&self, name: &str) -> Vec<serde_json::Value> {
        let text = self.read(name);
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "the last record is whole"
        );
        text.lines()
            .map(|line| serde_json::from_str(line).expect("each line is a JSON object"))
            .collect()
    }

    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).expect("one JSON object")
    }

    /// Runs `weir` in this folder; the arguments are split at blanks.
    pub fn weir(&self, arguments: &str) -> Ended {
        self.weir_with(arguments, &[])
    }

    /// The same, with standard input.
    pub fn weir_with(&self, arguments: &str, input: &[u8]) -> Ended {
        run(self.command(arguments), input)
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command
            .args(arguments.split_whitespace())
            // Keys that are made stay here, too.
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.folder.path());
        command
    }
}

/// Runs a command to its end.
pub fn run(command: Command, input: &[u8]) -> Ended {
    run_patiently(command, input, PATIENCE)
}

/// The same, for as long as that may take.
pub fn run_patiently(mut command: Command, input: &[u8], patience: Duration) -> Ended {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("weir starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // It may well stop reading early.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let (sender, receiver) = std::sync::mpsc::channel();
    let id = child.id();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let output: Output = match receiver.recv_timeout(patience) {
        Ok(output) => output.expect("weir ends"),
        Err(_) => panic!("weir (process {id}) hangs"),
    };
    feeder.join().expect("the feeder ends");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until `done`.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An Ethernet frame with a UDP datagram from 10.0.0.1:1000 to 10.0.0.2:2000.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_between(1, 2, payload)
}

/// The same between the hosts 10.0.0.`from` and 10.0.0.`to`, whose ports are a thousand times that.
pub fn udp_between(from: u8, to: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
    let length = u16::try_from(28 + payload.len()).expect("it fits");
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
    frame.extend((u16::from(from) * 1000).to_be_bytes());
    frame.extend((u16::from(to) * 1000).to_be_bytes());
    frame.extend((length - 20).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    frame
}

/// A capture of these frames, a millisecond apart from 2020-01-01 on.
pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    pcap_of(LinkType::ETHERNET, frames, usize::MAX)
}

/// The same with a link type and a snap length.
pub fn pcap_of(link: LinkType, frames: &[Vec<u8>], snap: usize) -> Vec<u8> {
    write_pcap(link, (0..).step_by(1_000_000).zip(frames), snap)
}

/// A capture of these frames, each with its time in nanoseconds since the Unix epoch.
pub fn pcap_timed(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let frames = frames
        .iter()
        .map(|(time, frame)| (time.saturating_sub(EPOCH_NS), frame));
    write_pcap(LinkType::ETHERNET, frames, usize::MAX)
}

/// When captures that are made up begin: 2020-01-01, in nanoseconds since the Unix epoch.
const EPOCH_NS: u64 = 1_577_836_800_000_000_000;

/// A capture of these frames, so many seconds after 2020-01-01 began.
pub fn pcap_spaced(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let frames = frames
        .iter()
        .map(|(seconds, frame)| (seconds * 1_000_000_000, frame));
    write_pcap(LinkType::ETHERNET, frames, usize::MAX)
}

/// Frames, and how many nanoseconds after 2020-01-01 began.
fn write_pcap<'a>(
    link: LinkType,
    frames: impl Iterator<Item = (u64, &'a Vec<u8>)>,
    snap: usize,
) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), link).expect("a Vec takes it");
    for (number, (after_ns, frame)) in (1..).zip(frames) {
        let data = frame.get(..snap).unwrap_or(frame);
        let wire_len = u32::try_from(frame.len()).expect("it fits");
        writer
            .write(&Frame {
                ts_ns: EPOCH_NS + after_ns,
                number,
                link,
                data,
                wire_len,
                ..Frame::default()
            })
            .expect("a Vec takes it");
    }
    writer.finish().expect("a Vec takes it")
}

/// A capture of `count` datagrams, every one of which has `needle` in it.
pub fn needles(count: usize) -> Vec<u8> {
    pcap(
        &(0..count)
            .map(|at| udp(format!("packet {at} with a needle in it").as_bytes()))
            .collect::<Vec<_>>(),
    )
}

/// A rule that finds the needles.
pub const NEEDLE: &str = "alert udp any any -> any any (msg:\"a needle\"; content:\"needle\"; classtype:misc-activity; sid:1; rev:2;)\n";
