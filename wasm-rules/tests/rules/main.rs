//! Rules from their text to their plans.

mod compile;
mod hostile;
mod rule_sets;
mod support;
mod suricata;
