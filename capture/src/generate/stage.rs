//! Where a flow plays: its hosts, its start, and the script it is written to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::rng::Rng;
use super::tcp::Tcp;
use super::tunnel::{self, Tunnel};
use super::wire::{Dir, Host, Path, Script};

const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1_000_000;

/// The router that everything outside is reached by.
const GATEWAY: [u8; 6] = [0x02, 0x00, 0x5e, 0x00, 0x53, 0x01];

/// First of the ports that clients use, and how many there are.
const EPHEMERAL: (u64, u64) = (32_768, 28_000);

/// What a flow is given to play on.
pub(super) struct Stage<'s> {
    pub(super) rng: Rng,
    /// When it begins, nanoseconds since the Unix epoch.
    pub(super) start: u64,
    pub(super) script: &'s mut Script,
    vlan: Option<u16>,
    ports: &'s mut u64,
    v6: bool,
}

impl<'s> Stage<'s> {
    pub(super) fn new(
        rng: Rng,
        start: u64,
        script: &'s mut Script,
        vlan: Option<u16>,
        ports: &'s mut u64,
    ) -> Self {
        Self {
            rng,
            start,
            script,
            vlan,
            ports,
            v6: false,
        }
    }

    /// From here on, hosts have IPv6 addresses.
    pub(super) fn use_v6(&mut self) {
        self.v6 = true;
    }

    /// A workstation at home: 192.168.10.0/22 or 2001:db8:10::/64.
    pub(super) fn workstation(&mut self) -> Host {
        let low = self.rng.range(2, 250) as u16;
        let net = self.rng.range(10, 14) as u16;
        if self.v6 {
            return inside(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, net, low).into());
        }
        inside(Ipv4Addr::new(192, 168, net as u8, low as u8).into())
    }

    /// A server at home: 10.1.0.0/24 or 2001:db8:20::/64. The same number is the same server.
    pub(super) fn server(&self, number: u8) -> Host {
        if self.v6 {
            let low = u16::from(number);
            return inside(Ipv6Addr::new(0x2001, 0xdb8, 0x20, 0, 0, 0, 0, low).into());
        }
        inside(Ipv4Addr::new(10, 1, 0, number).into())
    }

    /// A host somewhere outside: the documentation networks, 198.51.100.0/24 and 203.0.113.0/25, or 2001:db8:f000::/36.
    pub(super) fn outside(&mut self) -> Host {
        let ttl = self.rng.range(42, 60) as u8;
        let low = self.rng.next();
        if self.v6 {
            let site = 0xf000 | (self.rng.next() as u16 & 0xff);
            let ip = Ipv6Addr::new(0x2001, 0xdb8, site, 0, 0, 0, 0, low as u16 | 1);
            return outside(ip.into(), ttl);
        }
        let ip = if self.rng.one_in(3) {
            Ipv4Addr::new(203, 0, 113, 1 + low as u8 % 126)
        } else {
            Ipv4Addr::new(198, 51, 100, 1 + low as u8 % 254)
        };
        outside(ip.into(), ttl)
    }

    /// A host that only attackers use: 203.0.113.128/25, or 2001:db8:bad::/48.
    pub(super) fn attacker(&self, number: u8) -> Host {
        if self.v6 {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, number.into());
            return outside(ip.into(), 51);
        }
        outside(Ipv4Addr::new(203, 0, 113, 128 | number).into(), 51)
    }

    /// A path between two hosts, from a client port that was not used for a while.
    pub(super) fn path(&mut self, client: Host, server: Host, sport: u16) -> Path {
        *self.ports += 1;
        let (first, count) = EPHEMERAL;
        let local = client.mac != GATEWAY && server.mac != GATEWAY;
        let rtt = if local {
            self.rng.range(150, 900) * MICROSECOND
        } else {
            self.rng.range(6, 110) * MILLISECOND
        };
        Path {
            client,
            server,
            cport: (first + *self.ports % count) as u16,
            sport,
            vlan: self.vlan,
            rtt,
        }
    }

    /// Plays something whose packets then travel in a tunnel between two sites.
    pub(super) fn in_tunnel<T>(
        &mut self,
        tunnel: Tunnel,
        play: impl FnOnce(&mut Stage<'_>) -> T,
    ) -> T {
        let near = inside(Ipv4Addr::new(10, 1, 0, 1).into());
        let far = outside(Ipv4Addr::new(192, 0, 2, 1).into(), 55);
        let outer = self.path(near, far, 0);
        let mut script = Script::default();
        script.clear(self.rng.next() as u16);
        let mut inner = Stage {
            rng: self.rng.fork(),
            start: self.start,
            script: &mut script,
            vlan: None,
            ports: self.ports,
            v6: self.v6,
        };
        let result = play(&mut inner);
        script.sort();
        tunnel::carry(&script, &outer, tunnel, self.script);
        result
    }

    /// Opens a TCP connection like any other, with its share of loss and disorder.
    pub(super) fn connect(&mut self, path: Path) -> Tcp<'_> {
        let rng = self.rng.fork();
        Tcp::connect(self.script, path, self.start, rng, true)
    }

    /// Opens a TCP connection at a given time that loses nothing, so that what is said in it is seen once.
    pub(super) fn connect_calmly(&mut self, path: Path, at: u64) -> Tcp<'_> {
        let rng = self.rng.fork();
        Tcp::connect(self.script, path, at, rng, false)
    }

    /// Sends a datagram and, after a round trip, its answer.
    pub(super) fn ask(&mut self, path: &Path, at: u64, request: &[u8], answer: &[u8]) {
        self.script.udp(at, path, Dir::Up, request);
        let back = at + path.rtt + self.rng.range(50, 2000) * MICROSECOND;
        self.script.udp(back, path, Dir::Down, answer);
    }
}

fn inside(ip: IpAddr) -> Host {
    let mut mac = [0x02, 0x10, 0, 0, 0, 0];
    let tail: [u8; 4] = match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            [octets[5], octets[13], octets[14], octets[15]]
        }
    };
    mac[2..].copy_from_slice(&tail);
    Host { mac, ip, ttl: 64 }
}

fn outside(ip: IpAddr, ttl: u8) -> Host {
    Host {
        mac: GATEWAY,
        ip,
        ttl,
    }
}
