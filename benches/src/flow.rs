//! The flow table by itself: what a packet costs it by the number of flows, what a new flow costs, and what floods do.
//!
//! Packets are made up one by one, in place; what that takes is measured by itself and taken off.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use weir_engine::flow::{FlowConfig, FlowTable};
use weir_engine::packet::{Net, Packet, Transport};

use crate::measure::{Times, cpu_time, resident_bytes};
use crate::{BenchError, report};

/// Packets after which the table looks at the clock, as in a run.
const LOOK: usize = 1024;
/// Packets of a measurement, at least.
const PACKETS: usize = 1 << 20;
const START_NS: u64 = 1_700_000_000_000_000_000;
/// Time between two packets.
const STEP_NS: u64 = 1_000;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct FlowOptions {
    /// Numbers of flows.
    pub flows: Vec<usize>,
    /// Packets of a flood, each of a flow of its own.
    pub flood: usize,
    /// Times that everything is measured.
    pub rounds: usize,
    /// What is made up is drawn from this.
    pub seed: u64,
}

/// What a packet costs when there are so many flows.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Flows, all of them established TCP connections.
    pub flows: usize,
    /// Nanoseconds to find and update the flow of a packet, drawn from all of them at random: median, fastest and slowest
    /// round.
    pub lookup_ns: [f64; 3],
    /// Nanoseconds to begin a flow, while the table fills.
    pub insert_ns: [f64; 3],
    /// Nanoseconds to end a flow whose time is up.
    pub end_ns: [f64; 3],
}

/// What a flood does to a table that is far too small for it.
#[derive(Clone, Debug, Serialize)]
pub struct Flood {
    /// Of what.
    pub name: &'static str,
    /// Packets, each of a flow of its own.
    pub packets: usize,
    /// Nanoseconds a packet, the connections' own included.
    pub packet_ns: f64,
    /// Packets a second of processor time.
    pub packets_per_second: f64,
    /// Most flows that the table holds.
    pub max_flows: usize,
    /// What the table takes when it is full, as it says itself.
    pub configured_bytes: usize,
    /// What the process took more after the flood than before there was a table.
    pub resident_bytes: u64,
    /// Established connections, each of which sends now and then.
    pub connections: usize,
    /// Of these, how many the table still has.
    pub survived: usize,
    /// Flows given up to make room.
    pub evicted: u64,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct FlowReport {
    /// By number of flows.
    pub costs: Vec<Cost>,
    /// By kind.
    pub floods: Vec<Flood>,
}

/// A TCP header without options: flags, sequence and acknowledgement number.
const fn tcp(flags: u8, seq: u8, ack: u8) -> [u8; 20] {
    let mut header = [0; 20];
    (header[7], header[11]) = (seq, ack);
    (header[12], header[13]) = (0x50, flags);
    (header[14], header[15]) = (0xff, 0xff);
    header
}

const OPEN: [u8; 20] = tcp(SYN, 10, 0);
const OPENED: [u8; 20] = tcp(SYN | ACK, 20, 11);
const ACKED: [u8; 20] = tcp(ACK, 11, 21);
const DATAGRAM: [u8; 8] = [0; 8];
const NETWORK: [u8; 20] = [0; 20];

/// Makes packets of numbered flows.
struct Maker {
    packet: Packet<'static>,
}

impl Maker {
    fn new() -> Self {
        let mut packet = Packet::new(START_NS, 1, 60);
        packet.net = Net::V4 { header: &NETWORK };
        Self { packet }
    }

    /// The next packet of a flow.
    fn make(&mut self, flow: usize, to_server: bool, header: &'static [u8]) -> &Packet<'static> {
        let packet = &mut self.packet;
        packet.ts_ns += STEP_NS;
        // Multiplication by an odd number makes no two alike.
        let bits = (flow as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let client = (Ipv4Addr::from((bits >> 32) as u32), bits as u16 | 1024);
        let server = (Ipv4Addr::from(0x0a00_0000 | flow as u32), 443);
        let ends = if to_server {
            (client, server)
        } else {
            (server, client)
        };
        let ((src, sport), (dst, dport)) = ends;
        (packet.src, packet.dst) = (src.into(), dst.into());
        (packet.sport, packet.dport) = (sport, dport);
        (packet.proto, packet.transport) = if header.len() == DATAGRAM.len() {
            (17, Transport::Udp { header })
        } else {
            (6, Transport::Tcp { header })
        };
        packet
    }
}

/// A table that looks at the clock now and then.
struct Bench {
    table: FlowTable,
    maker: Maker,
    sent: usize,
}

impl Bench {
    fn new(max_flows: usize) -> Self {
        Self {
            table: FlowTable::new(FlowConfig {
                max_flows,
                ..FlowConfig::default()
            }),
            maker: Maker::new(),
            sent: 0,
        }
    }

    /// Tracks a packet; true when its flow was known.
    fn send(&mut self, flow: usize, to_server: bool, header: &'static [u8]) -> bool {
        let packet = self.maker.make(flow, to_server, header);
        let view = self.table.track(packet);
        while let Some(ended) = self.table.take_ended() {
            std::hint::black_box(&ended);
        }
        self.sent += 1;
        if self.sent.is_multiple_of(LOOK) {
            self.look();
        }
        view.is_some_and(|view| !view.first)
    }

    /// Ends what is due; how many flows.
    fn look(&mut self) -> usize {
        self.table.look(self.maker.packet.ts_ns);
        std::iter::from_fn(|| self.table.next_over()).count()
    }

    fn connect(&mut self, flow: usize) {
        self.send(flow, true, &OPEN);
        self.send(flow, false, &OPENED);
        self.send(flow, true, &ACKED);
    }
}

/// Measures; `tell` hears what comes next.
pub fn run(options: &FlowOptions, tell: &mut dyn FnMut(&str)) -> FlowReport {
    let costs = options.flows.iter().map(|&flows| {
        tell(&format!("flows: {flows}"));
        cost(options, flows.max(1))
    });
    let costs = costs.collect();
    let kinds = [("SYNs", &OPEN[..]), ("UDP", &DATAGRAM[..])];
    let floods = kinds.map(|(name, header)| {
        tell(&format!("a flood of {name}"));
        flood(name, header, options.flood.max(1))
    });
    FlowReport {
        costs,
        floods: floods.into(),
    }
}

fn cost(options: &FlowOptions, flows: usize) -> Cost {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let packets = PACKETS.max(flows);
    let picks: Vec<u32> = (0..packets).map(|_| rng.u32(..flows as u32)).collect();
    let mut times: [Times; 3] = Default::default();
    for _ in 0..options.rounds.max(1) {
        let making = timed(|| {
            let mut maker = Maker::new();
            for &flow in &picks {
                std::hint::black_box(maker.make(flow as usize, true, &ACKED));
            }
        });
        let each = |time: Duration, count: usize, made: usize| {
            let made = making.mul_f64(made as f64 / packets as f64);
            // Picoseconds, as nanoseconds of a thousand.
            time.saturating_sub(made).mul_f64(1e3 / count as f64)
        };
        // Room enough that no flow is kept for shorter.
        let mut bench = Bench::new(flows + flows / 8 + 16);
        let filling = timed(|| {
            for flow in 0..flows {
                bench.send(flow, true, &OPEN);
            }
        });
        for flow in 0..flows {
            bench.send(flow, false, &OPENED);
            bench.send(flow, true, &ACKED);
        }
        let finding = timed(|| {
            for (at, &flow) in picks.iter().enumerate() {
                let to_server = at % 2 == 0;
                let header = if to_server { &ACKED } else { &ANSWER };
                bench.send(flow as usize, to_server, header);
            }
        });
        // An hour later, seen twice.
        bench.maker.packet.ts_ns += 3_600_000_000_000;
        bench.look();
        let mut ended = 0;
        let ending = timed(|| ended = bench.look());
        times[0].add(each(finding, packets, packets));
        times[1].add(each(filling, flows, flows));
        times[2].add(each(ending, ended.max(1), 0));
    }
    let [lookup_ns, insert_ns, end_ns] = times.map(|times| {
        let (low, high) = times.spread();
        [times.median(), low, high].map(|time| time.as_nanos() as f64 / 1e3)
    });
    Cost {
        flows,
        lookup_ns,
        insert_ns,
        end_ns,
    }
}

/// The server's, without data.
const ANSWER: [u8; 20] = tcp(ACK, 21, 11);

fn timed(work: impl FnOnce()) -> Duration {
    let start = cpu_time();
    work();
    cpu_time().saturating_sub(start)
}

/// Floods a table of default size.
fn flood(name: &'static str, header: &'static [u8], packets: usize) -> Flood {
    const CONNECTIONS: usize = 10_000;
    // A packet of a connection after so many others.
    const TURN: usize = 64;
    let before = resident_bytes();
    let mut bench = Bench::new(FlowConfig::default().max_flows);
    for flow in 0..CONNECTIONS {
        bench.connect(flow);
    }
    let mut turns = (0..CONNECTIONS).cycle();
    let time = timed(|| {
        for number in 0..packets {
            bench.send(CONNECTIONS + number, true, header);
            if number.is_multiple_of(TURN)
                && let Some(flow) = turns.next()
            {
                bench.send(flow, true, &ACKED);
            }
        }
    });
    let resident = resident_bytes().saturating_sub(before);
    let survived = (0..CONNECTIONS).filter(|&flow| bench.send(flow, true, &ACKED));
    let survived = survived.count();
    let sent = packets + packets.div_ceil(TURN);
    Flood {
        name,
        packets,
        packet_ns: time.as_nanos() as f64 / sent as f64,
        packets_per_second: sent as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE),
        max_flows: FlowConfig::default().max_flows,
        configured_bytes: bench.table.memory(),
        resident_bytes: resident,
        connections: CONNECTIONS,
        survived,
        evicted: bench.table.counters().evicted,
    }
}

impl FlowReport {
    /// Writes `flow.json` into `folder`, which is created if it is not there. Returns what was written.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, BenchError> {
        report::write(folder, "flow.json", &report::json(self)?)
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "   flows   lookup ns (low..high)   new flow ns (low..high)   ended flow ns (low..high)\n",
        );
        let range = |[median, low, high]: [f64; 3]| format!("{median:.1} ({low:.1}..{high:.1})");
        for cost in &self.costs {
            let [lookup, insert, end] = [cost.lookup_ns, cost.insert_ns, cost.end_ns].map(range);
            out += &format!("{:>8} {lookup:>23} {insert:>25} {end:>27}\n", cost.flows);
        }
        for flood in &self.floods {
            out += &format!(
                "\nflood of {} {}: {:.2} million packets/s, {:.0} ns each; {} flows at most, {} given up\n\
                 memory: {:.1} MiB, of {:.1} MiB configured; {} of {} established connections are still known\n",
                flood.packets,
                flood.name,
                flood.packets_per_second / 1e6,
                flood.packet_ns,
                flood.max_flows,
                flood.evicted,
                flood.resident_bytes as f64 / f64::from(1 << 20),
                flood.configured_bytes as f64 / f64::from(1 << 20),
                flood.survived,
                flood.connections,
            );
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_belong_to_the_flows_that_are_meant() {
        let mut bench = Bench::new(100);
        for flow in 0..50 {
            bench.connect(flow);
        }
        let counters = bench.table.counters();
        assert_eq!((counters.created, counters.evicted), (50, 0));
        assert!((0..50).all(|flow| bench.send(flow, true, &ACKED)));
        assert!(!bench.send(50, true, &DATAGRAM));
        let view = bench.table.track(bench.maker.make(7, false, &ANSWER));
        let view = view.expect("TCP has a flow");
        assert!(view.established && !view.to_server);
        assert_eq!(bench.table.get(view).packets, [3, 2]);
    }

    #[test]
    fn connections_survive_a_flood_in_the_memory_that_they_may_take() {
        let report = run(
            &FlowOptions {
                flows: vec![10],
                flood: 300_000,
                rounds: 1,
                seed: 1,
            },
            &mut |_| (),
        );
        for flood in &report.floods {
            assert_eq!(flood.survived, flood.connections, "{}", flood.name);
            assert!(flood.evicted > 0, "{}", flood.name);
        }
        assert!(report.costs[0].insert_ns[0] > 0.0);
        assert!(report.text().contains("10000 of 10000 established"));
    }
}
