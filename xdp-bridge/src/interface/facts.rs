//! What the kernel says of an interface, and what may be changed on it.

use std::io;

use super::ethtool;
use super::netlink::{
    ACK, DUMP, Message, ROUTE, Refused, Socket, attribute, attributes, text_of, u16_at, u32_at,
    u64_at,
};

/// `RTM_NEWLINK`: an interface came, or something about it changed.
pub(super) const NEW_LINK: u16 = 16;
/// `RTM_DELLINK`: an interface went.
pub(super) const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;

/// `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_PROG_ID: u16 = 4;
/// `XDP_FLAGS_UPDATE_IF_NOEXIST`.
const IF_NONE: u32 = 1;

/// What an interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The name.
    pub name: String,
    /// The kernel's number, which another interface of the same name will not have.
    pub ifindex: u32,
    /// The Ethernet address; `None` for interfaces without one.
    pub mac: Option<[u8; 6]>,
    /// Most bytes of a frame after its Ethernet header.
    pub mtu: u32,
    /// Receive queues in use.
    pub queues: u32,
    /// The driver, as ethtool names it; empty if it does not.
    pub driver: String,
    /// Its administrator wants it up.
    pub up: bool,
    /// It has a carrier: the cable is in, the other end is up.
    pub carrier: bool,
    /// It receives all frames because it was told so.
    pub promiscuous: bool,
    /// The XDP program that is attached.
    pub program: Option<AttachedProgram>,
    /// What the driver can do with XDP; `None` where the kernel does not say (before 6.3).
    pub xdp: Option<XdpFeatures>,
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The kernel's number.
    pub id: u32,
    /// In the driver; otherwise generic, or in more than one way.
    pub native: bool,
}

/// What a driver can do with XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures {
    bits: u64,
}

impl XdpFeatures {
    /// Native programs can pass, drop and send back.
    #[must_use]
    pub fn native(self) -> bool {
        self.bits & 1 != 0
    }

    /// Native programs can redirect what this interface receives.
    #[must_use]
    pub fn redirects(self) -> bool {
        self.bits & 2 != 0
    }

    /// Native programs of other interfaces can redirect to this one.
    #[must_use]
    pub fn transmits(self) -> bool {
        self.bits & 4 != 0
    }

    /// AF_XDP without copies.
    #[must_use]
    pub fn zero_copy(self) -> bool {
        self.bits & 8 != 0
    }
}

impl Facts {
    /// Asks for an interface by its name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn by_name(name: &str) -> io::Result<Option<Self>> {
        let mut body = vec![0; LINK_HEADER];
        let mut zero_ended = name.as_bytes().to_vec();
        zero_ended.push(0);
        attribute(&mut body, IFLA_IFNAME, &zero_ended);
        Self::ask(&body)
    }

    /// Asks for an interface by its number; `None` if there is none.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn by_index(ifindex: u32) -> io::Result<Option<Self>> {
        Self::ask(&link_header(ifindex, 0, 0))
    }

    fn ask(body: &[u8]) -> io::Result<Option<Self>> {
        let mut socket = Socket::asking(ROUTE)?;
        let answers = match socket.ask(GET_LINK, 0, body) {
            Ok(answers) => answers,
            Err(refused) => {
                return match refused.error.raw_os_error() {
                    // A name that is too long names nothing.
                    Some(libc::ENODEV | libc::ERANGE) => Ok(None),
                    _ => Err(refused.into()),
                };
            }
        };
        let Some(mut facts) = answers.iter().find_map(Self::read) else {
            return Ok(None);
        };
        if let Some(queues) = ethtool::queues(&facts.name) {
            facts.queues = queues;
        }
        facts.driver = ethtool::driver(&facts.name).unwrap_or_default();
        facts.xdp = super::features::of(facts.ifindex);
        Ok(Some(facts))
    }

    /// Reads an `RTM_NEWLINK` or `RTM_DELLINK`, which does not say the driver, and how many queues there are rather than
    /// how many are in use.
    pub(super) fn read(message: &Message) -> Option<Self> {
        if message.kind != NEW_LINK && message.kind != DEL_LINK {
            return None;
        }
        let flags = u32_at(&message.body, 8)?;
        let mut facts = Self {
            ifindex: u32_at(&message.body, 4)?,
            up: flags & libc::IFF_UP as u32 != 0,
            carrier: flags & libc::IFF_LOWER_UP as u32 != 0,
            promiscuous: flags & libc::IFF_PROMISC as u32 != 0,
            queues: 1,
            ..Self::default()
        };
        for (kind, value) in attributes(message.body.get(LINK_HEADER..)?) {
            match kind {
                IFLA_ADDRESS => facts.mac = value.try_into().ok(),
                IFLA_IFNAME => facts.name = text_of(value),
                IFLA_MTU => facts.mtu = u32_at(value, 0)?,
                IFLA_NUM_RX_QUEUES => facts.queues = u32_at(value, 0)?,
                IFLA_XDP => facts.program = program(value),
                _ => {}
            }
        }
        Some(facts)
    }
}

/// All interfaces, as far as messages say what they are.
pub(super) fn all() -> io::Result<Vec<Facts>> {
    let mut socket = Socket::asking(ROUTE)?;
    let answers = socket.ask(GET_LINK, DUMP, &[0; LINK_HEADER])?;
    Ok(answers.iter().filter_map(Facts::read).collect())
}

fn program(nested: &[u8]) -> Option<AttachedProgram> {
    let mut found = AttachedProgram {
        id: 0,
        native: false,
    };
    for (kind, value) in attributes(nested) {
        match kind {
            IFLA_XDP_ATTACHED => found.native = value.first() == Some(&1),
            // Programs attached in several ways have numbers of their own behind it: the first will do.
            IFLA_XDP_PROG_ID..=7 if found.id == 0 => found.id = u32_at(value, 0)?,
            _ => {}
        }
    }
    (found.id != 0).then_some(found)
}

fn link_header(ifindex: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(ifindex.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend(change.to_ne_bytes());
    body
}

/// Has an interface receive all frames, or only its own. Both outlive the process.
///
/// # Errors
///
/// What the system says.
pub(crate) fn set_promiscuous(ifindex: u32, on: bool) -> io::Result<()> {
    let bit = libc::IFF_PROMISC as u32;
    let body = link_header(ifindex, if on { bit } else { 0 }, bit);
    let mut socket = Socket::asking(ROUTE)?;
    socket.ask(NEW_LINK, ACK, &body)?;
    Ok(())
}

/// Why a program cannot be attached, in the kernel's words: tries it in the older way, which has words. `flags` are
/// `XDP_FLAGS_*_MODE`. `None` if it has none, or the attempt worked, which is then undone.
pub(crate) fn why_not(ifindex: u32, program: i32, flags: u32) -> Option<String> {
    let attempt = |program: i32| {
        let mut nested = Vec::new();
        attribute(&mut nested, IFLA_XDP_FD, &program.to_ne_bytes());
        // Only where there is none, and nothing is removed but what was just put there.
        let only = if program < 0 { 0 } else { IF_NONE };
        attribute(&mut nested, IFLA_XDP_FLAGS, &(flags | only).to_ne_bytes());
        let mut body = link_header(ifindex, 0, 0);
        attribute(&mut body, IFLA_XDP | 0x8000, &nested);
        let mut socket = Socket::asking(ROUTE)?;
        socket.ask(SET_LINK, ACK, &body).map(drop)
    };
    match attempt(program) {
        Err(Refused { says, .. }) => says,
        Ok(()) => {
            if let Err(refused) = attempt(-1) {
                tracing::warn!("a program stays on interface {ifindex}: {}", refused.error);
            }
            None
        }
    }
}

impl XdpFeatures {
    /// From the bits of `enum netdev_xdp_act`.
    pub(super) fn new(value: &[u8]) -> Option<Self> {
        let bits = u64_at(value, 0)
            .or_else(|| u32_at(value, 0).map(u64::from))
            .or_else(|| u16_at(value, 0).map(u64::from))?;
        Some(Self { bits })
    }
}
