//! The golden model as a core: without clock, so it takes and answers all there is at once.

use card_protocol::register::{
    CONTROL, CONTROL_ENABLE, CONTROL_FLUSH, GENERATION_EVEN, GENERATION_ODD, LIMIT, LINGER, NONCE,
    TABLE_ADDRESS, TABLE_SELECT,
};
use weir_tables::{Geometry, Golden, Write};

use crate::SimError;
use crate::core::{Access, Core, Until, Wires};

/// The golden model behind the core's streams and registers.
pub struct Modelled {
    golden: Golden,
    geometry: Geometry,
    wires: Wires,
}

impl Modelled {
    /// A core as it is after configuration.
    pub fn new(geometry: Geometry) -> Self {
        let mut core = Self {
            golden: Golden::new(geometry),
            geometry,
            wires: Wires::default(),
        };
        core.clear();
        core
    }

    /// What a reset does; memories stay as they are.
    fn clear(&mut self) {
        self.wires.clear();
        for (address, value) in [
            (CONTROL, CONTROL_FLUSH),
            (NONCE, 0),
            (GENERATION_EVEN, 0),
            (GENERATION_ODD, 0),
            (LIMIT, 0xFFFF),
            (LINGER, 64),
            (TABLE_SELECT, 0),
            (TABLE_ADDRESS, 0),
        ] {
            self.golden.write(address, value);
        }
    }

    /// The model itself.
    pub fn golden(&mut self) -> &mut Golden {
        &mut self.golden
    }
}

impl Core for Modelled {
    fn name(&self) -> &'static str {
        "model"
    }

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.wires
    }

    fn reset(&mut self) -> Result<(), SimError> {
        self.clear();
        Ok(())
    }

    fn run(&mut self, _cycles: u64, _until: Until) -> Result<(), SimError> {
        let wires = &mut self.wires;
        for access in wires.accesses.drain(..) {
            match access {
                Access::Write { address, value } => self.golden.write(address, value),
                Access::Read { address } => wires.answers.push_back(self.golden.read(address)),
            }
        }
        let lanes = self.geometry.lanes;
        let whole = wires.input().len() / lanes * lanes;
        let mut output = std::mem::take(&mut wires.output);
        let before = output.len();
        let taken = self.golden.feed(&wires.input()[..whole], &mut output);
        wires.totals.beats += (taken / lanes) as u64;
        wires.totals.output += (output.len() - before) as u64;
        wires.output = output;
        wires.took(taken);
        Ok(())
    }

    fn upset(&mut self, write: Write) -> bool {
        self.golden.upset(write)
    }

    fn flush(&mut self) -> Result<(), SimError> {
        self.wires.clear();
        self.golden.write(CONTROL, CONTROL_ENABLE | CONTROL_FLUSH);
        Ok(())
    }
}
