//! Flows given to the kernel: to forward, or to drop, by itself; and what it did with them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
                let set = self.flows.set(key, &entry, sys::ANY);
                self.note(|given| given.ended.extend(replaced));
                set.map_err(doing())?;
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
        let mut given = unpoisoned(&self.given);
        // Twice as many as the kernel holds at once: without sweeps it may not grow for ever.
        if given.keys.len().max(given.ended.len()) < self.capacity.saturating_mul(2) {
            what(&mut given);
        } else {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks through all flows and removes those that are over: at `now_ns`, and after `idle_ns` without a frame. What it has
    /// found when it fails is told by the next one.
    pub fn sweep(&self, now_ns: u64, idle_ns: u64) -> Result<Sweep, Error> {
        let mut known = unpoisoned(&self.known);
        let mut ended = {
            let mut given = unpoisoned(&self.given);
            // What was replaced was told, and what was given before the look is found by it, or it is gone.
            for end in &given.ended {
                known.remove(&end.key);
            }
            known.extend(given.keys.drain(..));
            std::mem::take(&mut given.ended)
        };
        let swept = self.look(now_ns, idle_ns, &mut known, &mut ended);
        if let Err(error) = swept {
            unpoisoned(&self.given).ended.extend(ended);
            return Err(Error::doing("looking through flows in the kernel")(error));
        }
        Ok(Sweep {
            ended,
            flows: known.len(),
        })
    }

    /// Brings `known` to what there is, and tells what is over. It may be called again after an error.
    fn look(
        &self,
        now_ns: u64,
        idle_ns: u64,
        known: &mut HashMap<FlowKey, FlowEntry>,
        ended: &mut Vec<FlowEnd>,
    ) -> io::Result<()> {
        let mut seen = HashSet::new();
        for key in keys(&self.flows, self.capacity)? {
            if self.look_at(&key, now_ns, idle_ns, known, ended)? {
                seen.insert(key);
            }
        }
        let missing: Vec<FlowKey> = known
            .keys()
            .filter(|key| !seen.contains(*key))
            .copied()
            .collect();
        for key in missing {
            // The walk may have missed it, as others came and went.
            if self.look_at(&key, now_ns, idle_ns, known, ended)? {
                continue;
            }
            if let Some(entry) = known.remove(&key) {
                ended.extend(end(&key, &entry, Ended::Evicted));
            }
        }
        Ok(())
    }

    /// Looks at one flow; true if it is there, or was until now.
    fn look_at(
        &self,
        key: &FlowKey,
        now_ns: u64,
        idle_ns: u64,
        known: &mut HashMap<FlowKey, FlowEntry>,
        ended: &mut Vec<FlowEnd>,
    ) -> io::Result<bool> {
        let Some(entry) = self.flows.get(key)? else {
            return Ok(false);
        };
        let over = match entry.action {
            action::ENDED => Some(Ended::Reopened),
            action::BLOCK => (now_ns >= entry.until_ns).then_some(Ended::Expired),
            _ => (now_ns.saturating_sub(entry.last_ns) > idle_ns).then_some(Ended::Idle),
        };
        match over {
            Some(why) => {
                // Frames that came since it was looked at are counted too.
                let last = self.flows.take(key)?.unwrap_or(entry);
                ended.extend(end(key, &last, why));
                known.remove(key);
            }
            None => {
                known.insert(*key, entry);
            }
        }
        Ok(true)
    }
}

/// What a mutex holds: no one leaves it half changed.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All keys; those that come and go meanwhile may be among them.
fn keys(flows: &Table<FlowKey, FlowEntry>, capacity: usize) -> io::Result<Vec<FlowKey>> {
    let mut keys = Vec::new();
    // When a key is removed meanwhile the kernel begins anew: bounded, and each counts once.
    let mut once = HashSet::new();
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

#[cfg(test)]
mod tests;
