//! What the store of an instance holds, and what it counts.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;
use weir_engine::plan::Buffer;
use weir_engine::state::FlowBitId;
use weir_rules::compile::module::Scope;

use crate::lent::Borrower;
use crate::modules::policy::Grant;
use crate::modules::state::{Key, Tables};
use crate::modules::view::{Asked, View};
use crate::runtime::{Limits, Timed, Timer};
use crate::views::Views;

/// Lines that a module may write to the log each second.
const LINES: u32 = 16;
/// Bytes that any call of the host counts beside what it hands over.
const FLAT: usize = 16;

/// A module did more than it may.
#[derive(Debug, thiserror::Error)]
pub(in crate::modules) enum Exceeded {
    #[error("it called the host more than {0} times in one evaluation")]
    Calls(u32),
    #[error("it was handed more than {0} bytes in one evaluation")]
    Bytes(usize),
    #[error("it called `{0}` without the operator's grant")]
    Ungranted(&'static str),
}

/// What an instance knows of its module.
pub(in crate::modules) struct Facts {
    pub(in crate::modules) name: Arc<str>,
    /// As [`weir_rules::compile::module::Declaration::buffers`] has them.
    pub(in crate::modules) buffers: Box<[Buffer]>,
    /// As [`weir_rules::compile::module::Declaration::flow_bits`] has them.
    pub(in crate::modules) flow_bits: Box<[Option<FlowBitId>]>,
    pub(in crate::modules) tables: Tables,
    pub(in crate::modules) grants: Vec<Grant>,
}

impl Facts {
    /// Of a module that has not said yet what it is.
    pub(in crate::modules) fn unknown() -> Self {
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
pub(in crate::modules) struct Used {
    pub(in crate::modules) host_calls: u32,
    pub(in crate::modules) host_bytes: usize,
    /// Memory that was asked for and refused, times.
    pub(in crate::modules) refusals: u64,
    pub(in crate::modules) log_dropped: u64,
    /// Time spent waiting for other workers.
    pub(in crate::modules) waited: Duration,
}

/// The data of an instance's store.
pub(in crate::modules) struct Data {
    timer: Timer,
    lent: Option<Borrower<Asked>>,
    pub(super) facts: Arc<Facts>,
    pub(super) limits: Limits,
    pub(in crate::modules) used: Used,
    memory: usize,
    views: Views,
    pub(super) log: Lines,
    /// When the instance was made.
    pub(super) made: Instant,
    pub(super) random: (RandomState, u64),
}

/// Lines written in the second at hand.
pub(super) struct Lines {
    since: Instant,
    count: u32,
}

impl Lines {
    /// True where one more may be written, which is counted then.
    pub(super) fn one_more(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.count) = (Instant::now(), 0);
        }
        let more = self.count < LINES;
        self.count += u32::from(more);
        more
    }
}

impl Data {
    pub(in crate::modules) fn new(
        timer: Timer,
        facts: Arc<Facts>,
        limits: Limits,
        lent: Option<Borrower<Asked>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            timer,
            lent,
            facts,
            limits,
            used: Used::default(),
            memory: 0,
            views: Views::default(),
            log: Lines {
                since: now,
                count: 0,
            },
            made: now,
            random: (RandomState::new(), 0),
        }
    }

    /// An evaluation begins.
    pub(in crate::modules) fn begin(&mut self) {
        self.used = Used::default();
        self.views.begin();
    }

    /// Counts a call.
    pub(super) fn called(&mut self) -> wasmtime::Result<()> {
        self.used.host_calls = self.used.host_calls.saturating_add(1);
        if self.used.host_calls > self.limits.host_calls {
            return Err(Exceeded::Calls(self.limits.host_calls).into());
        }
        self.gives(FLAT)
    }

    /// Counts bytes that are handed over; to be called before they are copied.
    pub(super) fn gives(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.used.host_bytes = self.used.host_bytes.saturating_add(bytes);
        if self.used.host_bytes > self.limits.host_bytes {
            return Err(Exceeded::Bytes(self.limits.host_bytes).into());
        }
        Ok(())
    }

    pub(super) fn granted(&self, grant: Grant) -> wasmtime::Result<()> {
        if self.facts.grants.contains(&grant) {
            return Ok(());
        }
        Err(Exceeded::Ungranted(grant.name()).into())
    }

    pub(super) fn view<R>(&self, look: impl for<'v> FnOnce(&View<'v>) -> R) -> Option<R> {
        self.lent.as_ref()?.with(look)
    }

    /// What `look` makes of a buffer's bytes.
    pub(super) fn bytes<R>(
        &mut self,
        buffer: u32,
        index: u32,
        look: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        let Self {
            lent, facts, views, ..
        } = self;
        let buffer = *facts.buffers.get(buffer as usize)?;
        let of_view = |view: &View<'_>| {
            let bytes = views.nth(buffer, &[], index, view.subject)?;
            Some(look(bytes))
        };
        lent.as_ref()?.with(of_view).flatten()
    }

    /// Part of a buffer.
    pub(super) fn part(
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
    pub(super) fn key(&mut self, scope: Scope) -> Option<(Key, u64)> {
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
