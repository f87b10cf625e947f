//! An instance of a module, and the functions of the host that it can call.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::HasSelf;
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, Store};
use weir_engine::eval::Buffers;
use weir_engine::packet::Net;
use weir_engine::plan::Buffer;
use weir_engine::state::FlowBitId;
use weir_rules::compile::module::{Declaration, Scope};

use super::bindings::{self, clock, host, log, random};
use super::lent::{Borrower, View};
use super::policy::Grant;
use super::state::{Key, Tables};
use crate::runtime::{Limits, Timed, Timer};

/// Lines that a module may write to the log each second.
const LINES: u32 = 16;
/// Most bytes of a line.
const LINE: usize = 1024;
/// Bytes that any call of the host counts beside what it hands over.
const FLAT: usize = 16;

/// A module did more than it may.
#[derive(Debug, thiserror::Error)]
pub(super) enum Exceeded {
    #[error("it called the host more than {0} times in one evaluation")]
    Calls(u32),
    #[error("it was handed more than {0} bytes in one evaluation")]
    Bytes(usize),
    #[error("it called `{0}` without the operator's grant")]
    Ungranted(&'static str),
}

/// What an instance knows of its module.
pub(super) struct Facts {
    pub(super) name: Arc<str>,
    /// As [`Declaration::buffers`] has them.
    pub(super) buffers: Box<[Buffer]>,
    /// As [`Declaration::flow_bits`] has them.
    pub(super) flow_bits: Box<[Option<FlowBitId>]>,
    pub(super) tables: Tables,
    pub(super) grants: Vec<Grant>,
}

impl Facts {
    /// Of a module that has not said yet what it is.
    pub(super) fn unknown() -> Self {
        Self {
            name: Arc::from("?"),
            buffers: Box::default(),
            flow_bits: Box::default(),
            tables: Tables::default(),
            grants: Vec::new(),
        }
    }
}

/// What an evaluation, and an instance, have used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) host_calls: u32,
    pub(super) host_bytes: usize,
    /// Memory that was asked for and refused, times.
    pub(super) refusals: u64,
    pub(super) log_dropped: u64,
    /// Time spent waiting for other workers.
    pub(super) waited: Duration,
}

/// The data of an instance's store.
pub(super) struct Data {
    timer: Timer,
    lent: Option<Borrower>,
    facts: Arc<Facts>,
    limits: Limits,
    pub(super) used: Used,
    memory: usize,
    buffers: Buffers,
    log: Lines,
    /// When the instance was made.
    made: Instant,
    random: (RandomState, u64),
}

/// Lines written in the second at hand.
struct Lines {
    since: Instant,
    count: u32,
}

impl Data {
    pub(super) fn new(
        timer: Timer,
        facts: Arc<Facts>,
        limits: Limits,
        lent: Option<Borrower>,
    ) -> Self {
        let now = Instant::now();
        Self {
            timer,
            lent,
            facts,
            limits,
            used: Used::default(),
            memory: 0,
            buffers: Buffers::new(),
            log: Lines {
                since: now,
                count: 0,
            },
            made: now,
            random: (RandomState::new(), 0),
        }
    }

    /// An evaluation begins.
    pub(super) fn begin(&mut self) {
        self.used = Used::default();
    }

    /// Counts a call.
    fn called(&mut self) -> wasmtime::Result<()> {
        self.used.host_calls = self.used.host_calls.saturating_add(1);
        if self.used.host_calls > self.limits.host_calls {
            return Err(Exceeded::Calls(self.limits.host_calls).into());
        }
        self.gives(FLAT)
    }

    /// Counts bytes that are handed over; to be called before they are copied.
    fn gives(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.used.host_bytes = self.used.host_bytes.saturating_add(bytes);
        if self.used.host_bytes > self.limits.host_bytes {
            return Err(Exceeded::Bytes(self.limits.host_bytes).into());
        }
        Ok(())
    }

    fn granted(&self, grant: Grant) -> wasmtime::Result<()> {
        if self.facts.grants.contains(&grant) {
            return Ok(());
        }
        Err(Exceeded::Ungranted(grant.name()).into())
    }

    fn view<R>(&self, look: impl for<'v> FnOnce(&View<'v>) -> R) -> Option<R> {
        self.lent.as_ref()?.with(look)
    }

    /// What `look` makes of a buffer's bytes.
    fn bytes<R>(&mut self, buffer: u32, index: u32, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let Self {
            lent,
            facts,
            buffers,
            ..
        } = self;
        let buffer = *facts.buffers.get(buffer as usize)?;
        let of_view = |view: &View<'_>| {
            let bytes = buffers.nth(buffer, index as usize, view.subject)?;
            Some(look(bytes))
        };
        lent.as_ref()?.with(of_view).flatten()
    }

    /// Part of a buffer.
    fn part(
        &mut self,
        buffer: u32,
        index: u32,
        offset: usize,
        length: usize,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        let left = self.limits.host_bytes.saturating_sub(self.used.host_bytes);
        let taken = self.bytes(buffer, index, |bytes| {
            let rest = bytes.get(offset..).unwrap_or_default();
            let part = rest.get(..length).unwrap_or(rest);
            // What is too much is counted without being copied.
            (part.len(), (part.len() <= left).then(|| part.to_vec()))
        });
        let Some((length, part)) = taken else {
            return Ok(None);
        };
        self.gives(length)?;
        Ok(part)
    }

    /// The key of a scope at hand, and the packet's time; where flows share it, once it is this packet's turn.
    fn key(&mut self, scope: Scope) -> Option<(Key, u64)> {
        let found = self.view(|view| {
            let key = Key::of(scope, view)?;
            Some((key, view.subject.packet.ts_ns))
        });
        let found = found.flatten()?;
        if scope != Scope::Flow {
            let begun = Instant::now();
            let waiting = self.timer.waits();
            self.view(|view| {
                if let Some(seat) = view.seat.borrow_mut().as_mut() {
                    seat.wait();
                }
            });
            self.timer.goes_on(waiting);
            self.used.waited += begun.elapsed();
        }
        Some(found)
    }
}

impl Timed for Data {
    fn timer(&mut self) -> &mut Timer {
        &mut self.timer
    }
}

impl ResourceLimiter for Data {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self.memory.saturating_add(desired.saturating_sub(current));
        if all > self.limits.memory {
            self.used.refusals += 1;
            return Ok(false);
        }
        self.memory = all;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.limits.table_elements)
    }

    fn instances(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        1
    }
}

/// The scope of a name in the world.
pub(super) fn scope(of: bindings::declaration::Scope) -> Scope {
    use bindings::declaration::Scope as Of;
    match of {
        Of::Flow => Scope::Flow,
        Of::Source => Scope::Source,
        Of::Destination => Scope::Destination,
        Of::Pair => Scope::Pair,
        Of::Everywhere => Scope::Everywhere,
    }
}

fn packet(view: &View<'_>) -> host::Packet {
    let packet = view.subject.packet;
    let address = |address: std::net::IpAddr| match (packet.net, address) {
        (Net::V4 { .. } | Net::V6 { .. }, std::net::IpAddr::V4(address)) => {
            address.octets().to_vec()
        }
        (Net::V4 { .. } | Net::V6 { .. }, std::net::IpAddr::V6(address)) => {
            address.octets().to_vec()
        }
        _ => Vec::new(),
    };
    let vlans = packet.vlan.iter().take(packet.vlan_layers.into());
    host::Packet {
        timestamp: packet.ts_ns,
        number: packet.number,
        source: address(packet.src),
        destination: address(packet.dst),
        source_port: packet.sport,
        destination_port: packet.dport,
        protocol: packet.proto,
        ttl: packet.ttl().unwrap_or(0),
        length: packet.wire_len,
        payload_length: u32::try_from(packet.payload.len()).unwrap_or(u32::MAX),
        tcp_flags: packet.tcp_flags(),
        icmp: packet.icmp_type().zip(packet.icmp_code()),
        vlans: vlans.copied().collect(),
    }
}

/// The flow, with the packet's direction.
fn flow(view: &View<'_>) -> Option<host::Flow> {
    let flow = view.flow?;
    let app = &view.subject.app;
    let proto = match app.transaction {
        Some(_) => flow.app.proto,
        None => flow.app.seen(),
    };
    Some(host::Flow {
        id: flow.id,
        to_server: app.way == 0,
        established: flow.established(),
        start: flow.start_ns,
        packets: (flow.packets[0], flow.packets[1]),
        bytes: (flow.bytes[0], flow.bytes[1]),
        app_protocol: proto.map(|proto| proto.name().to_owned()),
    })
}

impl bindings::declaration::Host for Data {}

impl host::Host for Data {
    fn get_packet(&mut self) -> wasmtime::Result<host::Packet> {
        self.called()?;
        Ok(self.view(packet).unwrap_or(host::Packet {
            timestamp: 0,
            number: 0,
            source: Vec::new(),
            destination: Vec::new(),
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            ttl: 0,
            length: 0,
            payload_length: 0,
            tcp_flags: None,
            icmp: None,
            vlans: Vec::new(),
        }))
    }

    fn get_flow(&mut self) -> wasmtime::Result<Option<host::Flow>> {
        self.called()?;
        Ok(self.view(flow).flatten())
    }

    fn buffer(&mut self, buffer: u32, index: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        self.part(buffer, index, 0, usize::MAX)
    }

    fn slice(
        &mut self,
        buffer: u32,
        index: u32,
        offset: u32,
        length: u32,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        self.part(buffer, index, offset as usize, length as usize)
    }

    fn length(&mut self, buffer: u32, index: u32) -> wasmtime::Result<Option<u32>> {
        self.called()?;
        Ok(self.bytes(buffer, index, |bytes| {
            u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        }))
    }

    fn stream_offset(&mut self) -> wasmtime::Result<Option<u64>> {
        self.called()?;
        Ok(self.view(|view| view.subject.stream_offset).flatten())
    }

    fn flow_bit(&mut self, bit: u32) -> wasmtime::Result<bool> {
        self.called()?;
        let bit = self.facts.flow_bits.get(bit as usize).copied().flatten();
        let Some(bit) = bit else {
            return Ok(false);
        };
        let set = self.view(|view| view.flow.is_some_and(|flow| flow.vars.bit(bit)));
        Ok(set.unwrap_or(false))
    }

    fn get_state(&mut self, of: host::Scope) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        let scope = scope(of);
        let Some(table) = self.facts.tables.of(scope).map(Arc::clone) else {
            return Ok(None);
        };
        let found = self.key(scope).and_then(|(key, now)| table.get(&key, now));
        self.gives(found.as_ref().map_or(0, Vec::len))?;
        Ok(found)
    }

    fn set_state(&mut self, of: host::Scope, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.called()?;
        let scope = scope(of);
        let Some(table) = self.facts.tables.of(scope).map(Arc::clone) else {
            return Ok(false);
        };
        let done = self
            .key(scope)
            .map(|(key, now)| table.set(&key, value, now));
        Ok(done.unwrap_or(false))
    }
}

impl log::Host for Data {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.called()?;
        self.granted(Grant::Log)?;
        if self.log.since.elapsed() >= Duration::from_secs(1) {
            self.log = Lines {
                since: Instant::now(),
                count: 0,
            };
        }
        if self.log.count >= LINES {
            self.used.log_dropped += 1;
            return Ok(());
        }
        self.log.count += 1;
        let end = message.floor_char_boundary(LINE);
        // Nothing of it is to steer a terminal or to look like another line.
        let line = message.get(..end).unwrap_or_default();
        let line: String = (line.chars())
            .map(|letter| if letter.is_control() { '.' } else { letter })
            .collect();
        let module = &*self.facts.name;
        match level {
            log::Level::Debug => tracing::debug!("module {module}: {line}"),
            log::Level::Info => tracing::info!("module {module}: {line}"),
            log::Level::Warn => tracing::warn!("module {module}: {line}"),
        }
        Ok(())
    }
}

impl clock::Host for Data {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        self.granted(Grant::Clock)?;
        Ok(u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl random::Host for Data {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        self.granted(Grant::Random)?;
        self.random.1 = self.random.1.wrapping_add(1);
        Ok(self.random.0.hash_one(self.random.1))
    }
}

/// A linker with all that the world has. What is granted is looked up when it is called.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    bindings::Rules::add_to_linker::<_, HasSelf<_>>(&mut linker, |data| data)?;
    Ok(linker)
}

/// An instance of a module.
pub(super) struct Live {
    pub(super) store: Store<Data>,
    bindings: bindings::Rules,
}

impl Live {
    /// Makes an instance, within `limits.load`.
    pub(super) fn new(
        runtime: &crate::runtime::Runtime,
        pre: &bindings::RulesPre<Data>,
        data: Data,
    ) -> wasmtime::Result<Self> {
        let limits = data.limits;
        let mut store = runtime.store(data);
        store.limiter(|data| data);
        store.set_hostcall_fuel(limits.taken_bytes);
        let bindings = Timer::bounded(&mut store, limits.load, |store| pre.instantiate(store))?;
        Ok(Self { store, bindings })
    }

    /// What the module says of itself.
    pub(super) fn declare(&mut self) -> wasmtime::Result<bindings::declaration::Module> {
        let Self { store, bindings } = self;
        let limits = store.data().limits;
        // Rules are long.
        store.set_hostcall_fuel(limits.taken_bytes.saturating_mul(32));
        let said = Timer::bounded(store, limits.load, |store| bindings.call_declare(store));
        store.set_hostcall_fuel(limits.taken_bytes);
        said
    }

    /// Which of these rules fire.
    pub(super) fn evaluate(&mut self, candidates: &[u32]) -> wasmtime::Result<Vec<u32>> {
        let Self { store, bindings } = self;
        let data = store.data_mut();
        data.begin();
        let limit = data.limits.call;
        Timer::bounded(store, limit, |store| {
            bindings.call_evaluate(store, candidates)
        })
    }
}

/// A declaration, as the rule compiler has it.
pub(super) fn declaration(of: bindings::declaration::Module) -> Declaration {
    use bindings::declaration::Action;
    use weir_rules::compile::module::{DeclaredAction, DeclaredPattern, DeclaredRule, Kept};
    let rule = |rule: bindings::declaration::Rule| DeclaredRule {
        sid: rule.sid,
        rev: rule.rev,
        message: rule.message,
        action: match rule.action {
            Action::Alert => DeclaredAction::Alert,
            Action::Drop => DeclaredAction::Drop,
            Action::Reject => DeclaredAction::Reject,
            Action::Pass => DeclaredAction::Pass,
        },
        class: rule.class,
        priority: rule.priority,
        header: rule.header,
        options: rule.options,
        patterns: (rule.patterns.into_iter())
            .map(|pattern| DeclaredPattern {
                buffer: pattern.buffer,
                bytes: pattern.bytes,
                nocase: pattern.nocase,
            })
            .collect(),
        buffers: rule.buffers,
        references: rule.references,
        metadata: rule.metadata,
    };
    Declaration {
        name: of.name,
        version: of.version,
        state_version: of.state_version,
        rules: of.rules.into_iter().map(rule).collect(),
        buffers: of.buffers,
        flow_bits: of.flow_bits,
        state: (of.state.into_iter())
            .map(|kept| Kept {
                scope: scope(kept.scope),
                bytes: kept.bytes,
                entries: kept.entries,
                seconds: kept.seconds,
            })
            .collect(),
    }
}
