//! Packs items into report units, a whole unit at a time.
//!
//! For wide streams: two items a cycle join the open unit; a closed one gets its CRC as a whole and waits in a FIFO to be sent.

use crate::front::crc::{BeatSum, Linear, ONES, advance};
use crate::parts::Fifo;
use card_protocol::report::{ITEMS, MAGIC, UNIT};
use rust_hdl::prelude::*;

/// Units that can wait: `2^DEPTH - 1`.
const DEPTH: usize = 4;
/// Units that come when no more items are asked for: three in the stages before the FIFO, and those of two more cycles of items.
const UNDER_WAY: usize = 6;
/// Bytes of a unit before its CRC.
const SUMMED: usize = UNIT - 4;

/// Units from items, in beats of `W` bits (256 or 512).
#[derive(LogicBlock)]
pub struct WidePacker<const W: usize> {
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
    /// There is an item, the first of this cycle.
    pub first_valid: Signal<In, Bit>,
    /// The item.
    pub first: Signal<In, Bits<64>>,
    /// There is another, or the only one.
    pub second_valid: Signal<In, Bit>,
    /// The item.
    pub second: Signal<In, Bits<64>>,
    /// Items may come, and those of two more cycles after this falls.
    pub item_ready: Signal<Out, Bit>,

    /// AXI4-Stream out: there is a beat.
    pub tvalid: Signal<Out, Bit>,
    /// The beat.
    pub tdata: Signal<Out, Bits<W>>,
    /// It is a unit's last.
    pub tlast: Signal<Out, Bit>,
    /// It is taken.
    pub tready: Signal<In, Bit>,
    /// Something is here.
    pub busy: Signal<Out, Bit>,
    /// Counters, each one cycle: a unit's last beat is taken.
    pub count_unit: Signal<Out, Bit>,
    /// A beat is offered and not taken.
    pub count_stall: Signal<Out, Bit>,

    // The open unit: how many items, and which.
    open: DFF<Bits<3>>,
    slots: [DFF<Bits<64>>; ITEMS],
    idle: DFF<Bits<16>>,
    expired: DFF<Bit>,
    both: Signal<Local, Bit>,
    any: Signal<Local, Bit>,
    one: Signal<Local, Bits<64>>,
    after: Signal<Local, Bits<3>>,
    filled: [Signal<Local, Bits<64>>; ITEMS],
    word: Signal<Local, Bits<64>>,
    joined: Signal<Local, Bits<384>>,
    close: Signal<Local, Bit>,
    // One is left over for the next unit.
    spills: Signal<Local, Bit>,
    // Stage T: the unit without its CRC; U: what its halves add to the CRC; V: all of it.
    number: DFF<Bits<32>>,
    t_valid: DFF<Bit>,
    t_unit: DFF<Bits<512>>,
    sums: BeatSum<64, 512>,
    u_valid: DFF<Bit>,
    u_unit: DFF<Bits<512>>,
    u_head: DFF<Bits<32>>,
    u_tail: DFF<Bits<32>>,
    head_later: Linear,
    crc: Signal<Local, Bits<32>>,
    v_valid: DFF<Bit>,
    v_unit: DFF<Bits<512>>,
    units: Fifo<Bits<512>, DEPTH, UNDER_WAY>,
    // Units from closed to sent.
    waiting: DFF<Bits<6>>,
    part: DFF<Bits<1>>,
    is_last: Signal<Local, Bit>,
    sent: Signal<Local, Bit>,

    most: Constant<Bits<3>>,
    places: [Constant<Bits<3>>; ITEMS],
    magic: Constant<Bits<512>>,
    first_sum: Constant<Bits<32>>,
    last_part: Constant<Bits<1>>,
}

impl<const W: usize> Default for WidePacker<W> {
    fn default() -> Self {
        assert!(matches!(W, 256 | 512), "beats have 256 or 512 bits");
        Self {
            clock: Signal::default(),
            clear: Signal::default(),
            nonce: Signal::default(),
            linger: Signal::default(),
            more: Signal::default(),
            first_valid: Signal::default(),
            first: Signal::default(),
            second_valid: Signal::default(),
            second: Signal::default(),
            item_ready: Signal::default(),
            tvalid: Signal::default(),
            tdata: Signal::default(),
            tlast: Signal::default(),
            tready: Signal::default(),
            busy: Signal::default(),
            count_unit: Signal::default(),
            count_stall: Signal::default(),
            open: DFF::default(),
            slots: std::array::from_fn(|_| DFF::default()),
            idle: DFF::default(),
            expired: DFF::default(),
            both: Signal::default(),
            any: Signal::default(),
            one: Signal::default(),
            after: Signal::default(),
            filled: std::array::from_fn(|_| Signal::default()),
            word: Signal::default(),
            joined: Signal::default(),
            close: Signal::default(),
            spills: Signal::default(),
            number: DFF::default(),
            t_valid: DFF::default(),
            t_unit: DFF::default(),
            sums: BeatSum::default(),
            u_valid: DFF::default(),
            u_unit: DFF::default(),
            u_head: DFF::default(),
            u_tail: DFF::default(),
            head_later: Linear::advance(UNIT / 2),
            crc: Signal::default(),
            v_valid: DFF::default(),
            v_unit: DFF::default(),
            units: Fifo::default(),
            waiting: DFF::default(),
            part: DFF::default(),
            is_last: Signal::default(),
            sent: Signal::default(),
            most: Constant::new((ITEMS as u64).into()),
            places: std::array::from_fn(|place| Constant::new((place as u64).into())),
            magic: Constant::new(u64::from(MAGIC).into()),
            first_sum: Constant::new(u64::from(advance(ONES, SUMMED)).into()),
            last_part: Constant::new((512 / W as u64 - 1).into()),
        }
    }
}

impl<const W: usize> Logic for WidePacker<W> {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, open, idle, expired, number, t_valid, t_unit);
        dff_setup!(
            self, clock, u_valid, u_unit, u_head, u_tail, v_valid, v_unit
        );
        dff_setup!(self, clock, waiting, part);
        clock!(self, clock, units);

        // Items join the open unit, which closes when it is full, or when there has been none for too long.
        self.any.next = self.first_valid.val() | self.second_valid.val();
        self.both.next = self.first_valid.val() & self.second_valid.val();
        self.one.next = self.second.val();
        if self.first_valid.val() {
            self.one.next = self.first.val();
        }
        self.expired.d.next = (self.idle.q.val() >= self.linger.val()) | !self.more.val();
        self.after.next = self.open.q.val();
        if self.both.val() {
            self.after.next = self.open.q.val() + 2;
        } else if self.any.val() {
            self.after.next = self.open.q.val() + 1;
        }
        if self.any.val() {
            self.close.next = self.after.val() >= self.most.val();
            self.idle.d.next = 0.into();
            self.expired.d.next = false;
        } else {
            self.close.next = self.open.q.val().any() & self.expired.q.val();
            if !self.idle.q.val().all() {
                self.idle.d.next = self.idle.q.val() + 1;
            }
        }
        self.spills.next = self.both.val() & (self.open.q.val() == self.places[5].val());
        self.joined.next = 0.into();
        for i in 0..6 {
            self.slots[i].clock.next = self.clock.val();
            self.filled[i].next = self.slots[i].q.val();
            if self.any.val() & (self.open.q.val() == self.places[i].val()) {
                self.filled[i].next = self.one.val();
            }
            if self.both.val() & ((self.open.q.val() + 1) == self.places[i].val()) {
                self.filled[i].next = self.second.val();
            }
            self.word.next = self.filled[i].val();
            self.joined.next =
                (self.joined.val() >> 64) | (bit_cast::<384, 64>(self.word.val()) << 320);
            self.slots[i].d.next = self.filled[i].val();
            if self.close.val() {
                self.slots[i].d.next = 0.into();
            }
        }
        self.open.d.next = self.after.val();
        if self.close.val() {
            self.open.d.next = 0.into();
            if self.spills.val() {
                self.open.d.next = 1.into();
                self.slots[0].d.next = self.second.val();
            }
            self.number.d.next = self.number.q.val() + 1;
        }

        // The CRC is that of the bytes before it. They stand four bytes higher than they will: zeros before the first byte
        // add nothing.
        self.t_valid.d.next = self.close.val();
        self.t_unit.d.next = (self.magic.val() << 32)
            | (bit_cast::<512, 32>(self.nonce.val()) << 64)
            | (bit_cast::<512, 384>(self.joined.val()) << 96)
            | (bit_cast::<512, 32>(self.number.q.val()) << 480);
        self.sums.data.next = self.t_unit.q.val();
        self.u_valid.d.next = self.t_valid.q.val();
        self.u_unit.d.next = self.t_unit.q.val();
        self.u_head.d.next = self.sums.head.val();
        self.u_tail.d.next = self.sums.tail.val();
        self.head_later.value.next = self.u_head.q.val();
        self.crc.next =
            !(self.head_later.product.val() ^ self.u_tail.q.val() ^ self.first_sum.val());
        self.v_valid.d.next = self.u_valid.q.val();
        self.v_unit.d.next =
            (self.u_unit.q.val() >> 32) | (bit_cast::<512, 32>(self.crc.val()) << 480);

        // Out, a beat at a time.
        self.units.clear.next = self.clear.val();
        self.units.write.next = self.v_valid.q.val();
        self.units.data_in.next = self.v_unit.q.val();
        self.item_ready.next = !self.units.almost_full.val();
        self.tdata.next = bit_cast::<W, 512>(self.units.data_out.val());
        if self.part.q.val().any() {
            self.tdata.next = bit_cast::<W, 512>(self.units.data_out.val() >> 256);
        }
        self.is_last.next = self.part.q.val() == self.last_part.val();
        self.tlast.next = self.is_last.val();
        self.tvalid.next = self.units.valid.val();
        self.units.ready.next = self.tready.val() & self.is_last.val();
        self.sent.next = self.units.valid.val() & self.tready.val() & self.is_last.val();
        if self.units.valid.val() & self.tready.val() {
            self.part.d.next = self.part.q.val() + 1;
            if self.is_last.val() {
                self.part.d.next = 0.into();
            }
        }
        if self.close.val() & !self.sent.val() {
            self.waiting.d.next = self.waiting.q.val() + 1;
        }
        if self.sent.val() & !self.close.val() {
            self.waiting.d.next = self.waiting.q.val() - 1;
        }

        if self.clear.val() {
            self.open.d.next = 0.into();
            for i in 0..6 {
                self.slots[i].d.next = 0.into();
            }
            self.number.d.next = 0.into();
            self.t_valid.d.next = false;
            self.u_valid.d.next = false;
            self.v_valid.d.next = false;
            self.waiting.d.next = 0.into();
            self.part.d.next = 0.into();
        }
        self.busy.next = self.open.q.val().any() | self.waiting.q.val().any();
        self.count_unit.next = self.sent.val();
        self.count_stall.next = self.units.valid.val() & !self.tready.val();
    }
}
