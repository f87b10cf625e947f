//! A card tried from end to end: registers, memories, known answers, throughput.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use card_protocol::register;
use serde::Serialize;
use weir_engine::matcher::{Matcher, Probe, Request};

use crate::card::Card;
use crate::config::{Config, Policy};
use crate::error::OpenError;
use crate::health::{Counts, State};
use crate::identity::Identity;
use crate::link::{self, Link, LinkError, Registers};
use crate::status::IdentityStatus;

/// How long throughput is measured each way.
const MEASURED: Duration = Duration::from_millis(500);
/// How long a card may keep still.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a buffer that throughput is measured with: a packet's.
const BUFFER: usize = 1408;

/// A register that did not hold what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongRegister {
    /// Its byte offset.
    pub register: u32,
    /// What was written.
    pub written: u32,
    /// What was read.
    pub read: u32,
}

/// What came of the registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RegisterTest {
    /// Values that were written and read.
    pub values: u64,
    /// Those that were not read as they were written.
    pub wrong: Vec<WrongRegister>,
}

/// What came of one pattern in the tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemoryTest {
    /// Which.
    pub pattern: &'static str,
    /// Probes made of it.
    pub probes: usize,
    /// Those of them that fit into the tables.
    pub entries: usize,
    /// Known-answer records: every entry at every lane.
    pub known_answers: u64,
    /// Seconds for tables and answers.
    pub seconds: f64,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
}

/// How fast the card is, as this host sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Throughput {
    /// What was sent.
    pub of: &'static str,
    /// Bytes of buffers a second.
    pub buffer_bytes_per_second: f64,
    /// Bytes to the card a second.
    pub to_card_per_second: f64,
    /// Bytes from the card a second.
    pub from_card_per_second: f64,
    /// Buffers a second.
    pub buffers_per_second: f64,
    /// Buffers that software had to look through.
    pub rescanned: u64,
}

/// What came of it all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The card.
    pub device: String,
    /// Version of this program.
    pub driver: &'static str,
    /// What the card says it is.
    pub identity: IdentityStatus,
    /// Registers.
    pub registers: RegisterTest,
    /// Tables, pattern by pattern.
    pub memories: Vec<MemoryTest>,
    /// Throughput; empty when the card was not fit for it.
    pub throughput: Vec<Throughput>,
    /// What the driver counted.
    pub counters: Counts,
    /// Everything was right.
    pub passed: bool,
}

/// Tries the card at a path. Nobody else may use it meanwhile, and its tables are lost. `tell` hears what comes next: seconds over
/// shared memory or a bus, a minute over a FUSE file system.
///
/// # Errors
/// When it cannot be opened, or its registers cannot be accessed.
pub fn selftest(path: &Path, tell: &mut dyn FnMut(&str)) -> Result<Report, OpenError> {
    let name = path.display().to_string();
    let path = path.to_owned();
    let patience = Config::default().patience;
    of(name, move || link::open(&path, patience), tell)
}

/// The same, for a card that `open` opens.
///
/// # Errors
/// As [`selftest`].
pub fn of(
    name: String,
    mut open: impl FnMut() -> Result<Link, OpenError> + Send + 'static,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, OpenError> {
    tell("registers");
    let (identity, registers) = {
        let mut link = open()?;
        let identity = Identity::read(&name, &mut *link.registers)?;
        let registers = try_registers(&mut *link.registers).map_err(|error| OpenError::Link {
            name: name.clone(),
            error,
        })?;
        (identity, registers)
    };
    let config = Config {
        policy: Policy::Card,
        thorough: true,
        known_every: 0,
        scrub: 0,
        // It is to be right; how fast it is is measured.
        deadline: PATIENCE,
        patience: PATIENCE,
        room_bytes: 1 << 20,
        load_wait: Duration::from_secs(600),
        ..Config::default()
    };
    let card = Card::start(name.clone(), open, config)?;
    let slots = identity.geometry.slots();
    let mut memories = Vec::new();
    for (pattern, make) in PATTERNS {
        let probes = distinct(make, slots);
        tell(&format!("tables: {pattern}, {} probes", probes.len()));
        memories.push(try_tables(&card, pattern, &probes));
    }
    let mut throughput = Vec::new();
    if memories.iter().all(|test| test.wrong.is_none()) {
        tell("throughput");
        let probes: Vec<Probe> = Probe::new(b"\x01\x02\x03\x04", false, 1)
            .into_iter()
            .collect();
        let quiet = vec![0; BUFFER];
        throughput.extend(measure(&card, "buffers without hits", &probes, &quiet));
        // Each of them reports all of its probes.
        let many = distinct(|n| vec![0xF0, n as u8, (n >> 8) as u8, 0x0F], BUFFER / 4);
        let dense: Vec<u8> = many
            .iter()
            .flat_map(|probe| probe.bytes().to_vec())
            .collect();
        throughput.extend(measure(&card, "buffers full of hits", &many, &dense));
    }
    let counters = card.counts();
    let passed = registers.wrong.is_empty()
        && throughput.len() == 2
        && throughput.iter().all(|test| test.rescanned == 0)
        && card.state().0 == State::Healthy;
    Ok(Report {
        device: name,
        driver: env!("CARGO_PKG_VERSION"),
        identity: identity.into(),
        registers,
        memories,
        throughput,
        counters,
        passed,
    })
}

/// A text for each number.
type Pattern = fn(usize) -> Vec<u8>;

/// Patterns that walk through the bits of keys, each with its opposite: a text for each number.
const PATTERNS: [(&str, Pattern); 4] = [
    ("walking ones", walking),
    ("walking zeros", |n| {
        walking(n).iter().map(|byte| !byte).collect()
    }),
    ("scattered", scattered),
    ("all lengths", |n| {
        let mut text = scattered(n);
        text.truncate(1 + n % 8);
        text
    }),
];

/// One bit of 64, and the number in bits that move on.
fn walking(n: usize) -> Vec<u8> {
    let bit = 1u64 << (n % 64);
    let number = (n as u64 / 64).rotate_left((n as u32 + 17) % 64);
    (bit ^ number).to_le_bytes().to_vec()
}

/// As if at random.
fn scattered(n: usize) -> Vec<u8> {
    let mut bits = (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits ^ bits >> 27).to_le_bytes().to_vec()
}

/// Nine in ten of so many distinct probes, in groups that walk, too.
fn distinct(make: impl Fn(usize) -> Vec<u8>, slots: usize) -> Vec<Probe> {
    let mut seen = HashSet::new();
    (0..slots)
        .map(|n| (n, make(n)))
        .filter(|(_, text)| seen.insert(text.clone()))
        .filter_map(|(n, text)| Probe::new(&text, false, 1 << (n / 512 % 64)))
        .take(slots / 10 * 9)
        .collect()
}

/// Writes patterns to all registers that hold what is written.
fn try_registers(registers: &mut dyn Registers) -> Result<RegisterTest, LinkError> {
    let mut test = RegisterTest::default();
    registers.write(&[(register::CONTROL, register::CONTROL_FLUSH)])?;
    let held = [
        (register::NONCE, 32),
        (register::GENERATION_EVEN, 17),
        (register::GENERATION_ODD, 17),
        (register::LIMIT, 16),
        (register::LINGER, 16),
    ];
    for (address, bits) in held {
        let mask = u32::MAX >> (32 - bits);
        let ones = (0..bits).map(|bit| 1 << bit);
        let zeros = (0..bits).map(|bit| mask & !(1 << bit));
        for written in ones.chain(zeros).chain([0, mask, 0x5555_5555 & mask, 0]) {
            registers.write(&[(address, written)])?;
            let read = registers.read(address)?;
            test.values += 1;
            if read != written {
                test.wrong.push(WrongRegister {
                    register: address,
                    written,
                    read,
                });
            }
        }
    }
    Ok(test)
}

/// Loads probes, which has every entry asked for at every lane.
fn try_tables(card: &Card, pattern: &'static str, probes: &[Probe]) -> MemoryTest {
    let start = Instant::now();
    let before = card.counts();
    let mut port = card.port();
    let loaded = port.load(probes);
    let status = card.status();
    let in_use = status.tables.filter(|tables| tables.probes == probes.len());
    let wrong = match (loaded, &in_use) {
        (Err(error), _) => Some(error.to_string()),
        (Ok(()), None) => Some(
            // What came after it failed may have other words.
            status
                .history
                .iter()
                .rev()
                .find(|change| change.state == State::Failed)
                .map_or(status.reason, |change| change.reason.clone()),
        ),
        (Ok(()), Some(_)) => None,
    };
    MemoryTest {
        pattern,
        probes: probes.len(),
        entries: in_use.map_or(0, |tables| tables.probes - tables.software),
        known_answers: card.counts().known_answers - before.known_answers,
        seconds: start.elapsed().as_secs_f64(),
        wrong,
    }
}

/// Has the card look through a buffer again and again.
fn measure(card: &Card, of: &'static str, probes: &[Probe], data: &[u8]) -> Option<Throughput> {
    let mut port = card.port();
    port.load(probes).ok()?;
    let before = (card.counts(), card.status().session_bytes);
    let (start, mut submitted, mut answered) = (Instant::now(), 0, 0);
    let mut heard = start;
    while start.elapsed() < MEASURED || answered < submitted {
        if start.elapsed() < MEASURED {
            let request = Request {
                tag: submitted,
                group: 0,
                carry: 0,
                data,
            };
            match port.submit(request) {
                Ok(()) => submitted += 1,
                Err(_) => answered += port.poll(&mut |_| {}) as u64,
            }
            if submitted % 64 == 0 {
                answered += port.poll(&mut |_| {}) as u64;
            }
            heard = Instant::now();
        } else {
            port.flush();
            let now = port.poll(&mut |_| {}) as u64;
            answered += now;
            if now > 0 {
                heard = Instant::now();
            } else if heard.elapsed() > 2 * PATIENCE {
                return None;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let after = card.status().session_bytes;
    drop(port);
    let a_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
    Some(Throughput {
        of,
        buffer_bytes_per_second: a_second(0, answered * data.len() as u64),
        to_card_per_second: a_second(before.1[0], after[0]),
        from_card_per_second: a_second(before.1[1], after[1]),
        buffers_per_second: a_second(0, answered),
        rescanned: card.counts().rescanned - before.0.rescanned,
    })
}
