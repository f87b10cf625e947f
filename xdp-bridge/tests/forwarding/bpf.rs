//! The smallest XDP program that gives all frames to user space, made of instructions: these tests are about sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROGRAM_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
const XSKMAP: u32 = 17;
const XDP_PROGRAM: u32 = 6;
const XDP_ATTACH: u32 = 37;
const REDIRECT_MAP: i32 = 51;

/// One `bpf` call, whose argument is made of 32-bit words.
fn bpf(command: libc::c_int, words: &[u32]) -> io::Result<libc::c_long> {
    let size = size_of_val(words);
    // SAFETY: the argument is as long as is said; what it points to is alive (see the callers).
    let got = unsafe { libc::syscall(libc::SYS_bpf, command, words.as_ptr(), size) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(got)
}

fn bpf_fd(command: libc::c_int, words: &[u32]) -> io::Result<OwnedFd> {
    let fd = bpf(command, words)?;
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: these commands return a new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pointer<T>(value: &T) -> [u32; 2] {
    let address = std::ptr::from_ref(value).addr() as u64;
    [address as u32, (address >> 32) as u32]
}

/// Generic (of the network stack) or native (of the driver).
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    Generic,
    Native,
}

/// A program on an interface, and the map of its sockets by queue. It goes when dropped.
pub struct Redirect {
    sockets: OwnedFd,
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    pub fn attach(interface: u32, queues: u32, mode: Mode) -> io::Result<Self> {
        let sockets = bpf_fd(MAP_CREATE, &[XSKMAP, 4, 4, queues, 0])?;
        let instruction = |code: u8, registers: u8, offset: i16, value: i32| {
            u64::from(code)
                | u64::from(registers) << 8
                | u64::from(offset as u16) << 16
                | u64::from(value as u32) << 32
        };
        let code = [
            // r2 = the context's receive queue
            instruction(0x61, 0x12, 16, 0),
            // r1 = the map
            instruction(0x18, 0x11, 0, sockets.as_raw_fd()),
            0,
            // r3 = drop, where there is no socket
            instruction(0xb7, 0x03, 0, 1),
            instruction(0x85, 0, 0, REDIRECT_MAP),
            instruction(0x95, 0, 0, 0),
        ];
        let licence = *b"GPL\0";
        let ([code_low, code_high], [licence_low, licence_high]) =
            (pointer(&code), pointer(&licence));
        let program = bpf_fd(
            PROGRAM_LOAD,
            &[
                XDP_PROGRAM,
                code.len() as u32,
                code_low,
                code_high,
                licence_low,
                licence_high,
                0,
                0,
                0,
                0,
            ],
        )?;
        let flags = match mode {
            Mode::Generic => 2,
            Mode::Native => 4,
        };
        let link = bpf_fd(
            LINK_CREATE,
            &[program.as_raw_fd() as u32, interface, XDP_ATTACH, flags],
        )?;
        Ok(Self {
            sockets,
            _program: program,
            _link: link,
        })
    }

    pub fn set(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = socket.as_raw_fd() as u32;
        let ([key_low, key_high], [value_low, value_high]) = (pointer(&queue), pointer(&value));
        let map = self.sockets.as_raw_fd() as u32;
        let words = [map, 0, key_low, key_high, value_low, value_high, 0, 0];
        bpf(MAP_UPDATE, &words).map(|_| ())
    }
}
