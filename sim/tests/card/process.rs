//! `weir-sim card` as a process: made, commanded, killed, ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use card_protocol::register;
use weir_sim::Modelled;
use xdma_rs::Device;

use super::remote::Remote;
use super::{LONG, answers, geometry, place};

const PROGRAM: &str = env!("CARGO_BIN_EXE_weir-sim");

struct Process(Child);

impl Process {
    fn start(path: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command
            .args(["card", "--size", "compact", "--listen"])
            .arg(path)
            .args(options)
            // Beside the folder, for nothing to be left of a process that is killed.
            .arg("--shm")
            .arg(path.with_extension("shm"));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("readable");
        assert!(
            line.starts_with("ready ") && line.trim_end().ends_with("/card"),
            "'{line}'"
        );
        Self(child)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("a process");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a run says and how it ends.
fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .output()
        .expect("starts");
    let mut said = output.stdout;
    said.extend(output.stderr);
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn shm(path: &Path) -> String {
    std::fs::read_to_string(path.join("weir_shm")).expect("a path")
}

fn all_answers(path: &Path) {
    let count = 30;
    let expected = answers(Box::new(Modelled::new(geometry())), count);
    let remote = Remote::shm(shm(path).as_ref(), geometry());
    assert_eq!(answers(Box::new(remote), count), expected);
}

fn kill_and_come_back(options: &[&str]) {
    let place = place();
    let path = &place.path;
    let mut process = Process::start(path, options);
    all_answers(path);
    let file = shm(path);
    let mut host = card_shm::Host::open(file.as_ref(), LONG).expect("opens");
    process.0.kill().expect("kills");
    process.0.wait().expect("ends");
    let error = host.registers.read(0, LONG).expect_err("killed");
    assert!(matches!(error, card_shm::ShmError::Gone { .. }), "{error}");
    drop(host);
    drop(process);
    let process = Process::start(path, options);
    assert_eq!(shm(path), file, "at the same place");
    all_answers(path);

    let folder = path.to_str().expect("text");
    let (done, said) = run(&["fault", "--device", folder, "lose-link:now", "--counts"]);
    assert!(done, "{said}");
    let mut host = card_shm::Host::open(file.as_ref(), LONG).expect("opens");
    assert_eq!(
        host.registers.read(register::MAGIC, LONG).expect("reads"),
        u32::MAX
    );
    let (done, said) = run(&["fault", "--device", folder, "--clear", "--counts"]);
    assert!(done && said.contains("lose-link 1"), "{said}");
    let (done, said) = run(&["card", "--listen", folder]);
    assert!(
        !done && (said.contains("another process serves") || said.contains("in use by process")),
        "{said}"
    );

    process.signal(rustix::process::Signal::TERM);
    let mut process = process;
    assert!(process.0.wait().expect("ends").success(), "ends in order");
    assert_eq!(std::fs::read_dir(path).expect("a plain folder").count(), 0);
    assert!(!Path::new(&file).exists(), "nothing is left behind");
}

#[test]
fn a_card_without_nodes_is_killed_and_comes_back() {
    kill_and_come_back(&["--transport", "shm"]);
}

#[test]
fn a_card_with_nodes_is_killed_and_comes_back() {
    if !super::nodes::fuse() {
        return;
    }
    kill_and_come_back(&[]);
}

#[test]
fn a_stale_mount_is_told_by_its_errors_and_cleared() {
    if !super::nodes::fuse() {
        return;
    }
    let place = place();
    let process = Process::start(&place.path, &["--transport", "nodes"]);
    let mut registers = Device::first(&place.path)
        .expect("a card")
        .user()
        .expect("opens");
    assert_eq!(
        registers.read(register::MAGIC).expect("reads"),
        register::MAGIC_VALUE
    );
    drop(process);
    let error = registers.read(register::MAGIC).expect_err("killed");
    assert!(matches!(error, xdma_rs::Error::Gone { .. }), "{error}");
    drop(registers);
    assert!(std::fs::metadata(&place.path).is_err(), "a stale mount");
    let mut process = Process::start(&place.path, &["--transport", "nodes"]);
    let mut registers = Device::first(&place.path)
        .expect("a card")
        .user()
        .expect("opens");
    assert_eq!(
        registers.read(register::MAGIC).expect("reads"),
        register::MAGIC_VALUE
    );
    // With a node open, too.
    process.signal(rustix::process::Signal::INT);
    assert!(process.0.wait().expect("ends").success(), "ends in order");
    let left = std::fs::read_dir(&place.path).expect("a plain folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn a_fault_can_end_the_process() {
    let place = place();
    let mut process = Process::start(&place.path, &["--transport", "shm", "--fault", "die"]);
    let mut host = card_shm::Host::open(shm(&place.path).as_ref(), LONG).expect("opens");
    host.sender.send(&[0; 64], LONG).expect("sends");
    let error = host.receiver.receive(&mut [0; 64], LONG).expect_err("dies");
    assert!(matches!(error, card_shm::ShmError::Gone { .. }), "{error}");
    let status = process.0.wait().expect("ends");
    assert!(!status.success(), "it aborts");
    let (done, said) = run(&["card", "--listen", "/proc/nowhere"]);
    assert!(!done && said.contains("/proc/nowhere"), "{said}");
    let (done, said) = run(&[
        "fault",
        "--device",
        place.path.to_str().expect("text"),
        "reset:now",
    ]);
    assert!(!done && said.contains("no card is commanded"), "{said}");
}
