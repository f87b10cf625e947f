//! Receiving whole frames: a packet socket whose frames the kernel puts into shared memory, a block at a time
//! (TPACKET_V3, `Documentation/networking/packet_mmap.rst`), each with the time at which it came.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::socket::PacketSocket;

const ETH_P_ALL: u16 = 3;
const BLOCK: usize = 1 << 20;
const BLOCKS: usize = 48;
/// After this many milliseconds the kernel hands over a block that is not full.
const RETIRE_MS: u32 = 8;
const TP_STATUS_USER: u32 = 1;
const TP_STATUS_CSUMNOTREADY: u32 = 1 << 3;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
/// `struct tpacket_block_desc`: version, offset of private bytes, then `struct tpacket_hdr_v1`.
const BLOCK_HEADER: usize = 8;
const STATUS: usize = BLOCK_HEADER + offset_of!(libc::tpacket_hdr_v1, block_status);
const COUNT: usize = BLOCK_HEADER + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST: usize = BLOCK_HEADER + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);
/// After a frame's header, to a multiple of 16, comes the address that it has.
const ADDRESS: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(16);

/// A socket with its ring of blocks.
pub(crate) struct Ring {
    socket: PacketSocket,
    map: *mut c_void,
    next: usize,
}

// SAFETY: the map belongs to this value alone and may be read by whichever thread has it.
unsafe impl Send for Ring {}

/// One frame in a block.
pub(crate) struct Arrived<'a> {
    /// Its bytes, but for a VLAN tag that stands in `tag`.
    pub data: &'a [u8],
    /// The outermost VLAN tag (kind and id) where the kernel has taken it out of the frame.
    pub tag: Option<(u16, u16)>,
    /// When it came: nanoseconds of CLOCK_REALTIME.
    pub time_ns: u64,
    /// The host sent it.
    pub outgoing: bool,
    /// Its transport checksum was left to the interface.
    pub unfinished: bool,
}

impl Ring {
    /// On an interface of this thread's namespace, for all that comes in, and if wanted goes out.
    pub fn open(interface: u32, outgoing: bool) -> io::Result<Self> {
        let socket = PacketSocket::open()?;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            // Unused in this version but for checks: any that divides a block.
            tp_frame_size: 2048,
            tp_frame_nr: (BLOCK / 2048 * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        // SAFETY: these options take an int, the request, and an int.
        unsafe {
            socket.set(libc::PACKET_VERSION, &version)?;
            socket.set(libc::PACKET_RX_RING, &request)?;
            socket.set(libc::PACKET_IGNORE_OUTGOING, &libc::c_int::from(!outgoing))?;
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new map at a place of the kernel's choice, as long as the ring that was just asked for.
        let map = unsafe {
            mmap(
                std::ptr::null_mut(),
                BLOCK * BLOCKS,
                protection,
                MapFlags::SHARED,
                &socket,
                0,
            )
        }?;
        let ring = Self {
            socket,
            map,
            next: 0,
        };
        ring.socket.bind(interface, ETH_P_ALL)?;
        Ok(ring)
    }

    /// The socket, to ask it for its drops.
    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// Waits until there may be a block.
    pub fn wait(&self, limit: Duration) -> io::Result<()> {
        let mut watched = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::ERR)];
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        match poll(&mut watched, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next block, if the kernel has handed it over; dropping it gives it back.
    pub fn block(&mut self) -> Option<Block<'_>> {
        // SAFETY: `next` is below BLOCKS, so that this is inside the map.
        let base = unsafe { self.map.cast::<u8>().add(self.next * BLOCK) };
        // SAFETY: inside the block and aligned to 4 bytes, as blocks are pages; kernel and we only use it as an atomic.
        let status = unsafe { AtomicU32::from_ptr(base.add(STATUS).cast()) };
        if status.load(Ordering::Acquire) & TP_STATUS_USER == 0 {
            return None;
        }
        self.next = (self.next + 1) % BLOCKS;
        Some(Block {
            base,
            ring: PhantomData,
        })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped with this length when the ring was made; blocks borrow the ring and are gone.
        let _ = unsafe { munmap(self.map, BLOCK * BLOCKS) };
    }
}

/// A block that is ours to read.
pub(crate) struct Block<'a> {
    base: *mut u8,
    ring: PhantomData<&'a mut Ring>,
}

impl Block<'_> {
    /// The frames in it. What the kernel says of places is believed only inside the block.
    pub fn frames(&self) -> impl Iterator<Item = Arrived<'_>> {
        // SAFETY: a whole block inside the map, which the kernel does not write to until its status is given back; the
        // status is at the beginning and is left out.
        let data =
            unsafe { std::slice::from_raw_parts(self.base.add(STATUS + 4), BLOCK - (STATUS + 4)) };
        let skipped = STATUS + 4;
        let mut left = word(data, COUNT - skipped).unwrap_or(0);
        let mut place = word(data, FIRST - skipped).unwrap_or(0) as usize;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let header = data.get(place.checked_sub(skipped)?..)?;
            place += word(header, offset_of!(libc::tpacket3_hdr, tp_next_offset))? as usize;
            arrived(header)
        })
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `Ring::block`.
        let status = unsafe { AtomicU32::from_ptr(self.base.add(STATUS).cast()) };
        status.store(0, Ordering::Release);
    }
}

/// The frame whose header `header` begins with.
fn arrived(header: &[u8]) -> Option<Arrived<'_>> {
    let field = |place| word(header, place);
    let start = half(header, offset_of!(libc::tpacket3_hdr, tp_mac))? as usize;
    let kept = field(offset_of!(libc::tpacket3_hdr, tp_snaplen))? as usize;
    let seconds = u64::from(field(offset_of!(libc::tpacket3_hdr, tp_sec))?);
    let rest = u64::from(field(offset_of!(libc::tpacket3_hdr, tp_nsec))?);
    let status = field(offset_of!(libc::tpacket3_hdr, tp_status))?;
    let variant = offset_of!(libc::tpacket3_hdr, hv1);
    let tci = field(variant + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci))?;
    let kind = half(
        header,
        variant + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid),
    )?;
    let tag = (status & TP_STATUS_VLAN_VALID != 0).then(|| {
        let said = status & TP_STATUS_VLAN_TPID_VALID != 0;
        (if said { kind } else { 0x8100 }, tci as u16)
    });
    let direction = header.get(ADDRESS + offset_of!(libc::sockaddr_ll, sll_pkttype))?;
    Some(Arrived {
        data: header.get(start..start.checked_add(kept)?)?,
        tag,
        time_ns: seconds * 1_000_000_000 + rest,
        outgoing: *direction == libc::PACKET_OUTGOING,
        unfinished: status & TP_STATUS_CSUMNOTREADY != 0,
    })
}

impl Arrived<'_> {
    /// The frame as it was on the link, its tag put back; `room` is used where one was taken out.
    pub fn whole<'a>(&'a self, room: &'a mut Vec<u8>) -> &'a [u8] {
        let Some((kind, id)) = self.tag else {
            return self.data;
        };
        let (addresses, rest) = self.data.split_at(self.data.len().min(12));
        room.clear();
        room.extend_from_slice(addresses);
        room.extend(kind.to_be_bytes().into_iter().chain(id.to_be_bytes()));
        room.extend_from_slice(rest);
        room
    }
}

fn word(data: &[u8], place: usize) -> Option<u32> {
    let bytes = data.get(place..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn half(data: &[u8], place: usize) -> Option<u16> {
    let bytes = data.get(place..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}
