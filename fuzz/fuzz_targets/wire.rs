//! One Ethernet frame on the wire: what is answered when it is rejected, and the flow that the kernel takes it for, against
//! what the engine's decoder says of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::wire::Seen;
use weir_xdp::common::FlowKey;
use weir_xdp::program::frame_flow;
use weir_xdp::reject::{Answer, LONGEST, to_destination, to_source};

fuzz_target!(|frame: &[u8]| {
    let seen = Seen::of(frame, false);
    flow(frame, seen.as_ref());
    answer(frame, seen.as_ref(), to_source, true);
    answer(frame, seen.as_ref(), to_destination, false);
});

/// A key that the kernel uses belongs to the flow that the engine sees: else a bypass lets a stranger through.
fn flow(frame: &[u8], seen: Option<&Seen>) {
    // Of a packet whose IP header is broken, in its options say, the engine knows no flow.
    let (Some(found), Some(seen)) = (frame_flow(frame), seen) else {
        return;
    };
    if seen.ports.is_none() {
        assert!(
            seen.odd && !seen.fragment,
            "the kernel knows a flow: {seen:?}"
        );
        return;
    }
    let [from, to] = seen.ends();
    let tag = |at: usize| *seen.vlan.get(at).unwrap_or(&0);
    let key = FlowKey::between(from, to, seen.proto, tag(0), tag(1));
    assert_eq!(key, Some(found.key), "{seen:?}");
    assert!(seen.vlan.len() <= 2 && !seen.fragment, "{seen:?}");
    assert_eq!(
        found.opens,
        seen.flags.is_some_and(|flags| flags & 0x12 == 2)
    );
    // Nor may two flows of the engine share a key: IPv6 can write IPv4's addresses.
    let mapped = [from, to].map(|(address, port)| (address.to_canonical(), port));
    if mapped != [from, to] {
        let other = FlowKey::between(mapped[0], mapped[1], seen.proto, tag(0), tag(1));
        assert_ne!(other, Some(found.key), "{seen:?}");
    }
}

/// An answer has no fault, and goes to nobody who must not have one.
fn answer(frame: &[u8], seen: Option<&Seen>, make: Answer, back: bool) {
    let mut buffer = [0xee; LONGEST + 8];
    let Some(length) = make(frame, &mut buffer[..LONGEST]) else {
        return;
    };
    let (answer, behind) = buffer.split_at(length);
    assert!((60..=LONGEST).contains(&length) && behind.iter().all(|&byte| byte == 0xee));
    // It needs the room that it takes, and no more.
    assert_eq!(make(frame, &mut [0; LONGEST][..length]), Some(length));
    assert_eq!(make(frame, &mut [0; LONGEST][..length - 1]), None);

    let said = Seen::of(answer, true).expect("an answer is a packet");
    assert!(!said.odd && !said.fragment, "{said:?}");
    let reset = said.flags.is_some_and(|flags| flags & 0x04 != 0);
    assert!(reset || said.is_icmp_error(), "{said:?}");
    assert!(back || reset, "{said:?}");
    // Whoever gets it has nothing to answer.
    let mut room = [0; LONGEST];
    for again in [to_source, to_destination] {
        assert_eq!(again(answer, &mut room), None, "{said:?}");
    }
    let macs = if back {
        [&frame[6..12], &frame[..6]].concat()
    } else {
        frame[..12].to_vec()
    };
    assert_eq!(answer[..12], macs);
    assert!(
        macs[0] & 1 == 0 && macs[6] & 1 == 0,
        "a group's hardware address"
    );

    let Some(seen) = seen else {
        return;
    };
    let addresses = match back {
        true => [seen.addresses[1], seen.addresses[0]],
        false => seen.addresses,
    };
    assert_eq!((said.addresses, &said.vlan), (addresses, &seen.vlan));
    assert!(seen.addresses.iter().all(|address| !address.is_multicast()));
    assert!(!seen.is_icmp_error(), "{seen:?}");
    assert!(seen.flags.is_none_or(|flags| flags & 0x04 == 0), "{seen:?}");
    assert!(!seen.later_fragment, "{seen:?}");
    // What can be told of a segment that the engine takes for one.
    if let (Some(ports), Some(_)) = (seen.ports, seen.flags) {
        let ports = if back { [ports[1], ports[0]] } else { ports };
        assert_eq!((said.ports, reset), (Some(ports), true));
    }
}
