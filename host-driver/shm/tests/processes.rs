//! The ends in two processes, one of which is killed. The test starts itself as the other one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use card_shm::{Card, Change, Host, Options, ShmError};

const LONG: Duration = Duration::from_secs(20);
const CARD: &str = "CARD_SHM_TEST_CARD";
const HOST: &str = "CARD_SHM_TEST_HOST";

/// Not a test: what the other process does.
#[test]
fn other_process() {
    if let Some(path) = std::env::var_os(CARD) {
        let mut card = Card::create(Path::new(&path), &Options::default()).expect("a card");
        println!("\nready");
        let mut bytes = [0; 4096];
        loop {
            card.wait(Duration::from_secs(1));
            card.host();
            while let Some(request) = card.request().expect("in order") {
                card.answer(&request, request.address() ^ 1)
                    .expect("in order");
            }
            let got = card.input(&mut bytes).expect("in order");
            card.output(&bytes[..got]).expect("in order");
        }
    }
    if let Some(path) = std::env::var_os(HOST) {
        let mut host = Host::open(Path::new(&path), LONG).expect("opens");
        host.sender.send(b"hello", LONG).expect("sends");
        println!("\nready");
        std::thread::sleep(Duration::from_secs(600));
    }
}

struct Other(Child);

impl Other {
    fn start(variable: &str, path: &Path) -> Self {
        let itself = std::env::current_exe().expect("this test");
        let mut command = Command::new(itself);
        command
            .args(["--exact", "other_process", "--nocapture"])
            .env(variable, path);
        Self(command.stdout(Stdio::piped()).spawn().expect("starts"))
    }

    fn ready(mut self) -> Self {
        let output = BufReader::new(self.0.stdout.take().expect("piped"));
        let mut lines = output.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ready"), "the other process ended");
        self
    }

    /// SIGKILL: nothing is tidied up.
    fn kill(&mut self) {
        self.0.kill().expect("kills");
        self.0.wait().expect("ends");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_card_that_is_killed_is_noticed_and_another_takes_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("card");
    let mut other = Other::start(CARD, &path).ready();
    let mut host = Host::open(&path, LONG).expect("opens");
    assert_eq!(host.registers.read(6, LONG).expect("reads"), 7);
    host.sender.send(b"ping", LONG).expect("sends");
    let mut bytes = [0; 16];
    assert_eq!(
        host.receiver.receive(&mut bytes, LONG).expect("receives"),
        4
    );
    let Host {
        mut receiver,
        mut registers,
        ..
    } = host;
    let receiving = std::thread::spawn(move || {
        let result = receiver.receive(&mut [0; 8], LONG);
        (result, Instant::now())
    });
    std::thread::sleep(Duration::from_millis(20));
    let killed = Instant::now();
    other.kill();
    let (result, noticed) = receiving.join().expect("no panic");
    assert!(matches!(result, Err(ShmError::Gone { .. })), "{result:?}");
    // Seconds are for slow machines: without the notice it would be `LONG`.
    assert!(noticed - killed < LONG / 4);
    assert!(matches!(
        registers.read(0, LONG),
        Err(ShmError::Gone { .. })
    ));
    assert!(
        matches!(Host::open(&path, LONG), Err(ShmError::Gone { .. })),
        "nobody is there yet"
    );
    let _other = Other::start(CARD, &path).ready();
    let mut host = Host::open(&path, LONG).expect("opens");
    assert_eq!(host.registers.read(8, LONG).expect("reads"), 9);
}

#[test]
fn a_host_that_is_killed_makes_way_for_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("card");
    let mut card = Card::create(&path, &Options::default()).expect("a card");
    let mut other = Other::start(HOST, &path);
    let pid = other.0.id();
    let mut bytes = [0; 16];
    let mut got = 0;
    let since = Instant::now();
    while got == 0 {
        card.wait(Duration::from_millis(10));
        if let Some(change) = card.host() {
            assert_eq!(change, Change::Came { pid });
        }
        got = card.input(&mut bytes).expect("in order");
        assert!(since.elapsed() < LONG, "nobody came");
    }
    assert_eq!(&bytes[..got], b"hello");
    let error = Host::open(&path, LONG).err().expect("taken");
    assert!(
        matches!(error, ShmError::Busy { pid: by, .. } if by == pid),
        "{error}"
    );
    other.kill();
    let since = Instant::now();
    while card.host() != Some(Change::Left) {
        card.wait(Duration::from_millis(1));
        assert!(since.elapsed() < LONG, "its end is not noticed");
    }
    std::thread::scope(|threads| {
        let opening = threads.spawn(|| Host::open(&path, LONG).expect("free"));
        while !opening.is_finished() {
            card.wait(Duration::from_millis(1));
            card.host();
        }
        opening.join().expect("no panic");
    });
}
