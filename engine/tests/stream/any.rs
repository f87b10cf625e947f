//! Any sequence of segments, and honest connections among them.

use proptest::prelude::*;
use weir_engine::stream::{SessionConfig, StreamEvent, TcpState, UrgentPolicy};

use crate::support::{ACK, Connection, FIN, RST, SYN, Seg, down, up};

/// Numbers near those that connections of these tests use, and any others.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => (95u32..115, any::<bool>()).prop_map(|(at, high)| if high { at + 400 } else { at }),
        1 => 65_000u32..66_500,
        1 => Just(u32::MAX),
        1 => any::<u32>(),
    ]
}

fn segment() -> impl Strategy<Value = Seg> {
    let flags = prop_oneof![
        4 => Just(ACK),
        2 => Just(SYN),
        2 => Just(SYN | ACK),
        2 => Just(FIN | ACK),
        1 => Just(RST),
        1 => any::<u8>(),
    ];
    let data = prop_oneof![3 => 0usize..12, 1 => Just(1_400usize)];
    let window = prop_oneof![2 => Just(u16::MAX), 1 => Just(0), 1 => any::<u16>()];
    let head = (any::<bool>(), flags, number(), number(), data, window);
    let tail = (0u16..16, 0u8..16, number(), number());
    (head, tail).prop_map(
        |((to_server, flags, seq, ack, data, window), (urgent, extras, value, echo))| {
            let mut segment = Seg {
                to_server,
                flags,
                data,
                window,
                ..up(flags, seq, ack)
            };
            if urgent > 12 {
                segment = segment.urgent(urgent - 12);
            }
            if extras & 1 != 0 {
                segment = segment.stamp(value, echo);
            }
            if extras & 2 != 0 {
                segment = segment.scale(extras);
            }
            if extras & 12 == 12 {
                segment = segment.fast_open();
            }
            segment
        },
    )
}

fn config() -> impl Strategy<Value = SessionConfig> {
    let policy = prop_oneof![
        Just(UrgentPolicy::OutOfBand),
        Just(UrgentPolicy::Inline),
        Just(UrgentPolicy::Gap),
        Just(UrgentPolicy::Drop),
    ];
    (any::<[bool; 3]>(), policy).prop_map(|([midstream, async_oneside, inline], urgent)| {
        SessionConfig {
            midstream,
            async_oneside,
            inline,
            urgent,
            urgent_limit: UrgentPolicy::Gap,
        }
    })
}

/// A segment that an attacker throws in: it carries the address of one of the ends.
#[derive(Clone, Debug)]
struct Forged {
    to_server: bool,
    flags: u8,
    /// Distance from where the receiver waits; not 0, and not in what an honest segment could say.
    off: u32,
    /// Distance of the acknowledgement from the right one.
    ack: u32,
    data: usize,
    window: u16,
}

fn forged() -> impl Strategy<Value = Forged> {
    let flags = prop_oneof![
        Just(RST),
        Just(RST | ACK),
        Just(FIN | ACK),
        Just(ACK),
        Just(SYN),
        Just(SYN | ACK),
        Just(SYN | FIN),
    ];
    // Behind the window, far or near; or before everything.
    let off = prop_oneof![
        70_000u32..90_000,
        70_000u32..0x7000_0000,
        0x9000_0000u32..u32::MAX - 200_000,
    ];
    let ack = prop_oneof![2 => Just(0u32), 1 => 0u32..30_000, 1 => any::<u32>()];
    let data = prop_oneof![Just(0usize), Just(1), Just(100)];
    (any::<bool>(), flags, off, ack, data, any::<u16>()).prop_map(
        |(to_server, flags, off, ack, data, window)| Forged {
            to_server,
            flags,
            off,
            ack,
            data,
            window,
        },
    )
}

/// What happens on a connection.
#[derive(Clone, Debug)]
enum Move {
    /// One end sends this many bytes.
    Send(bool, usize),
    /// One end acknowledges.
    Ack(bool),
    /// One end sends its latest bytes again.
    Again(bool, usize),
    Forged(Forged),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (any::<bool>(), 1usize..1_460).prop_map(|(way, data)| Move::Send(way, data)),
        2 => any::<bool>().prop_map(Move::Ack),
        1 => (any::<bool>(), 1usize..100).prop_map(|(way, data)| Move::Again(way, data)),
        3 => forged().prop_map(Move::Forged),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_segments_do_harm(config in config(), segments in prop::collection::vec(segment(), 0..60)) {
        let mut tcp = Connection::with(config);
        for segment in &segments {
            let took = tcp.take(segment);
            let step = took.step;
            prop_assert!(usize::from(step.taken) <= segment.data);
            prop_assert!(!step.accepted || step.urgent.is_none_or(|at| at < step.taken));
            prop_assert!(step.accepted || step.urgent.is_none());
            prop_assert!(!step.closed || took.state == TcpState::Closed);
            prop_assert!(step.events.iter().all(StreamEvent::raised));
            let session = tcp.session(&took);
            for way in [true, false] {
                prop_assert_eq!(session.first_byte(way).is_some(), session.acked(way).is_some());
                let _ = (session.next_seq(way), session.sent(way), session.urgent_bytes(way));
            }
        }
    }

    /// What the two ends of a connection send is always taken, whatever others send outside of the windows, and the
    /// connection ends when they end it.
    #[test]
    fn nobody_else_ends_a_connection(
        isn in any::<[u32; 2]>(),
        stamps in any::<bool>(),
        moves in prop::collection::vec(moves(), 0..80),
    ) {
        let mut tcp = Connection::new(false);
        // Next byte of client and server, and what the other has acknowledged of it.
        let mut next = isn.map(|isn| isn.wrapping_add(1));
        let mut acked = next;
        let mut clock = 1_000u32;
        let mut latest = [0u32; 2];
        let mut stamped = |segment: Seg| {
            let way = usize::from(!segment.to_server);
            clock += 1;
            latest[way] = clock;
            let echo = latest[1 - way];
            if stamps { segment.stamp(clock, echo) } else { segment }
        };
        let from = |way: usize, flags, seq, ack| if way == 0 { up(flags, seq, ack) } else { down(flags, seq, ack) };
        tcp.take_all(&[stamped(up(SYN, isn[0], 0))]);
        tcp.take_all(&[stamped(down(SYN | ACK, isn[1], next[0]))]);
        tcp.take_all(&[stamped(up(ACK, next[0], next[1]))]);
        for step in moves {
            match step {
                Move::Send(to_server, data) => {
                    let way = usize::from(!to_server);
                    if next[way].wrapping_sub(acked[way]) as usize + data > 60_000 {
                        continue;
                    }
                    let segment = stamped(from(way, ACK, next[way], next[1 - way])).data(data);
                    next[way] = next[way].wrapping_add(data as u32);
                    acked[1 - way] = next[1 - way];
                    let took = tcp.take(&segment);
                    prop_assert!(took.step.accepted, "{:?} {:?}", segment, took);
                    prop_assert_eq!(usize::from(took.step.taken), data);
                }
                Move::Ack(to_server) => {
                    let way = usize::from(!to_server);
                    acked[1 - way] = next[1 - way];
                    tcp.take(&stamped(from(way, ACK, next[way], next[1 - way])));
                }
                Move::Again(to_server, data) => {
                    let way = usize::from(!to_server);
                    let flying = next[way].wrapping_sub(acked[way]) as usize;
                    let data = data.min(flying);
                    let segment = from(way, ACK, next[way].wrapping_sub(data as u32), next[1 - way]);
                    let took = tcp.take(&stamped(segment).data(data));
                    prop_assert!(took.step.accepted || data <= 1, "{:?}", took);
                    acked[1 - way] = next[1 - way];
                }
                Move::Forged(Forged { to_server, flags, off, ack, data, window }) => {
                    let way = usize::from(!to_server);
                    let seq = acked[way].wrapping_add(off);
                    let ack = next[1 - way].wrapping_add(ack);
                    let segment = from(way, flags, seq, ack).data(data).window(window);
                    let took = tcp.take(&segment);
                    prop_assert!(!took.step.accepted, "{:?} {:?}", segment, took);
                    prop_assert_eq!(took.state, TcpState::Established);
                }
            }
        }
        let fin = stamped(up(FIN | ACK, next[0], next[1]));
        prop_assert_eq!(tcp.take(&fin).state, TcpState::CloseWait);
        let fin = stamped(down(FIN | ACK, next[1], next[0].wrapping_add(1)));
        prop_assert_eq!(tcp.take(&fin).state, TcpState::LastAck);
        let last = stamped(up(ACK, next[0].wrapping_add(1), next[1].wrapping_add(1)));
        prop_assert_eq!(tcp.take(&last).state, TcpState::Closed);
    }
}
