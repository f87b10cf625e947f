//! A host of the test's own: a network namespace with two cables, `client = a` and `b = server`, and mounts that nobody
//! else sees. Gone with the thread.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use weir_xdp::program::{AttachMode, AttachOptions, Attached};
use weir_xdp_common::Outcome;

/// Runs `test` on such a host. Without the privileges for one: says so, or fails in continuous integration.
pub fn on_a_host(queues: u32, test: impl FnOnce() + Send + 'static) {
    if let Err(why) = allowed() {
        assert!(
            std::env::var_os("WEIR_CI").is_none_or(|v| v != "1"),
            "may not be skipped in CI: {why}"
        );
        eprintln!("skipped: {why}");
        return;
    }
    let thread = std::thread::spawn(move || {
        enter().expect("a host");
        cables(queues);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs an ignored test of this program in another process, with more of an environment, and returns once it has said
/// ([`say_ready`]) that it is ready. It finds its folder in `WEIR_TEST_BPFFS`.
pub fn start_another(test: &str, path: &Path, environment: &[(&str, &str)]) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", test])
        .env("WEIR_TEST_BPFFS", path)
        .envs(environment.iter().copied())
        .spawn()
        .expect("started");
    let ready = path.with_extension("ready");
    for _ in 0..1000 {
        if ready.exists() {
            std::fs::remove_file(ready).expect("removed");
            return child;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("the other process does not get ready");
}

/// Tells who started this process that it is ready.
pub fn say_ready(path: &Path) {
    std::fs::write(path.with_extension("ready"), "").expect("written");
}

fn allowed() -> Result<(), String> {
    // SAFETY: without conditions.
    if unsafe { libc::geteuid() } != 0 {
        return Err("network namespaces and XDP need root".into());
    }
    let ip = Command::new("ip").arg("-V").output();
    ip.map(drop)
        .map_err(|error| format!("no `ip` (package iproute2): {error}"))
}

fn enter() -> io::Result<()> {
    // SAFETY: of this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS | libc::CLONE_FS) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: strings that end with a zero, and nothing else.
    let private = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null(),
        )
    };
    if private < 0 {
        return Err(io::Error::last_os_error());
    }
    // The kernel's own chatter would be counted too.
    for which in ["all", "default"] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
    }
    Ok(())
}

/// Mounts what tells of tracepoints where a system has it; this thread alone sees it.
pub fn mount_tracefs() {
    let (kind, at) = (c"tracefs", c"/sys/kernel/tracing");
    // SAFETY: strings that end with a zero, and nothing else.
    let mounted = unsafe {
        libc::mount(
            kind.as_ptr(),
            at.as_ptr(),
            kind.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    // It may be there already.
    let error = io::Error::last_os_error();
    assert!(
        mounted == 0 || error.raw_os_error() == Some(libc::EBUSY),
        "{error}"
    );
}

/// The folder in which the bridge between the two cables is kept.
pub fn kept_at(path: &Path) -> PathBuf {
    let namespaces = path.join("weir").read_dir().expect("listed");
    let namespace = namespaces.last().expect("one").expect("read").path();
    namespace.join("a+b")
}

/// Makes this thread an ordinary user's.
pub fn drop_privileges() {
    const NOBODY: libc::c_long = 65_534;
    // SAFETY: numbers; the call itself, unlike libc's function, is for this thread alone.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Numbers of `include/uapi/linux/capability.h`.
pub const NET_ADMIN: u32 = 12;
pub const NET_RAW: u32 = 13;
pub const PERFMON: u32 = 38;
pub const BPF: u32 = 39;

/// Leaves this thread with these capabilities alone; it is root's as before.
pub fn keep_capabilities(kept: &[u32]) {
    const VERSION_3: u32 = 0x2008_0522;
    let all = kept.iter().fold(0_u64, |all, bit| all | 1 << bit);
    let half = |bits: u64| [bits as u32, bits as u32, 0];
    let header = [VERSION_3, 0];
    let sets = [half(all), half(all >> 32)];
    // SAFETY: a header and two halves of three sets, as version 3 has them; for this thread alone.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Runs `ip` with these words.
pub fn ip(words: &str) {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .expect("ip runs");
    assert!(
        output.status.success(),
        "ip {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Adds a cable between `near` and `far`, both ends up and fit for native XDP.
pub fn cable(near: &str, far: &str, queues: u32) {
    let many = format!("numrxqueues {queues} numtxqueues {queues}");
    ip(&format!(
        "link add name {near} {many} type veth peer name {far} {many}"
    ));
    for name in [near, far] {
        ip(&format!("link set dev {name} up"));
        set_gro(name, true);
    }
}

fn cables(queues: u32) {
    ip("link set dev lo up");
    cable("a", "client", queues);
    cable("b", "server", queues);
}

/// Turns GRO on or off: on, the other end of a veth can redirect to it.
pub fn set_gro(name: &str, on: bool) {
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    let socket = packet_socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    // ETHTOOL_SGRO
    let mut value = Value {
        command: 0x2c,
        data: on.into(),
    };
    // SAFETY: zeroes are an `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut value).cast();
    // SAFETY: an `ifreq` with the structure that the command takes.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &mut request) };
    assert_eq!(result, 0, "GRO of {name}: {}", io::Error::last_os_error());
}

fn packet_socket(family: i32, kind: i32, protocol: i32) -> OwnedFd {
    // SAFETY: without conditions.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    assert!(fd >= 0, "a socket: {}", io::Error::last_os_error());
    // SAFETY: just made.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An AF_XDP socket that is bound to nothing: the program finds it, and the kernel then drops what it is given.
pub fn unbound_xsk() -> OwnedFd {
    packet_socket(libc::AF_XDP, libc::SOCK_RAW, 0)
}

/// One end of a cable, to send on and receive from.
pub struct End(OwnedFd);

impl End {
    /// The end of this name.
    pub fn of(name: &str) -> Self {
        let all = i32::from((libc::ETH_P_ALL as u16).to_be());
        let socket = packet_socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, all);
        let c_name = std::ffi::CString::new(name).expect("a name");
        // SAFETY: zeroes are a `sockaddr_ll`.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a string that ends with a zero.
        address.sll_ifindex = unsafe { libc::if_nametoindex(c_name.as_ptr()) }.cast_signed();
        // SAFETY: an address and its size.
        let bound = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(bound, 0, "{name}: {}", io::Error::last_os_error());
        let on: libc::c_int = 1;
        // SAFETY: a number and its size.
        let told = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                std::ptr::from_ref(&on).cast(),
                size_of::<libc::c_int>() as u32,
            )
        };
        assert_eq!(told, 0, "{name}: {}", io::Error::last_os_error());
        Self(socket)
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: a buffer and its size.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }

    /// Frames that equal `frame` and came in, until there are `wanted` or a while has passed.
    pub fn received(&self, frame: &[u8], wanted: usize) -> usize {
        let until = Instant::now() + Duration::from_millis(if wanted == 0 { 100 } else { 2000 });
        let mut found = 0;
        loop {
            let came = self.receive();
            let quiet = came.is_none();
            if let Some((came, true)) = came {
                found += usize::from(came == frame);
            }
            if Instant::now() > until || quiet && wanted > 0 && found >= wanted {
                return found;
            }
            if quiet {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl End {
    /// The next frame, and whether it came in rather than went out. The kernel takes the outermost VLAN tag out of what it
    /// receives, and says so beside it: it is put back.
    fn receive(&self) -> Option<(Vec<u8>, bool)> {
        let mut room = vec![0_u8; 4096];
        let mut beside = [0_u64; 16];
        // SAFETY: zeroes are a `sockaddr_ll`.
        let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut part = libc::iovec {
            iov_base: room.as_mut_ptr().cast(),
            iov_len: room.len(),
        };
        // SAFETY: zeroes are a `msghdr`.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = std::ptr::from_mut(&mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = beside.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&beside);
        // SAFETY: buffers and their sizes, which outlive the call.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &mut message, 0) };
        room.truncate(usize::try_from(length).ok().filter(|length| *length > 0)?);
        // SAFETY: the message as the kernel left it.
        let header = unsafe { libc::CMSG_FIRSTHDR(&message).as_ref() };
        let header = header.filter(|header| {
            (header.cmsg_level, header.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA)
        });
        if let Some(header) = header {
            // SAFETY: what such a header is followed by.
            let about: libc::tpacket_auxdata = unsafe {
                libc::CMSG_DATA(header)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned()
            };
            if about.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                let tag = [
                    about.tp_vlan_tpid.to_be_bytes(),
                    about.tp_vlan_tci.to_be_bytes(),
                ];
                room.splice(12..12, tag.concat());
            }
        }
        Some((room, from.sll_pkttype != libc::PACKET_OUTGOING))
    }
}

/// A frame with these VLAN tags, outermost first: type and control.
pub fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let words = tags.iter().flat_map(|(kind, control)| [*kind, *control]);
    let tags: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
    [&frame[..12], &tags, &frame[12..]].concat()
}

/// A TCP segment over IPv4.
pub fn tcp(from: (u8, u16), to: (u8, u16), flags: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to.0, 2, 0, 0, 0, 0, from.0, 8, 0];
    frame.extend([0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0]);
    frame.extend([10, 0, 0, from.0, 10, 0, 0, to.0]);
    frame.extend(from.1.to_be_bytes());
    frame.extend(to.1.to_be_bytes());
    frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0, 100, 0, 0, 0, 0]);
    frame.extend(*b"data");
    frame.extend([0; 2]);
    frame
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now_ns() -> u64 {
    // SAFETY: zeroes are a `timespec`.
    let mut now: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: a place for the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A folder on which the loader is to mount a BPF file system; the mount is seen by the test's thread alone.
pub fn bpffs() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    (folder, path)
}

/// A bridge between the two cables.
pub fn bridge(path: &Path, mode: AttachMode) -> AttachOptions {
    AttachOptions {
        mode,
        bpffs: path.into(),
        ..AttachOptions::new(["a", "b"])
    }
}

/// Each frame has one outcome.
pub fn balanced(attached: &Attached) {
    for port in attached.counters().expect("counters").ports {
        let sum: u64 = Outcome::ALL.iter().map(|o| port.outcome(*o).packets).sum();
        assert_eq!(port.received.packets, sum);
        let bytes: u64 = Outcome::ALL.iter().map(|o| port.outcome(*o).bytes).sum();
        assert_eq!(port.received.bytes, bytes);
    }
}
