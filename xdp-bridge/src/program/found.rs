//! What an earlier process has left: whether it can be taken over, and how it is removed.

use std::os::fd::{AsFd, OwnedFd};

use weir_xdp_common::{LAYOUT, MAX_PORTS, RECORDED, Record, SETTINGS, Settings};

use super::error::Error;
use super::object::{self, MAPS};
use super::options::AttachOptions;
use super::place::Place;
use super::{ports, sys};
use crate::interface::Facts;

/// What is pinned at a place.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of a bridge that can be taken over, or, with `unusable`, of one that cannot.
    pub settings: Option<Settings>,
    /// What was changed on its ports, also of a bridge of another version.
    pub record: Option<Record>,
    pub links: [Option<Link>; MAX_PORTS as usize],
    /// Why it cannot be taken over.
    pub unusable: Option<String>,
}

/// A link that was pinned.
#[derive(Debug)]
pub(super) struct Link {
    pub fd: OwnedFd,
    /// 0 if its interface is gone.
    pub ifindex: u32,
    pub program: u32,
}

impl Found {
    /// Looks at a place, which may be empty.
    pub fn at(place: &Place) -> Result<Self, Error> {
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
            if name == SETTINGS {
                let record = sys::record(map.as_fd()).map_err(opening())?;
                found.record = record.filter(|record| record.layout >= RECORDED);
            }
            let expected = object::shape(name);
            if expected.entries == 0 {
                shape.entries = 0;
            }
            // The kernel adds flags of its own; that the cells can be mapped shows when they are.
            shape.flags = expected.flags;
            if shape != expected {
                found.unusable = Some(format!("its map {name} is not as this version's"));
            } else if name == SETTINGS
                && let Some(table) = sys::Table::<u32, Settings>::new(map).map_err(opening())?
            {
                found.settings = table.get(&0).map_err(opening())?;
            }
        }
        if let Some(settings) = found.settings
            && settings.record.layout != LAYOUT
        {
            let layout = settings.record.layout;
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
pub(super) fn remove(place: &Place, record: Option<Record>) -> Vec<String> {
    let mut problems = Vec::new();
    for (port, name) in place.names.iter().enumerate() {
        if let Err(error) = detach_link(place, port) {
            problems.push(format!("{name}: {error}"));
        }
    }
    if let Err(error) = place.remove() {
        problems.push(error.to_string());
    }
    for (name, port) in place.names.iter().zip(record.unwrap_or_default().ports) {
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

/// What was changed on the ports of a place, if that is known.
pub(super) fn record_at(place: &Place) -> Result<Option<Record>, Error> {
    Ok(Found::at(place)?.record)
}
