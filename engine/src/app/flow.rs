//! The application layer of a flow: finding the protocol, feeding its parser.

use super::apps::Told;
use super::output::{Expected, Output};
use super::parser::Parser;
use super::parser_for;
use super::proto::{AppProto, AppSet};
use super::recognise::{self, Guess, Ports};
use super::transaction::{Transaction, Way};

/// As much is kept of a direction until the protocol is known; then it counts as unknown.
const EARLY: usize = 4096;

/// Where a flow's application layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppId(pub(super) u32);

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
    /// Bytes that it held when that was last asked.
    pub(super) memory: usize,
}

impl AppFlow {
    pub(super) fn new(output: Output, told: &Told) -> Self {
        Self {
            parser: None,
            past: None,
            output,
            early: Default::default(),
            first: None,
            ended: [false; 2],
            udp: told.udp,
            ports: told.ports(),
            demanded: None,
            hint: 0,
            memory: 0,
        }
    }

    /// The connection was announced in another one: what it speaks is known.
    pub(super) fn announced(&mut self, flow: &mut FlowApp, expected: &Expected) {
        self.hint = expected.hint;
        self.name(flow, expected.proto);
        flow.found = [Some(expected.proto); 2];
        flow.visible = true;
        if let Some(parser) = &mut self.parser {
            parser.announced(&expected.name);
        }
    }

    /// The parser gets no more data: what it has found is all.
    pub(super) fn stop(&mut self, flow: &mut FlowApp) {
        self.past = self.parser.take();
        self.output.finish_all();
        flow.over = true;
    }

    pub(super) fn data(&mut self, flow: &mut FlowApp, way: Way, data: &[u8]) {
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
        let (guess, kept) = self.guess(way, data);
        let rest = data.get(kept..).unwrap_or_default();
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
                self.go_on(flow, of, bytes);
            }
        }
        if !rest.is_empty() {
            self.go_on(flow, way, rest);
        }
        for of in order {
            if self.ended[of as usize]
                && let Some(parser) = &mut self.parser
            {
                parser.end(of, &mut self.output);
            }
        }
    }

    /// Feeds the parser, or, where that has just ended, finds out what follows it.
    fn go_on(&mut self, flow: &mut FlowApp, way: Way, bytes: &[u8]) {
        if self.parser.is_some() {
            self.feed(flow, way, bytes);
        } else if !flow.over {
            self.data(flow, way, bytes);
        }
    }

    /// What a direction begins with, where `data` is what came last of it; and how much of that is kept.
    fn guess(&mut self, way: Way, data: &[u8]) -> (Guess, usize) {
        if self.udp {
            return (recognise::udp(way, data, self.ports), 0);
        }
        let early = &mut self.early[way as usize];
        let kept = EARLY.saturating_sub(early.len()).min(data.len());
        early.extend_from_slice(data.get(..kept).unwrap_or_default());
        let guess = match recognise::tcp(way, early, self.ports) {
            Guess::More if early.len() >= EARLY => Guess::Nothing,
            guess => guess,
        };
        (guess, kept)
    }

    /// The first bytes of the other direction: are they of the same protocol?
    fn confirm(&mut self, flow: &mut FlowApp, way: Way, data: &[u8]) {
        let (guess, _) = self.guess(way, data);
        let found = match guess {
            Guess::Is(proto) => proto,
            Guess::Nothing => AppProto::Failed,
            Guess::More => return,
        };
        self.early[way as usize] = Vec::new();
        flow.found[way as usize] = Some(found);
        flow.news[way as usize] = true;
        if found == AppProto::Failed {
            flow.events |= ONE_DIRECTION;
        } else if (flow.proto).is_some_and(|proto| !AppSet::of(&[found]).with_carriers().has(proto))
        {
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
            // What was said before is looked at as what it was.
            for tx in &mut self.output.live {
                tx.past = tx.past.or(flow.proto);
            }
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
            for (way, rest) in Way::ALL
                .into_iter()
                .zip(std::mem::take(&mut self.output.rest))
            {
                if !rest.is_empty() && !flow.over {
                    self.data(flow, way, &rest);
                }
            }
        }
    }

    pub(super) fn gap(&mut self, flow: &mut FlowApp, way: Way, missing: Option<u64>) {
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

    pub(super) fn end(&mut self, flow: &mut FlowApp, way: Way) {
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

    /// The parsers that may know a transaction.
    fn parsers_of(&self, tx: u64) -> impl Iterator<Item = &dyn Parser> {
        let is_past = |tx: &Transaction| tx.past.is_some();
        let past = self.output.get(tx).is_some_and(is_past);
        let now = self.parser.as_deref().filter(|_| !past);
        [now, self.past.as_deref()].into_iter().flatten()
    }

    /// What EVE shows of a transaction.
    pub(crate) fn describe(&self, tx: u64) -> Option<(&'static str, serde_json::Value)> {
        let mut parsers = self.parsers_of(tx);
        parsers.find_map(|parser| parser.describe(tx, &self.output))
    }

    /// What it shows beside that.
    pub(crate) fn describe_more(&self, tx: u64) -> Option<(&'static str, serde_json::Value)> {
        let mut parsers = self.parsers_of(tx);
        parsers.find_map(|parser| parser.describe_more(tx, &self.output))
    }

    /// What is new was looked at: forgets what is over. True when anything was forgotten.
    pub(super) fn looked(&mut self) -> bool {
        let before = (self.output.live.len(), self.past.is_some());
        self.output.sweep();
        let live = &self.output.live;
        if self.parser.is_some() && live.iter().all(|tx| tx.past.is_none()) || live.is_empty() {
            self.past = None;
        }
        before != (live.len(), self.past.is_some())
    }

    /// Nothing is left to be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.output.live.is_empty()
    }

    /// Bytes that it holds.
    pub(super) fn memory(&self) -> usize {
        let parsers = [&self.parser, &self.past].into_iter().flatten();
        parsers.map(|parser| parser.memory()).sum::<usize>()
            + self.output.memory()
            + self.early.iter().map(Vec::capacity).sum::<usize>()
            + size_of::<Self>()
    }
}
