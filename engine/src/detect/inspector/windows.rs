//! Windows of streams: which rules are due in one, and what they are asked about.

use super::super::{Event, Stage};
use super::Inspector;
use super::scene::{Scene, Side};
use super::settle::{self, Settled};
use crate::app::FlowApp;
use crate::eval::{AppSubject, Beyond, Evaluator, Subject};
use crate::flow::{Flow, FlowAction};
use crate::packet::Packet;
use crate::plan::RuleId;
use crate::state::Seat;
use crate::stream::{Direction, Due, StreamEvents, Streams, Window};

/// Lists that are filled again and again.
#[derive(Default)]
pub(super) struct Scratch {
    /// Probes found in what came.
    pub(super) hits: Vec<u32>,
    /// Rules that look at the window alone.
    near: Vec<RuleId>,
    /// Rules that look at what was before it, too.
    far: Vec<RuleId>,
    /// Rules that matched in the stream.
    pub(super) matched: Vec<RuleId>,
    /// Rules that are too many to wait.
    pub(super) crowd: Vec<RuleId>,
    /// Those of windows that ended in this packet.
    pub(super) settled: Vec<RuleId>,
    /// One of them says that the packet is to be dropped.
    pub(super) dropped: bool,
    /// A rule about a transaction has passed the flow.
    pub(super) passed: bool,
}

/// When rules are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// The window goes on; what came from this offset on is new.
    Open { since: u64 },
    /// The window ends.
    Ends,
    /// The window ends, and nothing follows on it.
    Last,
}

impl Inspector {
    /// Ends the window at hand at `end`: decides all rules that wait for it. The next one begins there.
    pub(super) fn close_window(
        &mut self,
        scene: &mut Scene<'_, '_>,
        side: Side,
        end: u64,
        when: When,
        out: &mut Vec<Event>,
    ) {
        let flow = scene.flow(&self.flows);
        if flow.action == FlowAction::None {
            self.decide(scene, side, end, when);
        } else {
            // What was decided about the flow ended its inspection.
            self.scratch.matched.clear();
        }
        let back = self.streams.close_window(side.id, side.way, end);
        if self.scratch.matched.is_empty() {
            return;
        }
        self.matches.clone_from(&self.scratch.matched);
        self.scratch
            .settled
            .extend_from_slice(&self.scratch.matched);
        let payload = match self.streams.direction(side.id, side.way) {
            Some(direction) => direction.bytes(back..end),
            None => &[],
        };
        let subject = Subject {
            packet: scene.packet,
            payload,
            stream_offset: Some(back),
            events: StreamEvents::default(),
            app: AppSubject::default(),
        };
        let to_server = scene.view.to_server;
        let flow = scene.flow_mut(&mut self.flows);
        let found = settle::settle(
            &self.prepared,
            &mut self.settler,
            &self.matches,
            &subject,
            Some((flow, to_server)),
            Settled::Stream,
        );
        self.scratch.dropped |= self.hand_out(found, out);
        self.profile.lap(Stage::Settle);
    }

    /// Decides rules that wait for the window at hand: all of them when it ends, before that those whose match nothing
    /// can take away, or, where packets cannot wait, any that matches. Those that matched are in the scratch list.
    pub(super) fn decide(&mut self, scene: &Scene<'_, '_>, side: Side, end: u64, when: When) {
        let Self {
            prepared,
            streams,
            flows,
            candidates,
            evaluator,
            counters,
            scratch,
            inline,
            settler,
            ..
        } = self;
        let flow = scene.flow(flows);
        let app = flow.app;
        let index = &prepared.index;
        scratch.matched.clear();
        scratch.near.clear();
        scratch.far.clear();
        let closing = !matches!(when, When::Open { .. });
        let by_window = closing && index.wants_windows();
        let Some(look) = Look::new(streams, side, end, when, app) else {
            return;
        };
        if look.end == look.back || look.window.idle() && !by_window {
            return;
        }
        let all = match when {
            When::Open { since } => *inline || look.window.worth_a_look(since, end),
            When::Ends | When::Last => true,
        };
        for due in look.window.due(look.end, look.patience) {
            let now = match when {
                When::Open { since } => {
                    (*inline || index.early(due.rule)) && (all || due.found > since)
                }
                When::Ends | When::Last => true,
            };
            if now {
                scratch.add(&look, due, index.grows(due.rule), closing);
            }
        }
        if by_window {
            let stale = look.window.stale(look.end, look.patience);
            for &rule in candidates.of_window(index, scene.packet, scene.view) {
                if look.window.seen(rule) != u64::MAX {
                    let due = Due {
                        rule,
                        found: end,
                        fresh: true,
                        stale,
                    };
                    scratch.add(&look, due, index.grows(rule), closing);
                }
            }
        }
        if !scratch.near.is_empty() || !scratch.far.is_empty() {
            counters.candidates += scratch.evaluate(
                &look,
                &mut **evaluator,
                scene.packet,
                (flow, &mut settler.seat),
            );
        }
        let patience = look.patience;
        if closing {
            streams.have_looked(side.id, side.way, end, patience);
        }
        if !scratch.matched.is_empty() {
            streams.have_matched(side.id, side.way, &scratch.matched);
        }
    }
}

/// What there is to look at in a window.
struct Look<'s> {
    window: &'s Window,
    direction: &'s Direction,
    /// First byte that can be looked at, first byte of the window, end.
    back: u64,
    start: u64,
    end: u64,
    /// How many bytes have to come before a rule is looked at again together with what was before the window.
    patience: u64,
    /// What the flow speaks.
    app: AppSubject<'static>,
}

impl<'s> Look<'s> {
    fn new(streams: &'s Streams, side: Side, end: u64, when: When, app: FlowApp) -> Option<Self> {
        let window = streams.get(side.id)?.windows.get(side.way)?;
        let direction = streams.direction(side.id, side.way)?;
        let start = window.start();
        Some(Self {
            app: AppSubject {
                flow: app,
                transaction: None,
                way: side.way as u8,
            },
            window,
            direction,
            back: start.saturating_sub(streams.window()).max(direction.base()),
            start,
            end,
            patience: match when {
                When::Last => 0,
                When::Open { .. } | When::Ends => streams.window() / 4,
            },
        })
    }
}

impl Scratch {
    /// Puts a rule among those to be evaluated.
    ///
    /// One that more data can undo is asked about the window alone, because what stands before it may be another
    /// message, and now and then about all that can be looked at.
    fn add(&mut self, look: &Look<'_>, due: Due, grows: bool, closing: bool) {
        if grows || look.back == look.start {
            if due.fresh || due.stale {
                self.far.push(due.rule);
            }
            return;
        }
        if due.fresh {
            self.near.push(due.rule);
        }
        if due.stale && closing {
            self.far.push(due.rule);
        }
    }

    /// Evaluates the rules, each on what it has not seen; returns how many there were.
    fn evaluate(
        &mut self,
        look: &Look<'_>,
        evaluator: &mut dyn Evaluator,
        packet: &Packet<'_>,
        (flow, seat): (&Flow, &mut Seat),
    ) -> u64 {
        let Self {
            near, far, matched, ..
        } = self;
        let mut count = 0;
        let mut on = |from: u64, rules: &[RuleId], matched: &mut Vec<RuleId>| {
            let subject = Subject {
                packet,
                payload: look.direction.bytes(from..look.end),
                stream_offset: Some(from),
                events: StreamEvents::default(),
                app: look.app,
            };
            count += rules.len() as u64;
            let beyond = Beyond {
                flow: Some(flow),
                seat: Some(&mut *seat),
            };
            evaluator.evaluate(&subject, beyond, rules, matched);
        };
        if !near.is_empty() {
            on(look.start, near, matched);
            matched.sort_unstable();
        }
        let by_now = matched.len();
        far.retain(|&rule| {
            let seen = look.window.seen(rule);
            let near = matched.get(..by_now).unwrap_or_default();
            let open = near.binary_search(&rule).is_err();
            if open && seen > look.back {
                on(seen.min(look.end), &[rule], matched);
            }
            open && seen <= look.back
        });
        if !far.is_empty() {
            on(look.back, far, matched);
        }
        matched.sort_unstable();
        matched.dedup();
        count
    }
}
