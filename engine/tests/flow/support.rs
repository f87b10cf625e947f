//! Packets for the tests, and a table that is easy to ask.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weir_engine::flow::{Endpoint, Flow, FlowConfig, FlowTable, FlowView};
use weir_engine::packet::{Packet, Transport};
use weir_engine::stream::{SessionConfig, TcpState};

pub const SECOND: u64 = 1_000_000_000;

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

pub fn v4(last: u8, port: u16) -> Endpoint {
    (Ipv4Addr::new(192, 0, 2, last).into(), port)
}

pub fn v6(last: u16, port: u16) -> Endpoint {
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into(),
        port,
    )
}

/// A segment: direction, flags, sequence and acknowledgement number, bytes of data.
#[derive(Clone, Copy)]
pub struct Segment {
    pub from: Endpoint,
    pub to: Endpoint,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub data: usize,
}

pub struct Table {
    pub flows: FlowTable,
    pub now_ns: u64,
    /// The VLAN that packets come in.
    pub vlan: Option<u16>,
}

impl Table {
    pub fn new(config: FlowConfig) -> Self {
        Self {
            flows: FlowTable::new(config),
            now_ns: 1_000 * SECOND,
            vlan: None,
        }
    }

    fn track(
        &mut self,
        (src, sport): Endpoint,
        (dst, dport): Endpoint,
        proto: u8,
        transport: Transport<'_>,
        payload: &[u8],
    ) -> Option<FlowView> {
        let net = [0u8; 40];
        let mut packet = Packet::new(self.now_ns, 1, 100);
        packet.net = match src {
            IpAddr::V4(_) => weir_engine::packet::Net::V4 { header: &net[..20] },
            IpAddr::V6(_) => weir_engine::packet::Net::V6 {
                header: &net,
                extensions: &[],
            },
        };
        (packet.src, packet.dst) = (src, dst);
        (packet.sport, packet.dport) = (sport, dport);
        packet.proto = proto;
        packet.transport = transport;
        packet.payload = payload;
        if let Some(vlan) = self.vlan {
            (packet.vlan, packet.vlan_layers) = ([vlan, 0, 0], 1);
        }
        self.flows.track(&packet)
    }

    pub fn tcp(&mut self, segment: Segment) -> FlowView {
        let mut header = [0; 20];
        header[4..8].copy_from_slice(&segment.seq.to_be_bytes());
        header[8..12].copy_from_slice(&segment.ack.to_be_bytes());
        header[12] = 0x50;
        header[13] = segment.flags;
        header[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        let payload = vec![b'x'; segment.data];
        let transport = Transport::Tcp { header: &header };
        self.track(segment.from, segment.to, 6, transport, &payload)
            .expect("TCP has a flow")
    }

    pub fn udp(&mut self, from: Endpoint, to: Endpoint) -> FlowView {
        let transport = Transport::Udp { header: &[0; 8] };
        self.track(from, to, 17, transport, b"x")
            .expect("UDP has a flow")
    }

    pub fn icmp(&mut self, from: IpAddr, to: IpAddr, kind: u8, payload: &[u8]) -> Option<FlowView> {
        let header = [kind, 0, 0, 0, 0, 0, 0, 0];
        let (proto, transport) = match from {
            IpAddr::V4(_) => (1, Transport::Icmp4 { header: &header }),
            IpAddr::V6(_) => (58, Transport::Icmp6 { header: &header }),
        };
        self.track((from, 0), (to, 0), proto, transport, payload)
    }

    pub fn flow(&self, view: FlowView) -> &Flow {
        self.flows.get(view)
    }

    pub fn state(&self, view: FlowView) -> TcpState {
        self.flow(view).tcp.state()
    }
}

/// One TCP connection in a table: segments by direction, `true` to the server.
pub struct Connection {
    pub table: Table,
    pub client: Endpoint,
    pub server: Endpoint,
}

impl Connection {
    pub fn new(midstream: bool) -> Self {
        let config = FlowConfig {
            session: SessionConfig {
                midstream,
                ..SessionConfig::default()
            },
            ..FlowConfig::default()
        };
        Self {
            table: Table::new(config),
            client: v4(1, 40_000),
            server: v4(2, 80),
        }
    }

    pub fn send(
        &mut self,
        to_server: bool,
        flags: u8,
        seq: u32,
        ack: u32,
        data: usize,
    ) -> FlowView {
        let (from, to) = if to_server {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        self.table.tcp(Segment {
            from,
            to,
            flags,
            seq,
            ack,
            data,
        })
    }

    /// A complete handshake: the client's next byte is 101, the server's 501.
    pub fn shake_hands(&mut self) {
        self.send(true, SYN, 100, 0, 0);
        self.send(false, SYN | ACK, 500, 101, 0);
        self.send(true, ACK, 101, 501, 0);
    }
}
