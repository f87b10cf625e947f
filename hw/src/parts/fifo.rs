//! A FIFO.

use super::Ram;
use rust_hdl::prelude::*;

/// Words of a FIFO that are not used, so that full and empty differ; and cycles by which `almost_full` lags.
const LOST: u64 = 1;
const LAG: u64 = 2;

/// A FIFO of at least `2^N - 1` words. The first word stands at `data_out`, straight out of a register, while `valid`; it goes with `ready`.
///
/// While `almost_full` is false there is room for `SPARE` more words and for the one that is written in the same cycle. What is written into a full FIFO is lost, so a writer
/// with `SPARE` or fewer words on their way stops at `almost_full`. A word comes out three cycles after it was written at the earliest.
#[derive(LogicBlock)]
pub struct Fifo<D: Synth, const N: usize, const SPARE: usize> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything; nothing is written meanwhile.
    pub clear: Signal<In, bool>,
    /// Whether `data_in` is written.
    pub write: Signal<In, bool>,
    /// The word to write.
    pub data_in: Signal<In, D>,
    /// There may be no room for `SPARE` more words.
    pub almost_full: Signal<Out, bool>,
    /// There is a word.
    pub valid: Signal<Out, bool>,
    /// The word is taken.
    pub ready: Signal<In, bool>,
    /// The word.
    pub data_out: Signal<Out, D>,
    ram: Ram<D, N, 1, false>,
    tail: DFF<Bits<N>>,
    head: DFF<Bits<N>>,
    fetched: DFF<bool>,
    filled: DFF<bool>,
    first: DFF<D>,
    nearly: DFF<bool>,
    // Words in the memory; whether there is one, and whether no more fit: flags, so that no comparison stands before a memory.
    level: DFF<Bits<N>>,
    some: DFF<bool>,
    full: DFF<bool>,
    put: Signal<Local, bool>,
    fetch: Signal<Local, bool>,
    fill: Signal<Local, bool>,
    last_place: Constant<Bits<N>>,
    limit: Constant<Bits<N>>,
}

impl<D: Synth, const N: usize, const SPARE: usize> Default for Fifo<D, N, SPARE> {
    fn default() -> Self {
        const { assert!(N < 32 && (SPARE as u64) + LOST + LAG < 1 << N) };
        Self {
            clock: Default::default(),
            clear: Default::default(),
            write: Default::default(),
            data_in: Default::default(),
            almost_full: Default::default(),
            valid: Default::default(),
            ready: Default::default(),
            data_out: Default::default(),
            ram: Default::default(),
            tail: Default::default(),
            head: Default::default(),
            fetched: Default::default(),
            filled: Default::default(),
            first: Default::default(),
            nearly: Default::default(),
            level: Default::default(),
            some: Default::default(),
            full: Default::default(),
            put: Default::default(),
            fetch: Default::default(),
            fill: Default::default(),
            last_place: Constant::new(bits((1 << N) - LOST - 1)),
            limit: Constant::new(bits((1 << N) - LOST - LAG - SPARE as u64)),
        }
    }
}

impl<D: Synth, const N: usize, const SPARE: usize> Logic for Fifo<D, N, SPARE> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, tail, head, fetched, filled, first, nearly, level, some, full
        );
        clock!(self, clock, ram);
        self.put.next = self.write.val() & !self.full.q.val();
        // Two places behind the memory: its read register, then the output register.
        self.fill.next = self.fetched.q.val() & (!self.filled.q.val() | self.ready.val());
        self.fetch.next = self.some.q.val() & (!self.fetched.q.val() | self.fill.val());

        self.ram.write.next = self.put.val();
        self.ram.write_address.next = self.tail.q.val();
        self.ram.write_data.next = self.data_in.val();
        self.ram.enable.next = self.fetch.val();
        self.ram.read_address.next = self.head.q.val();
        if self.put.val() {
            self.tail.d.next = self.tail.q.val() + 1;
        }
        if self.fetch.val() {
            self.head.d.next = self.head.q.val() + 1;
        }
        self.fetched.d.next = self.fetch.val() | (self.fetched.q.val() & !self.fill.val());
        self.filled.d.next = self.fill.val() | (self.filled.q.val() & !self.ready.val());
        if self.fill.val() {
            self.first.d.next = self.ram.data.val();
        }
        if self.put.val() & !self.fetch.val() {
            self.level.d.next = self.level.q.val() + 1;
        }
        if self.fetch.val() & !self.put.val() {
            self.level.d.next = self.level.q.val() - 1;
        }
        self.some.d.next =
            self.put.val() | (self.some.q.val() & !(self.fetch.val() & (self.level.q.val() == 1)));
        self.full.d.next = !self.fetch.val()
            & (self.full.q.val()
                | (self.put.val() & (self.level.q.val() == self.last_place.val())));
        self.nearly.d.next = self.level.q.val() >= self.limit.val();
        if self.clear.val() {
            self.tail.d.next = 0.into();
            self.head.d.next = 0.into();
            self.fetched.d.next = false;
            self.filled.d.next = false;
            self.nearly.d.next = false;
            self.level.d.next = 0.into();
            self.some.d.next = false;
            self.full.d.next = false;
        }

        self.almost_full.next = self.nearly.q.val();
        self.valid.next = self.filled.q.val();
        self.data_out.next = self.first.q.val();
    }
}
