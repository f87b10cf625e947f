//! bpf(2), as far as it is used here. Everything unsafe about it is in this file and its parts.
//!
//! The layouts are those of `include/uapi/linux/bpf.h`.

#[cfg(test)]
mod run;
mod tracepoint;
mod wait;

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use weir_xdp_common::{FlowEntry, FlowKey, PortSettings, Record, Settings};

#[cfg(test)]
pub(super) use run::test_run;
pub(super) use tracepoint::link_tracepoint;
pub(super) use wait::wait_for_programs;

const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const MAP_DELETE_ELEM: libc::c_int = 3;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const OBJ_PIN: libc::c_int = 6;
const OBJ_GET: libc::c_int = 7;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const MAP_LOOKUP_AND_DELETE_ELEM: libc::c_int = 21;
const LINK_CREATE: libc::c_int = 28;
const LINK_UPDATE: libc::c_int = 29;
const LINK_DETACH: libc::c_int = 34;

/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;

/// `BPF_ANY`: an element is made or replaced.
pub(super) const ANY: u64 = 0;
/// `BPF_NOEXIST`: an element is made, and there may be none.
pub(super) const NEW: u64 = 1;

/// Types that are keys or values of maps: any bytes are a value, and none are padding.
///
/// # Safety
///
/// As said.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: integers without padding; `zero` fills the gap.
unsafe impl Plain for FlowKey {}
// SAFETY: integers without padding; `zero` fills the gap.
unsafe impl Plain for FlowEntry {}
// SAFETY: integers without padding.
unsafe impl Plain for Settings {}

/// One call: `attr` is what `union bpf_attr` holds for `command`, the rest of which is zero.
///
/// # Safety
///
/// `attr` is of the layout that `command` has, and its addresses are good for what the command does with them.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the caller's; the kernel reads the size told, and takes the rest for zero.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr as *mut T, size_of::<T>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = libc::c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[repr(C)]
struct Element {
    map: u32,
    zero: u32,
    key: u64,
    /// Or the next key.
    value: u64,
    flags: u64,
}

impl Element {
    fn new<K: Plain>(map: BorrowedFd<'_>, key: Option<&K>, value: u64, flags: u64) -> Self {
        Self {
            map: fd(map),
            zero: 0,
            key: key.map_or(0, |key| std::ptr::from_ref(key) as u64),
            value,
            flags,
        }
    }
}

fn fd(fd: BorrowedFd<'_>) -> u32 {
    // Descriptors are never negative.
    fd.as_raw_fd().unsigned_abs()
}

/// What a map is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    pub entries: u32,
    pub flags: u32,
}

/// A map, with elements of one type.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    map: OwnedFd,
    of: std::marker::PhantomData<fn(K) -> V>,
}

impl<K: Plain, V: Plain> Table<K, V> {
    /// `None` if the map's keys and values have other sizes.
    pub fn new(map: OwnedFd) -> io::Result<Option<Self>> {
        let shape = map_shape(map.as_fd())?;
        let fits = shape.key as usize == size_of::<K>() && shape.value as usize == size_of::<V>();
        Ok(fits.then_some(Self {
            map,
            of: std::marker::PhantomData,
        }))
    }

    pub fn get(&self, key: &K) -> io::Result<Option<V>> {
        self.read(MAP_LOOKUP_ELEM, key)
    }

    /// Removes an element and says what it was, in one step.
    pub fn take(&self, key: &K) -> io::Result<Option<V>> {
        self.read(MAP_LOOKUP_AND_DELETE_ELEM, key)
    }

    fn read(&self, command: libc::c_int, key: &K) -> io::Result<Option<V>> {
        let mut value = MaybeUninit::<V>::zeroed();
        let at = value.as_mut_ptr() as u64;
        let mut element = Element::new(self.map.as_fd(), Some(key), at, 0);
        // SAFETY: the map's keys and values are of the sizes of K and V, as `new` has seen.
        match unsafe { bpf(command, &mut element) } {
            // SAFETY: zeroes, or written by the kernel; any bytes are a value.
            Ok(_) => Ok(Some(unsafe { value.assume_init() })),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn set(&self, key: &K, value: &V, flags: u64) -> io::Result<()> {
        let at = std::ptr::from_ref(value) as u64;
        let mut element = Element::new(self.map.as_fd(), Some(key), at, flags);
        // SAFETY: as in `read`.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut element) }.map(drop)
    }

    /// The key after `key`, or the first; `None` after the last. The order is the kernel's.
    pub fn next(&self, key: Option<&K>) -> io::Result<Option<K>> {
        let mut next = MaybeUninit::<K>::zeroed();
        let at = next.as_mut_ptr() as u64;
        let mut element = Element::new(self.map.as_fd(), key, at, 0);
        // SAFETY: as in `read`, of K.
        match unsafe { bpf(MAP_GET_NEXT_KEY, &mut element) } {
            // SAFETY: as in `read`.
            Ok(_) => Ok(Some(unsafe { next.assume_init() })),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Sets an element of a map of u32 by u32, as maps of sockets and devices are.
pub(super) fn map_set(map: BorrowedFd<'_>, key: u32, value: u32) -> io::Result<()> {
    let at = std::ptr::from_ref(&value) as u64;
    let mut element = Element::new(map, Some(&key), at, ANY);
    // SAFETY: key and value are of four bytes; a map of devices takes eight for its value only if it was made so, which
    // `map_set_device` is for.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut element) }.map(drop)
}

/// Sets an element of a map of devices whose values have room for a program.
pub(super) fn map_set_device(map: BorrowedFd<'_>, key: u32, ifindex: u32) -> io::Result<()> {
    // No program: its descriptor is 0 or less.
    let value = [ifindex, 0_u32];
    let mut element = Element::new(map, Some(&key), value.as_ptr() as u64, ANY);
    // SAFETY: eight bytes are the most that the kernel reads of such a value.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut element) }.map(drop)
}

/// Removes an element of a map with u32 as keys; that there is none is not an error.
pub(super) fn map_remove(map: BorrowedFd<'_>, key: u32) -> io::Result<()> {
    let mut element = Element::new(map, Some(&key), 0, 0);
    // SAFETY: the key is of four bytes.
    match unsafe { bpf(MAP_DELETE_ELEM, &mut element) } {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Reads the values that each CPU has of an element. `room` is for all of them, each in a multiple of eight bytes.
pub(super) fn map_read_cpus(map: BorrowedFd<'_>, key: u32, room: &mut [u64]) -> io::Result<()> {
    let shape = map_shape(map)?;
    let words = (shape.value as usize).div_ceil(8) * possible_cpus()?;
    if shape.key != 4 || room.len() < words {
        return Err(io::Error::other("the map has values of another size"));
    }
    let mut element = Element::new(map, Some(&key), room.as_mut_ptr() as u64, 0);
    // SAFETY: the room is for all CPUs' values.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut element) }.map(drop)
}

/// What the first element of an array begins with, whatever else is in it; `None` where it has none, or no room for a record.
pub(super) fn record(map: BorrowedFd<'_>) -> io::Result<Option<Record>> {
    const ARRAY: u32 = 2;
    let shape = map_shape(map)?;
    if shape.kind != ARRAY || shape.key != 4 || (shape.value as usize) < size_of::<Record>() {
        return Ok(None);
    }
    let mut words = vec![0_u32; (shape.value as usize).div_ceil(8) * 2];
    let mut element = Element::new(map, Some(&0_u32), words.as_mut_ptr() as u64, 0);
    // SAFETY: the room is for such a value.
    unsafe { bpf(MAP_LOOKUP_ELEM, &mut element) }?;
    let &[layout, a, a_changed, b, b_changed, ..] = words.as_slice() else {
        return Ok(None);
    };
    let port = |ifindex, changed| PortSettings { ifindex, changed };
    let ports = [port(a, a_changed), port(b, b_changed)];
    Ok(Some(Record { layout, ports }))
}

/// How many CPUs the kernel keeps values for.
pub(super) fn possible_cpus() -> io::Result<usize> {
    aya::util::nr_cpus()
        .map_err(|(file, error)| io::Error::new(error.kind(), format!("{file}: {error}")))
}

#[repr(C)]
struct Info {
    object: u32,
    length: u32,
    info: u64,
}

fn info<T>(object: BorrowedFd<'_>, into: &mut T) -> io::Result<()> {
    let mut attr = Info {
        object: fd(object),
        length: size_of::<T>() as u32,
        info: std::ptr::from_mut(into) as u64,
    };
    // SAFETY: the kernel writes at most `length` bytes; T is made of integers, private to this file.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attr) }.map(drop)
}

/// What a map is.
pub(super) fn map_shape(map: BorrowedFd<'_>) -> io::Result<Shape> {
    // `struct bpf_map_info`: type, id, key_size, value_size, max_entries, map_flags.
    let mut words = [0_u32; 6];
    info(map, &mut words)?;
    let [kind, _, key, value, entries, flags] = words;
    Ok(Shape {
        kind,
        key,
        value,
        entries,
        flags,
    })
}

/// A program: what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The kernel's number.
    pub id: u32,
    /// The name, of at most 15 bytes.
    pub name: String,
    /// The kernel's hash of the instructions.
    pub tag: [u8; 8],
}

/// What a program is.
pub(super) fn program_info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    /// `struct bpf_prog_info`, up to the name.
    #[repr(C)]
    #[derive(Default)]
    struct Raw {
        kind: u32,
        id: u32,
        tag: [u8; 8],
        lengths: [u32; 2],
        addresses: [u64; 2],
        load_time: u64,
        uid: u32,
        maps: u32,
        map_ids: u64,
        name: [u8; 16],
    }
    let mut raw = Raw::default();
    info(program, &mut raw)?;
    let name = raw.name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(ProgramInfo {
        id: raw.id,
        name: String::from_utf8_lossy(name).into_owned(),
        tag: raw.tag,
    })
}

/// What the program with this number is.
pub(super) fn program_by_id(id: u32) -> io::Result<ProgramInfo> {
    let mut attr = [id, 0, 0];
    // SAFETY: `prog_id`, `next_id` and `open_flags`, no addresses.
    let program = owned(unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }?)?;
    program_info(program.as_fd())
}

/// The interface and the program of a link; the interface is 0 when it is gone.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    // `struct bpf_link_info`: type, id, prog_id, a gap, and for XDP the interface.
    let mut words = [0_u32; 6];
    info(link, &mut words)?;
    Ok((words[4], words[2]))
}

/// The tag of a link's program; `None` if the kernel does not say. (Asking for the program itself takes CAP_SYS_ADMIN.)
pub(super) fn link_tag(link: BorrowedFd<'_>) -> Option<[u8; 8]> {
    let path = format!("/proc/thread-self/fdinfo/{}", link.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let hex = text
        .lines()
        .find_map(|line| line.strip_prefix("prog_tag:"))?;
    let number = u64::from_str_radix(hex.trim(), 16).ok()?;
    Some(number.to_be_bytes())
}

/// Attaches a program to an interface, for as long as the link lives. `flags` are `XDP_FLAGS_*_MODE`.
pub(super) fn link_create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = [fd(program), ifindex, ATTACH_XDP, flags];
    // SAFETY: `link_create` up to its flags, no addresses.
    owned(unsafe { bpf(LINK_CREATE, &mut attr) }?)
}

/// Puts another program in the place of a link's, between two frames.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = [fd(link), fd(program), 0, 0];
    // SAFETY: `link_update`, no addresses.
    unsafe { bpf(LINK_UPDATE, &mut attr) }.map(drop)
}

/// Takes a link's program off its interface, at once: when its last name and descriptor go, the kernel does so later.
pub(super) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = fd(link);
    // SAFETY: `link_detach`, no addresses.
    unsafe { bpf(LINK_DETACH, &mut attr) }.map(drop)
}

#[repr(C)]
struct Pin {
    path: u64,
    object: u32,
    flags: u32,
}

/// Gives a map, program or link a name in a BPF file system.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        object: fd(object),
        flags: 0,
    };
    // SAFETY: the path ends with a zero, and lives until the call returns.
    unsafe { bpf(OBJ_PIN, &mut attr) }.map(drop)
}

/// Opens what has been pinned; `None` if there is nothing of that name.
pub(super) fn pinned(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = Pin {
        path: path.as_ptr() as u64,
        object: 0,
        flags: 0,
    };
    // SAFETY: as in `pin`.
    match unsafe { bpf(OBJ_GET, &mut attr) } {
        Ok(result) => owned(result).map(Some),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<K, V> AsFd for Table<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}
