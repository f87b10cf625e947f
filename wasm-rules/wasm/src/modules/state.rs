//! What modules keep for flows, hosts and everything.

use std::net::IpAddr;
use std::sync::Arc;

use weir_engine::state::Sharded;
use weir_rules::compile::module::{Declaration, Kept, Scope};

use super::view::View;

/// Bytes that an entry takes beside its value: key, time, order, and its share of a table that is half empty.
const OVERHEAD: u64 = 128;

/// What a value is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Flow(u64),
    Host(IpAddr),
    /// The smaller address first.
    Pair(IpAddr, IpAddr),
    Everything,
}

impl Key {
    /// What a scope means for a packet; `None` where there is no such.
    pub(super) fn of(scope: Scope, view: &View<'_>) -> Option<Self> {
        let packet = view.subject.packet;
        let host = |address| packet.is_ip().then_some(Self::Host(address));
        match scope {
            Scope::Flow => view.flow.map(|flow| Self::Flow(flow.id)),
            Scope::Source => host(packet.src),
            Scope::Destination => host(packet.dst),
            Scope::Pair => packet
                .is_ip()
                .then(|| Self::Pair(packet.src.min(packet.dst), packet.src.max(packet.dst))),
            Scope::Everywhere => Some(Self::Everything),
        }
    }
}

#[derive(Clone)]
struct Value {
    bytes: Box<[u8]>,
    written_ns: u64,
}

/// Values of one scope.
pub(super) struct Table {
    kept: Kept,
    values: Sharded<Key, Value>,
}

impl Table {
    fn new(kept: Kept) -> Self {
        Self {
            kept,
            values: Sharded::new(kept.entries as usize),
        }
    }

    /// When a value that was written then is gone.
    fn is_over(&self, value: &Value, now_ns: u64) -> bool {
        let life = u64::from(self.kept.seconds).saturating_mul(1_000_000_000);
        life > 0 && value.written_ns.saturating_add(life) <= now_ns
    }

    pub(super) fn get(&self, key: &Key, now_ns: u64) -> Option<Vec<u8>> {
        let found = self.values.with(key, |value| {
            let value = value?;
            Some((!self.is_over(value, now_ns)).then(|| value.bytes.to_vec()))
        });
        if let Some(None) = found {
            self.values.remove(key);
        }
        found.flatten()
    }

    /// Keeps a value; false where it is too long.
    pub(super) fn set(&self, key: &Key, bytes: Vec<u8>, now_ns: u64) -> bool {
        if bytes.len() > self.kept.bytes as usize {
            return false;
        }
        // The table gives way in the order in which values came: what is written is put in anew.
        self.values.remove(key);
        if !bytes.is_empty() {
            self.put(key, bytes.into_boxed_slice(), now_ns, now_ns);
        }
        true
    }

    fn put(&self, key: &Key, bytes: Box<[u8]>, written_ns: u64, now_ns: u64) {
        let value = Value { bytes, written_ns };
        let over = |value: &Value| self.is_over(value, now_ns);
        self.values.entry(key, || value, over, |_| ());
    }

    pub(super) fn remove(&self, key: &Key) {
        self.values.remove(key);
    }

    /// The same with other limits: what does not fit is gone.
    fn with(&self, kept: Kept) -> Self {
        let other = Self::new(kept);
        for (key, value) in self.values.export(|&key, value| Some((key, value.clone()))) {
            if value.bytes.len() <= kept.bytes as usize {
                other.put(&key, value.bytes, value.written_ns, value.written_ns);
            }
        }
        other
    }
}

/// All that a module keeps, for all workers.
#[derive(Clone, Default)]
pub(super) struct Tables(Vec<Arc<Table>>);

impl Tables {
    /// Empty ones, or those of the module that this one takes the place of.
    pub(super) fn new(declaration: &Declaration, before: Option<&Self>) -> Self {
        let table = |kept: &Kept| match before.and_then(|before| before.of(kept.scope)) {
            Some(table) if table.kept == *kept => Arc::clone(table),
            Some(table) => Arc::new(table.with(*kept)),
            None => Arc::new(Table::new(*kept)),
        };
        Self(declaration.state.iter().map(table).collect())
    }

    /// Those of one scope.
    pub(super) fn of(&self, scope: Scope) -> Option<&Arc<Table>> {
        self.0.iter().find(|table| table.kept.scope == scope)
    }

    /// Values now, and values given up before their time.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(len, evicted), table| {
            (
                len + table.values.len() as u64,
                evicted + table.values.evicted(),
            )
        })
    }
}

/// Most bytes that a module's state can take.
pub(super) fn most_bytes(declaration: &Declaration) -> u64 {
    let of = |kept: &Kept| u64::from(kept.entries) * (u64::from(kept.bytes) + OVERHEAD);
    declaration.state.iter().map(of).sum()
}
