//! The card's device nodes as a file system, by FUSE: `xdma0_user`, `_control`, `_h2c_0`, `_c2h_0`, `_events_0` behave as those of the
//! vendor's driver, and a file says where the shared memory is.
//!
//! What the driver answers at once is answered here; what waits goes to [`Jobs`] and is answered by the card's thread, so that a call that
//! blocks keeps nobody else waiting. One thing differs: FUSE cannot hand out error 512, so a transfer that timed out ends with
//! `ETIMEDOUT`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, PollEvents, PollFlags, PollNotifier,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyPoll, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};

use super::SHM_FILE;
use super::jobs::{Jobs, Register};

/// A node; its number of inode follows that of the root in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    User,
    Control,
    HostToCard,
    CardToHost,
    Events,
    Shm,
}

const NODES: [(Node, &str, u16); 6] = [
    (Node::User, "xdma0_user", 0o600),
    (Node::Control, "xdma0_control", 0o600),
    (Node::HostToCard, "xdma0_h2c_0", 0o200),
    (Node::CardToHost, "xdma0_c2h_0", 0o400),
    (Node::Events, "xdma0_events_0", 0o400),
    (Node::Shm, SHM_FILE, 0o444),
];

/// Nothing is remembered by the kernel: there is nothing to gain.
const TTL: Duration = Duration::ZERO;
/// Most bytes of a write that come at once; the kernel cuts longer ones up.
const MOST: u32 = 1 << 20;
/// `O_TRUNC`, by which a reader asks for packets.
const TRUNC: i32 = rustix::fs::OFlags::TRUNC.bits() as i32;

/// The file system.
pub(crate) struct Nodes {
    jobs: Arc<Jobs>,
    /// What the file of the shared memory says; there is none without.
    shm: Option<Vec<u8>>,
    /// The engine's registers that are not zero (PG195).
    control: BTreeMap<u64, u32>,
    /// The node from the card is open: it can be once.
    reading: AtomicBool,
}

impl Nodes {
    pub(crate) fn new(jobs: Arc<Jobs>, shm: Option<Vec<u8>>, lanes: usize) -> Self {
        // Identifiers: family, target, stream, channel, version. Alignments: 64 address bits, whole bytes; beats of `lanes`.
        let alignments = 64 | 1 << 8 | 1 << 16;
        let mut control = BTreeMap::new();
        for (at, value) in [
            (0x0000, 0x1FC0_8006),
            (0x004C, alignments),
            (0x1000, 0x1FC1_8006),
            (0x104C, alignments),
            (0x2000, 0x1FC2_0006),
            (0x3000, 0x1FC3_0006),
            (0x3010, lanes as u32),
            (0x4000, 0x1FC4_8006),
            (0x5000, 0x1FC5_8006),
            (0x6000, 0x1FC6_0006),
        ] {
            control.insert(at, value);
        }
        Self {
            jobs,
            shm,
            control,
            reading: AtomicBool::new(false),
        }
    }

    /// The nodes there are, with their inodes.
    fn nodes(&self) -> impl Iterator<Item = (u64, Node, &'static str, u16)> {
        let all = (INodeNo::ROOT.0 + 1..).zip(NODES);
        let shm = self.shm.is_some();
        all.map(|(inode, (node, name, mode))| (inode, node, name, mode))
            .filter(move |&(_, node, _, _)| node != Node::Shm || shm)
    }

    fn node(&self, inode: INodeNo) -> Option<Node> {
        self.nodes()
            .find(|&(number, ..)| number == inode.0)
            .map(|(_, node, ..)| node)
    }

    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let root = inode == INodeNo::ROOT.0;
        let node = self.nodes().find(|&(number, ..)| number == inode);
        let (kind, perm) = match node {
            _ if root => (FileType::Directory, 0o755),
            Some((_, _, _, mode)) => (FileType::RegularFile, mode),
            None => return None,
        };
        let size = match node {
            Some((_, Node::Shm, ..)) => self.shm.as_ref().map_or(0, Vec::len) as u64,
            _ => 0,
        };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: if root { 2 } else { 1 },
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

/// The address of a register access, which the driver wants to be a multiple of 4, and 4 bytes long at least.
fn register(offset: u64, bytes: usize) -> Option<u32> {
    let address = u32::try_from(offset).ok()?;
    (address.is_multiple_of(4) && bytes >= 4).then_some(address)
}

impl fuser::Filesystem for Nodes {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // By it `O_TRUNC` arrives with the opening. Without it, and without long writes, nodes work all the same.
        let _ = config.add_capabilities(InitFlags::FUSE_ATOMIC_O_TRUNC);
        let _ = config.set_max_write(MOST);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self
            .nodes()
            .find(|&(_, _, node, _)| parent == INodeNo::ROOT && name == node);
        match found.and_then(|(inode, ..)| self.attributes(inode)) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.0) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        _size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // Cutting a node to no bytes changes nothing, as with a device.
        self.getattr(request, inode, handle, reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        if inode != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let own = [".", ".."].map(|name| (INodeNo::ROOT.0, FileType::Directory, name));
        let files = self
            .nodes()
            .map(|(inode, _, name, _)| (inode, FileType::RegularFile, name));
        for (next, (inode, kind, name)) in (1..).zip(own.into_iter().chain(files)) {
            if next > offset && reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn open(&self, _request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let Some(node) = self.node(inode) else {
            return reply.error(Errno::ENOENT);
        };
        let mode = flags.acc_mode();
        let wrong = match node {
            Node::HostToCard => mode == OpenAccMode::O_RDONLY,
            Node::CardToHost | Node::Events | Node::Shm => mode != OpenAccMode::O_RDONLY,
            Node::User | Node::Control => false,
        };
        if wrong {
            return reply.error(Errno::EACCES);
        }
        if node == Node::CardToHost && self.reading.swap(true, Ordering::SeqCst) {
            return reply.error(Errno::EBUSY);
        }
        // The handle keeps whether packets were asked for.
        let packets = flags.0 & TRUNC != 0;
        reply.opened(FileHandle(packets.into()), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn release(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if self.node(inode) == Some(Node::CardToHost) {
            self.reading.store(false, Ordering::SeqCst);
        }
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = size as usize;
        match self.node(inode) {
            Some(Node::User) => match register(offset, size) {
                Some(address) => self.jobs.register(Register::Read(address, reply)),
                None => reply.error(Errno::EPROTO),
            },
            Some(Node::Control) => match register(offset, size) {
                Some(_) => {
                    let value = self.control.get(&offset).copied().unwrap_or(0);
                    reply.data(&value.to_le_bytes());
                }
                None => reply.error(Errno::EPROTO),
            },
            Some(Node::CardToHost) => self.jobs.receive(size, handle.0 != 0, reply),
            Some(Node::Events) if size == 4 => self.jobs.event(reply),
            Some(Node::Events) => reply.error(Errno::EPROTO),
            Some(Node::Shm) => {
                let text = self.shm.as_deref().unwrap_or_default();
                let from =
                    usize::try_from(offset).map_or(text.len(), |offset| offset.min(text.len()));
                let rest = &text[from..];
                reply.data(&rest[..rest.len().min(size)]);
            }
            Some(Node::HostToCard) | None => reply.error(Errno::EINVAL),
        }
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        bytes: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.node(inode) {
            Some(Node::User) => {
                let value = bytes.first_chunk().map(|value| u32::from_le_bytes(*value));
                match register(offset, bytes.len()).zip(value) {
                    Some((address, value)) => {
                        self.jobs.register(Register::Write(address, value, reply));
                    }
                    None => reply.error(Errno::EPROTO),
                }
            }
            // What the driver would write there is of no use here.
            Some(Node::Control) => match register(offset, bytes.len()) {
                Some(_) => reply.written(4),
                None => reply.error(Errno::EPROTO),
            },
            Some(Node::HostToCard) => self.jobs.send(bytes.to_vec(), reply),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn poll(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        match self.node(inode) {
            Some(Node::Events) if !self.jobs.poll(notifier) => reply.poll(PollEvents::empty()),
            Some(_) => reply.poll(PollEvents::POLLIN | PollEvents::POLLRDNORM),
            None => reply.error(Errno::EINVAL),
        }
    }
}
