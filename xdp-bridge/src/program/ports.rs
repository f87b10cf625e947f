//! Ports before the program is on them: whether it can be, and how.

use crate::interface::{Facts, ethtool, set_promiscuous};

use weir_xdp_common::{MAX_QUEUES, PortSettings, changed};

use super::error::Error;
use super::options::{AttachMode, AttachOptions, Mode};
use super::place::Place;
use super::sys;

/// A name's interface.
pub(super) fn facts(name: &str) -> Result<Facts, Error> {
    Facts::by_name(name)
        .map_err(Error::doing(format!("asking for the interface {name}")))?
        .ok_or_else(|| Error::NoInterface(name.into()))
}

/// How many workers there are to be.
pub(super) fn workers(options: &AttachOptions, ports: &[Facts]) -> Result<u32, Error> {
    let most = ports.iter().map(|port| port.queues).max().unwrap_or(1);
    let served = options.queues.unwrap_or(most).min(MAX_QUEUES);
    match ports.iter().find(|port| port.queues > served) {
        // Their frames would fail, open or closed, for ever.
        Some(port) => Err(Error::Queues {
            interface: port.name.clone(),
            has: port.queues,
            served,
        }),
        None => Ok(served),
    }
}

/// Refuses a port with a program that is not ours: `ours` are the programs of the bridge that is there already.
pub(super) fn no_foreign_program(port: &Facts, ours: &[u32]) -> Result<(), Error> {
    match port.program {
        Some(found) if !ours.contains(&found.id) => {
            let program = match sys::program_by_id(found.id) {
                Ok(info) if info.name.is_empty() => format!("number {}", found.id),
                Ok(info) => format!("{} (number {})", info.name, found.id),
                Err(_) => format!("number {}", found.id),
            };
            Err(Error::Foreign {
                interface: port.name.clone(),
                program,
            })
        }
        _ => Ok(()),
    }
}

/// Refuses a port that is part of a bridge other than `place`.
pub(super) fn no_other_bridge(places: &[Place], place: &Place) -> Result<(), Error> {
    for other in places.iter().filter(|other| other.names != place.names) {
        if let Some(name) = place.names.iter().find(|name| other.names.contains(name)) {
            return Err(Error::OtherBridge {
                interface: name.clone(),
                bridge: other.shown(),
            });
        }
    }
    Ok(())
}

/// How the program is to run on these ports, as far as can be said beforehand; where that is not as hoped, why.
pub(super) fn mode(wanted: AttachMode, ports: &[Facts]) -> Result<(Mode, Option<String>), Error> {
    if wanted == AttachMode::Generic {
        return Ok((Mode::Generic, None));
    }
    for port in ports {
        // Older kernels do not say; attaching will tell.
        let Some(can) = port.xdp else { continue };
        let interface = port.name.clone();
        let error = if !can.native() || !can.redirects() {
            let why = if port.driver == "veth" {
                "a veth can only if it has as many receive queues as the other end has transmit queues (`ethtool -L`)"
            } else {
                "its driver has no XDP, or no redirection"
            };
            Error::NoNative {
                interface,
                why: why.into(),
            }
        } else if ports.len() > 1 && !can.transmits() {
            let why = if port.driver == "veth" {
                "the other end of this veth does not take them: there, `ethtool -K NAME gro on`"
            } else {
                "its driver does not transmit frames of other interfaces' programs"
            };
            Error::CannotForward {
                interface,
                why: why.into(),
            }
        } else {
            continue;
        };
        return match wanted {
            AttachMode::Auto => Ok((Mode::Generic, Some(error.to_string()))),
            _ => Err(error),
        };
    }
    Ok((Mode::Native, None))
}

/// What is not wrong, but is likely not meant.
pub(super) fn warnings(port: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    if !port.up {
        let name = &port.name;
        warnings.push(format!("{name} is down: `ip link set {name} up`"));
    } else if !port.carrier {
        warnings.push(format!("{} has no carrier", port.name));
    }
    warnings
}

/// Makes a port fit for bridging: it receives everything, as it was sent. Returns what was changed, with what was before.
pub(super) fn prepare(port: &Facts, before: u32, warnings: &mut Vec<String>) -> PortSettings {
    let mut done = before;
    if !port.promiscuous {
        match set_promiscuous(port.ifindex, true) {
            Ok(()) => done |= changed::PROMISCUOUS,
            Err(error) => warnings.push(format!(
                "{} does not become promiscuous, and may receive its own frames alone: {error}",
                port.name
            )),
        }
    }
    let on = ethtool::flags(&port.name).unwrap_or(0);
    for (flag, bit, what) in OFFLOADS {
        if on & flag == 0 {
            continue;
        }
        match ethtool::set_flags(&port.name, flag, false) {
            Ok(()) => done |= bit,
            Err(error) => warnings.push(format!(
                "{} {what}, and cannot be told not to: {error}",
                port.name
            )),
        }
    }
    PortSettings {
        ifindex: port.ifindex,
        changed: done,
    }
}

/// Flags of ethtool that change what is received: the frames would not be those that were sent.
const OFFLOADS: [(u32, u32, &str); 2] = [
    (
        ethtool::VLAN_STRIPPING,
        changed::VLAN_STRIPPING,
        "takes VLAN tags out of received frames, which a program cannot see",
    ),
    (
        ethtool::LARGE_RECEIVE,
        changed::LARGE_RECEIVE,
        "merges received frames (LRO)",
    ),
];

/// Puts back what [`prepare`] changed, if the interface is still the same.
pub(super) fn restore(name: &str, settings: PortSettings) -> Vec<String> {
    let mut problems = Vec::new();
    if settings.ifindex == 0 {
        return problems;
    }
    let Ok(Some(facts)) = Facts::by_index(settings.ifindex) else {
        return problems;
    };
    // Somebody may have renamed it, and called another one so.
    let now = facts.name.as_str();
    if settings.changed & changed::PROMISCUOUS != 0
        && let Err(error) = set_promiscuous(settings.ifindex, false)
    {
        problems.push(format!("{name} stays promiscuous: {error}"));
    }
    for (flag, bit, what) in OFFLOADS {
        if settings.changed & bit != 0
            && let Err(error) = ethtool::set_flags(now, flag, true)
        {
            problems.push(format!(
                "{name} no longer {what}, as it did before: {error}"
            ));
        }
    }
    problems
}
