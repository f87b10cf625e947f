//! Memory.

use rust_hdl::prelude::*;

/// Address bits up to which a memory is made of look-up tables.
const SMALL: usize = 5;

/// A memory of `2^N` words with one read port and one write port.
///
/// With `LATENCY` 1, `data` is the word that stood at `read_address` at the last edge with `enable`; with 2 it goes through a register
/// (without enable) and comes one edge later. What the memory holds at power-up is not defined.
///
/// With `KEEPS`, a word that is written at the same edge as it is read is read as it was before. Block memories do not promise that: it costs
/// a comparator and a multiplexer behind every one. Without `KEEPS` such a word may be anything, and simulation reads zero, so that who counts on
/// it is found out.
#[derive(LogicBlock)]
pub struct Ram<D: Synth, const N: usize, const LATENCY: usize, const KEEPS: bool> {
    /// Clock.
    pub clock: Signal<In, Clock>,
    /// Word to read.
    pub read_address: Signal<In, Bits<N>>,
    /// Whether to read; else the word read last stays.
    pub enable: Signal<In, bool>,
    /// The word.
    pub data: Signal<Out, D>,
    /// Word to write.
    pub write_address: Signal<In, Bits<N>>,
    /// What to write.
    pub write_data: Signal<In, D>,
    /// Whether to write.
    pub write: Signal<In, bool>,
    // Rust-HDL leaves out of the circuit what begins with an underscore.
    _words: Vec<D>,
    _first: D,
}

impl<D: Synth, const N: usize, const LATENCY: usize, const KEEPS: bool> Default
    for Ram<D, N, LATENCY, KEEPS>
{
    fn default() -> Self {
        const { assert!(LATENCY == 1 || LATENCY == 2) };
        Self {
            clock: Default::default(),
            read_address: Default::default(),
            enable: Default::default(),
            data: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write: Default::default(),
            _words: vec![D::default(); 1 << N],
            _first: D::default(),
        }
    }
}

/// An address as an index; below `2^N` by its type.
fn index<const N: usize>(address: Bits<N>) -> usize {
    address.to_u64() as usize
}

impl<D: Synth, const N: usize, const LATENCY: usize, const KEEPS: bool> Logic
    for Ram<D, N, LATENCY, KEEPS>
{
    fn update(&mut self) {
        if !self.clock.pos_edge() {
            return;
        }
        let before = self._first;
        if self.enable.val() {
            let collides = self.write.val() && self.write_address.val() == self.read_address.val();
            self._first = if collides && !KEEPS {
                D::default()
            } else {
                self._words[index(self.read_address.val())]
            };
        }
        self.data.next = if LATENCY == 1 { self._first } else { before };
        if self.write.val() {
            self._words[index(self.write_address.val())] = self.write_data.val();
        }
    }

    fn connect(&mut self) {
        self.data.connect();
    }

    fn hdl(&self) -> Verilog {
        let style = if N <= SMALL { "distributed" } else { "block" };
        let width = D::BITS - 1;
        let words = (1usize << N) - 1;
        let (register, first, last) = if LATENCY == 1 {
            (String::new(), "data", "")
        } else {
            (
                format!("reg [{width}:0] first;\n"),
                "first",
                "   data <= first;\n",
            )
        };
        let (unchecked, collision) = if KEEPS {
            ("", String::new())
        } else {
            let collision = format!(
                "
`ifndef SYNTHESIS
      if (write && write_address == read_address) {first} <= 0;
`endif"
            );
            ("no_rw_check, ", collision)
        };
        Verilog::Custom(format!(
            "\
(* {unchecked}ram_style = \"{style}\" *) reg [{width}:0] mem [0:{words}];
{register}
always @(posedge clock) begin
   if (enable) begin
      {first} <= mem[read_address];{collision}
   end
{last}   if (write) begin
      mem[write_address] <= write_data;
   end
end
"
        ))
    }

    fn timing(&self) -> Vec<TimingInfo> {
        vec![TimingInfo {
            name: "ram".into(),
            clock: "clock".into(),
            inputs: [
                "read_address",
                "enable",
                "write_address",
                "write_data",
                "write",
            ]
            .map(String::from)
            .to_vec(),
            outputs: vec!["data".into()],
        }]
    }
}
