//! Programs that run in a namespace and end with their handle.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::BedError;

/// Of each of standard output and standard error, this much is kept: the beginning.
const KEPT: usize = 16 << 20;
/// How long output may still arrive after the program has ended (grandchildren may hold the pipes).
const LINGER: Duration = Duration::from_millis(500);
/// How often a program is looked at.
const TICK: Duration = Duration::from_millis(2);

/// How a program ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Output {
    /// Program and arguments.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// The first 16 MiB of standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// The first 16 MiB of standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, if the program ended with status 0.
    ///
    /// # Errors
    /// [`BedError::Command`] with what it wrote to standard error, or else to standard output.
    pub fn success(self) -> Result<Self, BedError> {
        if self.status.success() {
            return Ok(self);
        }
        let said = if self.stderr.trim().is_empty() {
            self.stdout
        } else {
            self.stderr
        };
        Err(BedError::Command {
            command: self.command,
            status: self.status.to_string(),
            stderr: said.trim().to_owned(),
        })
    }
}

/// What comes out of one pipe.
struct Reading {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    fn new(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let thread = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut piece = [0; 8192];
                while let Ok(count @ 1..) = pipe.read(&mut piece) {
                    let mut text = locked(&kept);
                    let room = KEPT.saturating_sub(text.len()).min(count);
                    text.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
            })
        });
        Self { text, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&locked(&self.text)).into_owned()
    }

    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running program. Dropping it kills its whole process group.
///
/// It is also killed when the *thread* ends that started it: the kernel's parent-death signal is per thread.
pub struct Child {
    process: std::process::Child,
    command: String,
    stdout: Reading,
    stderr: Reading,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts a command with both outputs read; standard input is empty unless the command says otherwise.
    pub(crate) fn start(mut command: Command) -> Result<Self, BedError> {
        let said = spelled(&command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(BedError::system(format!("starting {said}")))?;
        Ok(Self {
            stdout: Reading::new(process.stdout.take()),
            stderr: Reading::new(process.stderr.take()),
            process,
            command: said,
            status: None,
        })
    }

    /// Writes all of its standard input and closes it.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<(), BedError> {
        match self.process.stdin.take() {
            Some(mut pipe) => match pipe.write_all(input) {
                // It has ended, and will say why.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                done => done.map_err(BedError::system(format!("feeding {}", self.command))),
            },
            None => Ok(()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Standard output up to now.
    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// Standard error up to now.
    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// True while it has not ended.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn running(&mut self) -> Result<bool, BedError> {
        if self.status.is_none() {
            self.status = self
                .process
                .try_wait()
                .map_err(BedError::system(format!("waiting for {}", self.command)))?;
        }
        Ok(self.status.is_none())
    }

    /// Sends a signal to the program alone; nothing happens when it has ended.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn signal(&mut self, signal: Signal) -> Result<(), BedError> {
        if !self.running()? {
            return Ok(());
        }
        let what = format!("signalling {}", self.command);
        match Pid::from_raw(self.pid().cast_signed()) {
            Some(pid) => kill_process(pid, signal).map_err(BedError::system(what)),
            None => Ok(()),
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// [`BedError::Late`] when it has not ended within `limit`: it goes on running.
    pub fn wait(&mut self, limit: Duration) -> Result<Output, BedError> {
        let begun = Instant::now();
        while self.running()? {
            if begun.elapsed() >= limit {
                return Err(self.late("its end", limit));
            }
            std::thread::sleep(TICK);
        }
        let ended = Instant::now();
        while !(self.stdout.ended() && self.stderr.ended()) && ended.elapsed() < LINGER {
            std::thread::sleep(TICK);
        }
        Ok(Output {
            command: self.command.clone(),
            status: self.status.unwrap_or(ExitStatus::from_raw(-1)),
            stdout: self.stdout(),
            stderr: self.stderr(),
        })
    }

    /// Waits until `text` stands in its standard output or error.
    ///
    /// # Errors
    /// [`BedError::Late`]; [`BedError::Command`] when it ends first.
    pub fn expect(&mut self, text: &str, limit: Duration) -> Result<(), BedError> {
        let begun = Instant::now();
        loop {
            // Asked first, so that what it wrote last is seen.
            let running = self.running()?;
            if !running {
                self.wait(limit)?;
            }
            if self.stdout().contains(text) || self.stderr().contains(text) {
                return Ok(());
            }
            if !running {
                let ended = self.wait(limit)?;
                return Err(BedError::Command {
                    status: format!("{} before saying {text:?}", ended.status),
                    command: ended.command,
                    stderr: format!("{}{}", ended.stdout, ended.stderr),
                });
            }
            if begun.elapsed() >= limit {
                return Err(self.late(&format!("{text:?}"), limit));
            }
            std::thread::sleep(TICK);
        }
    }

    /// SIGTERM, then SIGKILL if it has not ended within `limit`.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn stop(&mut self, limit: Duration) -> Result<Output, BedError> {
        self.signal(Signal::TERM)?;
        match self.wait(limit) {
            Err(BedError::Late { .. }) => {
                self.kill_group();
                self.wait(limit)
            }
            other => other,
        }
    }

    /// CPU time of all its threads that live, in user space and kernel; interrupts that they were held up by included.
    ///
    /// # Errors
    /// [`BedError::System`] when it has ended.
    pub fn cpu(&self) -> Result<Duration, BedError> {
        let folder = format!("/proc/{}/task", self.pid());
        let what = format!("reading {folder}");
        let mut total = Duration::ZERO;
        for thread in std::fs::read_dir(&folder).map_err(BedError::system(what))? {
            let Ok(thread) = thread else { continue };
            // A thread may end between the two reads.
            let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else {
                continue;
            };
            let first = text.split_whitespace().next().unwrap_or_default();
            total += Duration::from_nanos(first.parse().unwrap_or_default());
        }
        Ok(total)
    }

    fn late(&self, what: &str, limit: Duration) -> BedError {
        let tail = |text: String| {
            let start = text.len().saturating_sub(2000);
            text.get(text.ceil_char_boundary(start)..)
                .unwrap_or_default()
                .to_owned()
        };
        BedError::Late {
            what: format!(
                "{what} of {}, which has said {:?} and {:?}",
                self.command,
                tail(self.stdout()),
                tail(self.stderr())
            ),
            limit,
        }
    }

    fn kill_group(&mut self) {
        // A group's number is its leader's, who may not have been waited for: otherwise the number could be another's.
        if self.status.is_none()
            && let Some(pid) = Pid::from_raw(self.pid().cast_signed())
        {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_group();
        if self.status.is_none() {
            let _ = self.process.wait();
        }
    }
}

/// A command as one would type it.
pub(crate) fn spelled(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
