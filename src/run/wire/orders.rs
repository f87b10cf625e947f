//! What the kernel is told about flows.

use std::time::{Duration, Instant};

use weir_engine::detect::FlowVerdict;
use weir_engine::flow::FlowAction;
use weir_xdp::common::FlowKey;
use weir_xdp::common::Tally;
use weir_xdp::program::{Attached, QueueCell};

/// For how long the kernel drops a flow by itself. Then its packets come here again, where it is still known, and the order is given anew.
const BLOCKED: Duration = Duration::from_secs(10);

/// Orders that are remembered, so that packets that were on their way do not repeat them.
const REMEMBERED: usize = 256;

/// How long an order is not repeated.
const REPEAT: Duration = Duration::from_millis(200);

/// Most orders of a batch: the others are given with later packets of their flows.
const MOST: usize = 64;

/// What is to become of a flow in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Bypass,
    Block,
}

/// Orders of one worker.
pub struct Orders<'a> {
    /// `None` where flows are not left to the kernel.
    flows: Option<&'a Attached>,
    cell: QueueCell,
    due: Vec<(usize, FlowKey, What)>,
    /// By a part of the key's hash.
    given: Box<[Option<(FlowKey, What, Instant)>]>,
    /// Orders that the kernel did not take.
    pub refused: u64,
}

impl<'a> Orders<'a> {
    pub fn new(flows: Option<&'a Attached>, cell: QueueCell) -> Self {
        Self {
            flows,
            cell,
            due: Vec::with_capacity(MOST),
            given: vec![None; REMEMBERED].into_boxed_slice(),
            refused: 0,
        }
    }

    /// Something was decided about the flow of a frame that came in on `port`.
    pub fn add(&mut self, port: usize, flow: &FlowVerdict) {
        if self.flows.is_none() || self.due.len() >= MOST {
            return;
        }
        let what = match flow.action {
            FlowAction::Drop => What::Block,
            FlowAction::Pass | FlowAction::Bypass => What::Bypass,
            FlowAction::None => return,
        };
        let (tags, layers) = flow.vlan;
        // The kernel looks at no more than two tags.
        let key = (layers <= 2)
            .then(|| {
                let tag = |at: usize| {
                    if at < usize::from(layers) {
                        tags[at]
                    } else {
                        0
                    }
                };
                FlowKey::between(flow.client, flow.server, flow.proto, tag(0), tag(1))
            })
            .flatten();
        let Some(key) = key else { return };
        let now = Instant::now();
        if let Some(slot) = self.given.get_mut(place(&key)) {
            let again = slot.is_some_and(|(of, before, at)| {
                of == key && before == what && now.duration_since(at) < REPEAT
            });
            if again {
                return;
            }
            *slot = Some((key, what, now));
        }
        self.due.push((port, key, what));
    }

    /// Gives the orders that are due.
    pub fn give(&mut self) {
        let Some(flows) = self.flows.filter(|_| !self.due.is_empty()) else {
            return;
        };
        let now_ns = weir_xdp::monotonic_ns();
        let until_ns = now_ns.saturating_add(u64::try_from(BLOCKED.as_nanos()).unwrap_or(u64::MAX));
        for (port, key, what) in self.due.drain(..) {
            let (done, tally) = match what {
                What::Bypass => (flows.bypass(&key, now_ns), Tally::FlowsBypassed),
                What::Block => (flows.block(&key, now_ns, until_ns), Tally::FlowsBlocked),
            };
            match done {
                Ok(()) => self.cell.add(port, tally, 1),
                Err(error) => {
                    if self.refused == 0 {
                        tracing::warn!("the kernel takes no orders about flows: {error}");
                    }
                    self.refused += 1;
                }
            }
        }
    }
}

/// Where an order is remembered.
fn place(key: &FlowKey) -> usize {
    let words = key.low.iter().chain(&key.high).copied();
    let ports = u32::from(key.low_port) << 16 | u32::from(key.high_port);
    let mixed = words.chain([ports]).fold(0_u32, |sum, word| {
        (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9)
    });
    (mixed >> 24) as usize % REMEMBERED
}
