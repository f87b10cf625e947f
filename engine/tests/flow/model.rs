//! The table held to a plain one: a list of flows, and times.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::support::{SECOND, Table, v4};
use weir_engine::flow::{EndReason, Ended, FlowConfig};

/// Flows are found up to this long after their time, in spans of the clock.
const SHIFT: u32 = 30;
const START: u64 = 1_000 * SECOND;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet of this flow, one way or the other.
    Packet { port: u16, back: bool },
    /// Time passes.
    Wait(u64),
    /// A look at the clock.
    Expire,
}

fn steps(ports: u16) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..ports, any::<bool>()).prop_map(|(port, back)| Step::Packet { port, back }),
        2 => prop_oneof![0..2 * SECOND, 0..400 * SECOND].prop_map(Step::Wait),
        1 => Just(Step::Expire),
    ];
    prop::collection::vec(step, 0..400)
}

/// A flow as the plain table has it.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    start_ns: u64,
    last_ns: u64,
    packets: [u64; 2],
    /// The first packet came from the end with the port 7.
    back: bool,
}

impl Plain {
    fn deadline(&self) -> u64 {
        let both = self.packets.iter().all(|&packets| packets > 0);
        self.last_ns + if both { 300 } else { 30 } * SECOND
    }

    /// The spans that are over when the clock is looked at.
    fn due(&self, now_ns: u64) -> bool {
        let timeout = self.deadline() - self.last_ns;
        self.last_ns >> SHIFT < now_ns.saturating_sub(timeout) >> SHIFT
    }
}

/// What is said of a flow that ended: reason, when, first packet, packets both ways.
type Said = (EndReason, u64, u64, [u64; 2]);

fn said(ended: &Ended) -> Said {
    let flow = &ended.flow;
    (ended.reason, ended.ts_ns, flow.start_ns, flow.packets)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// As long as there is room, the table and the plain one agree on every packet and every end.
    #[test]
    fn the_table_does_what_a_plain_one_does(ports in 1..64u16, steps in steps(64)) {
        // Beyond these there are no emergencies.
        let mut table = Table::new(FlowConfig { max_flows: 80, ..FlowConfig::default() });
        let mut plain: HashMap<u16, Plain> = HashMap::new();
        table.now_ns = START;
        table.flows.look(START);
        prop_assert!(table.flows.next_over().is_none());
        for step in steps {
            match step {
                Step::Wait(time) => table.now_ns += time,
                Step::Packet { port, back } => {
                    let (port, now_ns) = (port % ports, table.now_ns);
                    let ends = if back { (v4(2, 7), v4(1, port + 100)) } else { (v4(1, port + 100), v4(2, 7)) };
                    let view = table.udp(ends.0, ends.1);
                    let mut expected = None;
                    if plain.get(&port).is_some_and(|flow| now_ns > flow.deadline()) {
                        expected = plain.remove(&port).map(|flow| {
                            (EndReason::Timeout, flow.deadline(), flow.start_ns, flow.packets)
                        });
                    }
                    prop_assert_eq!(table.flows.take_ended().as_ref().map(said), expected);
                    prop_assert!(table.flows.take_ended().is_none());
                    let flow = plain.entry(port).or_insert(Plain {
                        start_ns: now_ns,
                        last_ns: now_ns,
                        packets: [0; 2],
                        back,
                    });
                    let to_server = flow.back == back;
                    let way = usize::from(!to_server);
                    prop_assert_eq!((view.to_server, view.first), (to_server, flow.packets[way] == 0));
                    flow.packets[way] += 1;
                    flow.last_ns = now_ns;
                    let known = table.flow(view);
                    prop_assert_eq!(
                        (known.start_ns, known.last_ns, known.packets),
                        (flow.start_ns, flow.last_ns, flow.packets)
                    );
                }
                Step::Expire => {
                    // Twice, because a leap is believed only then.
                    let mut ended = Vec::new();
                    for _ in 0..2 {
                        table.flows.look(table.now_ns);
                        ended.extend(std::iter::from_fn(|| table.flows.next_over()).map(|flow| said(&flow)));
                    }
                    let mut expected: Vec<Said> = Vec::new();
                    plain.retain(|_, flow| {
                        let due = flow.due(table.now_ns);
                        if due {
                            expected.push((EndReason::Timeout, flow.deadline(), flow.start_ns, flow.packets));
                        }
                        !due
                    });
                    ended.sort_by_key(|said| (said.1, said.2, said.3));
                    expected.sort_by_key(|said| (said.1, said.2, said.3));
                    prop_assert_eq!(ended, expected);
                }
            }
            prop_assert_eq!(table.flows.counters().active, plain.len() as u64);
        }
        table.flows.close();
        let left: Vec<Ended> = std::iter::from_fn(|| table.flows.next_over()).collect();
        prop_assert!(left.iter().all(|ended| ended.reason == EndReason::Shutdown));
        prop_assert_eq!(left.len(), plain.len());
    }

    /// However small the table: it never holds more than it may, no flow is lost without a word, and one that was just
    /// seen is there.
    #[test]
    fn a_small_table_loses_nothing_silently(size in 1..=64usize, steps in steps(200), back_in_time in any::<bool>()) {
        let mut table = Table::new(FlowConfig { max_flows: size, ..FlowConfig::default() });
        table.now_ns = START;
        let (mut ends, mut packets) = (0, 0u64);
        let mut counted = |ended: &Ended| {
            ends += 1;
            packets += ended.flow.packets.iter().sum::<u64>();
        };
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Wait(time) if back_in_time && time % 5 == 0 => {
                    table.now_ns = table.now_ns.saturating_sub(time);
                }
                Step::Wait(time) => table.now_ns += time,
                Step::Packet { port, back } => {
                    let ends = if back { (v4(2, 7), v4(1, port + 100)) } else { (v4(1, port + 100), v4(2, 7)) };
                    let view = table.udp(ends.0, ends.1);
                    sent += 1;
                    prop_assert!(table.flow(view).last_ns >= table.now_ns);
                    while let Some(ended) = table.flows.take_ended() {
                        counted(&ended);
                    }
                    let view = table.udp(ends.0, ends.1);
                    sent += 1;
                    prop_assert!(!view.first && table.flows.take_ended().is_none());
                }
                Step::Expire => {
                    let now_ns = table.now_ns;
                    table.flows.look(now_ns);
                    while let Some(ended) = table.flows.next_over() {
                        prop_assert!(ended.ts_ns <= now_ns);
                        counted(&ended);
                    }
                }
            }
            prop_assert!(table.flows.counters().active <= size as u64);
        }
        let active = table.flows.counters().active;
        table.flows.close();
        while let Some(ended) = table.flows.next_over() {
            counted(&ended);
        }
        let counters = table.flows.counters();
        prop_assert_eq!((ends, packets), (counters.created, sent));
        prop_assert_eq!(counters.created - active, counters.timed_out + counters.evicted);
        prop_assert_eq!(counters.ended.iter().sum::<u64>(), counters.created);
    }
}
