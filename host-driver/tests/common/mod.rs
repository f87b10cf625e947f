//! A card in this process: the golden model behind a link that can be told to misbehave.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use card_protocol::register;
use weir_driver::link::{Link, LinkError, Receiver, Registers, Sender};
use weir_driver::{Config, OpenError, Policy};
use weir_tables::{Geometry, Golden, Write};

/// What befalls the card, or what goes to it and comes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes to the card from here on, so many, do not arrive.
    DropUp(usize, usize),
    /// Bytes to the card arrive twice.
    DoubleUp(usize, usize),
    /// A bit of a byte to the card is flipped.
    FlipUp(usize),
    /// What is sent at once to the card ends early.
    CutUp(usize),
    /// Bytes from the card do not arrive.
    DropDown(usize, usize),
    /// Bytes from the card arrive twice.
    DoubleDown(usize, usize),
    /// A bit of a byte from the card is flipped.
    FlipDown(usize),
    /// What comes from the card at once ends early.
    CutDown(usize),
    /// The card takes so long before it goes on.
    Delay(Duration),
    /// The card takes nothing for so long, and calls to it hang.
    Stall(Duration),
    /// The card's registers are as after a reset; what was under way is dropped.
    Reset,
    /// The card is gone, and stays away for so long.
    Die(Duration),
    /// The same, and it comes back with another interface version, so often.
    Version(u32),
    /// A bit of a table word is flipped.
    FlipTable(usize, u32),
    /// All registers read as ones, for so long.
    Ones(Duration),
}

pub struct Sim {
    pub golden: Golden,
    geometry: Geometry,
    /// Table words as they were written last.
    pub words: BTreeMap<(u32, u32), u32>,
    select: u32,
    address: u32,
    check: u32,
    out: Vec<u8>,
    /// Number of the connection that is open.
    connection: u64,
    dead_until: Option<Instant>,
    stalled_until: Option<Instant>,
    ones_until: Option<Instant>,
    /// So many openings more find another version.
    foreign: u32,
    pub pending: Vec<Fault>,
    /// Faults that have happened.
    pub done: usize,
    pub opened: usize,
    /// The most bytes that were sent at once.
    pub largest: usize,
    /// A table word that stays zero: which memory, and which address.
    pub stuck: Option<(u32, u32)>,
    /// Nothing is processed while this is set, but all is taken.
    pub held: bool,
    hold: Vec<u8>,
}

#[derive(Clone)]
pub struct Rig(Arc<(Mutex<Sim>, Condvar)>);

struct End {
    rig: Rig,
    connection: u64,
}

impl Rig {
    pub fn new(geometry: Geometry) -> Self {
        let sim = Sim {
            golden: Golden::new(geometry),
            geometry,
            words: BTreeMap::new(),
            select: 0,
            address: 0,
            check: 0,
            out: Vec::new(),
            connection: 0,
            dead_until: None,
            stalled_until: None,
            ones_until: None,
            foreign: 0,
            pending: Vec::new(),
            done: 0,
            opened: 0,
            largest: 0,
            stuck: None,
            held: false,
            hold: Vec::new(),
        };
        Self(Arc::new((Mutex::new(sim), Condvar::new())))
    }

    pub fn lock(&self) -> MutexGuard<'_, Sim> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a fault happen with what is sent next; some happen now.
    pub fn fault(&self, fault: Fault) {
        let mut sim = self.lock();
        let until = |time| Some(Instant::now() + time);
        match fault {
            Fault::Die(time) => {
                sim.dead_until = until(time);
                sim.reset(true);
            }
            Fault::Version(times) => {
                sim.dead_until = Some(Instant::now());
                sim.connection += 1;
                sim.foreign = times;
            }
            Fault::Ones(time) => sim.ones_until = until(time),
            Fault::Stall(time) => sim.stalled_until = until(time),
            Fault::Reset => sim.reset(false),
            Fault::FlipTable(at, bit) => sim.flip(at, bit),
            fault => {
                sim.pending.push(fault);
                return;
            }
        }
        sim.done += 1;
        self.0.1.notify_all();
    }

    /// Bytes and records that are held.
    pub fn held(&self) -> (usize, usize) {
        let sim = self.lock();
        let magic = card_protocol::record::MAGIC.to_le_bytes();
        let beats = sim.hold.chunks(sim.geometry.lanes);
        let records = beats.filter(|beat| beat.starts_with(&magic)).count();
        (sim.hold.len(), records)
    }

    /// Puts all table words back as the host wrote them.
    pub fn mend(&self) {
        let mut sim = self.lock();
        let Sim { golden, words, .. } = &mut *sim;
        for (&(select, address), &data) in &*words {
            golden.table(Write {
                select,
                address,
                data,
            });
        }
    }

    /// Lets go on what was held.
    pub fn release(&self) {
        let mut sim = self.lock();
        sim.held = false;
        let bytes = std::mem::take(&mut sim.hold);
        sim.take(&bytes);
        self.0.1.notify_all();
    }

    pub fn opener(&self) -> impl FnMut() -> Result<Link, OpenError> + Send + 'static {
        let rig = self.clone();
        move || rig.open()
    }

    fn open(&self) -> Result<Link, OpenError> {
        let mut sim = self.lock();
        if sim.dead_until.is_some_and(|until| Instant::now() < until) {
            return Err(OpenError::NoNodes {
                path: "here".into(),
            });
        }
        sim.dead_until = None;
        sim.connection += 1;
        sim.opened += 1;
        sim.out.clear();
        let connection = sim.connection;
        let end = || End {
            rig: self.clone(),
            connection,
        };
        Ok(Link {
            name: "rig".to_owned(),
            registers: Box::new(end()),
            sender: Box::new(end()),
            receiver: Box::new(end()),
        })
    }
}

impl Sim {
    fn reset(&mut self, memories: bool) {
        if memories {
            self.golden = Golden::new(self.geometry);
            self.words.clear();
            self.connection += 1;
        } else {
            self.golden.reset();
        }
        self.out.clear();
    }

    fn flip(&mut self, at: usize, bit: u32) {
        let at = at % self.words.len().max(1);
        let Some((&(select, address), &data)) = self.words.iter().nth(at) else {
            return;
        };
        // Past the registers: what the host wrote stays what it wrote.
        self.golden.table(Write {
            data: data ^ 1 << (bit % 32),
            select,
            address,
        });
    }

    fn register(&mut self, address: u32, value: u32) {
        match address {
            register::TABLE_SELECT => self.select = value,
            register::TABLE_ADDRESS => self.address = value,
            register::TABLE_CHECK => self.check = 0,
            register::TABLE_DATA => {
                let write = Write {
                    select: self.select,
                    address: self.address,
                    data: value,
                };
                self.address = self.address.wrapping_add(1);
                self.check =
                    card_protocol::table_check(self.check, write.select, write.address, value);
                let place = (write.select, write.address);
                if value == 0 {
                    self.words.remove(&place);
                } else {
                    self.words.insert(place, value);
                }
            }
            register::CONTROL if value & register::CONTROL_FLUSH != 0 => self.out.clear(),
            _ => {}
        }
        let stuck = address == register::TABLE_DATA
            && self.stuck == Some((self.select, self.address.wrapping_sub(1)));
        self.golden.write(address, if stuck { 0 } else { value });
    }

    fn read(&self, address: u32) -> u32 {
        if self.ones_until.is_some_and(|until| Instant::now() < until) {
            return u32::MAX;
        }
        match address {
            register::INTERFACE if self.foreign > 0 => register::INTERFACE_VALUE + 7,
            register::TABLE_CHECK => self.check,
            address => self.golden.read(address),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let whole = bytes.len() / self.geometry.lanes * self.geometry.lanes;
        let mut out = Vec::new();
        self.golden.feed(&bytes[..whole], &mut out);
        let mut kept = Vec::new();
        for fault in std::mem::take(&mut self.pending) {
            match fault {
                _ if out.is_empty() => kept.push(fault),
                Fault::DropDown(at, many) => drop_part(&mut out, at, many),
                Fault::DoubleDown(at, many) => double_part(&mut out, at, many),
                Fault::FlipDown(at) => flip_bit(&mut out, at),
                Fault::CutDown(at) => out.truncate(at % out.len()),
                other => {
                    kept.push(other);
                    continue;
                }
            }
            if !kept.last().is_some_and(|&last| last == fault) {
                self.done += 1;
            }
        }
        self.pending = kept;
        self.out.extend_from_slice(&out);
    }
}

fn part(bytes: &[u8], at: usize, many: usize) -> std::ops::Range<usize> {
    // Whole beats of the widest card, so that the stream stays one of beats.
    let at = at % bytes.len() / 64 * 64;
    at..(at + many.next_multiple_of(64)).min(bytes.len())
}

fn drop_part(bytes: &mut Vec<u8>, at: usize, many: usize) {
    bytes.drain(part(bytes, at, many));
}

fn double_part(bytes: &mut Vec<u8>, at: usize, many: usize) {
    let part = part(bytes, at, many);
    let copy = bytes[part.clone()].to_vec();
    bytes.splice(part.start..part.start, copy);
}

fn flip_bit(bytes: &mut [u8], at: usize) {
    let length = bytes.len();
    bytes[at / 8 % length] ^= 1 << (at % 8);
}

impl End {
    fn sim(&self, what: &'static str) -> Result<MutexGuard<'_, Sim>, LinkError> {
        let mut sim = self.rig.lock();
        loop {
            if sim.connection != self.connection {
                return Err(LinkError::Gone { what });
            }
            let now = Instant::now();
            match sim.stalled_until {
                Some(until) if now < until => {
                    let wait = self.rig.0.1.wait_timeout(sim, until - now);
                    sim = wait.unwrap_or_else(PoisonError::into_inner).0;
                }
                _ => return Ok(sim),
            }
        }
    }
}

impl Registers for End {
    fn read(&mut self, address: u32) -> Result<u32, LinkError> {
        let mut sim = self.sim("reading a register")?;
        let value = sim.read(address);
        if address == register::INTERFACE && sim.foreign > 0 {
            sim.foreign -= 1;
        }
        Ok(value)
    }

    fn write(&mut self, writes: &[(u32, u32)]) -> Result<(), LinkError> {
        let mut sim = self.sim("writing registers")?;
        for &(address, value) in writes {
            sim.register(address, value);
        }
        Ok(())
    }
}

impl Sender for End {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let mut sim = self.sim("sending records")?;
        sim.largest = sim.largest.max(bytes.len());
        let mut bytes = bytes.to_vec();
        for fault in std::mem::take(&mut sim.pending) {
            match fault {
                // What there was is dropped already.
                fault if bytes.is_empty() => {
                    sim.pending.push(fault);
                    continue;
                }
                Fault::DropUp(at, many) => drop_part(&mut bytes, at, many),
                Fault::DoubleUp(at, many) => double_part(&mut bytes, at, many),
                Fault::FlipUp(at) => flip_bit(&mut bytes, at),
                Fault::CutUp(at) => bytes.truncate(at % bytes.len()),
                Fault::Delay(time) => {
                    drop(sim);
                    std::thread::sleep(time);
                    sim = self.sim("sending records")?;
                }
                down => {
                    sim.pending.push(down);
                    continue;
                }
            }
            sim.done += 1;
        }
        if sim.held {
            sim.hold.extend_from_slice(&bytes);
        } else {
            sim.take(&bytes);
        }
        drop(sim);
        self.rig.0.1.notify_all();
        Ok(())
    }
}

impl Receiver for End {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let mut sim = self.sim("receiving reports")?;
        if sim.out.is_empty() {
            let wait = self.rig.0.1.wait_timeout(sim, Duration::from_millis(5));
            sim = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        if sim.connection != self.connection {
            return Err(LinkError::Gone {
                what: "receiving reports",
            });
        }
        let got = sim.out.len().min(into.len());
        for (to, from) in into.iter_mut().zip(sim.out.drain(..got)) {
            *to = from;
        }
        Ok(got)
    }
}

/// Settings for tests: the card alone, small buffers, fast recovery, and deadlines that a busy machine keeps.
pub fn config() -> Config {
    Config {
        staging: 4096,
        room_bytes: 64 << 10,
        deadline: Duration::from_millis(300),
        known_every: 8,
        known_bytes: 512,
        backoff: (Duration::from_millis(1), Duration::from_millis(20)),
        watch: Duration::from_millis(5),
        patience: Duration::from_secs(5),
        policy: Policy::Card,
        seed: Some(1),
        ..Config::default()
    }
}
