//! A test answers: what [`crate::testing::Sensor`] put here while it asks a module. Outside of that all is empty, as with
//! the sensor.

use std::cell::RefCell;

use crate::declare::{Buffer, FlowBit, Scope};
use crate::granted::log::Level;
use crate::packet::{Flow, Packet, Protocol};
use crate::testing::Stage;

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Asks with this stage, and hands it back as it was left.
pub(crate) fn on_stage<R>(stage: Stage, ask: impl FnOnce() -> R) -> (R, Option<Stage>) {
    STAGE.set(Some(stage));
    let result = ask();
    (result, STAGE.take())
}

fn with<R>(read: impl FnOnce(&mut Stage) -> R) -> Option<R> {
    STAGE.with_borrow_mut(|stage| stage.as_mut().map(read))
}

pub(crate) fn packet() -> Packet {
    with(|stage| stage.packet.clone()).unwrap_or(Packet {
        time: std::time::Duration::ZERO,
        number: None,
        source: None,
        destination: None,
        source_port: 0,
        destination_port: 0,
        protocol: Protocol(0),
        ttl: 0,
        length: 0,
        payload_length: 0,
        tcp_flags: None,
        icmp: None,
        vlans: Vec::new(),
    })
}

pub(crate) fn flow() -> Option<Flow> {
    with(|stage| stage.flow.clone()).flatten()
}

pub(crate) fn buffer(buffer: Buffer, index: u32) -> Option<Vec<u8>> {
    with(|stage| stage.buffer(buffer.name, index).map(<[u8]>::to_vec)).flatten()
}

pub(crate) fn slice(buffer: Buffer, index: u32, offset: u32, length: u32) -> Option<Vec<u8>> {
    let whole = self::buffer(buffer, index)?;
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let rest = whole.get(place(offset)..).unwrap_or_default();
    Some(rest.get(..place(length)).unwrap_or(rest).to_vec())
}

pub(crate) fn length(buffer: Buffer, index: u32) -> Option<u32> {
    let whole = self::buffer(buffer, index)?;
    u32::try_from(whole.len()).ok()
}

pub(crate) fn stream_offset() -> Option<u64> {
    with(|stage| stage.stream_offset).flatten()
}

pub(crate) fn flow_bit(bit: FlowBit) -> bool {
    with(|stage| stage.flow_bits.contains(bit.name)).unwrap_or(false)
}

pub(crate) fn get_state(scope: Scope) -> Option<Vec<u8>> {
    with(|stage| stage.get(scope)).flatten()
}

pub(crate) fn set_state(scope: Scope, value: &[u8]) -> bool {
    with(|stage| stage.set(scope, value)).unwrap_or(false)
}

pub(crate) fn log(level: Level, message: &str) {
    with(|stage| stage.logged.push((level, message.to_owned())));
}

pub(crate) fn now() -> u64 {
    with(|stage| u64::try_from(stage.packet.time.as_nanos()).unwrap_or(u64::MAX)).unwrap_or(0)
}

pub(crate) fn random() -> u64 {
    with(|stage| {
        // SplitMix64: the same numbers in every test.
        stage.random = stage.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = stage.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
    .unwrap_or(0)
}
