//! The control socket: a line of JSON asks, a line of JSON answers, as Suricata's does.
//!
//! Whoever can open the socket can have rules loaded from any path that this process can read; so only its owner can.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::hub::{Answer, Hub};
use super::stand_back;
use crate::failure::Failure;
use crate::run::handover::private;

/// Clients at a time.
const MOST_CLIENTS: usize = 16;
/// Bytes of a line.
const MOST_BYTES: usize = 1 << 16;
/// A client has so long for a line, and may say nothing for so long.
const LINE: Duration = Duration::from_secs(60);
/// A client has so long to take an answer.
const TAKE: Duration = Duration::from_secs(5);
/// What clients' threads need.
const STACK: usize = 256 << 10;

/// A socket that is being listened on; it is gone when this is dropped.
pub struct ControlSocket {
    path: PathBuf,
    listener: Option<UnixListener>,
    _lock: File,
}

impl ControlSocket {
    /// Listens at a path. A socket that a process has left there is taken away; one that is in use is not.
    ///
    /// # Errors
    /// When another process listens there, there is something else, or there can be no socket.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |what: String| Failure::Failed(format!("{}: {what}", path.display()));
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = private(Path::new(&name))
            .map_err(|error| failed(format!("cannot write {}: {error}", name.display())))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(failed("another process listens there".to_owned()));
            }
            Err(TryLockError::Error(error)) => {
                return Err(failed(format!("cannot lock {}: {error}", name.display())));
            }
        }
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => {
                // Nobody holds the lock: whoever listened there is gone.
                std::fs::remove_file(path)
                    .map_err(|error| failed(format!("cannot remove the old socket: {error}")))?;
            }
            Ok(_) => return Err(failed("expected a socket, or nothing".to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error.to_string())),
        }
        // From its first moment on, only its owner may use it.
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = listener.map_err(|error| failed(format!("cannot listen: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            listener: Some(listener),
            _lock: lock,
        })
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn begin(&mut self, hub: &Arc<Hub>) -> Result<(), Failure> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let hub = Arc::clone(hub);
        let thread = std::thread::Builder::new().name("control".to_owned());
        let spawned = thread.stack_size(STACK).spawn(move || {
            stand_back();
            listen(&listener, &hub);
        });
        spawned.map(drop).map_err(|error| {
            Failure::Failed(format!("cannot start a thread for the socket: {error}"))
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Best effort: the next process takes it away otherwise.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A client's place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn listen(listener: &UnixListener, hub: &Arc<Hub>) {
    let taken = Arc::new(AtomicUsize::new(0));
    loop {
        let mut client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!("control socket: {error}");
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
        };
        let others = taken.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(&taken));
        if others >= MOST_CLIENTS {
            refuse(&mut client, "too many clients");
            continue;
        }
        let hub = Arc::clone(hub);
        let thread = std::thread::Builder::new().name("client".to_owned());
        let spawned = thread.stack_size(STACK).spawn(move || {
            let _place = place;
            if let Err(error) = serve(client, &hub) {
                tracing::debug!("control socket: {error}");
            }
        });
        if let Err(error) = spawned {
            tracing::warn!("control socket: {error}");
        }
    }
}

/// Tells a client why it is not listened to.
fn refuse(client: &mut UnixStream, why: &str) {
    // What fits in no buffer is not worth waiting for.
    let _ = client
        .set_nonblocking(true)
        .and_then(|()| client.write_all(line(Err(why.to_owned())).as_bytes()));
}

/// An answer as a line.
fn line(answer: Answer) -> String {
    let (done, message) = match answer {
        Ok(message) => ("OK", message),
        Err(why) => ("NOK", Value::String(why)),
    };
    format!("{}\n", json!({"return": done, "message": message}))
}

/// Answers a client until it goes.
fn serve(mut client: UnixStream, hub: &Hub) -> std::io::Result<()> {
    client.set_write_timeout(Some(TAKE))?;
    let mut held = Vec::new();
    loop {
        let Some(asked) = next_line(&mut client, &mut held)? else {
            return Ok(());
        };
        let answer = match asked {
            Ok(asked) => answer(&asked, hub),
            Err(why) => {
                client.write_all(line(Err(why)).as_bytes())?;
                return Ok(());
            }
        };
        client.write_all(line(answer).as_bytes())?;
    }
}

/// The next line of a client; `None` when it has gone, or says nothing. `Err` in it: it is not listened to any more.
fn next_line(
    client: &mut UnixStream,
    held: &mut Vec<u8>,
) -> std::io::Result<Option<Result<Vec<u8>, String>>> {
    let until = Instant::now() + LINE;
    let mut searched = 0;
    loop {
        let fresh = held.get(searched..).unwrap_or_default();
        if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
            let rest = held.split_off(searched + at + 1);
            return Ok(Some(Ok(std::mem::replace(held, rest))));
        }
        searched = held.len();
        if held.len() > MOST_BYTES {
            return Ok(Some(Err(format!(
                "the line is longer than {MOST_BYTES} bytes"
            ))));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(Err(format!(
                "no line came in {} seconds",
                LINE.as_secs()
            ))));
        }
        client.set_read_timeout(Some(left))?;
        let mut piece = [0; 4096];
        match client.read(&mut piece) {
            // A client may end its side instead of its line.
            Ok(0) if held.is_empty() => return Ok(None),
            Ok(0) => held.push(b'\n'),
            Ok(count) => held.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What clients may ask. `version` is what Suricata's own client begins with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    command: Option<String>,
    rules: Option<Vec<PathBuf>>,
    version: Option<Value>,
}

fn answer(asked: &[u8], hub: &Hub) -> Answer {
    let asked: Asked = serde_json::from_slice(asked)
        .map_err(|error| format!("expected an object like {{\"command\":\"reload\"}}: {error}"))?;
    match asked.command.as_deref() {
        Some("reload" | "reload-rules" | "ruleset-reload-rules") => {
            let told = hub.ask(asked.rules)?;
            told.recv()
                .unwrap_or_else(|_| Err("the run has ended".to_owned()))
        }
        Some(other) if asked.rules.is_some() => {
            Err(format!("`rules` goes with `reload`, not with `{other}`"))
        }
        Some("status") => Ok(hub.status()),
        Some("command-list") => Ok(json!(["reload", "status", "command-list"])),
        Some(other) => Err(format!(
            "unknown command `{other}`: expected `reload` or `status`"
        )),
        None if asked.version.is_some() => Ok(json!("")),
        None => Err("expected a `command`".to_owned()),
    }
}

#[cfg(test)]
mod tests;
