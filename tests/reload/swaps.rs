//! What holds for any reload: the rules that go on say what they would have said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_capture::generate::{Scenario, demo_rules};
use weir_engine::packet::LinkType;
use weir_engine::plan::RuleSet;

use crate::sensor::{Alerted, Backend, Sensor, Timed, alerts, rules};
use crate::traffic;

const NEVER: BTreeMap<usize, Arc<RuleSet>> = BTreeMap::new();

/// Traffic of many application layers.
fn demo(packets: u64) -> Vec<Timed> {
    let traffic = Scenario::new(11).packets(packets).generate();
    let timed = |frame: weir_engine::packet::Frame<'_>| (frame.ts_ns, frame.data.to_vec());
    traffic.frames().map(timed).collect()
}

/// Drawn numbers.
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) as usize % most
    }
}

#[test]
fn the_same_rules_again_at_any_frame_change_nothing() {
    let (own, demo_set) = (rules(traffic::RULES), rules(demo_rules()));
    let (hand_made, made_up) = (traffic::all(), demo(800));
    let mut drawn = Drawn(1);
    for (set, again, link, frames, least) in [
        (&own, rules(traffic::RULES), LinkType::RAW, &hand_made, 13),
        (
            &demo_set,
            rules(demo_rules()),
            LinkType::ETHERNET,
            &made_up,
            5,
        ),
    ] {
        let expected = alerts(set, (1, Backend::Software), (link, frames), &NEVER);
        let sids: BTreeSet<u32> = expected.iter().map(|(_, sid)| *sid).collect();
        assert!(sids.len() >= least, "{sids:?}");
        for backend in Backend::ALL {
            for workers in [1, 2] {
                let every = match backend {
                    Backend::Software if frames.len() < 200 => 1,
                    // It takes its time to be loaded.
                    Backend::Model => 70 + drawn.below(30),
                    _ => 7 + drawn.below(20),
                };
                let at = (drawn.below(every)..frames.len()).step_by(every);
                let reloads = at.map(|at| (at, Arc::clone(&again))).collect();
                let found = alerts(set, (workers, backend), (link, frames), &reloads);
                assert_eq!(
                    found, expected,
                    "{backend:?}, {workers} workers, every {every}"
                );
            }
        }
    }
}

/// Rules of [`traffic::RULES`] that are gone, changed, moved and new.
fn others() -> String {
    let more = "alert tcp any any -> any any (msg:\"new\"; content:\"USER\"; priority:1; sid:101;)\n\
        alert udp any any -> any any (msg:\"new\"; content:\"again\"; flowbits:set,other; flowbits:isset,in; \
        priority:1; sid:102;)\n\
        alert udp any any -> any any (msg:\"new\"; content:\"admin\"; threshold:type limit,track by_src,count 1,seconds 600; \
        sid:103;)\n\
        alert udp any any -> any any (msg:\"new\"; content:\"mark\"; xbits:set,more,track ip_src,expire 9; noalert; sid:104;)\n";
    let kept = traffic::RULES.lines().filter_map(|line| {
        let sid = |sid: u32| line.contains(&format!("sid:{sid};"));
        // Forgotten, about other traffic, and with another limit.
        (!sid(3) && !sid(7)).then(|| match line {
            line if sid(11) => line.replace("any any -> any any", "any any -> any 81"),
            line if sid(2) => line.replace("any any -> any any", "any any -> any 80"),
            line if sid(9) => line.replace("count 2", "count 3"),
            line => line.to_owned(),
        })
    });
    let kept: String = kept.map(|line| line + "\n").collect();
    format!("{more}{kept}")
}

#[test]
fn other_rules_go_on_with_the_state_that_there_is_as_after_a_restart() {
    let (before, after) = (rules(traffic::RULES), rules(&others()));
    let frames = traffic::all();
    let own = alerts(
        &after,
        (1, Backend::Software),
        (LinkType::RAW, &frames),
        &NEVER,
    );
    let mut differs = 0;
    for (from, to) in [(&before, &after), (&after, &before)] {
        for cut in (1..frames.len()).step_by(3) {
            for (workers, backend) in [(1, Backend::Software), (2, Backend::Far)] {
                let mut one = Sensor::new(from, workers, backend, LinkType::RAW);
                one.run(&frames, 0..cut, &NEVER);
                let mut other = Sensor::new(from, workers, backend, LinkType::RAW);
                other.run(&frames, 0..cut, &NEVER);
                one.reload(to);
                let mut other = other.hand_over(to);
                for sensor in [&mut one, &mut other] {
                    sensor.run(&frames, cut..frames.len(), &NEVER);
                }
                let found = one.finish(&frames);
                let restarted = other.finish(&frames);
                assert_eq!(found, restarted, "cut at {cut}, {workers} workers");
                differs += usize::from(found != own);
            }
        }
    }
    assert!(differs > 20, "what was before the cut matters");
}

/// Rules that come and go beside those of the demo: before them in order, with buffers and groups of their own.
const GUESTS: &str = "\
alert http any any -> any any (msg:\"a\"; http.user_agent; content:\"o\"; priority:1; sid:1;)\n\
alert http any any -> any any (msg:\"b\"; http.response_body; content:\"e\"; priority:1; sid:2;)\n\
alert dns any any -> any any (msg:\"c\"; dns.query; content:\"a\"; flowbits:set,guest; priority:1; sid:3;)\n\
alert tcp any any -> any any (msg:\"d\"; flow:established; content:\"GET\"; content:!\"zzzz\"; priority:1; sid:4;)\n\
alert udp any any -> any 53 (msg:\"e\"; flowbits:isset,guest; priority:1; sid:5;)\n";

#[test]
fn rules_that_come_and_go_beside_others_do_not_concern_them() {
    let frames = demo(2000);
    let base = rules(demo_rules());
    let more = rules(&format!("{GUESTS}{}", demo_rules()));
    let link = (LinkType::ETHERNET, &frames[..]);
    let is_guest = |alerted: &&Alerted| (1..10).contains(&alerted.1);
    let expected = alerts(&base, (1, Backend::Software), link, &NEVER);
    let crowded = alerts(&more, (1, Backend::Software), link, &NEVER);
    assert!(crowded.iter().filter(is_guest).count() > 100);
    let mut drawn = Drawn(7);
    for (workers, backend) in [
        (1, Backend::Software),
        (2, Backend::Far),
        (2, Backend::Faulty),
        (1, Backend::Model),
    ] {
        let mut reloads = BTreeMap::new();
        let (mut at, mut guests) = (0, false);
        let mut with_guests = BTreeSet::new();
        while at < frames.len() {
            let next = at + 1 + drawn.below(60);
            if guests {
                with_guests.extend(at as u64 + 1..=next as u64);
            }
            guests = !guests;
            reloads.insert(next, Arc::clone(if guests { &more } else { &base }));
            at = next;
        }
        let found = alerts(&base, (workers, backend), link, &reloads);
        let (theirs, own): (Vec<Alerted>, Vec<Alerted>) =
            found.into_iter().partition(|alerted| is_guest(&alerted));
        assert_eq!(own, expected, "{backend:?}, {workers} workers");
        assert!(theirs.len() > 20, "{}", theirs.len());
        let last = frames.len() as u64;
        for alerted in &theirs {
            let (number, _) = alerted;
            assert!(
                with_guests.contains(number) || *number >= last,
                "{alerted:?}"
            );
        }
    }
}

/// One connection, a segment a line, both ways.
fn conversation(lines: &[(usize, &str)]) -> Vec<Timed> {
    let segments = traffic::conversation(lines);
    (0..)
        .zip(segments)
        .map(|(at, segment)| (1_700_000_000_000_000_000 + at * 1_000_000, segment))
        .collect()
}

/// Alerts of a conversation before whose frame `at` other rules come.
fn talk(before: &str, after: &str, at: usize, lines: &[(usize, &str)]) -> Vec<u32> {
    let frames = conversation(lines);
    let reloads = BTreeMap::from([(at, rules(after))]);
    let link = (LinkType::RAW, &frames[..]);
    let found = alerts(&rules(before), (1, Backend::Software), link, &reloads);
    found.into_iter().map(|(_, sid)| sid).collect()
}

#[test]
fn a_rule_is_not_asked_about_what_was_not_kept_for_it() {
    let head = "POST /form HTTP/1.1\r\nHost: here\r\nUser-Agent: curl\r\nContent-Length: 6\r\n\r\n";
    let lines = [
        (0, head),
        (0, "secret"),
        (1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ];
    let nothing = "alert icmp any any -> any any (sid:1;)\n";
    let absent = "alert http any any -> any any (http.request_body; content:\"secret\"; \
                  http.user_agent; absent; sid:2;)\n";
    let body = "alert http any any -> any any (http.request_body; content:\"secret\"; sid:3;)\n";
    let wants_it = "alert http any any -> any any (http.user_agent; content:\"nobody\"; sid:4;)\n\
                    alert http any any -> any any (http.request_body; content:\"nobody\"; sid:5;)\n";
    // Three frames of handshake, then the head.
    for at in 0..=3 {
        assert_eq!(talk(nothing, body, at, &lines), [3], "{at}");
        assert!(talk(nothing, absent, at, &lines).is_empty(), "{at}");
    }
    assert!(
        talk(nothing, absent, 4, &lines).is_empty(),
        "its agent was not kept"
    );
    assert_eq!(talk(wants_it, body, 4, &lines), [3], "all was kept");
    assert!(talk(body, nothing, 4, &lines).is_empty(), "it is gone");
}

#[test]
fn what_is_left_is_forgotten_and_what_comes_back_begins_anew() {
    let set = "alert tcp any any -> any any (flow:established; content:\"one\"; flowbits:set,seen; noalert; sid:1;)\n";
    let ask = "alert tcp any any -> any any (flow:established; content:\"two\"; flowbits:isset,seen; sid:2;)\n";
    let once = "alert tcp any any -> any any (flow:established; content:\"xray\"; \
                threshold:type limit,track by_src,count 1,seconds 600; sid:3;)\n";
    let all = rules(&[set, ask, once].concat());
    let none = rules("alert icmp any any -> any any (sid:9;)\n");
    let asks = rules(ask);
    let lines = [
        (0, "one xray "),
        (1, "ok "),
        (0, "xray two "),
        (1, "ok "),
        (0, "end "),
    ];
    let frames = conversation(&lines);
    let found = |reloads: &[(usize, &Arc<RuleSet>)]| -> Vec<u32> {
        let reloads = reloads.iter().map(|&(at, set)| (at, Arc::clone(set)));
        let link = (LinkType::RAW, &frames[..]);
        let found = alerts(&all, (1, Backend::Software), link, &reloads.collect());
        found.into_iter().map(|(_, sid)| sid).collect()
    };
    assert_eq!(found(&[]), [3, 2]);
    assert_eq!(found(&[(5, &all)]), [3, 2]);
    assert_eq!(
        found(&[(5, &asks)]),
        [3, 2],
        "somebody still asks for the bit"
    );
    assert_eq!(
        found(&[(5, &asks), (6, &all)]),
        [3, 2],
        "it saw no more of it"
    );
    // The bit was of no use to anyone, and the count neither.
    assert_eq!(found(&[(4, &none), (5, &all)]), [3, 3]);
}
