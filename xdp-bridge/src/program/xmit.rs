//! Hearing of frames that were forwarded and not sent: programs at two of the kernel's tracepoints, kept like those on ports.
//!
//! A program that redirects a frame does not learn what became of it: the driver of the other port may refuse it, and drops it.
//! The kernel says so at `xdp/xdp_devmap_xmit`, and of a frame that could not even be tried at `xdp/xdp_redirect_err`. Where
//! tracepoints cannot be had, everything works but this count, and that is said.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use super::place::Place;
use super::sys;

/// A tracepoint, and where the words are that its program reads.
struct Point {
    name: &'static str,
    fields: &'static [(&'static str, u32)],
}

/// By the program of the same place in [`super::object::Loaded::watchers`].
const POINTS: [Point; 2] = [
    Point {
        name: "xdp_devmap_xmit",
        fields: &[
            ("from_ifindex", 8),
            ("to_ifindex", 16),
            ("drops", 20),
            ("sent", 24),
        ],
    },
    Point {
        name: "xdp_redirect_err",
        fields: &[("ifindex", 16), ("to_ifindex", 24)],
    },
];

/// Where tracefs is found.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Puts the programs where they hear, in the place of an earlier process's. On failure nothing is counted twice: there is none.
pub(super) fn watch(watchers: &[OwnedFd], place: &Place) -> io::Result<()> {
    let pins: Vec<PathBuf> = POINTS
        .iter()
        .map(|point| place.folder.join(point.name))
        .collect();
    for pin in &pins {
        match std::fs::remove_file(pin) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let put = || -> io::Result<()> {
        let events = Events::find()?;
        for ((point, watcher), pin) in POINTS.iter().zip(watchers).zip(&pins) {
            let id = events.id(point)?;
            let link = sys::link_tracepoint(watcher.as_fd(), id)?;
            sys::pin(link.as_fd(), pin)?;
        }
        Ok(())
    };
    put().inspect_err(|_| {
        for pin in &pins {
            let _ = std::fs::remove_file(pin);
        }
    })
}

/// True when an earlier process's programs, or ours, are there.
pub(super) fn watches(place: &Place) -> bool {
    POINTS
        .iter()
        .all(|point| place.folder.join(point.name).exists())
}

/// The kernel's descriptions of its tracepoints.
enum Events {
    /// In a file system that is mounted.
    At(&'static Path),
    /// In one that nobody else sees.
    Own(OwnedFd),
}

impl Events {
    fn find() -> io::Result<Self> {
        let there = TRACEFS.iter().map(Path::new);
        if let Some(path) = there.into_iter().find(|path| path.join("events").is_dir()) {
            return Ok(Self::At(path));
        }
        let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| {
            let (error, at) = (io::Error::from(error), TRACEFS[0]);
            let why = format!("no tracepoints: {error}; `mount -t tracefs tracefs {at}`");
            io::Error::new(error.kind(), why)
        })?;
        fsconfig_create(context.as_fd())?;
        let none = MountAttrFlags::empty();
        Ok(Self::Own(fsmount(
            context.as_fd(),
            FsMountFlags::FSMOUNT_CLOEXEC,
            none,
        )?))
    }

    fn read(&self, name: &str) -> io::Result<String> {
        match self {
            Self::At(path) => std::fs::read_to_string(path.join(name)),
            Self::Own(root) => {
                let file = openat(root, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                io::read_to_string(std::fs::File::from(file))
            }
        }
    }

    /// The number of a tracepoint that tells what its program reads.
    fn id(&self, point: &Point) -> io::Result<u64> {
        let format = self.read(&format!("events/xdp/{}/format", point.name))?;
        if !tells(&format, point.fields) {
            let why = format!("{} tells other things in this kernel", point.name);
            return Err(io::Error::other(why));
        }
        let id = self.read(&format!("events/xdp/{}/id", point.name))?;
        id.trim().parse().map_err(io::Error::other)
    }
}

/// Whether a tracepoint's format has these fields, of four bytes, where they are expected.
fn tells(format: &str, fields: &[(&str, u32)]) -> bool {
    fields.iter().all(|(name, offset)| {
        let declared = format!(" {name};");
        let place = format!("offset:{offset};");
        let line = |line: &&str| line.contains(&declared);
        let mut found = format.lines().filter(line);
        found.next().is_some_and(|line| {
            let mut words = line.split_whitespace();
            words.any(|word| word == place) && words.any(|word| word == "size:4;")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_taken_only_with_all_fields_in_their_places() {
        let format = "name: xdp_redirect_err\nformat:\n\tfield:int prog_id;\toffset:8;\tsize:4;\tsigned:1;\n\
             \tfield:int ifindex;\toffset:16;\tsize:4;\tsigned:1;\n\tfield:int to_ifindex;\toffset:24;\tsize:4;\tsigned:1;\n";
        let fields = POINTS[1].fields;
        assert!(tells(format, fields));
        assert!(!tells(&format.replace("offset:24", "offset:28"), fields));
        assert!(!tells(&format.replace("to_ifindex;", "target;"), fields));
        let wider = format.replace("offset:16;\tsize:4", "offset:16;\tsize:8");
        assert!(!tells(&wider, fields));
        assert!(!tells("", fields));
    }
}
