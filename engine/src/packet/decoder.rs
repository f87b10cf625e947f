//! The decoder: configuration, counters, and how packets come out of a frame.

use super::defrag::{Defrag, DefragConfig, DefragCounters, SavedFragments};
use super::{Carrier, DecoderEvent, Frame, LinkType, Net, Origin, Packet, Tunnel};

/// Most layers that are followed in one frame, tunnels and reassembly included; one more raises
/// [`DecoderEvent::TooManyLayers`]. It also bounds the packets that one frame gives, and the depth of recursion.
pub const MAX_LAYERS: u8 = 16;

/// Where decoded packets go. Called once per packet, innermost first.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&Packet<'_>);

/// Decoding cannot go on: what carried the packet decides whether there is a packet at all. A tunnel drops its inner
/// packet, any other carrier keeps it with the events that say why.
#[derive(Debug)]
pub(super) struct Failed;

/// Outcome of one layer.
pub(super) type Step = Result<(), Failed>;

/// How frames are decoded.
#[derive(Clone, Debug)]
pub struct DecoderConfig {
    /// UDP ports, source or destination, behind which VXLAN is tried.
    pub vxlan_ports: Vec<u16>,
    /// UDP ports, source or destination, behind which Geneve is tried.
    pub geneve_ports: Vec<u16>,
    /// UDP ports, source or destination, of Teredo servers. It is tried on every port, but elsewhere the payload of what
    /// carries it is inspected, too.
    pub teredo_ports: Vec<u16>,
    /// Check IPv4, TCP, UDP, ICMP and ICMPv6 checksums.
    pub verify_checksums: bool,
    /// Reassembly of fragments.
    pub defrag: DefragConfig,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            vxlan_ports: vec![4789],
            geneve_ports: vec![6081],
            teredo_ports: vec![3544],
            verify_checksums: false,
            defrag: DefragConfig::default(),
        }
    }
}

/// What a decoder has seen. A layer is counted where it starts, whether or not it could be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecoderCounters {
    /// Frames.
    pub frames: u64,
    /// Captured bytes of those frames.
    pub bytes: u64,
    /// Packets delivered: at least one per frame, more with tunnels and reassembly.
    pub packets: u64,
    /// Packets without a usable network layer.
    pub invalid: u64,
    /// Packets with a wrong checksum, where checksums are verified.
    pub bad_checksums: u64,
    /// Frames of a link type that is not decoded.
    pub unknown_link: u64,
    /// EtherTypes that are not known.
    pub unknown_ethertype: u64,
    /// Ethernet headers.
    pub ethernet: u64,
    /// VLAN tags.
    pub vlan: u64,
    /// Stacks of MPLS labels.
    pub mpls: u64,
    /// PPP and PPPoE headers.
    pub ppp: u64,
    /// ARP packets.
    pub arp: u64,
    /// IPv4 headers.
    pub ipv4: u64,
    /// IPv6 headers.
    pub ipv6: u64,
    /// TCP headers.
    pub tcp: u64,
    /// UDP headers.
    pub udp: u64,
    /// ICMPv4 messages.
    pub icmpv4: u64,
    /// ICMPv6 messages.
    pub icmpv6: u64,
    /// SCTP headers.
    pub sctp: u64,
    /// IGMP messages.
    pub igmp: u64,
    /// ESP headers.
    pub esp: u64,
    /// GRE headers.
    pub gre: u64,
    /// Packets found inside others.
    pub tunnelled: u64,
    /// Fragments, and what became of them.
    pub defrag: DefragCounters,
    events: [u64; DecoderEvent::ALL.len()],
}

impl Default for DecoderCounters {
    fn default() -> Self {
        Self {
            frames: 0,
            bytes: 0,
            packets: 0,
            invalid: 0,
            bad_checksums: 0,
            unknown_link: 0,
            unknown_ethertype: 0,
            ethernet: 0,
            vlan: 0,
            mpls: 0,
            ppp: 0,
            arp: 0,
            ipv4: 0,
            ipv6: 0,
            tcp: 0,
            udp: 0,
            icmpv4: 0,
            icmpv6: 0,
            sctp: 0,
            igmp: 0,
            esp: 0,
            gre: 0,
            tunnelled: 0,
            defrag: DefragCounters::default(),
            events: [0; DecoderEvent::ALL.len()],
        }
    }
}

impl DecoderCounters {
    /// Packets on which `event` was raised.
    pub fn event(&self, event: DecoderEvent) -> u64 {
        self.events[event as usize]
    }
}

/// A packet while it is decoded.
pub(super) struct Work<'a> {
    /// What has been found so far.
    pub packet: Packet<'a>,
    /// Layers entered, those of the packets around this one included.
    layers: u8,
    /// An event was raised after which the packet is not to be trusted.
    pub broken: bool,
}

impl<'a> Work<'a> {
    /// A packet that came with this one: from inside, or put together with it.
    pub fn another<'b>(&self, origin: Origin) -> Work<'b> {
        let mut packet = Packet::new(self.packet.ts_ns, self.packet.number, self.packet.wire_len);
        packet.iface = self.packet.iface;
        packet.origin = origin;
        packet.depth = self.packet.depth.saturating_add(1);
        // Whoever throws the outer one away never sees this one.
        packet.bad_checksum = self.packet.bad_checksum;
        packet.carrier = self.packet.carrier.or(Some(Carrier {
            src: self.packet.src,
            dst: self.packet.dst,
            sport: self.packet.sport,
            dport: self.packet.dport,
            proto: self.packet.proto,
        }));
        Work {
            packet,
            layers: self.layers,
            broken: false,
        }
    }

    /// Enters a layer.
    #[inline]
    pub fn layer(&mut self) -> Step {
        self.layers = self.layers.saturating_add(1);
        if self.layers >= MAX_LAYERS {
            return self.fail(DecoderEvent::TooManyLayers);
        }
        Ok(())
    }

    /// Raises an event that leaves the packet usable.
    pub fn note(&mut self, event: DecoderEvent) {
        self.packet.events.insert(event);
    }

    /// Raises an event after which the packet is not to be trusted, and goes on.
    pub fn spoil(&mut self, event: DecoderEvent) {
        self.broken = true;
        self.packet.events.insert(event);
    }

    /// Raises an event after which the packet is not to be trusted, and gives up.
    pub fn fail<T>(&mut self, event: DecoderEvent) -> Result<T, Failed> {
        self.spoil(event);
        Err(Failed)
    }

    /// Forgets the network layer, which turned out to be unusable.
    pub fn clear_net(&mut self) {
        let blank = Packet::new(0, 0, 0);
        self.packet.net = blank.net;
        self.packet.src = blank.src;
        self.packet.dst = blank.dst;
        self.packet.proto = 0;
    }
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Ethernet.
    Ethernet,
    /// A VLAN tag.
    Vlan,
    /// PPP.
    Ppp,
    /// ARP.
    Arp,
    /// ERSPAN type II or III.
    Erspan,
}

/// Turns frames into packets. One per worker: it keeps the fragments that wait for others.
#[derive(Debug)]
pub struct Decoder {
    pub(super) config: DecoderConfig,
    pub(super) counters: DecoderCounters,
    defrag: Defrag,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DecoderConfig::default())
    }
}

impl Decoder {
    /// A decoder without history.
    pub fn new(config: DecoderConfig) -> Self {
        let defrag = Defrag::new(config.defrag.clone());
        Self {
            config,
            counters: DecoderCounters::default(),
            defrag,
        }
    }

    /// What has been counted so far.
    pub fn counters(&self) -> DecoderCounters {
        let mut counters = self.counters.clone();
        counters.defrag = self.defrag.counters();
        counters
    }

    /// True when packets wait for fragments of which it is not known where their frames come from.
    #[inline]
    pub(crate) fn is_unplaced(&self) -> bool {
        self.defrag.is_unplaced()
    }

    /// The latest frame has this [`crate::flow::shard`]: what it brought keeps it for the next process.
    pub(crate) fn come_from(&mut self, origin: u32) {
        self.defrag.come_from(origin);
    }

    /// The packets that wait for fragments, oldest first.
    pub(crate) fn saved(&self) -> impl Iterator<Item = SavedFragments<'_>> {
        self.defrag.saved()
    }

    /// True when the frame just decoded must not go on: others of its fragments' packets were dropped, or it could not be kept.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.defrag.refuses()
    }

    /// The frame just decoded is dropped, and with it what it has fragments of.
    #[inline]
    pub(crate) fn refuse(&mut self, now_ns: u64) {
        self.defrag.refuse(now_ns);
    }

    /// Takes the fragments of a packet over; false where there is no room, or what was saved cannot be.
    pub(crate) fn adopt(&mut self, saved: &SavedFragments<'_>) -> bool {
        self.defrag.adopt(saved)
    }

    /// Decodes one frame and hands its packets to `sink`: packets from inside or put together first, and last, always,
    /// the packet that the frame itself is.
    pub fn decode(&mut self, frame: Frame<'_>, sink: &mut dyn FnMut(&Packet<'_>)) {
        self.defrag.next_frame();
        self.counters.frames += 1;
        self.counters.bytes += frame.data.len() as u64;
        let mut packet = Packet::new(frame.ts_ns, frame.number, frame.wire_len);
        packet.iface = frame.iface;
        let mut work = Work {
            packet,
            layers: 0,
            broken: false,
        };
        // Whether the frame's own packet was decoded to the end does not matter here: it is delivered with its events.
        let _ = match frame.link {
            LinkType::ETHERNET => self.ethernet(&mut work, frame.data, sink),
            LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 => {
                self.raw_ip(&mut work, frame.data, sink)
            }
            LinkType::IPV4 => self.ipv4(&mut work, frame.data, sink),
            LinkType::IPV6 => self.ipv6(&mut work, frame.data, sink),
            LinkType::LINUX_SLL => self.linux_sll(&mut work, frame.data, sink),
            LinkType::LINUX_SLL2 => self.linux_sll2(&mut work, frame.data, sink),
            LinkType::NULL | LinkType::LOOP => self.loopback(&mut work, frame.data, sink),
            LinkType::PPP => self.ppp(&mut work, frame.data, sink),
            LinkType::CHDLC => self.chdlc(&mut work, frame.data, sink),
            _ => {
                self.counters.unknown_link += 1;
                Err(Failed)
            }
        };
        self.deliver(work, sink);
    }

    /// Decodes what a tunnel of a `kind` carries. False when it turned out to be no such thing; then nothing is delivered, and the
    /// carrier is inspected as if there were no tunnel.
    pub(super) fn tunnel<'a>(
        &mut self,
        outer: &mut Work<'a>,
        data: &'a [u8],
        kind: Tunnel,
        carries: Carries,
        sink: Sink<'_>,
    ) -> bool {
        let mut inner = outer.another(Origin::Tunnel(kind));
        let step = match carries {
            Carries::Ipv4 => self.ipv4(&mut inner, data, sink),
            Carries::Ipv6 => self.ipv6(&mut inner, data, sink),
            Carries::Ethernet => self.ethernet(&mut inner, data, sink),
            Carries::Vlan => self.vlan(&mut inner, data, sink),
            Carries::Ppp => self.ppp(&mut inner, data, sink),
            Carries::Arp => self.arp(&mut inner, data),
            Carries::Erspan => self.erspan(&mut inner, data, sink),
        };
        // Teredo has no signature: only an inner packet without a flaw is believed.
        if step.is_err() || (kind == Tunnel::Teredo && inner.broken) {
            return false;
        }
        self.counters.tunnelled += 1;
        outer.packet.no_payload_inspection = true;
        self.deliver(inner, sink);
        true
    }

    /// Keeps a fragment, and decodes the packet that it completes, if it does.
    pub(super) fn fragment(
        &mut self,
        work: &mut Work<'_>,
        fragment: super::defrag::Fragment<'_>,
        sink: Sink<'_>,
    ) {
        work.packet.fragment = true;
        work.packet.no_payload_inspection = true;
        let v6 = fragment.v6();
        let kept = self.defrag.insert(work.packet.ts_ns, fragment);
        if let Some(event) = kept.event {
            work.note(event);
        }
        let Some(bytes) = kept.complete else { return };
        let mut whole = work.another(Origin::Reassembled);
        // The same place in the encapsulation as its fragments: it must meet the same flow.
        whole.packet.depth = work.packet.depth;
        whole.packet.vlan = work.packet.vlan;
        whole.packet.vlan_layers = work.packet.vlan_layers;
        let step = if v6 {
            self.ipv6(&mut whole, &bytes, sink)
        } else {
            self.ipv4(&mut whole, &bytes, sink)
        };
        if step.is_ok() {
            self.deliver(whole, sink);
        }
        self.defrag.recycle(bytes);
    }

    fn deliver(&mut self, work: Work<'_>, sink: Sink<'_>) {
        let Work {
            mut packet, broken, ..
        } = work;
        packet.invalid = broken && matches!(packet.net, Net::None);
        self.counters.packets += 1;
        self.counters.invalid += u64::from(packet.invalid);
        self.counters.bad_checksums += u64::from(packet.bad_checksum);
        if !packet.events.is_empty() {
            for event in packet.events.iter() {
                self.counters.events[event as usize] += 1;
            }
        }
        sink(&packet);
    }
}
