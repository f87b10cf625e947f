//! The streams of an open card: a thread that sends, a thread that receives, and nobody else at the link.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use card_protocol::reports::Counts;
use weir_tables::{Ended, Ends, EntryHit};

use crate::link;

/// Workers that a card can have, the one that tries it among them.
pub(crate) const PORTS: usize = 256;
/// The one that tries it.
pub(crate) const CONTROL: u8 = 255;
/// Bits of a sequence number that count a worker's records; the others name the worker.
pub(crate) const COUNT_BITS: u32 = 24;
/// Ends that wait for a worker at most: more than can be under way.
const MOST_ENDS: usize = 1 << 18;
/// Hits that wait for a worker at most; records whose hits are beyond count as not whole.
const MOST_HITS: usize = 1 << 22;
/// How often a thread without work looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of reports that are read at a time.
const RECEIVE: usize = 64 << 10;

/// Locks, whatever happened to the one that held it before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub sequence: u32,
    pub generation: u16,
    pub flags: u8,
    pub whole: bool,
    hits: usize,
}

/// Ends of records, and their hits one after the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    ends: Vec<End>,
    hits: Vec<EntryHit>,
}

impl Batch {
    /// Calls `on` with each end.
    pub fn drain(&mut self, mut on: impl FnMut(Ended<'_>)) {
        let mut hits = self.hits.as_slice();
        for end in self.ends.drain(..) {
            let (own, rest) = hits.split_at(end.hits.min(hits.len()));
            hits = rest;
            on(Ended {
                sequence: end.sequence,
                generation: end.generation,
                flags: end.flags,
                whole: end.whole,
                hits: own,
            });
        }
        self.hits.clear();
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[derive(Debug, Default)]
struct Inbox {
    batch: Mutex<Batch>,
    any: Condvar,
}

/// Records that are to be sent.
struct Job {
    epoch: u64,
    bytes: Arc<Vec<u8>>,
}

/// What the threads tell of.
pub(crate) trait Watch: Send + Sync {
    /// The link failed.
    fn link_failed(&self, session: &Session, error: &link::LinkError);
    /// So many units or bytes of the reports went wrong.
    fn reports_wrong(&self, session: &Session, counts: Counts);
}

/// The streams of an open card.
pub(crate) struct Session {
    started: Instant,
    nonce: AtomicU32,
    /// The reports begin anew.
    restart: AtomicBool,
    /// Jobs of other epochs are not sent any more.
    epoch: AtomicU64,
    jobs: Sender<Job>,
    inboxes: Vec<Inbox>,
    /// When something came last, in nanoseconds since the start.
    last: AtomicU64,
    stop: AtomicBool,
    /// A call to the link has failed for good.
    broken: AtomicBool,
    /// Bytes sent and received.
    pub sent: AtomicU64,
    pub received: AtomicU64,
}

/// The threads of a session.
pub(crate) struct Threads([JoinHandle<()>; 2]);

impl Threads {
    /// True when both have ended, and with them their calls to the link.
    pub fn ended(&self) -> bool {
        self.0.iter().all(JoinHandle::is_finished)
    }
}

impl Session {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(
        sender: Box<dyn link::Sender>,
        receiver: Box<dyn link::Receiver>,
        watch: Arc<dyn Watch>,
    ) -> std::io::Result<(Arc<Self>, Threads)> {
        let (jobs, todo) = channel();
        let session = Arc::new(Self {
            started: Instant::now(),
            nonce: AtomicU32::new(0),
            restart: AtomicBool::new(true),
            epoch: AtomicU64::new(0),
            jobs,
            inboxes: (0..PORTS).map(|_| Inbox::default()).collect(),
            last: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        let (one, other) = (Arc::clone(&session), Arc::clone(&session));
        let watcher = Arc::clone(&watch);
        let send = std::thread::Builder::new()
            .name("card-send".to_owned())
            .spawn(move || one.send_all(sender, &todo, &*watcher))?;
        let receive = std::thread::Builder::new()
            .name("card-receive".to_owned())
            .spawn(move || other.receive_all(receiver, &*watch));
        match receive {
            Ok(receive) => Ok((session, Threads([send, receive]))),
            Err(error) => {
                session.stop();
                Err(error)
            }
        }
    }

    /// Has the threads end when their calls return.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
    }

    /// Forgets all that is under way: what is queued is not sent, what comes must have this nonce.
    pub fn renew(&self, nonce: u32) -> u64 {
        self.nonce.store(nonce, SeqCst);
        self.restart.store(true, SeqCst);
        let epoch = self.epoch.fetch_add(1, SeqCst) + 1;
        for inbox in &self.inboxes {
            lock(&inbox.batch).drain(|_| {});
        }
        epoch
    }

    /// The session's nonce.
    pub fn nonce(&self) -> u32 {
        self.nonce.load(SeqCst)
    }

    /// Queues records. False when there is nobody to send them.
    pub fn send(&self, epoch: u64, bytes: Arc<Vec<u8>>) -> bool {
        self.jobs.send(Job { epoch, bytes }).is_ok()
    }

    /// True when only opening the link anew helps.
    pub fn broken(&self) -> bool {
        self.broken.load(SeqCst)
    }

    fn failed(&self, error: &link::LinkError, watch: &dyn Watch) {
        if !matches!(error, link::LinkError::TimedOut { .. }) {
            self.broken.store(true, SeqCst);
        }
        watch.link_failed(self, error);
    }

    /// When something came from the card last.
    pub fn last(&self) -> Instant {
        self.started + Duration::from_nanos(self.last.load(Relaxed))
    }

    /// Swaps what has come for this worker into `batch`, which is empty; waits for it if there is nothing yet.
    pub fn take(&self, port: u8, wait: Duration, batch: &mut Batch) {
        let Some(inbox) = self.inboxes.get(usize::from(port)) else {
            return;
        };
        let mut held = lock(&inbox.batch);
        if held.is_empty() && !wait.is_zero() {
            held = match inbox.any.wait_timeout(held, wait) {
                Ok((held, _)) => held,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        std::mem::swap(&mut *held, batch);
    }

    fn send_all(
        self: &Arc<Self>,
        mut sender: Box<dyn link::Sender>,
        todo: &Receiver<Job>,
        watch: &dyn Watch,
    ) {
        while !self.stop.load(SeqCst) {
            let job = match todo.recv_timeout(LOOK) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if job.epoch != self.epoch.load(SeqCst) {
                continue;
            }
            match sender.send(&job.bytes) {
                Ok(()) => {
                    self.sent.fetch_add(job.bytes.len() as u64, Relaxed);
                }
                Err(error) => self.failed(&error, watch),
            }
        }
    }

    fn receive_all(self: &Arc<Self>, mut receiver: Box<dyn link::Receiver>, watch: &dyn Watch) {
        let mut buffer = vec![0; RECEIVE];
        let mut ends = Ends::new(self.nonce());
        let mut counts = ends.counts();
        let mut touched = [false; PORTS];
        while !self.stop.load(SeqCst) {
            let bytes = match receiver.receive(&mut buffer) {
                Ok(0) | Err(link::LinkError::TimedOut { .. }) => continue,
                Ok(bytes) => buffer.get(..bytes).unwrap_or_default(),
                Err(error) => {
                    self.failed(&error, watch);
                    // The one who opens it anew ends this thread.
                    std::thread::sleep(LOOK);
                    continue;
                }
            };
            self.received.fetch_add(bytes.len() as u64, Relaxed);
            if self.restart.swap(false, SeqCst) {
                ends.restart(self.nonce());
                counts = ends.counts();
            }
            ends.feed(bytes, &mut |ended| {
                let port = (ended.sequence >> COUNT_BITS) as usize;
                if let Some(touched) = touched.get_mut(port) {
                    *touched = true;
                }
                if let Some(inbox) = self.inboxes.get(port) {
                    lock(&inbox.batch).put(&ended);
                }
            });
            for (touched, inbox) in touched.iter_mut().zip(&self.inboxes) {
                if std::mem::take(touched) {
                    inbox.any.notify_one();
                }
            }
            let now = ends.counts();
            if now.units > counts.units {
                let since = self.started.elapsed().as_nanos();
                self.last
                    .store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
            }
            let new = Counts {
                units: now.units - counts.units,
                gaps: now.gaps - counts.gaps,
                skipped: now.skipped - counts.skipped,
                unknown: now.unknown - counts.unknown,
            };
            counts = now;
            if new.gaps + new.skipped + new.unknown > 0 {
                watch.reports_wrong(self, new);
            }
        }
    }
}

impl Batch {
    fn put(&mut self, ended: &Ended<'_>) {
        if self.ends.len() >= MOST_ENDS {
            // Far more than was sent: the card says so, and nobody asked.
            return;
        }
        let room = self.hits.len() + ended.hits.len() <= MOST_HITS;
        let hits = if room { ended.hits } else { &[] };
        self.hits.extend_from_slice(hits);
        self.ends.push(End {
            sequence: ended.sequence,
            generation: ended.generation,
            flags: ended.flags,
            whole: ended.whole && room,
            hits: hits.len(),
        });
    }
}
