//! The application layer of each flow: finding the protocol, feeding its parser.

use std::collections::HashMap;

use super::parser::Parser;
use super::parser_for;
use super::proto::AppProto;
use super::recognise::{self, Guess, Ports};
use super::transaction::{Expected, Output, Transaction, Wants, Way};
use crate::flow::Endpoint;

/// As much is kept of a direction until the protocol is known; then it counts as unknown.
const EARLY: usize = 4096;

/// Connections that are expected at a time; the oldest gives way.
const MOST_EXPECTED: usize = 1024;

/// Where a flow's application layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppId(u32);

impl AppId {
    pub(crate) const NONE: Self = Self(u32::MAX);
}

impl Default for AppId {
    fn default() -> Self {
        Self::NONE
    }
}

/// What the flow table keeps of a flow's application layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FlowApp {
    /// What was found to the server, to the client; [`AppProto::Failed`] where nothing was.
    pub found: [Option<AppProto>; 2],
    /// What the flow is read as.
    pub proto: Option<AppProto>,
    /// What it was read as before that changed.
    pub original: Option<AppProto>,
    /// Rules about packets may see it: the other side has acknowledged what it was found in.
    pub(crate) visible: bool,
    /// Finding it is over, and rules have not looked at that, to the server, to the client.
    pub(crate) news: [bool; 2],
    /// What finding it found wrong, as a bit for each of [`FLOW_EVENTS`].
    pub(crate) events: u8,
    /// Nobody may look into its payload any more: it is encrypted.
    pub(crate) opaque: bool,
    /// Nothing more will be found.
    pub(crate) over: bool,
    #[serde(skip)]
    pub(crate) id: AppId,
}

/// Events of finding protocols.
pub const FLOW_EVENTS: &[&str] = &[
    "applayer_mismatch_protocol_both_directions",
    "applayer_wrong_direction_first_data",
    "applayer_detect_protocol_only_one_direction",
    "applayer_proto_detection_skipped",
    "applayer_no_tls_after_starttls",
    "applayer_unexpected_protocol",
];
pub(crate) const MISMATCH: u8 = 1;
pub(crate) const ONE_DIRECTION: u8 = 1 << 2;
pub(crate) const SKIPPED: u8 = 1 << 3;
pub(crate) const NO_TLS: u8 = 1 << 4;

impl FlowApp {
    /// What rules about packets see.
    pub fn seen(&self) -> Option<AppProto> {
        self.proto.filter(|_| self.visible)
    }
}

/// One flow's application layer.
pub(crate) struct AppFlow {
    parser: Option<Box<dyn Parser>>,
    /// The one before it, until rules have looked at what it found.
    past: Option<Box<dyn Parser>>,
    pub(crate) output: Output,
    /// What came before the protocol was known.
    early: [Vec<u8>; 2],
    /// Direction of the first data.
    first: Option<Way>,
    ended: [bool; 2],
    udp: bool,
    ports: Ports,
    /// STARTTLS: what follows must be this.
    demanded: Option<AppProto>,
    hint: u64,
    memory: usize,
}

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

    /// Which buffers anyone looks at.
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    /// From now on somebody looks at these buffers, and no others.
    pub(crate) fn change_wants(&mut self, wants: Wants) {
        self.wants = wants;
        for app in self.slots.iter_mut().flatten() {
            app.output.change_wants(wants);
        }
    }

    /// All transactions that are under way.
    pub(crate) fn transactions(&mut self) -> impl Iterator<Item = &mut Transaction> {
        let apps = self.slots.iter_mut().flatten();
        apps.flat_map(|app| &mut app.output.live)
    }

    fn begin(&mut self, flow: &mut FlowApp, told: &Told) {
        if self.memory >= self.limit {
            self.counters.no_room += 1;
            flow.over = true;
            return;
        }
        let mut app = Box::new(AppFlow {
            parser: None,
            past: None,
            output: Output {
                wants: self.wants,
                logs: self.logs,
                ends: Some((told.client, told.server)),
                ..Output::default()
            },
            early: Default::default(),
            first: None,
            ended: [false; 2],
            udp: told.udp,
            ports: Ports {
                client: told.client.1,
                server: told.server.1,
            },
            demanded: None,
            hint: 0,
            memory: 0,
        });
        if !self.expected.is_empty()
            && let Some(expected) = self.expected.remove(&told.server)
            && expected.client == told.client.0
        {
            app.hint = expected.hint;
            app.name(flow, expected.proto);
            flow.found = [Some(expected.proto); 2];
            flow.visible = true;
            if let Some(parser) = &mut app.parser {
                parser.announced(&expected.name);
            }
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
            app.past = app.parser.take();
            app.output.finish_all();
            flow.over = true;
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

impl AppFlow {
    fn data(&mut self, flow: &mut FlowApp, way: Way, data: &[u8]) {
        self.first.get_or_insert(way);
        if self.parser.is_some() {
            if flow.found[way as usize].is_none() {
                self.confirm(flow, way, data);
            }
            self.feed(flow, way, data);
            return;
        }
        if flow.proto.is_some() && self.demanded.is_none() && flow.proto != Some(AppProto::Failed) {
            // Known by name only.
            if flow.found[way as usize].is_none() {
                self.confirm(flow, way, data);
            }
            return;
        }
        let mut rest = data;
        let guess = if self.udp {
            recognise::udp(way, data, self.ports)
        } else {
            let early = &mut self.early[way as usize];
            let room = EARLY.saturating_sub(early.len()).min(data.len());
            let (kept, over) = data.split_at(room);
            early.extend_from_slice(kept);
            rest = over;
            match recognise::tcp(way, early, self.ports) {
                Guess::More if early.len() >= EARLY => Guess::Nothing,
                guess => guess,
            }
        };
        let found = &mut flow.found[way as usize];
        match guess {
            Guess::More => {}
            Guess::Is(proto) => {
                *found = Some(proto);
                flow.news[way as usize] = true;
                if self
                    .demanded
                    .take()
                    .is_some_and(|demanded| demanded != proto)
                {
                    flow.events |= NO_TLS;
                }
                self.name(flow, proto);
                self.start(flow, way, rest);
            }
            Guess::Nothing => {
                if found.is_none() {
                    *found = Some(AppProto::Failed);
                    flow.news[way as usize] = true;
                }
                let other = flow.found[way.other() as usize];
                let both = other == Some(AppProto::Failed);
                if both || self.udp || self.early[way as usize].len() >= EARLY {
                    self.give_up(flow);
                }
            }
        }
    }

    /// Neither direction is anything that is known.
    fn give_up(&mut self, flow: &mut FlowApp) {
        flow.proto.get_or_insert(AppProto::Failed);
        flow.over = true;
        self.early = Default::default();
    }

    /// The flow speaks this.
    fn name(&mut self, flow: &mut FlowApp, proto: AppProto) {
        flow.proto = Some(proto);
        flow.visible |= self.udp;
        self.parser = parser_for(proto, self.udp, self.hint);
    }

    /// Feeds a parser that was just made what came before.
    fn start(&mut self, flow: &mut FlowApp, way: Way, rest: &[u8]) {
        let early = std::mem::take(&mut self.early);
        let order = match self.first.unwrap_or(way) {
            Way::ToServer => Way::ALL,
            Way::ToClient => [Way::ToClient, Way::ToServer],
        };
        for of in order {
            let bytes = &early[of as usize];
            if !bytes.is_empty() {
                if of != way && flow.found[of as usize].is_none() {
                    self.confirm(flow, of, bytes);
                }
                self.feed(flow, of, bytes);
            }
        }
        if !rest.is_empty() {
            self.feed(flow, way, rest);
        }
        for of in order {
            if self.ended[of as usize]
                && let Some(parser) = &mut self.parser
            {
                parser.end(of, &mut self.output);
            }
        }
    }

    /// The first bytes of the other direction: are they of the same protocol?
    fn confirm(&mut self, flow: &mut FlowApp, way: Way, data: &[u8]) {
        let guess = if self.udp {
            recognise::udp(way, data, self.ports)
        } else {
            recognise::tcp(way, data, self.ports)
        };
        let found = match guess {
            Guess::Is(proto) => proto,
            Guess::Nothing => AppProto::Failed,
            Guess::More => return,
        };
        flow.found[way as usize] = Some(found);
        flow.news[way as usize] = true;
        if found == AppProto::Failed {
            flow.events |= ONE_DIRECTION;
        } else if flow.proto.is_some_and(|proto| proto != found) {
            flow.events |= MISMATCH;
        }
    }

    fn feed(&mut self, flow: &mut FlowApp, way: Way, data: &[u8]) {
        self.output.way = way;
        if let Some(parser) = &mut self.parser {
            parser.data(way, data, &mut self.output);
        }
        flow.opaque |= std::mem::take(&mut self.output.opaque);
        if let Some(name) = self.output.rename.take() {
            flow.proto = Some(name);
        }
        if let Some(next) = self.output.change.take() {
            flow.original = flow.original.or(flow.proto);
            self.past = self.parser.take();
            let told = std::mem::take(&mut self.output.told);
            self.early = Default::default();
            flow.found = [None; 2];
            flow.proto = None;
            self.first = None;
            match next {
                AppProto::Failed => {}
                AppProto::Tls => self.demanded = Some(AppProto::Tls),
                proto => {
                    flow.found = [Some(proto); 2];
                    self.name(flow, proto);
                    if let Some(parser) = self.parser.as_mut().filter(|_| !told.is_empty()) {
                        parser.announced(&told);
                    }
                }
            }
            let rest = std::mem::take(&mut self.output.rest);
            if !rest.is_empty() {
                self.data(flow, way, &rest);
            }
        }
    }

    fn gap(&mut self, flow: &mut FlowApp, way: Way, missing: Option<u64>) {
        self.output.way = way;
        match (&mut self.parser, missing) {
            (Some(parser), Some(missing)) => parser.gap_of(way, missing, &mut self.output),
            (Some(parser), None) => parser.gap(way, &mut self.output),
            (None, _) if flow.proto.is_none() => {
                flow.found[way as usize].get_or_insert(AppProto::Failed);
                flow.events |= SKIPPED;
                self.early[way as usize] = Vec::new();
                if flow.found.iter().all(Option::is_some) {
                    self.give_up(flow);
                }
            }
            (None, _) => {}
        }
    }

    fn end(&mut self, flow: &mut FlowApp, way: Way) {
        if std::mem::replace(&mut self.ended[way as usize], true) {
            return;
        }
        self.output.way = way;
        self.output.settle_events(way);
        if let Some(parser) = &mut self.parser {
            parser.end(way, &mut self.output);
        }
        if self.ended == [true; 2] && flow.proto.is_none() {
            self.give_up(flow);
        }
    }

    /// What EVE shows of a transaction.
    pub(crate) fn describe(&self, tx: u64) -> Option<(&'static str, serde_json::Value)> {
        let parsers = [self.parser.as_deref(), self.past.as_deref()];
        let mut parsers = parsers.into_iter().flatten();
        parsers.find_map(|parser| parser.describe(tx, &self.output))
    }

    /// What it shows beside that.
    pub(crate) fn describe_more(&self, tx: u64) -> Option<(&'static str, serde_json::Value)> {
        self.parser.as_ref()?.describe_more(tx, &self.output)
    }

    fn memory(&self) -> usize {
        let parser = self.parser.as_ref().map_or(0, |parser| parser.memory());
        parser
            + self.output.memory()
            + self.early.iter().map(Vec::capacity).sum::<usize>()
            + size_of::<Self>()
    }
}
