//! The keyed hash of a byte.

use rust_hdl::prelude::*;

/// A byte in lower case, if it is an ASCII letter.
#[derive(LogicBlock, Default)]
pub struct Lower {
    /// The byte as it came.
    pub raw: Signal<In, Bits<8>>,
    /// It in lower case.
    pub lower: Signal<Out, Bits<8>>,
}

impl Logic for Lower {
    #[hdl_gen]
    fn update(&mut self) {
        self.lower.next = self.raw.val();
        if (self.raw.val() >= 0x41) & (self.raw.val() <= 0x5A) {
            self.lower.next = self.raw.val() | 0x20;
        }
    }
}

/// Fills memories that have the terms (`hw/DESIGN.md`, "Hash") of all bytes: hash 0 at bits 31..0 of a word, hash 1 at bits 63..32.
///
/// A memory a byte is far smaller than the sums of key rows are in logic, and takes eight wires where those take the whole key. It is filled
/// anew, a word in four cycles or more, when the key has been written; until that is done, no byte is to be looked up. Only cycles in
/// which none is read are written in.
#[derive(LogicBlock, Default)]
pub struct Terms {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Key rows, row r of hash k at bit 32·(9k + r).
    pub key: Signal<In, Bits<576>>,
    /// The key has changed.
    pub renew: Signal<In, bool>,
    /// No memory is read in this cycle.
    pub gap: Signal<In, bool>,
    /// Word that is written: the byte.
    pub address: Signal<Out, Bits<8>>,
    /// Its terms.
    pub data: Signal<Out, Bits<64>>,
    /// Now.
    pub write: Signal<Out, bool>,
    /// All words are those of the key.
    pub done: Signal<Out, bool>,
    // The next byte, and how long it has been that.
    count: DFF<Bits<9>>,
    age: DFF<Bits<2>>,
    lower: Lower,
    folded: DFF<Bits<8>>,
    sum_0: Signal<Local, Bits<32>>,
    sum_1: Signal<Local, Bits<32>>,
    terms: DFF<Bits<64>>,
    put: Signal<Local, bool>,
}

impl Logic for Terms {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count, age, folded, terms);
        // One cycle for the fold, one for the sums, one to spare.
        self.lower.raw.next = bit_cast::<8, 9>(self.count.q.val());
        self.folded.d.next = self.lower.lower.val();
        self.sum_0.next = self.key.val().get_bits::<32>(256);
        self.sum_1.next = self.key.val().get_bits::<32>(544);
        for i in 0..8 {
            if self.folded.q.val().get_bit(i) {
                self.sum_0.next = self.sum_0.val() ^ self.key.val().get_bits::<32>(32 * i);
                self.sum_1.next = self.sum_1.val() ^ self.key.val().get_bits::<32>(32 * i + 288);
            }
        }
        self.terms.d.next =
            bit_cast::<64, 32>(self.sum_0.val()) | (bit_cast::<64, 32>(self.sum_1.val()) << 32);

        self.put.next = self.age.q.val().all() & self.gap.val() & !self.count.q.val().get_bit(8);
        if !self.age.q.val().all() {
            self.age.d.next = self.age.q.val() + 1;
        }
        if self.put.val() {
            self.count.d.next = self.count.q.val() + 1;
            self.age.d.next = 0.into();
        }
        if self.renew.val() {
            self.count.d.next = 0.into();
            self.age.d.next = 0.into();
        }
        self.address.next = bit_cast::<8, 9>(self.count.q.val());
        self.data.next = self.terms.q.val();
        self.write.next = self.put.val();
        self.done.next = self.count.q.val().get_bit(8);
    }
}

/// A key's rows as they stand at [`Terms::key`].
#[cfg(test)]
pub(crate) fn key_bits(rows: &[[u32; 9]; 2]) -> Bits<576> {
    let mut bits = Bits::<576>::default();
    for (at, &row) in rows.iter().flatten().enumerate() {
        bits.set_bits::<32>(32 * at, u64::from(row).into());
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::Dice;
    use crate::parts::run::{settle, tick};
    use weir_tables::{Hash, Key};

    #[test]
    fn fills_in_gaps_with_the_terms_of_the_key() {
        let mut dice = Dice(3);
        let mut terms = Terms::default();
        terms.connect_all();
        let mut words = [None; 256];
        let keys = [Key::from_seed(1), Key::from_seed(2)];
        terms.key.next = key_bits(keys[0].rows());
        for cycle in 0..8000 {
            // Another key while the words of the first are written; later there is only one cycle in two to write in.
            let renew = cycle == 0 || cycle == 500;
            if cycle == 500 {
                terms.key.next = key_bits(keys[1].rows());
                words = [None; 256];
            }
            terms.renew.next = renew;
            terms.gap.next = !renew && dice.one_in(2);
            settle(&mut terms);
            if terms.write.val() {
                assert!(
                    terms.gap.val(),
                    "cycle {cycle}: a word is written while one is read"
                );
                let (byte, data) = (terms.address.val().to_u64(), terms.data.val().to_u64());
                words[byte as usize] = Some(data);
            }
            let all = words.iter().all(Option::is_some);
            if cycle > 500 {
                assert!(all || !terms.done.val(), "cycle {cycle}: done too early");
            }
            tick(&mut terms, |terms| &mut terms.clock);
        }
        assert!(terms.done.val(), "not done in 7500 cycles");
        let hash = Hash::new(&keys[1]);
        for (byte, word) in (0..=255u8).zip(words) {
            let [first, second] = hash.of(&[byte]).map(u64::from);
            assert_eq!(word, Some(first | second << 32), "byte {byte}");
        }
    }
}
