//! What the functions of the world do.

use std::hash::BuildHasher;
use std::sync::Arc;

use weir_engine::packet::Net;

use super::data::Data;
use super::world::scope;
use crate::modules::bindings::{self, clock, host, log, random};
use crate::modules::policy::Grant;
use crate::modules::view::View;

/// Most bytes of a line of the log.
const LINE: usize = 1024;
fn packet(view: &View<'_>) -> host::Packet {
    let packet = view.subject.packet;
    let address = |address: std::net::IpAddr| match (packet.net, address) {
        (Net::V4 { .. } | Net::V6 { .. }, std::net::IpAddr::V4(address)) => {
            address.octets().to_vec()
        }
        (Net::V4 { .. } | Net::V6 { .. }, std::net::IpAddr::V6(address)) => {
            address.octets().to_vec()
        }
        _ => Vec::new(),
    };
    let vlans = packet.vlan.iter().take(packet.vlan_layers.into());
    host::Packet {
        timestamp: packet.ts_ns,
        number: packet.number,
        source: address(packet.src),
        destination: address(packet.dst),
        source_port: packet.sport,
        destination_port: packet.dport,
        protocol: packet.proto,
        ttl: packet.ttl().unwrap_or(0),
        length: packet.wire_len,
        payload_length: u32::try_from(packet.payload.len()).unwrap_or(u32::MAX),
        tcp_flags: packet.tcp_flags(),
        icmp: packet.icmp_type().zip(packet.icmp_code()),
        vlans: vlans.copied().collect(),
    }
}

/// The flow, with the packet's direction.
fn flow(view: &View<'_>) -> Option<host::Flow> {
    let flow = view.flow?;
    let app = &view.subject.app;
    let proto = match app.transaction {
        Some(_) => flow.app.proto,
        None => flow.app.seen(),
    };
    Some(host::Flow {
        id: flow.id,
        to_server: app.way == 0,
        established: flow.established(),
        start: flow.start_ns,
        packets: (flow.packets[0], flow.packets[1]),
        bytes: (flow.bytes[0], flow.bytes[1]),
        app_protocol: proto.map(|proto| proto.name().to_owned()),
    })
}

impl bindings::declaration::Host for Data {}

impl host::Host for Data {
    fn get_packet(&mut self) -> wasmtime::Result<host::Packet> {
        self.called()?;
        Ok(self.view(packet).unwrap_or(host::Packet {
            timestamp: 0,
            number: 0,
            source: Vec::new(),
            destination: Vec::new(),
            source_port: 0,
            destination_port: 0,
            protocol: 0,
            ttl: 0,
            length: 0,
            payload_length: 0,
            tcp_flags: None,
            icmp: None,
            vlans: Vec::new(),
        }))
    }

    fn get_flow(&mut self) -> wasmtime::Result<Option<host::Flow>> {
        self.called()?;
        Ok(self.view(flow).flatten())
    }

    fn buffer(&mut self, buffer: u32, index: u32) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        self.part(buffer, index, 0, usize::MAX)
    }

    fn slice(
        &mut self,
        buffer: u32,
        index: u32,
        offset: u32,
        length: u32,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        self.part(buffer, index, offset as usize, length as usize)
    }

    fn length(&mut self, buffer: u32, index: u32) -> wasmtime::Result<Option<u32>> {
        self.called()?;
        Ok(self.bytes(buffer, index, |bytes| {
            u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        }))
    }

    fn stream_offset(&mut self) -> wasmtime::Result<Option<u64>> {
        self.called()?;
        Ok(self.view(|view| view.subject.stream_offset).flatten())
    }

    fn flow_bit(&mut self, bit: u32) -> wasmtime::Result<bool> {
        self.called()?;
        let bit = self.facts.flow_bits.get(bit as usize).copied().flatten();
        let Some(bit) = bit else {
            return Ok(false);
        };
        let set = self.view(|view| view.flow.is_some_and(|flow| flow.vars.bit(bit)));
        Ok(set.unwrap_or(false))
    }

    fn get_state(&mut self, of: host::Scope) -> wasmtime::Result<Option<Vec<u8>>> {
        self.called()?;
        let scope = scope(of);
        let Some(table) = self.facts.tables.of(scope).map(Arc::clone) else {
            return Ok(None);
        };
        let found = self.key(scope).and_then(|(key, now)| table.get(&key, now));
        self.gives(found.as_ref().map_or(0, Vec::len))?;
        Ok(found)
    }

    fn set_state(&mut self, of: host::Scope, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.called()?;
        let scope = scope(of);
        let Some(table) = self.facts.tables.of(scope).map(Arc::clone) else {
            return Ok(false);
        };
        let done = self
            .key(scope)
            .map(|(key, now)| table.set(&key, value, now));
        Ok(done.unwrap_or(false))
    }
}

impl log::Host for Data {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.called()?;
        self.granted(Grant::Log)?;
        if !self.log.one_more() {
            self.used.log_dropped += 1;
            return Ok(());
        }
        let end = message.floor_char_boundary(LINE);
        // Nothing of it is to steer a terminal or to look like another line.
        let line = message.get(..end).unwrap_or_default();
        let line: String = (line.chars())
            .map(|letter| if letter.is_control() { '.' } else { letter })
            .collect();
        let module = &*self.facts.name;
        match level {
            log::Level::Debug => tracing::debug!("module {module}: {line}"),
            log::Level::Info => tracing::info!("module {module}: {line}"),
            log::Level::Warn => tracing::warn!("module {module}: {line}"),
        }
        Ok(())
    }
}

impl clock::Host for Data {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        self.granted(Grant::Clock)?;
        Ok(u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl random::Host for Data {
    fn next(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        self.granted(Grant::Random)?;
        self.random.1 = self.random.1.wrapping_add(1);
        Ok(self.random.0.hash_one(self.random.1))
    }
}
