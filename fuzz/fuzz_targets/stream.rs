//! Conversations through the whole engine.
//!
//! Whatever is sent, and however little memory there is: any matcher gives the same events, one that makes mistakes
//! included; where nothing had to give way, so do two workers; and in the end nothing is left.
#![no_main]

#[path = "../../engine/tests/detect/faulty.rs"]
#[expect(dead_code, reason = "some faults take time")]
mod faulty;

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use faulty::{Fault, Faulty};
use libfuzzer_sys::fuzz_target;
use weir_engine::detect::{Alerts, Counters, Engine, EngineConfig, Event, Prepared, What};
use weir_engine::eval;
use weir_engine::flow::shard;
use weir_engine::matcher::{Matcher, Plain, Software};
use weir_engine::packet::Frame;
use weir_engine::state::{Seat, Shared, Turn};
use weir_fuzz::talk::{self, Sent};

static RULES: LazyLock<Arc<Prepared>> = LazyLock::new(|| {
    let rules = weir_fuzz::stream_rules();
    Arc::new(Prepared::new(rules, &EngineConfig::default().overrides))
});
static EVALUATOR: LazyLock<Mutex<eval::Plain>> =
    LazyLock::new(|| Mutex::new(eval::Plain::new(Arc::clone(RULES.rules()))));

/// Those that take no time.
const FAULTS: [Fault; 7] = [
    Fault::None,
    Fault::GivesUp,
    Fault::Refuses,
    Fault::StrayTags,
    Fault::Repeats,
    Fault::StrayHits,
    Fault::FullAtFirst,
];

fuzz_target!(|input: &[u8]| {
    let Some((options, steps)) = input.split_first_chunk::<{ talk::OPTIONS }>() else {
        return;
    };
    let mut config = talk::settings(options);
    config.match_deadline = Duration::from_secs(3600);
    let frames = talk::frames(steps, options[0] & 32 == 0);
    let (events, counters) = run(&config, &frames, &mut || Box::new(Software::new()), 1);
    let told_by_one = told(&events);
    let others: &mut dyn FnMut() -> Box<dyn Matcher> = if options[0] & 64 == 0 {
        &mut || Box::new(Plain::new())
    } else {
        &mut || Box::new(Faulty::new(&FAULTS))
    };
    let (other, _) = run(&config, &frames, others, 1);
    assert_eq!(told_by_one, told(&other), "matchers differ");
    let gave_way = counters.flow.evicted
        + counters.flow.emergencies
        + counters.streams.evicted
        + counters.streams.no_room
        + counters.decoder.defrag.evicted;
    if gave_way == 0 {
        let (two, _) = run(&config, &frames, &mut || Box::new(Software::new()), 2);
        assert_eq!(told_by_one, told(&two), "two workers differ from one");
    }
    let mut alerts = Alerts::new(Arc::clone(RULES.rules()), &config);
    for event in &events {
        alerts.commit(event, &mut |_| {});
    }
});

/// What workers say, in order, and what the last one counted.
fn run(
    config: &EngineConfig,
    frames: &[Sent],
    matcher: &mut dyn FnMut() -> Box<dyn Matcher>,
    workers: usize,
) -> (Vec<Event>, Counters) {
    let rules = RULES.rules();
    let shared = Shared::new(rules, RULES.state(), &config.state).expect("no files");
    let shared = Arc::new(shared);
    let mut engines: Vec<Engine> = (0..workers)
        .map(|_| {
            let evaluator = EVALUATOR
                .lock()
                .expect("a panic ends the process")
                .another();
            let seat = Seat::new(Arc::clone(&shared), Turn::free());
            let prepared = Arc::clone(&RULES);
            Engine::sharing(
                prepared,
                seat,
                matcher(),
                Box::new(evaluator),
                config.clone(),
            )
            .expect("any matcher takes these probes")
        })
        .collect();
    let mut events = Vec::new();
    for (number, sent) in (1..).zip(frames) {
        let frame = Frame {
            ts_ns: sent.ts_ns,
            number,
            link: talk::LINK,
            data: &sent.bytes,
            wire_len: sent.bytes.len() as u32,
            ..Frame::default()
        };
        let worker = shard(&frame) as usize % workers;
        engines[worker].process(frame, &mut events);
        if sent.tick {
            for engine in &mut engines {
                engine.tick(number, sent.ts_ns, &mut events);
            }
        }
    }
    for engine in &mut engines {
        engine.finish(frames.len() as u64 + 1, &mut events);
        let counters = engine.counters();
        assert_eq!(counters.flow.active, 0, "flows are left");
        assert_eq!(counters.streams.bytes, 0, "streams keep memory");
        assert!(counters.streams.peak_bytes <= config.stream.memory as u64);
    }
    events.sort_by_key(|event| event.place);
    let counters = engines.last().expect("at least one").counters();
    (events, counters)
}

/// Events as text.
fn told(events: &[Event]) -> Vec<String> {
    let what = |what: &What| match what {
        What::Matches(found) => format!("{found:?}"),
        What::Flow(ended) => format!("{ended:?}"),
        What::Tagged(tagged) => format!("{:?}", tagged.packet),
        What::App(record) => format!("{record:?}"),
        What::Counters(_) | What::Notice(_) => String::new(),
    };
    let tell = |event: &Event| format!("{:?} {}", event.place, what(&event.what));
    events.iter().map(tell).collect()
}
