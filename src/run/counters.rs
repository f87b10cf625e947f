//! What has been counted, for records of type `stats`.

use std::sync::{Mutex, PoisonError};

use weir_engine::app::AppProto;
use weir_engine::detect::Counters;
use weir_engine::flow::FlowState;
use weir_engine::packet::DecoderEvent;
use weir_events::CounterRecord;

use super::pipeline::AlertCounts;
use super::reload::Counts;

/// What is counted outside of engines while they are at work, by names with dots.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<Vec<(String, u64)>>);

impl Gauges {
    /// The latest figures.
    pub fn set(&self, named: Vec<(String, u64)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = named;
    }

    /// What was set last.
    pub fn get(&self) -> Vec<(String, u64)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What has been counted until `now_ns`, under Suricata's names where they mean the same. `reloads`: where there can be some;
/// `gauges`: what the input counts.
pub fn record(
    now_ns: u64,
    workers: &[Counters],
    alerts: AlertCounts,
    reloads: Option<Counts>,
    gauges: Vec<(String, u64)>,
) -> CounterRecord {
    let first_ns = workers
        .iter()
        .filter_map(|counters| counters.first_ns)
        .min();
    let uptime_ns = now_ns.saturating_sub(first_ns.unwrap_or(now_ns));
    let mut named = of_workers(workers);
    named.extend([
        ("detect.alert".to_owned(), alerts.written),
        ("detect.alert_queue_overflow".to_owned(), alerts.discarded),
        ("detect.alerts_suppressed".to_owned(), alerts.suppressed),
    ]);
    if let Some(Counts {
        done,
        failed,
        rules,
    }) = reloads
    {
        named.extend([
            ("detect.rules_loaded".to_owned(), rules),
            ("detect.reloads".to_owned(), done),
            ("detect.reloads_failed".to_owned(), failed),
        ]);
    }
    named.extend(gauges);
    CounterRecord::new(now_ns, uptime_ns / 1_000_000_000, named)
}

/// A counter of a worker.
type Pick = fn(&Counters) -> u64;

/// What workers counted, all together.
fn of_workers(workers: &[Counters]) -> Vec<(String, u64)> {
    let sum = |pick: &dyn Fn(&Counters) -> u64| workers.iter().map(pick).sum::<u64>();
    let named: [(&str, Pick); 50] = [
        ("decoder.pkts", |c| c.decoder.frames),
        ("decoder.bytes", |c| c.decoder.bytes),
        ("decoder.invalid", |c| c.decoder.invalid),
        ("decoder.unknown_ethertype", |c| c.decoder.unknown_ethertype),
        ("decoder.ethernet", |c| c.decoder.ethernet),
        ("decoder.vlan", |c| c.decoder.vlan),
        ("decoder.mpls", |c| c.decoder.mpls),
        ("decoder.ppp", |c| c.decoder.ppp),
        ("decoder.arp", |c| c.decoder.arp),
        ("decoder.ipv4", |c| c.decoder.ipv4),
        ("decoder.ipv6", |c| c.decoder.ipv6),
        ("decoder.tcp", |c| c.decoder.tcp),
        ("decoder.udp", |c| c.decoder.udp),
        ("decoder.icmpv4", |c| c.decoder.icmpv4),
        ("decoder.icmpv6", |c| c.decoder.icmpv6),
        ("decoder.sctp", |c| c.decoder.sctp),
        ("decoder.igmp", |c| c.decoder.igmp),
        ("decoder.esp", |c| c.decoder.esp),
        ("decoder.gre", |c| c.decoder.gre),
        ("defrag.ipv4.fragments", |c| c.decoder.defrag.ipv4_fragments),
        ("defrag.ipv4.reassembled", |c| {
            c.decoder.defrag.ipv4_reassembled
        }),
        ("defrag.ipv6.fragments", |c| c.decoder.defrag.ipv6_fragments),
        ("defrag.ipv6.reassembled", |c| {
            c.decoder.defrag.ipv6_reassembled
        }),
        ("defrag.timeouts", |c| c.decoder.defrag.timed_out),
        ("defrag.evicted", |c| c.decoder.defrag.evicted),
        ("defrag.ignored", |c| c.decoder.defrag.ignored),
        ("defrag.refused", |c| c.decoder.defrag.refused),
        ("flow.total", |c| c.flow.created),
        ("flow.active", |c| c.flow.active),
        ("flow.tcp", |c| c.flow.tcp),
        ("flow.udp", |c| c.flow.udp),
        ("flow.icmpv4", |c| c.flow.icmp4),
        ("flow.icmpv6", |c| c.flow.icmp6),
        ("flow.tcp_reuse", |c| c.flow.reused),
        ("flow.get_used", |c| c.flow.evicted),
        ("flow.timed_out", |c| c.flow.timed_out),
        ("flow.elephant", |c| c.flow.elephants),
        ("flow.shunted", |c| c.shunted),
        ("flow.emerg_mode_entered", |c| c.flow.emergencies),
        ("flow.emerg_mode_over", |c| c.flow.emergencies_over),
        ("flow.clock_leaps", |c| c.flow.clock_leaps),
        ("flow_bypassed.local_pkts", |c| c.flow.bypassed_packets),
        ("flow_bypassed.local_bytes", |c| c.flow.bypassed_bytes),
        ("tcp.invalid_checksum", |c| c.decoder.bad_checksums),
        ("tcp.reassembly_gap", |c| c.streams.gaps),
        ("tcp.overlap_diff_data", |c| c.streams.different),
        ("app_layer.transactions", |c| c.app.transactions),
        ("app_layer.failed", |c| c.app.failed),
        ("app_layer.dropped", |c| c.app.dropped),
        ("app_layer.no_room", |c| c.app.no_room),
    ];
    let protocols = AppProto::ALL.iter().map(|&proto| {
        let of_worker = |c: &Counters| c.app.flows.get(proto as usize).copied().unwrap_or(0);
        (format!("app_layer.flow.{}", proto.name()), sum(&of_worker))
    });
    let states = FlowState::ALL.map(|state| {
        let local = if state == FlowState::Bypassed {
            "local_"
        } else {
            ""
        };
        let name = format!("flow.end.state.{local}{}", state.name());
        (name, sum(&|c| c.flow.ended[state as usize]))
    });
    let events = DecoderEvent::ALL.iter().map(|&event| {
        let name = format!("decoder.event.{}", event.name());
        (name, sum(&|c| c.decoder.event(event)))
    });
    named
        .into_iter()
        .map(|(name, pick)| (name.to_owned(), sum(&pick)))
        .chain(states)
        .chain(protocols)
        .chain(events)
        .collect()
}
