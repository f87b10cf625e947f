//! The streams of all connections of a worker, and the memory that they share.

use std::net::IpAddr;

use super::direction::{Arrival, Direction, Limits, Refusal};
use super::policy::StreamPolicy;
use super::pool::Pool;
use super::window::Window;
use crate::flow::StreamFacts;
use crate::plan::{AddrSet, RuleId};

/// How streams are put together, and how much may be kept for it.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Policy for hosts that `hosts` does not name.
    pub policy: StreamPolicy,
    /// Policies by the receiver's address; the first set that has the address decides.
    pub hosts: Vec<(AddrSet, StreamPolicy)>,
    /// Bytes of each direction that are put together; what comes after them is inspected packet by packet. 0: all.
    pub depth: u64,
    /// Bytes of a window, and as many before it that can be looked at together with it: 64 to
    /// [`StreamConfig::MOST_WINDOW`].
    pub window: u32,
    /// Most bytes that wait behind a gap, in each direction.
    pub waiting: usize,
    /// Most bytes kept for all streams of this worker.
    pub memory: usize,
    /// Verdicts are carried out. Then of data that comes twice the first counts whatever the policy, because it has been
    /// passed on, and is kept until its receiver has it.
    pub inline: bool,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            policy: StreamPolicy::default(),
            hosts: Vec::new(),
            depth: 1 << 20,
            window: 2560,
            waiting: 1 << 20,
            memory: 128 << 20,
            inline: false,
        }
    }
}

/// What streams counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCounters {
    /// Connections with data.
    pub streams: u64,
    /// Segments that were put into a stream.
    pub segments: u64,
    /// Segments that came out of order, overlapped others, or repeated them.
    pub disordered: u64,
    /// Segments whose bytes differ from what came for the same place before.
    pub different: u64,
    /// Gaps that were given up.
    pub gaps: u64,
    /// Segments that could not be put into a stream for want of room, and were inspected by themselves.
    pub no_room: u64,
    /// Connections whose streams gave way to others, or one of whose streams gave way to its own next bytes.
    pub evicted: u64,
    /// Segments beyond the depth, inspected by themselves.
    pub beyond_depth: u64,
    /// Rules that were decided before the end of a window, because too many waited for it.
    pub forgotten: u64,
    /// Windows that ended.
    pub windows: u64,
    /// Bytes kept now.
    pub bytes: u64,
    /// Most bytes kept at one time.
    pub peak_bytes: u64,
}

/// The streams of a connection, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamId(u32);

impl StreamId {
    /// No streams yet.
    pub(crate) const NONE: Self = Self(u32::MAX);
    /// Streams that had to give way: what comes begins anew.
    pub(crate) const LOST: Self = Self(u32::MAX - 1);
}

impl Default for StreamId {
    fn default() -> Self {
        Self::NONE
    }
}

/// Both directions of one connection: to the server, to the client.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(super) directions: [Direction; 2],
    pub(crate) windows: [Window; 2],
    policies: [StreamPolicy; 2],
    /// The direction that spoke last.
    pub(crate) turn: u8,
    /// The streams begin somewhere in the middle, because earlier ones gave way.
    pub(crate) restarted: bool,
    /// Bytes of its lists that are counted among what is out.
    charged: usize,
    /// Place of its flow in the flow table.
    flow: u32,
    /// [`Streams::clock`] when it was used last.
    used: u32,
    live: bool,
}

/// How many connections are looked at to find one that has not been used for long.
const LOOKED_AT: usize = 8;

/// One part in so many is not handed out: what the allocator cannot use again, because pieces of memory that are free lie
/// between others. The worst that `weir bench flood --only sizes` found took a fifth more than was handed out.
const FRAGMENTED: usize = 6;

/// What a place for a connection takes, its place in the list of those that are free included.
const PLACE_COST: usize = size_of::<Connection>() + 2 * size_of::<u32>();

impl Connection {
    /// Bytes of its lists.
    fn lists(&self) -> usize {
        let directions = self.directions.iter().map(Direction::lists);
        directions.sum::<usize>() + self.windows.iter().map(Window::bytes).sum::<usize>()
    }
}

/// All streams of a worker.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(super) config: StreamConfig,
    pub(super) pool: Pool,
    connections: Vec<Connection>,
    free: Vec<u32>,
    /// Where the search for a connection that gives way goes on.
    hand: usize,
    /// Segments so far; it goes round.
    clock: u32,
    pub(crate) counters: StreamCounters,
}

impl Streams {
    pub(crate) fn new(config: StreamConfig) -> Self {
        let config = StreamConfig {
            depth: if config.depth == 0 {
                u64::MAX
            } else {
                config.depth
            },
            window: config.window.clamp(64, StreamConfig::MOST_WINDOW),
            ..config
        };
        Self {
            pool: Pool::new(config.memory - config.memory / FRAGMENTED),
            config,
            connections: Vec::new(),
            free: Vec::new(),
            hand: 0,
            clock: 0,
            counters: StreamCounters::default(),
        }
    }

    /// What has been counted so far.
    pub(crate) fn counters(&self) -> StreamCounters {
        StreamCounters {
            bytes: self.pool.used() as u64,
            ..self.counters
        }
    }

    /// Bytes of a window.
    pub(crate) fn window(&self) -> u64 {
        self.config.window.into()
    }

    /// Rules that wait have been looked at up to the end of the window, as [`Window::looked`] says.
    pub(crate) fn have_looked(&mut self, id: StreamId, way: usize, end: u64, patience: u64) {
        if let Some((_, window, _)) = self.side(id, way) {
            window.looked(end, patience);
        }
    }

    /// The streams of a connection between a client and a server; `None` for want of room.
    pub(crate) fn begin(&mut self, flow: u32, client: IpAddr, server: IpAddr) -> Option<StreamId> {
        let begun = self.place(flow, client, server);
        self.counters.streams += u64::from(begun.is_some());
        begun
    }

    /// A place for the streams of a connection.
    pub(super) fn place(&mut self, flow: u32, client: IpAddr, server: IpAddr) -> Option<StreamId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                // Places are used again, and never given back.
                if !self.pool.set_aside(PLACE_COST) {
                    return None;
                }
                self.connections.push(Connection::default());
                u32::try_from(self.connections.len() - 1).ok()?
            }
        };
        let policies = [server, client].map(|receiver| self.policy_of(receiver));
        let connection = self.connections.get_mut(id as usize)?;
        *connection = Connection {
            policies,
            flow,
            used: self.clock,
            live: true,
            ..Connection::default()
        };
        Some(StreamId(id))
    }

    /// Counts what the lists of a connection take, after they may have grown.
    pub(super) fn account(&mut self, id: StreamId) {
        let Self {
            pool, connections, ..
        } = self;
        if let Some(connection) = connections.get_mut(id.0 as usize).filter(|c| c.live) {
            let lists = connection.lists();
            pool.refund(connection.charged);
            pool.charge(lists);
            connection.charged = lists;
        }
    }

    /// True when more is kept than may be: connections have to give way.
    pub(crate) fn is_over(&self) -> bool {
        self.pool.is_over()
    }

    fn policy_of(&self, receiver: IpAddr) -> StreamPolicy {
        let of_hosts = self
            .config
            .hosts
            .iter()
            .find(|(set, _)| set.contains(receiver));
        of_hosts.map_or(self.config.policy, |(_, policy)| *policy)
    }

    /// The connection, while it has streams.
    pub(crate) fn get(&self, id: StreamId) -> Option<&Connection> {
        let connection = self.connections.get(id.0 as usize)?;
        connection.live.then_some(connection)
    }

    /// The connection, while it has streams.
    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(id.0 as usize)?;
        connection.live.then_some(connection)
    }

    /// One direction of a connection.
    pub(crate) fn direction(&self, id: StreamId, way: usize) -> Option<&Direction> {
        self.get(id)?.directions.get(way)
    }

    /// What the record of the connection's flow says of its streams.
    pub(crate) fn facts(&self, id: StreamId) -> Option<StreamFacts> {
        let [to_server, to_client] = self.get(id)?.directions.each_ref().map(Direction::facts);
        Some(StreamFacts {
            gap: [to_server.0, to_client.0],
            max_regions: [to_server.1, to_client.1],
            urgent: [to_server.2, to_client.2],
        })
    }

    /// Why a segment must not go on, where verdicts are carried out.
    pub(crate) fn refuses(
        &self,
        id: StreamId,
        way: usize,
        acked: Option<u32>,
        seq: u32,
        payload: &[u8],
    ) -> Option<Refusal> {
        let limits = self.config.limits(StreamPolicy::default());
        let direction = self.direction(id, way)?;
        direction.refuses(seq, payload, acked, &limits)
    }

    /// Puts a segment into its stream. `first`: sequence number of the stream's first byte, where it is known; `acked`: what
    /// the other end waits for, likewise.
    pub(crate) fn insert(
        &mut self,
        id: StreamId,
        way: usize,
        (first, acked): (Option<u32>, Option<u32>),
        seq: u32,
        payload: &[u8],
    ) -> Option<Arrival> {
        let Self {
            config,
            pool,
            connections,
            counters,
            clock,
            ..
        } = self;
        let connection = connections.get_mut(id.0 as usize).filter(|c| c.live)?;
        *clock = clock.wrapping_add(1);
        connection.used = *clock;
        let limits = config.limits(*connection.policies.get(way)?);
        let keep = (connection.windows.get(way)?.start()).saturating_sub(config.window.into());
        let direction = connection.directions.get_mut(way)?;
        if let Some(first) = first {
            direction.begin(first);
        }
        let keep = match acked.filter(|_| limits.inline) {
            Some(acked) => direction.keep_unacked(keep, acked),
            None => keep,
        };
        let arrival = direction.insert(seq, payload, keep, &limits, pool);
        counters.segments += u64::from(arrival.added);
        counters.disordered += u64::from(arrival.added && !arrival.whole);
        counters.different += u64::from(arrival.differs);
        counters.peak_bytes = counters.peak_bytes.max(pool.used() as u64);
        if !arrival.whole {
            self.account(id);
        }
        Some(arrival)
    }

    /// The byte with this sequence number is out of band: it is no part of the stream.
    pub(crate) fn leave_out(&mut self, id: StreamId, way: usize, first: Option<u32>, seq: u32) {
        if let Some(connection) = self.get_mut(id)
            && let Some(direction) = connection.directions.get_mut(way)
        {
            direction.begin(first.unwrap_or(seq));
            direction.leave_out(seq);
        }
    }

    /// What a direction had is no part of its stream: it begins anew.
    pub(crate) fn rewind(&mut self, id: StreamId, way: usize) {
        if let Some((direction, window, pool)) = self.side(id, way) {
            direction.release(pool);
            *direction = Direction::default();
            window.restart(0);
        }
    }

    /// Takes the latest segment of a direction back, behind this offset: it is dropped. False when what came before it is not
    /// known any more.
    pub(crate) fn take_back(&mut self, id: StreamId, way: usize, from: u64) -> bool {
        let Some((direction, window, pool)) = self.side(id, way) else {
            return true;
        };
        let whole = direction.take_back(from, pool);
        window.take_back(from);
        self.account(id);
        whole
    }

    /// Gives up the gap before what waits; what became contiguous.
    pub(crate) fn skip_gap(&mut self, id: StreamId, way: usize) -> std::ops::Range<u64> {
        let back = u64::from(self.config.window);
        let Some((direction, window, pool)) = self.side(id, way) else {
            return 0..0;
        };
        let fresh = direction.skip_gap(window.start().saturating_sub(back), pool);
        self.counters.gaps += 1;
        self.account(id);
        fresh
    }

    /// Takes in more of what waits for nothing but room in the buffer; what became contiguous.
    pub(crate) fn go_on(&mut self, id: StreamId, way: usize) -> std::ops::Range<u64> {
        let back = u64::from(self.config.window);
        match self.side(id, way) {
            Some((direction, window, pool)) if direction.waits() => {
                direction.go_on(window.start().saturating_sub(back), pool)
            }
            _ => 0..0,
        }
    }

    /// A direction gives back all that it keeps, and goes on with a new window. What waits there is to be decided before.
    pub(crate) fn give_way(&mut self, id: StreamId, way: usize) {
        self.counters.evicted += 1;
        if let Some((direction, window, pool)) = self.side(id, way) {
            direction.release(pool);
            window.restart(direction.next());
        }
    }

    /// True when nothing more can be put behind this direction's gap.
    pub(crate) fn overfull(&self, id: StreamId, way: usize) -> bool {
        let limits = self.config.limits(StreamPolicy::default());
        self.direction(id, way)
            .is_some_and(|direction| direction.overfull(&limits))
    }

    /// True when the direction has come to its depth.
    pub(crate) fn ended(&self, id: StreamId, way: usize) -> bool {
        self.direction(id, way)
            .is_some_and(|direction| direction.next() >= self.config.depth)
    }

    /// A segment could not be kept: the stream goes on behind it, with a new window.
    pub(crate) fn pass_over(&mut self, id: StreamId, way: usize, seq: u32, length: usize) {
        self.counters.no_room += 1;
        if let Some(connection) = self.get_mut(id)
            && let (Some(direction), Some(window)) = (
                connection.directions.get_mut(way),
                connection.windows.get_mut(way),
            )
        {
            direction.pass_over(seq, length);
            window.restart(direction.next());
        }
    }

    /// One direction of a connection with its window, and the pool that its buffers are of.
    fn side(
        &mut self,
        id: StreamId,
        way: usize,
    ) -> Option<(&mut Direction, &mut Window, &mut Pool)> {
        let connection = self.connections.get_mut(id.0 as usize).filter(|c| c.live)?;
        let direction = connection.directions.get_mut(way)?;
        Some((direction, connection.windows.get_mut(way)?, &mut self.pool))
    }

    /// How many bytes of a direction, which begins at `first`, its receiver has acknowledged that have not been seen.
    pub(crate) fn missed(
        &mut self,
        id: StreamId,
        way: usize,
        first: Option<u32>,
        acked: u32,
    ) -> u64 {
        let Some((direction, ..)) = self.side(id, way) else {
            return 0;
        };
        if let Some(first) = first {
            direction.begin(first);
        }
        let missed = direction.behind(acked);
        // Beyond the depth nothing is put together.
        if self.ended(id, way) { 0 } else { missed }
    }

    /// The stream goes on at this sequence number, with a new window.
    pub(crate) fn catch_up(&mut self, id: StreamId, way: usize, seq: u32) {
        if let Some((direction, window, _)) = self.side(id, way) {
            direction.pass_over(seq, 0);
            window.restart(direction.next());
        }
        self.counters.gaps += 1;
    }

    /// Where the window at hand ends at the latest.
    pub(crate) fn window_end(&self, id: StreamId, way: usize) -> Option<u64> {
        let window = self.get(id)?.windows.get(way)?;
        Some(window.start() + u64::from(self.config.window))
    }

    /// Rules, in order, one of whose probes occurs before `end`, wait for the end of the window.
    pub(crate) fn wait_for_window(&mut self, id: StreamId, way: usize, rules: &[RuleId], end: u64) {
        let Some((_, window, _)) = self.side(id, way) else {
            return;
        };
        let forgotten = window.add(rules, end);
        self.counters.forgotten += forgotten;
        self.account(id);
    }

    /// True when so many more rules are more than may wait for the end of the window at hand.
    pub(crate) fn crowded(&self, id: StreamId, way: usize, more: usize) -> bool {
        let window = self
            .get(id)
            .and_then(|connection| connection.windows.get(way));
        window.is_some_and(|window| window.crowded(more))
    }

    /// Rules that wait, and have been decided as far as could be, are forgotten to make room for others.
    pub(crate) fn forget(&mut self, id: StreamId, way: usize) {
        if let Some((_, window, _)) = self.side(id, way) {
            let forgotten = window.forget();
            self.counters.forgotten += forgotten;
        }
    }

    /// Rules, in order, have matched in the window at hand.
    pub(crate) fn have_matched(&mut self, id: StreamId, way: usize, rules: &[RuleId]) {
        if let Some((_, window, _)) = self.side(id, way) {
            window.matched(rules);
            self.account(id);
        }
    }

    /// Gives the rules that wait for windows, and those that have matched in them, other numbers. `waits` is told the place
    /// of the flow and the direction.
    pub(crate) fn renumber(
        &mut self,
        waits: &mut dyn FnMut(u32, usize, RuleId) -> Option<RuleId>,
        matched: &dyn Fn(RuleId) -> Option<RuleId>,
    ) {
        for connection in self.connections.iter_mut().filter(|c| c.live) {
            let flow = connection.flow;
            for (way, window) in connection.windows.iter_mut().enumerate() {
                window.renumber(&mut |rule| waits(flow, way, rule), matched);
            }
        }
    }

    /// Offset of the next byte of a direction: the end of what is contiguous.
    pub(crate) fn end_of(&self, id: StreamId, way: usize) -> Option<u64> {
        self.direction(id, way).map(Direction::next)
    }

    /// Ends the window at hand at `end`, where the next one begins. Returns from where on bytes could be looked at in it.
    pub(crate) fn close_window(&mut self, id: StreamId, way: usize, end: u64) -> u64 {
        let span = u64::from(self.config.window);
        self.counters.windows += 1;
        let Some((direction, window, _)) = self.side(id, way) else {
            return end;
        };
        let back = window.start().saturating_sub(span).max(direction.base());
        window.close(end, end.saturating_sub(span));
        back
    }

    /// Begins a window at an offset, with nothing from before.
    pub(crate) fn restart_window(&mut self, id: StreamId, way: usize, at: u64) {
        if let Some((_, window, _)) = self.side(id, way) {
            window.restart(at);
        }
    }

    /// True when no rule waits for the end of the window at hand.
    pub(crate) fn quiet(&self, id: StreamId, way: usize) -> bool {
        let window = self
            .get(id)
            .and_then(|connection| connection.windows.get(way));
        window.is_none_or(Window::idle)
    }

    /// A connection that has not been used for long, other than `than`, and its flow's place: it has to give way. Hands
    /// go round, and of where they stand it is the one whose last use is longest ago. To have the very oldest, every
    /// segment would have to touch two more connections; a mark for those used since the hand went by, which is cheaper
    /// still, says nothing in a flood, when all or none have it.
    pub(crate) fn oldest(&mut self, than: StreamId) -> Option<(StreamId, u32)> {
        let count = self.connections.len();
        let mut oldest: Option<(u32, StreamId, u32)> = None;
        let mut seen = 0;
        for turn in 0..count {
            self.hand = (self.hand + 1) % count;
            for part in 0..LOOKED_AT {
                // Far from each other, because those side by side have often come together.
                let at = (self.hand + part * count / LOOKED_AT) % count;
                let connection = self.connections.get(at)?;
                if !connection.live || at == than.0 as usize {
                    continue;
                }
                seen += 1;
                let age = self.clock.wrapping_sub(connection.used);
                if oldest.is_none_or(|(known, ..)| age > known) {
                    oldest = Some((age, StreamId(at as u32), connection.flow));
                }
            }
            // Where most places are free, one alone is no choice.
            if seen >= LOOKED_AT || seen > 0 && turn >= 2 * LOOKED_AT {
                break;
            }
        }
        oldest.map(|(_, id, flow)| (id, flow))
    }

    /// True when it was used lately, as far as the next process has to know.
    pub(super) fn was_used(&self, connection: &Connection) -> bool {
        let age = self.clock.wrapping_sub(connection.used);
        usize::try_from(age).is_ok_and(|age| age <= self.connections.len().max(1 << 16))
    }

    /// Says whether it was used lately.
    pub(super) fn set_used(&mut self, id: StreamId, lately: bool) {
        let ago = if lately { 0 } else { u32::MAX / 2 };
        let used = self.clock.wrapping_sub(ago);
        if let Some(connection) = self.get_mut(id) {
            connection.used = used;
        }
    }

    /// Ends the streams of a connection and gives back what they have.
    pub(crate) fn end(&mut self, id: StreamId) {
        let Some(connection) = self.connections.get_mut(id.0 as usize).filter(|c| c.live) else {
            return;
        };
        for direction in &mut connection.directions {
            direction.release(&mut self.pool);
        }
        self.pool.refund(connection.charged);
        *connection = Connection::default();
        self.free.push(id.0);
    }
}

impl StreamConfig {
    /// The largest window. With what is before it and a segment, it fits into one buffer.
    pub const MOST_WINDOW: u32 = 1 << 16;

    fn limits(&self, policy: StreamPolicy) -> Limits {
        Limits {
            depth: self.depth,
            waiting: self.waiting,
            policy,
            inline: self.inline,
        }
    }
}
