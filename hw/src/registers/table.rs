//! The table window: holds writes to the memories' sizes, and keeps what is not in memories.

use card_protocol::register::{exact, table};
use card_protocol::{POLYNOMIAL, TABLE_CHECK_SELECT, TABLE_CHECK_WRITE};
use rust_hdl::prelude::*;
use weir_tables::Geometry;

/// Rows of both hashes' key.
const ROWS: usize = 18;
/// Words of the map of one-byte probes.
const SINGLE_WORDS: usize = 8;
/// Memories of filters: `table::FILTER_8A` to `table::FILTER_2`.
const FILTERS: usize = 8;
/// Which of [`Geometry::filters`] each of them is.
const CLASSES: [usize; FILTERS] = [0, 0, 1, 1, 2, 2, 3, 4];

/// One write a cycle; two cycles later it is on the bus to the memories or counted as an error.
#[derive(LogicBlock)]
pub struct TableWindow {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// A word is to be written.
    pub write: Signal<In, Bit>,
    /// To which memory.
    pub select: Signal<In, Bits<32>>,
    /// Where.
    pub address: Signal<In, Bits<32>>,
    /// The word.
    pub data: Signal<In, Bits<32>>,

    /// To all memories: there is a word, one cycle.
    pub write_strobe: Signal<Out, Bit>,
    /// For this memory.
    pub write_select: Signal<Out, Bits<7>>,
    /// Where.
    pub write_address: Signal<Out, Bits<16>>,
    /// The word.
    pub write_data: Signal<Out, Bits<32>>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<Out, Bits<576>>,
    /// The checksum is set to 0; it comes after the writes before.
    pub restart: Signal<In, Bit>,
    /// Checksum over what was written, see [`card_protocol::table_check`].
    pub check: Signal<Out, Bits<32>>,
    /// Counters, each one cycle: written.
    pub count_write: Signal<Out, Bit>,
    /// Refused.
    pub count_error: Signal<Out, Bit>,

    // The write, and which address bits its memory has not.
    p_write: DFF<Bit>,
    p_select: DFF<Bits<7>>,
    p_address: DFF<Bits<32>>,
    p_data: DFF<Bits<32>>,
    p_known: DFF<Bit>,
    p_beyond: DFF<Bits<32>>,
    p_rows: DFF<Bit>,
    way_word: Signal<Local, Bits<3>>,
    beyond: Signal<Local, Bits<32>>,
    known: Signal<Local, Bit>,
    row: Signal<Local, Bits<4>>,
    good: Signal<Local, Bit>,
    strobe: DFF<Bit>,
    out_select: DFF<Bits<7>>,
    out_address: DFF<Bits<16>>,
    out_data: DFF<Bits<32>>,
    error: DFF<Bit>,
    // The checksum: one step for each word on the bus.
    p_restart: DFF<Bit>,
    late_restart: DFF<Bit>,
    check_now: DFF<Bits<32>>,
    feedback: Signal<Local, Bits<32>>,
    place: Signal<Local, Bits<32>>,
    // A row is written a cycle after it was found to be one: so many registers are a long way off.
    row_now: [DFF<Bit>; ROWS],
    row_data: DFF<Bits<32>>,
    key_rows: [DFF<Bits<32>>; ROWS],
    row_value: Signal<Local, Bits<32>>,

    polynomial: Constant<Bits<32>>,
    written: Constant<Bits<32>>,
    select_key: Constant<Bits<32>>,
    select_single: Constant<Bits<32>>,
    beyond_key: Constant<Bits<32>>,
    beyond_single: Constant<Bits<32>>,
    filters: [Constant<Bits<32>>; FILTERS],
    beyond_filters: [Constant<Bits<32>>; FILTERS],
    beyond_exact: Constant<Bits<32>>,
    exact_words: Constant<Bits<3>>,
    bus_key: Constant<Bits<7>>,
    row_at: [Constant<Bits<16>>; ROWS],
    row_bit: [Constant<Bits<16>>; ROWS],
}

/// The bits that no address below 2^`bits` has.
fn beyond(bits: u32) -> Constant<Bits<32>> {
    Constant::new(u64::from(u32::MAX.checked_shl(bits).unwrap_or(0)).into())
}

fn number<const N: usize>(number: usize) -> Constant<Bits<N>> {
    Constant::new((number as u64).into())
}

impl TableWindow {
    /// The window of a core of this size.
    pub fn new(geometry: &Geometry) -> Self {
        const {
            // The kernel knows these: ways from 32 on, eight words apart, and nothing after them.
            assert!(table::EXACT == 32 && table::END == 64);
            assert!(TABLE_CHECK_SELECT == 16);
            assert!(table::FILTER_8A as usize + FILTERS == table::FILTER_2 as usize + 1);
        }
        Self {
            clock: Signal::default(),
            write: Signal::default(),
            select: Signal::default(),
            address: Signal::default(),
            data: Signal::default(),
            write_strobe: Signal::default(),
            write_select: Signal::default(),
            write_address: Signal::default(),
            write_data: Signal::default(),
            key: Signal::default(),
            restart: Signal::default(),
            check: Signal::default(),
            count_write: Signal::default(),
            count_error: Signal::default(),
            p_write: DFF::default(),
            p_select: DFF::default(),
            p_address: DFF::default(),
            p_data: DFF::default(),
            p_known: DFF::default(),
            p_beyond: DFF::default(),
            p_rows: DFF::default(),
            way_word: Signal::default(),
            beyond: Signal::default(),
            known: Signal::default(),
            row: Signal::default(),
            good: Signal::default(),
            strobe: DFF::default(),
            out_select: DFF::default(),
            out_address: DFF::default(),
            out_data: DFF::default(),
            error: DFF::default(),
            p_restart: DFF::default(),
            late_restart: DFF::default(),
            check_now: DFF::default(),
            feedback: Signal::default(),
            place: Signal::default(),
            row_now: std::array::from_fn(|_| DFF::default()),
            row_data: DFF::default(),
            key_rows: std::array::from_fn(|_| DFF::default()),
            row_value: Signal::default(),
            polynomial: Constant::new(u64::from(POLYNOMIAL).into()),
            written: Constant::new(u64::from(TABLE_CHECK_WRITE).into()),
            select_key: number(table::KEY as usize),
            select_single: number(table::SINGLE as usize),
            beyond_key: beyond(5),
            beyond_single: beyond(SINGLE_WORDS.ilog2()),
            filters: std::array::from_fn(|i| number(table::FILTER_8A as usize + i)),
            beyond_filters: CLASSES.map(|class| beyond(geometry.filters[class])),
            beyond_exact: beyond(geometry.exact),
            exact_words: number(exact::WORDS as usize),
            bus_key: number(table::KEY as usize),
            // Rows 0 to 8 of hash 0 are words 0 to 8, those of hash 1 are words 16 to 24.
            row_at: std::array::from_fn(|i| number(16 * (i / 9) + i % 9)),
            row_bit: std::array::from_fn(|i| number(32 * i)),
        }
    }
}

impl Logic for TableWindow {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, p_write, p_select, p_address, p_data, p_known, p_beyond
        );
        dff_setup!(
            self,
            clock,
            p_rows,
            strobe,
            out_select,
            out_address,
            out_data,
            error
        );
        dff_setup!(self, clock, row_data);
        dff_setup!(self, clock, p_restart, late_restart, check_now);

        self.known.next = false;
        self.beyond.next = 0.into();
        self.way_word.next = self.select.val().get_bits::<3>(0);
        if self.select.val() == self.select_key.val() {
            self.known.next = true;
            self.beyond.next = self.beyond_key.val();
        }
        if self.select.val() == self.select_single.val() {
            self.known.next = true;
            self.beyond.next = self.beyond_single.val();
        }
        for i in 0..8 {
            if self.select.val() == self.filters[i].val() {
                self.known.next = true;
                self.beyond.next = self.beyond_filters[i].val();
            }
        }
        if (self.select.val().get_bits::<27>(5) == 1)
            & (self.way_word.val() < self.exact_words.val())
        {
            self.known.next = true;
            self.beyond.next = self.beyond_exact.val();
        }
        self.p_write.d.next = self.write.val();
        self.p_select.d.next = self.select.val().get_bits::<7>(0);
        self.p_address.d.next = self.address.val();
        self.p_data.d.next = self.data.val();
        self.p_known.d.next = self.known.val();
        self.p_beyond.d.next = self.beyond.val();
        self.p_rows.d.next = self.select.val() == self.select_key.val();

        self.row.next = self.p_address.q.val().get_bits::<4>(0);
        self.good.next = self.p_known.q.val()
            & !((self.p_address.q.val() & self.p_beyond.q.val()).any())
            & (!self.p_rows.q.val() | (self.row.val() <= 8));
        self.strobe.d.next = self.p_write.q.val() & self.good.val();
        self.error.d.next = self.p_write.q.val() & !self.good.val();
        self.out_select.d.next = self.p_select.q.val();
        self.out_address.d.next = self.p_address.q.val().get_bits::<16>(0);
        self.out_data.d.next = self.p_data.q.val();

        self.feedback.next = self.check_now.q.val() >> 1;
        if self.check_now.q.val().get_bit(0) {
            self.feedback.next = (self.check_now.q.val() >> 1) ^ self.polynomial.val();
        }
        self.place.next = bit_cast::<32, 16>(self.out_address.q.val())
            | (bit_cast::<32, 7>(self.out_select.q.val()) << 16)
            | self.written.val();
        self.p_restart.d.next = self.restart.val();
        self.late_restart.d.next = self.p_restart.q.val();
        if self.strobe.q.val() {
            self.check_now.d.next = self.feedback.val() ^ self.place.val() ^ self.out_data.q.val();
        }
        if self.late_restart.q.val() {
            self.check_now.d.next = 0.into();
        }
        self.check.next = self.check_now.q.val();

        self.row_data.d.next = self.out_data.q.val();
        self.key.next = 0.into();
        for i in 0..18 {
            self.row_now[i].clock.next = self.clock.val();
            self.key_rows[i].clock.next = self.clock.val();
            self.row_now[i].d.next = self.strobe.q.val()
                & (self.out_select.q.val() == self.bus_key.val())
                & (self.out_address.q.val() == self.row_at[i].val());
            self.key_rows[i].d.next = self.key_rows[i].q.val();
            if self.row_now[i].q.val() {
                self.key_rows[i].d.next = self.row_data.q.val();
            }
            self.row_value.next = self.key_rows[i].q.val();
            self.key.next = self.key.val()
                | (bit_cast::<576, 32>(self.row_value.val()) << self.row_bit[i].val());
        }

        self.write_strobe.next = self.strobe.q.val();
        self.write_select.next = self.out_select.q.val();
        self.write_address.next = self.out_address.q.val();
        self.write_data.next = self.out_data.q.val();
        self.count_write.next = self.strobe.q.val();
        self.count_error.next = self.error.q.val();
    }
}
