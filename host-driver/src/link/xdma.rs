//! A card behind the nodes of the XDMA driver.

use std::path::Path;

use xdma_rs::{Buffer, CardToHost, Device, Error, HostToCard, ReadOptions, WriteOptions};

use super::{Link, LinkError, Receiver, Registers, Sender};
use crate::error::OpenError;

/// The driver refuses bytes of a stream that start elsewhere than its engine wants; none wants more than a beat.
const ALIGNED: usize = 64;
/// Bytes that are sent at a time where they have to be moved.
const SENT: usize = 1 << 20;

struct XdmaRegisters(xdma_rs::Registers);

struct XdmaSender {
    channel: HostToCard,
    /// For records that do not start where the engine may want them.
    buffer: Buffer,
}

struct XdmaReceiver {
    channel: CardToHost,
    /// Aligned as the engine likes it best.
    buffer: Buffer,
}

fn failed(what: &'static str) -> impl FnOnce(Error) -> LinkError {
    move |error| match error {
        Error::TimedOut { .. } => LinkError::TimedOut { what },
        Error::Gone { .. } | Error::NoNode { .. } | Error::NoDevice { .. } => {
            LinkError::Gone { what }
        }
        error => LinkError::Io {
            what,
            error: std::io::Error::other(error),
        },
    }
}

/// Opens the first card in a folder.
pub(super) fn open(folder: &Path) -> Result<Link, OpenError> {
    let refused = |error: Error| match error {
        Error::NoDevice { folder } => OpenError::NoNodes { path: folder },
        Error::Permission { path } => OpenError::Permission { path },
        Error::Busy { path } => OpenError::Busy { path, holder: None },
        error => OpenError::Other {
            path: folder.to_owned(),
            why: error.to_string(),
        },
    };
    let device = Device::first(folder).map_err(refused)?;
    let registers = device.user().map_err(refused)?;
    let to = device
        .host_to_card(0, WriteOptions::default())
        .map_err(refused)?;
    let from = device
        .card_to_host(0, ReadOptions::default())
        .map_err(refused)?;
    Ok(Link {
        name: device.node("*").display().to_string(),
        registers: Box::new(XdmaRegisters(registers)),
        sender: Box::new(XdmaSender {
            channel: to,
            buffer: Buffer::new(SENT),
        }),
        receiver: Box::new(XdmaReceiver {
            channel: from,
            buffer: Buffer::new(64 << 10),
        }),
    })
}

impl Registers for XdmaRegisters {
    fn read(&mut self, address: u32) -> Result<u32, LinkError> {
        self.0.read(address).map_err(failed("reading a register"))
    }

    fn write(&mut self, writes: &[(u32, u32)]) -> Result<(), LinkError> {
        for &(address, value) in writes {
            self.0
                .write(address, value)
                .map_err(failed("writing a register"))?;
        }
        Ok(())
    }
}

impl Sender for XdmaSender {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let failed = |error| failed("sending records")(error);
        if bytes.as_ptr().addr().is_multiple_of(ALIGNED) {
            return self.channel.write(bytes).map_err(failed);
        }
        for part in bytes.chunks(SENT) {
            let room = self.buffer.get_mut(..part.len()).unwrap_or_default();
            room.copy_from_slice(part);
            self.channel.write(room).map_err(failed)?;
        }
        Ok(())
    }
}

impl Receiver for XdmaReceiver {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let most = into.len().min(self.buffer.len());
        let room = self.buffer.get_mut(..most).unwrap_or_default();
        let got = match self.channel.read(room) {
            Ok(got) => got.min(most),
            Err(Error::TimedOut { .. }) => 0,
            Err(error) => return Err(failed("receiving reports")(error)),
        };
        for (to, from) in into.iter_mut().zip(self.buffer.iter()).take(got) {
            *to = *from;
        }
        Ok(got)
    }
}
