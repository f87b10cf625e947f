//! Other rules while a run goes on: by signal, or through a socket.
//!
//! One thread of low priority, the [`keeper`], reads and compiles the rules, prepares them and loads matchers with their probes. The
//! packet path only sees a flag, before each frame: when it is set, every worker exchanges its rules before the same frame
//! ([`super::workers::changes`]), and goes on. What it has no use for any more goes back to the keeper, to be dropped there. A
//! set that fails anywhere on the way leaves the one in force as it is, and the reason is logged, counted and told to who asked.
//!
//! The control plane is plain threads: the keeper, one that accepts clients and one for each of the few clients there may
//! be. They sleep nearly always, and there is nothing else in the program that would need an asynchronous runtime.

mod client;
mod hub;
mod keeper;
mod socket;

pub use client::{reload, status};
pub use hub::{Counts, Hub, Summary};
pub use keeper::InForce;
pub use socket::ControlSocket;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};

use weir_wasm::modules::Modules;

use super::Fresh;
use crate::failure::Failure;
use hub::Request;

/// Requests that may wait while one is under way.
const MOST_WAITING: usize = 16;

/// Loads rules again: those of the command line, or those at the paths that are given. Also what the configuration says of
/// rules and their limits is read anew.
/// Modules go on with what those in force have kept.
pub type Load =
    Box<dyn Fn(Option<&[PathBuf]>, Option<&Arc<Modules>>) -> Result<Fresh, Failure> + Send>;

/// How a run gets other rules.
pub struct Reload {
    /// What the packet path and the control plane share.
    pub hub: Arc<Hub>,
    requests: Receiver<Request>,
    load: Load,
    /// Set by signals.
    asked: Arc<AtomicBool>,
}

impl Reload {
    /// Listens for SIGUSR2, which reloads Suricata's rules, too, and SIGHUP.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn new(load: Load) -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGUSR2, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked))
                .map_err(|error| Failure::Failed(format!("cannot listen for signals: {error}")))?;
        }
        let (to_keeper, requests) = sync_channel(MOST_WAITING);
        Ok(Self {
            hub: Arc::new(Hub::new(to_keeper)),
            requests,
            load,
            asked,
        })
    }

    /// The packet path is about to begin with these rules.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn begin(self, in_force: InForce) -> Result<(), Failure> {
        keeper::start(self, in_force)
    }
}

/// Others go first.
fn stand_back() {
    // On Linux, it is the calling thread that this concerns. Without it, all is as well, only sooner.
    let _ = rustix::process::setpriority_process(None, 10);
}
