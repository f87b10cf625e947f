//! CRC-32 of whole beats.
//!
//! The CRC's state is linear over GF(2): a word of data followed by `n` bytes adds `advance(n + 4)` of the word to the state, and a
//! beat turns the state into `advance(lanes)` of itself plus what the beat adds. So all is made of one circuit, [`Linear`].

use card_protocol::POLYNOMIAL;
use rust_hdl::prelude::*;

/// The state before the first byte, and what is XORed to the last one.
pub const ONES: u32 = u32::MAX;
/// Words of the widest beat.
const WORDS: usize = 16;

/// The state after as many zero bytes.
pub fn advance(state: u32, bytes: usize) -> u32 {
    (0..bytes * 8).fold(state, |state, _| {
        (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 }
    })
}

/// Multiplies a 32-bit vector with a fixed matrix over GF(2), without a register.
#[derive(LogicBlock)]
pub struct Linear {
    /// The vector.
    pub value: Signal<In, Bits<32>>,
    /// Matrix times vector.
    pub product: Signal<Out, Bits<32>>,
    rows: [Constant<Bits<32>>; 32],
    sum: Signal<Local, Bits<32>>,
}

impl Linear {
    fn new(image: impl Fn(u32) -> u32) -> Self {
        let columns: [u32; 32] = std::array::from_fn(|bit| image(1 << bit));
        let row = |j: usize| (0..32).fold(0, |row: u32, i| row | (columns[i] >> j & 1) << i);
        Self {
            value: Signal::default(),
            product: Signal::default(),
            rows: std::array::from_fn(|j| Constant::new(u64::from(row(j)).into())),
            sum: Signal::default(),
        }
    }

    /// The state after as many zero bytes; the state itself if 0.
    pub fn advance(bytes: usize) -> Self {
        Self::new(|state| advance(state, bytes))
    }

    /// Zero, whatever the vector.
    pub fn zero() -> Self {
        Self::new(|_| 0)
    }
}

impl Logic for Linear {
    #[hdl_gen]
    fn update(&mut self) {
        self.sum.next = 0.into();
        for j in 0..32 {
            self.sum.next = self
                .sum
                .val()
                .replace_bit(j, (self.value.val() & self.rows[j].val()).xor());
        }
        self.product.next = self.sum.val();
    }
}

/// What the first 32 bytes (or all, if the beat has fewer) and the rest of a beat add to the state, each at its own end. No
/// register.
#[derive(LogicBlock)]
pub struct BeatSum<const L: usize, const W: usize> {
    /// The beat.
    pub data: Signal<In, Bits<W>>,
    /// What lanes 0 to 31 add at the end of the last of them.
    pub head: Signal<Out, Bits<32>>,
    /// What lanes 32 to 63 add at the beat's end.
    pub tail: Signal<Out, Bits<32>>,
    words: Vec<Linear>,
    // Two trees: 16 leaves, then each two nodes' sum. Chains of XOR would stay chains in synthesis.
    tree: [Signal<Local, Bits<32>>; 2 * WORDS - 2],
}

impl<const L: usize, const W: usize> BeatSum<L, W> {
    const LEAVES: usize = L / 4;
}

impl<const L: usize, const W: usize> Default for BeatSum<L, W> {
    fn default() -> Self {
        let half = L.min(32);
        Self {
            data: Signal::default(),
            head: Signal::default(),
            tail: Signal::default(),
            words: (0..Self::LEAVES)
                .map(|word| Linear::advance(half - 4 * word % half))
                .collect(),
            tree: std::array::from_fn(|_| Signal::default()),
        }
    }
}

impl<const L: usize, const W: usize> Logic for BeatSum<L, W> {
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..16 {
            self.tree[i].next = 0.into();
        }
        for i in 0..Self::LEAVES {
            self.words[i].value.next = self.data.val().get_bits::<32>(i * 32);
            self.tree[i].next = self.words[i].product.val();
        }
        for i in 0..14 {
            self.tree[i + 16].next = self.tree[2 * i].val() ^ self.tree[2 * i + 1].val();
        }
        self.head.next = self.tree[28].val();
        self.tail.next = self.tree[29].val();
    }
}
