//! Flows given to the kernel: to forward, or to drop, by itself; and what it did with them.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_xdp_common::{FlowEntry, FlowKey, action};

use super::error::Error;
use super::object::Maps;
use super::sys::{self, Table};

/// A flow that the kernel no longer handles, with all that it did for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// The flow.
    pub key: FlowKey,
    /// It was dropped rather than forwarded.
    pub blocked: bool,
    /// Why it is over.
    pub why: Ended,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// When its last frame came, or the order was given, in nanoseconds of `CLOCK_MONOTONIC`.
    pub last_ns: u64,
}

/// Why the kernel no longer handles a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// No frames for as long as was said.
    Idle,
    /// A blocked flow's time is over.
    Expired,
    /// A new connection uses its addresses and ports.
    Reopened,
    /// Another order was given for it.
    Replaced,
    /// The table was full, and others were used more recently. The counts are those of the last sweep, and short of what
    /// came since.
    Evicted,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Flows that are over.
    pub ended: Vec<FlowEnd>,
    /// Flows that the kernel still handles.
    pub flows: usize,
}

/// Orders for the kernel. Any thread may give them; sweeps are one thread's work.
#[derive(Debug)]
pub(super) struct Orders {
    flows: Table<FlowKey, FlowEntry>,
    capacity: usize,
    /// Given since the last sweep.
    given: Mutex<Given>,
    /// What the last sweep saw.
    known: Mutex<HashMap<FlowKey, FlowEntry>>,
    /// Flows whose end could not be noted, as too many were.
    unnoted: AtomicU64,
}

#[derive(Debug, Default)]
struct Given {
    keys: Vec<(FlowKey, FlowEntry)>,
    ended: Vec<FlowEnd>,
}

impl Orders {
    pub fn new(maps: &Maps) -> Result<Self, Error> {
        let doing = || Error::doing("opening the table of flows");
        let flows = maps.flows.copy().map_err(doing())?;
        Ok(Self {
            flows,
            capacity: maps.capacity as usize,
            given: Mutex::default(),
            known: Mutex::default(),
            unnoted: AtomicU64::new(0),
        })
    }

    /// How many flows there are.
    pub fn count(maps: &Maps) -> Result<usize, Error> {
        keys(&maps.flows, maps.capacity as usize)
            .map(|keys| keys.len())
            .map_err(Error::doing("counting flows in the kernel"))
    }

    /// Gives an order.
    pub fn give(&self, key: &FlowKey, entry: FlowEntry) -> Result<(), Error> {
        let doing = || Error::doing("telling the kernel of a flow");
        match self.flows.set(key, &entry, sys::NEW) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                // Its counts are noted before they are gone.
                let before = self.flows.take(key).map_err(doing())?;
                let replaced = before.and_then(|before| {
                    let why = match before.action {
                        action::ENDED => Ended::Reopened,
                        _ => Ended::Replaced,
                    };
                    end(key, &before, why)
                });
                self.flows.set(key, &entry, sys::ANY).map_err(doing())?;
                self.note(|given| given.ended.extend(replaced));
            }
            other => other.map_err(doing())?,
        }
        self.note(|given| given.keys.push((*key, entry)));
        Ok(())
    }

    /// Flows whose end was not noted since nobody swept for too long.
    pub fn unnoted(&self) -> u64 {
        self.unnoted.load(Ordering::Relaxed)
    }

    fn note(&self, what: impl FnOnce(&mut Given)) {
        let Ok(mut given) = self.given.lock() else {
            return;
        };
        // Twice as many as the kernel holds at once: without sweeps it may not grow for ever.
        if given.keys.len().max(given.ended.len()) < self.capacity.saturating_mul(2) {
            what(&mut given);
        } else {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks through all flows and removes those that are over: at `now_ns`, and after `idle_ns` without a frame.
    pub fn sweep(&self, now_ns: u64, idle_ns: u64) -> Result<Sweep, Error> {
        let doing = || Error::doing("looking through flows in the kernel");
        let mut sweep = Sweep::default();
        let mut seen = HashMap::new();
        let given = match self.given.lock() {
            Ok(mut given) => std::mem::take(&mut *given),
            Err(_) => Given::default(),
        };
        sweep.ended.extend(given.ended);
        for key in keys(&self.flows, self.capacity).map_err(doing())? {
            // Gone meanwhile: evicted, and found below.
            let Some(entry) = self.flows.get(&key).map_err(doing())? else {
                continue;
            };
            let over = match entry.action {
                action::ENDED => Some(Ended::Reopened),
                action::BLOCK => (now_ns >= entry.until_ns).then_some(Ended::Expired),
                _ => (now_ns.saturating_sub(entry.last_ns) > idle_ns).then_some(Ended::Idle),
            };
            let Some(why) = over else {
                seen.insert(key, entry);
                continue;
            };
            // Frames that came since it was looked at are counted too.
            let last = self.flows.take(&key).map_err(doing())?.unwrap_or(entry);
            sweep.ended.extend(end(&key, &last, why));
            // What is over was not evicted.
            seen.insert(key, FlowEntry::default());
        }
        let mut known = match self.known.lock() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        let mut missing = HashMap::new();
        for (key, entry) in known.drain().chain(given.keys) {
            if !seen.contains_key(&key) {
                missing.insert(key, entry);
            }
        }
        for (key, entry) in missing {
            sweep.ended.extend(end(&key, &entry, Ended::Evicted));
        }
        seen.retain(|_, entry| entry.action != 0);
        sweep.flows = seen.len();
        *known = seen;
        Ok(sweep)
    }
}

/// All keys; those that come and go meanwhile may be among them.
fn keys(flows: &Table<FlowKey, FlowEntry>, capacity: usize) -> io::Result<Vec<FlowKey>> {
    let mut keys = Vec::new();
    // When a key is removed meanwhile the kernel begins anew: bounded, and each counts once.
    let mut once = std::collections::HashSet::new();
    let mut last = None;
    for _ in 0..capacity.saturating_mul(2) {
        last = flows.next(last.as_ref())?;
        let Some(key) = last else { break };
        if once.insert(key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn end(key: &FlowKey, entry: &FlowEntry, why: Ended) -> Option<FlowEnd> {
    (entry.action != 0).then_some(FlowEnd {
        key: *key,
        blocked: entry.action == action::BLOCK,
        why,
        packets: entry.packets,
        bytes: entry.bytes,
        last_ns: entry.last_ns,
    })
}

impl<K: sys::Plain, V: sys::Plain> Table<K, V> {
    /// Another descriptor of the same map.
    fn copy(&self) -> io::Result<Self> {
        let copy = self.as_fd().try_clone_to_owned()?;
        Self::new(copy)?.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
