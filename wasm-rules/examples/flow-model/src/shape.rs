//! The shape of a connection: exchanges, and what there is to say about them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Figures that the model takes.
pub const FEATURES: usize = 6;

/// How regular, how far apart (seconds, logarithm), how much up and down an exchange (bytes, logarithms), and how much
/// these vary: in this order the variation of pauses, of bytes up, of bytes down, then the logarithms.
pub type Features = [f32; FEATURES];

/// The most that a shape is when it is kept, in bytes.
pub const KEPT: u32 = 80;

/// A client that was silent for so long begins another exchange.
const SILENCE: Duration = Duration::from_secs(1);
/// Exchanges at which the model is asked for the first time; then at twice as many, and so on.
const FIRST: u16 = 12;

/// Mean and variance of what comes one by one (Welford).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spread {
    count: u16,
    mean: f32,
    squares: f32,
}

impl Spread {
    fn add(&mut self, value: f32) {
        let Some(count) = self.count.checked_add(1) else {
            return;
        };
        self.count = count;
        let off = value - self.mean;
        self.mean += off / f32::from(count);
        self.squares += off * (value - self.mean);
    }

    /// Standard deviation as a share of the mean.
    fn variation(&self) -> f32 {
        if self.count < 2 || self.mean <= 0.0 {
            return 0.0;
        }
        (self.squares.max(0.0) / f32::from(self.count - 1)).sqrt() / self.mean
    }
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// When the last packet came, and when this exchange began; none before the first.
    times: Option<(Duration, Duration)>,
    /// Bytes of this exchange, up and down.
    bytes: (u32, u32),
    pauses: Spread,
    up: Spread,
    down: Spread,
    told: bool,
}

impl Shape {
    /// Takes a packet with payload. At the twelfth exchange, the twenty-fourth and so on: what there is to say.
    pub fn packet(&mut self, time: Duration, up: bool, payload: u32) -> Option<Features> {
        let mut said = None;
        let begins = match self.times {
            None => true,
            Some((last, began)) => {
                let ends = up && time.saturating_sub(last) >= SILENCE;
                if ends {
                    self.pauses.add(time.saturating_sub(began).as_secs_f32());
                    self.up.add(self.bytes.0 as f32);
                    self.down.add(self.bytes.1 as f32);
                    let count = self.pauses.count;
                    if count.is_multiple_of(FIRST) && (count / FIRST).is_power_of_two() {
                        said = Some(self.features());
                    }
                }
                ends
            }
        };
        let began = match self.times {
            Some((_, began)) if !begins => began,
            _ => time,
        };
        if begins {
            self.bytes = (0, 0);
        }
        self.times = Some((time, began));
        let way = if up {
            &mut self.bytes.0
        } else {
            &mut self.bytes.1
        };
        *way = way.saturating_add(payload);
        said
    }

    /// It has been told.
    pub fn told(&self) -> bool {
        self.told
    }

    /// From now on it has been told; true.
    pub fn tell(&mut self) -> bool {
        self.told = true;
        true
    }

    fn features(&self) -> Features {
        let logarithm = |value: f32| (1.0 + value).ln();
        [
            self.pauses.variation(),
            self.up.variation(),
            self.down.variation(),
            logarithm(self.pauses.mean),
            logarithm(self.up.mean),
            logarithm(self.down.mean),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_are_told_apart_by_silence() {
        let mut shape = Shape::default();
        let mut said = Vec::new();
        for at in 0..25_u64 {
            let time = Duration::from_secs(10 * at);
            said.extend(shape.packet(time, true, 100));
            said.extend(shape.packet(time + Duration::from_millis(50), false, 1000));
            said.extend(shape.packet(time + Duration::from_millis(90), true, 20));
            said.extend(shape.packet(time + Duration::from_millis(1200), false, 500));
        }
        assert_eq!(said.len(), 2, "at 12 and at 24 exchanges");
        let [pauses, up, down, pause, bytes_up, bytes_down] = said[0];
        assert_eq!((pauses, up, down), (0.0, 0.0, 0.0));
        assert_eq!(
            (pause, bytes_up, bytes_down),
            (11_f32.ln(), 121_f32.ln(), 1501_f32.ln())
        );
    }

    #[test]
    fn a_spread_is_that_of_the_values() {
        let mut spread = Spread::default();
        for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            spread.add(value);
        }
        assert_eq!(spread.mean, 5.0);
        assert!((spread.variation() - (32.0_f32 / 7.0).sqrt() / 5.0).abs() < 1e-6);
        spread.count = u16::MAX;
        spread.add(1e9);
        assert_eq!(spread.mean, 5.0);
    }
}
