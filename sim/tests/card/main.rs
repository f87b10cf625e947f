//! The simulated card, by its ways: what it answers is what the golden model answers, and each fault does what it says.

mod faults;
mod nodes;
mod process;
mod remote;

use std::path::PathBuf;
use std::time::Duration;

use weir_engine::matcher::Probe;
use weir_sim::card::{Config, SimCard};
use weir_sim::core::Core;
use weir_sim::{Answer, Modelled, Session};
use weir_tables::{Geometry, Key, Loaded, Size, entries};

/// Longer than anything takes: who waits for it has failed.
const LONG: Duration = Duration::from_secs(20);
/// Calls of [`Core::run`] without an answer, in cycles of the session.
const PATIENCE: u64 = 4096 * 200;
const NONCE: u32 = 0xABCD_0001;
const GENERATION: u16 = 6;

fn geometry() -> Geometry {
    Geometry::new(64, Size::Compact)
}

fn config() -> Config {
    Config {
        geometry: geometry(),
        patience: Duration::from_millis(300),
        ..Config::default()
    }
}

/// Literals of all lengths, in two groups.
fn probes() -> Vec<Probe> {
    let words = [
        "q", "zz", "Cat", "/etc", "shell", "passwd", "cmd.exe", "SELECT *", "x-forged", "%u9090",
    ];
    let probes = words.iter().zip(0u64..).map(|(word, index)| {
        Probe::new(word.as_bytes(), index % 3 == 0, 1 << (index % 2)).expect("1 to 8 bytes")
    });
    probes.collect()
}

fn tables() -> Loaded {
    let list = entries(&probes());
    Loaded::build(geometry(), Key::from_seed(3), &list, GENERATION)
        .expect("ten fit")
        .0
}

/// A payload with some of the literals in it.
fn payload(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let words = [
        "q", "zz", "cat", "/etc", "shell", "PASSWD", "cmd.exe", "SELECT *", "x-forged", "%u9090",
    ];
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(0..40) {
        match rng.u8(..) % 3 {
            0 => bytes.extend_from_slice(words[rng.usize(..words.len())].as_bytes()),
            1 => bytes.extend((0..rng.usize(0..30)).map(|_| rng.alphabetic() as u8)),
            _ => bytes.extend((0..rng.usize(0..30)).map(|_| rng.u8(..))),
        }
    }
    bytes
}

/// What a core answers to many payloads, with new tables.
fn answers(mut core: Box<dyn Core>, count: u64) -> Vec<Answer> {
    core.flush().expect("numbers of units start at 0");
    let mut session = Session::start(core, NONCE, 1000).expect("starts");
    session.load(&tables(), false).expect("loads");
    let mut answers = Vec::new();
    for seed in 0..count {
        let payload = payload(seed);
        let carry = (seed % 8).min(payload.len() as u64) as u8;
        session
            .send(&payload, (seed % 2) as u8, carry, GENERATION)
            .expect("well formed");
        if seed % 50 == 49 || seed + 1 == count {
            session
                .wait(seed as usize + 1 - answers.len(), PATIENCE)
                .expect("answers");
            answers.extend(std::iter::from_fn(|| session.answer()));
        }
    }
    answers
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    Place {
        path: folder.path().join("card"),
        _folder: folder,
    }
}

#[test]
fn answers_over_shared_memory_are_the_models() {
    let place = place();
    let card = SimCard::start(&place.path, &config()).expect("a card");
    let count = 500;
    let expected = answers(Box::new(Modelled::new(geometry())), count);
    assert!(
        expected
            .iter()
            .map(|answer| answer.hits.len())
            .sum::<usize>()
            > 500,
        "hits to compare"
    );
    let host = remote::Remote::shm(&place.path, geometry());
    assert_eq!(answers(Box::new(host), count), expected);
    // A host that comes after it finds the card as it was left, and uses it anew.
    let host = remote::Remote::shm(&place.path, geometry());
    assert_eq!(answers(Box::new(host), count), expected);
    card.stop().expect("no error");
}
