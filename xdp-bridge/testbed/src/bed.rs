//! Client — port A \[middle\] port B — server.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::host::{Host, Link, Mac};
use crate::link::{self, Features, LinkCounters, Offloads, Steering};
use crate::{BedError, lacking};

const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const SERVER_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1);
const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 2);
const CLIENT_MAC: Mac = [0x02, 0x77, 0, 0, 0, 0x01];
const SERVER_MAC: Mac = [0x02, 0x77, 0, 0, 0, 0x02];
const A_MAC: Mac = [0x02, 0x77, 0, 0, 0, 0x0a];
const B_MAC: Mac = [0x02, 0x77, 0, 0, 0, 0x0b];
const CLIENT_STATION: Mac = [0x02, 0x77, 0, 0, 0x01, 0x01];
const SERVER_STATION: Mac = [0x02, 0x77, 0, 0, 0x01, 0x02];
const PORT_A: &str = "port-a";
const PORT_B: &str = "port-b";
const END: &str = "eth0";
/// More queues than any machine that tests run on has use for.
const MAX_QUEUES: u32 = 64;

/// How a bed is made.
#[derive(Debug, Clone)]
pub struct BedOptions {
    /// RX and TX queues of every interface, 1 to 64.
    pub queues: u32,
    /// MTU of every interface, bytes.
    pub mtu: u32,
    /// IPv6 on the client and the server. Their kernels then say which groups they are in (MLD) during the first
    /// seconds; without it, nothing is on the links that was not asked for.
    pub v6: bool,
    /// Offloads of the client's and the server's interface.
    pub ends: Offloads,
    /// Offloads of both ports.
    pub ports: Offloads,
}

impl Default for BedOptions {
    /// One queue, an MTU of 1,500, both families, frames as on a wire; the ends have GRO, without which they lose frames that are
    /// redirected to them.
    fn default() -> Self {
        let ends = Offloads {
            gro: true,
            ..Offloads::NONE
        };
        Self {
            queues: 1,
            mtu: 1500,
            v6: true,
            ends,
            ports: Offloads::NONE,
        }
    }
}

/// Three hosts in a row. The one in the middle has two ports and forwards nothing by itself.
///
/// All of it is gone when this is dropped and the last process in it has ended.
pub struct Bed {
    client: Host,
    middle: Host,
    server: Host,
}

impl Bed {
    /// Makes one; all its interfaces are up.
    ///
    /// # Errors
    /// [`BedError::Missing`] where beds cannot be made ([`missing`](crate::missing)), [`BedError::Invalid`] for options that make no
    /// sense or that the kernel does not follow, [`BedError::System`] and [`BedError::Command`] when it refuses.
    pub fn new(options: &BedOptions) -> Result<Self, BedError> {
        if !(1..=MAX_QUEUES).contains(&options.queues) {
            return Err(BedError::Invalid(format!(
                "{} queues: 1 to {MAX_QUEUES} are possible",
                options.queues
            )));
        }
        if let Some(why) = lacking() {
            return Err(BedError::Missing(why));
        }
        let mut bed = Self {
            client: Host::new("client")?,
            middle: Host::new("middle")?,
            server: Host::new("server")?,
        };
        bed.connect(options)?;
        Ok(bed)
    }

    fn connect(&mut self, options: &BedOptions) -> Result<(), BedError> {
        let link = |name: &str, mac, v4, v6| Link {
            name: name.to_owned(),
            mac,
            v4,
            v6,
        };
        let v6 = |address| options.v6.then_some(address);
        self.client.links = vec![link(END, CLIENT_MAC, Some(CLIENT_V4), v6(CLIENT_V6))];
        self.server.links = vec![link(END, SERVER_MAC, Some(SERVER_V4), v6(SERVER_V6))];
        self.middle.links = vec![
            link(PORT_A, A_MAC, None, None),
            link(PORT_B, B_MAC, None, None),
        ];
        (self.client.station, self.client.far_station) = (CLIENT_STATION, SERVER_STATION);
        (self.server.station, self.server.far_station) = (SERVER_STATION, CLIENT_STATION);
        let size = format!(
            "numtxqueues {0} numrxqueues {0} mtu {1}",
            options.queues, options.mtu
        );
        let pair = |port: &Link, end: &Host| {
            format!(
                "link add {} address {} {size} type veth peer name {END} address {} {size} netns {}\n",
                port.name,
                spelled(port.mac),
                spelled(end.mac()),
                end.namespace.path().display()
            )
        };
        let pairs: String = self
            .middle
            .links
            .iter()
            .zip([&self.client, &self.server])
            .map(|(port, end)| pair(port, end))
            .collect();
        self.middle.ip(&pairs)?;
        for (host, offloads) in [
            (&mut self.client, options.ends),
            (&mut self.server, options.ends),
            // Last: when a veth comes up the kernel says whether it can be redirected to, which hangs on its peer's GRO.
            (&mut self.middle, options.ports),
        ] {
            host.queues = options.queues;
            host.mtu = options.mtu;
            set_up(host, offloads)?;
        }
        Ok(())
    }

    /// The host at port A.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The host with the two ports.
    pub fn middle(&self) -> &Host {
        &self.middle
    }

    /// The host at port B.
    pub fn server(&self) -> &Host {
        &self.server
    }

    /// Ports A and B, as the middle's interfaces are called.
    pub fn ports(&self) -> (String, String) {
        (PORT_A.to_owned(), PORT_B.to_owned())
    }

    /// Joins the two ports by the kernel's bridge, for as long as the answer lives: what a bridge of one's own is to be
    /// compared with.
    ///
    /// # Errors
    /// [`BedError::Command`].
    pub fn bridge(&self) -> Result<KernelBridge<'_>, BedError> {
        let middle = &self.middle;
        middle.ip(&format!(
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set br0 addrgenmode none\n\
             link set {PORT_A} master br0\n\
             link set {PORT_B} master br0\n\
             link set br0 up\n"
        ))?;
        let bridge = KernelBridge { middle };
        middle.bridge(&format!(
            "fdb replace {} dev {PORT_A} master static\nfdb replace {} dev {PORT_B} master static\n",
            spelled(CLIENT_STATION),
            spelled(SERVER_STATION)
        ))?;
        Ok(bridge)
    }

    /// What the kernel has counted on the four interfaces.
    ///
    /// # Errors
    /// [`BedError::Invalid`] when one has gone.
    pub fn counters(&self) -> Result<BedCounters, BedError> {
        Ok(BedCounters {
            client: self.client.counters(END)?,
            a: self.middle.counters(PORT_A)?,
            b: self.middle.counters(PORT_B)?,
            server: self.server.counters(END)?,
        })
    }
}

/// The kernel's own bridge between the two ports; dropping it takes it away.
pub struct KernelBridge<'a> {
    middle: &'a Host,
}

impl Drop for KernelBridge<'_> {
    fn drop(&mut self) {
        // Without it the ports stay apart either way; the namespace takes it along at the latest.
        let _ = self.middle.ip("link del br0\n");
    }
}

/// Counters of the four interfaces of a bed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BedCounters {
    /// The client's interface.
    pub client: LinkCounters,
    /// Port A.
    pub a: LinkCounters,
    /// Port B.
    pub b: LinkCounters,
    /// The server's interface.
    pub server: LinkCounters,
}

impl BedCounters {
    /// What was counted between `earlier` and now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            client: self.client.since(&earlier.client),
            a: self.a.since(&earlier.a),
            b: self.b.since(&earlier.b),
            server: self.server.since(&earlier.server),
        }
    }
}

/// Offloads, addresses, queues; then up.
fn set_up(host: &mut Host, offloads: Offloads) -> Result<(), BedError> {
    let mut lines = String::new();
    for link in &host.links {
        let name = &link.name;
        host.enter(|| Features::open(name)?.set(&offloads.features()))??;
        // Nothing is to be on the links that was not put there: no address of its own making, no group reports.
        lines += &format!("link set {name} addrgenmode none\n");
        if let Some(v4) = link.v4 {
            lines += &format!("addr add {v4}/24 dev {name}\n");
        }
        match link.v6 {
            Some(v6) => lines += &format!("addr add {v6}/64 dev {name} nodad\n"),
            None => host.sysctl(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?,
        }
        lines += &format!("link set {name} up\n");
    }
    host.ip(&lines)?;
    if host.queues > 1 && host.v4() != Ipv4Addr::UNSPECIFIED {
        let interface = host.interface().to_owned();
        host.steering = Some(host.enter(|| Steering::attach(link::index(&interface)?))??);
    }
    Ok(())
}

/// A MAC address as programs take it.
fn spelled(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
