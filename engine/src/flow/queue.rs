//! Flows in the order of their last use, by class, so that those whose time is up and those that can best be done without
//! are found without looking at the others.
//!
//! A class is a ring of buckets, each for a span of time; a flow lies in the bucket of when it was last used, or rather
//! of when that was last looked at: a packet moves nothing, because lists would have to be mended in places that are in no
//! cache. When the time of a bucket is up, flows that were used since go to where they belong, and the others end. So a
//! flow is moved once in its timeout at most, and what ends is found up to a bucket's span late.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// Buckets of a ring.
const BUCKETS: u64 = 1024;
/// Buckets that are left for times yet to come.
const AHEAD: u64 = 64;
/// The shortest span of a bucket, as a power of two in nanoseconds: 1.07 s.
const MIN_SHIFT: u32 = 30;

/// Bytes of a class's ring.
pub(super) const RING_BYTES: usize = size_of::<Ring>() + BUCKETS as usize * size_of::<Bucket>();
/// Bytes that each flow takes here.
pub(super) const LINK_BYTES: usize = size_of::<Link>();

/// Slots in the order in which they came, linked.
#[derive(Clone, Copy)]
struct Bucket {
    oldest: u32,
    newest: u32,
}

/// Where a slot lies.
#[derive(Clone, Copy)]
struct Link {
    /// When its flow was last used, as far as was looked at.
    used_ns: u64,
    older: u32,
    newer: u32,
    bucket: u16,
}

/// The flows of one class.
struct Ring {
    buckets: Box<[Bucket]>,
    /// A bit for each bucket that is not empty.
    filled: [u64; BUCKETS as usize / 64],
    /// The span of time, counted from the epoch, that the oldest bucket stands for; no flow lies before it.
    first: u64,
    length: usize,
}

/// The queues of all classes.
pub(super) struct Queues {
    rings: Vec<Ring>,
    /// By slot.
    links: Vec<Link>,
    shift: u32,
}

impl Queues {
    /// For so many classes and slots, where nothing is kept longer than `longest_ns`.
    pub fn new(classes: usize, slots: usize, longest_ns: u64) -> Self {
        let ring = || Ring {
            buckets: vec![
                Bucket {
                    oldest: NONE,
                    newest: NONE
                };
                BUCKETS as usize
            ]
            .into(),
            filled: [0; BUCKETS as usize / 64],
            first: 0,
            length: 0,
        };
        let fits = |shift: &u32| longest_ns >> shift < BUCKETS - AHEAD - 1;
        Self {
            rings: (0..classes).map(|_| ring()).collect(),
            links: Vec::with_capacity(slots),
            shift: (MIN_SHIFT..64).find(fits).unwrap_or(63),
        }
    }

    /// The time that a class begins at: no flow lies before it.
    pub fn begins(&self, class: usize) -> u64 {
        self.rings[class].first << self.shift
    }

    /// Lets a class that is empty begin at a time, for [`Queues::place`].
    pub fn begin_at(&mut self, class: usize, from_ns: u64) {
        let ring = &mut self.rings[class];
        if ring.length == 0 {
            ring.first = from_ns >> self.shift;
        }
    }

    /// When a slot's flow was used, as far as was looked at.
    pub fn used(&self, slot: u32) -> u64 {
        self.links[slot as usize].used_ns
    }

    /// How many flows are in a class.
    pub fn length(&self, class: usize) -> usize {
        self.rings[class].length
    }

    /// Adds a slot, the next one that was never used or one that is in no queue, as the latest of its bucket.
    pub fn push(&mut self, slot: u32, class: usize, used_ns: u64) {
        let ring = &mut self.rings[class];
        if ring.length == 0 {
            // Leaves room behind and ahead.
            ring.first = (used_ns >> self.shift).saturating_sub(BUCKETS - AHEAD);
        }
        self.place(slot, class, used_ns);
    }

    /// The same, where the class begins as it does.
    pub fn place(&mut self, slot: u32, class: usize, used_ns: u64) {
        let ring = &mut self.rings[class];
        // A time that the ring does not reach goes to its nearer end; from there it moves on.
        let (first, last) = (ring.first, ring.first.saturating_add(BUCKETS - 1));
        let at = ((used_ns >> self.shift).clamp(first, last) % BUCKETS) as usize;
        ring.length += 1;
        ring.filled[at / 64] |= 1 << (at % 64);
        let bucket = &mut ring.buckets[at];
        let older = std::mem::replace(&mut bucket.newest, slot);
        if older == NONE {
            bucket.oldest = slot;
        } else {
            self.links[older as usize].newer = slot;
        }
        let link = Link {
            used_ns,
            older,
            newer: NONE,
            bucket: at as u16,
        };
        match self.links.get_mut(slot as usize) {
            Some(place) => *place = link,
            None => self.links.push(link),
        }
    }

    /// Takes a slot out of its class.
    pub fn remove(&mut self, slot: u32, class: usize) {
        let Link {
            older,
            newer,
            bucket: at,
            ..
        } = self.links[slot as usize];
        let ring = &mut self.rings[class];
        let at = usize::from(at);
        let bucket = &mut ring.buckets[at];
        match older {
            NONE => bucket.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NONE => bucket.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        if bucket.oldest == NONE {
            ring.filled[at / 64] &= !(1 << (at % 64));
        }
        ring.length -= 1;
    }

    /// The slot at the head of a class, and when its flow was used, as far as was looked at.
    pub fn oldest(&self, class: usize) -> Option<(u32, u64)> {
        let slot = self.rings[class].oldest(BUCKETS)?;
        Some((slot, self.links[slot as usize].used_ns))
    }

    /// A slot of a bucket that holds nothing used at or after `before_ns`, as far as was looked at. What is handed out is
    /// to be removed or pushed anew before the next call.
    pub fn due(&mut self, class: usize, before_ns: u64) -> Option<u32> {
        let before = before_ns >> self.shift;
        let Ring { length, first, .. } = self.rings[class];
        if length == 0 || before <= first {
            return None;
        }
        if before - first > BUCKETS - AHEAD {
            // So that what is pushed anew finds a bucket that is not due.
            self.begin(class, before - 1, u64::MAX);
        }
        let ring = &mut self.rings[class];
        let slot = ring.oldest(before - ring.first);
        if slot.is_none() {
            ring.first = before;
        }
        slot
    }

    /// True where what was used at `used_ns` lies in a bucket that [`Queues::due`] looks into.
    pub fn is_due(&self, used_ns: u64, before_ns: u64) -> bool {
        used_ns >> self.shift < before_ns >> self.shift
    }

    /// All slots of a class, oldest first as far as was looked at.
    pub fn members(&self, class: usize) -> impl Iterator<Item = u32> {
        let ring = &self.rings[class];
        let some = |slot: u32| Some(slot).filter(|&slot| slot != NONE);
        (ring.first..=ring.first.saturating_add(BUCKETS - 1)).flat_map(move |span| {
            let first = some(ring.buckets[(span % BUCKETS) as usize].oldest);
            std::iter::successors(first, move |&slot| some(self.links[slot as usize].newer))
        })
    }

    /// The clock went back to `now_ns`: lets a class begin with what was used at `from_ns`, if that is earlier than before,
    /// and looks at what was used after `now_ns` as if that were now.
    pub fn rewind(&mut self, class: usize, from_ns: u64, now_ns: u64) {
        let from = from_ns >> self.shift;
        if from < self.rings[class].first {
            self.begin(class, from, now_ns);
        }
    }

    /// Lets a class begin with this span, and sorts its slots anew. Called when the clock leaps, and then only: it goes
    /// through all slots of the class.
    fn begin(&mut self, class: usize, first: u64, now_ns: u64) {
        let slots: Vec<u32> = self.members(class).collect();
        for &slot in &slots {
            self.remove(slot, class);
        }
        self.rings[class].first = first;
        for slot in slots {
            self.place(slot, class, self.links[slot as usize].used_ns.min(now_ns));
        }
    }
}

impl Ring {
    /// The oldest slot of the first `count` buckets.
    fn oldest(&self, count: u64) -> Option<u32> {
        if self.length == 0 {
            return None;
        }
        let start = (self.first % BUCKETS) as usize;
        let words = self.filled.len();
        // The first word is looked at twice: from `start` on, and in the end up to it.
        for step in 0..=words {
            let index = (start / 64 + step) % words;
            let from = start % 64;
            let mask = match step {
                0 => u64::MAX << from,
                last if last == words => !(u64::MAX << from),
                _ => u64::MAX,
            };
            let bits = self.filled[index] & mask;
            if bits != 0 {
                let at = index * 64 + bits.trailing_zeros() as usize;
                let distance = (at as u64 + BUCKETS - start as u64) % BUCKETS;
                return (distance < count).then(|| self.buckets[at].oldest);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: u64 = 1 << MIN_SHIFT;

    fn due(queues: &mut Queues, before_ns: u64) -> Vec<u32> {
        std::iter::from_fn(|| {
            let slot = queues.due(0, before_ns)?;
            queues.remove(slot, 0);
            Some(slot)
        })
        .collect()
    }

    #[test]
    fn slots_come_out_by_span_and_within_it_as_they_came() {
        let mut queues = Queues::new(2, 8, 600_000_000_000);
        for (slot, span) in [(0, 50), (1, 40), (2, 50), (3, 45)] {
            queues.push(slot, 0, span * SPAN + 3);
        }
        queues.push(4, 1, 0);
        assert_eq!((queues.length(0), queues.length(1)), (4, 1));
        assert_eq!(queues.oldest(0), Some((1, 40 * SPAN + 3)));
        // A bucket is due when all of its span is.
        assert_eq!(due(&mut queues, 41 * SPAN - 1), [0; 0]);
        assert_eq!(due(&mut queues, 41 * SPAN), [1]);
        assert_eq!(due(&mut queues, 50 * SPAN + 9), [3]);
        assert_eq!(due(&mut queues, 9_000 * SPAN), [0, 2]);
        assert_eq!(queues.oldest(0), None);
        assert_eq!(queues.length(1), 1);
    }

    #[test]
    fn what_is_removed_from_anywhere_is_gone() {
        for gone in 0..3 {
            let mut queues = Queues::new(1, 8, 1);
            (0..3).for_each(|slot| queues.push(slot, 0, SPAN));
            queues.remove(gone, 0);
            let rest: Vec<u32> = (0..3).filter(|&slot| slot != gone).collect();
            assert_eq!(due(&mut queues, 3 * SPAN), rest);
        }
    }

    #[test]
    fn times_that_a_ring_does_not_reach_are_found_at_its_ends() {
        let mut queues = Queues::new(1, 8, 1);
        queues.push(0, 0, 5_000 * SPAN);
        queues.push(1, 0, 0);
        queues.push(2, 0, u64::MAX);
        assert_eq!(queues.oldest(0), Some((1, 0)));
        let first = 5_000 - (BUCKETS - AHEAD);
        assert_eq!(due(&mut queues, (first + 1) * SPAN), [1]);
        assert_eq!(due(&mut queues, 5_001 * SPAN), [0]);
        assert_eq!(due(&mut queues, (first + BUCKETS) * SPAN), [2]);
    }

    #[test]
    fn a_ring_that_is_rewound_has_all_in_their_places_or_before() {
        let mut queues = Queues::new(1, 8, 1);
        queues.push(0, 0, 5_000 * SPAN);
        assert_eq!(due(&mut queues, 4_990 * SPAN), [0; 0]);
        queues.push(1, 0, 4_000 * SPAN);
        queues.push(2, 0, 4_001 * SPAN);
        queues.rewind(0, 3_990 * SPAN, 4_005 * SPAN);
        assert_eq!(due(&mut queues, 4_001 * SPAN), [1]);
        assert_eq!(due(&mut queues, 4_002 * SPAN), [2]);
        assert_eq!(due(&mut queues, 4_005 * SPAN), [0; 0]);
        assert_eq!(due(&mut queues, 4_006 * SPAN), [0]);
    }

    #[test]
    fn spans_grow_with_the_longest_timeout() {
        for (seconds, shift) in [(600, 30), (1_000, 30), (2_000, 31), (86_400, 37)] {
            let queues = Queues::new(1, 1, seconds * 1_000_000_000);
            assert_eq!(queues.shift, shift, "{seconds}");
        }
        assert!(Queues::new(1, 1, u64::MAX).shift < 64);
    }
}
