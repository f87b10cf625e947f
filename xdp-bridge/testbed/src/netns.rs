//! A network namespace that lives as long as its descriptor.
//!
//! It has no name: the kernel removes it, and with it every link in it, when the last descriptor is closed and the last
//! process in it has ended. So nothing stays behind, not even after SIGKILL.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::BedError;

/// A network namespace of its own.
#[derive(Debug, Clone)]
pub struct Namespace {
    file: Arc<File>,
}

impl Namespace {
    /// A new one, empty but for a loopback interface that is down.
    ///
    /// # Errors
    /// [`BedError::System`]: usually for want of CAP_SYS_ADMIN.
    pub fn new() -> Result<Self, BedError> {
        let made = std::thread::spawn(|| -> io::Result<File> {
            // SAFETY: only NEWNET is asked for, which touches neither memory nor descriptors of other threads.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = joined(made.join()).map_err(BedError::system("making a network namespace"))?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Runs `work` on a thread of its own inside this namespace; panics of `work` go on in the caller.
    ///
    /// What `work` opens (sockets above all) stays in this namespace when it returns.
    ///
    /// # Errors
    /// [`BedError::System`] when the thread cannot enter.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, BedError> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(BedError::system("entering a network namespace"))?;
                Ok(work())
            });
            joined(inside.join())
        })
    }

    /// A command that will run inside, in a process group of its own, and die with the thread that starts it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.adopt(&mut command);
        command
    }

    /// Makes a command run inside, in a process group of its own, and die with the thread that starts it.
    pub fn adopt(&self, command: &mut Command) {
        let file = Arc::clone(&self.file);
        command.process_group(0);
        // SAFETY: between fork and exec only two system calls are made, which allocate nothing and take no lock.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(())
            });
        }
    }

    /// A path that other programs can enter by (`nsenter --net=PATH`, `ip link … netns PATH`) while this process lives.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.file.as_raw_fd()
        ))
    }

    /// The inode that identifies the namespace on this machine.
    ///
    /// # Errors
    /// [`BedError::System`].
    pub fn inode(&self) -> Result<u64, BedError> {
        let facts = self.file.metadata();
        Ok(facts
            .map_err(BedError::system("reading a namespace's inode"))?
            .ino())
    }
}

/// What a thread gave; its panic goes on here.
pub(crate) fn joined<T>(end: std::thread::Result<T>) -> T {
    end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
