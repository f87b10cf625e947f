//! The keyed hash of a byte.

use rust_hdl::prelude::*;

/// A byte's terms in both hashes (`hw/DESIGN.md`, "Hash"), and the byte in lower case. No registers: fold and terms each belong
/// into a cycle of their own, so the terms are those of `folded`, which is `lower` again, perhaps a cycle later.
#[derive(LogicBlock, Default)]
pub struct Term {
    /// The byte as it came.
    pub raw: Signal<In, Bits<8>>,
    /// It in lower case, if it is an ASCII letter.
    pub lower: Signal<Out, Bits<8>>,
    /// A byte in lower case.
    pub folded: Signal<In, Bits<8>>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// The term of `folded` in hash 0.
    pub term_0: Signal<Out, Bits<32>>,
    /// The term of `folded` in hash 1.
    pub term_1: Signal<Out, Bits<32>>,
    sum_0: Signal<Local, Bits<32>>,
    sum_1: Signal<Local, Bits<32>>,
}

impl Logic for Term {
    #[hdl_gen]
    fn update(&mut self) {
        self.lower.next = self.raw.val();
        if (self.raw.val() >= 0x41) & (self.raw.val() <= 0x5A) {
            self.lower.next = self.raw.val() | 0x20;
        }
        self.sum_0.next = self.key.val().get_bits::<32>(256);
        self.sum_1.next = self.key.val().get_bits::<32>(544);
        for i in 0..8 {
            if self.folded.val().get_bit(i) {
                self.sum_0.next = self.sum_0.val() ^ self.key.val().get_bits::<32>(32 * i);
                self.sum_1.next = self.sum_1.val() ^ self.key.val().get_bits::<32>(32 * i + 288);
            }
        }
        self.term_0.next = self.sum_0.val();
        self.term_1.next = self.sum_1.val();
    }
}
