//! The thread that looks after the card: opens, loads, tries and watches it. It alone touches registers.

mod open;
mod trial;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use card_protocol::register;
use weir_engine::matcher::Probe;
use weir_tables::Key;

use crate::error::OpenError;
use crate::health::{Active, Counters, State};
use crate::identity::Identity;
use crate::link::{Link, LinkError};
use crate::session::{Session, Threads};
use crate::set::{KnownShape, Tables};
use crate::shared::Shared;
use crate::status;
use open::Open;

/// Opens the card.
pub(crate) type Opener = Box<dyn FnMut() -> Result<Link, OpenError> + Send>;

/// How long the threads of a session are waited for at a time.
const GRACE: Duration = Duration::from_millis(50);
/// Table words between looks at whether all is to end.
const SLICE: usize = 4096;
/// How often the status is published when nothing happens.
const PUBLISH: Duration = Duration::from_millis(500);

/// Why the card is not ready.
type Trouble = String;

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
