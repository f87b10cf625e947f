//! A worker that has its matcher run ahead says what one says that does not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weir_engine::detect::{Engine, EngineConfig, SearchCounters, What};
use weir_engine::eval;
use weir_engine::flow::FlowConfig;
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Plain, Probe, Report, Request};
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::{FlowTest, Proto, RuleSet};

use crate::build;
use crate::fallback::{WORDS, rule};

/// A backend that is far away: answers come late, out of order, unfinished or never, as its script says.
struct Distant {
    right: Plain,
    /// What happens to buffers, in turn: polls before the answer, or one of the other two.
    script: Vec<Fate>,
    buffers: usize,
    room: usize,
    under_way: VecDeque<(u64, u32, Outcome, Vec<Hit>)>,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    After(u32),
    Unfinished,
    Lost,
}

impl Matcher for Distant {
    fn name(&self) -> &'static str {
        "distant"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.right.load(probes)
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        if self.under_way.len() >= self.room {
            return Err(MatcherError::Full);
        }
        let mut hits = Vec::new();
        self.right.submit(request)?;
        self.right.poll(&mut |report| hits.extend(report.hits));
        let fate = self.script[self.buffers % self.script.len()];
        self.buffers += 1;
        let (polls, outcome) = match fate {
            Fate::After(polls) => (polls, Outcome::Done),
            Fate::Unfinished => (0, Outcome::Unfinished),
            Fate::Lost => return Ok(()),
        };
        self.under_way
            .push_back((request.tag, polls, outcome, hits));
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let before = self.under_way.len();
        self.under_way.retain_mut(|(tag, polls, outcome, hits)| {
            let ready = *polls == 0;
            *polls = polls.saturating_sub(1);
            if ready {
                deliver(Report {
                    tag: *tag,
                    outcome: *outcome,
                    hits,
                });
            }
            !ready
        });
        before - self.under_way.len()
    }

    fn depth(&self) -> usize {
        self.room
    }
}

/// A segment of one of two connections.
#[derive(Clone, Debug)]
struct Segment {
    client_port: u16,
    to_server: bool,
    flags: u8,
    seq: u32,
    data: Vec<u8>,
}

impl Segment {
    fn frame(&self) -> Vec<u8> {
        let (sport, dport) = match self.to_server {
            true => (self.client_port, 80u16),
            false => (80, self.client_port),
        };
        let seq = self
            .seq
            .wrapping_add(if self.to_server { 1000 } else { 9000 });
        let mut tcp = build::concat(&[
            &sport.to_be_bytes(),
            &dport.to_be_bytes(),
            &seq.to_be_bytes(),
        ]);
        // Nothing beyond the first byte is acknowledged: what has a gap waits.
        let ack = if self.to_server { 9001u32 } else { 1001 };
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(&self.data);
        let mut frame = build::ipv4(6, &tcp);
        if !self.to_server {
            let (from, to) = frame[12..20].split_at_mut(4);
            from.swap_with_slice(to);
        }
        frame
    }
}

/// SYN, and SYN with ACK.
fn greeting(client_port: u16, to_server: bool) -> Vec<u8> {
    let segment = Segment {
        client_port,
        to_server,
        flags: if to_server { 0x02 } else { 0x12 },
        seq: 0,
        data: Vec::new(),
    };
    segment.frame()
}

fn run(
    matcher: impl Matcher + 'static,
    deadline: Duration,
    frames: &[Vec<u8>],
    block: usize,
) -> (Vec<(u64, Vec<usize>)>, SearchCounters) {
    let mut all: Vec<_> = WORDS.map(rule).to_vec();
    // In streams, too.
    all.iter_mut()
        .for_each(|rule| rule.header.proto = Proto::Tcp);
    // Half of them look one way only, so that groups differ.
    for (at, rule) in all.iter_mut().enumerate().skip(2) {
        rule.flow = Some(FlowTest {
            to_server: at == 2,
            to_client: at == 3,
            ..FlowTest::default()
        });
    }
    let rules = Arc::new(RuleSet::new(all));
    let evaluator = Box::new(eval::Plain::new(Arc::clone(&rules)));
    let config = EngineConfig {
        match_deadline: deadline,
        flow: FlowConfig {
            max_flows: 16,
            ..FlowConfig::default()
        },
        ..EngineConfig::default()
    };
    let mut engine =
        Engine::new(rules, Box::new(matcher), evaluator, config).expect("holds four probes");
    let frame = |number: usize| Frame {
        ts_ns: number as u64 * 1_000_000,
        number: number as u64 + 1,
        link: LinkType::RAW,
        data: &frames[number],
        wire_len: frames[number].len() as u32,
        ..Frame::default()
    };
    let mut events = Vec::new();
    let look = |engine: &mut Engine, from: usize| {
        (from..frames.len().min(from + block)).for_each(|at| engine.ahead(frame(at)));
        engine.flush();
    };
    look(&mut engine, 0);
    for at in 0..frames.len() {
        if at % block == 0 {
            look(&mut engine, at + block);
        }
        engine.process(frame(at), &mut events);
    }
    engine.finish(frames.len() as u64 + 1, &mut events);
    let matched = events.into_iter().filter_map(|event| match event.what {
        What::Matches(found) => {
            let rules = found
                .matches
                .iter()
                .map(|matched| matched.rule as usize)
                .collect();
            Some((found.packet.number, rules))
        }
        _ => None,
    });
    (matched.collect(), engine.counters().search)
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "alpha",
        "bravo",
        "charlie",
        "delta",
        "al",
        "ta",
        " ",
        "DELTA-",
        "xxxxxxxxxxxxxxxx",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..1200)
        .prop_map(|words| words.concat().into_bytes())
}

/// Two connections, cut, repeated, swapped and mixed.
fn traffic() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let side = (
        text(),
        prop::collection::vec((1usize..1400, 0usize..8, 0u32..10), 1..12),
    );
    (
        prop::collection::vec(side, 4),
        prop::collection::vec(0usize..4, 0..60),
        any::<bool>(),
    )
        .prop_map(|(sides, order, handshake)| {
            let mut queues: Vec<VecDeque<Segment>> = Vec::new();
            let mut frames = Vec::new();
            for (number, (text, cuts)) in sides.iter().enumerate() {
                let (client_port, to_server) = (4000 + (number / 2) as u16, number % 2 == 0);
                let segment = |flags, seq, data: &[u8]| Segment {
                    client_port,
                    to_server,
                    flags,
                    seq,
                    data: data.to_vec(),
                };
                if handshake {
                    frames.push(greeting(client_port, to_server));
                }
                let mut queue = VecDeque::new();
                let mut at = 0;
                for &(length, back, swap) in cuts {
                    let from = at - back.min(at);
                    let to = text.len().min(at + length);
                    queue.push_back(segment(0x18, 1 + from as u32, &text[from..to]));
                    if swap == 0 && queue.len() > 1 {
                        let last = queue.len() - 1;
                        queue.swap(last, last - 1);
                    }
                    at = to;
                }
                queues.push(queue);
            }
            for side in order.into_iter().chain([0, 1, 2, 3].repeat(12)) {
                frames.extend(queues[side].pop_front().map(|segment| segment.frame()));
            }
            frames
        })
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => (0u32..4).prop_map(Fate::After),
        1 => Just(Fate::Unfinished),
        1 => Just(Fate::Lost),
    ];
    prop::collection::vec(fate, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_matches_is_the_same_however_far_the_matcher_is(
        frames in traffic(),
        script in fates(),
        room in 2usize..40,
        block in 1usize..30,
    ) {
        let patient = Duration::from_secs(3600);
        let (expected, plain) = run(Plain::new(), patient, &frames, block);
        let distant = Distant {
            right: Plain::new(),
            script,
            buffers: 0,
            room,
            under_way: VecDeque::new(),
        };
        let (found, counted) = run(distant, Duration::from_micros(50), &frames, block);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(
            (counted.buffers, counted.buffer_bytes, counted.probe_hits),
            (plain.buffers, plain.buffer_bytes, plain.probe_hits)
        );
        prop_assert!(counted.rescanned <= counted.asked && counted.asked <= counted.buffers);
    }
}

#[test]
fn nearly_all_of_a_plain_conversation_is_foreseen() {
    let text = b"alpha bravo ".repeat(4000);
    let mut frames: Vec<_> = [true, false]
        .map(|to_server| greeting(4000, to_server))
        .to_vec();
    for (number, piece) in text.chunks(700).enumerate() {
        let segment = Segment {
            client_port: 4000,
            to_server: true,
            flags: 0x18,
            seq: 1 + 700 * number as u32,
            data: piece.to_vec(),
        };
        frames.push(segment.frame());
    }
    let distant = Distant {
        right: Plain::new(),
        script: vec![Fate::After(0)],
        buffers: 0,
        room: 64,
        under_way: VecDeque::new(),
    };
    let (_, counted) = run(distant, Duration::from_secs(3600), &frames, 8);
    assert_eq!(counted.rescanned, 0);
    assert_eq!(counted.asked, counted.buffers);
    // Windows of 2,560 bytes cut some segments.
    assert!(counted.buffers > frames.len() as u64);
    assert!(counted.probe_hits > 0);
}
