//! Which flow a frame belongs to: Ethernet, up to two VLAN tags, IPv4 with options or IPv6 with extension headers, TCP or
//! UDP. Whatever is not plainly one of these has no flow here, and goes to user space, which looks closer.

use core::arch::asm;

use weir_xdp_common::{FlowKey, TCP, UDP, is_mapped, mapped};

/// EtherTypes, as they stand in frames.
const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const VLAN: u16 = 0x8100_u16.to_be();
const SERVICE_VLAN: u16 = 0x88a8_u16.to_be();

/// IPv6's extension headers that are stepped over (RFC 8200 §4.1); those of fragments are not.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;
/// Most of them in a frame.
const MOST_EXTENSIONS: u32 = 4;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// What was found.
pub struct Found {
    pub key: FlowKey,
    /// A TCP segment that opens a connection: SYN without ACK.
    pub opens: bool,
}

/// The part of a frame that has not been read yet.
#[derive(Clone, Copy)]
struct Rest {
    at: usize,
    end: usize,
}

impl Rest {
    /// A header at the front, if all of it is there. `T` is made of integers, and packed.
    #[inline(always)]
    fn header<T>(&self) -> Option<&T> {
        const { assert!(align_of::<T>() == 1) };
        if self.at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the frame reaches at least as far as the header does, which the verifier checks too; any bytes will do,
        // and none of the frame is written to while the program runs.
        Some(unsafe { &*(self.at as *const T) })
    }

    #[inline(always)]
    fn skip(self, bytes: usize) -> Self {
        Self {
            at: self.at + bytes,
            ..self
        }
    }

    /// As `skip`, by what the frame says. The compiler is kept from knowing where that leads to: it would leave out checks
    /// that follow from earlier ones, which the verifier cannot see.
    #[inline(always)]
    fn skip_far(self, bytes: usize) -> Self {
        let mut at = self.at;
        // SAFETY: an addition, and nothing else.
        unsafe { asm!("{0} += {1}", inout(reg) at, in(reg) bytes, options(pure, nomem, nostack)) };
        Self { at, ..self }
    }

    #[inline(always)]
    fn holds(&self, bytes: usize) -> bool {
        self.at + bytes <= self.end
    }
}

#[repr(C, packed)]
struct Ethernet {
    addresses: [u8; 12],
    kind: u16,
}

#[repr(C, packed)]
struct Tag {
    control: u16,
    kind: u16,
}

#[repr(C, packed)]
struct V4 {
    version: u8,
    service: u8,
    length: u16,
    id: u16,
    fragment: u16,
    ttl: u8,
    proto: u8,
    checksum: u16,
    from: u32,
    to: u32,
}

#[repr(C, packed)]
struct V6 {
    version: u8,
    class: [u8; 3],
    length: u16,
    next: u8,
    hops: u8,
    from: [u32; 4],
    to: [u32; 4],
}

#[repr(C, packed)]
struct Extension {
    next: u8,
    length: u8,
}

#[repr(C, packed)]
struct Transport {
    from: u16,
    to: u16,
}

#[repr(C, packed)]
struct Tcp {
    ends: Transport,
    numbers: [u32; 2],
    offset: u8,
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
}

#[repr(C, packed)]
struct Udp {
    ends: Transport,
    length: u16,
    checksum: u16,
}

/// The flow of the frame between `data` and `end`.
#[inline(always)]
pub fn find(data: usize, end: usize) -> Option<Found> {
    let rest = Rest { at: data, end };
    let mut kind = rest.header::<Ethernet>()?.kind;
    let mut rest = rest.skip(size_of::<Ethernet>());
    let mut vlans = [0; 2];
    for vlan in &mut vlans {
        if kind != VLAN && kind != SERVICE_VLAN {
            break;
        }
        let tag = rest.header::<Tag>()?;
        *vlan = u16::from_be(tag.control) & 0xfff;
        kind = tag.kind;
        rest = rest.skip(size_of::<Tag>());
    }
    match kind {
        IPV4 => v4(rest, vlans),
        IPV6 => v6(rest, vlans),
        _ => None,
    }
}

#[inline(always)]
fn v4(rest: Rest, vlans: [u16; 2]) -> Option<Found> {
    let ip = rest.header::<V4>()?;
    let header = usize::from(ip.version & 0xf) * 4;
    let length = usize::from(u16::from_be(ip.length));
    // More fragments, or not the first: but for "don't fragment" and the reserved bit.
    let fragment = u16::from_be(ip.fragment) & 0x3fff != 0;
    if ip.version >> 4 != 4 || header < size_of::<V4>() || fragment || !rest.holds(length) {
        return None;
    }
    let payload = length.checked_sub(header)?;
    let ends = (mapped(ip.from), mapped(ip.to));
    transport(rest.skip_far(header), payload, ip.proto, ends, vlans)
}

#[inline(always)]
fn v6(rest: Rest, vlans: [u16; 2]) -> Option<Found> {
    let ip = rest.header::<V6>()?;
    let mut payload = usize::from(u16::from_be(ip.length));
    if ip.version >> 4 != 6 || !rest.holds(size_of::<V6>() + payload) {
        return None;
    }
    let mut next = ip.next;
    let ends = (ip.from, ip.to);
    // Their key would be that of a flow over IPv4.
    if is_mapped(&ends.0) || is_mapped(&ends.1) {
        return None;
    }
    let mut rest = rest.skip(size_of::<V6>());
    for _ in 0..MOST_EXTENSIONS {
        if !matches!(next, HOP_BY_HOP | ROUTING | DESTINATION) {
            break;
        }
        let extension = rest.header::<Extension>()?;
        let length = (usize::from(extension.length) + 1) * 8;
        next = extension.next;
        payload = payload.checked_sub(length)?;
        rest = rest.skip_far(length);
    }
    transport(rest, payload, next, ends, vlans)
}

/// `payload` is how many bytes IP says there are.
#[inline(always)]
fn transport(
    rest: Rest,
    payload: usize,
    proto: u8,
    ends: ([u32; 4], [u32; 4]),
    vlans: [u16; 2],
) -> Option<Found> {
    let (ports, opens) = match proto {
        TCP if payload >= size_of::<Tcp>() => {
            let tcp = rest.header::<Tcp>()?;
            let header = usize::from(tcp.offset >> 4) * 4;
            if header < size_of::<Tcp>() || header > payload {
                return None;
            }
            let opens = tcp.flags & (SYN | ACK) == SYN;
            (&tcp.ends, opens)
        }
        UDP if payload >= size_of::<Udp>() => (&rest.header::<Udp>()?.ends, false),
        _ => return None,
    };
    let (from, to) = ((ends.0, ports.from), (ends.1, ports.to));
    Some(Found {
        key: FlowKey::of(from, to, proto, vlans[0], vlans[1]),
        opens,
    })
}
