//! Where a bridge is kept: its folder in a BPF file system, and the locks on its ports.

use std::fs::DirBuilder;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::error::Error;

/// Where a BPF file system is, unless told otherwise.
pub const BPFFS: &str = "/sys/fs/bpf";

/// How often, and how long apart, a port is tried to be taken.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// `BPF_FS_MAGIC`.
const MAGIC: i64 = 0xcafe_4a11;

/// Makes sure that there is a BPF file system.
fn mounted(path: &Path) -> Result<(), Error> {
    let is = |path: &Path| statfs(path).is_ok_and(|found| found.f_type == MAGIC);
    if is(path) {
        return Ok(());
    }
    let no = |source: io::Error| Error::NoBpfFs {
        path: path.to_owned(),
        source,
    };
    mount(c"bpf", path, c"bpf", MountFlags::empty(), None).map_err(|error| no(error.into()))?;
    if !is(path) {
        return Err(no(io::ErrorKind::Unsupported.into()));
    }
    tracing::info!("mounted a BPF file system at {}", path.display());
    Ok(())
}

/// The folder of this network namespace's bridges.
fn namespace(bpffs: &Path) -> Result<PathBuf, Error> {
    // The thread's: it may have entered another than the process is in.
    let namespace = std::fs::metadata("/proc/thread-self/ns/net")
        .map_err(Error::doing("asking for the network namespace"))?;
    Ok(bpffs.join("weir").join(format!("net-{}", namespace.ino())))
}

/// A name as part of a folder's name: BPF file systems keep dots for themselves, and `+` separates.
fn escaped(name: &str) -> String {
    name.replace('%', "%25")
        .replace('.', "%2e")
        .replace('+', "%2b")
}

fn unescaped(name: &str) -> String {
    name.replace("%2b", "+")
        .replace("%2e", ".")
        .replace("%25", "%")
}

/// A bridge's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub folder: PathBuf,
    /// The interfaces, A before B.
    pub names: Vec<String>,
}

impl Place {
    /// Of the bridge between these interfaces; the file system is mounted if need be, the folder need not exist.
    pub fn of(bpffs: &Path, names: &[String]) -> Result<Self, Error> {
        mounted(bpffs)?;
        let parts: Vec<String> = names.iter().map(|name| escaped(name)).collect();
        Ok(Self {
            folder: namespace(bpffs)?.join(parts.join("+")),
            names: names.to_vec(),
        })
    }

    /// All that there are in this network namespace.
    pub fn all(bpffs: &Path) -> Result<Vec<Self>, Error> {
        let parent = namespace(bpffs)?;
        let listing = Error::doing(format!("listing {}", parent.display()));
        let entries = match std::fs::read_dir(&parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(listing(error)),
        };
        let place = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry?;
            let name = entry.file_name();
            let names = name.to_string_lossy();
            Ok(Self {
                folder: entry.path(),
                names: names.split('+').map(unescaped).collect(),
            })
        };
        entries
            .map(place)
            .collect::<io::Result<_>>()
            .map_err(listing)
    }

    /// The interfaces, for a person.
    pub fn shown(&self) -> String {
        self.names.join("+")
    }

    /// Makes the folder; only its owner may look into it.
    pub fn make(&self) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&self.folder)
            .map_err(Error::doing(format!("making {}", self.folder.display())))
    }

    /// Removes everything: what is pinned goes with its name.
    pub fn remove(&self) -> Result<(), Error> {
        let removing = || Error::doing(format!("removing {}", self.folder.display()));
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        match std::fs::read_dir(&self.folder) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(removing())?.path();
                    gone(std::fs::remove_file(path)).map_err(removing())?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(removing()(error)),
        }
        gone(std::fs::remove_dir(&self.folder)).map_err(removing())?;
        // The namespace's folder stays while it holds other bridges.
        if let Some(parent) = self.folder.parent() {
            let _ = std::fs::remove_dir(parent);
        }
        Ok(())
    }

    /// Where a port's link is pinned.
    pub fn link(&self, port: usize) -> PathBuf {
        self.folder.join(format!("port-{port}"))
    }
}

/// A port that no other Weir can have meanwhile. The kernel gives it back however the process ends.
#[derive(Debug)]
pub(super) struct PortLock {
    _held: UnixListener,
}

impl PortLock {
    /// Takes the port of this network namespace.
    pub fn take(interface: &str) -> Result<Self, Error> {
        // Abstract names belong to the network namespace, and are gone with the last descriptor.
        let name = format!("weir/port/{interface}");
        let address =
            SocketAddr::from_abstract_name(&name).map_err(Error::doing("naming a lock"))?;
        // A process that is ending, or has just started another, keeps its descriptors for a moment.
        for _ in 0..TRIES {
            match UnixListener::bind_addr(&address) {
                Ok(held) => return Ok(Self { _held: held }),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    return Err(Error::doing(format!("locking {interface}"))(error));
                }
                Err(_) => std::thread::sleep(BETWEEN),
            }
        }
        Err(Error::InUse {
            interface: interface.into(),
            pid: holder(&name),
        })
    }
}

fn holder(name: &str) -> Option<i32> {
    // Not waiting: nobody accepts, and once the queue of connections is full there is no answer.
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).ok()?;
    connect(&socket, &address).ok()?;
    let pid = socket_peercred(&socket).ok()?.pid;
    Some(pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_folder() {
        for name in ["eth0", "eth0.100", "a+b", "100%", "%2e", "..", "%252b"] {
            let folder = escaped(name);
            assert!(!folder.contains(['.', '+']), "{folder}");
            assert_eq!(unescaped(&folder), name);
        }
    }

    #[test]
    fn a_port_is_taken_once_and_the_second_learns_by_whom() {
        let name = format!("test{}", std::process::id());
        let lock = PortLock::take(&name).expect("free");
        match PortLock::take(&name) {
            Err(Error::InUse { pid, .. }) => {
                assert_eq!(pid, Some(std::process::id().cast_signed()));
            }
            other => panic!("{other:?}"),
        }
        drop(lock);
        PortLock::take(&name).expect("free again");
    }
}
