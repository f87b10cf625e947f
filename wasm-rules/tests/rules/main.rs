//! Rules from their text to their plans.

mod app;
mod buffers;
mod compile;
mod hostile;
mod rule_sets;
mod state;
mod support;
mod suricata;
