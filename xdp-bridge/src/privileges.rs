//! What a process with ports may do, and what it gives up: in all of its threads.
//!
//! Capabilities are a thread's, and a thread that was started before others gave theirs up still has them: those of a compiler of
//! rules, of a card's driver, of whatever a library starts. As all threads share their memory, one that may do more is a way to do more
//! for all of them. So each is sent a signal, in whose handler it gives up its own, as libpsx does for C's programs; then it is
//! looked whether all have.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// What goes on being needed: ports that come back are attached to anew, with memory that is locked, and flows are left to the
/// kernel.
pub const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::BPF);

/// How long threads have to give theirs up: they do as soon as they run.
const PATIENCE: Duration = Duration::from_secs(5);

/// Capabilities that could not be given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegesError {
    /// The kernel does not let go of them, or does not say who has which.
    #[error("cannot give up capabilities that are not needed: {0}")]
    Refused(#[from] io::Error),
    /// A thread does not take signals.
    #[error("cannot give up capabilities that are not needed: thread {name} does not answer")]
    Deaf {
        /// The thread's name.
        name: String,
    },
}

/// Gives up all capabilities but [`KEPT`], for all threads of the process and for those that they start. Files that are read or written
/// later must be the user's own.
///
/// # Errors
/// When the kernel does not let go of them, or a thread does not answer.
pub fn give_up_others() -> Result<(), PrivilegesError> {
    give_up_here().map_err(io::Error::from)?;
    let signal = Signal::take()?;
    let mut told = HashSet::new();
    let begun = Instant::now();
    // A thread that has them yet may have started another one meanwhile: until all that there are have none.
    while let Some(threads) = with_more()? {
        for &thread in &threads {
            if told.insert(thread) {
                signal.send(thread)?;
            }
        }
        if begun.elapsed() > PATIENCE {
            let name = threads.first().map_or_else(String::new, |&tid| name(tid));
            return Err(PrivilegesError::Deaf { name });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Gives up those of the calling thread. Allocates nothing, and does nothing but call the kernel.
fn give_up_here() -> rustix::io::Result<()> {
    let had = capabilities(None)?;
    if had.permitted.contains(CapabilitySet::SETPCAP) {
        for one in CapabilitySet::all().difference(KEPT) {
            // Older kernels do not know all of them.
            match remove_capability_from_bounding_set(one) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
    }
    set_no_new_privs(true)?;
    let kept = CapabilitySets {
        effective: had.effective.intersection(KEPT),
        permitted: had.permitted.intersection(KEPT),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, kept)
}

/// Threads that may do more than is needed; `None` where there is none.
fn with_more() -> io::Result<Option<Vec<Pid>>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task")? {
        let thread = entry?.file_name();
        let thread = thread.to_str().and_then(|name| name.parse().ok());
        let Some(thread) = thread.and_then(Pid::from_raw) else {
            continue;
        };
        match capabilities(Some(thread)) {
            Ok(has) => {
                let rest = has.permitted.union(has.effective).union(has.inheritable);
                if !KEPT.contains(rest) {
                    threads.push(thread);
                }
            }
            // It has ended.
            Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((!threads.is_empty()).then_some(threads))
}

fn name(thread: Pid) -> String {
    let path = format!("/proc/self/task/{}/comm", thread.as_raw_nonzero());
    let name = std::fs::read_to_string(path).unwrap_or_default();
    format!("{} ({})", thread.as_raw_nonzero(), name.trim_end())
}

/// A signal that means: give up what is not needed.
struct Signal(libc::c_int);

impl Signal {
    /// Takes one that nobody uses.
    fn take() -> io::Result<Self> {
        for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
            if handler(number, None)? == libc::SIG_DFL {
                let function: extern "C" fn(libc::c_int) = on_signal;
                handler(number, Some(function as libc::sighandler_t))?;
                return Ok(Self(number));
            }
        }
        Err(io::Error::other("every signal is in use"))
    }

    /// Sends it to a thread of this process; one that has ended needs none.
    fn send(&self, thread: Pid) -> io::Result<()> {
        let (process, thread) = (getpid().as_raw_nonzero(), thread.as_raw_nonzero());
        // SAFETY: tgkill(2) takes three integers; the signal has a handler.
        let result =
            unsafe { libc::syscall(libc::SYS_tgkill, process.get(), thread.get(), self.0) };
        match io::Error::last_os_error() {
            _ if result == 0 => Ok(()),
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }
}

/// A signal that is on its way yet does nothing then; without this it would end the process.
impl Drop for Signal {
    fn drop(&mut self) {
        if let Err(error) = handler(self.0, Some(libc::SIG_IGN)) {
            tracing::warn!("signal {} keeps its handler: {error}", self.0);
        }
    }
}

/// What is done about a signal, before it is changed to `new`.
fn handler(signal: libc::c_int, new: Option<libc::sighandler_t>) -> io::Result<libc::sighandler_t> {
    // SAFETY: a structure of integers and a set of bits, for which zeros are values.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    let action = new.map(|function| {
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = function;
        // What threads wait for they go on waiting for.
        action.sa_flags = libc::SA_RESTART;
        action
    });
    let new = action.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both point to structures that live until this returns, or one to nothing. The handler is `on_signal`, which does only
    // what is allowed in a handler, or one of the system's.
    match unsafe { libc::sigaction(signal, new, &mut before) } {
        0 => Ok(before.sa_sigaction),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    // SAFETY: the address of this thread's own number, which is always there.
    let number = unsafe { libc::__errno_location() };
    // SAFETY: as above; what was interrupted finds there what it left.
    let before = unsafe { *number };
    // Whoever sent the signal looks for itself what has come of it.
    let _ = give_up_here();
    // SAFETY: as above.
    unsafe { *number = before };
}

#[cfg(test)]
mod tests {
    use rustix::thread::gettid;

    use super::*;

    #[test]
    fn a_thread_is_known_by_its_name() {
        let thread = std::thread::Builder::new().name("an ear".to_owned());
        let said = thread.spawn(|| name(gettid())).expect("a thread").join();
        let said = said.expect("it ended well");
        assert!(said.ends_with("(an ear)"), "{said}");
    }
}
