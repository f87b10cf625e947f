//! What compiled rules ask for: `runtime.wat` says what each function is.

use std::sync::Arc;

use wasmtime::{Caller, Linker, Memory, ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use weir_engine::eval::{Buffers, EvalCounters, Subject, parts};
use weir_engine::packet::Packet;
use weir_engine::pcre::Scratch;
use weir_engine::plan::{Endian, Rule, RuleId, RuleSet};

use super::lent::{Lend, Lent};
use crate::code::{Catalogue, Field};

/// Bytes behind a buffer that must be there, though nothing is made of them.
const SLACK: usize = 128;

/// The name that the module imports from.
const WEIR: &str = "weir";

/// What a store of an instance holds.
pub(super) struct Host {
    subject: Lent,
    rules: Arc<RuleSet>,
    /// For each rule of the module, its number in the set.
    places: Arc<[RuleId]>,
    catalogue: Arc<Catalogue>,
    buffers: Buffers,
    pcre: Scratch,
    decoded: Vec<u8>,
    /// Of several buffers of a kind: the view, which is next, and where it is looked for.
    several: (u32, u32, usize),
    limits: StoreLimits,
    pub(super) memory: Option<Memory>,
    /// Without those of `buffers`.
    counters: EvalCounters,
}

impl Host {
    pub(super) fn new(
        rules: Arc<RuleSet>,
        places: Arc<[RuleId]>,
        catalogue: Arc<Catalogue>,
        memory: usize,
    ) -> Self {
        Self {
            subject: Lent::default(),
            rules,
            places,
            catalogue,
            buffers: Buffers::new(),
            pcre: Scratch::new(),
            decoded: Vec::new(),
            several: (0, 0, 0),
            limits: StoreLimitsBuilder::new().memory_size(memory).build(),
            memory: None,
            counters: EvalCounters::default(),
        }
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }

    pub(super) fn lend(&mut self, subject: &Subject<'_>) -> Lend {
        self.subject.lend(subject)
    }

    pub(super) fn take_back(&mut self, lend: Lend) {
        self.subject.take_back(lend);
    }

    /// What was counted.
    pub(super) fn counters(&self) -> EvalCounters {
        let (transform_limits, pcre_limits) = self.buffers.limits();
        let counters = self.counters;
        EvalCounters {
            transform_limits: counters.transform_limits + transform_limits,
            pcre_limits: counters.pcre_limits + pcre_limits,
            ..counters
        }
    }

    /// Goes on counting from here.
    pub(super) fn go_on(&mut self, counters: EvalCounters) {
        self.counters = counters;
    }

    /// The bytes of a view; `None` where there is no such.
    fn bytes(&mut self, view: u32, index: u32) -> Option<&[u8]> {
        let subject = self.subject.get()?;
        let view_of = self.catalogue.views.get(view as usize)?;
        let Some((buffer, way)) = parts::of_transaction(view_of.buffer, subject) else {
            return match index {
                0 => self
                    .buffers
                    .bytes(view_of.buffer, &view_of.transforms, subject),
                _ => None,
            };
        };
        let tx = subject.app.transaction?;
        let (of, next, from) = self.several;
        // One after the other is how they are asked for.
        let mut from = if index > 0 && of == view && next == index {
            from
        } else {
            let mut from = 0;
            for _ in 0..index {
                (from, _) = tx.next_buffer(way, buffer, from)?;
            }
            from
        };
        let bytes;
        (from, bytes) = tx.next_buffer(way, buffer, from)?;
        self.several = (view, index.saturating_add(1), from);
        Some(self.buffers.transformed(&view_of.transforms, bytes))
    }

    /// A rule of the module.
    fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(*self.places.get(number as usize)?)
    }

    fn field(&self, field: Field) -> Option<u64> {
        of_packet(self.subject.get()?.packet, field)
    }

    fn packet(&self, rule: u32, test: u32) -> bool {
        let rule = self.rule(rule);
        let test = rule.and_then(|rule| rule.tests.get(test as usize));
        test.zip(self.subject.get())
            .is_some_and(|(test, subject)| parts::packet_test(test, subject))
    }

    fn app(&self, rule: u32) -> bool {
        let rule = self.rule(rule);
        rule.zip(self.subject.get())
            .is_some_and(|(rule, subject)| parts::app_holds(&rule.app, subject))
    }

    /// As a base of `$read`.
    fn dce(&self) -> i32 {
        match self.subject.get().and_then(parts::byte_order) {
            Some(Endian::Big) => 0,
            Some(Endian::Little) => 1,
            _ => 6,
        }
    }

    fn find(&mut self, regex: u32, subject: &[u8], start: u32) -> i64 {
        let Some(regex) = self.catalogue.regexes.get(regex as usize) else {
            return -1;
        };
        match regex.find(subject, start as usize, &mut self.pcre) {
            Ok(Some((start, end))) => (start as i64) << 32 | end as i64,
            Ok(None) => -1,
            Err(_) => {
                self.counters.pcre_limits += 1;
                -2
            }
        }
    }
}

/// A header field.
fn of_packet(packet: &Packet<'_>, field: Field) -> Option<u64> {
    match field {
        Field::TcpFlags => packet.tcp_flags().map(u64::from),
        Field::FragBits => packet.frag_bits().map(|bits| u64::from(bits >> 13 & 0b111)),
        Field::FragOffset => packet.frag_offset().map(Into::into),
        Field::IpId => packet.ip_id().map(Into::into),
        Field::IpProto => packet.is_ip().then_some(packet.proto.into()),
        Field::IpVersion => packet
            .is_ip()
            .then(|| if packet.src.is_ipv4() { 4 } else { 6 }),
        Field::Ttl => packet.ttl().map(Into::into),
        Field::Tos => packet.tos().map(Into::into),
        Field::IcmpType => packet.icmp_type().map(Into::into),
        Field::IcmpCode => packet.icmp_code().map(Into::into),
        Field::IcmpId => packet.icmp_id().map(Into::into),
        Field::IcmpSeq => packet.icmp_seq().map(Into::into),
        Field::Icmp6Mtu => packet.icmp6_mtu().map(Into::into),
        Field::IgmpType => packet.igmp_type().map(Into::into),
        Field::TcpSeq => packet.tcp_seq().map(Into::into),
        Field::TcpAck => packet.tcp_ack().map(Into::into),
        Field::TcpWindow => packet.tcp_window().map(Into::into),
        Field::TcpMss => packet.tcp_mss().map(Into::into),
        Field::TcpWscale => packet.tcp_wscale().map(Into::into),
        Field::PayloadSize => Some(packet.payload.len() as u64),
        Field::Inspected => {
            let inspected = !packet.no_payload_inspection && !packet.payload.is_empty();
            Some(inspected.into())
        }
    }
}

/// Memory, and what the store holds.
fn both<'c>(caller: &'c mut Caller<'_, Host>) -> wasmtime::Result<(&'c mut [u8], &'c mut Host)> {
    let memory = caller.data().memory;
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("called before it was ready"))?;
    Ok(memory.data_and_store_mut(caller))
}

/// Bytes in memory.
fn part(memory: &[u8], at: u32, length: u32) -> wasmtime::Result<&[u8]> {
    let part = memory
        .get(at as usize..)
        .and_then(|rest| rest.get(..length as usize));
    part.ok_or_else(|| wasmtime::Error::msg("beyond the end of memory"))
}

/// Puts bytes into memory, which has room for `SLACK` more behind them; `None` where it has not.
fn put(memory: &mut [u8], at: u32, bytes: &[u8]) -> Option<()> {
    let room = memory.get_mut(at as usize..)?;
    if room.len() < bytes.len().checked_add(SLACK)? {
        return None;
    }
    room.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// Makes memory so large that so many bytes and some more fit at `at`.
#[cold]
fn grow(caller: &mut Caller<'_, Host>, at: u32, bytes: usize) -> wasmtime::Result<()> {
    let memory = caller.data().memory;
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("called before it was ready"))?;
    let wanted = (at as usize).saturating_add(bytes).saturating_add(SLACK);
    let more = wanted.saturating_sub(memory.data_size(&caller));
    // Some more, so that it does not grow byte by byte.
    let pages = (more as u64).div_ceil(65_536) + 4;
    memory.grow(caller, pages)?;
    Ok(())
}

fn load(mut caller: Caller<'_, Host>, view: u32, index: u32, at: u32) -> wasmtime::Result<i32> {
    for _ in 0..2 {
        let (memory, host) = both(&mut caller)?;
        // Places in a buffer are 32-bit numbers, here as in Suricata.
        let Some(bytes) = host.bytes(view, index) else {
            return Ok(-1);
        };
        let bytes = bytes.get(..i32::MAX as usize).unwrap_or(bytes);
        let length = bytes.len();
        if put(memory, at, bytes).is_some() {
            return Ok(length as i32);
        }
        host.several = (0, 0, 0);
        grow(&mut caller, at, length)?;
    }
    Err(wasmtime::Error::msg("no memory for a buffer"))
}

fn pcre(
    mut caller: Caller<'_, Host>,
    regex: u32,
    at: u32,
    length: u32,
    start: u32,
) -> wasmtime::Result<i64> {
    let (memory, host) = both(&mut caller)?;
    Ok(host.find(regex, part(memory, at, length)?, start))
}

fn base64(mut caller: Caller<'_, Host>, at: u32, length: u32, to: u32) -> wasmtime::Result<u32> {
    let (memory, host) = both(&mut caller)?;
    let mut decoded = std::mem::take(&mut host.decoded);
    decoded.clear();
    parts::base64(part(memory, at, length)?, &mut decoded);
    if put(memory, to, &decoded).is_none() {
        grow(&mut caller, to, decoded.len())?;
        let (memory, _) = both(&mut caller)?;
        put(memory, to, &decoded).ok_or_else(|| wasmtime::Error::msg("no memory for a buffer"))?;
    }
    let length = decoded.len() as u32;
    caller.data_mut().decoded = decoded;
    Ok(length)
}

fn entropy(mut caller: Caller<'_, Host>, test: u32, at: u32, length: u32) -> wasmtime::Result<u32> {
    let (memory, host) = both(&mut caller)?;
    let part = part(memory, at, length)?;
    let test = host.catalogue.entropies.get(test as usize);
    Ok(test.is_some_and(|test| parts::entropy(test, part)).into())
}

/// Defines what a module imports.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(WEIR, "load", load)?;
    linker.func_wrap(WEIR, "field", |caller: Caller<'_, Host>, field: u32| {
        let field = Field::ALL.get(field as usize);
        let found = field.and_then(|field| caller.data().field(*field));
        found.map_or(-1, |value| value as i64)
    })?;
    linker.func_wrap(
        WEIR,
        "packet",
        |caller: Caller<'_, Host>, rule: u32, test: u32| {
            u32::from(caller.data().packet(rule, test))
        },
    )?;
    linker.func_wrap(WEIR, "app", |caller: Caller<'_, Host>, rule: u32| {
        u32::from(caller.data().app(rule))
    })?;
    linker.func_wrap(WEIR, "dce", |caller: Caller<'_, Host>| caller.data().dce())?;
    linker.func_wrap(WEIR, "pcre", pcre)?;
    linker.func_wrap(WEIR, "base64", base64)?;
    linker.func_wrap(WEIR, "entropy", entropy)?;
    linker.func_wrap(WEIR, "limit", |mut caller: Caller<'_, Host>, which: u32| {
        let counters = &mut caller.data_mut().counters;
        match which {
            0 => counters.recursion_limits += 1,
            _ => counters.work_limits += 1,
        }
    })?;
    Ok(())
}
