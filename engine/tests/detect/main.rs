//! Detection, from frames to matches, with backends that are far away or do not do as they should.

mod ahead;
#[path = "../packet/build.rs"]
#[expect(dead_code, reason = "most of it is for the decoder's tests")]
mod build;
mod evasion;
mod fallback;
mod faulty;
mod held;
mod inline;
mod interfaces;
mod receiver;
#[path = "../eval/support.rs"]
#[expect(dead_code, reason = "most of it is for the evaluator's tests")]
mod rules;
mod talk;
