//! ethtool's ioctl (`include/uapi/linux/ethtool.h`): drivers, queues, and flags of offloads.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::netlink::text_of;

const GET_DRIVER: u32 = 0x3;
const GET_FLAGS: u32 = 0x25;
const SET_FLAGS: u32 = 0x26;
const GET_CHANNELS: u32 = 0x3c;

/// `ETH_FLAG_LRO`: received frames are merged.
pub(crate) const LARGE_RECEIVE: u32 = 1 << 15;
/// `ETH_FLAG_RXVLAN`: VLAN tags are taken out of received frames.
pub(crate) const VLAN_STRIPPING: u32 = 1 << 8;

/// Asks or tells a driver. `T` begins with the command.
fn ioctl<T: Command>(name: &str, command: &mut T) -> io::Result<()> {
    let socket: OwnedFd = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: zeroes are an `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero.
    if name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = std::ptr::from_mut(command).cast();
    // SAFETY: the request names an interface, and its data is what this command reads and writes, as `Command` promises.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &mut request) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What follows from a command's number.
///
/// # Safety
///
/// The type is the one that the kernel knows for the commands that it is used with: its first field is the number.
unsafe trait Command {}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

// SAFETY: 196 bytes, as the kernel has it; used with GET_DRIVER.
unsafe impl Command for DriverInfo {}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

// SAFETY: used with GET_FLAGS and SET_FLAGS.
unsafe impl Command for Value {}

/// `struct ethtool_channels`: most of each kind, then how many of receiving, sending, others and both are in use.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    most: [u32; 4],
    used: [u32; 4],
}

// SAFETY: used with GET_CHANNELS.
unsafe impl Command for Channels {}

/// The driver's name; `None` if it does not say.
pub(super) fn driver(name: &str) -> Option<String> {
    let mut info = DriverInfo {
        command: GET_DRIVER,
        driver: [0; 32],
        rest: [0; 160],
    };
    ioctl(name, &mut info).ok()?;
    Some(text_of(&info.driver))
}

/// Receive queues in use; `None` if the driver does not say.
pub(super) fn queues(name: &str) -> Option<u32> {
    let mut channels = Channels {
        command: GET_CHANNELS,
        ..Channels::default()
    };
    ioctl(name, &mut channels).ok()?;
    let [receiving, _, _, both] = channels.used;
    Some(receiving.saturating_add(both)).filter(|&count| count > 0)
}

/// Flags that are on; `None` if the driver does not say.
pub(crate) fn flags(name: &str) -> Option<u32> {
    let mut value = Value {
        command: GET_FLAGS,
        data: 0,
    };
    ioctl(name, &mut value).ok()?;
    Some(value.data)
}

/// Turns `which` of the flags on or off.
pub(crate) fn set_flags(name: &str, which: u32, on: bool) -> io::Result<()> {
    let now = flags(name).ok_or(io::ErrorKind::Unsupported)?;
    let data = if on { now | which } else { now & !which };
    let mut value = Value {
        command: SET_FLAGS,
        data,
    };
    ioctl(name, &mut value)
}

const _: () = assert!(size_of::<DriverInfo>() == 196);
