//! What compiled rules ask for: `runtime.wat` says what each function is.

use std::sync::Arc;

use wasmtime::{Caller, Linker, Memory, ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use weir_engine::eval::{EvalCounters, Subject, parts};
use weir_engine::packet::Packet;
use weir_engine::pcre::Scratch;
use weir_engine::plan::{Endian, Rule, RuleId, RuleSet};

use crate::code::{Catalogue, Field};
use crate::lent::{Borrower, Lendable};
use crate::views::Views;

/// Bytes behind a buffer that must be there, though nothing is made of them.
const SLACK: usize = 128;

/// The name that the module imports from.
const WEIR: &str = "weir";

/// Subjects are lent.
pub(super) struct Asked;

impl Lendable for Asked {
    type For<'v> = Subject<'v>;
}

/// What a store of an instance holds.
pub(super) struct Host {
    subject: Borrower<Asked>,
    rules: Arc<RuleSet>,
    /// For each rule of the module, its number in the set.
    places: Arc<[RuleId]>,
    catalogue: Arc<Catalogue>,
    views: Views,
    pcre: Scratch,
    decoded: Vec<u8>,
    limits: StoreLimits,
    pub(super) memory: Option<Memory>,
    /// Without those of `views`.
    counters: EvalCounters,
}

impl Host {
    pub(super) fn new(
        subject: Borrower<Asked>,
        rules: Arc<RuleSet>,
        places: Arc<[RuleId]>,
        catalogue: Arc<Catalogue>,
        memory: usize,
    ) -> Self {
        Self {
            subject,
            rules,
            places,
            catalogue,
            views: Views::default(),
            pcre: Scratch::new(),
            decoded: Vec::new(),
            limits: StoreLimitsBuilder::new().memory_size(memory).build(),
            memory: None,
            counters: EvalCounters::default(),
        }
    }

    pub(super) fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }

    /// There is another subject.
    pub(super) fn begin(&mut self) {
        self.views.begin();
    }

    /// What was counted.
    pub(super) fn counters(&self) -> EvalCounters {
        let (transform_limits, pcre_limits) = self.views.limits();
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

    /// What `look` makes of the bytes of a view; `None` where there is no such.
    fn bytes<R>(&mut self, view: u32, index: u32, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let view = self.catalogue.views.get(view as usize)?;
        let views = &mut self.views;
        let of_subject = |subject: &Subject<'_>| {
            let bytes = views.nth(view.buffer, &view.transforms, index, subject)?;
            Some(look(bytes))
        };
        self.subject.with(of_subject).flatten()
    }

    /// A rule of the module.
    fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(*self.places.get(number as usize)?)
    }

    fn field(&self, field: Field) -> Option<u64> {
        let found = self
            .subject
            .with(|subject| of_packet(subject.packet, field));
        found.flatten()
    }

    fn packet(&self, rule: u32, test: u32) -> bool {
        let test = self
            .rule(rule)
            .and_then(|rule| rule.tests.get(test as usize));
        let holds = |test| {
            self.subject
                .with(|subject| parts::packet_test(test, subject))
        };
        test.and_then(holds).unwrap_or(false)
    }

    fn app(&self, rule: u32) -> bool {
        let holds = |rule: &Rule| {
            self.subject
                .with(|subject| parts::app_holds(&rule.app, subject))
        };
        self.rule(rule).and_then(holds).unwrap_or(false)
    }

    /// As a base of `$read`.
    fn dce(&self) -> i32 {
        match self.subject.with(parts::byte_order).flatten() {
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
        let done = host.bytes(view, index, |bytes| {
            // Places in a buffer are 32-bit numbers, here as in Suricata.
            let bytes = bytes.get(..i32::MAX as usize).unwrap_or(bytes);
            (bytes.len(), put(memory, at, bytes).is_some())
        });
        match done {
            None => return Ok(-1),
            Some((length, true)) => return Ok(length as i32),
            Some((length, false)) => grow(&mut caller, at, length)?,
        }
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
