//! The card's thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use card_shm::{Card, Change, Request};

use super::board::Board;
use super::faults::Faults;
use super::jobs::{Jobs, Register};
use super::{CardError, Config, Death};
use crate::core::Access;

/// Bytes that are taken at a time.
const CHUNK: usize = 1 << 16;
/// The card looks around so often when nothing happens.
const IDLE: Duration = Duration::from_millis(200);
/// Register accesses that are made at a time.
const BATCH: usize = 4096;
/// Bytes of reports that wait for a reader of a node.
const UNREAD: usize = 1 << 18;

/// Why a card ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped.
    Stopped,
    /// It died by a fault.
    Died,
}

/// The ways to a card; one of them at least.
pub(crate) struct Ways {
    pub(crate) shm: Option<Card>,
    pub(crate) nodes: Option<Arc<Jobs>>,
}

impl Ways {
    /// What wakes the card.
    fn waker(&self) -> impl Fn() + Clone + Send + Sync + use<> {
        let shm = self.shm.as_ref().map(Card::waker);
        let nodes = self.nodes.clone();
        move || match (&shm, &nodes) {
            (Some(shm), _) => shm.wake(),
            (None, Some(nodes)) => nodes.nudge(),
            (None, None) => {}
        }
    }
}

/// A simulated card in a thread of its own.
pub struct SimCard {
    faults: Faults,
    stop: Arc<AtomicBool>,
    wake: Arc<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<Result<Ended, CardError>>>,
}

impl SimCard {
    /// A card over shared memory at `path`, in place of one that died there.
    ///
    /// # Errors
    ///
    /// When the core cannot be made, or the shared memory; when one lives there.
    pub fn start(path: &Path, config: &Config) -> Result<Self, CardError> {
        let shm = Some(Card::create(path, &config.rings)?);
        Self::run(Ways { shm, nodes: None }, config)
    }

    pub(crate) fn run(ways: Ways, config: &Config) -> Result<Self, CardError> {
        let faults = Faults::default();
        for &fault in &config.faults {
            super::control::check(&fault, config.engine)?;
            faults.add(fault);
        }
        let core = config
            .engine
            .core(config.geometry, crate::verilator::Trace::None)?;
        let board = Board::new(core, faults.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, wake, death) = (Arc::clone(&stop), Arc::new(ways.waker()), config.death);
        let mut server = Server {
            board,
            ways,
            death,
            bytes: vec![0; CHUNK],
            requests: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("card".to_owned());
        let thread = thread.spawn(move || {
            let ended = server.serve(&stopped);
            if let Some(nodes) = &server.ways.nodes {
                nodes.close();
            }
            ended
        });
        Ok(Self {
            faults,
            stop,
            wake,
            thread: Some(thread.map_err(CardError::file("card", "no thread"))?),
        })
    }

    /// What is to go wrong, and what did.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Lets the card look at its faults, which it does by itself now and then.
    pub fn nudge(&self) {
        (self.wake)();
    }

    /// What [`SimCard::nudge`] does, for others.
    pub(crate) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        Arc::clone(&self.wake)
    }

    /// True when it has died by a fault, or broke off.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the card and says how it ended.
    ///
    /// # Errors
    ///
    /// Why it broke off.
    pub fn stop(mut self) -> Result<Ended, CardError> {
        self.end()
    }

    fn end(&mut self) -> Result<Ended, CardError> {
        self.stop.store(true, Ordering::SeqCst);
        (self.wake)();
        let thread = self.thread.take();
        thread.map_or(Ok(Ended::Stopped), |thread| {
            thread.join().unwrap_or(Err(CardError::Panicked))
        })
    }
}

impl Drop for SimCard {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("the simulated card ended: {error}");
        }
    }
}

struct Server {
    board: Board,
    ways: Ways,
    death: Death,
    bytes: Vec<u8>,
    requests: Vec<Request>,
}

impl Server {
    fn serve(&mut self, stop: &AtomicBool) -> Result<Ended, CardError> {
        while !stop.load(Ordering::SeqCst) {
            let mut busy = self.host();
            busy |= self.registers()?;
            busy |= self.input();
            busy |= self.board.advance()?;
            if self.board.died() {
                if self.death == Death::Abort {
                    std::process::abort();
                }
                return Ok(Ended::Died);
            }
            busy |= self.output();
            let expires = self.ways.nodes.as_ref().and_then(|nodes| nodes.expire());
            if !busy {
                let pauses = [Some(IDLE), self.board.pause(), expires];
                let most = pauses.into_iter().flatten().min().unwrap_or(IDLE);
                // Never none at all: what is due is done at the next look.
                self.wait(most.max(Duration::from_micros(50)));
            }
        }
        Ok(Ended::Stopped)
    }

    fn wait(&mut self, most: Duration) {
        match (&mut self.ways.shm, &self.ways.nodes) {
            (Some(card), _) => card.wait(most),
            (None, Some(nodes)) => nodes.wait(most),
            (None, None) => {}
        }
    }

    /// Looks whether a host has come or gone; true when it has.
    fn host(&mut self) -> bool {
        let Some(change) = self.ways.shm.as_mut().and_then(Card::host) else {
            return false;
        };
        match change {
            Change::Came { pid } => tracing::info!("process {pid} has opened the card"),
            Change::Left => tracing::info!("the host has left"),
        }
        self.board.forget();
        true
    }

    /// Makes register accesses; true when there were any.
    fn registers(&mut self) -> Result<bool, CardError> {
        let mut any = false;
        if let Some(card) = &mut self.ways.shm {
            self.requests.clear();
            while self.requests.len() < BATCH {
                match card.request() {
                    Ok(Some(request)) => self.requests.push(request),
                    Ok(None) => break,
                    Err(error) => {
                        expel(card, &error);
                        break;
                    }
                }
            }
            any = !self.requests.is_empty();
            let accesses: Vec<Access> = self.requests.iter().map(access).collect();
            let mut answers = match any {
                true => self.board.access(&accesses)?.into_iter(),
                false => Vec::new().into_iter(),
            };
            for request in &self.requests {
                let value = match request.value() {
                    Some(_) => 0,
                    None => answers.next().unwrap_or(0),
                };
                if let Err(error) = card.answer(request, value) {
                    expel(card, &error);
                    break;
                }
            }
        }
        let nodes = self.ways.nodes.clone();
        while let Some(register) = nodes.as_ref().and_then(|nodes| nodes.next_register()) {
            any = true;
            match register {
                Register::Read(address, reply) => {
                    let value = self.board.access(&[Access::Read { address }])?;
                    reply.data(&value.first().copied().unwrap_or(0).to_le_bytes());
                }
                Register::Write(address, value, reply) => {
                    self.board.access(&[Access::Write { address, value }])?;
                    reply.written(4);
                }
            }
        }
        Ok(any)
    }

    /// Takes bytes of records; true when there were any.
    fn input(&mut self) -> bool {
        if !self.board.takes() {
            return false;
        }
        let mut any = false;
        if let Some(card) = &mut self.ways.shm {
            match card.input(&mut self.bytes) {
                Ok(got) => {
                    any = got > 0;
                    self.board.feed(&self.bytes[..got]);
                }
                Err(error) => expel(card, &error),
            }
        }
        if let Some(nodes) = &self.ways.nodes {
            let mut bytes = Vec::new();
            if nodes.take(&mut bytes, CHUNK) {
                any = true;
                self.board.feed(&bytes);
            }
        }
        any
    }

    /// Hands reports on; true when there was room for any.
    fn output(&mut self) -> bool {
        let ready = self.board.output();
        let sent = match (&mut self.ways.shm, &self.ways.nodes) {
            (Some(card), nodes) if nodes.is_none() || card.has_host() => match card.output(ready) {
                Ok(sent) => sent,
                Err(error) => {
                    expel(card, &error);
                    0
                }
            },
            (_, Some(nodes)) => {
                let room = UNREAD.saturating_sub(nodes.unread());
                let now = &ready[..ready.len().min(room)];
                nodes.give(now);
                now.len()
            }
            _ => 0,
        };
        self.board.took(sent);
        sent > 0
    }
}

fn access(request: &Request) -> Access {
    let address = request.address();
    match request.value() {
        Some(value) => Access::Write { address, value },
        None => Access::Read { address },
    }
}

fn expel(card: &mut Card, error: &card_shm::ShmError) {
    tracing::warn!("the host is sent away: {error}");
    card.expel();
}
