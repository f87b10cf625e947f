//! Waveforms of a simulation.

use std::fs;
use std::path::{Path, PathBuf};

use weir_sim::core::{Core, Until};
use weir_sim::verilator::Trace;
use weir_sim::wave;

use super::SimulateOptions;
use crate::failure::Failure;

/// Cycles that are shown after the last answer.
const AFTER: u64 = 16;

/// What is to be written, and how far that is.
pub struct Waves<'a> {
    options: &'a SimulateOptions,
    path: Option<PathBuf>,
    /// The dump is for the drawing alone.
    temporary: bool,
    /// First cycle of the waveform.
    first: Option<u64>,
}

impl<'a> Waves<'a> {
    /// As the options say.
    pub fn new(options: &'a SimulateOptions) -> Result<Self, Failure> {
        let named = options.vcd.clone().or_else(|| options.fst.clone());
        let temporary = named.is_none() && options.svg.is_some();
        let path = named.or_else(|| {
            let drawing = options.svg.as_ref()?;
            let mut name = drawing.clone().into_os_string();
            name.push(".vcd");
            Some(name.into())
        });
        if path.is_none() && options.packet.is_some() {
            return Err(Failure::Usage(
                "--packet: there is no waveform without --vcd, --fst or --svg".to_owned(),
            ));
        }
        Ok(Self {
            options,
            path,
            temporary,
            first: None,
        })
    }

    /// There is something to write.
    pub fn wanted(&self) -> bool {
        self.path.is_some()
    }

    /// What the core must be able to write.
    pub fn kind(&self) -> Trace {
        match (&self.path, &self.options.fst) {
            (None, _) => Trace::None,
            (_, Some(_)) => Trace::Fst,
            _ => Trace::Vcd,
        }
    }

    /// Before the first buffer.
    pub fn begin(&mut self, core: &mut dyn Core) -> Result<(), Failure> {
        if self.options.packet.is_none() {
            self.start(core)?;
        }
        Ok(())
    }

    /// True for a buffer of the packet that is wanted.
    pub fn of(&self, packet: u64) -> bool {
        self.path.is_some() && self.first.is_none() && self.options.packet == Some(packet)
    }

    /// Starts the waveform.
    pub fn start(&mut self, core: &mut dyn Core) -> Result<(), Failure> {
        if let Some(path) = &self.path {
            core.trace(Some(path)).map_err(Failure::failed)?;
            self.first = Some(core.cycle());
        }
        Ok(())
    }

    /// Ends it, a little later.
    pub fn stop(&mut self, core: &mut dyn Core) -> Result<(), Failure> {
        core.run(AFTER, Until::Cycles).map_err(Failure::failed)?;
        core.trace(None).map_err(Failure::failed)
    }

    /// After the last buffer: ends the waveform, and draws.
    pub fn finish(&mut self, core: &mut dyn Core) -> Result<(), Failure> {
        let (Some(path), Some(first)) = (&self.path, self.first) else {
            return match self.options.packet {
                Some(packet) => Err(Failure::failed(format!(
                    "packet {packet} has no payload, or is not in the capture"
                ))),
                None => Ok(()),
            };
        };
        if self.options.packet.is_none() {
            core.trace(None).map_err(Failure::failed)?;
        }
        if let Some(drawing) = &self.options.svg {
            self.draw(path, drawing, first)?;
        }
        if self.temporary {
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn draw(&self, path: &Path, drawing: &Path, first: u64) -> Result<(), Failure> {
        let (from, to) = (self.options.from, self.options.to);
        let rows = wave::read(
            path,
            &self.options.signals,
            first.saturating_add(from),
            first.saturating_add(to),
        );
        let rows = rows.map_err(Failure::failed)?;
        let packet = self.options.packet;
        let of = packet.map_or(String::new(), |packet| format!(", packet {packet}"));
        let title = format!("{} lanes{of}, cycles {from} to {to}", self.options.lanes);
        fs::write(drawing, wave::svg(&title, &rows, from))
            .map_err(|error| Failure::failed(format!("{}: {error}", drawing.display())))
    }
}
