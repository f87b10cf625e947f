//! A card, and the matchers on it.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::control::{Control, Opener};
use crate::error::OpenError;
use crate::health::{Change, Counts, State};
use crate::identity::Identity;
use crate::link::{self, Link};
use crate::port::Port;
use crate::shared::Shared;
use crate::status::Status;

/// How long threads are waited for in the end. One that hangs in a call to the device is left to it.
const GOODBYE: Duration = Duration::from_millis(500);

/// A card in use. Workers each have a [`Port`] to it; it is given back when this is dropped, and ports then have software.
pub struct Card {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Card {
    /// Opens the card at a path: a folder of XDMA nodes, or one that a simulated card serves.
    ///
    /// # Errors
    /// When there is none, or it cannot be used; says what to do.
    pub fn open(path: &Path, config: Config) -> Result<Self, OpenError> {
        let name = path.display().to_string();
        let path = path.to_owned();
        let patience = config.patience;
        Self::start(name, move || link::open(&path, patience), config)
    }

    /// The same, for a card that `open` opens; it is called again when the card has failed.
    ///
    /// # Errors
    /// As [`Card::open`].
    pub fn start(
        name: String,
        open: impl FnMut() -> Result<Link, OpenError> + Send + 'static,
        config: Config,
    ) -> Result<Self, OpenError> {
        let patience = config.patience.saturating_mul(5);
        let shared = Arc::new(Shared::new(name.clone(), config));
        let opener: Opener = Box::new(open);
        let control = Control::new(Arc::clone(&shared), opener);
        let thread = std::thread::Builder::new().name("card-control".to_owned());
        let thread = thread
            .spawn(move || control.run())
            .map_err(|error| OpenError::Link {
                name: name.clone(),
                error: link::LinkError::Io {
                    what: "starting its threads",
                    error,
                },
            })?;
        let card = Self {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        let since = Instant::now();
        let mut health = shared.health();
        loop {
            match health.opened.take() {
                Some(Ok(_)) => return Ok(card),
                Some(Err(error)) => return Err(error),
                None => {}
            }
            let left = patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                let seconds = patience.as_secs_f64();
                return Err(OpenError::Silent { name, seconds });
            }
            health = shared.wait(health, left);
        }
    }

    /// A matcher for a worker.
    pub fn port(&self) -> Port {
        Port::new(Arc::clone(&self.shared))
    }

    /// What the card says it is.
    pub fn identity(&self) -> Option<Identity> {
        self.shared.health().identity
    }

    /// How it is, and why.
    pub fn state(&self) -> (State, String) {
        let health = self.shared.health();
        (health.state, health.reason.clone())
    }

    /// The latest changes of its state, in their order.
    pub fn history(&self) -> Vec<Change> {
        self.shared.health().history.iter().cloned().collect()
    }

    /// True while workers use it.
    pub fn in_use(&self) -> bool {
        self.shared.health().active.is_some()
    }

    /// Counters; those of a worker are up to date when it has nothing under way, or is gone.
    pub fn counts(&self) -> Counts {
        self.shared.counters.counts()
    }

    /// All that is known.
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Waits until the card is in use; false when it is not within so long.
    pub fn wait_in_use(&self, most: Duration) -> bool {
        let since = Instant::now();
        let mut health = self.shared.health();
        while health.active.is_none() {
            let left = most.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            health = self.shared.wait(health, left);
        }
        true
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        self.shared.health().stop = true;
        self.shared.tell();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let since = Instant::now();
        while !thread.is_finished() && since.elapsed() < GOODBYE {
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.is_finished() {
            // It has nothing to return, and its panic was told of already.
            drop(thread.join());
        } else {
            tracing::warn!(
                "card {}: a call to the device has not returned, and is left to itself",
                self.shared.name
            );
        }
    }
}
