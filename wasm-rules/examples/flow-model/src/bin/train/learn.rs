//! Learning: gradient descent with momentum on the log loss, in batches, from weights that a seed gives.

use flow_model::{FEATURES, Features, HIDDEN, Model};

use crate::data::{BEACON, Example, Random};

const EPOCHS: usize = 60;
const BATCH: usize = 64;
const RATE: f32 = 0.05;
const MOMENTUM: f32 = 0.9;

/// Learns a model.
pub fn learn(examples: &[Example]) -> Model {
    let mut random = Random::new(3);
    let (mean, deviation) = scale(examples);
    let mut weight = |inputs: usize| random.normal() as f32 / (inputs as f32).sqrt();
    let mut model = Model {
        mean,
        deviation,
        hidden: std::array::from_fn(|_| (std::array::from_fn(|_| weight(FEATURES)), 0.0)),
        answer: std::array::from_fn(|_| weight(HIDDEN)),
        bias: 0.0,
    };
    let mut pace = still();
    let mut order: Vec<usize> = (0..examples.len()).collect();
    for epoch in 0..EPOCHS {
        for at in (1..order.len()).rev() {
            order.swap(at, (random.bits() % (at as u64 + 1)) as usize);
        }
        let rate = RATE * (1.0 - epoch as f32 / EPOCHS as f32);
        for batch in order.chunks(BATCH) {
            let mut slope = still();
            for &at in batch {
                add_slope(&model, &examples[at], &mut slope);
            }
            step(&mut model, &mut pace, &slope, rate / batch.len() as f32);
        }
    }
    model
}

fn still() -> Model {
    Model {
        mean: [0.0; FEATURES],
        deviation: [1.0; FEATURES],
        hidden: [([0.0; FEATURES], 0.0); HIDDEN],
        answer: [0.0; HIDDEN],
        bias: 0.0,
    }
}

fn scale(examples: &[Example]) -> (Features, Features) {
    let count = examples.len() as f64;
    let sum = |of: &dyn Fn(&Example) -> f64| examples.iter().map(of).sum::<f64>() / count;
    let mean: [f64; FEATURES] = std::array::from_fn(|at| sum(&|one| one.features[at].into()));
    let deviation: [f64; FEATURES] = std::array::from_fn(|at| {
        sum(&|one| (f64::from(one.features[at]) - mean[at]).powi(2)).sqrt()
    });
    (
        mean.map(|value| value as f32),
        deviation.map(|value| value as f32),
    )
}

/// Adds the slope of the loss for one example.
fn add_slope(model: &Model, example: &Example, slope: &mut Model) {
    let wanted = if example.kind == BEACON { 1.0 } else { 0.0 };
    let scaled = model.scaled(&example.features);
    let units = model.units(&scaled);
    let off = model.probability(&example.features) - wanted;
    slope.bias += off;
    let unit_slopes = slope.answer.iter_mut().zip(&mut slope.hidden);
    let weights = units.iter().zip(&model.answer);
    for ((answer, (weights_in, bias)), (unit, weight)) in unit_slopes.zip(weights) {
        *answer += off * unit;
        let through = off * weight * (1.0 - unit * unit);
        *bias += through;
        for (slope, value) in weights_in.iter_mut().zip(&scaled) {
            *slope += through * value;
        }
    }
}

fn step(model: &mut Model, pace: &mut Model, slope: &Model, rate: f32) {
    let go = |weight: &mut f32, pace: &mut f32, slope: f32| {
        *pace = MOMENTUM * *pace - rate * slope;
        *weight += *pace;
    };
    go(&mut model.bias, &mut pace.bias, slope.bias);
    for unit in 0..HIDDEN {
        go(
            &mut model.answer[unit],
            &mut pace.answer[unit],
            slope.answer[unit],
        );
        go(
            &mut model.hidden[unit].1,
            &mut pace.hidden[unit].1,
            slope.hidden[unit].1,
        );
        for feature in 0..FEATURES {
            go(
                &mut model.hidden[unit].0[feature],
                &mut pace.hidden[unit].0[feature],
                slope.hidden[unit].0[feature],
            );
        }
    }
}

/// The weights as source.
pub fn source(model: &Model) -> String {
    let mut text = "//! Learned by `train learn`; see the README.\n\nuse crate::model::Model;\n\n/// The weights.\n#[rustfmt::skip]\n\
                    #[allow(clippy::excessive_precision, clippy::unreadable_literal)]\npub const LEARNED: Model = Model {\n"
        .to_owned();
    text += &format!(
        "    mean: {:?},\n    deviation: {:?},\n    hidden: [\n",
        model.mean, model.deviation
    );
    for unit in &model.hidden {
        text += &format!("        {unit:?},\n");
    }
    text += &format!(
        "    ],\n    answer: {:?},\n    bias: {:?},\n}};\n",
        model.answer, model.bias
    );
    text
}
