//! The sensor answers, through the component's imports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::declare::{Buffer, FlowBit, Scope};
use crate::granted::log::Level;
use crate::guest::bindings::weir::rules::{
    clock, host, log as sensor_log, random as sensor_random,
};
use crate::guest::scope as named;
use crate::packet::{Direction, Flow, Packet, Protocol, TcpFlags, Traffic};

pub(crate) fn packet() -> Packet {
    let packet = host::get_packet();
    Packet {
        time: Duration::from_nanos(packet.timestamp),
        number: (packet.number != 0).then_some(packet.number),
        source: address(&packet.source),
        destination: address(&packet.destination),
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        protocol: Protocol(packet.protocol),
        ttl: packet.ttl,
        length: packet.length,
        payload_length: packet.payload_length,
        tcp_flags: packet.tcp_flags.map(TcpFlags),
        icmp: packet.icmp,
        vlans: packet.vlans,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|four| Ipv4Addr::from(four).into()),
        _ => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|all| Ipv6Addr::from(all).into()),
    }
}

pub(crate) fn flow() -> Option<Flow> {
    let flow = host::get_flow()?;
    let traffic = |way: fn((u64, u64)) -> u64| Traffic {
        packets: way(flow.packets),
        bytes: way(flow.bytes),
    };
    Some(Flow {
        id: flow.id,
        direction: if flow.to_server {
            Direction::ToServer
        } else {
            Direction::ToClient
        },
        established: flow.established,
        start: Duration::from_nanos(flow.start),
        to_server: traffic(|both| both.0),
        to_client: traffic(|both| both.1),
        app_protocol: flow.app_protocol,
    })
}

pub(crate) fn buffer(buffer: Buffer, index: u32) -> Option<Vec<u8>> {
    host::buffer(buffer.index, index)
}

pub(crate) fn slice(buffer: Buffer, index: u32, offset: u32, length: u32) -> Option<Vec<u8>> {
    host::slice(buffer.index, index, offset, length)
}

pub(crate) fn length(buffer: Buffer, index: u32) -> Option<u32> {
    host::length(buffer.index, index)
}

pub(crate) fn stream_offset() -> Option<u64> {
    host::stream_offset()
}

pub(crate) fn flow_bit(bit: FlowBit) -> bool {
    host::flow_bit(bit.index)
}

pub(crate) fn get_state(scope: Scope) -> Option<Vec<u8>> {
    host::get_state(named(scope))
}

pub(crate) fn set_state(scope: Scope, value: &[u8]) -> bool {
    host::set_state(named(scope), value)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => sensor_log::Level::Debug,
        Level::Info => sensor_log::Level::Info,
        Level::Warn => sensor_log::Level::Warn,
    };
    sensor_log::write(level, message);
}

pub(crate) fn now() -> u64 {
    clock::now()
}

pub(crate) fn random() -> u64 {
    sensor_random::next()
}
