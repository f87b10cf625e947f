//! Saved states as inputs: `length of the body (2 bytes, big endian)  body  traffic`, the traffic as
//! [`crate::Traffic`] has it.

use std::io::Cursor;

use weir_engine::detect::{Alerts, Engine, EngineConfig};
use weir_engine::flow::{ElephantConfig, FlowConfig};
use weir_engine::handover::{self, Block};

/// Bytes before the body in a file.
pub const HEAD: usize = 40;

/// The body of a state, and traffic to come after it; `None` when the input is too short.
pub fn split(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// The input of a body and traffic; `None` when the body is too long.
pub fn join(body: &[u8], traffic: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(body.len()).ok()?;
    Some([&length.to_be_bytes(), body, traffic].concat())
}

/// Small tables, so that they fill up.
pub fn config() -> EngineConfig {
    EngineConfig {
        flow: FlowConfig {
            max_flows: 16,
            elephant: Some(ElephantConfig {
                bytes: 200,
                seconds: 3,
            }),
            ..FlowConfig::default()
        },
        handover: true,
        tagged_packets: true,
        ..EngineConfig::default()
    }
}

/// A state as a file.
pub fn save(engine: &Engine, alerts: &Alerts) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let engines = std::slice::from_ref(engine);
    handover::save(engines, alerts, Some(Block::default()), &mut file).expect("a Vec takes it");
    file.into_inner()
}
