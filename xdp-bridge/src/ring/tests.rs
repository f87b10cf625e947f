use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::*;

/// What may happen to a ring.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Publish,
    Pull,
    Release,
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Push),
        2 => Just(Step::Publish),
        6 => Just(Step::Pull),
        2 => Just(Step::Release),
        1 => Just(Step::Look),
    ]
}

/// Both ends of one ring against a queue: what is put in and published comes out, in order and once; what is not yet released
/// takes room.
fn agrees<const WORDS: usize>(order: u32, start: u32, steps: &[Step]) {
    let size = 1u32 << order;
    let memory = Heap::new(size as usize * WORDS, start);
    let mut producer = Producer::<_, WORDS>::new(memory.clone());
    let mut consumer = Consumer::<_, WORDS>::new(memory);
    let (mut hidden, mut visible, mut unreleased) = (VecDeque::new(), VecDeque::new(), 0);
    let mut next = 1;
    for step in steps {
        let used = (hidden.len() + visible.len()) as u32 + unreleased;
        match step {
            Step::Push => {
                let entry = std::array::from_fn(|index| next + ((index as u64) << 32));
                assert_eq!(producer.push(entry), used < size);
                if used < size {
                    hidden.push_back(entry);
                    next += 1;
                }
            }
            Step::Publish => {
                assert_eq!(producer.publish() as usize, hidden.len());
                visible.append(&mut hidden);
            }
            Step::Pull => {
                let expected = visible.pop_front();
                assert_eq!(consumer.pull(), expected);
                unreleased += u32::from(expected.is_some());
            }
            Step::Release => {
                consumer.release();
                unreleased = 0;
            }
            Step::Look => {
                assert_eq!(producer.room(u32::MAX), size - used);
                assert_eq!(producer.waiting(), used);
                assert!(consumer.waiting() as usize <= visible.len());
                assert_eq!(consumer.waiting() == 0, visible.is_empty());
            }
        }
    }
}

proptest! {
    /// Counts begin anywhere, among other places just before they wrap.
    #[test]
    fn a_ring_is_a_bounded_queue(
        order in 0u32..5,
        start in prop_oneof![Just(0), any::<u32>(), u32::MAX - 40..=u32::MAX],
        steps in prop::collection::vec(step(), 0..400),
    ) {
        agrees::<1>(order, start, &steps);
        agrees::<2>(order, start, &steps);
    }

    /// Whatever the other side writes as its count, our ends stay within the ring.
    #[test]
    fn wild_counts_are_no_counts(order in 0u32..5, wild in any::<u32>(), steps in 0u32..80) {
        let size = 1u32 << order;
        let memory = Heap::new(size as usize, 0);
        let mut producer = Producer::<_, 1>::new(memory.clone());
        let mut consumer = Consumer::<_, 1>::new(memory.clone());
        memory.consumer().store(wild, Ordering::Release);
        for _ in 0..steps {
            prop_assert!(producer.room(u32::MAX) <= size);
            prop_assert!(producer.waiting() <= size);
            producer.push([7]);
            producer.publish();
        }
        memory.producer().store(wild, Ordering::Release);
        let plausible = if wild <= size { wild } else { 0 };
        prop_assert_eq!(consumer.waiting(), plausible);
        for _ in 0..plausible {
            prop_assert!(consumer.pull().is_some());
        }
        prop_assert_eq!(consumer.pull(), None);
    }
}

#[test]
fn two_threads_see_every_entry_in_order() {
    const ENTRIES: u64 = 50_000;
    let memory = Heap::new(2 * 64, u32::MAX - 1000);
    let mut producer = Producer::<_, 2>::new(memory.clone());
    let mut consumer = Consumer::<_, 2>::new(memory);
    let writer = thread::spawn(move || {
        let mut next = 0;
        while next < ENTRIES {
            while next < ENTRIES && producer.push([next, !next]) {
                next += 1;
            }
            producer.publish();
            thread::yield_now();
        }
    });
    let mut expected = 0;
    while expected < ENTRIES {
        while let Some(entry) = consumer.pull() {
            assert_eq!(entry, [expected, !expected]);
            expected += 1;
        }
        consumer.release();
        thread::yield_now();
    }
    writer.join().expect("the writer ends");
}

#[test]
fn the_kernel_can_ask_to_be_woken() {
    let memory = Heap::new(2, 0);
    let producer = Producer::<_, 1>::new(memory.clone());
    assert!(!producer.needs_wakeup());
    memory.flags().store(NEED_WAKEUP, Ordering::Relaxed);
    assert!(producer.needs_wakeup());
}
