//! Tests of a module on the host, without a sensor: made-up packets, flows, buffers and state.
//!
//! A [`Sensor`] asks the module as the real one does: it checks patterns and buffers, keeps state within its declared
//! bounds, counts what a flow has sent. It does not read headers and options, but asks about every rule, or about those
//! that a scene is [for](Scene::asks_about); whether headers and options say what they should shows with `weir rules test`
//! on a capture.
//!
//! ```
//! # use weir_sdk::prelude::*;
//! # weir_sdk::module! {
//! #     name: "example",
//! #     buffers { QUERY = "dns.query" }
//! #     rules { LONG { sid: 1, message: "m", header: "dns any any -> any any", buffers: &[QUERY] } => long }
//! # }
//! # fn long(event: &Event) -> bool { event.length(QUERY, 0).is_some_and(|length| length > 20) }
//! use weir_sdk::testing::{Conversation, Sensor};
//!
//! let mut sensor = Sensor::new(&MODULE);
//! let dns = Conversation::udp("192.0.2.7:40053", "198.51.100.53:53").speaking("dns");
//! assert_eq!(sensor.see(&dns.to_server().buffer(QUERY, b"a.example")), []);
//! assert_eq!(sensor.see(&dns.to_server().buffer(QUERY, b"a-longer-name-than-that.example")), [LONG]);
//! ```
//!
//! Everything here panics on misuse, as tests do.

mod stage;

pub(crate) use stage::Stage;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::declare::{Buffer, FlowBit, Module, Pattern, RuleId, Scope};
use crate::granted::log::Level;
use crate::packet::{Direction, Flow, Packet, Protocol, TcpFlags, Traffic};
use crate::sys;
use stage::States;

/// Two ends that talk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    client: SocketAddr,
    server: SocketAddr,
    protocol: u8,
    established: bool,
    app_protocol: Option<String>,
}

impl Conversation {
    /// A TCP connection, established, between addresses with ports.
    #[track_caller]
    pub fn tcp(client: &str, server: &str) -> Self {
        Self::of(Protocol::TCP, client, server)
    }

    /// Datagrams between addresses with ports.
    #[track_caller]
    pub fn udp(client: &str, server: &str) -> Self {
        Self::of(Protocol::UDP, client, server)
    }

    #[track_caller]
    fn of(protocol: Protocol, client: &str, server: &str) -> Self {
        let end = |text: &str| match text.parse() {
            Ok(end) => end,
            Err(_) => panic!("{text:?}: expected an address with a port, such as 192.0.2.1:80"),
        };
        Self {
            client: end(client),
            server: end(server),
            protocol: protocol.0,
            established: true,
            app_protocol: None,
        }
    }

    /// The flow is not established.
    #[must_use]
    pub fn unestablished(mut self) -> Self {
        self.established = false;
        self
    }

    /// What it speaks (`dns`).
    #[must_use]
    pub fn speaking(mut self, app_protocol: &str) -> Self {
        self.app_protocol = Some(app_protocol.to_owned());
        self
    }

    /// Something goes to the server.
    pub fn to_server(&self) -> Scene {
        Scene::new(self, Direction::ToServer)
    }

    /// Something goes to the client.
    pub fn to_client(&self) -> Scene {
        Scene::new(self, Direction::ToClient)
    }
}

/// When a scene happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// So long after the last one.
    After(Duration),
    /// So long after the test began.
    At(Duration),
}

/// What is shown to a module: a packet with what there is around it.
#[derive(Clone, Debug)]
pub struct Scene {
    conversation: Conversation,
    direction: Direction,
    when: When,
    payload: Option<Vec<u8>>,
    offset: Option<u64>,
    buffers: Vec<(&'static str, Vec<u8>)>,
    flow_bits: HashSet<&'static str>,
    flags: TcpFlags,
    flow: bool,
    rules: Option<Vec<RuleId>>,
}

impl Scene {
    fn new(conversation: &Conversation, direction: Direction) -> Self {
        Self {
            conversation: conversation.clone(),
            direction,
            when: When::After(Duration::from_millis(1)),
            payload: None,
            offset: None,
            buffers: Vec::new(),
            flow_bits: HashSet::new(),
            flags: TcpFlags::ACK,
            flow: true,
            rules: None,
        }
    }

    /// It carries this: over TCP a window of the stream that begins where the last one ended, over UDP a datagram.
    #[must_use]
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.payload = Some(bytes.to_vec());
        self
    }

    /// A window of the stream that begins at this offset.
    #[must_use]
    pub fn window(mut self, offset: u64, bytes: &[u8]) -> Self {
        self.offset = Some(offset);
        self.payload(bytes)
    }

    /// A buffer; said again, another one of its kind.
    #[must_use]
    pub fn buffer(mut self, buffer: Buffer, bytes: &[u8]) -> Self {
        self.buffers.push((buffer.name, bytes.to_vec()));
        self
    }

    /// This bit of the flow is set.
    #[must_use]
    pub fn with_bit(mut self, bit: FlowBit) -> Self {
        self.flow_bits.insert(bit.name);
        self
    }

    /// The TCP header has these flags; ACK unless given.
    #[must_use]
    pub fn flags(mut self, flags: TcpFlags) -> Self {
        self.flags = flags;
        self
    }

    /// It comes so long after the last one; a millisecond unless given.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.when = When::After(pause);
        self
    }

    /// It comes so long after the test began.
    #[must_use]
    pub fn at(mut self, time: Duration) -> Self {
        self.when = When::At(time);
        self
    }

    /// Headers and options of these rules alone let it through.
    #[must_use]
    pub fn asks_about(mut self, rules: &[RuleId]) -> Self {
        self.rules = Some(rules.to_vec());
        self
    }

    /// The packet belongs to no flow.
    #[must_use]
    pub fn without_flow(mut self) -> Self {
        self.flow = false;
        self
    }
}

/// What the sensor knows of a conversation.
#[derive(Clone, Copy, Debug)]
struct Talk {
    id: u64,
    start: Duration,
    to_server: Traffic,
    to_client: Traffic,
    /// Where the streams go on.
    ends: [u64; 2],
}

/// Bytes of headers that are counted for a packet: Ethernet, IPv4, TCP.
const HEADERS: u64 = 54;

/// Asks a module, and keeps its state.
pub struct Sensor {
    module: &'static Module,
    /// When the test began: 2020-01-01.
    began: Duration,
    now: Duration,
    packets: u64,
    talks: HashMap<Conversation, Talk>,
    /// Flows so far.
    flows: u64,
    states: States,
    logged: Vec<(Level, String)>,
    random: u64,
}

impl Sensor {
    /// A sensor with this module.
    pub fn new(module: &'static Module) -> Self {
        let began = Duration::from_secs(1_577_836_800);
        Self {
            module,
            began,
            now: began,
            packets: 0,
            talks: HashMap::new(),
            flows: 0,
            states: States::new(module.state),
            logged: Vec::new(),
            random: 0,
        }
    }

    /// Shows a scene to the module: the rules that fire, in their order.
    pub fn see(&mut self, scene: &Scene) -> Vec<RuleId> {
        let stage = self.stage(scene);
        let asked: Vec<u32> = (0..)
            .zip(self.module.rules)
            .filter(|(index, rule)| {
                let wanted = scene.rules.as_ref();
                let through = wanted.is_none_or(|rules| rules.contains(&RuleId(*index)));
                let there = |name| stage.buffer(name, 0).is_some();
                let found = |pattern: &Pattern| {
                    (0..)
                        .map_while(|index| stage.buffer(pattern.buffer, index))
                        .any(|bytes| occurs(pattern, bytes))
                };
                through
                    && rule.buffers.iter().all(|buffer| there(buffer.name))
                    && (rule.patterns.is_empty() || rule.patterns.iter().any(found))
            })
            .map(|(index, _)| index)
            .collect();
        let module = self.module;
        let ask = || {
            if asked.is_empty() {
                Vec::new()
            } else {
                module.evaluate(&asked)
            }
        };
        let (fired, stage) = sys::on_stage(stage, ask);
        if let Some(stage) = stage {
            self.states = stage.states;
            self.random = stage.random;
            self.logged.extend(stage.logged);
        }
        fired.into_iter().map(RuleId).collect()
    }

    /// A conversation is over, and what was kept for its flow is gone.
    pub fn end(&mut self, conversation: &Conversation) {
        if let Some(talk) = self.talks.remove(conversation) {
            self.states.end_flow(talk.id);
        }
    }

    /// The lines that the module has written to the log.
    pub fn logged(&self) -> &[(Level, String)] {
        &self.logged
    }

    /// How many values are kept in a scope.
    pub fn kept(&self, scope: Scope) -> usize {
        self.states.count(scope)
    }

    fn stage(&mut self, scene: &Scene) -> Stage {
        self.now = match scene.when {
            When::After(pause) => self.now + pause,
            When::At(time) => self.began + time,
        };
        self.packets += 1;
        let flows = &mut self.flows;
        let now = self.now;
        let talk = self
            .talks
            .entry(scene.conversation.clone())
            .or_insert_with(|| {
                *flows += 1;
                Talk {
                    id: *flows,
                    start: now,
                    to_server: Traffic::default(),
                    to_client: Traffic::default(),
                    ends: [0; 2],
                }
            });
        let conversation = &scene.conversation;
        let length = HEADERS + scene.payload.as_ref().map_or(0, Vec::len) as u64;
        let tcp = conversation.protocol == Protocol::TCP.0;
        let (from, to, way, end) = match scene.direction {
            Direction::ToServer => (
                conversation.client,
                conversation.server,
                &mut talk.to_server,
                0,
            ),
            Direction::ToClient => (
                conversation.server,
                conversation.client,
                &mut talk.to_client,
                1,
            ),
        };
        way.packets += 1;
        way.bytes += length;
        let mut buffers = scene.buffers.clone();
        let mut stream_offset = None;
        if let Some(payload) = &scene.payload {
            if tcp && scene.flow {
                let offset = scene.offset.unwrap_or(talk.ends[end]);
                talk.ends[end] = offset + payload.len() as u64;
                stream_offset = Some(offset);
            }
            buffers.push(("payload", payload.clone()));
        }
        let small = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
        Stage {
            packet: Packet {
                time: self.now,
                number: Some(self.packets),
                source: Some(from.ip()),
                destination: Some(to.ip()),
                source_port: from.port(),
                destination_port: to.port(),
                protocol: Protocol(conversation.protocol),
                ttl: 64,
                length: small(length),
                payload_length: small(length - HEADERS),
                tcp_flags: tcp.then_some(scene.flags),
                icmp: None,
                vlans: Vec::new(),
            },
            flow: scene.flow.then(|| Flow {
                id: talk.id,
                direction: scene.direction,
                established: conversation.established,
                start: talk.start,
                to_server: talk.to_server,
                to_client: talk.to_client,
                app_protocol: conversation.app_protocol.clone(),
            }),
            buffers,
            stream_offset,
            flow_bits: scene.flow_bits.clone(),
            states: std::mem::take(&mut self.states),
            logged: Vec::new(),
            random: self.random,
        }
    }
}

/// Whether a pattern occurs in these bytes.
fn occurs(pattern: &Pattern, bytes: &[u8]) -> bool {
    bytes.windows(pattern.bytes.len()).any(|window| {
        if pattern.nocase {
            window.eq_ignore_ascii_case(pattern.bytes)
        } else {
            window == pattern.bytes
        }
    })
}
