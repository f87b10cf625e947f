use proptest::prelude::*;

use super::*;

const A: Mac = [2, 0, 0, 0, 0, 1];
const B: Mac = [2, 0, 0, 0, 0, 2];

/// RFC 1071 over all of a datagram with its pseudo-header, bit by bit as the RFC has it.
fn whole_sum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let mut sum = 0_u16;
    for pair in all.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (next, carry) = sum.overflowing_add(word);
        sum = next.wrapping_add(u16::from(carry));
    }
    sum
}

fn load() -> impl Strategy<Value = Load> {
    let vlans = proptest::collection::vec(0_u16..4096, 0..=2);
    let content = proptest::collection::vec(any::<u8>(), 0..40);
    (
        80_usize..1500,
        1_u32..=MAX_FLOWS,
        any::<u32>(),
        vlans,
        any::<bool>(),
        content,
    )
        .prop_map(|(size, flows, seed, vlans, v6, content)| Load {
            frames: MAX_FRAMES,
            size: size + 8,
            flows,
            seed,
            vlans,
            v6,
            content,
            ..Load::default()
        })
}

proptest! {
    #[test]
    fn frames_are_whole_and_are_read_again(
        load in load(), numbers in proptest::collection::vec((0..MAX_FRAMES, any::<u64>()), 1..8)
    ) {
        let mut pattern = Pattern::new(&load, A, B, 1500).expect("such loads are possible");
        let mut frame = pattern.buffer();
        for (number, time) in numbers {
            pattern.write(number, time, &mut frame);
            prop_assert_eq!(frame.len(), load.size);
            let ip = &frame[14 + 4 * load.vlans.len()..];
            let (udp, addresses) = if load.v6 {
                prop_assert_eq!(usize::from(u16::from_be_bytes([ip[4], ip[5]])), ip.len() - 40);
                (&ip[40..], &ip[8..40])
            } else {
                prop_assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
                prop_assert_eq!(whole_sum(&[&ip[..20]]), 0xffff);
                (&ip[20..], &ip[12..20])
            };
            prop_assert_eq!(usize::from(u16::from_be_bytes([udp[4], udp[5]])), udp.len());
            prop_assert_ne!(&udp[6..8], &[0, 0]);
            let pseudo = [&[0, 17][..], &udp[4..6]].concat();
            prop_assert_eq!(whole_sum(&[addresses, &pseudo, udp]), 0xffff);
            prop_assert_eq!(pattern.read(&frame), Ok((number, time)));
        }
    }

    #[test]
    fn no_byte_can_change_unseen(load in load(), number in 0..MAX_FRAMES, place in any::<u64>(), change in 1_u8..) {
        let mut pattern = Pattern::new(&load, A, B, 1500).expect("such loads are possible");
        let mut frame = pattern.buffer();
        pattern.write(number, 77, &mut frame);
        let place = (place % frame.len() as u64) as usize;
        frame[place] ^= change;
        prop_assert!(pattern.read(&frame).is_err());
        frame[place] ^= change;
        frame.pop();
        prop_assert!(pattern.read(&frame).is_err());
    }
}

#[test]
fn flows_reach_all_workers() {
    use weir_engine::flow::shard;
    use weir_engine::packet::{Frame, LinkType};

    let load = Load {
        flows: 1000,
        ..Load::default()
    };
    let pattern = Pattern::new(&load, A, B, 1500).expect("such loads are possible");
    let mut frame = pattern.buffer();
    let mut workers = [0_u32; 4];
    for number in 0..1000 {
        pattern.write(number, 0, &mut frame);
        let worker = shard(&Frame {
            ts_ns: 0,
            number,
            link: LinkType::ETHERNET,
            data: &frame,
            wire_len: 60,
            ..Frame::default()
        }) % 4;
        workers[worker as usize] += 1;
    }
    // About evenly.
    assert!(
        workers.iter().all(|&flows| (150..350).contains(&flows)),
        "{workers:?}"
    );
}

#[test]
fn loads_that_make_no_sense_are_refused() {
    let good = Load::default();
    let cases: [(&str, Load); 8] = [
        (
            "59 bytes",
            Load {
                size: 59,
                ..good.clone()
            },
        ),
        (
            "79 bytes",
            Load {
                size: 79,
                v6: true,
                ..good.clone()
            },
        ),
        (
            "1515 bytes",
            Load {
                size: 1515,
                ..good.clone()
            },
        ),
        (
            "0 flows",
            Load {
                flows: 0,
                ..good.clone()
            },
        ),
        (
            "VLANs",
            Load {
                vlans: vec![4096],
                ..good.clone()
            },
        ),
        (
            "1073741825 frames",
            Load {
                frames: MAX_FRAMES + 1,
                ..good.clone()
            },
        ),
        (
            "3 threads",
            Load {
                threads: 3,
                flows: 4,
                ..good.clone()
            },
        ),
        (
            "frames a second",
            Load {
                rate: Some(0.0),
                ..good.clone()
            },
        ),
    ];
    for (said, load) in cases {
        let error = Pattern::new(&load, A, B, 1500)
            .err()
            .expect(said)
            .to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(Pattern::new(&Load { size: 1514, ..good }, A, B, 1500).is_ok());
}
