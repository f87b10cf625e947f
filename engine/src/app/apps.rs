//! The application layers of all flows of a worker: where they are, what they hold together, what is counted.

use std::collections::HashMap;

use super::flow::{AppFlow, AppId, FlowApp};
use super::output::{Expected, Output, Wants};
use super::proto::AppProto;
use super::transaction::Way;
use crate::flow::Endpoint;

/// Connections that are expected at a time; the oldest gives way.
const MOST_EXPECTED: usize = 1024;

/// What a flow is told of itself.
pub(crate) struct Told {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) udp: bool,
    pub(crate) now_ns: u64,
}

/// Counters of application layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppCounters {
    /// Flows by what they were found to speak, by [`AppProto`].
    pub flows: Vec<u64>,
    /// Transactions that were begun.
    pub transactions: u64,
    /// Flows whose parser gave up.
    pub failed: u64,
    /// Transactions that had to end early, and parts of them that found no room.
    pub dropped: u64,
    /// Flows that were not read, because all of them together held too much.
    pub no_room: u64,
    /// Most bytes that parsers and transactions held at a time.
    pub most_memory: u64,
}

/// The application layers of all flows of a worker.
pub(crate) struct Apps {
    slots: Vec<Option<Box<AppFlow>>>,
    free: Vec<u32>,
    wants: Wants,
    logs: bool,
    expected: HashMap<Endpoint, Expected>,
    /// Bytes that all of them hold, and may.
    memory: usize,
    limit: usize,
    pub(crate) counters: AppCounters,
}

impl Apps {
    pub(crate) fn new(wants: Wants, logs: bool, limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            wants,
            logs,
            expected: HashMap::new(),
            memory: 0,
            limit,
            counters: AppCounters {
                flows: vec![0; AppProto::ALL.len()],
                ..AppCounters::default()
            },
        }
    }

    pub(crate) fn get(&self, id: AppId) -> Option<&AppFlow> {
        self.slots.get(id.0 as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: AppId) -> Option<&mut AppFlow> {
        self.slots.get_mut(id.0 as usize)?.as_deref_mut()
    }

    fn begin(&mut self, flow: &mut FlowApp, told: &Told) {
        if self.memory >= self.limit {
            self.counters.no_room += 1;
            flow.over = true;
            return;
        }
        let output = Output {
            wants: self.wants,
            logs: self.logs,
            ends: Some((told.client, told.server)),
            ..Output::default()
        };
        let mut app = Box::new(AppFlow::new(output, told));
        if !self.expected.is_empty()
            && let Some(expected) = self.expected.remove(&told.server)
            && expected.client == told.client.0
        {
            app.announced(flow, &expected);
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(slot) = self.slots.get_mut(id as usize) {
            *slot = Some(app);
        }
        flow.id = AppId(id);
    }

    /// Takes bytes of one direction of a flow; true when there is something to look at.
    pub(crate) fn data(&mut self, flow: &mut FlowApp, way: Way, data: &[u8], told: &Told) -> bool {
        if flow.over || data.is_empty() {
            return false;
        }
        if flow.id == AppId::NONE {
            self.begin(flow, told);
        }
        let fresh = self.with(flow, told.now_ns, |app, flow| app.data(flow, way, data));
        if flow.over && !fresh {
            // Nothing that is known: floods of such flows are not to cost anything.
            self.release(flow);
        }
        fresh
    }

    /// Bytes are missing: so many, where it is known.
    pub(crate) fn gap(
        &mut self,
        flow: &mut FlowApp,
        way: Way,
        missing: Option<u64>,
        now_ns: u64,
    ) -> bool {
        self.with(flow, now_ns, |app, flow| app.gap(flow, way, missing))
    }

    /// Nothing more comes in one direction.
    pub(crate) fn end(&mut self, flow: &mut FlowApp, way: Way, now_ns: u64) -> bool {
        self.with(flow, now_ns, |app, flow| app.end(flow, way))
    }

    fn with(
        &mut self,
        flow: &mut FlowApp,
        now_ns: u64,
        act: impl FnOnce(&mut AppFlow, &mut FlowApp),
    ) -> bool {
        let before = flow.proto;
        let Some(app) = self
            .slots
            .get_mut(flow.id.0 as usize)
            .and_then(Option::as_deref_mut)
        else {
            return false;
        };
        app.output.now_ns = now_ns;
        let begun = app.output.begun();
        act(app, flow);
        app.output.crowd();
        self.counters.transactions += app.output.begun() - begun;
        let memory = app.memory();
        self.memory = (self.memory + memory).saturating_sub(app.memory);
        app.memory = memory;
        self.counters.most_memory = self.counters.most_memory.max(self.memory as u64);
        if flow.proto != before
            && let Some(proto) = flow.proto
            && let Some(count) = self.counters.flows.get_mut(proto as usize)
        {
            *count += 1;
        }
        self.counters.dropped += std::mem::take(&mut app.output.dropped);
        if std::mem::take(&mut app.output.failed) {
            self.counters.failed += 1;
            app.stop(flow);
        }
        for expected in app.output.expected.drain(..) {
            if self.expected.len() >= MOST_EXPECTED {
                self.expected.clear();
            }
            self.expected.insert(expected.server, expected);
        }
        std::mem::take(&mut app.output.fresh)
    }

    /// The flow is over, or nothing more will be found in it.
    pub(crate) fn release(&mut self, flow: &mut FlowApp) {
        let id = std::mem::take(&mut flow.id);
        if let Some(app) = self.slots.get_mut(id.0 as usize).and_then(Option::take) {
            self.memory = self.memory.saturating_sub(app.memory);
            self.free.push(id.0);
        }
    }
}
