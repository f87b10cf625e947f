//! A core at the other end of a link, for a session to be used on.

use std::path::Path;
use std::time::Duration;

use card_protocol::report::UNIT;
use card_shm::{Host, ShmError};
use weir_sim::SimError;
use weir_sim::core::{Access, Core, Until, Wires};
use weir_tables::Geometry;
use xdma_rs::{Buffer, CardToHost, Device, HostToCard, ReadOptions, Registers, WriteOptions};

use super::LONG;

/// A run that waits for output takes so long at most.
const STEP: Duration = Duration::from_millis(100);

enum Way {
    Shm(Host),
    Nodes(Registers, HostToCard, CardToHost),
}

/// The link as a core: its input is sent, its output received.
pub struct Remote {
    way: Way,
    geometry: Geometry,
    wires: Wires,
    bytes: Buffer,
}

fn told(error: impl std::fmt::Display) -> SimError {
    SimError::Tables(error.to_string())
}

impl Remote {
    pub fn shm(path: &Path, geometry: Geometry) -> Self {
        Self::new(Way::Shm(Host::open(path, LONG).expect("opens")), geometry)
    }

    pub fn nodes(device: &Device, geometry: Geometry) -> Self {
        let registers = device.user().expect("opens");
        let to = device
            .host_to_card(0, WriteOptions::default())
            .expect("opens");
        let from = device
            .card_to_host(0, ReadOptions::default())
            .expect("opens");
        Self::new(Way::Nodes(registers, to, from), geometry)
    }

    fn new(way: Way, geometry: Geometry) -> Self {
        Self {
            way,
            geometry,
            wires: Wires::default(),
            bytes: Buffer::new(1 << 16),
        }
    }
}

impl Core for Remote {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn wires(&mut self) -> &mut Wires {
        &mut self.wires
    }

    fn reset(&mut self) -> Result<(), SimError> {
        self.flush()
    }

    fn run(&mut self, _cycles: u64, until: Until) -> Result<(), SimError> {
        for access in self.wires.take_accesses() {
            match (&mut self.way, access) {
                (Way::Shm(host), Access::Write { address, value }) => {
                    host.registers
                        .write(&[(address, value)], LONG)
                        .map_err(told)?;
                }
                (Way::Shm(host), Access::Read { address }) => {
                    let value = host.registers.read(address, LONG).map_err(told)?;
                    self.wires.answered(value);
                }
                (Way::Nodes(registers, ..), Access::Write { address, value }) => {
                    registers.write(address, value).map_err(told)?;
                }
                (Way::Nodes(registers, ..), Access::Read { address }) => {
                    let value = registers.read(address).map_err(told)?;
                    self.wires.answered(value);
                }
            }
        }
        let input = self.wires.take_input();
        if !input.is_empty() {
            match &mut self.way {
                Way::Shm(host) => host.sender.send(&input, LONG).map_err(told)?,
                Way::Nodes(_, to, _) => to.write(&input).map_err(told)?,
            }
        }
        if until != Until::Output {
            return Ok(());
        }
        let got = match &mut self.way {
            Way::Shm(host) => match host.receiver.receive(&mut self.bytes, STEP) {
                Err(ShmError::TimedOut { .. }) => 0,
                got => got.map_err(told)?,
            },
            Way::Nodes(_, _, from) => match from.read(&mut self.bytes) {
                Err(error) if error.is_timeout() => 0,
                got => got.map_err(told)?,
            },
        };
        assert_eq!(got % UNIT, 0, "whole units");
        self.wires.put_output(&self.bytes[..got]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SimError> {
        self.write(card_protocol::register::CONTROL, 3)
    }
}
