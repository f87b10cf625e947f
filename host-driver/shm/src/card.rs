//! The card's end. Nothing here blocks but [`Card::wait`]; one thread serves streams and registers.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use crate::error::ShmError;
use crate::host::ENTRY;
use crate::layout::{self, Options, Sizes};
use crate::lock;
use crate::map::Map;
use crate::ring::{Consumer, Producer};
use crate::wait::{LIVENESS, until_changed, wake};

/// Whether there is a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A host has come, and all streams begin anew. One that was there before is gone.
    Came {
        /// Its process, as it says.
        pid: u32,
    },
    /// The host closed its end, or died.
    Left,
}

/// A register access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    number: u32,
    address: u32,
    value: Option<u32>,
    wanted: bool,
}

impl Request {
    /// Byte offset of the register, as the host says: it may be any.
    pub fn address(&self) -> u32 {
        self.address
    }

    /// What is to be written; `None` when it is to be read.
    pub fn value(&self) -> Option<u32> {
        self.value
    }
}

/// Lets [`Card::wait`] return, from any thread.
#[derive(Clone)]
pub struct Waker {
    map: Arc<Map>,
}

impl Waker {
    /// Now, or at once when it is called next.
    pub fn wake(&self) {
        ring_bell(&self.map);
    }
}

/// Tells the card that something has changed.
pub(crate) fn ring_bell(map: &Map) {
    let bell = map.word(layout::BELL);
    bell.fetch_add(1, Ordering::SeqCst);
    if map.word(layout::CARD_SLEEPS).load(Ordering::SeqCst) != 0 {
        wake(bell);
    }
}

/// The card's end of shared memory.
pub struct Card {
    map: Arc<Map>,
    /// Its lock says that the card lives.
    file: File,
    path: PathBuf,
    sizes: Sizes,
    input: Consumer,
    output: Producer,
    requests: Consumer,
    answers: Producer,
    session: u32,
    present: bool,
    /// When the host's lock was looked at.
    looked: Instant,
    /// The bell when all there was had been seen.
    heard: u32,
}

impl Card {
    /// Makes the file, in place of one that a dead card left behind.
    ///
    /// # Errors
    ///
    /// When a card that lives is there, something that is no card, or the file cannot be made.
    pub fn create(path: &Path, options: &Options) -> Result<Self, ShmError> {
        let sizes = Sizes::new(options)?;
        let new = path.with_added_extension(format!("{}.new", std::process::id()));
        // What a process of the same number left behind when it died.
        let _ = std::fs::remove_file(&new);
        let made = Self::make(path, &new, sizes);
        let _ = std::fs::remove_file(&new);
        made
    }

    fn make(path: &Path, new: &Path, sizes: Sizes) -> Result<Self, ShmError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options
            .open(new)
            .map_err(ShmError::io(new, "cannot be made"))?;
        // All of it now: a memory file system that is full would end the process at some later time.
        fallocate(&file, FallocateFlags::empty(), 0, sizes.length() as u64)
            .map_err(ShmError::io(new, "no room for the rings"))?;
        let map = Map::new(&file, sizes.length()).map_err(ShmError::io(new, "cannot be mapped"))?;
        let map = Arc::new(map);
        lock::take(&file, lock::CARD).map_err(ShmError::io(new, "cannot be locked"))?;
        sizes.write(&map);
        for (at, value) in [
            (layout::CARD_PID, std::process::id()),
            (layout::CARD_STATE, layout::OPEN),
            (layout::VERSION_AT, layout::VERSION),
            (0, layout::MAGIC[0]),
            (4, layout::MAGIC[1]),
        ] {
            map.word(at).store(value, Ordering::SeqCst);
        }
        put_in_place(new, path)?;
        Ok(Self {
            input: Consumer::new(&map, &sizes, layout::TO_CARD),
            output: Producer::new(&map, &sizes, layout::TO_HOST),
            requests: Consumer::new(&map, &sizes, layout::REQUESTS),
            answers: Producer::new(&map, &sizes, layout::ANSWERS),
            map,
            file,
            path: path.to_owned(),
            sizes,
            session: 0,
            present: false,
            looked: Instant::now(),
            heard: 0,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What wakes this card.
    pub fn waker(&self) -> Waker {
        Waker {
            map: Arc::clone(&self.map),
        }
    }

    /// Sleeps until something has happened since the last call returned, at most so long: bytes came or were taken, a request,
    /// a host, a [`Waker`]. Returns for nothing, too, now and then.
    pub fn wait(&mut self, most: Duration) {
        let bell = self.map.word(layout::BELL);
        until_changed(bell, self.heard, self.map.word(layout::CARD_SLEEPS), most);
        self.heard = bell.load(Ordering::SeqCst);
    }

    /// Looks whether a host has come or gone.
    pub fn host(&mut self) -> Option<Change> {
        let word = |at: usize| self.map.word(at).load(Ordering::SeqCst);
        let wanted = word(layout::HOST_SESSION);
        if wanted != self.session {
            let pid = word(layout::HOST_PID);
            self.restart(wanted);
            self.present = true;
            return Some(Change::Came { pid });
        }
        if !self.present {
            return None;
        }
        let closed = word(layout::HOST_STATE) != layout::OPEN;
        let due = self.looked.elapsed() >= LIVENESS;
        if due {
            self.looked = Instant::now();
        }
        if closed || due && !lock::held(&self.file, lock::HOST) {
            self.present = false;
            return Some(Change::Left);
        }
        None
    }

    /// True when there is a host, as [`Card::host`] saw it last.
    pub fn has_host(&self) -> bool {
        self.present
    }

    /// Begins a session: all rings are empty.
    fn restart(&mut self, session: u32) {
        let (map, sizes) = (&self.map, &self.sizes);
        for ring in 0..layout::RINGS {
            for at in layout::words(ring) {
                map.word(at).store(0, Ordering::SeqCst);
            }
        }
        self.input = Consumer::new(map, sizes, layout::TO_CARD);
        self.output = Producer::new(map, sizes, layout::TO_HOST);
        self.requests = Consumer::new(map, sizes, layout::REQUESTS);
        self.answers = Producer::new(map, sizes, layout::ANSWERS);
        self.session = session;
        let served = map.word(layout::CARD_SESSION);
        served.store(session, Ordering::SeqCst);
        wake(served);
    }

    /// Has the host find the card gone; it may open it anew.
    pub fn expel(&mut self) {
        self.present = false;
        self.map
            .word(layout::CARD_SESSION)
            .store(0, Ordering::SeqCst);
        wake_host(&self.map);
    }

    /// Takes bytes that the host has sent; returns how many, 0 when there are none.
    ///
    /// # Errors
    ///
    /// When the host is out of order; it can only be expelled then.
    pub fn input(&mut self, into: &mut [u8]) -> Result<usize, ShmError> {
        if !self.present {
            return Ok(0);
        }
        let taken = self.input.pull(into, 1)?;
        if taken > 0 && self.input.host_sleeps() {
            let [_, taken, _] = self.input.places();
            wake(self.map.word(taken));
        }
        Ok(taken)
    }

    /// Bytes that wait to be taken.
    ///
    /// # Errors
    ///
    /// As [`Card::input`].
    pub fn waiting(&self) -> Result<usize, ShmError> {
        if self.present {
            self.input.waiting()
        } else {
            Ok(0)
        }
    }

    /// Sends bytes to the host; returns how many there was room for. Without a host all are dropped.
    ///
    /// # Errors
    ///
    /// As [`Card::input`].
    pub fn output(&mut self, bytes: &[u8]) -> Result<usize, ShmError> {
        if !self.present {
            return Ok(bytes.len());
        }
        let put = self.output.push(bytes, 1)?;
        if put > 0 && self.output.host_sleeps() {
            let [_, put, _] = self.output.places();
            wake(self.map.word(put));
        }
        Ok(put)
    }

    /// The next register access.
    ///
    /// # Errors
    ///
    /// As [`Card::input`].
    pub fn request(&mut self) -> Result<Option<Request>, ShmError> {
        // None is taken that could not be answered.
        if !self.present || self.answers.room()? < ENTRY {
            return Ok(None);
        }
        let mut entry = [0; ENTRY];
        if self.requests.pull(&mut entry, ENTRY)? == 0 {
            return Ok(None);
        }
        if self.requests.host_sleeps() {
            let [_, taken, _] = self.requests.places();
            wake(self.map.word(taken));
        }
        let [number, kind, address, value] = crate::host::fields(&entry);
        let (value, wanted) = match kind {
            crate::host::READ => (None, true),
            crate::host::WRITE => (Some(value), false),
            crate::host::WRITE_ANSWERED => (Some(value), true),
            got => {
                return Err(ShmError::Corrupt {
                    what: "kind of a register access",
                    got,
                    expected: "0 to 2",
                });
            }
        };
        Ok(Some(Request {
            number,
            address,
            value,
            wanted,
        }))
    }

    /// Answers a request: the value that was read; any for a write. Each request is answered once, in order.
    ///
    /// # Errors
    ///
    /// As [`Card::input`].
    pub fn answer(&mut self, request: &Request, value: u32) -> Result<(), ShmError> {
        if !request.wanted || !self.present {
            return Ok(());
        }
        // There is room, or the request would not have been taken.
        let entry = crate::host::entry([request.number, 0, value, 0]);
        self.answers.push(&entry, ENTRY)?;
        if self.answers.host_sleeps() {
            let [_, put, _] = self.answers.places();
            wake(self.map.word(put));
        }
        Ok(())
    }
}

/// Wakes the host's threads, wherever they sleep.
fn wake_host(map: &Map) {
    for ring in 0..layout::RINGS {
        for at in layout::words(ring) {
            wake(map.word(at));
        }
    }
    wake(map.word(layout::CARD_SESSION));
}

impl Drop for Card {
    fn drop(&mut self) {
        self.map
            .word(layout::CARD_STATE)
            .store(layout::CLOSED, Ordering::SeqCst);
        wake_host(&self.map);
        let same = |found: std::fs::Metadata| {
            self.file
                .metadata()
                .is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
        };
        // Nobody is told of an error, and the next card clears it away.
        if std::fs::metadata(&self.path).is_ok_and(same) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Gives a finished file its name, which one that died may still have.
fn put_in_place(new: &Path, path: &Path) -> Result<(), ShmError> {
    // A few times, because others may do the same.
    for _ in 0..100 {
        match std::fs::hard_link(new, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => clear(path)?,
            result => return result.map_err(ShmError::io(path, "cannot be made")),
        }
    }
    let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
    Err(ShmError::io(path, "cannot be made")(error))
}

/// Removes the file of a card that died.
fn clear(path: &Path) -> Result<(), ShmError> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ShmError::io(path, "cannot be opened")(error)),
    };
    let length = file
        .metadata()
        .map_err(ShmError::io(path, "cannot be looked at"))?
        .len();
    let mut magic = [0; 8];
    let read = std::os::unix::fs::FileExt::read_at(&file, &mut magic, 0);
    let words = magic
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&word| u32::from_ne_bytes(word));
    if !words.eq(layout::MAGIC) || !read.is_ok_and(|bytes| bytes == magic.len()) {
        return Err(ShmError::Foreign {
            path: path.to_owned(),
            what: "a file that is no card's is in the way; its length",
            got: length,
            expected: "none".to_owned(),
        });
    }
    if !lock::take(&file, lock::CARD).map_err(ShmError::io(path, "cannot be locked"))? {
        let mut pid = [0; 4];
        let _ = std::os::unix::fs::FileExt::read_at(&file, &mut pid, layout::CARD_PID as u64);
        return Err(ShmError::Busy {
            path: path.to_owned(),
            pid: u32::from_ne_bytes(pid),
        });
    }
    // Under the lock of the dead one, so that nobody else clears away what takes its place.
    let own = file
        .metadata()
        .map_err(ShmError::io(path, "cannot be looked at"))?;
    match std::fs::metadata(path) {
        Ok(found) if (own.dev(), own.ino()) == (found.dev(), found.ino()) => {
            std::fs::remove_file(path).map_err(ShmError::io(path, "cannot be removed"))
        }
        // Somebody was faster.
        _ => Ok(()),
    }
}
