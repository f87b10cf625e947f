//! What a batch of buffers costs the host by the card and by software, as it was measured.

use std::time::Duration;

use serde::Serialize;

use crate::config::Policy;

/// What a batch before counts beside the next one.
const DECAY: f64 = 0.9;
/// Batches by one way after which the other one is tried once, so that what is known of it does not grow old.
const EXPLORE: u32 = 32;

/// Buffers that are decided on together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub buffers: u64,
    pub bytes: u64,
}

/// Cost as a sum of so much a buffer and so much a byte, fitted to batches, the latest ones first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    weight: f64,
    // Sums over batches: buffers², buffers·bytes, bytes², buffers·ns, bytes·ns.
    nn: f64,
    nb: f64,
    bb: f64,
    nt: f64,
    bt: f64,
}

impl Line {
    /// Adds a batch.
    pub fn add(&mut self, load: Load, took: Duration) {
        let (n, b, t) = (
            load.buffers as f64,
            load.bytes as f64,
            took.as_nanos() as f64,
        );
        let keep = |sum: &mut f64, new: f64| *sum = *sum * DECAY + new;
        keep(&mut self.weight, 1.0);
        keep(&mut self.nn, n * n);
        keep(&mut self.nb, n * b);
        keep(&mut self.bb, b * b);
        keep(&mut self.nt, n * t);
        keep(&mut self.bt, b * t);
    }

    /// Nanoseconds a buffer and a byte; neither is negative. Batches that are all alike do not tell one from the other: then it is all by the byte.
    pub fn rates(&self) -> Option<(f64, f64)> {
        if self.weight == 0.0 || self.bb == 0.0 {
            return None;
        }
        let determinant = self.nn * self.bb - self.nb * self.nb;
        if determinant > 1e-3 * self.nn * self.bb {
            let buffer = (self.nt * self.bb - self.bt * self.nb) / determinant;
            let byte = (self.bt * self.nn - self.nt * self.nb) / determinant;
            if buffer >= 0.0 && byte >= 0.0 {
                return Some((buffer, byte));
            }
        }
        Some((0.0, self.bt / self.bb))
    }

    /// Nanoseconds for so much.
    pub fn estimate(&self, load: Load) -> Option<f64> {
        let (buffer, byte) = self.rates()?;
        Some(buffer * load.buffers as f64 + byte * load.bytes as f64)
    }
}

/// Who looks through a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The card.
    #[default]
    Card,
    /// Software.
    Software,
}

/// A worker's choice, batch by batch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chooser {
    /// The host's work for the card: packing, copying, taking answers.
    pub host: Line,
    /// Time without anything to do but wait for the card.
    pub stall: Line,
    /// Software's work.
    pub software: Line,
    pub choice: Choice,
    /// Batches by the way chosen since the other one was measured.
    alike: u32,
    /// This batch is to measure, whatever it costs.
    trial: bool,
    last: Load,
    batches: [u64; 2],
}

impl Chooser {
    /// Chooses who looks through the next batch, which is taken to be like the last.
    pub fn choose(&mut self, policy: Policy, last: Load) {
        self.last = last;
        let better = match policy {
            Policy::Card => Choice::Card,
            Policy::Software => Choice::Software,
            Policy::Auto => self.cheaper(last),
        };
        self.trial = policy == Policy::Auto && better == self.choice && self.alike >= EXPLORE;
        let choice = match (self.trial, better) {
            (false, better) => better,
            (true, Choice::Card) => Choice::Software,
            (true, Choice::Software) => Choice::Card,
        };
        self.alike = if choice == self.choice {
            self.alike + 1
        } else {
            0
        };
        self.choice = choice;
        let at = usize::from(choice == Choice::Software);
        if let Some(batches) = self.batches.get_mut(at) {
            *batches += 1;
        }
    }

    /// Who costs less; the one that nothing is known of yet is measured first.
    fn cheaper(&self, load: Load) -> Choice {
        match (self.card(load), self.software.estimate(load)) {
            (None, _) => Choice::Card,
            (_, None) => Choice::Software,
            (Some(card), Some(software)) if card <= software => Choice::Card,
            _ => Choice::Software,
        }
    }

    fn card(&self, load: Load) -> Option<f64> {
        Some(self.host.estimate(load)? + self.stall.estimate(load).unwrap_or(0.0))
    }

    /// What was chosen, and from what.
    pub fn costs(&self) -> Costs {
        let rates = |line: &Line| line.rates().unwrap_or_default();
        let ((host_buffer, host_byte), (stall_buffer, stall_byte), (buffer, byte)) =
            (rates(&self.host), rates(&self.stall), rates(&self.software));
        Costs {
            choice: self.choice,
            trial: self.trial,
            batch_buffers: self.last.buffers,
            batch_bytes: self.last.bytes,
            card_estimate_ns: self.card(self.last),
            software_estimate_ns: self.software.estimate(self.last),
            card_host_ns_per_buffer: host_buffer,
            card_host_ns_per_byte: host_byte,
            card_wait_ns_per_buffer: stall_buffer,
            card_wait_ns_per_byte: stall_byte,
            software_ns_per_buffer: buffer,
            software_ns_per_byte: byte,
            card_batches: self.batches[0],
            software_batches: self.batches[1],
        }
    }
}

/// The latest choice of a worker, and what it was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Who looks through buffers now.
    pub choice: Choice,
    /// Only to measure it.
    pub trial: bool,
    /// Buffers of the last batch.
    pub batch_buffers: u64,
    /// Bytes of the last batch.
    pub batch_bytes: u64,
    /// What the card would take for such a batch, the host's work and waiting together, in nanoseconds.
    pub card_estimate_ns: Option<f64>,
    /// What software would take for such a batch, in nanoseconds.
    pub software_estimate_ns: Option<f64>,
    /// The host's work for the card: packing, copying, taking answers.
    pub card_host_ns_per_buffer: f64,
    /// The same by the byte.
    pub card_host_ns_per_byte: f64,
    /// Time without anything to do but wait for the card.
    pub card_wait_ns_per_buffer: f64,
    /// The same by the byte.
    pub card_wait_ns_per_byte: f64,
    /// Software's work.
    pub software_ns_per_buffer: f64,
    /// The same by the byte.
    pub software_ns_per_byte: f64,
    /// Batches that went to the card.
    pub card_batches: u64,
    /// Batches that went to software by choice.
    pub software_batches: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(buffers: u64, bytes: u64) -> Load {
        Load { buffers, bytes }
    }

    fn took(load: Load, buffer: u64, byte: u64) -> Duration {
        Duration::from_nanos(load.buffers * buffer + load.bytes * byte)
    }

    #[test]
    fn a_line_tells_buffers_from_bytes() {
        let mut line = Line::default();
        assert_eq!(line.estimate(load(1, 1)), None);
        for (buffers, bytes) in [(64, 4000), (50, 60_000), (64, 30_000), (10, 64_000)] {
            let load = load(buffers, bytes);
            line.add(load, took(load, 300, 2));
        }
        let estimate = line.estimate(load(100, 10_000)).expect("batches");
        assert!((estimate - 50_000.0).abs() < 1.0, "{estimate}");
    }

    #[test]
    fn batches_alike_are_no_reason_to_guess_wildly() {
        let mut line = Line::default();
        for _ in 0..10 {
            line.add(load(64, 32_000), Duration::from_nanos(64_000));
        }
        let estimate = line.estimate(load(64, 32_000)).expect("batches");
        assert!((estimate - 64_000.0).abs() < 1.0, "{estimate}");
    }

    #[test]
    fn the_cheaper_one_is_chosen_and_the_other_one_tried_now_and_then() {
        let some = load(64, 32_000);
        for (card, software, wanted) in [(1, 2, Choice::Card), (3, 2, Choice::Software)] {
            let mut chooser = Chooser::default();
            let mut chosen = Vec::new();
            for _ in 0..200 {
                chooser.choose(Policy::Auto, some);
                chosen.push(chooser.choice);
                match chooser.choice {
                    Choice::Card => {
                        chooser.host.add(some, took(some, 0, card));
                        chooser.stall.add(some, Duration::ZERO);
                    }
                    Choice::Software => chooser.software.add(some, took(some, 0, software)),
                }
            }
            let right = chosen.iter().filter(|&&choice| choice == wanted).count();
            assert!((180..200).contains(&right), "{right} of 200");
            // The waiting counts as well.
            chooser.stall.add(some, Duration::from_secs(1));
            chooser.choose(Policy::Auto, some);
            assert_eq!(chooser.cheaper(some), Choice::Software);
        }
    }

    #[test]
    fn a_pinned_choice_stays() {
        let some = load(64, 32_000);
        for (policy, wanted) in [
            (Policy::Card, Choice::Card),
            (Policy::Software, Choice::Software),
        ] {
            let mut chooser = Chooser::default();
            chooser.host.add(some, Duration::from_secs(1));
            chooser.software.add(some, Duration::from_secs(1));
            for _ in 0..100 {
                chooser.choose(policy, some);
                assert_eq!(chooser.choice, wanted);
            }
        }
    }
}
