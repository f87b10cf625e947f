//! The host's end, in three parts for three threads.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::card::ring_bell;
use crate::error::ShmError;
use crate::layout::{self, Sizes};
use crate::lock;
use crate::map::Map;
use crate::ring::{Consumer, Producer};
use crate::wait::{Patience, until_changed};

/// Bytes of a request and of an answer: four words; number, kind, address, value; number, 0, value, 0.
pub(crate) const ENTRY: usize = 16;
/// Kinds of requests: a read, a write, a write that is to be answered.
pub(crate) const READ: u32 = 0;
pub(crate) const WRITE: u32 = 1;
pub(crate) const WRITE_ANSWERED: u32 = 2;

pub(crate) fn entry(fields: [u32; 4]) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    for (bytes, field) in entry.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *bytes = field.to_ne_bytes();
    }
    entry
}

pub(crate) fn fields(entry: &[u8; ENTRY]) -> [u32; 4] {
    let [one, two, three, four, ..] = entry.as_chunks::<4>().0 else {
        return [0; 4];
    };
    [one, two, three, four].map(|&bytes| u32::from_ne_bytes(bytes))
}

/// An open card. Its parts may go to different threads; the card is free again when the last one is dropped.
pub struct Host {
    /// Registers.
    pub registers: Registers,
    /// To the card.
    pub sender: Sender,
    /// From the card.
    pub receiver: Receiver,
}

/// What the parts share.
struct Shared {
    map: Arc<Map>,
    /// Its lock says that the host lives.
    file: File,
    session: u32,
}

impl Shared {
    fn word(&self, at: usize) -> u32 {
        self.map.word(at).load(Ordering::SeqCst)
    }

    /// False when the card has closed its end, or serves somebody else.
    fn open(&self) -> bool {
        self.word(layout::CARD_STATE) == layout::OPEN
            && self.word(layout::CARD_SESSION) == self.session
    }

    /// False when the card has closed its end, or died.
    fn lives(&self) -> bool {
        self.word(layout::CARD_STATE) == layout::OPEN && lock::held(&self.file, lock::CARD)
    }

    /// Sleeps until the first of a ring's `places` is no longer `seen`, for a slice of what is left of `patience`.
    fn sleep(
        &self,
        places: [usize; 3],
        seen: u32,
        patience: &Patience,
        what: &'static str,
    ) -> Result<(), ShmError> {
        let slice = patience.slice().ok_or(ShmError::TimedOut { what })?;
        let [word, _, sleeps] = places.map(|at| self.map.word(at));
        until_changed(word, seen, sleeps, slice);
        // What the card did before it went is taken first.
        let same = word.load(Ordering::SeqCst) == seen;
        if same && !(self.open() && self.lives()) {
            return Err(ShmError::Gone { what });
        }
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.map
            .word(layout::HOST_STATE)
            .store(layout::CLOSED, Ordering::SeqCst);
        ring_bell(&self.map);
    }
}

impl Host {
    /// Opens a card; `patience` is for the card to notice.
    ///
    /// # Errors
    ///
    /// When there is none, it may not be opened, another process uses it, or it does not answer.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, ShmError> {
        let what = "opening the card";
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path);
        let file = file.map_err(ShmError::io(path, "cannot be opened"))?;
        let length = file
            .metadata()
            .map_err(ShmError::io(path, "cannot be looked at"))?
            .len();
        if length < layout::HEADER as u64 {
            return Err(ShmError::Foreign {
                path: path.to_owned(),
                what: "length of the file",
                got: length,
                expected: format!("at least {}", layout::HEADER),
            });
        }
        let head = Map::new(&file, layout::HEADER);
        let head = head.map_err(ShmError::io(path, "cannot be mapped"))?;
        let sizes = Sizes::read(&head, length, path)?;
        let word = |at: usize| head.word(at).load(Ordering::SeqCst);
        if word(layout::CARD_STATE) != layout::OPEN || !lock::held(&file, lock::CARD) {
            return Err(ShmError::Gone { what });
        }
        if !lock::take(&file, lock::HOST).map_err(ShmError::io(path, "cannot be locked"))? {
            return Err(ShmError::Busy {
                path: path.to_owned(),
                pid: word(layout::HOST_PID),
            });
        }
        let map =
            Map::new(&file, sizes.length()).map_err(ShmError::io(path, "cannot be mapped"))?;
        let map = Arc::new(map);
        // Another one than the last, and never 0, which is none.
        let session = word(layout::HOST_SESSION).wrapping_add(1).max(1);
        let before = word(layout::CARD_SESSION);
        map.word(layout::HOST_PID)
            .store(std::process::id(), Ordering::SeqCst);
        map.word(layout::HOST_STATE)
            .store(layout::OPEN, Ordering::SeqCst);
        map.word(layout::HOST_SESSION)
            .store(session, Ordering::SeqCst);
        let shared = Arc::new(Shared { map, file, session });
        let map = &shared.map;
        ring_bell(map);
        let patience = Patience::new(patience);
        let [_, _, sleeps] = layout::words(layout::ANSWERS);
        while !shared.open() {
            let slice = patience.slice().ok_or(ShmError::TimedOut { what })?;
            let (served, sleeps) = (map.word(layout::CARD_SESSION), map.word(sleeps));
            until_changed(served, before, sleeps, slice);
            if !shared.lives() {
                return Err(ShmError::Gone { what });
            }
        }
        Ok(Self {
            registers: Registers {
                requests: Producer::new(map, &sizes, layout::REQUESTS),
                answers: Consumer::new(map, &sizes, layout::ANSWERS),
                shared: Arc::clone(&shared),
                number: 0,
                batch: Vec::new(),
            },
            sender: Sender {
                ring: Producer::new(map, &sizes, layout::TO_CARD),
                shared: Arc::clone(&shared),
            },
            receiver: Receiver {
                ring: Consumer::new(map, &sizes, layout::TO_HOST),
                shared,
            },
        })
    }
}

/// Puts all bytes in, in steps of `step`; `patience` is for the card to take some.
fn send(
    shared: &Shared,
    ring: &mut Producer,
    mut bytes: &[u8],
    step: usize,
    patience: Duration,
    what: &'static str,
) -> Result<(), ShmError> {
    let mut patience = Patience::new(patience);
    while !bytes.is_empty() {
        if !shared.open() {
            return Err(ShmError::Gone { what });
        }
        let seen = ring.taken();
        let put = ring.push(bytes, step)?;
        if put == 0 {
            shared.sleep(ring.places(), seen, &patience, what)?;
            continue;
        }
        ring_bell(&shared.map);
        patience.renew();
        bytes = bytes.get(put..).unwrap_or_default();
    }
    Ok(())
}

/// The card's registers.
pub struct Registers {
    shared: Arc<Shared>,
    requests: Producer,
    answers: Consumer,
    number: u32,
    batch: Vec<u8>,
}

impl Registers {
    /// Reads a register. `patience` is how long the card may do nothing at all.
    ///
    /// # Errors
    ///
    /// When the card does not answer, or is gone.
    pub fn read(&mut self, address: u32, patience: Duration) -> Result<u32, ShmError> {
        let what = "reading a register";
        self.batch.clear();
        self.post([READ, address, 0]);
        self.send(patience, what)
    }

    /// Writes registers, in order; returns when the last was written.
    ///
    /// # Errors
    ///
    /// As [`Registers::read`]; some were written then, or none.
    pub fn write(&mut self, writes: &[(u32, u32)], patience: Duration) -> Result<(), ShmError> {
        let Some((&(address, value), before)) = writes.split_last() else {
            return Ok(());
        };
        self.batch.clear();
        for &(address, value) in before {
            self.post([WRITE, address, value]);
        }
        self.post([WRITE_ANSWERED, address, value]);
        self.send(patience, "writing registers").map(drop)
    }

    fn post(&mut self, [kind, address, value]: [u32; 3]) {
        self.number = self.number.wrapping_add(1);
        let entry = entry([self.number, kind, address, value]);
        self.batch.extend_from_slice(&entry);
    }

    /// Sends the batch and waits for the answer to its last request.
    fn send(&mut self, patience: Duration, what: &'static str) -> Result<u32, ShmError> {
        let Self {
            shared,
            requests,
            answers,
            number,
            batch,
        } = self;
        send(shared, requests, batch, ENTRY, patience, what)?;
        let mut patience = Patience::new(patience);
        let mut taken = requests.taken();
        let mut got = [0; ENTRY];
        loop {
            let seen = answers.put();
            while answers.pull(&mut got, ENTRY)? > 0 {
                ring_bell(&shared.map);
                let [answered, _, value, _] = fields(&got);
                // Those of requests that were given up come first.
                if answered == *number {
                    return Ok(value);
                }
            }
            shared.sleep(answers.places(), seen, &patience, what)?;
            if requests.taken() != taken {
                taken = requests.taken();
                patience.renew();
            }
        }
    }
}

/// The stream to the card.
pub struct Sender {
    shared: Arc<Shared>,
    ring: Producer,
}

impl Sender {
    /// Sends bytes; returns when all are in the ring. `patience` is how long the card may take none.
    ///
    /// # Errors
    ///
    /// When the card takes nothing, or is gone; some bytes were sent then, or none.
    pub fn send(&mut self, bytes: &[u8], patience: Duration) -> Result<(), ShmError> {
        let what = "sending to the card";
        send(&self.shared, &mut self.ring, bytes, 1, patience, what)
    }

    /// Bytes that the card has not taken yet.
    ///
    /// # Errors
    ///
    /// When the card is out of order.
    pub fn pending(&self) -> Result<usize, ShmError> {
        self.ring.used()
    }
}

/// The stream from the card.
pub struct Receiver {
    shared: Arc<Shared>,
    ring: Consumer,
}

impl Receiver {
    /// Waits for bytes, takes as many as there are, and returns how many; 0 when none came for so long.
    ///
    /// # Errors
    ///
    /// When the card is gone; what it sent before is taken first.
    pub fn receive(&mut self, into: &mut [u8], patience: Duration) -> Result<usize, ShmError> {
        let patience = Patience::new(patience);
        loop {
            let seen = self.ring.put();
            let got = self.ring.pull(into, 1)?;
            if got > 0 || into.is_empty() {
                ring_bell(&self.shared.map);
                return Ok(got);
            }
            match self.shared.sleep(
                self.ring.places(),
                seen,
                &patience,
                "receiving from the card",
            ) {
                Err(ShmError::TimedOut { .. }) => return Ok(0),
                result => result?,
            }
        }
    }
}
