//! What became of every frame.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use weir_xdp::common::{Cause, Outcome, PortCounters, Tally};

use super::ports::{FlowsEnded, Ports};
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

    fn json(&self, name: &str, mode: &str, copy: Option<bool>) -> Value {
        let of = |outcome| {
            let count = self.kernel.outcome(outcome);
            json!({ "packets": count.packets, "bytes": count.bytes })
        };
        json!({
            "name": name,
            "mode": mode,
            "zero_copy": copy.map(|copy| !copy),
            "seen": { "packets": self.kernel.received.packets, "bytes": self.kernel.received.bytes },
            "to_user": of(Outcome::ToUser),
            "bypassed": of(Outcome::Bypassed),
            "blocked": of(Outcome::Blocked),
            "failed_open": of(Outcome::FailedOpen),
            "failed_closed": of(Outcome::FailedClosed),
            "no_peer": of(Outcome::NoPeer),
            "failed_because": {
                "no_worker": self.kernel.cause(Cause::NoWorker),
                "late": self.kernel.cause(Cause::Late),
                "no_socket": self.kernel.cause(Cause::NoSocket),
            },
            "received": self.tally(Tally::Received),
            "received_bytes": self.tally(Tally::ReceivedBytes),
            "passed": self.tally(Tally::Passed),
            "dropped": self.tally(Tally::Dropped),
            "rejected": self.tally(Tally::Rejected),
            "tx_full": self.tally(Tally::TxFull),
            "invalid": self.tally(Tally::Invalid),
            "ring_dropped": self.tally(Tally::RingDropped),
            "lost_in_rings": self.tally(Tally::LostInRings),
            "lost_in_hands": self.tally(Tally::LostInHands),
            "under_way": self.under_way(),
            "handed_over": self.tally(Tally::HandedOver),
            "hand_over_full": self.tally(Tally::HandOverFull),
            "injected": self.tally(Tally::Injected),
            "inject_lost": self.tally(Tally::InjectLost),
            "flows_bypassed": self.tally(Tally::FlowsBypassed),
            "flows_blocked": self.tally(Tally::FlowsBlocked),
            "kicked": self.tally(Tally::Kicked),
            "rebuilt": self.tally(Tally::Rebuilt),
            "late": self.tally(Tally::Late),
        })
    }
}

/// The books of a run.
#[derive(Debug)]
pub struct Accounts {
    begin: Vec<PortSnapshot>,
    now: Vec<PortSnapshot>,
    latency: Histogram<u64>,
    ended: FlowsEnded,
    records_lost: u64,
    orders_refused: u64,
    ports: Vec<Value>,
    adopted: Option<Value>,
}

impl Accounts {
    pub fn new(ports: &Ports) -> Self {
        let begin = ports.snapshots();
        Self {
            now: begin.clone(),
            begin,
            latency: histogram(),
            ended: FlowsEnded::default(),
            records_lost: 0,
            orders_refused: 0,
            ports: Vec::new(),
            adopted: ports.adopted(),
        }
    }

    /// Looks into the books of the kernel.
    pub fn sweep(&mut self, ports: &mut Ports) {
        self.now = ports.snapshots();
        self.ended += ports.sweep();
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
            let (name, mode, copy) = ports.facts(at);
            self.ports.push(since.json(&name, &mode, copy));
            let lost = [
                Tally::RingDropped,
                Tally::TxFull,
                Tally::Invalid,
                Tally::HandOverFull,
            ];
            let lost: u64 = lost.iter().map(|&what| since.tally(what)).sum();
            seen.lost += lost + since.kernel.outcome(Outcome::NoPeer).packets;
            for (outcome, what) in [
                (Outcome::FailedOpen, "went through uninspected"),
                (Outcome::FailedClosed, "were dropped uninspected"),
            ] {
                let count = since.kernel.outcome(outcome).packets;
                if count > 0 {
                    seen.warnings.push(format!(
                        "{name}: {} {what}: nobody could take them in time",
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
