//! Matcher tables and buffers out of an input.
//!
//! Any bytes are some cases, one after another, and what the input lacks at its end is left out:
//!
//! * number of probes (six bits of a byte), and for each: a byte (length less one in the lowest three bits, folded in the
//!   fourth, a mask of groups 0 to 3 in the upper four), and the literal;
//! * number of buffers less one (two bits of a byte), and for each: a byte (group in the lowest two bits, carry in the next
//!   three, pieces less one in the upper three), and for each piece: a byte (length in the lower five bits, how often it
//!   stands there in the upper three, see [`TIMES`]), and its bytes.

use weir_engine::matcher::Probe;
use weir_engine::matcher::testing::{Ask, Case};

/// How often a piece of a buffer is repeated: up to where a matcher goes on to its next chunk.
pub const TIMES: [usize; 8] = [1, 2, 3, 7, 24, 64, 500, 4096];

/// Longest buffer: two chunks of the software matcher, and some.
const MAX_BUFFER: usize = 2 * 4096 + 512;

/// The cases that an input stands for, each with the answers of the definition.
pub struct Cases<'a> {
    rest: &'a [u8],
}

impl<'a> Cases<'a> {
    /// Takes any input.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        head
    }

    fn probe(&mut self) -> Option<Probe> {
        let head = self.byte()?;
        let literal = self.take(usize::from(head & 7) + 1);
        Probe::new(literal, head & 8 != 0, u64::from(head >> 4))
    }

    fn ask(&mut self, probes: &[Probe]) -> Option<Ask> {
        let head = self.byte()?;
        let mut data = Vec::new();
        for _ in 0..=head >> 5 {
            let Some(piece) = self.byte() else { break };
            let bytes = self.take(usize::from(piece & 31));
            let times = TIMES[usize::from(piece >> 5)];
            data.extend(bytes.iter().cycle().take(bytes.len() * times));
            data.truncate(MAX_BUFFER);
        }
        let carry = (head >> 2 & 7).min(data.len().min(7) as u8);
        Some(Ask::new(probes, head & 3, carry, data))
    }
}

impl Iterator for Cases<'_> {
    type Item = Case;

    fn next(&mut self) -> Option<Case> {
        let count = self.byte()? & 63;
        let probes: Vec<Probe> = (0..count).map_while(|_| self.probe()).collect();
        let buffers = self.byte()? & 3;
        let asks = (0..=buffers).map_while(|_| self.ask(&probes)).collect();
        Some(Case {
            name: "input".to_owned(),
            probes,
            asks,
        })
    }
}
