//! A card in a folder.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::control::{Commanded, Commands, socket};
use super::jobs::Jobs;
use super::mount::Mounted;
use super::nodes::Nodes;
use super::serve::{Ended, SimCard, Ways};
use super::{CardError, Config, Faults, SHM_FILE, mount};

/// How a card in a folder can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// By device nodes, which needs FUSE.
    Nodes,
    /// By shared memory; the folder is an ordinary one.
    Shm,
    /// By both.
    #[default]
    Both,
}

/// A card in a folder, and a socket beside it (`PATH.ctl`) by which it is commanded.
pub struct Listener {
    // Dropped first: it lets go of all that wait for it.
    card: SimCard,
    _mounted: Option<Mounted>,
    _commands: Commands,
    _note: Option<Note>,
    path: PathBuf,
}

/// Where the shared memory of a card in this folder is: always at the same place, so that who follows on a card that
/// died finds what it left behind.
fn shared(full: &Path) -> PathBuf {
    let digest = Sha256::digest(full.as_os_str().as_encoded_bytes());
    let name: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    folder.join(format!("weir-sim-{name}"))
}

impl Listener {
    /// Serves a card in a folder, which is made if there is none. `shm` is where the shared memory is to be, instead of a place of the
    /// card's own.
    ///
    /// # Errors
    ///
    /// When a card is served there already, or something cannot be made.
    pub fn start(
        path: &Path,
        transport: Transport,
        shm: Option<&Path>,
        config: &Config,
    ) -> Result<Self, CardError> {
        let full = mount::prepare(path)?;
        // Whoever is commanded there lives, wherever its shared memory is.
        if UnixStream::connect(socket(&full)).is_ok() {
            return Err(CardError::Busy { path: full });
        }
        let file = shm.map_or_else(|| shared(&full), Path::to_owned);
        let card = match transport {
            Transport::Nodes => None,
            // This fails when a card lives in this folder.
            Transport::Shm | Transport::Both => Some(card_shm::Card::create(&file, &config.rings)?),
        };
        let note = full.join(SHM_FILE);
        let text = file.as_os_str().as_encoded_bytes().to_vec();
        let jobs = (transport != Transport::Shm).then(|| {
            let waker = card.as_ref().map(card_shm::Card::waker);
            let wake = move || waker.iter().for_each(card_shm::Waker::wake);
            Arc::new(Jobs::new(config.patience, Box::new(wake)))
        });
        let shared = card.is_some().then_some(text);
        let ways = Ways {
            shm: card,
            nodes: jobs.clone(),
        };
        let card = SimCard::run(ways, config)?;
        // One that a card without nodes left behind would be hidden, and come back.
        let _ = std::fs::remove_file(&note);
        let mounted = match &jobs {
            Some(jobs) => {
                let nodes = Nodes::new(Arc::clone(jobs), shared.clone(), config.geometry.lanes);
                Some(Mounted::new(nodes, &full)?)
            }
            None => None,
        };
        let note = match (&mounted, shared) {
            (None, Some(text)) => Some(Note::new(note, &text)?),
            _ => None,
        };
        let commanded = Commanded {
            faults: card.faults().clone(),
            engine: config.engine,
            nudge: card.waker(),
        };
        Ok(Self {
            card,
            _commands: Commands::listen(socket(&full), commanded)?,
            _mounted: mounted,
            _note: note,
            path: full,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to go wrong, and what did.
    pub fn faults(&self) -> &Faults {
        self.card.faults()
    }

    /// Waits until the card is over by itself, at most so long; true when it is.
    pub fn wait(&self, most: Duration) -> bool {
        let since = std::time::Instant::now();
        while !self.card.is_over() {
            if since.elapsed() >= most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5).min(most));
        }
        true
    }

    /// Ends the card, tidies up and says how it ended.
    ///
    /// # Errors
    ///
    /// Why it broke off.
    pub fn stop(self) -> Result<Ended, CardError> {
        self.card.stop()
    }
}

/// The file that says where the shared memory is, where no nodes are served.
struct Note(PathBuf);

impl Note {
    fn new(path: PathBuf, text: &[u8]) -> Result<Self, CardError> {
        std::fs::write(&path, text).map_err(CardError::file(&path, "cannot be written"))?;
        Ok(Self(path))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // The next card clears it away if this fails.
        let _ = std::fs::remove_file(&self.0);
    }
}
