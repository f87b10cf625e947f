//! Frames, and how things are when they come.

use proptest::prelude::*;
use weir_xdp_common::{TCP, UDP, action};

use super::QUEUES;

/// How things are when a frame comes.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub frame: Vec<u8>,
    pub passive: bool,
    pub closed: bool,
    pub orders: bool,
    /// Served queues.
    pub queues: u32,
    pub port: u32,
    pub queue: u32,
    /// By worker: seconds since the last heartbeat, of ten that it may take; before now, or after.
    pub beats: [i64; QUEUES as usize],
    pub socket: bool,
    pub peer: bool,
    pub flow: Option<(u32, bool)>,
}

fn tag() -> impl Strategy<Value = (u16, u16)> {
    (
        prop_oneof![4 => Just(0x8100), 4 => Just(0x88a8), 1 => Just(0x9100)],
        any::<u16>(),
    )
}

fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let flags = prop_oneof![1 => Just(0x02_u8), 2 => any::<u8>()];
    let tcp = (
        flags,
        prop_oneof![4 => Just(5_u8), 1 => any::<u8>()],
        0..40_usize,
    );
    let tcp = tcp.prop_map(|(flags, offset, more)| {
        let mut bytes = vec![0; 20 + more];
        bytes[..4].copy_from_slice(&[0, 1, 0, 80]);
        bytes[12] = offset << 4;
        bytes[13] = flags;
        (TCP, bytes)
    });
    let udp = (0..30_usize).prop_map(|more| {
        let mut bytes = vec![0; 8 + more];
        bytes[..4].copy_from_slice(&[9, 9, 0, 53]);
        (UDP, bytes)
    });
    prop_oneof![
        4 => tcp,
        4 => udp,
        1 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..30)),
    ]
}

/// Any IPv6 address, now and then one of IPv4.
fn address() -> impl Strategy<Value = [u8; 16]> {
    let v4 = prop_oneof![Just(0xff_u8), any::<u8>()];
    let v4 = v4.prop_map(|last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, last, 10, 0, 0, 1]);
    prop_oneof![6 => any::<[u8; 16]>(), 1 => v4]
}

/// IPv4 with options, IPv6 with extension headers, and lengths that are not always true.
fn packet() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let lie = prop_oneof![6 => Just(0_i32), 1 => -60..60_i32];
    let v4 = (
        transport(),
        5..16_u8,
        prop_oneof![6 => Just(0x4000_u16), 1 => Just(0x2000), 1 => Just(1), 1 => any::<u16>()],
        lie.clone(),
    );
    let v4 = v4.prop_map(|((proto, payload), words, fragment, lie)| {
        let mut bytes = vec![0; usize::from(words) * 4];
        bytes[0] = 0x40 | words;
        bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
        bytes[9] = proto;
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, proto]);
        bytes.extend(payload);
        let length = (bytes.len() as i32 + lie).max(0) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        (0x0800, bytes)
    });
    let kinds =
        prop_oneof![4 => Just(0_u8), 4 => Just(43), 4 => Just(60), 1 => Just(44), 1 => any::<u8>()];
    let extension = (kinds, prop_oneof![4 => 0..4_u8, 1 => any::<u8>()]);
    let v6 = (
        transport(),
        prop::collection::vec(extension, 0..6),
        address(),
        address(),
        lie,
    );
    let v6 = v6.prop_map(|((proto, payload), extensions, from, to, lie)| {
        let mut bytes = vec![0; 40];
        bytes[0] = 0x60;
        bytes[8..24].copy_from_slice(&from);
        bytes[24..40].copy_from_slice(&to);
        let mut next = 6;
        for (kind, length) in extensions {
            bytes[next] = kind;
            next = bytes.len();
            bytes.resize(next + (usize::from(length) + 1) * 8, 0);
            bytes[next + 1] = length;
        }
        bytes[next] = proto;
        bytes.extend(payload);
        let length = (bytes.len() as i32 - 40 + lie).max(0) as u16;
        bytes[4..6].copy_from_slice(&length.to_be_bytes());
        (0x86dd, bytes)
    });
    prop_oneof![
        3 => v4,
        3 => v6,
        1 => (any::<u16>(), prop::collection::vec(any::<u8>(), 0..80)),
    ]
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop_oneof![
        3 => prop::collection::vec(tag(), 0..3),
        1 => prop::collection::vec(tag(), 0..4),
    ];
    let flip = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (tags, packet(), flip, cut, 0..20_usize).prop_map(
        |(tags, (kind, packet), flip, cut, padding)| {
            let mut frame = vec![2; 12];
            for (kind, control) in tags {
                frame.extend(kind.to_be_bytes());
                frame.extend(control.to_be_bytes());
            }
            frame.extend(kind.to_be_bytes());
            frame.extend(packet);
            frame.resize(frame.len() + padding, 0);
            if let Some((at, value)) = flip {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            if let Some(at) = cut {
                frame.truncate(at.index(frame.len()));
            }
            // The kernel makes no shorter ones, nor longer ones than a page has room for.
            frame.resize(frame.len().clamp(14, 3000), 0);
            frame
        },
    )
}

/// Any of them.
pub(super) fn case() -> impl Strategy<Value = Case> {
    let beat = || prop_oneof![2 => Just(1_i64), 1 => Just(20), 1 => Just(-5), 1 => Just(i64::MAX)];
    let beats = [beat(), beat(), beat()];
    let action = prop_oneof![
        Just(action::BYPASS),
        Just(action::BYPASS),
        Just(action::BLOCK),
        Just(action::BLOCK),
        Just(action::ENDED),
        Just(0_u32),
        Just(9),
    ];
    let flow = prop::option::weighted(0.9, (action, any::<bool>()));
    let flags = (any::<[bool; 2]>(), prop::bool::weighted(0.9));
    let often = || prop::bool::weighted(0.8);
    let place = (0..QUEUES + 2, 0..2_u32, 0..QUEUES);
    (frame(), flags, place, beats, often(), often(), flow).prop_map(
        |(frame, ([passive, closed], orders), (queues, port, queue), beats, socket, peer, flow)| {
            Case {
                frame,
                passive,
                closed,
                orders,
                queues,
                port,
                queue,
                beats,
                socket,
                peer,
                flow,
            }
        },
    )
}
