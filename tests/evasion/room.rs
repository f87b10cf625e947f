//! Memory that is short is no place to hide, and nobody can take it from others with little effort.

use weir_engine::detect::EngineConfig;
use weir_engine::stream::StreamPolicy;

use crate::tricks;
use crate::wire::{self, Segment};
use crate::{RULE, attack, sensor};

/// The packet of a segment, of the client with this number.
pub fn of_client(number: u8, segment: &Segment) -> Vec<u8> {
    let mut packet = segment.packet();
    packet[if segment.to_server { 15 } else { 19 }] = number;
    packet
}

/// The handshake of this client.
fn hello(number: u8) -> Vec<Vec<u8>> {
    let segments = wire::handshake(None);
    segments.iter().map(|s| of_client(number, s)).collect()
}

/// Clients' addresses are changed in packets, and their checksums are not.
pub fn config() -> EngineConfig {
    let mut config = sensor::config();
    config.decoder.verify_checksums = false;
    config.flow.max_flows = 64;
    config
}

/// What gives way while memory is full is decided with what it has, even if that waits behind a gap.
#[test]
fn what_waits_is_decided_when_it_gives_way_and_nothing_is_free() {
    let mut config = config();
    config.stream.memory = 4096;
    let stream = attack(560, 4, 2);
    let mut packets = Vec::new();
    for number in 1..5 {
        packets.extend(hello(number));
    }
    // 512 bytes for a connection, and 1024 for what waits.
    packets.push(of_client(1, &Segment::data(100, &stream)));
    packets.push(of_client(2, &Segment::data(100, &tricks::noise(600))));
    packets.push(of_client(3, &Segment::data(0, b"x")));
    packets.push(of_client(4, &Segment::data(0, b"x")));
    let (sids, counters) = sensor::counted(&config, &sensor::rules(RULE), &packets);
    assert_eq!(sids, [1]);
    assert!(counters.streams.evicted > 0);
    assert_eq!(counters.streams.bytes, 0);
}

/// A connection with a great many gaps costs itself its gaps, and others nothing.
#[test]
fn many_small_gaps_drive_nobody_out() {
    let rules = sensor::rules(RULE);
    let stream = attack(10, 20, 10);
    let mut packets = hello(1);
    packets.push(of_client(1, &Segment::data(0, &stream[..25])));
    packets.extend(hello(2));
    for at in 1..1024 {
        packets.push(of_client(2, &Segment::data(4 * at, b"abc")));
    }
    for at in 600..1000 {
        // Over several of the gaps at once.
        let segment = Segment::data(4 * at + 1, &tricks::noise(23));
        packets.push(of_client(2, &segment));
    }
    packets.push(of_client(1, &Segment::data(25, &stream[25..])));
    let mut config = config();
    config.stream.policy = StreamPolicy::First;
    let (sids, counters) = sensor::counted(&config, &rules, &packets);
    assert_eq!(sids, [1]);
    assert_eq!((counters.streams.evicted, counters.streams.no_room), (0, 0));
}

/// However much waits, all of it is looked at when the gap before it is filled.
#[test]
fn much_that_waits_is_looked_at_without_a_seam() {
    let rules = sensor::rules(RULE);
    let mut config = config();
    config.flow.session.midstream = true;
    for before in (255..=257).map(|at| at << 10) {
        let stream = attack(before - 20, 4, 40_000);
        // Without a handshake, windows are as wide as can be.
        let mut packets = vec![of_client(1, &Segment::data(0, &stream[..1]))];
        packets.push(of_client(1, &Segment::answer(1, 0, b"")));
        for segment in tricks::pieces(&stream[2..], 1400) {
            let data = &segment.data;
            packets.push(of_client(1, &Segment::data(segment.offset() + 2, data)));
        }
        packets.push(of_client(1, &Segment::data(1, &stream[1..2])));
        packets.push(of_client(1, &Segment::answer(stream.len(), 0, b"")));
        packets.push(of_client(1, &Segment::data(stream.len(), b"the end")));
        let (sids, counters) = sensor::counted(&config, &rules, &packets);
        assert_eq!(sids, [1], "attack after {before} bytes");
        assert_eq!((counters.streams.gaps, counters.streams.no_room), (0, 0));
    }
}

/// A window as large as they come keeps what it needs.
#[test]
fn the_largest_window_has_room() {
    let rules = sensor::rules(RULE);
    let mut config = config();
    config.stream.window = u32::MAX;
    let stream = attack(900_000, 4, 40_000);
    let mut packets = hello(1);
    for segment in tricks::pieces(&stream, 1400) {
        packets.push(of_client(1, &segment));
        let read = segment.offset() + segment.data.len();
        packets.push(of_client(1, &Segment::answer(read, 0, b"")));
    }
    let (sids, counters) = sensor::counted(&config, &rules, &packets);
    assert_eq!((sids, counters.streams.no_room), (vec![1], 0));
}

/// A segment that fills several windows is still one packet.
#[test]
fn a_probe_in_two_windows_of_a_segment_is_one_candidate() {
    let rules = sensor::rules(r#"alert tcp-pkt any any -> any any (content:"needle"; sid:1;)"#);
    let mut data = tricks::noise(9000);
    for at in [100, 4000, 8000] {
        data[at..at + 6].copy_from_slice(b"needle");
    }
    let mut packets = hello(1);
    packets.push(of_client(1, &Segment::data(0, &data)));
    assert_eq!(sensor::run(&config(), &rules, &packets), [1]);
}

/// What a rule has passed is passed, whether the rest came in the same segment or not, and though it gives way later.
#[test]
fn behind_a_verdict_nothing_is_said() {
    let rules = sensor::rules(
        r#"
        pass tcp any any -> any any (content:"let it through"; sid:1;)
        alert tcp any any -> any any (content:"needle"; content:!"thread"; sid:2;)
        "#,
    );
    let mut data = tricks::noise(9000);
    data[100..114].copy_from_slice(b"let it through");
    data[8000..8006].copy_from_slice(b"needle");
    for size in [1400, 9000] {
        let mut packets = hello(1);
        for segment in tricks::pieces(&data, size) {
            packets.push(of_client(1, &segment));
        }
        assert!(
            sensor::run(&config(), &rules, &packets).is_empty(),
            "{size}"
        );
    }
    let mut config = config();
    config.stream.memory = 3000;
    let mut packets = hello(1);
    packets.push(of_client(1, &Segment::data(0, b"a needle ")));
    packets.push(of_client(1, &Segment::data(9, b"let it through")));
    for number in 2..8 {
        packets.extend(hello(number));
        packets.push(of_client(number, &Segment::data(0, b"x")));
    }
    let (sids, counters) = sensor::counted(&config, &rules, &packets);
    assert!(sids.is_empty(), "{sids:?}");
    assert!(counters.streams.evicted > 0);
}

/// Many rules that wait are not all looked at again for every byte, and still none is missed.
#[test]
fn a_byte_at_a_time_costs_little_however_many_rules_wait() {
    let (count, bytes) = (300, 1000);
    let mut lines = String::new();
    let mut stream = Vec::new();
    for sid in 1..=count {
        let probe = format!("{:04x}", 0x1000 + 7 * sid);
        stream.extend(probe.bytes());
        // Half of them match at once, the others when the last byte has come.
        let second = ["", r#"content:"never"; distance:0; "#][sid % 2];
        lines +=
            &format!("alert tcp any any -> any any (content:\"{probe}\"; {second}sid:{sid};)\n");
    }
    let rules = sensor::rules(&lines);
    let mut config = config();
    config.alert_max = 1000;
    let mut packets = hello(1);
    packets.push(of_client(1, &Segment::data(0, &stream)));
    // The same probes again: what has matched in a window does not wait any more.
    packets.push(of_client(1, &Segment::data(stream.len(), &stream)));
    let start = 2 * stream.len();
    config.stream.window = (start + bytes + 100) as u32;
    for at in 0..bytes {
        let byte = if at < bytes - 5 {
            b"."
        } else {
            &b"never"[at + 5 - bytes..][..1]
        };
        packets.push(of_client(1, &Segment::data(start + at, byte)));
    }
    let (mut sids, counters) = sensor::counted(&config, &rules, &packets);
    sids.sort_unstable();
    assert_eq!(sids, (1..=count as u32).collect::<Vec<_>>());
    let most = (3 * count + 4 * bytes) as u64;
    assert!(counters.candidates < most, "{} checks", counters.candidates);
}

/// However many rules wait for the end of one window, each is decided.
#[test]
fn a_crowd_of_rules_drives_none_out() {
    let count = 2600;
    let mut lines = String::new();
    let mut stream = b"first come ".to_vec();
    for sid in 1..=count {
        let probe = format!("x{:04x}", 7 * sid);
        stream.extend(probe.bytes());
        lines += &format!(
            "alert tcp any any -> any any (content:\"{probe}\"; content:!\"never\"; sid:{sid};)\n"
        );
    }
    lines +=
        "alert tcp any any -> any any (content:\"first come\"; content:!\"never\"; sid:9999;)\n";
    let rules = sensor::rules(&lines);
    let mut config = config();
    config.alert_max = 5000;
    config.stream.window = 20_000;
    for size in [300, 5000, 20_000] {
        let mut packets = hello(1);
        for segment in tricks::pieces(&stream, size) {
            packets.push(of_client(1, &segment));
        }
        let (mut sids, _) = sensor::counted(&config, &rules, &packets);
        sids.sort_unstable();
        assert_eq!(sids.len(), count + 1, "segments of {size}");
        sids.dedup();
        assert_eq!(sids.len(), count + 1, "segments of {size}");
    }
}

/// Rules that wait for the end of a window are decided when there is no room for what comes.
#[test]
fn rules_that_wait_are_decided_when_there_is_no_room() {
    let rules = sensor::rules(
        r#"alert tcp any any -> any any (content:"needle"; content:!"thread"; sid:1;)"#,
    );
    let mut config = config();
    config.stream.memory = 1024;
    let mut packets = hello(1);
    packets.push(of_client(1, &Segment::data(0, b"a needle ")));
    packets.push(of_client(1, &Segment::data(9, &tricks::noise(1400))));
    packets.push(of_client(1, &Segment::data(1409, b" and a thread")));
    let (sids, counters) = sensor::counted(&config, &rules, &packets);
    assert_eq!(sids, [1]);
    assert!(counters.streams.no_room > 0);
}
