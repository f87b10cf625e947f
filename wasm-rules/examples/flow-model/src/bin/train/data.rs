//! Connections of several kinds, made up.

use std::time::Duration;

use flow_model::{Features, Shape};

/// Kinds of connections; the last is what is looked for.
pub const KINDS: [&str; 6] = ["browsing", "video", "push", "chat", "telemetry", "beacon"];
/// Its place.
pub const BEACON: usize = 5;

/// Exchanges of a connection: one more than the model is asked at for the first time.
pub const EXCHANGES: usize = 13;

/// An exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    /// Seconds since the one before.
    pub pause: f64,
    /// Bytes to the server.
    pub up: u32,
    /// Bytes to the client.
    pub down: u32,
}

/// A connection's features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    /// A place in [`KINDS`].
    pub kind: usize,
    /// What there is to say of it.
    pub features: Features,
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly between two.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// Normal, of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal, by its median and the deviation of its logarithm.
    fn log_normal(&mut self, median: f64, deviation: f64) -> f64 {
        median * (deviation * self.normal()).exp()
    }

    /// A value, more or less by so large a share.
    fn about(&mut self, value: f64, share: f64) -> f64 {
        value * (1.0 + share * self.between(-1.0, 1.0))
    }
}

/// The exchanges of a connection of this kind.
pub fn exchanges(kind: usize, random: &mut Random) -> Vec<Exchange> {
    // What all exchanges of the connection have in common.
    let (pause, up, down, jitter) = match kind {
        0 => (
            random.log_normal(8.0, 0.7),
            random.log_normal(600.0, 0.4),
            random.log_normal(2e4, 0.8),
            1.0,
        ),
        1 => (
            random.between(2.0, 10.0),
            random.between(300.0, 600.0),
            random.log_normal(4e5, 0.7),
            0.08,
        ),
        2 => (
            random.between(20.0, 300.0),
            random.between(25.0, 70.0),
            random.between(25.0, 70.0),
            0.01,
        ),
        3 => (
            random.log_normal(15.0, 0.6),
            random.between(80.0, 400.0),
            random.between(80.0, 400.0),
            0.9,
        ),
        4 => (
            random.between(10.0, 90.0),
            random.log_normal(1500.0, 0.4),
            random.between(60.0, 250.0),
            0.1,
        ),
        _ => (
            random.between(5.0, 120.0),
            random.between(150.0, 500.0),
            random.between(100.0, 450.0),
            0.0,
        ),
    };
    let jitter = if kind == BEACON {
        random.between(0.0, 0.4)
    } else {
        jitter
    };
    let mut all = Vec::new();
    for _ in 0..EXCHANGES {
        let rare = random.unit() < 0.05;
        let (pause, up, down) = match kind {
            0 => (
                random.log_normal(pause, jitter),
                random.log_normal(up, 0.6),
                random.log_normal(down, 1.2),
            ),
            1 => (
                random.about(pause, jitter),
                random.about(up, 0.1),
                random.about(down, 0.35),
            ),
            // Once in a while there is something to push.
            2 if rare => (
                random.between(1.5, pause),
                up,
                random.between(300.0, 4000.0),
            ),
            2 => (random.about(pause, jitter), up, down),
            3 => (
                -(1.0 - random.unit()).ln() * pause,
                random.log_normal(up, 0.7),
                random.log_normal(down, 0.7),
            ),
            4 => (
                random.about(pause, jitter),
                random.log_normal(up, 0.35),
                random.about(down, 0.05),
            ),
            // Once in a while there is work to do.
            _ if rare => (
                random.about(pause, jitter),
                random.log_normal(4000.0, 0.8),
                random.log_normal(1200.0, 0.6),
            ),
            _ => (
                random.about(pause, jitter),
                random.about(up, 0.03),
                random.about(down, 0.05),
            ),
        };
        all.push(Exchange {
            // What is closer together is one exchange.
            pause: pause.max(1.3),
            up: up as u32 + 1,
            down: down as u32 + 1,
        });
    }
    all
}

/// So many connections of each kind.
pub fn examples(seed: u64, of_each: usize) -> Vec<Example> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for _ in 0..of_each {
        for kind in 0..KINDS.len() {
            let mut shape = Shape::default();
            let mut time = 0.0;
            for exchange in exchanges(kind, &mut random) {
                time += exchange.pause;
                let at = |after: f64| Duration::from_secs_f64(time + after);
                let said = shape.packet(at(0.0), true, exchange.up);
                all.extend(said.map(|features| Example { kind, features }));
                shape.packet(at(0.05), false, exchange.down);
            }
        }
    }
    all
}
