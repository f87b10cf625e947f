//! Packets in packets, and packets in pieces.

use super::wire::{
    Dir, ETHERNET, Path, Script, ether_type, ethernet, ip_header, proto, seal_ipv4, udp_header,
};

/// A way to carry packets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tunnel {
    /// RFC 7348, with its network identifier.
    Vxlan(u32),
    /// RFC 2784.
    Gre,
    /// RFC 2003.
    IpIp,
}

const VXLAN_PORT: u16 = 4789;

/// Bytes of an IPv4 header without options, the only kind that is made here.
const IPV4: usize = 20;

/// Carries every frame of `inner` (Ethernet, no VLAN tag) between the ends of `outer`. What its first frame's sender sends goes up.
pub(super) fn carry(inner: &Script, outer: &Path, tunnel: Tunnel, out: &mut Script) {
    let sender = |frame: &[u8]| -> Option<[u8; 6]> { frame.get(6..)?.first_chunk().copied() };
    let client = inner.frames().next().and_then(|(_, frame)| sender(frame));
    for (ts_ns, frame) in inner.frames() {
        let dir = if sender(frame) == client {
            Dir::Up
        } else {
            Dir::Down
        };
        let packet = frame.get(ETHERNET..).unwrap_or_default();
        match tunnel {
            Tunnel::Vxlan(network) => {
                // Both ends send to the tunnel's port, from a port of their own choice.
                let mut path = *outer;
                if dir == Dir::Down {
                    std::mem::swap(&mut path.client, &mut path.server);
                }
                path.sport = VXLAN_PORT;
                let mut data = vec![8, 0, 0, 0];
                data.extend_from_slice(&(network << 8).to_be_bytes());
                data.extend_from_slice(frame);
                out.udp(ts_ns, &path, Dir::Up, &data);
            }
            Tunnel::Gre => {
                let kind = frame.get(12..ETHERNET).unwrap_or_default();
                let head = [&[0, 0], kind].concat();
                out.ip(ts_ns, outer, dir, proto::GRE, &head, packet);
            }
            Tunnel::IpIp => out.ip(ts_ns, outer, dir, proto::IPIP, &[], packet),
        }
    }
}

/// One piece of a packet in fragments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Where it belongs, in bytes: a multiple of 8.
    pub(super) offset: u16,
    /// True when more pieces follow.
    pub(super) more: bool,
    pub(super) data: &'a [u8],
}

/// Sends an IPv4 packet in pieces, as told: nothing makes sure that they fit together.
pub(super) fn in_pieces(
    script: &mut Script,
    mut at: u64,
    path: &Path,
    protocol: u8,
    id: u16,
    pieces: &[Piece<'_>],
) {
    let (src, dst) = path.ends(Dir::Up);
    for piece in pieces {
        let mut header = Vec::new();
        ip_header(&mut header, src, dst, protocol, piece.data.len(), id);
        let Some(header) = header.first_chunk_mut::<IPV4>() else {
            // An IPv6 path: its fragments have another form, which no scenario uses.
            return;
        };
        let field = (piece.offset / 8) | if piece.more { 0x2000 } else { 0 };
        header[6..8].copy_from_slice(&field.to_be_bytes());
        seal_ipv4(header);
        script.frame(at, |out| {
            ethernet(out, src, dst, path.vlan, ether_type(src));
            out.extend_from_slice(header);
            out.extend_from_slice(piece.data);
        });
        at += 15_000;
    }
}

/// A UDP datagram, header and all, for sending in pieces.
pub(super) fn datagram(path: &Path, data: &[u8]) -> Vec<u8> {
    [&udp_header(path, Dir::Up, data), data].concat()
}
