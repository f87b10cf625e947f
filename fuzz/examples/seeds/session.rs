//! Connections for the target `session`.

use std::io;

use weir_fuzz::segment::Segment;

use super::Seeds;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

fn up(flags: u8) -> Segment {
    Segment {
        to_server: true,
        flags,
        options: 0,
        seq: 0,
        ack: 0,
        window: u16::MAX,
        data: 0,
        detail: 1,
    }
}

fn down(flags: u8) -> Segment {
    Segment {
        to_server: false,
        ..up(flags)
    }
}

fn with(segment: Segment, options: u8) -> Segment {
    Segment { options, ..segment }
}

fn data(segment: Segment, data: usize) -> Segment {
    Segment { data, ..segment }
}

/// Handshakes, transfers and ends, one of each kind.
pub fn session(seeds: &Seeds) -> io::Result<()> {
    let hello = [up(SYN), down(SYN | ACK), up(ACK)];
    let stamped = hello.map(|segment| with(segment, 6));
    let open = [
        data(with(up(SYN), 8), 80),
        with(down(SYN | ACK), 8),
        up(ACK),
    ];
    let crossed = [
        up(SYN),
        down(SYN),
        Segment {
            seq: -1,
            ..up(SYN | ACK)
        },
        down(ACK),
    ];
    let talk = [data(up(ACK), 80), data(down(ACK), 160), up(ACK)];
    let urgent = [data(up(ACK | URG), 80), data(up(ACK | URG), 80)];
    let gap = [
        Segment {
            seq: 80,
            ..data(up(ACK), 80)
        },
        Segment {
            seq: -160,
            ..data(up(ACK), 80)
        },
    ];
    let client_first = [up(FIN | ACK), down(FIN | ACK), up(ACK)];
    let server_first = [down(FIN | ACK), up(ACK), up(FIN | ACK), down(ACK)];
    let closing = [
        down(FIN | ACK),
        Segment {
            ack: -1,
            ..up(FIN | ACK)
        },
        up(ACK),
        down(ACK),
    ];
    let reset = [up(RST), data(up(ACK), 8)];
    let probe = [
        Segment {
            window: 0,
            ..up(ACK)
        },
        data(down(ACK), 8),
        up(ACK),
    ];
    let pieces: [(&str, u8, Vec<Segment>); 9] = [
        ("plain", 0, [&hello[..], &talk, &client_first].concat()),
        (
            "stamps",
            0,
            [&stamped[..], &talk.map(|s| with(s, 2)), &server_first].concat(),
        ),
        ("open", 0, [&open[..], &talk, &closing].concat()),
        ("crossed", 0, [&crossed[..], &talk, &reset].concat()),
        ("gap", 0, [&hello[..], &gap, &client_first].concat()),
        ("urgent", 0, [&hello[..], &urgent, &probe].concat()),
        ("inline", 4, [&hello[..2], &[down(ACK)], &talk].concat()),
        ("midstream", 1, [&talk[..], &server_first].concat()),
        (
            "one-sided",
            2,
            [&hello[..1], &[up(ACK), data(up(ACK), 8), up(FIN | ACK)]].concat(),
        ),
    ];
    for (name, options, segments) in pieces {
        let mut bytes = vec![options];
        bytes.extend(segments.iter().flat_map(Segment::bytes));
        seeds.write("session", name, &bytes)?;
    }
    Ok(())
}
