//! The program comes to its ports: anew, or in the place of one that a process has left there.

use std::os::fd::AsFd;

use weir_xdp_common::{
    LAYOUT, MAX_PORTS, MAX_QUEUES, Outcome, PortSettings, Record, Settings, Tally, socket_index,
};

use super::attached::Attached;
use super::cells::Mapped;
use super::error::Error;
use super::found::{Found, remove};
use super::links::links;
use super::object::{self, Maps};
use super::options::AttachOptions;
use super::orders::Orders;
use super::place::{Place, PortLock};
use super::{counters, ports, sys, xmit};
use crate::interface::Facts;

/// What was taken over from a process that had ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// That process.
    pub pid: u32,
    /// What it lost, by port. Also counted, as [`Tally::LostInRings`] and [`Tally::LostInHands`].
    pub lost: Vec<Lost>,
    /// Its program was another, and has been replaced between two frames.
    pub replaced: bool,
    /// Flows that the kernel still forwards or drops by itself.
    pub flows: usize,
}

/// Frames that ended with a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// In its rings: received by the kernel, never seen by the process.
    pub in_rings: u64,
    /// Received by the process, without a verdict carried out.
    pub in_hands: u64,
}

/// Puts the program on its ports.
///
/// # Errors
///
/// Each says what to do. Nothing is left behind that was not there before.
pub(super) fn attach(options: &AttachOptions) -> Result<Attached, Error> {
    options.validate()?;
    let names = &options.interfaces;
    let all = || {
        names
            .iter()
            .map(|name| ports::facts(name))
            .collect::<Result<Vec<Facts>, Error>>()
    };
    let mut facts = all()?;
    let queues = ports::workers(options, &facts)?;
    let locks = names.iter().map(|name| PortLock::take(name));
    let locks = locks.collect::<Result<Vec<PortLock>, Error>>()?;
    let place = Place::of(&options.bpffs, names)?;
    ports::no_other_bridge(&Place::all(&options.bpffs)?, &place)?;

    let mut warnings: Vec<String> = facts.iter().flat_map(ports::warnings).collect();
    let mut found = Found::at(&place)?;
    let ours: Vec<u32> = found
        .links
        .iter()
        .flatten()
        .map(|link| link.program)
        .collect();
    for port in &facts {
        ports::no_foreign_program(port, &ours)?;
    }
    let (mode, short) = ports::mode(options.mode, &facts)?;
    if let Some(why) = found.unusable.take() {
        warnings.push(format!(
            "what an earlier Weir left on {} cannot be taken over, and is made anew: {why}",
            place.shown()
        ));
        remove(&place, found.record);
        found = Found::default();
        // The interfaces are as they were before that.
        facts = all()?;
    }
    let adopting = found.settings.is_some();
    place.make()?;
    let mut guard = Guard {
        place: (!adopting).then(|| place.clone()),
    };
    let loaded = object::load(Some(&place.folder), options.flows)?;
    let cells = Mapped::new(loaded.maps.workers.as_fd())
        .map_err(Error::doing("mapping the workers' cells"))?;
    let mut adopted = match &found.settings {
        Some(left) => Some(settle(left, &loaded.maps, &cells)?),
        None => None,
    };
    let mut settings = Settings {
        record: Record {
            layout: LAYOUT,
            ports: [PortSettings::default(); MAX_PORTS as usize],
        },
        mode: options.code(),
        fail: options.fail.code(),
        queues,
        orders: u32::from(adopted.as_ref().is_some_and(|adopted| adopted.flows > 0)),
        pid: std::process::id(),
        timeout_ns: options.timeout_ns(),
    };
    for (index, port) in facts.iter().enumerate() {
        // What was changed on an interface that is gone cannot be put back.
        let before = found
            .settings
            .map_or(0, |left| match left.record.ports.get(index) {
                Some(before) if before.ifindex == port.ifindex => before.changed,
                _ => 0,
            });
        if let Some(slot) = settings.record.ports.get_mut(index) {
            *slot = ports::prepare(port, before, &mut warnings);
        }
    }
    let to_put_back = Restore {
        names,
        record: settings.record,
        armed: !adopting,
    };
    loaded
        .maps
        .settings
        .set(&0, &settings, sys::ANY)
        .map_err(Error::doing("writing the program's settings"))?;
    connect(&loaded.maps, &facts)?;
    let orders = Orders::new(&loaded.maps)?;

    let links = links(&loaded, &place, &facts, mode, options.mode, found.links)?;
    if let Some(why) = links.why_generic.or(short) {
        warnings.push(format!(
            "the program runs in generic mode, which is slower: {why}"
        ));
    }
    if facts.len() > 1
        && let Err(why) = match &loaded.watchers {
            Ok(watchers) => xmit::watch(watchers, &place).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        }
    {
        warnings.push(format!(
            "frames that the kernel forwards and a port then does not send are not counted: {why}"
        ));
    }
    if let Some(adopted) = &mut adopted {
        adopted.replaced = links.replaced;
    }
    guard.place = None;
    to_put_back.disarm();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(Attached {
        orders,
        ordered: (settings.orders != 0).into(),
        loaded,
        cells,
        ports: facts,
        mode: links.mode,
        links: links.all,
        settings: std::sync::Mutex::new(settings),
        place,
        adopted,
        warnings,
        workers: queues,
        _locks: locks,
    })
}

/// Removes a folder that was made in vain.
struct Guard {
    place: Option<Place>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(place) = &self.place
            && let Err(error) = place.remove()
        {
            tracing::warn!("{error}");
        }
    }
}

/// Puts interfaces back as they were if they were changed in vain.
struct Restore<'a> {
    names: &'a [String],
    record: Record,
    armed: bool,
}

impl Restore<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if self.armed {
            for (name, port) in self.names.iter().zip(self.record.ports) {
                for problem in ports::restore(name, port) {
                    tracing::warn!("{problem}");
                }
            }
        }
    }
}

/// Counts what ended with the process that was there before.
fn settle(left: &Settings, maps: &Maps, cells: &std::sync::Arc<Mapped>) -> Result<Adopted, Error> {
    let doing = || Error::doing("taking over from the process before");
    // From now on no frame goes to whatever may be left of its sockets.
    for cell in cells.all() {
        cell.beat(0);
    }
    for port in 0..MAX_PORTS {
        for queue in 0..MAX_QUEUES {
            sys::map_remove(maps.xsks.as_fd(), socket_index(port, queue)).map_err(doing())?;
        }
    }
    sys::wait_for_programs().map_err(doing())?;
    let mut adopted = Adopted {
        pid: left.pid,
        flows: Orders::count(maps)?,
        ..Adopted::default()
    };
    let ports = left
        .record
        .ports
        .iter()
        .filter(|port| port.ifindex != 0)
        .count();
    for (port, kernel) in counters::read(maps)?.iter().enumerate().take(ports) {
        let sum = |what: Tally| {
            cells
                .all()
                .fold(0_u64, |sum, cell| sum.wrapping_add(cell.get(port, what)))
        };
        let sums = |whats: &[Tally]| {
            whats
                .iter()
                .fold(0_u64, |all, what| all.wrapping_add(sum(*what)))
        };
        let accounted = sums(&[Tally::Received, Tally::RingDropped, Tally::LostInRings]);
        let finished = sums(&[
            Tally::Passed,
            Tally::Dropped,
            Tally::Rejected,
            Tally::TxFull,
            Tally::Invalid,
            Tally::HandOverFull,
            Tally::LostInHands,
        ]);
        let lost = Lost {
            in_rings: kernel
                .outcome(Outcome::ToUser)
                .packets
                .saturating_sub(accounted),
            in_hands: sum(Tally::Received).saturating_sub(finished),
        };
        if let Some(cell) = cells.get(0) {
            cell.add(port, Tally::LostInRings, lost.in_rings);
            cell.add(port, Tally::LostInHands, lost.in_hands);
        }
        adopted.lost.push(lost);
    }
    Ok(adopted)
}

/// Tells the kernel where each port's frames go when it forwards them: to the other one.
pub(super) fn connect(maps: &Maps, ports: &[Facts]) -> Result<(), Error> {
    let doing = || Error::doing("telling the program where to forward to");
    if let [a, b] = ports {
        for (port, other) in [(0, b), (1, a)] {
            sys::map_set_device(maps.peers.as_fd(), port, other.ifindex).map_err(doing())?;
        }
    }
    Ok(())
}
