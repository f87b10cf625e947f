//! What became of every frame.

use std::ops::AddAssign;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use weir_xdp::common::{Cause, Count, Outcome, PortCounters, Tally};
use weir_xdp::program::FlowEnd;

use super::ports::{PortFacts, Ports};
use crate::run::pipeline::Seen;
use crate::ui::figures;

/// Longest latency that is told apart, in nanoseconds.
const LONGEST: u64 = 10_000_000_000;

/// An empty histogram of nanoseconds, of three digits.
pub fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, LONGEST, 3);
    made.unwrap_or_else(|error| unreachable!("these bounds are right: {error}"))
}

/// Every tally, as `read` says.
pub fn tallies(read: impl Fn(Tally) -> u64) -> [u64; Tally::ALL.len()] {
    Tally::ALL.map(read)
}

/// What kernel and workers have counted on one port.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortSnapshot {
    pub kernel: PortCounters,
    /// By [`Tally`], all workers together.
    pub tallies: [u64; Tally::ALL.len()],
}

impl PortSnapshot {
    fn tally(&self, what: Tally) -> u64 {
        self.tallies.get(what as usize).copied().unwrap_or(0)
    }

    /// What was counted since `before`.
    fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        let less = |a: &mut u64, b: u64| *a = a.wrapping_sub(b);
        let (now, then) = (&mut since.kernel, &before.kernel);
        less(&mut now.received.packets, then.received.packets);
        less(&mut now.received.bytes, then.received.bytes);
        for (a, b) in now.outcomes.iter_mut().zip(&then.outcomes) {
            less(&mut a.packets, b.packets);
            less(&mut a.bytes, b.bytes);
        }
        for (a, b) in now.causes.iter_mut().zip(&then.causes) {
            less(a, *b);
        }
        for (a, b) in since.tallies.iter_mut().zip(&before.tallies) {
            less(a, *b);
        }
        since
    }

    /// Frames that the kernel handed over and of which nothing is known: they are in rings, or a process died with them.
    fn under_way(&self) -> u64 {
        let handed = self.kernel.outcome(Outcome::ToUser).packets;
        let known = [Tally::Received, Tally::RingDropped, Tally::LostInRings];
        let known: u64 = known.iter().map(|&what| self.tally(what)).sum();
        handed.saturating_sub(known)
    }

    /// Frames that the kernel forwarded and the other port did not send, as far as it tells.
    fn unsent_by_kernel(&self) -> u64 {
        self.kernel.cause(Cause::XmitDropped)
    }

    fn json(&self, facts: &PortFacts) -> Value {
        let of = |count: Count| json!({ "packets": count.packets, "bytes": count.bytes });
        let causes = CAUSES.map(|(name, cause)| (name.to_owned(), self.kernel.cause(cause).into()));
        let mut all = Map::from_iter([
            ("name".to_owned(), facts.name.clone().into()),
            ("mode".to_owned(), facts.mode.clone().into()),
            (
                "zero_copy".to_owned(),
                facts.copied.map(|copied| !copied).into(),
            ),
            ("seen".to_owned(), of(self.kernel.received)),
        ]);
        for (name, outcome) in OUTCOMES {
            all.insert(name.to_owned(), of(self.kernel.outcome(outcome)));
        }
        all.insert("failed_because".to_owned(), Map::from_iter(causes).into());
        // Unknown is not none.
        let unsent = facts.unsent_counted.then(|| self.unsent_by_kernel());
        all.insert("xmit_dropped".to_owned(), unsent.into());
        for (name, tally) in TALLIES {
            all.insert(name.to_owned(), self.tally(tally).into());
        }
        all.insert("under_way".to_owned(), self.under_way().into());
        all.into()
    }

    /// The same for records of type `stats`, behind `prefix`; all are of packets but for what says otherwise.
    fn gauges(&self, prefix: &str) -> Vec<(String, u64)> {
        let outcomes = OUTCOMES.map(|(name, outcome)| (name, self.kernel.outcome(outcome).packets));
        let causes = CAUSES.map(|(name, cause)| (name, self.kernel.cause(cause)));
        let causes = causes.map(|(name, count)| (format!("{prefix}.failed_because.{name}"), count));
        let tallies = TALLIES.map(|(name, tally)| (name, self.tally(tally)));
        let seen = ("seen", self.kernel.received.packets);
        let unsent = ("xmit_dropped", self.unsent_by_kernel());
        let named = [seen, unsent].into_iter().chain(outcomes).chain(tallies);
        let named = named.map(|(name, count)| (format!("{prefix}.{name}"), count));
        named.chain(causes).collect()
    }
}

/// What becomes of frames in the kernel, as it is called in figures.
const OUTCOMES: [(&str, Outcome); 6] = [
    ("to_user", Outcome::ToUser),
    ("bypassed", Outcome::Bypassed),
    ("blocked", Outcome::Blocked),
    ("failed_open", Outcome::FailedOpen),
    ("failed_closed", Outcome::FailedClosed),
    ("no_peer", Outcome::NoPeer),
];

/// Why frames were nobody's to inspect.
const CAUSES: [(&str, Cause); 3] = [
    ("no_worker", Cause::NoWorker),
    ("late", Cause::Late),
    ("no_socket", Cause::NoSocket),
];

/// What workers count.
const TALLIES: [(&str, Tally); 21] = [
    ("received", Tally::Received),
    ("received_bytes", Tally::ReceivedBytes),
    ("passed", Tally::Passed),
    ("dropped", Tally::Dropped),
    ("rejected", Tally::Rejected),
    ("tx_full", Tally::TxFull),
    ("invalid", Tally::Invalid),
    ("ring_dropped", Tally::RingDropped),
    ("lost_in_rings", Tally::LostInRings),
    ("lost_in_hands", Tally::LostInHands),
    ("handed_over", Tally::HandedOver),
    ("hand_over_full", Tally::HandOverFull),
    ("injected", Tally::Injected),
    ("inject_lost", Tally::InjectLost),
    ("unsent", Tally::Unsent),
    ("odd_completions", Tally::OddCompletions),
    ("flows_bypassed", Tally::FlowsBypassed),
    ("flows_blocked", Tally::FlowsBlocked),
    ("kicked", Tally::Kicked),
    ("rebuilt", Tally::Rebuilt),
    ("late", Tally::Late),
];

/// What the kernel did for flows that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowsEnded {
    pub bypassed: u64,
    pub bypassed_packets: u64,
    pub bypassed_bytes: u64,
    pub blocked: u64,
    pub blocked_packets: u64,
    pub blocked_bytes: u64,
}

impl AddAssign<&FlowEnd> for FlowsEnded {
    fn add_assign(&mut self, end: &FlowEnd) {
        let (flows, packets, bytes) = if end.blocked {
            (
                &mut self.blocked,
                &mut self.blocked_packets,
                &mut self.blocked_bytes,
            )
        } else {
            (
                &mut self.bypassed,
                &mut self.bypassed_packets,
                &mut self.bypassed_bytes,
            )
        };
        *flows += 1;
        *packets += end.packets;
        *bytes += end.bytes;
    }
}

impl AddAssign for FlowsEnded {
    fn add_assign(&mut self, other: Self) {
        self.bypassed += other.bypassed;
        self.bypassed_packets += other.bypassed_packets;
        self.bypassed_bytes += other.bypassed_bytes;
        self.blocked += other.blocked;
        self.blocked_packets += other.blocked_packets;
        self.blocked_bytes += other.blocked_bytes;
    }
}

/// The books of a run.
#[derive(Debug)]
pub struct Accounts {
    /// Of ports.
    names: Vec<String>,
    begin: Vec<PortSnapshot>,
    now: Vec<PortSnapshot>,
    latency: Histogram<u64>,
    ended: FlowsEnded,
    records_lost: u64,
    orders_refused: u64,
    flows_unnoted: u64,
    ports: Vec<Value>,
    adopted: Option<Value>,
}

impl Accounts {
    pub fn new(ports: &Ports) -> Self {
        let begin = ports.snapshots();
        Self {
            names: (0..begin.len()).map(|at| ports.facts(at).name).collect(),
            now: begin.clone(),
            begin,
            latency: histogram(),
            ended: FlowsEnded::default(),
            records_lost: 0,
            orders_refused: 0,
            flows_unnoted: 0,
            ports: Vec::new(),
            adopted: ports.adopted(),
        }
    }

    /// Looks into the books of the kernel.
    pub fn sweep(&mut self, ports: &mut Ports) {
        self.now = ports.snapshots();
        self.ended += ports.sweep();
        self.flows_unnoted = ports.flows_unnoted();
    }

    /// Frames and bytes that workers have had so far.
    pub fn so_far(&self) -> (u64, u64) {
        let sum = |what| {
            let each = (self.now.iter().zip(&self.begin))
                .map(|(now, begin)| now.tally(what).wrapping_sub(begin.tally(what)));
            each.sum()
        };
        (sum(Tally::Received), sum(Tally::ReceivedBytes))
    }

    /// For records of type `stats`: under Suricata's names what it has, all else by port.
    pub fn gauges(&self) -> Vec<(String, u64)> {
        let since: Vec<PortSnapshot> = (self.now.iter().zip(&self.begin))
            .map(|(now, begin)| now.since(begin))
            .collect();
        let sum = |pick: &dyn Fn(&PortSnapshot) -> u64| since.iter().map(pick).sum::<u64>();
        let kernel = |what| sum(&|port| port.kernel.outcome(what).packets);
        let tally = |what| sum(&|port| port.tally(what));
        let bypassed_bytes = sum(&|port| port.kernel.outcome(Outcome::Bypassed).bytes);
        let mut named = vec![
            (
                "capture.kernel_packets",
                sum(&|port| port.kernel.received.packets),
            ),
            (
                "capture.kernel_drops",
                tally(Tally::RingDropped) + tally(Tally::LostInRings),
            ),
            ("flow_bypassed.pkts", kernel(Outcome::Bypassed)),
            ("flow_bypassed.bytes", bypassed_bytes),
            ("flow_bypassed.closed", self.ended.bypassed),
        ];
        if since.len() > 1 {
            named.extend([
                ("ips.accepted", tally(Tally::Passed)),
                (
                    "ips.blocked",
                    tally(Tally::Dropped) + kernel(Outcome::Blocked),
                ),
                ("ips.rejected", tally(Tally::Rejected)),
            ]);
        }
        let named = named
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count));
        let by_port = since.iter().zip(&self.names).flat_map(|(port, name)| {
            // Dots lead into objects.
            port.gauges(&format!("wire.{}", name.replace('.', "_")))
        });
        named.chain(by_port).collect()
    }

    /// What a worker measured.
    pub fn latency(&mut self, of_worker: &Histogram<u64>) {
        if self.latency.add(of_worker).is_err() {
            tracing::warn!("a worker's latencies do not fit");
        }
    }

    /// Records that nobody took in time.
    pub fn records_lost(&mut self, count: u64) {
        self.records_lost += count;
    }

    /// Orders about flows that the kernel did not take.
    pub fn orders_refused(&mut self, count: u64) {
        self.orders_refused += count;
    }

    /// Closes the books.
    pub fn close(&mut self, ports: &mut Ports, seen: &mut Seen) {
        self.sweep(ports);
        (seen.packets, seen.bytes) = self.so_far();
        for (at, (now, begin)) in self.now.iter().zip(&self.begin).enumerate() {
            let since = now.since(begin);
            let facts = ports.facts(at);
            self.ports.push(since.json(&facts));
            let lost = [
                Tally::RingDropped,
                Tally::TxFull,
                Tally::Invalid,
                Tally::HandOverFull,
                Tally::Unsent,
            ];
            let lost: u64 = lost.iter().map(|&what| since.tally(what)).sum();
            let no_peer = since.kernel.outcome(Outcome::NoPeer).packets;
            seen.lost += lost + no_peer + since.unsent_by_kernel();
            for (outcome, what) in [
                (Outcome::FailedOpen, "went through uninspected"),
                (Outcome::FailedClosed, "were dropped uninspected"),
            ] {
                let count = since.kernel.outcome(outcome).packets;
                if count > 0 {
                    seen.warnings.push(format!(
                        "{}: {} {what}: nobody could take them in time",
                        facts.name,
                        figures::counted(count, "packet")
                    ));
                }
            }
        }
        if seen.lost > 0 {
            seen.warnings.push(format!(
                "{} lost: more came than could be inspected or sent in time",
                figures::counted(seen.lost, "packet")
            ));
        }
        if self.records_lost > 0 {
            seen.warnings.push(format!(
                "{} lost: they could not be written in time",
                figures::counted(self.records_lost, "record")
            ));
        }
    }

    /// For the figures of a run: `wire`.
    pub fn json(&self) -> Value {
        json!({
            "ports": self.ports,
            "adopted": self.adopted,
            "flows_ended": {
                "bypassed": self.ended.bypassed,
                "bypassed_packets": self.ended.bypassed_packets,
                "bypassed_bytes": self.ended.bypassed_bytes,
                "blocked": self.ended.blocked,
                "blocked_packets": self.ended.blocked_packets,
                "blocked_bytes": self.ended.blocked_bytes,
            },
            "flows_unnoted": self.flows_unnoted,
            "orders_refused": self.orders_refused,
            "records_lost": self.records_lost,
        })
    }

    /// For the figures of a run: `latency_ns`; `None` where nothing came.
    pub fn latency_json(&self) -> Option<Value> {
        let at = |quantile| self.latency.value_at_quantile(quantile);
        (!self.latency.is_empty()).then(|| {
            json!({
                "p50": at(0.5),
                "p90": at(0.9),
                "p99": at(0.99),
                "p999": at(0.999),
                "max": self.latency.max(),
            })
        })
    }
}
