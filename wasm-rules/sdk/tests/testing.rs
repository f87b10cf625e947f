//! The made-up sensor keeps to the bounds that the real one has.

use std::cell::Cell;
use std::time::Duration;

use weir_sdk::prelude::*;
use weir_sdk::testing::{Conversation, Scene, Sensor};

weir_sdk::module! {
    name: "probe",
    version: "9",
    state_version: 4,
    buffers {
        PAYLOAD = "payload",
        QUERY = "dns.query",
    }
    flow_bits {
        SEEN = "seen",
    }
    state {
        OF_FLOW: Vec<u8> { scope: Scope::Flow, bytes: 4, entries: 2, seconds: 0 },
        OF_SOURCE: u32 { scope: Scope::Source, bytes: 5, entries: 10, seconds: 10 },
        OF_PAIR: Seen { scope: Scope::Pair, bytes: 20, entries: 10, seconds: 0 },
    }
    rules {
        FIRST {
            sid: 1,
            message: "with a pattern",
            header: "tcp any any -> any any",
            patterns: &[Pattern::new("payload", b"Ask").nocase(), Pattern::new("payload", b"\x00\x01")],
        } => ask,
        SECOND {
            sid: 2,
            rev: 3,
            message: "with a buffer",
            header: "dns any any -> any any",
            action: Action::Drop,
            buffers: &[QUERY],
        } => ask,
    }
}

type Look = Box<dyn Fn(&Event) -> bool>;

thread_local! {
    static LOOK: Cell<Option<Look>> = const { Cell::new(None) };
}

/// Does what the test wants to look at.
fn ask(event: &Event) -> bool {
    let look = LOOK.take();
    let fires = look.as_ref().is_none_or(|look| look(event));
    LOOK.set(look);
    fires
}

fn see(sensor: &mut Sensor, scene: &Scene, look: impl Fn(&Event) -> bool + 'static) -> bool {
    LOOK.set(Some(Box::new(look)));
    let fired = sensor.see(&scene.clone().asks_about(&[FIRST]));
    LOOK.set(None);
    !fired.is_empty()
}

fn tcp(client: &str) -> Conversation {
    Conversation::tcp(&format!("{client}:1000"), "198.51.100.2:80")
}

fn asked(client: &str) -> Scene {
    tcp(client).to_server().payload(b"ask")
}

#[test]
fn rules_are_asked_where_their_patterns_and_buffers_are() {
    let mut sensor = Sensor::new(&MODULE);
    let talk = tcp("192.0.2.1");
    for (payload, fires) in [
        (&b"we aSK"[..], true),
        (b"\x00\x01", true),
        (b"as k", false),
        (b"", false),
    ] {
        let fired = sensor.see(&talk.to_server().payload(payload));
        assert_eq!(fired == [FIRST], fires, "{payload:?}");
    }
    assert_eq!(sensor.see(&talk.to_server().buffer(QUERY, b"")), [SECOND]);
    let both = talk.to_server().buffer(QUERY, b"x").payload(b"ask");
    assert_eq!(sensor.see(&both), [FIRST, SECOND]);
    assert_eq!(sensor.see(&both.asks_about(&[SECOND])), [SECOND]);
}

#[test]
fn values_that_do_not_fit_are_not_kept_and_the_old_one_stays() {
    let mut sensor = Sensor::new(&MODULE);
    let scene = asked("192.0.2.1");
    assert!(see(&mut sensor, &scene, |event| {
        event.get(OF_FLOW).is_none() && event.set(OF_FLOW, &vec![1, 2, 3]).is_ok()
    }));
    assert!(see(&mut sensor, &scene, |event| {
        event.set(OF_FLOW, &vec![1, 2, 3, 4]) == Err(NotKept)
            && event.update(OF_FLOW, |value| value.extend([7; 9])) == Err(NotKept)
            && event.get(OF_FLOW) == Some(vec![1, 2, 3])
    }));
    assert!(see(&mut sensor, &scene.clone().without_flow(), |event| {
        event.get(OF_FLOW).is_none() && event.set(OF_FLOW, &vec![1]) == Err(NotKept)
    }));
    assert!(see(&mut sensor, &scene, |event| {
        event.forget(OF_FLOW);
        event.get(OF_FLOW).is_none()
    }));
}

#[test]
fn of_more_values_than_declared_those_not_written_for_longest_go() {
    let mut sensor = Sensor::new(&MODULE);
    let keep = |event: &Event| event.set(OF_FLOW, &vec![9]).is_ok();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"] {
        assert!(see(&mut sensor, &asked(client), keep));
    }
    assert_eq!(sensor.kept(Scope::Flow), 2);
    let kept = |event: &Event| event.get(OF_FLOW).is_some();
    let there: Vec<bool> = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        .iter()
        .map(|client| see(&mut sensor, &asked(client), kept))
        .collect();
    assert_eq!(there, [true, false, true]);
    sensor.end(&tcp("192.0.2.1"));
    assert!(!see(&mut sensor, &asked("192.0.2.1"), kept));
}

#[test]
fn values_are_gone_after_their_time() {
    let mut sensor = Sensor::new(&MODULE);
    let count = |event: &Event| {
        event
            .update(OF_SOURCE, |count| {
                *count += 1;
                *count == 2
            })
            .unwrap_or(false)
    };
    let scene = asked("192.0.2.1");
    assert!(!see(&mut sensor, &scene, count));
    assert!(see(
        &mut sensor,
        &scene.clone().after(Duration::from_secs(10)),
        count
    ));
    assert!(!see(
        &mut sensor,
        &scene.clone().after(Duration::from_secs(11)),
        count
    ));
    // Somebody else's is another one.
    assert!(!see(&mut sensor, &asked("192.0.2.2"), count));
}

#[test]
fn a_pair_is_the_same_in_both_directions_and_streams_go_on() {
    let mut sensor = Sensor::new(&MODULE);
    let talk = tcp("192.0.2.1");
    let fresh = |event: &Event| {
        let fresh = event.update(OF_PAIR, |seen| seen.fresh(event, PAYLOAD));
        fresh.is_ok_and(|fresh| fresh.missed == 0 && fresh.bytes == b"ask")
    };
    assert!(see(&mut sensor, &talk.to_server().payload(b"ask"), fresh));
    assert!(see(&mut sensor, &talk.to_client().payload(b"ask"), fresh));
    assert!(see(&mut sensor, &talk.to_server().payload(b"ask"), fresh));
    assert_eq!(sensor.kept(Scope::Pair), 1);
    // What is put back comes again.
    let again = |event: &Event| {
        event
            .update(OF_PAIR, |seen| {
                let all = seen.fresh(event, PAYLOAD).bytes;
                seen.put_back(event, 2);
                all == b"ask" && seen.fresh(event, PAYLOAD).bytes == b"sk"
            })
            .unwrap_or(false)
    };
    assert!(see(&mut sensor, &talk.to_server().payload(b"ask"), again));
    let hole = |event: &Event| {
        let fresh = event.update(OF_PAIR, |seen| seen.fresh(event, PAYLOAD));
        fresh.is_ok_and(|fresh| fresh.missed == 91 && fresh.bytes == b"ask")
    };
    assert!(see(
        &mut sensor,
        &talk.to_server().window(100, b"ask"),
        hole
    ));
}

#[test]
fn an_event_shows_what_the_scene_says() {
    let mut sensor = Sensor::new(&MODULE);
    let talk = tcp("192.0.2.1").speaking("http");
    let scene = talk.to_client().payload(b"ask me").with_bit(SEEN);
    let scene = scene.flags(TcpFlags::PSH | TcpFlags::ACK);
    assert!(see(&mut sensor, &scene, |event| {
        let (packet, flow) = (event.packet(), event.flow());
        assert!(
            packet
                .tcp_flags
                .is_some_and(|flags| flags.has(TcpFlags::PSH) && !flags.has(TcpFlags::FIN))
        );
        assert_eq!((packet.source_port, packet.payload_length), (80, 6));
        assert_eq!(
            event.client().map(|ip| ip.to_string()).as_deref(),
            Some("192.0.2.1")
        );
        assert_eq!(event.server(), packet.source);
        assert_eq!(
            flow.and_then(|flow| flow.app_protocol.as_deref()),
            Some("http")
        );
        assert_eq!(flow.map(|flow| flow.to_client.packets), Some(1));
        assert_eq!(event.slice(PAYLOAD, 0, 4, 9).as_deref(), Some(&b"me"[..]));
        assert_eq!(event.slice(PAYLOAD, 0, 9, 9).as_deref(), Some(&b""[..]));
        assert_eq!(
            (event.length(PAYLOAD, 0), event.length(PAYLOAD, 1)),
            (Some(6), None)
        );
        assert_eq!(event.all(PAYLOAD).count(), 1);
        weir_sdk::log::warn("seen");
        assert_ne!(weir_sdk::random::next(), weir_sdk::random::next());
        event.flow_bit(SEEN) && event.stream_offset() == Some(0)
    }));
    let lines: Vec<&str> = sensor
        .logged()
        .iter()
        .map(|(_, line)| line.as_str())
        .collect();
    assert_eq!(lines, ["seen"]);
    // Nothing is there outside of an event.
    weir_sdk::log::warn("unheard");
    assert_eq!(sensor.logged().len(), 1);
}
