//! Credits: whatever the schedule of stalls, nothing is lost, doubled or out of bounds.

mod common;

use std::time::{Duration, Instant};

use common::{Rig, config};
use proptest::collection::vec;
use proptest::prelude::*;
use weir_driver::{Card, Config, Port};
use weir_engine::matcher::testing::naive;
use weir_engine::matcher::{Matcher, Outcome, Probe, Request};
use weir_tables::{Geometry, Size};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A worker hands in a buffer of so many bytes.
    Submit(usize, usize),
    /// A worker takes what there is.
    Poll(usize),
    /// A worker has no more for now.
    Flush(usize),
    /// The card takes what comes, and keeps it to itself.
    Hold,
    /// It goes on.
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0..2_usize;
    prop_oneof![
        8 => (worker(), 0..3000_usize).prop_map(|(worker, bytes)| Step::Submit(worker, bytes)),
        3 => worker().prop_map(Step::Poll),
        1 => worker().prop_map(Step::Flush),
        1 => Just(Step::Hold),
        1 => Just(Step::Release),
    ]
}

/// A worker, and which of its buffers were answered how often.
struct Worker {
    port: Port,
    answered: Vec<usize>,
    wrong: Option<u64>,
}

fn buffer(tag: u64, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| b"abcd"[(tag as usize + at * at / 7) % 4])
        .collect()
}

fn probes() -> Vec<Probe> {
    [&b"ab"[..], b"abc", b"cdda", b"bbbbb", b"aabbccdd"]
        .iter()
        .filter_map(|text| Probe::new(text, true, 1))
        .collect()
}

impl Worker {
    fn poll(&mut self, sizes: &[usize]) {
        let Self {
            port,
            answered,
            wrong,
        } = self;
        let probes = probes();
        port.poll(&mut |report| {
            let tag = report.tag;
            let place = answered.get_mut(tag as usize);
            *place.expect("a tag that was given") += 1;
            let data = buffer(tag, sizes[tag as usize]);
            let request = Request {
                tag,
                group: 0,
                carry: 0,
                data: &data,
            };
            if report.outcome != Outcome::Done || report.hits != naive(&probes, &request) {
                wrong.get_or_insert(tag);
            }
        });
    }
}

/// Bytes and records that may be under way.
const ROOM: (usize, usize) = (32 << 10, 40);

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_of_stalls_loses_or_doubles(steps in vec(step(), 1..400)) {
        let rig = Rig::new(Geometry::new(8, Size::Compact));
        let config = Config {
            // A stall is no failure here.
            deadline: Duration::from_secs(600),
            room_bytes: ROOM.0,
            room_records: ROOM.1,
            wait: Duration::ZERO,
            ..config()
        };
        let staging = config.staging;
        let card = Card::start("test".to_owned(), rig.opener(), config).expect("opens");
        let mut workers: Vec<Worker> = (0..2)
            .map(|_| Worker { port: card.port(), answered: Vec::new(), wrong: None })
            .collect();
        for worker in &mut workers {
            worker.port.load(&probes()).expect("loads");
        }
        prop_assert!(card.in_use());
        let mut sizes = [Vec::new(), Vec::new()];
        for &step in &steps {
            match step {
                Step::Submit(at, bytes) => {
                    let tag = sizes[at].len() as u64;
                    let data = buffer(tag, bytes);
                    let request = Request { tag, group: 0, carry: 0, data: &data };
                    // Where there is no room, it is not taken.
                    if workers[at].port.submit(request).is_ok() {
                        sizes[at].push(bytes);
                        workers[at].answered.push(0);
                    }
                }
                Step::Poll(at) => workers[at].poll(&sizes[at]),
                Step::Flush(at) => workers[at].port.flush(),
                Step::Hold => rig.lock().held = true,
                Step::Release => rig.release(),
            }
            // A worker may always have one buffer under way, and a record may be larger than that.
            let most = ROOM.0 + 2 * (staging + 3200);
            let (bytes, records) = rig.held();
            prop_assert!(bytes <= most, "{} bytes under way", bytes);
            // Known-answer records are in it, too.
            prop_assert!(records <= ROOM.1 + 2 * 128, "{} records under way", records);
        }
        rig.release();
        let since = Instant::now();
        for (worker, sizes) in workers.iter_mut().zip(&sizes) {
            while worker.answered.contains(&0) {
                worker.port.flush();
                worker.poll(sizes);
                prop_assert!(since.elapsed() < Duration::from_secs(60), "unanswered");
            }
            prop_assert!(worker.answered.iter().all(|&count| count == 1), "each once");
            prop_assert_eq!(worker.wrong, None);
        }
        drop(workers);
        let counts = card.counts();
        prop_assert_eq!((counts.failovers, counts.stray_reports, counts.records_lost), (0, 0, 0));
    }
}
