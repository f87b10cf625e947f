//! A network of one's own: two pairs of interfaces, and what goes through them.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

/// Runs a test in a thread that has a network of its own, or says why it cannot.
pub fn in_a_network(test: impl FnOnce() + Send + 'static) {
    let refused = std::thread::spawn(|| {
        // SAFETY: it concerns this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Some(format!(
                "no network namespace: {}",
                io::Error::last_os_error()
            ));
        }
        if let Err(error) = ip("link set lo up") {
            return Some(format!("`ip` of iproute2 does not work: {error}"));
        }
        test();
        None
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if let Some(why) = refused {
        assert!(
            std::env::var_os("WEIR_CI").is_none(),
            "this test must run in CI: {why}"
        );
        eprintln!("skipped: {why}");
    }
}

/// Runs an `ip` command in this thread's network.
pub fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("ip {arguments}: {said}")))
}

/// `ends`, each with a wire to `port` of the same letter: `ea`–`pa`, `eb`–`pb`. Quiet: nothing but tests sends there.
pub fn two_pairs(queues: u32) {
    for file in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{file}/disable_ipv6");
        std::fs::write(path, "1").expect("IPv6 off");
    }
    let queues = format!("numtxqueues {queues} numrxqueues {queues}");
    for letter in ["a", "b"] {
        ip(&format!(
            "link add e{letter} {queues} type veth peer name p{letter} {queues}"
        ))
        .expect("a pair");
        for end in ["e", "p"] {
            ip(&format!("link set {end}{letter} up promisc on")).expect("up");
        }
    }
}

pub fn index(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).expect("a name");
    // SAFETY: a C string that is alive.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// A packet socket: sends and receives whole frames.
pub struct Tap(std::fs::File);

impl Tap {
    pub fn open(name: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let set = |level, option, value: libc::c_int| {
            let (value, size) = (std::ptr::from_ref(&value), size_of::<libc::c_int>());
            // SAFETY: the value is alive and as long as is said.
            let got = unsafe {
                libc::setsockopt(fd.as_raw_fd(), level, option, value.cast(), size as u32)
            };
            assert_eq!(got, 0, "socket option {option}");
        };
        set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 64 << 20);
        set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 16 << 20);
        // PACKET_IGNORE_OUTGOING
        set(libc::SOL_PACKET, 23, 1);
        // SAFETY: all zeroes are a valid address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = index(name) as i32;
        let (address, size) = (std::ptr::from_ref(&address), size_of::<libc::sockaddr_ll>());
        // SAFETY: the address is alive and as long as is said.
        if unsafe { libc::bind(fd.as_raw_fd(), address.cast(), size as u32) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(fd.into()))
    }

    /// Sends a frame; waits where the queue is full.
    pub fn send(&mut self, frame: &[u8]) {
        loop {
            match self.0.write(frame) {
                Ok(sent) => return assert_eq!(sent, frame.len()),
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        || error.raw_os_error() == Some(libc::ENOBUFS) =>
                {
                    std::thread::yield_now();
                }
                Err(error) => panic!("sending: {error}"),
            }
        }
    }

    /// The next frame that came, if one did.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        match self.0.read(buffer) {
            Ok(length) => Some(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // Once, after the interface was set down.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => None,
            Err(error) => panic!("receiving: {error}"),
        }
    }
}
