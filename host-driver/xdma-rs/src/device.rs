//! Finding cards and their nodes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::channel::{Channel, Direction};
use crate::error::Error;
use crate::events::Events;
use crate::registers::{Access, Registers};
use crate::transfer::{CardToHost, HostToCard, ReadOptions, WriteOptions};

/// A card: the nodes of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    folder: PathBuf,
    number: u32,
    user: bool,
    control: bool,
    host_to_card: Vec<u8>,
    card_to_host: Vec<u8>,
    events: Vec<u8>,
}

/// What the part of a node's name after `xdma0_` says.
enum Node {
    User,
    Control,
    Channel(Direction, u8),
    Events(u8),
}

/// Number of the card and kind of the node.
fn parse(name: &str) -> Option<(u32, Node)> {
    let (number, node) = name.strip_prefix("xdma")?.split_once('_')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits(number))?;
    let node = match node {
        "user" => Node::User,
        "control" => Node::Control,
        _ => {
            let (kind, which) = node.rsplit_once('_')?;
            let which = which.parse().ok().filter(|_| digits(which))?;
            match kind {
                "h2c" => Node::Channel(Direction::HostToCard, which),
                "c2h" => Node::Channel(Direction::CardToHost, which),
                "events" => Node::Events(which),
                _ => return None,
            }
        }
    };
    Some((number, node))
}

/// The cards in a folder, `/dev` as a rule, by number. None is no error.
///
/// # Errors
///
/// When the folder cannot be read.
pub fn discover(folder: impl AsRef<Path>) -> Result<Vec<Device>, Error> {
    let folder = folder.as_ref();
    let unreadable =
        |error: io::Error| Error::of(folder, "reading the folder", error, Duration::ZERO);
    let mut devices: Vec<Device> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some((number, node)) = name.to_str().and_then(parse) else {
            continue;
        };
        let at = match devices.binary_search_by_key(&number, |device| device.number) {
            Ok(at) => at,
            Err(at) => {
                let device = Device {
                    folder: folder.to_owned(),
                    number,
                    user: false,
                    control: false,
                    host_to_card: Vec::new(),
                    card_to_host: Vec::new(),
                    events: Vec::new(),
                };
                devices.insert(at, device);
                at
            }
        };
        let Some(device) = devices.get_mut(at) else {
            continue;
        };
        match node {
            Node::User => device.user = true,
            Node::Control => device.control = true,
            Node::Channel(Direction::HostToCard, which) => device.host_to_card.push(which),
            Node::Channel(Direction::CardToHost, which) => device.card_to_host.push(which),
            Node::Events(which) => device.events.push(which),
        }
    }
    for device in &mut devices {
        for numbers in [
            &mut device.host_to_card,
            &mut device.card_to_host,
            &mut device.events,
        ] {
            numbers.sort_unstable();
        }
    }
    Ok(devices)
}

impl Device {
    /// The card with the lowest number in a folder.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn first(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let none = || Error::NoDevice {
            folder: folder.to_owned(),
        };
        match discover(folder) {
            Err(Error::NoNode { .. }) => Err(none()),
            devices => devices?.into_iter().next().ok_or_else(none),
        }
    }

    /// The card of this number in a folder.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn number_in(folder: impl AsRef<Path>, number: u32) -> Result<Self, Error> {
        let found = discover(&folder)?
            .into_iter()
            .find(|device| device.number == number);
        found.ok_or_else(|| Error::NoDevice {
            folder: folder.as_ref().join(format!("xdma{number}_*")),
        })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Where its nodes are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the design has registers, node `user`.
    pub fn has_user(&self) -> bool {
        self.user
    }

    /// Whether the engine's registers can be read, node `control`.
    pub fn has_control(&self) -> bool {
        self.control
    }

    /// Numbers of its channels in a direction, in order.
    pub fn numbers(&self, direction: Direction) -> &[u8] {
        match direction {
            Direction::HostToCard => &self.host_to_card,
            Direction::CardToHost => &self.card_to_host,
        }
    }

    /// Numbers of its interrupts, in order.
    pub fn events(&self) -> &[u8] {
        &self.events
    }

    /// Path of a node, `user` or `c2h_0`, say.
    pub fn node(&self, name: &str) -> PathBuf {
        self.folder.join(format!("xdma{}_{name}", self.number))
    }

    /// Opens the design's registers, and holds the card: nobody else who asks by this crate gets them meanwhile.
    ///
    /// # Errors
    ///
    /// When they cannot be opened, or somebody holds them.
    pub fn user(&self) -> Result<Registers, Error> {
        self.user_by(Access::Calls)
    }

    /// As [`Device::user`], with a choice of how they are reached.
    ///
    /// # Errors
    ///
    /// As [`Device::user`]; when they cannot be mapped, too.
    pub fn user_by(&self, access: Access) -> Result<Registers, Error> {
        Registers::open(self.node("user"), access, true)
    }

    /// Opens the engine's registers, beside others who may have.
    ///
    /// # Errors
    ///
    /// When they cannot be opened.
    pub fn control(&self) -> Result<Registers, Error> {
        Registers::open(self.node("control"), Access::Calls, false)
    }

    /// What the engine says of the channels that have nodes.
    ///
    /// # Errors
    ///
    /// When its registers cannot be read, or do not show a channel that has a node.
    pub fn channels(&self) -> Result<Vec<Channel>, Error> {
        let mut control = self.control()?;
        let all = [Direction::HostToCard, Direction::CardToHost]
            .into_iter()
            .flat_map(|way| self.numbers(way).iter().map(move |&number| (way, number)));
        all.map(|(way, number)| Channel::read(&mut control, way, number))
            .collect()
    }

    /// Opens a channel to the card.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn host_to_card(&self, number: u8, options: WriteOptions) -> Result<HostToCard, Error> {
        HostToCard::open(self.node(&format!("h2c_{number}")), options)
    }

    /// Opens a channel from the card; one process at a time can.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn card_to_host(&self, number: u8, options: ReadOptions) -> Result<CardToHost, Error> {
        CardToHost::open(self.node(&format!("c2h_{number}")), options)
    }

    /// Opens an interrupt.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn interrupt(&self, number: u8) -> Result<Events, Error> {
        Events::open(self.node(&format!("events_{number}")))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            self.folder.join(format!("xdma{}", self.number)).display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_are_read_to_the_letter() {
        for name in [
            "xdma0",
            "xdma_user",
            "xdma0_users",
            "xdma-1_user",
            "xdma+1_user",
            "xdma0_h2c",
            "xdma0_h2c_",
            "xdma0_h2c_x",
            "xdma0_h2c_256",
            "xdma0_c2h_+1",
            "xdma0_bypass_h2c_0",
            "sda",
            "xdma99999999999_user",
        ] {
            assert!(parse(name).is_none(), "{name}");
        }
        for name in [
            "xdma0_user",
            "xdma12_control",
            "xdma3_h2c_3",
            "xdma0_c2h_0",
            "xdma0_events_15",
        ] {
            assert!(parse(name).is_some(), "{name}");
        }
    }
}
