use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use weir_engine::detect::{Found, PacketFacts, Place, What};
use weir_engine::packet::{Interface, LinkType, Origin};
use weir_engine::state::Turn;

use super::*;

/// Frames of raw IPv4 between hosts drawn from few, of random length, a second apart, now and then back in time.
struct Made {
    frames: Vec<Vec<u8>>,
    next: usize,
    /// How many are handed out for now.
    until: usize,
    /// Where changes are offered, how many workers there are, and how many frames there are between two changes.
    changes: Option<(Arc<Changes<Turn>>, usize, usize)>,
}

fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33
}

/// Not all by the same interface, and some from files.
fn came_by(number: u64) -> Interface {
    match mixed(number) as usize % 4 {
        3 => Interface::NONE,
        index => Interface::at(index),
    }
}

impl Made {
    fn new(count: u64) -> Self {
        let frame = |number: u64| {
            let mut data = vec![0; 20 + (mixed(number) % 2000) as usize];
            data[0] = 0x45;
            data[15] = (mixed(number) >> 11) as u8 % 9;
            data[19] = (mixed(number) >> 20) as u8 % 9;
            data
        };
        Self {
            frames: (1..=count).map(frame).collect(),
            next: 0,
            until: usize::MAX,
            changes: None,
        }
    }
}

impl Source for Made {
    fn was_stopped(&self) -> bool {
        self.next < self.frames.len()
    }

    fn next(&mut self) -> Next<'_> {
        let more = self.frames.get(self.next);
        let Some(data) = more.filter(|_| self.next < self.until) else {
            return Next::End;
        };
        if let Some((changes, workers, every)) = &self.changes
            && self.next.is_multiple_of(*every)
        {
            let order = Order::new(*workers);
            let parts = (0..*workers).map(|at| order.turn(at)).collect();
            changes.offer(Change { parts, order });
        }
        self.next += 1;
        let number = self.next as u64;
        Next::Frame(Frame {
            ts_ns: 1_000_000_000 * (number - mixed(number) % 50 % number),
            number,
            link: LinkType::RAW,
            data,
            wire_len: data.len() as u32,
            iface: came_by(number),
        })
    }
}

/// Counts frames by sender, ends senders that were silent for a while, and writes into a shared log in its turn.
struct Fake {
    turn: Turn,
    /// Latest time by sender.
    senders: BTreeMap<u64, u64>,
    log: Arc<Mutex<Vec<Place>>>,
    profile: Profile,
    /// Panics at this frame.
    dies_at: u64,
    /// Where the frames stand that it has looked at ahead, and their numbers; `None` for one that does not.
    ahead: Option<VecDeque<(usize, u64)>>,
}

const IDLE_NS: u64 = 30_000_000_000;

impl Fake {
    fn new(turn: Turn, log: &Arc<Mutex<Vec<Place>>>, dies_at: u64, ahead: bool) -> Self {
        Self {
            turn,
            senders: BTreeMap::new(),
            log: Arc::clone(log),
            profile: Profile::new(false),
            dies_at,
            ahead: ahead.then(VecDeque::new),
        }
    }

    fn say(&mut self, place: Place, events: &mut Vec<Event>) {
        self.turn.at(place);
        if mixed(place.number ^ place.flow_id).is_multiple_of(4) {
            self.turn.wait();
            self.log.lock().expect("nobody panics here").push(place);
        }
        let packet = PacketFacts {
            ts_ns: place.ts_ns,
            number: place.number,
            iface: Interface::NONE,
            is_ip: false,
            is_arp: false,
            src: [0; 4].into(),
            dst: [0; 4].into(),
            proto: 0,
            ports: None,
            icmp: None,
            vlan: ([0; 3], 0),
            macs: None,
            origin: Origin::Wire,
            depth: 0,
            carrier: None,
            flow: None,
        };
        let found = Found {
            packet,
            matches: Vec::new(),
            dropped: false,
            reject: None,
            app: None,
        };
        events.push(Event {
            place,
            what: What::Matches(Box::new(found)),
        });
    }

    fn end(&mut self, number: u64, before_ns: u64, events: &mut Vec<Event>) {
        let mut ended: Vec<(u64, u64)> = self
            .senders
            .iter()
            .filter(|(_, ts_ns)| **ts_ns < before_ns)
            .map(|(sender, ts_ns)| (*ts_ns, *sender))
            .collect();
        ended.sort_unstable();
        for (ts_ns, flow_id) in ended {
            self.senders.remove(&flow_id);
            let place = Place {
                number,
                after: true,
                ts_ns,
                flow_id,
            };
            self.say(place, events);
        }
    }
}

impl Inspect for Fake {
    type Next = Turn;

    fn change(&mut self, next: Turn, _: &mut Vec<Event>) -> Retired {
        let ahead = self.ahead.as_ref();
        assert!(ahead.is_none_or(VecDeque::is_empty), "nothing is ahead");
        Box::new(std::mem::replace(&mut self.turn, next))
    }

    fn runs_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    fn ahead(&mut self, frame: Frame<'_>) {
        let ahead = self.ahead.as_mut().expect("asked for");
        ahead.push_back((frame.data.as_ptr() as usize, frame.number));
    }

    fn process(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) {
        if let Some(ahead) = &mut self.ahead {
            let here = (frame.data.as_ptr() as usize, frame.number);
            assert_eq!(ahead.pop_front(), Some(here));
        }
        assert!(frame.number != self.dies_at, "planned");
        assert_eq!(frame.iface, came_by(frame.number));
        let ends = (frame.data[15].into(), frame.data[19].into());
        let (low, high): (u64, u64) = if ends.0 < ends.1 {
            ends
        } else {
            (ends.1, ends.0)
        };
        self.senders.insert(low << 8 | high, frame.ts_ns);
        let place = Place {
            number: frame.number,
            after: false,
            ts_ns: frame.ts_ns,
            flow_id: 0,
        };
        self.say(place, events);
    }

    fn tick(&mut self, number: u64, now_ns: u64, events: &mut Vec<Event>) {
        self.end(number, now_ns.saturating_sub(IDLE_NS), events);
        self.turn.at(Place {
            number: number + 1,
            ..Place::default()
        });
    }

    fn finish(&mut self, number: u64, events: &mut Vec<Event>) {
        self.end(number, u64::MAX, events);
    }

    fn profile(&mut self) -> &mut Profile {
        &mut self.profile
    }
}

/// What is committed, and what was written into the log; the run is stopped after `most` events.
fn all(workers: usize, frames: u64, most: usize, dies_at: u64) -> (Vec<Place>, Vec<Place>) {
    all_ahead(false, workers, frames, most, dies_at)
}

/// The same; `ahead`: the workers look at frames ahead.
fn all_ahead(
    ahead: bool,
    workers: usize,
    frames: u64,
    most: usize,
    dies_at: u64,
) -> (Vec<Place>, Vec<Place>) {
    let (committed, log, _) =
        changing(usize::MAX, ahead, workers, Made::new(frames), most, dies_at);
    (committed, log)
}

/// The same with a change every so many frames, and after how many committed events each took place.
fn changing(
    every: usize,
    ahead: bool,
    workers: usize,
    mut made: Made,
    most: usize,
    dies_at: u64,
) -> (Vec<Place>, Vec<Place>, Vec<usize>) {
    let changes = Arc::<Changes<Turn>>::default();
    made.changes = (every < usize::MAX).then(|| (Arc::clone(&changes), workers, every));
    let order = Order::new(workers);
    let log = Arc::new(Mutex::new(Vec::new()));
    let fake = |at| Fake::new(order.turn(at), &log, dies_at, ahead);
    let mut fakes: Vec<Fake> = (0..workers).map(fake).collect();
    let (mut committed, mut changed) = (Vec::new(), Vec::new());
    run(
        &mut fakes,
        &mut made,
        Course {
            order: &order,
            profile: &mut Profile::new(false),
            block: handover::Block::default(),
            handover: Handover::Never,
            changes: &changes,
        },
        &mut |step| {
            match step {
                Step::Event(event) => committed.push(event.place),
                Step::Changed(of_all) => {
                    assert_eq!(of_all.retired.len(), workers);
                    changed.push(committed.len());
                }
            }
            if committed.len() >= most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    drop(fakes);
    let log = Arc::into_inner(log).expect("all are done");
    (
        committed,
        log.into_inner().expect("nobody panicked"),
        changed,
    )
}

#[test]
fn all_workers_change_at_the_same_frame_and_nothing_else_changes() {
    const FRAMES: u64 = 6000;
    let whole = all(1, FRAMES, usize::MAX, 0);
    for (every, workers, ahead) in [
        (7, 1, false),
        (100, 1, true),
        (1, 2, false),
        (513, 2, true),
        (1024, 3, false),
        (37, 5, true),
    ] {
        let made = Made::new(FRAMES);
        let (committed, log, changed) = changing(every, ahead, workers, made, usize::MAX, 0);
        let what = format!("{workers} workers, every {every} frames, ahead: {ahead}");
        assert!((&committed, &log) == (&whole.0, &whole.1), "{what}");
        // What the frames before a change have caused is committed before it, and nothing else.
        let frames = (0..FRAMES as usize).step_by(every);
        let expected = frames.map(|frames| {
            let before = |place: &&Place| place.number <= frames as u64;
            committed.iter().filter(before).count()
        });
        assert!(changed.into_iter().eq(expected), "{what}");
    }
}

#[test]
fn any_number_of_workers_commits_and_writes_the_same_in_the_same_order() {
    let one = all(1, 6000, usize::MAX, 0);
    assert!(one.0.is_sorted() && one.1.is_sorted());
    // Something ends in the middle, and the rest at the end.
    let ended = |place: &&Place| place.after && place.number <= 6000;
    assert!(one.0.iter().filter(ended).count() > 10);
    assert!(one.0.last().is_some_and(|place| place.number == 6001));
    for (workers, ahead) in [
        (2, false),
        (3, false),
        (7, false),
        (1, true),
        (2, true),
        (5, true),
    ] {
        assert!(
            all_ahead(ahead, workers, 6000, usize::MAX, 0) == one,
            "{workers} workers, ahead: {ahead}"
        );
    }
}

#[test]
fn a_run_goes_on_where_another_left_off() {
    const FRAMES: usize = 6000;
    let whole = all(1, FRAMES as u64, usize::MAX, 0);
    for (workers, cut, ahead) in [
        (1, 1, false),
        (1, 1500, false),
        (2, 2048, false),
        (3, 4000, false),
        (2, FRAMES - 1, false),
        (1, 1500, true),
        (2, 2048, true),
    ] {
        let log = Arc::default();
        let fake = |_| Fake::new(Turn::free(), &log, 0, ahead);
        let mut fakes: Vec<Fake> = (0..workers).map(fake).collect();
        let mut source = Made::new(FRAMES as u64);
        let mut committed = Vec::new();
        let mut block = None;
        for (until, handover) in [(cut, Handover::Stopped), (FRAMES, Handover::Stopped)] {
            source.until = until;
            let order = Order::new(workers);
            for (at, fake) in fakes.iter_mut().enumerate() {
                fake.turn = order.turn(at);
            }
            block = run(
                &mut fakes,
                &mut source,
                Course {
                    order: &order,
                    profile: &mut Profile::new(false),
                    block: block.unwrap_or_default(),
                    handover,
                    changes: &Changes::default(),
                },
                &mut |step| {
                    if let Step::Event(event) = step {
                        committed.push(event.place);
                    }
                    ControlFlow::Continue(())
                },
            );
            // The source of the first part was stopped, that of the second came to its end.
            assert_eq!(block.is_some(), until < FRAMES);
        }
        drop(fakes);
        let log = Arc::into_inner(log).expect("all are done");
        let log = log.into_inner().expect("nobody panicked");
        assert!(
            (committed, log) == whole,
            "{workers} workers, cut at {cut}, ahead: {ahead}"
        );
    }
}

#[test]
fn a_run_that_is_stopped_ends() {
    for workers in [1, 2, 5] {
        for ahead in [false, true] {
            let (committed, _) = all_ahead(ahead, workers, 20_000, 700, 0);
            assert_eq!(committed.len(), 700);
        }
    }
}

#[test]
fn a_worker_that_panics_ends_the_run() {
    let died = std::panic::catch_unwind(|| all(3, 20_000, usize::MAX, 5_000));
    assert!(died.is_err());
}
