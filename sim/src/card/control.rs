//! Commands to a card: lines over a Unix socket.
//!
//! A line is a fault, `clear` or `counts`. The answer is any number of lines, then `ok`, or `error` with the reason.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::CardError;
use super::fault::{Fault, Kind};
use super::faults::Faults;
use crate::engine::Engine;

/// Longest command in bytes.
const LINE: u64 = 4096;
/// A client that says or takes nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a card in this folder is commanded.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.with_added_extension("ctl")
}

/// Refuses faults that this kind of core cannot have.
pub(crate) fn check(fault: &Fault, engine: Engine) -> Result<(), CardError> {
    let engine = match engine {
        Engine::Model => return Ok(()),
        Engine::RustHdl => "Rust-HDL core",
        Engine::Rtl => "verilated core",
    };
    if matches!(fault.kind, Kind::FlipFilter | Kind::FlipExact) {
        let fault = fault.kind.name();
        return Err(CardError::Unsupported { fault, engine });
    }
    Ok(())
}

/// What commands act on.
#[derive(Clone)]
pub(crate) struct Commanded {
    pub(crate) faults: Faults,
    pub(crate) engine: Engine,
    pub(crate) nudge: Arc<dyn Fn() + Send + Sync>,
}

impl Commanded {
    /// Does what a line says; the lines of the answer.
    fn command(&self, line: &str) -> Result<String, String> {
        match line {
            "clear" => self.faults.clear(),
            "counts" => return Ok(self.faults.to_string()),
            _ => {
                let fault: Fault = line.parse().map_err(|error| format!("{error}"))?;
                check(&fault, self.engine).map_err(|error| error.to_string())?;
                self.faults.add(fault);
            }
        }
        (self.nudge)();
        Ok(String::new())
    }

    fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut answers = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if lines.by_ref().take(LINE).read_line(&mut line)? == 0 {
                return Ok(());
            }
            let answer = match self.command(line.trim()) {
                Ok(lines) => format!("{lines}ok\n"),
                Err(error) => format!("error {error}\n"),
            };
            answers.write_all(answer.as_bytes())?;
        }
    }
}

/// Listens for commands until it is dropped.
pub(crate) struct Commands {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Commands {
    pub(crate) fn listen(path: PathBuf, commanded: Commanded) -> Result<Self, CardError> {
        // Of a process that died: one that lives holds the folder, which was looked at before.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(CardError::file(&path, "no socket"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("commands".to_owned());
        let thread = thread.spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let commanded = commanded.clone();
                // A thread each: who says nothing keeps nobody waiting, and is left after a while.
                let client = move || {
                    if let Err(error) = stream.and_then(|stream| commanded.serve(stream)) {
                        tracing::debug!("command: {error}");
                    }
                };
                let client = std::thread::Builder::new()
                    .name("command".to_owned())
                    .spawn(client);
                if let Err(error) = client {
                    tracing::warn!("command: {error}");
                }
            }
        });
        let thread = Some(thread.map_err(CardError::file(&path, "no thread"))?);
        Ok(Self { path, stop, thread })
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for somebody to come.
        if UnixStream::connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why a card was not commanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is nobody.
    #[error("{}: no card is commanded there: {error}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The card refused.
    #[error("{0}")]
    Refused(String),
}

/// Commands a card in another process.
pub struct Control {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Control {
    /// The card in a folder.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn connect(folder: &Path) -> Result<Self, ControlError> {
        let path = socket(folder);
        let stream = UnixStream::connect(&path).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(BufReader::new(stream))
        });
        match stream {
            Ok(stream) => Ok(Self { path, stream }),
            Err(error) => Err(ControlError::Socket { path, error }),
        }
    }

    /// Says a line, a fault's, `clear` or `counts`; returns the lines of the answer.
    ///
    /// # Errors
    ///
    /// When the card refuses, or is gone.
    pub fn command(&mut self, line: &str) -> Result<Vec<String>, ControlError> {
        let gone = |error| ControlError::Socket {
            path: self.path.clone(),
            error,
        };
        let line = format!("{}\n", line.trim());
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(gone)?;
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).map_err(gone)? == 0 {
                return Err(gone(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let line = line.trim_end();
            if line == "ok" {
                return Ok(answer);
            }
            if let Some(error) = line.strip_prefix("error ") {
                return Err(ControlError::Refused(error.to_owned()));
            }
            answer.push(line.to_owned());
        }
    }
}
