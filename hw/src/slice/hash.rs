//! The keyed hashes of the ends of one slice (`hw/DESIGN.md`, "Hash").

use rust_hdl::prelude::*;

/// Low bits of a hash that filters use.
pub(super) const USED: usize = 24;
/// Bytes that the lanes hash: the seven before the slice's beat, then the beat.
pub(super) const BYTES: usize = 15;

/// The hashes `h(2, e)` to `h(8, e)` of the eight lanes with one key, one cycle after the bytes' terms.
///
/// With `R` for "rotated left by 9": `h(n, e) = h(m, e) ^ R^m h(n - m, e - m)`, so a hash of up to eight bytes is the XOR of two of up
/// to four, which neighbouring lanes share.
#[derive(LogicBlock, Default)]
pub(super) struct Hash {
    pub clock: Signal<In, Clock>,
    /// The bytes' terms, oldest first; lane `i` ends in byte `i + 7`.
    pub terms: [Signal<In, Bits<32>>; BYTES],
    /// The first seven bytes are the last seven of the last beat with `valid`, and need not be looked at.
    pub alone: Signal<In, bool>,
    /// There is a beat.
    pub valid: Signal<In, bool>,
    pub h2: [Signal<Out, Bits<USED>>; 8],
    pub h3: [Signal<Out, Bits<USED>>; 8],
    pub h4: [Signal<Out, Bits<USED>>; 8],
    pub h5: [Signal<Out, Bits<USED>>; 8],
    pub h6: [Signal<Out, Bits<USED>>; 8],
    pub h7: [Signal<Out, Bits<USED>>; 8],
    pub h8: [Signal<Out, Bits<USED>>; 8],
    // The last beat's terms but the first.
    before: [DFF<Bits<32>>; 7],
    // Hashes of one to four bytes: those that end in byte i, i + 1, i + 3 and i + 3.
    one: [Signal<Local, Bits<32>>; BYTES],
    two: [Signal<Local, Bits<32>>; 14],
    three: [Signal<Local, Bits<32>>; 12],
    four: [Signal<Local, Bits<32>>; 12],
    // The same four bytes further back: rotated by 36, which is 4.
    back1: [Signal<Local, Bits<32>>; 8],
    back2: [Signal<Local, Bits<32>>; 8],
    back3: [Signal<Local, Bits<32>>; 8],
    back4: [Signal<Local, Bits<32>>; 8],
    word: Signal<Local, Bits<32>>,
    q2: [DFF<Bits<USED>>; 8],
    q3: [DFF<Bits<USED>>; 8],
    q4: [DFF<Bits<USED>>; 8],
    q5: [DFF<Bits<USED>>; 8],
    q6: [DFF<Bits<USED>>; 8],
    q7: [DFF<Bits<USED>>; 8],
    q8: [DFF<Bits<USED>>; 8],
}

impl Logic for Hash {
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..15 {
            self.one[i].next = self.terms[i].val();
        }
        for i in 0..7 {
            self.before[i].clock.next = self.clock.val();
            self.before[i].d.next = self.before[i].q.val();
            if self.valid.val() {
                self.before[i].d.next = self.terms[i + 8].val();
            }
            if self.alone.val() {
                self.one[i].next = self.before[i].q.val();
            }
        }
        for i in 0..14 {
            self.two[i].next =
                self.one[i + 1].val() ^ ((self.one[i].val() << 9) | (self.one[i].val() >> 23));
        }
        for i in 0..12 {
            self.three[i].next = self.two[i + 2].val()
                ^ ((self.one[i + 1].val() << 18) | (self.one[i + 1].val() >> 14));
            self.four[i].next =
                self.two[i + 2].val() ^ ((self.two[i].val() << 18) | (self.two[i].val() >> 14));
        }
        for i in 0..8 {
            self.back1[i].next = (self.one[i + 3].val() << 4) | (self.one[i + 3].val() >> 28);
            self.back2[i].next = (self.two[i + 2].val() << 4) | (self.two[i + 2].val() >> 28);
            self.back3[i].next = (self.three[i].val() << 4) | (self.three[i].val() >> 28);
            self.back4[i].next = (self.four[i].val() << 4) | (self.four[i].val() >> 28);

            self.q2[i].clock.next = self.clock.val();
            self.q3[i].clock.next = self.clock.val();
            self.q4[i].clock.next = self.clock.val();
            self.q5[i].clock.next = self.clock.val();
            self.q6[i].clock.next = self.clock.val();
            self.q7[i].clock.next = self.clock.val();
            self.q8[i].clock.next = self.clock.val();
            self.word.next = self.two[i + 6].val();
            self.q2[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.three[i + 4].val();
            self.q3[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.four[i + 4].val();
            self.q4[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.four[i + 4].val() ^ self.back1[i].val();
            self.q5[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.four[i + 4].val() ^ self.back2[i].val();
            self.q6[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.four[i + 4].val() ^ self.back3[i].val();
            self.q7[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.word.next = self.four[i + 4].val() ^ self.back4[i].val();
            self.q8[i].d.next = bit_cast::<USED, 32>(self.word.val());
            self.h2[i].next = self.q2[i].q.val();
            self.h3[i].next = self.q3[i].q.val();
            self.h4[i].next = self.q4[i].q.val();
            self.h5[i].next = self.q5[i].q.val();
            self.h6[i].next = self.q6[i].q.val();
            self.h7[i].next = self.q7[i].q.val();
            self.h8[i].next = self.q8[i].q.val();
        }
    }
}
