//! The network.

use crate::shape::{FEATURES, Features};

/// Hidden units.
pub const HIDDEN: usize = 8;

/// A network with one hidden layer, over features that are first brought to mean 0 and deviation 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Means of the features.
    pub mean: Features,
    /// Their deviations.
    pub deviation: Features,
    /// Weights and bias of each hidden unit.
    pub hidden: [(Features, f32); HIDDEN],
    /// Weights of the answer.
    pub answer: [f32; HIDDEN],
    /// Its bias.
    pub bias: f32,
}

impl Model {
    /// How sure the model is that these are features of a beacon, 0 to 1.
    pub fn probability(&self, features: &Features) -> f32 {
        let scaled = self.scaled(features);
        let sum: f32 = self
            .units(&scaled)
            .iter()
            .zip(&self.answer)
            .map(|(unit, weight)| unit * weight)
            .sum();
        1.0 / (1.0 + (-(sum + self.bias)).exp())
    }

    /// Features as the hidden units take them.
    pub fn scaled(&self, features: &Features) -> Features {
        let mut scaled = [0.0; FEATURES];
        for (to, ((value, mean), deviation)) in scaled
            .iter_mut()
            .zip(features.iter().zip(&self.mean).zip(&self.deviation))
        {
            *to = (value - mean) / deviation;
        }
        scaled
    }

    /// What the hidden units say.
    pub fn units(&self, scaled: &Features) -> [f32; HIDDEN] {
        self.hidden.map(|(weights, bias)| {
            let sum: f32 = weights
                .iter()
                .zip(scaled)
                .map(|(weight, value)| weight * value)
                .sum();
            (sum + bias).tanh()
        })
    }
}
