//! A card over shared memory.

use std::path::Path;
use std::time::Duration;

use card_shm::{Host, ShmError};

use super::{Link, LinkError, Receiver, Registers, Sender};
use crate::error::OpenError;

/// How long an access may take; a card that lives takes far less.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long bytes are waited for at a time.
const RECEIVE: Duration = Duration::from_millis(20);

struct ShmRegisters(card_shm::Registers);
struct ShmSender(card_shm::Sender);
struct ShmReceiver(card_shm::Receiver);

fn failed(what: &'static str) -> impl FnOnce(ShmError) -> LinkError {
    move |error| match error {
        ShmError::TimedOut { .. } => LinkError::TimedOut { what },
        ShmError::Gone { .. } => LinkError::Gone { what },
        error => LinkError::Io {
            what,
            error: std::io::Error::other(error),
        },
    }
}

/// Opens the card whose shared file is at `path`. `name` is what messages call it.
pub(super) fn open(name: &Path, path: &Path, patience: Duration) -> Result<Link, OpenError> {
    let Host {
        registers,
        sender,
        receiver,
    } = Host::open(path, patience).map_err(|error| match error {
        // The folder is there, but the process that served it is not.
        ShmError::Absent { .. } | ShmError::Gone { .. } => OpenError::NoNodes {
            path: name.to_owned(),
        },
        ShmError::Permission { path } => OpenError::Permission { path },
        ShmError::Busy { pid, .. } => OpenError::Busy {
            path: name.to_owned(),
            holder: Some(pid),
        },
        error => OpenError::Other {
            path: name.to_owned(),
            why: error.to_string(),
        },
    })?;
    Ok(Link {
        name: name.display().to_string(),
        registers: Box::new(ShmRegisters(registers)),
        sender: Box::new(ShmSender(sender)),
        receiver: Box::new(ShmReceiver(receiver)),
    })
}

impl Registers for ShmRegisters {
    fn read(&mut self, address: u32) -> Result<u32, LinkError> {
        self.0
            .read(address, PATIENCE)
            .map_err(failed("reading a register"))
    }

    fn write(&mut self, writes: &[(u32, u32)]) -> Result<(), LinkError> {
        self.0
            .write(writes, PATIENCE)
            .map_err(failed("writing registers"))
    }
}

impl Sender for ShmSender {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.0
            .send(bytes, PATIENCE)
            .map_err(failed("sending records"))
    }
}

impl Receiver for ShmReceiver {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        match self.0.receive(into, RECEIVE) {
            Err(ShmError::TimedOut { .. }) => Ok(0),
            received => received.map_err(failed("receiving reports")),
        }
    }
}
