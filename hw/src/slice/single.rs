//! Probes of one byte.

use crate::parts::Delay;
use rust_hdl::prelude::*;

/// Whether each lane's byte is a probe of one byte, six cycles later.
#[derive(LogicBlock)]
pub(super) struct Single {
    pub clock: Signal<In, Clock>,
    /// The map: bit `b` for byte `b`.
    pub map: Signal<In, Bits<256>>,
    pub bytes: [Signal<In, Bits<8>>; 8],
    pub found: Signal<Out, Bits<8>>,
    // The slice's copy of the map, by the byte's high half.
    rows: [DFF<Bits<16>>; 16],
    low: [Signal<Local, Bits<4>>; 8],
    // For lane i and each high half j, at 16i + j: what the map has for the byte's low half.
    column: [DFF<bool>; 128],
    columns: [Signal<Local, Bits<16>>; 8],
    high: [DFF<Bits<4>>; 8],
    sum: Signal<Local, Bits<8>>,
    late: Delay<Bits<8>, 5>,
}

impl Default for Single {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            map: Default::default(),
            bytes: Default::default(),
            found: Default::default(),
            rows: Default::default(),
            low: Default::default(),
            column: std::array::from_fn(|_| Default::default()),
            columns: Default::default(),
            high: Default::default(),
            sum: Default::default(),
            late: Default::default(),
        }
    }
}

impl Logic for Single {
    #[hdl_gen]
    fn update(&mut self) {
        for j in 0..16 {
            self.rows[j].clock.next = self.clock.val();
            self.rows[j].d.next = self.map.val().get_bits::<16>(16 * j);
        }
        self.sum.next = 0.into();
        for i in 0..8 {
            self.low[i].next = self.bytes[i].val().get_bits::<4>(0);
            self.high[i].clock.next = self.clock.val();
            self.high[i].d.next = self.bytes[i].val().get_bits::<4>(4);
            self.columns[i].next = 0.into();
            for j in 0..16 {
                self.column[16 * i + j].clock.next = self.clock.val();
                self.column[16 * i + j].d.next =
                    self.rows[j].q.val().get_bit(self.low[i].val().index());
                if self.column[16 * i + j].q.val() {
                    self.columns[i].next = self.columns[i].val().replace_bit(j, true);
                }
            }
            if self.columns[i].val().get_bit(self.high[i].q.val().index()) {
                self.sum.next = self.sum.val().replace_bit(i, true);
            }
        }
        self.late.clock.next = self.clock.val();
        self.late.d.next = self.sum.val();
        self.found.next = self.late.q.val();
    }
}
