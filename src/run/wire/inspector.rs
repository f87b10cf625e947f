//! An engine behind ports.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use weir_engine::detect::{Engine, Successor};
use weir_engine::packet::{Frame, Interface, LinkType};
use weir_engine::plan::RejectTo;
use weir_xdp::worker::{Inspect, Received, Verdict};

use super::gather::{Slot, Voice};
use super::orders::Orders;
use crate::run::pipeline::wrong_checksums;
use crate::run::workers::changes::Changed;

/// How often time passes for flows without packets.
const TICK: Duration = Duration::from_millis(100);

/// After so many of those it is looked whether checksums are right.
const LOOK: u32 = 10;

/// Fewer packets with wrong checksums say nothing.
const ENOUGH: u64 = 10;

/// What inspects the frames of a worker.
pub struct Inspector<'a, 'l> {
    pub engine: &'a mut Engine,
    pub voice: &'a mut Voice<'l>,
    /// Other rules, to be taken up between two batches.
    pub next: &'a Slot<Successor>,
    pub orders: Orders<'a>,
    /// From when a batch was received to when it was decided, nanoseconds, once for each frame.
    pub latency: &'a mut Histogram<u64>,
    /// When time passed last.
    ticked: Instant,
    /// How often time has passed.
    ticks: u32,
    /// What is wrong with checksums has been said.
    said: bool,
}

impl<'a, 'l> Inspector<'a, 'l> {
    pub fn new(
        engine: &'a mut Engine,
        voice: &'a mut Voice<'l>,
        next: &'a Slot<Successor>,
        orders: Orders<'a>,
        latency: &'a mut Histogram<u64>,
    ) -> Self {
        Self {
            engine,
            voice,
            next,
            orders,
            latency,
            ticked: Instant::now(),
            ticks: 0,
            said: false,
        }
    }

    /// Goes on with other rules, if there are any.
    fn change(&mut self) {
        if let Some(successor) = self.next.take() {
            let changed = Changed::of(self.engine, successor, &mut self.voice.events);
            self.voice.changed(changed);
        }
    }

    fn tick(&mut self, now: Instant, now_ns: u64) {
        if now.duration_since(self.ticked) >= TICK {
            self.ticked = now;
            self.engine.tick(0, now_ns, &mut self.voice.events);
            self.ticks = self.ticks.wrapping_add(1);
            if !self.said && self.ticks.is_multiple_of(LOOK) {
                self.look_at_checksums();
            }
        }
    }

    /// Who drops a host's packets because nobody makes their checksums must say so at once, and not when the run ends.
    fn look_at_checksums(&mut self) {
        if !self.engine.is_inline() {
            return;
        }
        let decoder = self.engine.counters().decoder;
        let wrong = decoder.bad_checksums;
        let many = Some(wrong).filter(|&wrong| wrong >= ENOUGH);
        let warning = many.and_then(|wrong| wrong_checksums(wrong, decoder.frames, true));
        if let Some(warning) = warning {
            self.said = true;
            tracing::warn!("{warning}");
        }
    }
}

/// A frame as the engine takes it.
fn frame<'f>(received: &Received<'f>) -> Frame<'f> {
    Frame {
        ts_ns: received.ts_ns,
        number: 0,
        link: LinkType::ETHERNET,
        data: received.data,
        wire_len: u32::try_from(received.data.len()).unwrap_or(u32::MAX),
        iface: Interface::at(received.port),
    }
}

impl Inspect for Inspector<'_, '_> {
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
        let start = Instant::now();
        self.change();
        self.engine.profile().skip();
        if self.engine.runs_ahead() {
            frames
                .iter()
                .for_each(|received| self.engine.ahead(frame(received)));
            self.engine.flush();
        }
        for (received, verdict) in frames.iter().zip(verdicts) {
            let said = self.engine.process(frame(received), &mut self.voice.events);
            *verdict = match (said.drop, said.reject) {
                (true, Some(to)) => Verdict::Reject {
                    to_source: to != RejectTo::Destination,
                    to_destination: to != RejectTo::Source,
                },
                (true, None) => Verdict::Drop,
                (false, _) => Verdict::Pass,
            };
            if let Some(flow) = said.flow {
                self.orders.add(received.port, &flow);
            }
        }
        self.voice.speak(frames.len() as u64);
        let now = Instant::now();
        let took = u64::try_from(now.duration_since(start).as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record_n(took, frames.len() as u64);
        if let Some(last) = frames.last() {
            self.tick(now, last.ts_ns);
        }
    }

    fn settled(&mut self) {
        self.orders.give();
    }

    fn idle(&mut self, now_ns: u64) {
        self.change();
        self.tick(Instant::now(), now_ns);
        self.voice.speak(0);
    }
}
