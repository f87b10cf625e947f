//! Traffic that is made up: benign conversations of many protocols, and attacks planted among them.
//!
//! A [`Scenario`] says how much and which; its [`Generator`] gives frames in order of time without ever holding more than the flows that
//! are under way, and [`Scenario::generate`] gives everything at once. The same scenario always gives the same bytes. The attacks are
//! look-alikes: they carry what rules look for, and nothing that would work. [`demo_rules`] has a rule for each of them, which fires exactly
//! once for it and never for anything else.
//!
//! ```
//! use weir_capture::generate::Scenario;
//!
//! let traffic = Scenario::new(7).packets(2000).generate();
//! assert!(traffic.frames().len() >= 2000);
//! for attack in traffic.planted() {
//!     println!("{} should alert: {}", attack.sid, attack.description);
//! }
//! ```

mod attack;
mod chat;
mod craft;
mod dns;
mod rng;
mod smb;
mod stage;
mod tcp;
mod text;
mod tls;
mod tunnel;
mod web;
mod wire;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::Duration;

use weir_engine::packet::{Frame, LinkType};

pub use craft::{Carried, Craft};
use rng::Rng;
use stage::Stage;
use tunnel::Tunnel;
use wire::Script;

const SECOND: u64 = 1_000_000_000;

/// The rules that find the planted attacks, in Suricata's language: signature ids from 9000001.
pub fn demo_rules() -> &'static str {
    include_str!("demo.rules")
}

/// What the flows of generated traffic are, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// HTTP/1.1 over TCP.
    Http,
    /// TLS 1.2 and 1.3.
    Tls,
    /// DNS over UDP.
    Dns,
    /// SMB2.
    Smb,
    /// SSH.
    Ssh,
    /// SMTP.
    Smtp,
    /// ICMP and ICMPv6 echo.
    Ping,
    /// NTP.
    Ntp,
    /// ARP.
    Arp,
    /// A planted attack, of whatever protocol.
    Attack,
}

impl Kind {
    /// All kinds, in the order of [`Stats::kinds`].
    pub const ALL: [Self; 10] = [
        Self::Http,
        Self::Tls,
        Self::Dns,
        Self::Smb,
        Self::Ssh,
        Self::Smtp,
        Self::Ping,
        Self::Ntp,
        Self::Arp,
        Self::Attack,
    ];

    /// What to call it in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Dns => "DNS",
            Self::Smb => "SMB2",
            Self::Ssh => "SSH",
            Self::Smtp => "SMTP",
            Self::Ping => "ping",
            Self::Ntp => "NTP",
            Self::Arp => "ARP",
            Self::Attack => "attacks",
        }
    }

    /// How many of a hundred benign flows are of this kind.
    fn share(self) -> u64 {
        match self {
            Self::Http => 30,
            Self::Tls => 30,
            Self::Dns => 26,
            Self::Smb | Self::Ssh | Self::Smtp | Self::Ntp => 2,
            Self::Ping | Self::Arp => 3,
            Self::Attack => 0,
        }
    }

    /// Plays one benign flow.
    fn play(self, stage: &mut Stage<'_>) {
        match self {
            Self::Http => web::browse(stage),
            Self::Tls => tls::visit(stage),
            Self::Dns => dns::resolve(stage),
            Self::Smb => smb::mount(stage),
            Self::Ssh => chat::shell(stage),
            Self::Smtp => chat::mail(stage),
            Self::Ping => chat::ping(stage),
            Self::Ntp => chat::clock(stage),
            Self::Arp => chat::arp(stage),
            // Attacks are planted one by one, never drawn.
            Self::Attack => {}
        }
    }
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Flows (for attacks: attacks).
    pub flows: u64,
    /// Frames.
    pub packets: u64,
    /// Bytes of those frames, link layer included.
    pub bytes: u64,
}

/// What was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// By kind, in the order of [`Kind::ALL`].
    pub kinds: [Count; Kind::ALL.len()],
}

impl Stats {
    /// The count of one kind.
    pub fn of(&self, kind: Kind) -> Count {
        self.kinds[kind as usize]
    }

    /// Everything together.
    pub fn total(&self) -> Count {
        self.kinds.iter().fold(Count::default(), |sum, kind| Count {
            flows: sum.flows + kind.flows,
            packets: sum.packets + kind.packets,
            bytes: sum.bytes + kind.bytes,
        })
    }
}

/// An attack that was put into the traffic, and the alert that is due for it: exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// A short name, for tables.
    pub name: &'static str,
    /// Signature id of its rule in [`demo_rules`].
    pub sid: u32,
    /// What happens, in a sentence.
    pub description: &'static str,
    /// When it begins, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Source address of the packet that alerts.
    pub src: IpAddr,
    /// Its source port; 0 where it has none.
    pub sport: u16,
    /// Destination address of the packet that alerts.
    pub dst: IpAddr,
    /// Its destination port; 0 where it has none.
    pub dport: u16,
    /// Its protocol, as EVE records spell it: `TCP`, `UDP`, `ICMP`.
    pub proto: &'static str,
}

/// What traffic to make. Every method changes one thing and gives the scenario back.
#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    start: u64,
    packets: Option<u64>,
    duration: Option<u64>,
    flows_per_second: u32,
    attacks: bool,
    vlan: Option<u16>,
    v6_percent: u8,
}

impl Scenario {
    /// About 20,000 packets, all attacks, a tenth of the flows IPv6, no VLAN, 50 new flows a second from 1 January 2026 on.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            start: 1_767_225_600 * SECOND,
            packets: Some(20_000),
            duration: None,
            flows_per_second: 50,
            attacks: true,
            vlan: None,
            v6_percent: 10,
        }
    }

    /// Begins at this time, nanoseconds since the Unix epoch.
    #[must_use]
    pub fn start_at(mut self, ts_ns: u64) -> Self {
        self.start = ts_ns;
        self
    }

    /// Starts flows until they amount to this many packets, and lets them end: a little more comes out. With 0 and attacks, only attacks.
    #[must_use]
    pub fn packets(mut self, packets: u64) -> Self {
        self.packets = Some(packets);
        self.duration = None;
        self
    }

    /// Starts flows for this long, and lets them end. Replaces the number of packets.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.packets = None;
        self
    }

    /// How many flows begin in a second, on average; at least 1.
    #[must_use]
    pub fn flows_per_second(mut self, flows: u32) -> Self {
        self.flows_per_second = flows.max(1);
        self
    }

    /// Whether attacks are planted, each kind once.
    #[must_use]
    pub fn attacks(mut self, attacks: bool) -> Self {
        self.attacks = attacks;
        self
    }

    /// Puts every frame into this VLAN (12 bits).
    #[must_use]
    pub fn vlan(mut self, vlan: Option<u16>) -> Self {
        self.vlan = vlan;
        self
    }

    /// How many of a hundred benign flows use IPv6.
    #[must_use]
    pub fn v6_percent(mut self, percent: u8) -> Self {
        self.v6_percent = percent;
        self
    }

    /// The frames one by one: for traffic of any size.
    pub fn generator(&self) -> Generator {
        Generator {
            rng: Rng::new(self.seed),
            next_start: self.start,
            scenario: self.clone(),
            due: BinaryHeap::new(),
            serial: 0,
            slots: Vec::new(),
            free: Vec::new(),
            spent: None,
            ports: 0,
            made: 0,
            closed: false,
            given: 0,
            planted: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Everything at once.
    pub fn generate(&self) -> Traffic {
        let mut generator = self.generator();
        let mut traffic = Traffic {
            bytes: Vec::new(),
            index: Vec::new(),
            planted: Vec::new(),
            stats: Stats::default(),
        };
        while let Some(frame) = generator.next_frame() {
            let start = traffic.bytes.len();
            traffic.bytes.extend_from_slice(frame.data);
            traffic.index.push((frame.ts_ns, start));
        }
        traffic.planted = generator.planted;
        traffic.stats = generator.stats;
        traffic
    }
}

/// Gives the frames of a scenario in order of time, Ethernet all of them.
pub struct Generator {
    scenario: Scenario,
    rng: Rng,
    /// Flows under way, by the time of their next frame; then by age, so that equal times have one order.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    serial: u64,
    slots: Vec<Script>,
    free: Vec<usize>,
    /// A flow whose last frame the caller may still have been looking at.
    spent: Option<usize>,
    next_start: u64,
    ports: u64,
    /// Frames of all flows that have been started.
    made: u64,
    /// True when no more flows will start.
    closed: bool,
    given: u64,
    planted: Vec<Planted>,
    stats: Stats,
}

impl Generator {
    /// The next frame, numbered from 1; `None` when the last flow has ended.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.free.extend(self.spent.take());
        // Nothing may be given before every flow that could have an earlier frame has been started.
        while !self.closed
            && self
                .due
                .peek()
                .is_none_or(|Reverse((time, ..))| self.next_start <= *time)
        {
            self.start_flow();
        }
        let Reverse((_, serial, slot)) = self.due.pop()?;
        let script = self.slots.get_mut(slot)?;
        script.advance();
        match script.due() {
            Some(time) => self.due.push(Reverse((time, serial, slot))),
            None => self.spent = Some(slot),
        }
        self.given += 1;
        let (ts_ns, data) = script.taken()?;
        Some(Frame {
            ts_ns,
            number: self.given,
            link: LinkType::ETHERNET,
            data,
            // No frame made here is longer than a jumbo frame.
            wire_len: data.len() as u32,
            ..Frame::default()
        })
    }

    /// The attacks planted so far: all of them once there are no more frames.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// What has been generated so far, counting each flow whole when it starts.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Starts one flow, or, at the end of the scenario, the attacks that are left.
    fn start_flow(&mut self) {
        let attacks = if self.scenario.attacks {
            attack::ALL.len()
        } else {
            0
        };
        // How much of the scenario is done, and of how much: attacks are spread over it evenly.
        let (done, whole) = match (self.scenario.packets, self.scenario.duration) {
            (Some(packets), _) => (self.made, packets),
            (None, duration) => (
                self.next_start - self.scenario.start,
                duration.unwrap_or_default(),
            ),
        };
        self.closed = done >= whole && self.planted.len() >= attacks;
        if self.closed {
            return;
        }
        let next = self.planted.len();
        let turn = u128::from(whole) * (next as u128 + 1) / (attacks as u128 + 2);
        let attack = attack::ALL
            .get(next)
            .filter(|_| next < attacks && u128::from(done) >= turn);
        let kind = match attack {
            Some(_) => Kind::Attack,
            None => self.draw(),
        };

        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Script::default());
            self.slots.len() - 1
        });
        let mut script = self
            .slots
            .get_mut(slot)
            .map(std::mem::take)
            .unwrap_or_default();
        let mut rng = self.rng.fork();
        script.clear(rng.next() as u16);
        let v6 = rng.below(100) < u64::from(self.scenario.v6_percent);
        let tunnelled = rng.one_in(60);
        let mut stage = Stage::new(
            rng,
            self.next_start,
            &mut script,
            self.scenario.vlan,
            &mut self.ports,
        );
        match attack {
            Some(attack) => self.planted.push(attack.plant(&mut stage)),
            None => {
                if v6 && kind != Kind::Arp {
                    stage.use_v6();
                }
                if tunnelled && kind != Kind::Arp {
                    stage.in_tunnel(Tunnel::Vxlan(7), |stage| kind.play(stage));
                } else {
                    kind.play(&mut stage);
                }
            }
        }
        script.sort();
        self.made += script.len() as u64;
        let count = &mut self.stats.kinds[kind as usize];
        count.flows += 1;
        count.packets += script.len() as u64;
        count.bytes += script.size() as u64;
        match script.due() {
            Some(time) => {
                self.serial += 1;
                self.due.push(Reverse((time, self.serial, slot)));
            }
            None => self.free.push(slot),
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = script;
        }
        let mean = SECOND / u64::from(self.scenario.flows_per_second);
        self.next_start += self.rng.below(2 * mean + 1);
    }

    fn draw(&mut self) -> Kind {
        let mut lot = self
            .rng
            .below(Kind::ALL.iter().map(|kind| kind.share()).sum());
        for kind in Kind::ALL {
            match lot.checked_sub(kind.share()) {
                Some(rest) => lot = rest,
                None => return kind,
            }
        }
        Kind::Http
    }
}

/// Generated traffic, held in memory.
#[derive(Clone, Debug)]
pub struct Traffic {
    bytes: Vec<u8>,
    /// Time, and where the frame begins; it ends where the next begins.
    index: Vec<(u64, usize)>,
    planted: Vec<Planted>,
    stats: Stats,
}

impl Traffic {
    /// The frames in order of time, numbered from 1.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.index.iter().enumerate().map(|(i, &(ts_ns, start))| {
            let end = self
                .index
                .get(i + 1)
                .map_or(self.bytes.len(), |&(_, next)| next);
            let data = self.bytes.get(start..end).unwrap_or_default();
            Frame {
                ts_ns,
                number: i as u64 + 1,
                link: LinkType::ETHERNET,
                data,
                wire_len: data.len() as u32,
                ..Frame::default()
            }
        })
    }

    /// The attacks in it, and so the alerts that are due.
    pub fn planted(&self) -> &[Planted] {
        &self.planted
    }

    /// What it is made of.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
