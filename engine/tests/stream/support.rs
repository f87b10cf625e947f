//! Segments for the tests, and a connection that is easy to ask.

use weir_engine::flow::{Endpoint, Flow, FlowConfig, FlowTable, FlowView};
use weir_engine::packet::{Net, Packet, Transport};
use weir_engine::stream::{Session, SessionConfig, Step, StreamEvent, TcpState};

pub const SECOND: u64 = 1_000_000_000;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;
const URG: u8 = 0x20;

/// A segment.
#[derive(Clone, Debug)]
pub struct Seg {
    pub to_server: bool,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub data: usize,
    pub window: u16,
    pub urgent: u16,
    pub options: Vec<u8>,
}

/// A segment of the client.
pub fn up(flags: u8, seq: u32, ack: u32) -> Seg {
    Seg {
        to_server: true,
        flags,
        seq,
        ack,
        data: 0,
        window: u16::MAX,
        urgent: 0,
        options: Vec::new(),
    }
}

/// A segment of the server.
pub fn down(flags: u8, seq: u32, ack: u32) -> Seg {
    Seg {
        to_server: false,
        ..up(flags, seq, ack)
    }
}

impl Seg {
    pub fn data(self, data: usize) -> Self {
        Self { data, ..self }
    }

    pub fn window(self, window: u16) -> Self {
        Self { window, ..self }
    }

    pub fn urgent(self, urgent: u16) -> Self {
        Self {
            urgent,
            flags: self.flags | URG,
            ..self
        }
    }

    fn option(mut self, kind: u8, value: &[u8]) -> Self {
        self.options.extend([kind, value.len() as u8 + 2]);
        self.options.extend(value);
        self
    }

    pub fn stamp(self, value: u32, echo: u32) -> Self {
        let bytes = (u64::from(value) << 32 | u64::from(echo)).to_be_bytes();
        self.option(8, &bytes)
    }

    pub fn scale(self, shift: u8) -> Self {
        self.option(3, &[shift])
    }

    /// TCP Fast Open, with a cookie.
    pub fn fast_open(self) -> Self {
        self.option(34, &[1, 2, 3, 4, 5, 6, 7, 8])
    }

    /// An MD5 signature (RFC 2385).
    pub fn signed(self) -> Self {
        self.option(19, &[7; 16])
    }

    fn header(&self) -> Vec<u8> {
        let mut header = vec![0; 20];
        header[4..8].copy_from_slice(&self.seq.to_be_bytes());
        header[8..12].copy_from_slice(&self.ack.to_be_bytes());
        header[13] = self.flags;
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
        header[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        header.extend(&self.options);
        header.resize(header.len().next_multiple_of(4), 1);
        header[12] = (header.len() as u8 / 4) << 4;
        header
    }
}

/// What a segment did.
#[derive(Debug)]
pub struct Took {
    pub state: TcpState,
    pub step: Step,
    pub view: FlowView,
}

impl Took {
    /// The names of its events.
    pub fn events(&self) -> Vec<&'static str> {
        self.step.events.iter().map(StreamEvent::name).collect()
    }
}

/// One TCP connection in a flow table.
pub struct Connection {
    pub flows: FlowTable,
    pub now_ns: u64,
    pub client: Endpoint,
    pub server: Endpoint,
}

impl Connection {
    pub fn new(midstream: bool) -> Self {
        Self::with(SessionConfig {
            midstream,
            ..SessionConfig::default()
        })
    }

    pub fn with(session: SessionConfig) -> Self {
        let config = FlowConfig {
            max_flows: 16,
            session,
            ..FlowConfig::default()
        };
        Self {
            flows: FlowTable::new(config),
            now_ns: 1_000 * SECOND,
            client: ([192, 0, 2, 1].into(), 40_000),
            server: ([192, 0, 2, 2].into(), 80),
        }
    }

    /// Connected by a plain handshake: the client's next byte is 101, the server's 501.
    pub fn connected() -> Self {
        let mut tcp = Self::new(false);
        tcp.shake_hands();
        tcp
    }

    pub fn take(&mut self, segment: &Seg) -> Took {
        let (from, to) = if segment.to_server {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        let header = segment.header();
        let payload = vec![b'x'; segment.data];
        let net = [0u8; 20];
        let mut packet = Packet::new(self.now_ns, 1, 100);
        packet.net = Net::V4 { header: &net };
        (packet.src, packet.sport) = from;
        (packet.dst, packet.dport) = to;
        packet.proto = 6;
        packet.transport = Transport::Tcp { header: &header };
        packet.payload = &payload;
        let view = self.flows.track(&packet).expect("TCP has a flow");
        Took {
            state: self.flow(view).tcp.state(),
            step: view.step,
            view,
        }
    }

    /// Takes segments that nothing is wrong with.
    pub fn take_all(&mut self, segments: &[Seg]) {
        for segment in segments {
            let took = self.take(segment);
            assert!(
                took.step.events.is_empty(),
                "{segment:?}: {:?}",
                took.events()
            );
        }
    }

    /// What a segment raises, and the state after it.
    pub fn raises(&mut self, segment: &Seg) -> (Vec<&'static str>, TcpState) {
        let took = self.take(segment);
        (took.events(), took.state)
    }

    pub fn flow(&self, view: FlowView) -> &Flow {
        self.flows.get(view)
    }

    pub fn session(&self, took: &Took) -> &Session {
        &self.flow(took.view).tcp
    }

    pub fn state(&self, view: FlowView) -> TcpState {
        self.flow(view).tcp.state()
    }

    pub fn send(
        &mut self,
        to_server: bool,
        flags: u8,
        seq: u32,
        ack: u32,
        data: usize,
    ) -> FlowView {
        self.take(&Seg {
            to_server,
            data,
            ..up(flags, seq, ack)
        })
        .view
    }

    /// The state after a segment.
    pub fn after(
        &mut self,
        to_server: bool,
        flags: u8,
        seq: u32,
        ack: u32,
        data: usize,
    ) -> TcpState {
        let view = self.send(to_server, flags, seq, ack, data);
        self.state(view)
    }

    pub fn shake_hands(&mut self) {
        self.take_all(&[
            up(SYN, 100, 0),
            down(SYN | ACK, 500, 101),
            up(ACK, 101, 501),
        ]);
    }
}
