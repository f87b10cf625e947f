//! State that flows share.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::StateError;
use super::country::Countries;
use super::counts::{SavedCount, Thresholds};
use super::order::Turn;
use super::plan::{Left, Plan};
use super::reputation::{ReputationFiles, Reputations};
use super::set::Set;
use super::sharded::Sharded;
use super::tag::{self, Tag};
use crate::detect::Place;
use crate::plan::{BitOp, DataSet, Name, RuleSet, TagMetric};

const SECOND: u64 = 1_000_000_000;

/// Tags of a host that nothing comes from or goes to for so long are given up, as in Suricata.
const HOST_TAGS_IDLE_NS: u64 = 600 * SECOND;

/// The form of [`SavedShared`]; another is refused.
pub const SAVED_VERSION: u32 = 1;

/// How much state is kept, and what is read at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// Most bits of hosts and of pairs of hosts. An entry takes about 100 bytes.
    pub host_bits: usize,
    /// Most counters of limits, for verdicts and for alerts each. An entry takes about 150 bytes.
    pub counters: usize,
    /// Most hosts with tags. A host with one tag takes about 150 bytes.
    pub tagged_hosts: usize,
    /// Most bytes of a data set that says nothing itself.
    pub set_memory: u64,
    /// Where `save` and `state` of data sets go and come from; without it, nothing is written.
    pub folder: Option<PathBuf>,
    /// Reputations of addresses.
    pub reputation: ReputationFiles,
    /// The database of countries.
    pub countries: Option<PathBuf>,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            host_bits: 1 << 18,
            counters: 1 << 20,
            tagged_hosts: 1 << 16,
            set_memory: 100 << 20,
            folder: None,
            reputation: ReputationFiles::default(),
            countries: None,
        }
    }
}

/// Whose a bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Owner {
    Host(IpAddr),
    /// The smaller address first.
    Pair(IpAddr, IpAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HostTags {
    tags: Vec<Tag>,
    last_ns: u64,
}

/// What was given up or refused for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounters {
    /// Bits of hosts and pairs now.
    pub host_bits: u64,
    /// Such bits given up before their time.
    pub host_bits_evicted: u64,
    /// Counters of verdicts' limits given up before their time.
    pub counters_evicted: u64,
    /// Hosts whose tags were given up before their time.
    pub tagged_hosts_evicted: u64,
    /// Bits, counters and tags of a flow, and tags of a host, that were not set because there were too many.
    pub refused: u64,
    /// Members of data sets now.
    pub set_members: u64,
    /// Members that a data set had no room for.
    pub sets_full: u64,
}

/// State that flows share: bits of hosts, counts, tags of hosts, data sets; and what files say about addresses.
pub struct Shared {
    kept: Arc<Kept>,
    sets: Vec<Option<Set>>,
    reputations: Reputations,
    countries: Option<Countries>,
    folder: Option<PathBuf>,
}

/// What goes on when other rules come: all of it is under numbers and names that they keep.
struct Kept {
    host_bits: Sharded<(u32, Owner), u64>,
    counts: Thresholds,
    tags: Sharded<IpAddr, HostTags>,
    refused: AtomicU64,
}

/// [`Shared`] by names, for the next process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedShared {
    version: u32,
    host_bits: Vec<SavedBit>,
    counts: Vec<SavedCount>,
    tags: Vec<(IpAddr, HostTags)>,
    sets: Vec<SavedSet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedBit {
    name: String,
    owner: Owner,
    until_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedSet {
    name: String,
    kind: String,
    members: Vec<(String, u16)>,
}

impl Shared {
    /// Reads the files that rules and configuration name.
    ///
    /// # Errors
    /// When one of them cannot be used; the message has its place.
    pub fn new(rules: &RuleSet, plan: &Plan, config: &StateConfig) -> Result<Self, StateError> {
        let kept = Kept {
            host_bits: Sharded::new(config.host_bits),
            counts: Thresholds::new(config.counters),
            tags: Sharded::new(config.tagged_hosts),
            refused: AtomicU64::new(0),
        };
        Self::with(Arc::new(kept), rules, plan, config, &|_| None)
    }

    /// The same for rules that take others' place, with all that is known; for a while both are used. Files are read anew.
    /// A data set goes on with the members that it has, unless they are from a file and no rule changes them, or the file is
    /// another one. `before` is the plan that this was made for.
    ///
    /// # Errors
    /// As for [`Shared::new`]; nothing has changed then.
    pub fn after(
        &self,
        before: &Plan,
        rules: &RuleSet,
        plan: &Plan,
        config: &StateConfig,
    ) -> Result<Self, StateError> {
        let old = |definition: &DataSet| {
            let of_name = |set: &&Set| set.definition().name == definition.name;
            let set = self.sets.iter().flatten().find(of_name)?;
            let changes = |plan: &Plan| {
                let number = plan.names().find_set(&definition.name);
                number.is_some_and(|number| plan.changes(number))
            };
            let from_file = definition.load.is_some();
            let same_file = definition.load == set.definition().load;
            let goes_on = !from_file || same_file && (changes(before) || changes(plan));
            set.redefined(definition, config.set_memory)
                .filter(|_| goes_on)
        };
        Self::with(Arc::clone(&self.kept), rules, plan, config, &old)
    }

    fn with(
        kept: Arc<Kept>,
        rules: &RuleSet,
        plan: &Plan,
        config: &StateConfig,
        old: &dyn Fn(&DataSet) -> Option<Set>,
    ) -> Result<Self, StateError> {
        let folder = config.folder.as_deref();
        let read = |name: Option<&Name>| {
            let mut definitions = rules.data_sets().iter();
            definitions
                .find(|set| Some(&set.name) == name)
                .map(|set| match old(set) {
                    Some(set) => Ok(set),
                    None => Set::read(set, config.set_memory, folder),
                })
                .transpose()
        };
        let names = plan.names();
        Ok(Self {
            kept,
            sets: names.sets().map(read).collect::<Result<_, _>>()?,
            reputations: Reputations::read(&config.reputation, &names.categories())?,
            countries: config
                .countries
                .as_deref()
                .map(Countries::read)
                .transpose()?,
            folder: config.folder.clone(),
        })
    }

    /// Nobody uses the rules before any more: what only they had a use for is forgotten, and data sets that they wanted
    /// kept are written. `after` is what this became.
    ///
    /// # Errors
    /// When a data set cannot be written; all the same is done.
    pub(crate) fn leave(&self, after: &Self, left: &Left) -> Result<(), StateError> {
        if !left.host_bits.is_empty() {
            (self.kept.host_bits).retain(|(bit, _), _| !left.host_bits.contains(bit));
        }
        self.kept.counts.forget(left);
        let mut written = Ok(());
        for set in self.sets.iter().flatten() {
            let goes_on = |other: &Set| other.definition().name == set.definition().name;
            if let Some(folder) = &self.folder
                && !after.sets.iter().flatten().any(goes_on)
            {
                written = written.and(set.write(folder));
            }
        }
        written
    }

    /// Writes the data sets that are to be kept. To be called at the end of the run.
    ///
    /// # Errors
    /// When one cannot be written; the others are written all the same.
    pub fn write_sets(&self) -> Result<(), StateError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let mut written = Ok(());
        for set in self.sets.iter().flatten() {
            written = written.and(set.write(folder));
        }
        written
    }

    /// Data sets that rules want kept, but for which there is no folder: what they learn is lost at the end.
    pub fn unkept(&self) -> usize {
        let sets = self.sets.iter().flatten();
        let to_keep = sets.filter(|set| set.definition().save.is_some());
        match self.folder {
            Some(_) => 0,
            None => to_keep.count(),
        }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> StateCounters {
        StateCounters {
            host_bits: self.kept.host_bits.len() as u64,
            host_bits_evicted: self.kept.host_bits.evicted(),
            counters_evicted: self.kept.counts.evicted(),
            tagged_hosts_evicted: self.kept.tags.evicted(),
            refused: self.kept.refused.load(Ordering::Relaxed),
            set_members: (self.sets.iter().flatten())
                .map(|set| set.len() as u64)
                .sum(),
            sets_full: self.sets.iter().flatten().map(Set::full).sum(),
        }
    }

    /// Counts what was not set for want of room.
    pub(super) fn refuse_unless(&self, done: bool) {
        if !done {
            self.kept.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn host_bit(&self, bit: u32, owner: Owner, now_ns: u64) -> bool {
        self.kept.host_bits.with(&(bit, owner), |until| {
            until.is_some_and(|until| *until >= now_ns)
        })
    }

    /// A bit that is set keeps its expiry, as in Suricata.
    pub(super) fn change_host_bit(
        &self,
        op: BitOp,
        bit: u32,
        owner: Owner,
        now_ns: u64,
        seconds: u32,
    ) {
        let key = (bit, owner);
        let set = self.host_bit(bit, owner, now_ns);
        match op {
            BitOp::Set if set => {}
            BitOp::Set | BitOp::Toggle if !set => {
                let until = now_ns.saturating_add(u64::from(seconds).saturating_mul(SECOND));
                let over = |other: &u64| *other < now_ns;
                self.kept
                    .host_bits
                    .entry(&key, || until, over, |place| *place = until);
            }
            _ => {
                self.kept.host_bits.remove(&key);
            }
        }
    }

    pub(super) fn set(&self, set: usize) -> Option<&Set> {
        self.sets.get(set)?.as_ref()
    }

    pub(super) fn counts(&self) -> &Thresholds {
        &self.kept.counts
    }

    pub(super) fn reputations(&self) -> &Reputations {
        &self.reputations
    }

    pub(super) fn country(&self, address: IpAddr) -> Option<[u8; 2]> {
        self.countries.as_ref()?.of(address)
    }

    pub(super) fn tag_host(&self, host: IpAddr, rule: (u32, u32), metric: TagMetric, now_ns: u64) {
        let make = || HostTags {
            tags: Vec::new(),
            last_ns: now_ns,
        };
        let idle = |host: &HostTags| host.last_ns.saturating_add(HOST_TAGS_IDLE_NS) < now_ns;
        let done = self.kept.tags.entry(&host, make, idle, |host| {
            host.last_ns = now_ns;
            tag::set(&mut host.tags, rule, metric, now_ns)
        });
        self.refuse_unless(done);
    }

    /// Counts a packet of a host for its tags; true when one of them wants it logged.
    pub(super) fn host_tagged(&self, host: IpAddr, now_ns: u64, bytes: u32) -> bool {
        let counted = self.kept.tags.with(&host, |found| {
            found.map(|host| {
                host.last_ns = now_ns;
                (
                    tag::count(&mut host.tags, now_ns, bytes),
                    host.tags.is_empty(),
                )
            })
        });
        if let Some((_, true)) = counted {
            self.kept.tags.remove(&host);
        }
        counted.is_some_and(|(logged, _)| logged)
    }

    /// The state by names.
    pub fn export(&self, rules: &RuleSet, plan: &Plan) -> SavedShared {
        let names = plan.names();
        let saved_set = |(at, set): (usize, &Option<Set>)| {
            let set = set.as_ref().filter(|_| plan.changes(at))?;
            Some(SavedSet {
                name: set.definition().name.to_string(),
                kind: format!("{:?}", set.definition().kind),
                members: set.export(),
            })
        };
        SavedShared {
            version: SAVED_VERSION,
            host_bits: self.kept.host_bits.export(|&(bit, owner), &until_ns| {
                Some(SavedBit {
                    name: names.host_bit(bit)?,
                    owner,
                    until_ns,
                })
            }),
            counts: self.kept.counts.export(rules, plan.limits()),
            tags: self
                .kept
                .tags
                .export(|&host, tags| Some((host, tags.clone()))),
            sets: self.sets.iter().enumerate().filter_map(saved_set).collect(),
        }
    }

    /// Takes saved state over; returns how many entries no rule of this set has a use for.
    ///
    /// # Errors
    /// When it is of another version.
    pub fn import(
        &self,
        saved: &SavedShared,
        rules: &RuleSet,
        plan: &Plan,
    ) -> Result<u64, StateError> {
        if saved.version != SAVED_VERSION {
            return Err(StateError::Version {
                expected: SAVED_VERSION,
                found: saved.version,
            });
        }
        let names = plan.names();
        let mut useless = 0;
        for bit in &saved.host_bits {
            let Some(number) = names.find_host_bit(&bit.name) else {
                useless += 1;
                continue;
            };
            let until = bit.until_ns;
            self.kept.host_bits.entry(
                &(number, bit.owner),
                || until,
                |_| false,
                |place| *place = until,
            );
        }
        useless += self.kept.counts.import(&saved.counts, rules, plan.limits());
        for (host, tags) in &saved.tags {
            self.kept.tags.entry(
                host,
                || tags.clone(),
                |_| false,
                |place| place.clone_from(tags),
            );
        }
        for set in &saved.sets {
            let here = names
                .find_set(&set.name)
                .filter(|&at| plan.changes(at))
                .and_then(|at| self.set(at))
                .filter(|here| format!("{:?}", here.definition().kind) == set.kind);
            useless += match here {
                Some(here) => here.import(&set.members),
                None => set.members.len() as u64,
            };
        }
        Ok(useless)
    }
}

/// A worker's way to what flows share.
pub struct Seat {
    shared: Arc<Shared>,
    turn: Turn,
}

impl Seat {
    /// For a worker; `turn` is its turn in the [`super::Order`] of the run.
    pub fn new(shared: Arc<Shared>, turn: Turn) -> Self {
        Self { shared, turn }
    }

    /// The worker comes to this place; everything before it is done.
    #[inline]
    pub fn at(&mut self, place: Place) {
        self.turn.at(place);
    }

    /// Returns once it is this place's turn.
    #[inline]
    pub fn wait(&mut self) {
        self.turn.wait();
    }

    /// What flows share, once it is this place's turn.
    #[inline]
    pub(super) fn in_turn(&mut self) -> &Shared {
        self.turn.wait();
        &self.shared
    }

    /// What no rule changes, or only counts: no turn is needed.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
