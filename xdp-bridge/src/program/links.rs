//! The program on each port: links that are kept, or made.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use weir_xdp_common::MAX_PORTS;

use super::error::Error;
use super::found::{Link, detach_link};
use super::object::Loaded;
use super::options::{AttachMode, Mode};
use super::place::Place;
use super::sys;
use crate::interface::{self, Facts};

/// How the ports came to have the program.
pub(super) struct Linked {
    pub all: Vec<OwnedFd>,
    pub mode: Mode,
    /// Why it is not native, where that was hoped for.
    pub why_generic: Option<String>,
    /// There was another program.
    pub replaced: bool,
}

/// Puts the program on all ports, in the place of what is there of an earlier process.
pub(super) fn links(
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
    let in_mode = |mode: Mode| {
        facts.iter().zip(&found).all(|(port, link)| {
            let alive = link
                .as_ref()
                .is_some_and(|link| link.ifindex == port.ifindex);
            alive && current(port) == Some(mode)
        })
    };
    let was = [Mode::Native, Mode::Generic]
        .into_iter()
        .find(|&mode| in_mode(mode));
    let kept = was == Some(mode);
    if kept {
        let mut linked = Linked {
            all: Vec::new(),
            mode,
            why_generic: None,
            replaced: false,
        };
        for link in found.into_iter().flatten().take(facts.len()) {
            let before = sys::link_tag(link.fd.as_fd());
            linked.replaced |= before != Some(loaded.info.tag);
            // Also if it is the same: what was adopted is then the program of this executable in every respect.
            sys::link_update(link.fd.as_fd(), loaded.program.as_fd())
                .map_err(Error::doing("replacing the program"))?;
            linked.all.push(link.fd);
        }
        return Ok(linked);
    }
    // Of an interface that is gone, too: its link still tells.
    let is_another = |link: &Link| sys::link_tag(link.fd.as_fd()) != Some(loaded.info.tag);
    let replaced = found.iter().flatten().any(is_another);
    for (port, slot) in found.iter_mut().enumerate() {
        if slot.take().is_some() {
            detach_link(place, port)?;
        }
    }
    let made = make(loaded, facts, mode, wanted);
    if made.is_err()
        && let Some(was) = was
    {
        // Nobody will inspect, but what is there goes on failing as it is to. Where this fails, too, the error tells enough.
        if let Ok(all) = create_all(loaded, facts, was) {
            pin_all(&all, place)?;
        }
    }
    let (mode, all, why_generic) = made?;
    pin_all(&all, place)?;
    Ok(Linked {
        all,
        mode,
        why_generic,
        replaced,
    })
}

/// Attaches the program to all ports, in the mode that is wanted or, if it may be, in the other one: the mode, the links, and why
/// it is not native.
fn make(
    loaded: &Loaded,
    facts: &[Facts],
    mode: Mode,
    wanted: AttachMode,
) -> Result<(Mode, Vec<OwnedFd>, Option<String>), Error> {
    match create_all(loaded, facts, mode) {
        Ok(all) => Ok((mode, all, None)),
        Err((port, why, _)) if mode == Mode::Native && wanted == AttachMode::Auto => {
            let all = create_all(loaded, facts, Mode::Generic).map_err(not_attached)?;
            let why = format!("{}: {why}", port.name);
            Ok((Mode::Generic, all, Some(why)))
        }
        Err((port, why, source)) if mode == Mode::Native => match source.raw_os_error() {
            Some(libc::EPERM | libc::EBUSY) => Err(not_attached((port, why, source))),
            _ => Err(Error::NoNative {
                interface: port.name.clone(),
                why,
            }),
        },
        Err(failed) => Err(not_attached(failed)),
    }
}

fn pin_all(links: &[OwnedFd], place: &Place) -> Result<(), Error> {
    for (port, link) in links.iter().enumerate() {
        sys::pin(link.as_fd(), &place.link(port)).map_err(Error::doing("pinning a link"))?;
    }
    Ok(())
}

/// A port, why it cannot have the program, and the system's error.
pub(super) type NotAttached<'a> = (&'a Facts, String, io::Error);

/// The same as an error for a person.
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
