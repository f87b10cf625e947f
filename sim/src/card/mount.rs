//! A folder for a card: made, freed of what a dead card left behind, mounted.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use rustix::mount::{UnmountFlags, unmount};

use super::nodes::Nodes;
use super::{CardError, SHM_FILE};

/// Name of the file system among all that are mounted.
const NAME: &str = "weir-sim";
/// What is waited for the last request to be answered; nodes that stay open are left to their users.
const CLOSING: Duration = Duration::from_millis(200);

/// `ENOTCONN`: the process that served what is mounted there is gone.
fn is_stale(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOTCONN.raw_os_error())
}

/// Makes the folder and clears a stale mount; the folder's full path. What else is in it must be a card's.
pub(crate) fn prepare(path: &Path) -> Result<PathBuf, CardError> {
    loop {
        match std::fs::metadata(path) {
            Err(error) if is_stale(&error) => {
                tracing::info!("{}: clearing the mount of a card that died", path.display());
                unmount(path, UnmountFlags::DETACH).map_err(|error| CardError::Mount {
                    path: path.to_owned(),
                    error: error.into(),
                })?;
                // More than one may lie on each other.
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(path).map_err(CardError::file(path, "cannot be made"))?;
            }
            Err(error) => return Err(CardError::file(path, "cannot be looked at")(error)),
            Ok(_) => {}
        }
        break;
    }
    let full = std::fs::canonicalize(path).map_err(CardError::file(path, "cannot be looked at"))?;
    if is_mounted(&full)? {
        return Err(CardError::Busy { path: full });
    }
    for entry in std::fs::read_dir(&full).map_err(CardError::file(path, "not a folder"))? {
        let entry = entry.map_err(CardError::file(path, "cannot be read"))?;
        if entry.file_name() != SHM_FILE {
            return Err(CardError::NotEmpty { path: full });
        }
    }
    Ok(full)
}

/// Whether a card that lives is mounted there.
fn is_mounted(full: &Path) -> Result<bool, CardError> {
    let table = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(table).map_err(CardError::file(table, "cannot be read"))?;
    let place = full.display().to_string();
    // Fields: numbers, root, place with blanks as \040, options, …, then behind a dash type and source.
    Ok(text.lines().any(|line| {
        let at = line
            .split(' ')
            .nth(4)
            .map(|place| place.replace("\\040", " "));
        let source = line
            .split_once(" - ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        at.as_deref() == Some(&place) && source == Some(NAME)
    }))
}

/// A folder in which nodes are served until it is dropped.
pub(crate) struct Mounted {
    path: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mounted {
    pub(crate) fn new(nodes: Nodes, path: &Path) -> Result<Self, CardError> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(NAME.to_owned()),
            MountOption::DefaultPermissions,
        ];
        config.acl = SessionACL::Owner;
        let session = fuser::spawn_mount(nodes, path, &config);
        let session = session.map_err(|error| CardError::Mount {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            session: Some(session),
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Even with nodes open: who has them is answered that the card is gone, until they are closed.
        if let Err(error) = unmount(&self.path, UnmountFlags::DETACH) {
            tracing::warn!("{}: cannot be unmounted: {error}", self.path.display());
        }
        let Some(session) = self.session.take() else {
            return;
        };
        let since = Instant::now();
        while !session.guard.is_finished() && since.elapsed() < CLOSING {
            std::thread::sleep(Duration::from_millis(1));
        }
        if session.guard.is_finished()
            && let Err(error) = session.join()
        {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}
