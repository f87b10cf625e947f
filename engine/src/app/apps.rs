//! The application layers of all flows of a worker: where they are, what they hold together, what is counted.

use std::collections::{HashMap, VecDeque};

use super::flow::{AppFlow, AppId, FlowApp};
use super::output::{Expected, Output, Wants};
use super::proto::AppProto;
use super::recognise::{self, Guess, Ports};
use super::transaction::{Transaction, Way};
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

impl Told {
    pub(super) fn ports(&self) -> Ports {
        Ports {
            client: self.client.1,
            server: self.server.1,
        }
    }
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
    /// Flows that were not read, or not to their end, because all of them together held too much.
    pub no_room: u64,
    /// Most bytes that parsers and transactions held at a time.
    pub most_memory: u64,
}

/// The application layers of all flows of a worker.
pub(crate) struct Apps {
    pub(super) slots: Vec<Option<Box<AppFlow>>>,
    free: Vec<u32>,
    pub(super) wants: Wants,
    logs: bool,
    /// By who will listen, each with the number of its announcement.
    expected: HashMap<Endpoint, (u64, Expected)>,
    /// Announcements in their order; some were met, or made again.
    announced: VecDeque<(u64, Endpoint)>,
    announcements: u64,
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
            announced: VecDeque::new(),
            announcements: 0,
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

    /// The transaction at a place among those of a flow that are not over.
    pub(crate) fn transaction_mut(&mut self, id: AppId, at: usize) -> Option<&mut Transaction> {
        self.get_mut(id)?.output.live.get_mut(at)
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
            && let Some(expected) = self.take_expected(told)
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
        if data.is_empty() || flow.over && !revive(flow, way, data, told) {
            return false;
        }
        if flow.id == AppId::NONE {
            self.begin(flow, told);
        }
        self.with(flow, told.now_ns, |app, flow| app.data(flow, way, data))
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
        let share = self.share();
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
        let (held, memory) = (app.memory, app.memory());
        self.memory = (self.memory + memory).saturating_sub(held);
        app.memory = memory;
        self.counters.most_memory = self.counters.most_memory.max(self.memory as u64);
        if flow.proto != before
            && let Some(proto) = flow.proto
            && let Some(count) = self.counters.flows.get_mut(proto as usize)
        {
            *count += 1;
        }
        if std::mem::take(&mut app.output.failed) {
            self.counters.failed += 1;
            app.stop(flow);
        } else if self.memory > self.limit && memory > held.max(share) && !flow.over {
            self.counters.no_room += 1;
            app.stop(flow);
        }
        self.counters.dropped += std::mem::take(&mut app.output.dropped);
        let fresh = std::mem::take(&mut app.output.fresh);
        let expected = std::mem::take(&mut app.output.expected);
        expected.into_iter().for_each(|of| self.expect(of));
        if flow.over && !fresh {
            // Nothing that is known: floods of such flows are not to cost anything.
            self.release(flow);
        }
        fresh
    }

    /// What is new in a flow was looked at: what is over is forgotten.
    pub(crate) fn looked(&mut self, flow: &mut FlowApp) {
        let Some(app) = self.get_mut(flow.id) else {
            return;
        };
        if !app.looked() {
            return;
        }
        if flow.over && app.is_empty() {
            self.release(flow);
            return;
        }
        let (held, memory) = (app.memory, app.memory());
        app.memory = memory;
        self.memory = (self.memory + memory).saturating_sub(held);
    }

    /// What a flow may hold of the memory for all of them, when that is used up. Those that hold more give way when they
    /// grow, so that all of them never hold much more than twice as much.
    fn share(&self) -> usize {
        let flows = self.slots.len().saturating_sub(self.free.len());
        self.limit / flows.max(1)
    }

    /// Another connection was announced.
    pub(super) fn expect(&mut self, expected: Expected) {
        if self.announced.len() >= MOST_EXPECTED
            && let Some((number, server)) = self.announced.pop_front()
            && (self.expected.get(&server)).is_some_and(|(of, _)| *of == number)
        {
            self.expected.remove(&server);
            self.counters.dropped += 1;
        }
        self.announcements += 1;
        (self.announced).push_back((self.announcements, expected.server));
        (self.expected).insert(expected.server, (self.announcements, expected));
    }

    /// What this connection was announced as, once.
    fn take_expected(&mut self, told: &Told) -> Option<Expected> {
        let (_, expected) = self.expected.get(&told.server)?;
        if expected.client != told.client.0 {
            return None;
        }
        self.expected
            .remove(&told.server)
            .map(|(_, expected)| expected)
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

/// A flow of datagrams whose first ones were nothing that is known, until the other side says what it is.
fn revive(flow: &mut FlowApp, way: Way, data: &[u8], told: &Told) -> bool {
    let untold = flow.proto == Some(AppProto::Failed) && flow.found[way as usize].is_none();
    let known = || matches!(recognise::udp(way, data, told.ports()), Guess::Is(_));
    let revives = told.udp && untold && known();
    if revives {
        flow.over = false;
        flow.proto = None;
    }
    revives
}
