//! Which flow the program would see in a frame: the same answer as `ebpf/src/flow.rs` gives, from a slice.

use std::net::IpAddr;

use weir_xdp_common::{FlowKey, TCP, UDP};

/// A frame's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFlow {
    /// Its key.
    pub key: FlowKey,
    /// It opens a TCP connection: SYN without ACK.
    pub opens: bool,
}

/// Extension headers of IPv6 that are stepped over, at most.
const MOST_EXTENSIONS: usize = 4;

/// The flow of an Ethernet frame; `None` for frames that the program leaves to user space in any case: those that are not
/// whole TCP segments or UDP datagrams over IPv4 or IPv6 with at most two VLAN tags and four extension headers.
#[must_use]
pub fn frame_flow(frame: &[u8]) -> Option<FrameFlow> {
    let mut kind = word(frame, 12)?;
    let mut rest = frame.get(14..)?;
    let mut vlans = [0; 2];
    for vlan in &mut vlans {
        if kind != 0x8100 && kind != 0x88a8 {
            break;
        }
        *vlan = word(rest, 0)? & 0xfff;
        kind = word(rest, 2)?;
        rest = rest.get(4..)?;
    }
    let packet = match kind {
        0x0800 => v4(rest)?,
        0x86dd => v6(rest)?,
        _ => return None,
    };
    let opens = match packet.proto {
        TCP => {
            let header = packet.payload.first_chunk::<20>()?;
            let length = usize::from(header[12] >> 4) * 4;
            if length < 20 || length > packet.payload.len() {
                return None;
            }
            header[13] & 0x12 == 0x02
        }
        UDP => {
            packet.payload.first_chunk::<8>()?;
            false
        }
        _ => return None,
    };
    let from = (packet.from, word(packet.payload, 0)?);
    let to = (packet.to, word(packet.payload, 2)?);
    let key = FlowKey::between(from, to, packet.proto, vlans[0], vlans[1])?;
    Some(FrameFlow { key, opens })
}

struct Packet<'a> {
    from: IpAddr,
    to: IpAddr,
    proto: u8,
    payload: &'a [u8],
}

fn v4(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = bytes.first_chunk::<20>()?;
    let length = usize::from(header[0] & 0xf) * 4;
    let fragment = word(header, 6)? & 0x3fff != 0;
    if header[0] >> 4 != 4 || length < 20 || fragment {
        return None;
    }
    let address = |at: usize| Some(IpAddr::from(*header.get(at..)?.first_chunk::<4>()?));
    Some(Packet {
        from: address(12)?,
        to: address(16)?,
        proto: header[9],
        // Padding of the frame is not payload.
        payload: bytes.get(length..usize::from(word(header, 2)?))?,
    })
}

fn v6(bytes: &[u8]) -> Option<Packet<'_>> {
    let header = bytes.first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let mut payload = bytes.get(40..40 + usize::from(word(header, 4)?))?;
    let mut proto = header[6];
    for _ in 0..MOST_EXTENSIONS {
        // Hop by hop, routing, destination.
        if !matches!(proto, 0 | 43 | 60) {
            break;
        }
        let length = (usize::from(*payload.get(1)?) + 1) * 8;
        proto = *payload.first()?;
        payload = payload.get(length..)?;
    }
    let address = |at: usize| Some(IpAddr::from(*header.get(at..)?.first_chunk::<16>()?));
    Some(Packet {
        from: address(8)?,
        to: address(24)?,
        proto,
        payload,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
