//! The program on its ports.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

#[cfg(doc)]
use weir_xdp_common::Cause;
use weir_xdp_common::{FlowEntry, FlowKey, Settings, Tally, action, socket_index};

use super::attach::{self, Adopted};
use super::cell::QueueCell;
use super::cells::Mapped;
use super::counters::{self, KernelCounters};
use super::error::Error;
use super::object::Loaded;
use super::options::{AttachMode, AttachOptions, Mode};
use super::orders::{Orders, Sweep};
use super::place::{Place, PortLock};
use super::{found, links, ports, sys, xmit};
use crate::interface::Facts;

/// Ports to put the program on.
#[derive(Debug)]
pub struct Ports;

impl Ports {
    /// Puts the program on the ports, or takes over the one that an earlier process has left there. Nothing reaches user
    /// space until sockets are set and workers beat: until then frames fail, open or closed.
    ///
    /// # Errors
    ///
    /// Each says what to do about it; nothing new is left behind.
    pub fn attach(options: &AttachOptions) -> Result<Attached, Error> {
        attach::attach(options)
    }
}

/// The program on its ports. When it is dropped the program stays there, and frames fail, open or closed.
#[derive(Debug)]
pub struct Attached {
    pub(super) orders: Orders,
    pub(super) ordered: AtomicBool,
    pub(super) loaded: Loaded,
    pub(super) cells: Arc<Mapped>,
    pub(super) ports: Vec<Facts>,
    pub(super) mode: Mode,
    pub(super) links: Vec<OwnedFd>,
    pub(super) settings: Mutex<Settings>,
    pub(super) place: Place,
    pub(super) adopted: Option<Adopted>,
    pub(super) warnings: Vec<String>,
    pub(super) workers: u32,
    pub(super) _locks: Vec<PortLock>,
}

impl Attached {
    /// How the program runs.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The ports, as they were when the program was attached: A, then B if there is one.
    #[must_use]
    pub fn ports(&self) -> &[Facts] {
        &self.ports
    }

    /// Whether a port still has the program.
    #[must_use]
    pub fn holds(&self, port: usize) -> bool {
        let link = self.links.get(port).zip(self.ports.get(port));
        link.is_some_and(|(link, port)| {
            sys::link_info(link.as_fd()).is_ok_and(|(ifindex, _)| ifindex == port.ifindex)
        })
    }

    /// How many workers there are to be; each serves the queue of its number on all ports.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// What was taken over, if anything was.
    #[must_use]
    pub fn adopted(&self) -> Option<&Adopted> {
        self.adopted.as_ref()
    }

    /// What is likely not meant; has been logged.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Has the frames of a port's queue go to this AF_XDP socket, which must be bound to them. When the socket is closed
    /// the kernel forgets it.
    ///
    /// # Errors
    ///
    /// What the system says; no such port, or a queue that no worker serves.
    pub fn set_socket(&self, port: usize, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Error> {
        let name = self.ports.get(port).map_or("", |port| &port.name);
        if port >= self.ports.len() || queue >= self.workers {
            let doing = format!("giving the frames of queue {queue} of port {port} to a socket");
            return Err(Error::doing(doing)(std::io::ErrorKind::InvalidInput.into()));
        }
        let index = socket_index(u32::try_from(port).unwrap_or(u32::MAX).min(1), queue);
        // Descriptors are never negative.
        let fd = socket.as_raw_fd().unsigned_abs();
        sys::map_set(self.loaded.maps.xsks.as_fd(), index, fd).map_err(Error::doing(format!(
            "giving the frames of queue {queue} of {name} to its socket"
        )))
    }

    /// Takes all sockets out of the program's hands: frames fail from now on, open or closed, and what is in the sockets' rings
    /// is the last that comes there when this returns. Takes some ten milliseconds.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn unset_sockets(&self) -> Result<(), Error> {
        for port in 0..self.ports.len() {
            for queue in 0..self.workers {
                let index = socket_index(u32::try_from(port).unwrap_or(u32::MAX).min(1), queue);
                sys::map_remove(self.loaded.maps.xsks.as_fd(), index)
                    .map_err(Error::doing("taking sockets away from the program"))?;
            }
        }
        // Some may be running that have found one before; what they redirect is in its ring when they have ended.
        sys::wait_for_programs().map_err(Error::doing("taking sockets away from the program"))
    }

    /// A worker's cell; `None` past [`weir_xdp_common::MAX_QUEUES`].
    #[must_use]
    pub fn cell(&self, worker: usize) -> Option<QueueCell> {
        self.cells.get(worker)
    }

    /// A tally of all workers together, past ones included.
    #[must_use]
    pub fn tally(&self, port: usize, what: Tally) -> u64 {
        let sum = |sum: u64, cell: QueueCell| sum.wrapping_add(cell.get(port, what));
        self.cells.all().fold(0, sum)
    }

    /// What the program has counted.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn counters(&self) -> Result<KernelCounters, Error> {
        let mut ports = counters::read(&self.loaded.maps)?;
        ports.truncate(self.ports.len());
        Ok(KernelCounters { ports })
    }

    /// Whether [`Cause::XmitDropped`] is counted: between two ports, where the kernel lets its tracepoints be used.
    #[must_use]
    pub fn counts_unsent(&self) -> bool {
        self.ports.len() > 1 && xmit::watches(&self.place)
    }

    /// Has the kernel forward a flow by itself, past user space. `now_ns` is `CLOCK_MONOTONIC`'s.
    ///
    /// # Errors
    ///
    /// What the system says; the flow then goes on to user space.
    pub fn bypass(&self, key: &FlowKey, now_ns: u64) -> Result<(), Error> {
        self.order(
            key,
            FlowEntry {
                action: action::BYPASS,
                last_ns: now_ns,
                ..FlowEntry::default()
            },
        )
    }

    /// Has the kernel drop a flow by itself until `until_ns`; both are `CLOCK_MONOTONIC`'s nanoseconds.
    ///
    /// # Errors
    ///
    /// What the system says; the flow then goes on to user space.
    pub fn block(&self, key: &FlowKey, now_ns: u64, until_ns: u64) -> Result<(), Error> {
        self.order(
            key,
            FlowEntry {
                action: action::BLOCK,
                last_ns: now_ns,
                until_ns,
                ..FlowEntry::default()
            },
        )
    }

    fn order(&self, key: &FlowKey, entry: FlowEntry) -> Result<(), Error> {
        self.orders.give(key, entry)?;
        // From the first order on the program looks into frames.
        if !self.ordered.swap(true, Ordering::Relaxed) {
            let written = self.write(|settings| settings.orders = 1);
            self.ordered.store(written.is_ok(), Ordering::Relaxed);
            written?;
        }
        Ok(())
    }

    /// Looks through the flows that the kernel has and removes those that are over, with what it did for each: blocked
    /// ones whose time has come, and bypassed ones without a frame for `idle_ns`. Takes about a microsecond a flow: not for a
    /// thread that handles frames. Times are `CLOCK_MONOTONIC`'s nanoseconds.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn sweep(&self, now_ns: u64, idle_ns: u64) -> Result<Sweep, Error> {
        self.orders.sweep(now_ns, idle_ns)
    }

    /// Flows whose end no sweep will tell, as too many ended between two.
    #[must_use]
    pub fn unnoted_flows(&self) -> u64 {
        self.orders.unnoted()
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        match self.settings.lock() {
            Ok(settings) => settings,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    fn write(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        let mut settings = self.settings();
        change(&mut settings);
        self.loaded
            .maps
            .settings
            .set(&0, &settings, sys::ANY)
            .map_err(Error::doing("writing the program's settings"))
    }

    /// Puts the program on an interface that has come back, as another one of the same name. Sockets have to be bound and
    /// set anew.
    ///
    /// # Errors
    ///
    /// As for [`Ports::attach`].
    pub fn reattach(&mut self, port: usize) -> Result<(), Error> {
        let Some(before) = self.ports.get(port) else {
            return Err(Error::Interfaces(port + 1));
        };
        let mut facts = ports::facts(&before.name)?;
        if let Some(link) = self.links.get(port)
            && sys::link_info(link.as_fd()).is_ok_and(|(ifindex, _)| ifindex == facts.ifindex)
        {
            // It is the same, after all.
            self.ports[port] = facts;
            return Ok(());
        }
        if facts.queues > self.workers {
            return Err(Error::Queues {
                interface: facts.name,
                has: facts.queues,
                served: self.workers,
            });
        }
        ports::no_foreign_program(&facts, &[])?;
        let mut all = self.ports.clone();
        std::mem::swap(&mut all[port], &mut facts);
        let facts = &all[port];
        // What came back may not be what went: frames could be lost unseen.
        let as_before = match self.mode {
            Mode::Native => AttachMode::Native,
            Mode::Generic => AttachMode::Generic,
        };
        ports::mode(as_before, &all)?;
        // What an earlier try has changed on it is to be put back, too.
        let before = match self.settings().record.ports.get(port) {
            Some(before) if before.ifindex == facts.ifindex => before.changed,
            _ => 0,
        };
        // Known before its first frame comes, which would else be taken for the other port's.
        let changed = ports::prepare(facts, before, &mut self.warnings);
        self.write(|settings| {
            if let Some(slot) = settings.record.ports.get_mut(port) {
                *slot = changed;
            }
        })?;
        self.ports = all;
        attach::connect(&self.loaded.maps, &self.ports)?;
        // The old one's link, which leads nowhere.
        found::detach_link(&self.place, port)?;
        let facts = &self.ports[port];
        let link = links::create(&self.loaded, facts, self.mode).map_err(links::not_attached)?;
        sys::pin(link.as_fd(), &self.place.link(port)).map_err(Error::doing("pinning a link"))?;
        self.links[port] = link;
        Ok(())
    }

    /// Goes, and leaves the program on its ports: frames fail from now on, open or closed, until another process takes
    /// over.
    pub fn leave(self) {
        for cell in self.cells.all() {
            cell.beat(0);
        }
    }

    /// Takes the program off its ports, and puts the interfaces back as they were. Returns what could not be put back.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn detach(self) -> Result<Vec<String>, Error> {
        let record = self.settings().record;
        Ok(found::remove(&self.place, Some(record)))
    }
}

/// What [`detach`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// The interfaces of the bridge.
    pub interfaces: Vec<String>,
    /// What could not be put back as it was.
    pub problems: Vec<String>,
}

/// Removes what a Weir that has ended left on an interface: the program from all ports of its bridge, maps, and what was
/// changed on the interfaces.
///
/// # Errors
///
/// There is nothing, or a Weir still runs there, or what the system says.
pub fn detach(interface: &str, bpffs: &std::path::Path) -> Result<Detached, Error> {
    let places = Place::all(bpffs)?;
    let place = places
        .into_iter()
        .find(|place| place.names.iter().any(|name| name == interface))
        .ok_or_else(|| Error::NothingThere(interface.into()))?;
    let locks = place.names.iter().map(|name| PortLock::take(name));
    let _locks = locks.collect::<Result<Vec<PortLock>, Error>>()?;
    let record = found::record_at(&place)?;
    let problems = found::remove(&place, record);
    Ok(Detached {
        interfaces: place.names,
        problems,
    })
}

/// What [`check`] found.
#[derive(Debug)]
pub struct Checked {
    /// The interfaces, as far as they are there.
    pub ports: Vec<Facts>,
    /// How the program would run.
    pub mode: Option<Mode>,
    /// How many workers there would be.
    pub workers: Option<u32>,
    /// An earlier process's program would be taken over.
    pub adopts: bool,
    /// Why it would not work.
    pub problems: Vec<Error>,
    /// What is likely not meant.
    pub warnings: Vec<String>,
}

/// Tries everything but the last step: the kernel is given the program, which goes to no port, and nothing is changed.
#[must_use]
pub fn check(options: &AttachOptions) -> Checked {
    let mut checked = Checked {
        ports: Vec::new(),
        mode: None,
        workers: None,
        adopts: false,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    if let Err(error) = options.validate() {
        checked.problems.push(error);
        return checked;
    }
    for name in &options.interfaces {
        match ports::facts(name) {
            Ok(facts) => {
                checked.warnings.extend(ports::warnings(&facts));
                checked.ports.push(facts);
            }
            Err(error) => checked.problems.push(error),
        }
        if let Err(error) = PortLock::take(name) {
            checked.problems.push(error);
        }
    }
    let problems = &mut checked.problems;
    let mut keep = |error| problems.push(error);
    let ours = found::programs(options, &checked.ports, &mut keep);
    checked.adopts = !ours.is_empty();
    for port in &checked.ports {
        if let Err(error) = ports::no_foreign_program(port, &ours) {
            keep(error);
        }
    }
    match ports::workers(options, &checked.ports) {
        Ok(workers) => checked.workers = Some(workers),
        Err(error) => keep(error),
    }
    match ports::mode(options.mode, &checked.ports) {
        Ok((mode, why)) => {
            checked.mode = Some(mode);
            checked.warnings.extend(why);
        }
        Err(error) => keep(error),
    }
    if let Err(error) = super::object::load(None, options.flows) {
        keep(error);
    }
    checked
}
