//! What a module sees in a test, and what it keeps.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::declare::{Kept, Scope};
use crate::granted::log::Level;
use crate::packet::{Flow, Packet};

/// All that can be seen.
pub(crate) struct Stage {
    pub(crate) packet: Packet,
    pub(crate) flow: Option<Flow>,
    pub(super) buffers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) stream_offset: Option<u64>,
    pub(crate) flow_bits: HashSet<&'static str>,
    pub(super) states: States,
    pub(crate) logged: Vec<(Level, String)>,
    pub(crate) random: u64,
}

impl Stage {
    pub(crate) fn buffer(&self, name: &str, index: u32) -> Option<&[u8]> {
        let mut of_kind = self.buffers.iter().filter(|(kind, _)| *kind == name);
        of_kind
            .nth(usize::try_from(index).ok()?)
            .map(|(_, bytes)| bytes.as_slice())
    }

    pub(crate) fn get(&self, scope: Scope) -> Option<Vec<u8>> {
        let key = self.key(scope)?;
        self.states.get(key, self.packet.time)
    }

    pub(crate) fn set(&mut self, scope: Scope, value: &[u8]) -> bool {
        let now = self.packet.time;
        self.key(scope)
            .is_some_and(|key| self.states.set(key, value, now))
    }

    fn key(&self, scope: Scope) -> Option<Key> {
        let (source, destination) = (self.packet.source, self.packet.destination);
        Some(match scope {
            Scope::Flow => Key::Flow(self.flow.as_ref()?.id),
            Scope::Source => Key::Source(source?),
            Scope::Destination => Key::Destination(destination?),
            Scope::Pair => {
                let (a, b) = (source?, destination?);
                Key::Pair(a.min(b), a.max(b))
            }
            Scope::Everywhere => Key::Everywhere,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Flow(u64),
    Source(IpAddr),
    Destination(IpAddr),
    Pair(IpAddr, IpAddr),
    Everywhere,
}

impl Key {
    fn scope(self) -> Scope {
        match self {
            Self::Flow(_) => Scope::Flow,
            Self::Source(_) => Scope::Source,
            Self::Destination(_) => Scope::Destination,
            Self::Pair(..) => Scope::Pair,
            Self::Everywhere => Scope::Everywhere,
        }
    }
}

/// A value, when it was written, and after how many others.
type Value = (Vec<u8>, Duration, u64);

/// What a module keeps.
#[derive(Default)]
pub(super) struct States {
    declared: &'static [Kept],
    values: HashMap<Key, Value>,
    written: u64,
}

impl States {
    pub(super) fn new(declared: &'static [Kept]) -> Self {
        Self {
            declared,
            ..Self::default()
        }
    }

    pub(super) fn end_flow(&mut self, id: u64) {
        self.values.remove(&Key::Flow(id));
    }

    pub(super) fn count(&self, scope: Scope) -> usize {
        self.values
            .keys()
            .filter(|key| key.scope() == scope)
            .count()
    }

    fn declared(&self, scope: Scope) -> Option<Kept> {
        self.declared
            .iter()
            .copied()
            .find(|kept| kept.scope == scope)
    }

    fn get(&self, key: Key, now: Duration) -> Option<Vec<u8>> {
        let kept = self.declared(key.scope())?;
        let (bytes, written, _) = self.values.get(&key)?;
        let age = now.saturating_sub(*written);
        let over = kept.seconds > 0 && age > Duration::from_secs(kept.seconds.into());
        (!over).then(|| bytes.clone())
    }

    fn set(&mut self, key: Key, value: &[u8], now: Duration) -> bool {
        let Some(kept) = self.declared(key.scope()) else {
            return false;
        };
        if value.is_empty() {
            self.values.remove(&key);
            return true;
        }
        let most = usize::try_from(kept.bytes).unwrap_or(usize::MAX);
        if value.len() > most {
            return false;
        }
        self.written += 1;
        self.values.insert(key, (value.to_vec(), now, self.written));
        let room = usize::try_from(kept.entries).unwrap_or(usize::MAX);
        if self.count(key.scope()) > room {
            let of_scope = self
                .values
                .iter()
                .filter(|(other, _)| other.scope() == key.scope());
            let oldest = of_scope
                .min_by_key(|(_, value)| value.2)
                .map(|(other, _)| *other);
            if let Some(oldest) = oldest {
                self.values.remove(&oldest);
            }
        }
        true
    }
}
