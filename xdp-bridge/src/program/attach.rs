//! The program comes to its ports: anew, or in the place of one that a process has left there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use weir_xdp_common::{
    LAYOUT, MAX_PORTS, MAX_QUEUES, Outcome, PortSettings, Settings, Tally, socket_index,
};

use super::attached::Attached;
use super::cells::Mapped;
use super::error::Error;
use super::object::{self, Loaded, MAPS, Maps};
use super::options::{AttachMode, AttachOptions, Mode};
use super::orders::Orders;
use super::place::{Place, PortLock};
use super::{counters, ports, sys};
use crate::interface::{self, Facts};

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
    let facts = names.iter().map(|name| ports::facts(name));
    let facts = facts.collect::<Result<Vec<Facts>, Error>>()?;
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
        remove(&place, found.settings);
        found = Found::default();
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
        layout: LAYOUT,
        mode: options.code(),
        fail: options.fail.code(),
        queues,
        orders: u32::from(adopted.as_ref().is_some_and(|adopted| adopted.flows > 0)),
        pid: std::process::id(),
        timeout_ns: options.timeout_ns(),
        ports: [PortSettings::default(); MAX_PORTS as usize],
    };
    for (index, port) in facts.iter().enumerate() {
        // What was changed on an interface that is gone cannot be put back.
        let before = found
            .settings
            .map_or(0, |left| match left.ports.get(index) {
                Some(before) if before.ifindex == port.ifindex => before.changed,
                _ => 0,
            });
        if let Some(slot) = settings.ports.get_mut(index) {
            *slot = ports::prepare(port, before, &mut warnings);
        }
    }
    let to_put_back = Restore {
        names,
        settings,
        armed: !adopting,
    };
    loaded
        .maps
        .settings
        .set(&0, &settings, sys::ANY)
        .map_err(Error::doing("writing the program's settings"))?;
    connect(&loaded.maps, &facts)?;

    let links = links(&loaded, &place, &facts, mode, options.mode, found.links)?;
    if let Some(why) = links.why_generic.or(short) {
        warnings.push(format!(
            "the program runs in generic mode, which is slower: {why}"
        ));
    }
    if let Some(adopted) = &mut adopted {
        adopted.replaced = links.replaced;
    }
    guard.place = None;
    to_put_back.disarm();
    let orders = Orders::new(&loaded.maps)?;
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
    settings: Settings,
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
            for (name, port) in self.names.iter().zip(self.settings.ports) {
                for problem in ports::restore(name, port) {
                    tracing::warn!("{problem}");
                }
            }
        }
    }
}

/// What is pinned at a place.
#[derive(Debug, Default)]
struct Found {
    /// Of a bridge that can be taken over, or, with `unusable`, of one that cannot.
    settings: Option<Settings>,
    links: [Option<Link>; MAX_PORTS as usize],
    /// Why it cannot be taken over.
    unusable: Option<String>,
}

/// A link that was pinned.
#[derive(Debug)]
struct Link {
    fd: OwnedFd,
    /// 0 if its interface is gone.
    ifindex: u32,
    program: u32,
}

impl Found {
    fn at(place: &Place) -> Result<Self, Error> {
        let mut found = Self::default();
        for (port, slot) in found.links.iter_mut().enumerate() {
            let path = place.link(port);
            let opening = || Error::doing(format!("opening {}", path.display()));
            if let Some(fd) = sys::pinned(&path).map_err(opening())? {
                let (ifindex, program) = sys::link_info(fd.as_fd()).map_err(opening())?;
                *slot = Some(Link {
                    fd,
                    ifindex,
                    program,
                });
            }
        }
        let mut missing = 0;
        for name in MAPS {
            let path = place.folder.join(name);
            let opening = || Error::doing(format!("opening {}", path.display()));
            let Some(map) = sys::pinned(&path).map_err(opening())? else {
                missing += 1;
                continue;
            };
            let mut shape = sys::map_shape(map.as_fd()).map_err(opening())?;
            let expected = object::shape(name);
            if expected.entries == 0 {
                shape.entries = 0;
            }
            // The kernel adds flags of its own; that the cells can be mapped shows when they are.
            shape.flags = expected.flags;
            if shape != expected {
                found.unusable = Some(format!("its map {name} is not as this version's"));
            } else if name == weir_xdp_common::SETTINGS
                && let Some(table) = sys::Table::<u32, Settings>::new(map).map_err(opening())?
            {
                found.settings = table.get(&0).map_err(opening())?;
            }
        }
        if let Some(settings) = found.settings
            && settings.layout != LAYOUT
        {
            let layout = settings.layout;
            found.unusable = Some(format!(
                "its layout is {layout}, and this version's {LAYOUT}"
            ));
            // What its words mean is not known.
            found.settings = None;
        } else if missing > 0 && (missing < MAPS.len() || found.links.iter().any(Option::is_some)) {
            found.unusable = Some(format!("{missing} of its maps are missing"));
        }
        Ok(found)
    }
}

/// Removes what is at a place, and puts interfaces back as they were as far as that is known.
pub(super) fn remove(place: &Place, settings: Option<Settings>) -> Vec<String> {
    let mut problems = Vec::new();
    for (port, name) in place.names.iter().enumerate() {
        if let Err(error) = detach_link(place, port) {
            problems.push(format!("{name}: {error}"));
        }
    }
    if let Err(error) = place.remove() {
        problems.push(error.to_string());
    }
    for (name, port) in place.names.iter().zip(settings.unwrap_or_default().ports) {
        problems.extend(ports::restore(name, port));
    }
    for problem in &problems {
        tracing::warn!("{problem}");
    }
    problems
}

/// Takes a port's program off its interface, and removes the link's pin; there may be none.
pub(super) fn detach_link(place: &Place, port: usize) -> Result<(), Error> {
    let path = place.link(port);
    let removing = || Error::doing(format!("removing {}", path.display()));
    if let Some(link) = sys::pinned(&path).map_err(removing())? {
        sys::link_detach(link.as_fd()).map_err(removing())?;
        std::fs::remove_file(&path).map_err(removing())?;
    }
    Ok(())
}

/// Programs that an earlier process has left at the place of these ports; what is wrong there goes to `problem`.
pub(super) fn programs(
    options: &AttachOptions,
    ports: &[Facts],
    problem: &mut impl FnMut(Error),
) -> Vec<u32> {
    let look = || -> Result<Vec<u32>, Error> {
        let place = Place::of(&options.bpffs, &options.interfaces)?;
        ports::no_other_bridge(&Place::all(&options.bpffs)?, &place)?;
        let links = Found::at(&place)?.links;
        let alive = |link: &Link| ports.iter().any(|port| port.ifindex == link.ifindex);
        let links = links.into_iter().flatten().filter(alive);
        Ok(links.map(|link| link.program).collect())
    };
    look().unwrap_or_else(|error| {
        problem(error);
        Vec::new()
    })
}

/// The settings at a place, if there are any that can be read.
pub(super) fn settings_at(place: &Place) -> Result<Option<Settings>, Error> {
    Ok(Found::at(place)?.settings)
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
    let ports = left.ports.iter().filter(|port| port.ifindex != 0).count();
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

/// How the ports came to have the program.
struct Linked {
    all: Vec<OwnedFd>,
    mode: Mode,
    why_generic: Option<String>,
    replaced: bool,
}

fn links(
    loaded: &Loaded,
    place: &Place,
    facts: &[Facts],
    mode: Mode,
    wanted: AttachMode,
    mut found: [Option<Link>; MAX_PORTS as usize],
) -> Result<Linked, Error> {
    let current = |port: &Facts| {
        port.program.map(|program| {
            if program.native {
                Mode::Native
            } else {
                Mode::Generic
            }
        })
    };
    // Kept are links to these very interfaces, in one mode that will do.
    let kept = facts.iter().zip(&found).all(|(port, link)| {
        let alive = link
            .as_ref()
            .is_some_and(|link| link.ifindex == port.ifindex);
        alive && current(port) == Some(mode)
    });
    if kept {
        let mut linked = Linked {
            all: Vec::new(),
            mode,
            why_generic: None,
            replaced: false,
        };
        for link in found.into_iter().flatten().take(facts.len()) {
            let before = sys::program_by_id(link.program);
            linked.replaced |= !before.is_ok_and(|info| info.tag == loaded.info.tag);
            // Also if it is the same: what was adopted is then the program of this executable in every respect.
            sys::link_update(link.fd.as_fd(), loaded.program.as_fd())
                .map_err(Error::doing("replacing the program"))?;
            linked.all.push(link.fd);
        }
        return Ok(linked);
    }
    let replaced = found.iter().any(Option::is_some);
    for (port, slot) in found.iter_mut().enumerate() {
        if slot.take().is_some() {
            detach_link(place, port)?;
        }
    }
    let (mode, all, why_generic) = match create_all(loaded, facts, mode) {
        Ok(all) => (mode, all, None),
        Err((port, why, _)) if mode == Mode::Native && wanted == AttachMode::Auto => {
            let all = create_all(loaded, facts, Mode::Generic).map_err(not_attached)?;
            let why = format!("{}: {why}", port.name);
            (Mode::Generic, all, Some(why))
        }
        Err((port, why, source)) if mode == Mode::Native => {
            return Err(match source.raw_os_error() {
                Some(libc::EPERM | libc::EBUSY) => not_attached((port, why, source)),
                _ => Error::NoNative {
                    interface: port.name.clone(),
                    why,
                },
            });
        }
        Err(failed) => return Err(not_attached(failed)),
    };
    for (port, link) in all.iter().enumerate() {
        sys::pin(link.as_fd(), &place.link(port)).map_err(Error::doing("pinning a link"))?;
    }
    Ok(Linked {
        all,
        mode,
        why_generic,
        replaced,
    })
}

pub(super) type NotAttached<'a> = (&'a Facts, String, io::Error);

pub(super) fn not_attached((port, why, source): NotAttached<'_>) -> Error {
    Error::Attach {
        interface: port.name.clone(),
        why,
        source,
    }
}

fn create_all<'a>(
    loaded: &Loaded,
    facts: &'a [Facts],
    mode: Mode,
) -> Result<Vec<OwnedFd>, NotAttached<'a>> {
    let link = |port: &'a Facts| create(loaded, port, mode);
    facts.iter().map(link).collect()
}

/// Attaches the program to one port; if that fails, says why.
pub(super) fn create<'a>(
    loaded: &Loaded,
    port: &'a Facts,
    mode: Mode,
) -> Result<OwnedFd, NotAttached<'a>> {
    sys::link_create(loaded.program.as_fd(), port.ifindex, mode.flags()).map_err(|error| {
        let program = std::os::fd::AsRawFd::as_raw_fd(&loaded.program);
        let why = interface::why_not(port.ifindex, program, mode.flags());
        (port, why.unwrap_or_else(|| error.to_string()), error)
    })
}
