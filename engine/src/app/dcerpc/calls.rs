//! Calls of a connection: each is a transaction.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::pdu::{Header, Interfaces, kind, kind_name, uuid_text};
use crate::app::{AppBuffer, AppField, Output, TxId, Way, level};

/// Most calls that wait for their end, and most bytes of their data; the oldest gives way.
const MOST_CALLS: usize = 256;
const MOST_BYTES: usize = 4 << 20;

/// Most bytes of a call's data in one direction; further ones are dropped, and counted.
const MOST_OF_CALL: usize = 1 << 20;

/// A call.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub tx: TxId,
    /// Its number; over UDP also who asks.
    pub call: u32,
    pub activity: [u8; 16],
    pub minor: u8,
    pub context: u16,
    pub opnum: u16,
    /// Types of what was seen.
    pub kinds: [Option<u8>; 2],
    pub stubs: [Vec<u8>; 2],
    /// Bytes of data, which stays known after it has been given away.
    pub sizes: [usize; 2],
    pub fragments: [u32; 2],
    pub done: [bool; 2],
}

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: VecDeque<Call>,
    bytes: usize,
}

impl Calls {
    /// Begins a call.
    pub fn begin(
        &mut self,
        mut call: Call,
        little: bool,
        udp: bool,
        interfaces: &Interfaces,
        out: &mut Output,
    ) -> usize {
        self.tidy(out);
        let over = |calls: &Self| calls.all.len() >= MOST_CALLS || calls.bytes >= MOST_BYTES;
        while over(self) && !self.all.is_empty() {
            for way in Way::ALL {
                self.finish(0, way, udp, interfaces, out);
            }
            self.all.pop_front();
        }
        call.tx = out.begin();
        for way in Way::ALL {
            out.number(call.tx, way, AppField::DceLittleEndian, u64::from(little));
        }
        self.all.push_back(call);
        self.all.len() - 1
    }

    /// Forgets what nobody looks at any more.
    fn tidy(&mut self, out: &Output) {
        let gone = |call: &Call| call.done == [true; 2] && out.get(call.tx).is_none();
        while self.all.front().is_some_and(gone) {
            self.all.pop_front();
        }
    }

    pub fn get(&mut self, at: usize) -> Option<&mut Call> {
        self.all.get_mut(at)
    }

    /// The last call for which this is true.
    pub fn find(&self, is_it: impl Fn(&Call) -> bool) -> Option<usize> {
        self.all.iter().rposition(is_it)
    }

    pub fn of(&self, tx: TxId) -> Option<&Call> {
        self.all.iter().find(|call| call.tx == tx)
    }

    /// Adds data of a call, as far as there is room.
    pub fn add(&mut self, at: usize, way: Way, data: &[u8], out: &mut Output) {
        let Some(call) = self.all.get_mut(at) else {
            return;
        };
        let stub = &mut call.stubs[way as usize];
        let room = MOST_OF_CALL
            .saturating_sub(stub.len())
            .min(MOST_BYTES.saturating_sub(self.bytes))
            .min(data.len());
        stub.extend_from_slice(data.get(..room).unwrap_or_default());
        out.dropped += u64::from(data.len() > room);
        self.bytes += room;
        call.sizes[way as usize] += data.len();
        call.fragments[way as usize] += 1;
    }

    /// A direction of a call is over.
    pub fn finish(
        &mut self,
        at: usize,
        way: Way,
        udp: bool,
        interfaces: &Interfaces,
        out: &mut Output,
    ) {
        let Some(call) = self.all.get_mut(at) else {
            return;
        };
        if std::mem::replace(&mut call.done[way as usize], true) {
            return;
        }
        let stub = std::mem::take(&mut call.stubs[way as usize]);
        self.bytes = self.bytes.saturating_sub(stub.len());
        if !stub.is_empty() {
            out.put(call.tx, way, AppBuffer::DceStubData, &stub);
        }
        out.reach(call.tx, way, level::DONE);
        if call.done == [true; 2] && out.logs() {
            out.log(Way::ToServer, "dcerpc", call.fields(udp, interfaces));
        }
    }

    /// Nothing more comes in this direction; without requests nothing is answered either.
    pub fn end(&mut self, way: Way, udp: bool, interfaces: &Interfaces, out: &mut Output) {
        for at in 0..self.all.len() {
            self.finish(at, way, udp, interfaces, out);
        }
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        self.bytes + self.all.capacity() * size_of::<Call>()
    }
}

/// What a request of this type is answered with.
pub(super) fn answer(request: u8) -> &'static [u8] {
    match request {
        kind::REQUEST => &[kind::RESPONSE, kind::FAULT],
        kind::BIND => &[kind::BIND_ACK, kind::BIND_NAK],
        kind::ALTER_CONTEXT => &[kind::ALTER_CONTEXT_RESP, kind::FAULT],
        _ => &[],
    }
}

impl Call {
    /// A call that a PDU begins.
    pub fn new(header: &Header) -> Self {
        Self {
            call: header.call,
            minor: header.minor,
            ..Self::default()
        }
    }

    /// The `dcerpc` object.
    pub fn fields(&self, udp: bool, interfaces: &Interfaces) -> Value {
        let mut fields = Map::new();
        let [asked, answered] = self.kinds;
        let name = asked.map_or_else(|| "REQUEST_LOST".into(), kind_name);
        fields.insert("request".into(), name.into());
        let part = |way: usize| json!({"frag_cnt": self.fragments[way], "stub_data_size": self.sizes[way]});
        if asked == Some(kind::REQUEST) {
            let mut part = part(0);
            part["opnum"] = self.opnum.into();
            fields.insert("req".into(), part);
        }
        let of_call = interfaces.iter().filter(|of| match asked {
            Some(kind::REQUEST) => of.context == self.context,
            Some(kind::BIND | kind::ALTER_CONTEXT) => of.call == self.call,
            _ => false,
        });
        let list: Vec<_> = of_call
            .map(|of| {
                let version = format!("{}.{}", of.version, of.minor);
                let mut entry = json!({"uuid": of.text(), "version": version});
                if let Some(result) = of.result {
                    entry["ack_result"] = result.into();
                }
                entry
            })
            .collect();
        if !udp && !list.is_empty() {
            fields.insert("interfaces".into(), list.into());
        }
        let name = answered.map_or_else(|| "UNREPLIED".into(), kind_name);
        fields.insert("response".into(), name.into());
        if answered == Some(kind::RESPONSE) {
            fields.insert("res".into(), part(1));
        }
        if udp {
            fields.insert("activityuuid".into(), uuid_text(&self.activity).into());
            fields.insert("seqnum".into(), self.call.into());
            fields.insert("rpc_version".into(), "4.0".into());
        } else {
            fields.insert("call_id".into(), self.call.into());
            fields.insert("rpc_version".into(), format!("5.{}", self.minor).into());
        }
        fields.into()
    }
}
