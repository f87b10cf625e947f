//! Probes of one byte.

use crate::parts::{Delay, Ram};
use rust_hdl::prelude::*;

/// Whether each lane's byte is a probe of one byte, six cycles later.
#[derive(LogicBlock, Default)]
pub(super) struct Single {
    pub clock: Signal<In, Clock>,
    pub bytes: [Signal<In, Bits<8>>; 8],
    pub found: Signal<Out, Bits<8>>,
    /// Word of the map that is written: bit `b` for byte `32 · address + b`.
    pub address: Signal<In, Bits<3>>,
    pub data: Signal<In, Bits<32>>,
    /// Now; no byte of this cycle counts.
    pub write: Signal<In, bool>,
    // Each lane's copy of the map.
    maps: [Ram<Bits<32>, 3, 1, false>; 8],
    low: [DFF<Bits<5>>; 8],
    sum: Signal<Local, Bits<8>>,
    late: Delay<Bits<8>, 5>,
}

impl Logic for Single {
    #[hdl_gen]
    fn update(&mut self) {
        self.sum.next = 0.into();
        for i in 0..8 {
            self.maps[i].clock.next = self.clock.val();
            self.maps[i].enable.next = true;
            self.maps[i].read_address.next = self.bytes[i].val().get_bits::<3>(5);
            self.maps[i].write_address.next = self.address.val();
            self.maps[i].write_data.next = self.data.val();
            self.maps[i].write.next = self.write.val();
            self.low[i].clock.next = self.clock.val();
            self.low[i].d.next = self.bytes[i].val().get_bits::<5>(0);
            if self.maps[i].data.val().get_bit(self.low[i].q.val().index()) {
                self.sum.next = self.sum.val().replace_bit(i, true);
            }
        }
        self.late.clock.next = self.clock.val();
        self.late.d.next = self.sum.val();
        self.found.next = self.late.q.val();
    }
}
