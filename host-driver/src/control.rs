//! The thread that looks after the card: opens, loads, tries and watches it. It alone touches registers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use card_protocol::register;
use weir_engine::matcher::{Matcher, MatcherError, Probe, Request, Software};
use weir_tables::share::{Share, settle};
use weir_tables::{Key, Write, register_writes};

use crate::error::OpenError;
use crate::health::{Active, Counters, State};
use crate::identity::Identity;
use crate::link::{Link, LinkError, Registers};
use crate::records::put;
use crate::session::{Batch, CONTROL, COUNT_BITS, Session, Threads};
use crate::set::{KnownShape, Set, Tables, checksum};
use crate::shared::Shared;
use crate::status;

/// Opens the card.
pub(crate) type Opener = Box<dyn FnMut() -> Result<Link, OpenError> + Send>;

/// How long the threads of a session are waited for at a time.
const GRACE: Duration = Duration::from_millis(50);
/// Known-answer records under way at once while the card is tried.
const TRIED_AT_ONCE: usize = 64;
/// Table words between looks at whether all is to end.
const SLICE: usize = 4096;
/// How often the status is published when nothing happens.
const PUBLISH: Duration = Duration::from_millis(500);

/// Why the card is not ready.
type Trouble = String;

/// An open card.
struct Open {
    session: Arc<Session>,
    epoch: u64,
    registers: Box<dyn Registers>,
    identity: Identity,
    tables: Option<Tables>,
    /// Register `TABLE_CHECK` as it must be.
    check: u32,
}

/// The thread that looks after the card.
pub(crate) struct Control {
    shared: Arc<Shared>,
    opener: Opener,
    card: Option<Open>,
    /// Threads of the session before, whose calls have not returned.
    closing: Option<Threads>,
    threads: Option<Threads>,
    /// Keys and nonces drawn so far.
    drawn: u64,
    generation: u16,
    /// Count of the next record of this thread.
    count: u32,
    backoff: Duration,
    /// Where the scrubbing stands in the image.
    scrub: usize,
    forgiven: Instant,
    published: Instant,
}

/// What is to be done next.
enum Step {
    Watch,
    Load(Arc<[Probe]>),
    Check,
    Probe,
    Stop,
}

impl Control {
    pub fn new(shared: Arc<Shared>, opener: Opener) -> Self {
        let now = Instant::now();
        Self {
            backoff: shared.config.backoff.0,
            shared,
            opener,
            card: None,
            closing: None,
            threads: None,
            drawn: 0,
            generation: 0,
            count: 0,
            scrub: 0,
            forgiven: now,
            published: now,
        }
    }

    /// Looks after the card until all is to end.
    pub fn run(mut self) {
        let opened = self.open();
        let shared = Arc::clone(&self.shared);
        {
            let mut health = shared.health();
            let failed = opened.is_err();
            if opened.is_ok() {
                let reason = "it answers; no probes are loaded yet".to_owned();
                health.change(&shared.name, State::Healthy, reason);
            }
            health.opened = Some(opened);
            shared.tell();
            if failed {
                return;
            }
        }
        loop {
            match self.next() {
                Step::Stop => break,
                Step::Watch => self.watch(),
                Step::Load(probes) => {
                    let count = probes.len();
                    self.shared.leave(None, State::Probing, || {
                        format!("tables for {count} probes are loaded")
                    });
                    let loaded = self.load(&probes);
                    self.settle(loaded, "tables are loaded, and every entry answers");
                }
                Step::Check => {
                    let checked = self.check();
                    self.settle(checked, "registers, tables and known answers are right");
                }
                Step::Probe => {
                    self.shared.leave(None, State::Probing, || {
                        "it is opened, loaded and tried anew".to_owned()
                    });
                    let probed = self.probe();
                    self.settle(
                        probed,
                        "opened anew; tables are loaded, and every entry answers",
                    );
                }
            }
            self.publish();
        }
        self.end();
    }

    /// Waits until there is something to do.
    fn next(&self) -> Step {
        let shared = &self.shared;
        let mut health = shared.health();
        let since = Instant::now();
        loop {
            if health.stop {
                return Step::Stop;
            }
            let wait = match health.state {
                State::Suspect => return Step::Check,
                State::Probing => return Step::Probe,
                State::Healthy => {
                    if let Some(wanted) = &health.wanted
                        && !health
                            .tried
                            .as_ref()
                            .is_some_and(|tried| Arc::ptr_eq(tried, wanted))
                    {
                        return Step::Load(Arc::clone(wanted));
                    }
                    shared.config.watch
                }
                State::Failed => self.backoff,
            };
            let Some(left) = wait
                .checked_sub(since.elapsed())
                .filter(|left| !left.is_zero())
            else {
                return match health.state {
                    State::Failed => Step::Probe,
                    _ => Step::Watch,
                };
            };
            health = shared.wait(health, left);
        }
    }

    /// Takes the card into use, or says why not.
    fn settle(&mut self, outcome: Result<(), Trouble>, reason: &str) {
        let shared = Arc::clone(&self.shared);
        let (first, most) = shared.config.backoff;
        let ready = self.card.as_ref().and_then(|open| {
            Some(Active {
                session: Arc::clone(&open.session),
                epoch: open.epoch,
                set: Arc::clone(&open.tables.as_ref()?.set),
            })
        });
        match (outcome, ready) {
            (Ok(()), Some(active)) => {
                self.backoff = first;
                let set = &active.set;
                let moved = set.split.software.len();
                let reason = format!(
                    "{reason}: {} probes, {moved} of them left to software",
                    set.probes.len()
                );
                shared.activate(active, reason);
            }
            (Ok(()), None) => {
                self.backoff = first;
                let mut health = shared.health();
                health.change(&shared.name, State::Healthy, "it answers".to_owned());
            }
            (Err(trouble), _) => {
                self.backoff = (self.backoff * 2).min(most);
                shared.leave(None, State::Failed, || trouble);
            }
        }
        let mut health = shared.health();
        health.tried = self
            .card
            .as_ref()
            .and_then(|open| Some(Arc::clone(&open.tables.as_ref()?.set.probes)))
            .or_else(|| health.wanted.clone());
        shared.tell();
    }

    /// Opens the card, whatever was open before.
    fn open(&mut self) -> Result<Identity, OpenError> {
        let name = self.shared.name.clone();
        let Link {
            mut registers,
            sender,
            receiver,
            ..
        } = (self.opener)()?;
        let identity = Identity::read(&name, &mut *registers)?;
        let watch = Arc::clone(&self.shared);
        let (session, threads) =
            Session::start(sender, receiver, watch).map_err(|error| OpenError::Link {
                name,
                error: LinkError::Io {
                    what: "starting its threads",
                    error,
                },
            })?;
        self.threads = Some(threads);
        self.card = Some(Open {
            session,
            epoch: 0,
            registers,
            identity,
            tables: None,
            check: 0,
        });
        self.shared.health().identity = Some(identity);
        Ok(identity)
    }

    /// Lets go of the card. False while a call to it has not returned.
    fn close(&mut self) -> bool {
        if let Some(open) = self.card.take() {
            open.session.stop();
        }
        if let Some(threads) = self.threads.take() {
            self.closing = Some(threads);
        }
        let since = Instant::now();
        while self
            .closing
            .as_ref()
            .is_some_and(|threads| !threads.ended())
        {
            if since.elapsed() > GRACE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.closing = None;
        true
    }

    /// Opens, loads and tries the card anew.
    fn probe(&mut self) -> Result<(), Trouble> {
        if !self.close() {
            return Err("a call to the device has not returned yet".to_owned());
        }
        self.open().map_err(|error| error.to_string())?;
        let wanted = self.shared.health().wanted.clone();
        match wanted {
            Some(probes) => self.load(&probes),
            None => Ok(()),
        }
    }

    /// Loads tables and tries them.
    fn load(&mut self, probes: &Arc<[Probe]>) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let config = &shared.config;
        let key = match config.seed {
            Some(seed) => Key::from_seed(seed.wrapping_add(self.drawn)),
            None => Key::random(),
        };
        self.generation = self.generation.wrapping_add(1);
        let nonce = self.nonce();
        let open = self.card.as_mut().ok_or("the card is not open")?;
        let known = KnownShape {
            bytes: config.known_bytes,
            rotation: u32::from(self.generation - 1),
        };
        let geometry = open.identity.geometry;
        let tables = Tables::new(probes, geometry, key, self.generation, &config.guide, known);
        let moved = tables.set.split.software.len();
        if moved > 0 {
            tracing::warn!(
                "card {}: {moved} of {} probes do not fit in its tables ({} slots) and are left to software",
                shared.name,
                probes.len(),
                geometry.slots()
            );
        }
        open.tables = None;
        open.quieten(nonce).map_err(in_words)?;
        let errors = open
            .registers
            .read(register::COUNT_TABLE_ERRORS)
            .map_err(in_words)?;
        for part in tables.image.chunks(SLICE) {
            open.write_tables(part).map_err(in_words)?;
            if shared.health().stop {
                return Err("all is to end".to_owned());
            }
        }
        let refused = open
            .registers
            .read(register::COUNT_TABLE_ERRORS)
            .map_err(in_words)?;
        if refused != errors {
            let count = refused.wrapping_sub(errors);
            return Err(format!("the card refused {count} table words"));
        }
        open.verify_check().map_err(in_words)??;
        Counters::count(&shared.counters.loads);
        let mut writes = tables.registers.to_vec();
        writes.extend([
            (register::LIMIT, config.settings.limit.into()),
            (register::LINGER, config.settings.linger.into()),
            (register::CONTROL, register::CONTROL_ENABLE),
        ]);
        open.registers.write(&writes).map_err(in_words)?;
        let set = Arc::clone(&tables.set);
        open.tables = Some(tables);
        self.scrub = 0;
        let indices: Vec<u32> = if config.thorough {
            (0..set.plan.cycle() as u32).collect()
        } else {
            set.plan.by_slice().collect()
        };
        let tried = self.try_out(&set, &indices);
        set.plan.fresh(shared.counters.records.load(Relaxed));
        if tried.is_err()
            && let Some(open) = &mut self.card
        {
            open.tables = None;
        }
        tried
    }

    /// Asks a suspect card what it still knows, and begins anew with it.
    fn check(&mut self) -> Result<(), Trouble> {
        let nonce = self.nonce();
        let open = self.card.as_mut().ok_or("the card is not open")?;
        if open.session.broken() {
            return Err("the link has failed".to_owned());
        }
        open.verify()?;
        open.quieten(nonce).map_err(in_words)?;
        let Some(tables) = &open.tables else {
            return Err("the tables were never loaded".to_owned());
        };
        let mut writes = tables.registers.to_vec();
        writes.push((register::CONTROL, register::CONTROL_ENABLE));
        let set = Arc::clone(&tables.set);
        open.registers.write(&writes).map_err(in_words)?;
        let indices: Vec<u32> = set.plan.by_slice().collect();
        self.try_out(&set, &indices)
    }

    /// Has the card answer known-answer records.
    fn try_out(&mut self, set: &Arc<Set>, indices: &[u32]) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let open = self.card.as_ref().ok_or("the card is not open")?;
        let too_many = |error: MatcherError| error.to_string();
        let share = Share::new(&set.probes, &set.split).map_err(too_many)?;
        let mut software = Software::new();
        software.load(&set.probes).map_err(too_many)?;
        let mut oracle = Oracle { software, share };
        let mut indices = indices.iter();
        let mut waiting: VecDeque<(u32, u32, u8, Vec<u8>)> = VecDeque::new();
        let (mut batch, mut heard) = (Batch::default(), Instant::now());
        let mask = (1 << COUNT_BITS) - 1;
        loop {
            let mut bytes = Vec::new();
            while waiting.len() < TRIED_AT_ONCE
                && let Some(&index) = indices.next()
            {
                let mut payload = Vec::new();
                let group = set.plan.payload(index, &mut payload);
                let sequence = u32::from(CONTROL) << COUNT_BITS | self.count;
                self.count = (self.count + 1) & mask;
                put(
                    &mut bytes,
                    set,
                    open.session.nonce(),
                    sequence,
                    group,
                    0,
                    &payload,
                );
                waiting.push_back((sequence, index, group, payload));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if !bytes.is_empty() && !open.session.send(open.epoch, Arc::new(bytes)) {
                return Err("nobody sends any more".to_owned());
            }
            open.session
                .take(CONTROL, Duration::from_millis(5), &mut batch);
            let records = shared.counters.records.load(Relaxed);
            let mut wrong = None;
            batch.drain(|ended| {
                let Some((sequence, index, group, payload)) = waiting.pop_front() else {
                    return;
                };
                heard = Instant::now();
                Counters::count(&shared.counters.known_answers);
                if ended.sequence != sequence {
                    wrong.get_or_insert(format!(
                        "known-answer record {sequence:#x}: the answer is to record {:#x}",
                        ended.sequence
                    ));
                } else if !ended.finished() {
                    wrong.get_or_insert(format!(
                        "known-answer record: flags {:#x}{}",
                        ended.flags,
                        if ended.whole { "" } else { ", hits lost" }
                    ));
                } else if let Some(why) = oracle.judge(group, &payload, ended.hits) {
                    Counters::count(&shared.counters.known_wrong);
                    wrong.get_or_insert(why);
                } else {
                    set.plan.right(index, records);
                }
            });
            if let Some(wrong) = wrong {
                return Err(wrong);
            }
            if open.session.broken() {
                return Err("the link failed while the card was tried".to_owned());
            }
            if heard.elapsed() > shared.config.patience {
                return Err(format!(
                    "no answer to a known-answer record within {:?}",
                    shared.config.patience
                ));
            }
            if shared.health().stop {
                return Err("all is to end".to_owned());
            }
        }
    }

    /// A nonce for what comes next.
    fn nonce(&mut self) -> u32 {
        self.drawn += 1;
        let rows = *match self.shared.config.seed {
            Some(seed) => Key::from_seed(seed.wrapping_mul(31).wrapping_add(self.drawn)),
            None => Key::random(),
        }
        .rows();
        rows[0][0]
    }

    /// Looks at the card while it is in use, and writes some of its tables anew.
    fn watch(&mut self) {
        let shared = Arc::clone(&self.shared);
        if self.forgiven.elapsed() > Duration::from_secs(1) {
            self.forgiven = Instant::now();
            shared.forgive();
        }
        let Some(open) = &mut self.card else { return };
        let session = Arc::clone(&open.session);
        let blame = Some((&*session, open.epoch));
        let well = open.verify().and_then(|()| {
            let words_a_look = f64::from(shared.config.scrub) * shared.config.watch.as_secs_f64();
            let done = open.scrub(&mut self.scrub, words_a_look as usize)?;
            shared.counters.scrubbed.fetch_add(done as u64, Relaxed);
            Ok(())
        });
        if let Err(trouble) = well {
            shared.leave(blame, State::Failed, || trouble);
        }
    }

    fn publish(&mut self) {
        let Some(path) = &self.shared.config.status else {
            return;
        };
        let changed = self.shared.health().since > self.published;
        if changed || self.published.elapsed() > PUBLISH {
            self.published = Instant::now();
            status::publish(&self.shared, path);
        }
    }

    fn end(&mut self) {
        self.shared.retire();
        if let Some(open) = &mut self.card {
            // Best effort: whoever opens the card next begins with a flush of its own.
            if open.registers.write(&[(register::CONTROL, 0)]).is_err() {
                tracing::debug!("card {}: not switched off", self.shared.name);
            }
        }
        self.close();
        if let Some(path) = &self.shared.config.status {
            status::withdraw(path);
        }
    }
}

/// An error in words.
fn in_words(error: LinkError) -> Trouble {
    error.to_string()
}

impl Open {
    /// Drops all that is under way, and has the card wait, with another nonce.
    fn quieten(&mut self, nonce: u32) -> Result<(), LinkError> {
        self.registers.write(&[
            (register::CONTROL, register::CONTROL_FLUSH),
            (register::GENERATION_EVEN, 0),
            (register::GENERATION_ODD, 0),
            (register::NONCE, nonce),
            (register::TABLE_CHECK, 0),
        ])?;
        self.check = 0;
        self.epoch = self.session.renew(nonce);
        Ok(())
    }

    fn write_tables(&mut self, writes: &[Write]) -> Result<(), LinkError> {
        let accesses: Vec<(u32, u32)> = register_writes(writes).collect();
        self.registers.write(&accesses)?;
        for write in writes {
            self.check =
                card_protocol::table_check(self.check, write.select, write.address, write.data);
        }
        Ok(())
    }

    /// Holds the table checksum to what was written.
    fn verify_check(&mut self) -> Result<Result<(), Trouble>, LinkError> {
        let got = self.registers.read(register::TABLE_CHECK)?;
        Ok(if got == self.check {
            Ok(())
        } else {
            Err(format!(
                "the checksum of table writes is {got:#010x}, expected {:#010x}",
                self.check
            ))
        })
    }

    /// Holds registers to what was written.
    fn verify(&mut self) -> Result<(), Trouble> {
        let mut expected = vec![
            (register::MAGIC, register::MAGIC_VALUE),
            (register::INTERFACE, register::INTERFACE_VALUE),
        ];
        if let Some(tables) = &self.tables {
            expected.push((register::NONCE, self.session.nonce()));
            expected.extend(tables.registers);
            expected.push((register::CONTROL, register::CONTROL_ENABLE));
            expected.push((register::TABLE_CHECK, self.check));
        }
        for (address, expected) in expected {
            let got = self.registers.read(address).map_err(in_words)?;
            if got != expected {
                let why = match (address, got) {
                    (_, u32::MAX) => "the card has dropped off the bus",
                    (register::MAGIC | register::INTERFACE, _) => "this is another core",
                    _ => "the card was reset, or somebody else writes to it",
                };
                return Err(format!(
                    "register {address:#05x} is {got:#010x}, expected {expected:#010x}: {why}"
                ));
            }
        }
        Ok(())
    }

    /// Writes some of the tables anew, from `at` in the image on; returns how many words.
    fn scrub(&mut self, at: &mut usize, words_now: usize) -> Result<usize, Trouble> {
        let Some(tables) = &self.tables else {
            return Ok(0);
        };
        let words = &tables.words;
        let from = if *at < words.len() { *at } else { 0 };
        let part = words.get(from..words.len().min(from + words_now));
        let part = part.unwrap_or_default().to_vec();
        *at = from + words_now;
        self.registers
            .write(&[(register::TABLE_CHECK, 0)])
            .map_err(in_words)?;
        self.check = 0;
        self.write_tables(&part).map_err(in_words)?;
        debug_assert_eq!(self.check, checksum(&part));
        self.verify_check().map_err(in_words)??;
        Ok(part.len())
    }
}

/// Says what a known-answer record must be answered.
pub(crate) struct Oracle {
    pub software: Software,
    pub share: Share,
}

impl Oracle {
    /// Why an answer is not right, if it is not.
    pub fn judge(
        &mut self,
        group: u8,
        payload: &[u8],
        found: &[weir_tables::EntryHit],
    ) -> Option<Trouble> {
        judge(&mut self.software, &self.share, group, payload, found)
    }
}

/// Why the card's answer to a payload is not software's, if it is not.
pub(crate) fn judge(
    software: &mut Software,
    share: &Share,
    group: u8,
    payload: &[u8],
    found: &[weir_tables::EntryHit],
) -> Option<Trouble> {
    let mut got = Vec::new();
    share.translate(found, group, 0, &mut got);
    settle(&mut got);
    let request = Request {
        tag: 0,
        group,
        carry: 0,
        data: payload,
    };
    let mut expected = Vec::new();
    if software.submit(request).is_err() {
        return None;
    }
    software.poll(&mut |report| expected.extend_from_slice(report.hits));
    settle(&mut expected);
    let moved = share.moved();
    expected.retain(|hit| moved.binary_search(&hit.probe).is_err());
    let known = |found: &&weir_tables::EntryHit| share.probes(found.entry, group).next().is_none();
    if let Some(stranger) = found.iter().find(known) {
        return Some(format!(
            "known answer: entry {} was reported, which group {group} has not",
            stranger.entry
        ));
    }
    if got == expected {
        return None;
    }
    let missing = expected
        .iter()
        .filter(|hit| got.binary_search(hit).is_err());
    let extra = got
        .iter()
        .filter(|hit| expected.binary_search(hit).is_err());
    Some(format!(
        "known answer: {} of {} hits are missing, {} are wrong",
        missing.count(),
        expected.len(),
        extra.count()
    ))
}
