//! Packs items into report units and sends them.
//!
//! Items wait in one FIFO, the number of items of each closed unit in another; so a unit is sent while the next ones fill.

use crate::front::crc::{BeatSum, Linear, ONES, advance};
use crate::parts::Fifo;
use card_protocol::report::{ITEMS, MAGIC};
use rust_hdl::prelude::*;

/// Items that can wait: `2^DEPTH - 1`, and so many units at most.
const DEPTH: usize = 5;
/// Items that come when no more are asked for.
const UNDER_WAY: usize = 2;

/// Units from items.
#[derive(LogicBlock)]
pub struct Packer {
    /// The one clock.
    pub clock: Signal<In, Clock>,
    /// Forgets everything; the next unit is number 0.
    pub clear: Signal<In, Bit>,
    /// The session's nonce.
    pub nonce: Signal<In, Bits<32>>,
    /// Cycles without an item after which a unit is closed.
    pub linger: Signal<In, Bits<16>>,
    /// More items may come without more input: a unit stays open.
    pub more: Signal<In, Bit>,
    /// There is an item.
    pub item_valid: Signal<In, Bit>,
    /// The item.
    pub item: Signal<In, Bits<64>>,
    /// Items may come, and two more after this falls.
    pub item_ready: Signal<Out, Bit>,

    /// AXI4-Stream out: there is a word.
    pub tvalid: Signal<Out, Bit>,
    /// The word.
    pub tdata: Signal<Out, Bits<64>>,
    /// It is a unit's last.
    pub tlast: Signal<Out, Bit>,
    /// It is taken.
    pub tready: Signal<In, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters, each one cycle: a unit's last word is taken.
    pub count_unit: Signal<Out, Bit>,
    /// A word is offered and not taken.
    pub count_stall: Signal<Out, Bit>,

    // Closing units.
    items: Fifo<Bits<64>, DEPTH, UNDER_WAY>,
    units: Fifo<Bits<3>, DEPTH, 0>,
    open: DFF<Bits<3>>,
    idle: DFF<Bits<16>>,
    // The FIFO's output registers hold units, too.
    waiting: DFF<Bits<{ DEPTH + 1 }>>,
    expired: DFF<Bit>,
    close: Signal<Local, Bit>,
    next_open: Signal<Local, Bits<3>>,
    // Word by word. Stage S: which word; T: the word; U: what it adds to the CRC; then the output.
    active: DFF<Bit>,
    size: DFF<Bits<3>>,
    index: DFF<Bits<3>>,
    number: DFF<Bits<32>>,
    shift: Signal<Local, Bit>,
    is_item: Signal<Local, Bit>,
    put: Signal<Local, Bit>,
    ended: Signal<Local, Bit>,
    begin_unit: Signal<Local, Bit>,
    word: Signal<Local, Bits<64>>,
    beat_sum: BeatSum<8, 64>,
    t_valid: DFF<Bit>,
    t_first: DFF<Bit>,
    t_last: DFF<Bit>,
    t_word: DFF<Bits<64>>,
    u_valid: DFF<Bit>,
    u_first: DFF<Bit>,
    u_last: DFF<Bit>,
    u_word: DFF<Bits<64>>,
    u_sum: DFF<Bits<32>>,
    next_sum: Linear,
    last_sum: Linear,
    crc: Signal<Local, Bits<32>>,
    sum: DFF<Bits<32>>,
    o_valid: DFF<Bit>,
    o_last: DFF<Bit>,
    o_word: DFF<Bits<64>>,

    most: Constant<Bits<3>>,
    magic: Constant<Bits<64>>,
    first_sum: Constant<Bits<32>>,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            nonce: Signal::default(),
            linger: Signal::default(),
            more: Signal::default(),
            item_valid: Signal::default(),
            item: Signal::default(),
            item_ready: Signal::default(),
            tvalid: Signal::default(),
            tdata: Signal::default(),
            tlast: Signal::default(),
            tready: Signal::default(),
            busy: Signal::default(),
            count_unit: Signal::default(),
            count_stall: Signal::default(),
            items: Fifo::default(),
            units: Fifo::default(),
            open: DFF::default(),
            idle: DFF::default(),
            waiting: DFF::default(),
            expired: DFF::default(),
            close: Signal::default(),
            next_open: Signal::default(),
            active: DFF::default(),
            size: DFF::default(),
            index: DFF::default(),
            number: DFF::default(),
            shift: Signal::default(),
            is_item: Signal::default(),
            put: Signal::default(),
            ended: Signal::default(),
            begin_unit: Signal::default(),
            word: Signal::default(),
            beat_sum: BeatSum::default(),
            t_valid: DFF::default(),
            t_first: DFF::default(),
            t_last: DFF::default(),
            t_word: DFF::default(),
            u_valid: DFF::default(),
            u_first: DFF::default(),
            u_last: DFF::default(),
            u_word: DFF::default(),
            u_sum: DFF::default(),
            next_sum: Linear::advance(8),
            // The last word's lower half is in the CRC, its upper half is the CRC.
            last_sum: Linear::advance(4),
            crc: Signal::default(),
            sum: DFF::default(),
            o_valid: DFF::default(),
            o_last: DFF::default(),
            o_word: DFF::default(),
            most: Constant::new((ITEMS as u64).into()),
            magic: Constant::new(u64::from(MAGIC).into()),
            first_sum: Constant::new(u64::from(advance(ONES, 8)).into()),
        }
    }
}

impl Logic for Packer {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, open, idle, waiting, expired, active, size, index
        );
        dff_setup!(self, clock, number, t_valid, t_first, t_last, t_word);
        dff_setup!(self, clock, u_valid, u_first, u_last, u_word, u_sum);
        dff_setup!(self, clock, sum, o_valid, o_last, o_word);
        clock!(self, clock, items, units);

        // An item joins the open unit, which closes when it is full, or when there has been none for too long.
        self.items.clear.next = self.clear.val();
        self.items.write.next = self.item_valid.val();
        self.items.data_in.next = self.item.val();
        self.item_ready.next = !self.items.almost_full.val();
        self.expired.d.next = (self.idle.q.val() >= self.linger.val()) | !self.more.val();
        if self.item_valid.val() {
            self.next_open.next = self.open.q.val() + 1;
            self.close.next = self.next_open.val() == self.most.val();
            self.idle.d.next = 0.into();
            self.expired.d.next = false;
        } else {
            self.next_open.next = self.open.q.val();
            self.close.next = self.open.q.val().any() & self.expired.q.val();
            if !self.idle.q.val().all() {
                self.idle.d.next = self.idle.q.val() + 1;
            }
        }
        self.open.d.next = self.next_open.val();
        if self.close.val() {
            self.open.d.next = 0.into();
        }
        self.units.clear.next = self.clear.val();
        self.units.write.next = self.close.val();
        self.units.data_in.next = self.next_open.val();

        // Word by word, as the output moves.
        self.shift.next = !self.o_valid.q.val() | self.tready.val();
        self.is_item.next = self.index.q.val().any() & (self.index.q.val() <= self.size.q.val());
        self.put.next =
            self.active.q.val() & self.shift.val() & (!self.is_item.val() | self.items.valid.val());
        self.items.ready.next = self.put.val() & self.is_item.val();
        self.ended.next = self.put.val() & self.index.q.val().all();
        self.begin_unit.next = self.units.valid.val() & (!self.active.q.val() | self.ended.val());
        self.units.ready.next = self.begin_unit.val();
        if self.put.val() {
            self.index.d.next = self.index.q.val() + 1;
        }
        if self.ended.val() {
            self.active.d.next = false;
            self.number.d.next = self.number.q.val() + 1;
        }
        if self.begin_unit.val() {
            self.active.d.next = true;
            self.size.d.next = self.units.data_out.val();
        }
        if self.close.val() & !self.begin_unit.val() {
            self.waiting.d.next = self.waiting.q.val() + 1;
        }
        if self.begin_unit.val() & !self.close.val() {
            self.waiting.d.next = self.waiting.q.val() - 1;
        }

        self.word.next = 0.into();
        if !self.index.q.val().any() {
            self.word.next = self.magic.val() | (bit_cast::<64, 32>(self.nonce.val()) << 32);
        } else if self.index.q.val().all() {
            self.word.next = bit_cast::<64, 32>(self.number.q.val());
        } else if self.is_item.val() {
            self.word.next = self.items.data_out.val();
        }
        self.beat_sum.data.next = self.t_word.q.val();
        self.next_sum.value.next = self.sum.q.val();
        self.last_sum.value.next = self.sum.q.val() ^ self.u_word.q.val().get_bits::<32>(0);
        self.crc.next = !self.last_sum.product.val();
        if self.shift.val() {
            self.t_valid.d.next = self.put.val();
            self.t_first.d.next = !self.index.q.val().any();
            self.t_last.d.next = self.index.q.val().all();
            self.t_word.d.next = self.word.val();
            self.u_valid.d.next = self.t_valid.q.val();
            self.u_first.d.next = self.t_first.q.val();
            self.u_last.d.next = self.t_last.q.val();
            self.u_word.d.next = self.t_word.q.val();
            self.u_sum.d.next = self.beat_sum.head.val();
            self.o_valid.d.next = self.u_valid.q.val();
            self.o_last.d.next = self.u_last.q.val();
            self.o_word.d.next = self.u_word.q.val();
            if self.u_last.q.val() {
                self.o_word.d.next =
                    self.u_word.q.val() | (bit_cast::<64, 32>(self.crc.val()) << 32);
            }
            if self.u_valid.q.val() {
                if self.u_first.q.val() {
                    self.sum.d.next = self.first_sum.val() ^ self.u_sum.q.val();
                } else {
                    self.sum.d.next = self.next_sum.product.val() ^ self.u_sum.q.val();
                }
            }
        }

        if self.clear.val() {
            self.open.d.next = 0.into();
            self.waiting.d.next = 0.into();
            self.active.d.next = false;
            self.index.d.next = 0.into();
            self.number.d.next = 0.into();
            self.t_valid.d.next = false;
            self.u_valid.d.next = false;
            self.o_valid.d.next = false;
        }

        self.tvalid.next = self.o_valid.q.val();
        self.tdata.next = self.o_word.q.val();
        self.tlast.next = self.o_last.q.val();
        self.busy.next = self.open.q.val().any()
            | self.waiting.q.val().any()
            | self.active.q.val()
            | self.t_valid.q.val()
            | self.u_valid.q.val()
            | self.o_valid.q.val();
        self.count_unit.next = self.o_valid.q.val() & self.o_last.q.val() & self.tready.val();
        self.count_stall.next = self.o_valid.q.val() & !self.tready.val();
    }
}
