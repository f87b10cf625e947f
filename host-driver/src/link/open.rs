//! Finding out what kind of card is at a path.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Link, shm, xdma};
use crate::error::OpenError;

/// The node that names the shared file of a card over shared memory.
const SHM_NODE: &str = "weir_shm";
/// Where cards with a driver have their nodes.
const NODES: &str = "/dev";
/// A path is no longer than this.
const LONGEST: usize = 4096;

/// Opens the card in a folder: over shared memory where there is a node `weir_shm`, whose text is the path of the shared file, else by
/// the nodes of the XDMA driver. `patience` is for a card that has to notice.
///
/// # Errors
/// When there is none, or it may not be used; says what to do.
pub fn open(path: &Path, patience: Duration) -> Result<Link, OpenError> {
    let other = |path: &Path, error: &std::io::Error| OpenError::Other {
        path: path.to_owned(),
        why: error.to_string(),
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(OpenError::Other {
                path: path.to_owned(),
                why: "this is no folder: name the folder that has the card's nodes".to_owned(),
            });
        }
        Err(error) => {
            let path = path.to_owned();
            return Err(match error.kind() {
                ErrorKind::NotFound => OpenError::Absent { path },
                ErrorKind::PermissionDenied => OpenError::Permission { path },
                // What is left of a folder whose server died.
                ErrorKind::NotConnected => OpenError::NoNodes { path },
                _ => other(&path, &error),
            });
        }
    }
    let node = path.join(SHM_NODE);
    match std::fs::read_to_string(&node) {
        Ok(text) if text.len() > LONGEST => Err(OpenError::Other {
            path: node,
            why: format!(
                "expected the path of a shared file, got {} bytes",
                text.len()
            ),
        }),
        Ok(text) => shm::open(
            path,
            Path::new(text.trim_end_matches(['\n', '\0'])),
            patience,
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => xdma::open(path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(OpenError::Permission { path: node })
        }
        Err(error) => Err(other(&node, &error)),
    }
}

/// Where a card is looked for if nobody says: `/dev`, if there are nodes of the XDMA driver.
pub fn default_device() -> Option<PathBuf> {
    let devices = xdma_rs::discover(NODES).ok()?;
    let any = devices.iter().any(xdma_rs::Device::has_user);
    any.then(|| PathBuf::from(NODES))
}
