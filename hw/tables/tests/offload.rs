//! Requests through records, the model's streams and report units, whole and broken, and tables that are switched under way.

use card_protocol::register;
use weir_engine::matcher::testing::{Case, Driver, Rng, naive, random_cases};
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Report, Request};
use weir_tables::{Geometry, Golden, Key, Offload, Settings, Size};

/// The host's side and a core, with the streams between them in pieces.
struct Streamed {
    offload: Offload,
    golden: Golden,
    up: Vec<u8>,
    down: Vec<u8>,
    rng: Rng,
    loaded: bool,
}

impl Streamed {
    fn new(geometry: Geometry, seed: u64) -> Self {
        Self {
            offload: Offload::new(
                geometry,
                Key::from_seed(seed),
                seed as u32 ^ 0xABCD_EF01,
                Settings::default(),
            ),
            golden: Golden::new(geometry),
            up: Vec::new(),
            down: Vec::new(),
            rng: Rng::new(seed),
            loaded: false,
        }
    }

    fn write(&mut self, writes: &[(u32, u32)]) {
        for &(address, value) in writes {
            self.golden.write(address, value);
        }
    }

    /// Lets the core take some of what waits, in pieces; all of it when `most` is enough.
    fn run(&mut self, most: usize) {
        let mut left = most.min(self.up.len());
        while left > 0 {
            let bytes = self.rng.range(1, left.min(100));
            let taken = self.golden.feed(&self.up[..bytes], &mut self.down);
            assert_eq!(taken, bytes);
            self.up.drain(..bytes);
            left -= bytes;
        }
        while !self.down.is_empty() {
            let bytes = self.rng.range(1, self.down.len().min(150));
            self.offload.reports(&self.down[..bytes]);
            self.down.drain(..bytes);
        }
    }

    fn finish_switch(&mut self) {
        self.run(usize::MAX);
        let writes = self.offload.finish().expect("all has been answered");
        self.write(&writes);
    }
}

impl Matcher for Streamed {
    fn name(&self) -> &'static str {
        "model"
    }

    fn load(&mut self, probes: &[Probe]) -> Result<(), MatcherError> {
        self.finish_switch();
        // Mostly by a switch.
        if self.loaded && !self.rng.one_in(4) {
            let writes = self.offload.begin(probes).expect("no switch is under way");
            self.write(&writes);
            return Ok(());
        }
        self.offload.load(probes)?;
        let writes = self.offload.start(!self.loaded);
        self.write(&writes);
        self.loaded = true;
        Ok(())
    }

    fn submit(&mut self, request: Request<'_>) -> Result<(), MatcherError> {
        let (before, room) = (self.up.len(), self.offload.room(&request));
        self.offload.submit(request, &mut self.up);
        assert!(self.up.len() - before <= room);
        Ok(())
    }

    fn poll(&mut self, deliver: &mut dyn FnMut(Report<'_>)) -> usize {
        let some = self.rng.range(1, 4096);
        self.run(some);
        if self.rng.one_in(3)
            && let Some(writes) = self.offload.finish()
        {
            self.write(&writes);
        }
        self.offload.poll(deliver)
    }
}

fn geometries() -> impl Iterator<Item = Geometry> {
    [8, 16, 32, 64]
        .into_iter()
        .map(|lanes| Geometry::new(lanes, Size::Compact))
}

#[test]
fn corpus() {
    for (seed, geometry) in (0..).zip(geometries()) {
        let mut streamed = Streamed::new(geometry, seed);
        let tally = Driver::default().check(&mut streamed);
        let tally = tally.unwrap_or_else(|error| panic!("{geometry:?}: {error}"));
        assert_eq!((tally.skipped, tally.unfinished), (0, 0));
        let of_records = streamed.offload.tally();
        assert_eq!(of_records.done, of_records.records);
        assert!(of_records.done > 100, "{of_records:?}");
        let read = |address| u64::from(streamed.golden.read(address));
        assert_eq!(read(register::COUNT_RECORDS), of_records.records);
        assert_eq!(read(register::COUNT_LOST), 0);
        assert_eq!(read(register::COUNT_TABLE_ERRORS), 0);
        assert_eq!(
            read(register::COUNT_BEATS) * geometry.lanes as u64,
            of_records.bytes
        );
        assert_eq!(read(register::COUNT_UNITS), streamed.offload.units().units);
    }
}

#[test]
fn random() {
    for (seed, geometry) in (10..).zip(geometries()) {
        let mut streamed = Streamed::new(geometry, seed);
        for case in random_cases(seed, 100) {
            if let Err(error) = Driver::default().run(&mut streamed, &case) {
                panic!("{geometry:?}: {error}");
            }
        }
    }
}

/// What an answer must be: right if it is said to be complete, and nothing wrong in any case.
fn judge(probes: &[Probe], request: &Request<'_>, outcome: Outcome, hits: &[Hit]) -> bool {
    let expected = naive(probes, request);
    match outcome {
        Outcome::Done => assert_eq!(hits, expected),
        Outcome::Unfinished => {
            assert!(
                hits.iter().all(|hit| expected.contains(hit)),
                "{hits:?} {expected:?}"
            );
        }
    }
    outcome == Outcome::Done
}

/// Bytes are lost, changed or put in on both ways; every buffer is answered, no answer is wrong, and most are complete.
#[test]
fn broken_streams() {
    let (mut done, mut all) = (0, 0);
    for (seed, geometry) in (20..).zip(geometries()) {
        let mut rng = Rng::new(seed);
        for case in random_cases(seed, 40) {
            let Case { probes, asks, .. } = &case;
            let mut offload = Offload::new(geometry, Key::from_seed(seed), 77, Settings::default());
            let mut golden = Golden::new(geometry);
            offload.load(probes).expect("few probes");
            for (address, value) in offload.start(true) {
                golden.write(address, value);
            }
            let (mut up, mut down) = (Vec::new(), Vec::new());
            let rounds: Vec<_> = asks.iter().cycle().take(24).collect();
            for (tag, ask) in (0..).zip(&rounds) {
                let request = Request {
                    tag,
                    group: ask.group,
                    carry: ask.carry,
                    data: &ask.data,
                };
                offload.submit(request, &mut up);
            }
            harm(&mut rng, &mut up);
            golden.feed(&up, &mut down);
            harm(&mut rng, &mut down);
            offload.reports(&down);
            offload.abandon();
            let mut answers = 0;
            offload.poll(&mut |report| {
                let ask = rounds[report.tag as usize];
                let request = Request {
                    tag: 0,
                    group: ask.group,
                    carry: ask.carry,
                    data: &ask.data,
                };
                done += usize::from(judge(probes, &request, report.outcome, report.hits));
                answers += 1;
            });
            assert_eq!(answers, rounds.len());
            all += answers;
            let tally = offload.tally();
            assert_eq!(
                tally.records,
                tally.done + tally.flagged + tally.short + tally.lost
            );
        }
    }
    assert!(done * 10 > all * 4, "{done} of {all}");
    assert!(done < all);
}

/// Up to two places of a stream are damaged.
fn harm(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(4) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
            1 => {
                let end = (at + rng.range(1, 80)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                // Whole beats, units or records may vanish, too.
                let (start, end) = (at & !63, (at & !63) + 64 * rng.range(1, 3));
                bytes.drain(start..end.min(bytes.len()));
            }
            _ => {
                let copy = bytes[at..(at + 128).min(bytes.len())].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}
