//! DCE/RPC over TCP (C706, MS-RPCE): a transaction is a call, a bind or an alter context, with its answer.
//!
//! What lies over named pipes is read by SMB, with the same PDUs. As for Suricata, data of requests begins behind their
//! header, that of responses with it, and what authentication adds at the end belongs to it.

mod calls;
pub(crate) mod pdu;
mod udp;

use serde_json::Value;

use super::{AppBuffer, AppField, AppProto, Output, Parser, Pending, TxId, Way, level};
use calls::{Call, Calls};
use pdu::{HEADER, Header, Interfaces, kind};

pub use udp::DceRpcUdp;

/// Suricata has no events for it.
pub const EVENTS: &[&str] = &[];

/// Bytes of a PDU: its length has 16 bits.
const MOST_OF_PDU: usize = u16::MAX as usize;

/// Reads a connection.
#[derive(Debug, Default)]
pub struct DceRpc {
    pending: [Pending; 2],
    /// After a gap a header is looked for.
    lost: [bool; 2],
    /// There were gaps: what looks like a header may be none.
    gaps: [bool; 2],
    interfaces: Interfaces,
    calls: Calls,
}

/// Where a PDU may begin.
fn plausible(bytes: &[u8]) -> bool {
    match bytes {
        [5, minor, kind, _, order, float, ..] => {
            *minor <= 1 && *kind < kind::END && order & 0xee == 0 && *float <= 3
        }
        [5, minor, ..] => *minor <= 1,
        [5] => true,
        _ => false,
    }
}

impl DceRpc {
    fn pdu(&mut self, way: Way, bytes: &[u8], out: &mut Output) {
        let (Some(header), Some(body)) = (pdu::header(bytes), bytes.get(HEADER..)) else {
            return;
        };
        match (way, header.kind) {
            (Way::ToServer, kind::BIND | kind::ALTER_CONTEXT) => {
                self.interfaces
                    .asked(pdu::bind(body, &header).unwrap_or_default());
                let at = self.begin(&header, out);
                if let Some(call) = self.calls.get(at) {
                    call.kinds[0] = Some(header.kind);
                    call.fragments[0] = 1;
                }
                self.finish(at, way, out);
            }
            (Way::ToServer, kind::REQUEST) => self.request(&header, body, out),
            (Way::ToClient, kind::BIND_ACK | kind::ALTER_CONTEXT_RESP) => {
                let results = pdu::bind_ack(body, header.numbers);
                self.interfaces
                    .answered(header.call, &results.unwrap_or_default());
                let at = self.answered(&header, out);
                self.finish(at, way, out);
            }
            (Way::ToClient, kind::RESPONSE) => {
                let at = self.answered(&header, out);
                self.calls.add(at, way, body, out);
                out.reach(self.tx(at), way, level::START);
                if header.last {
                    self.finish(at, way, out);
                }
            }
            (Way::ToClient, kind::FAULT | kind::BIND_NAK) => {
                let at = self.answered(&header, out);
                self.finish(at, way, out);
            }
            _ => {}
        }
    }

    fn begin(&mut self, header: &Header, out: &mut Output) -> usize {
        let call = Call::new(header);
        self.calls
            .begin(call, header.numbers.little, false, &self.interfaces, out)
    }

    fn finish(&mut self, at: usize, way: Way, out: &mut Output) {
        self.calls.finish(at, way, false, &self.interfaces, out);
    }

    fn tx(&mut self, at: usize) -> TxId {
        self.calls.get(at).map_or(TxId::MAX, |call| call.tx)
    }

    fn request(&mut self, header: &Header, body: &[u8], out: &mut Output) {
        let Some((context, opnum, data)) = pdu::request(body, header.numbers) else {
            return;
        };
        let goes_on = self
            .calls
            .find(|of| of.call == header.call && of.kinds[0] == Some(kind::REQUEST) && !of.done[0]);
        let at = goes_on.unwrap_or_else(|| {
            let at = self.begin(header, out);
            if let Some(call) = self.calls.get(at) {
                call.kinds[0] = Some(kind::REQUEST);
                (call.context, call.opnum) = (context, opnum);
                for way in Way::ALL {
                    out.number(call.tx, way, AppField::DceOpnum, u64::from(opnum));
                    for interface in self.interfaces.accepted(Some(context)) {
                        out.put(call.tx, way, AppBuffer::DceInterface, &interface);
                    }
                }
                out.reach(call.tx, Way::ToServer, level::START);
            }
            at
        });
        self.calls.add(at, Way::ToServer, data, out);
        if header.last {
            self.finish(at, Way::ToServer, out);
        }
    }

    /// The call that this answers; where the request is lost it is a new one.
    fn answered(&mut self, header: &Header, out: &mut Output) -> usize {
        let fits = |call: &Call| {
            let asked = call.kinds[0];
            call.call == header.call
                && !call.done[1]
                && asked.is_none_or(|asked| calls::answer(asked).contains(&header.kind))
        };
        let at = self.calls.find(fits).unwrap_or_else(|| {
            let at = self.begin(header, out);
            self.finish(at, Way::ToServer, out);
            at
        });
        if let Some(call) = self.calls.get(at) {
            call.kinds[1] = Some(header.kind);
        }
        at
    }
}

impl Parser for DceRpc {
    fn proto(&self) -> AppProto {
        AppProto::DceRpc
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        let index = way as usize;
        let mut pending = std::mem::take(&mut self.pending[index]);
        loop {
            if self.lost[index] && pending.bytes().is_empty() {
                let found = (0..data.len()).find(|&at| data.get(at..).is_some_and(plausible));
                data = found.and_then(|at| data.get(at..)).unwrap_or_default();
                self.lost[index] = found.is_none();
            }
            let waiting = !pending.bytes().is_empty();
            let seen = if waiting { pending.bytes() } else { data };
            let missing = match pdu::header(seen) {
                Some(header) => header.length.saturating_sub(seen.len()),
                None if seen.len() < HEADER => HEADER - seen.len(),
                None if self.gaps[index] => {
                    if waiting {
                        pending.clear();
                    } else {
                        data = data.get(1..).unwrap_or_default();
                    }
                    self.lost[index] = true;
                    continue;
                }
                None => {
                    out.fail();
                    break;
                }
            };
            if missing == 0 && !waiting {
                let length = pdu::header(data).map_or(data.len(), |header| header.length);
                let (whole, rest) = data.split_at(length.min(data.len()));
                self.pdu(way, whole, out);
                data = rest;
            } else if missing == 0 {
                self.pdu(way, pending.bytes(), out);
                pending.clear();
            } else if data.is_empty() {
                break;
            } else {
                let taken = if waiting {
                    missing.min(data.len())
                } else {
                    data.len()
                };
                let (more, rest) = data.split_at(taken);
                if !pending.add(more, MOST_OF_PDU) {
                    out.fail();
                    break;
                }
                data = rest;
            }
        }
        self.pending[index] = pending;
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        self.pending[way as usize].clear();
        self.lost[way as usize] = true;
        self.gaps[way as usize] = true;
        // What was under way may have ended in what is missing.
        self.calls.end(way, false, &self.interfaces, out);
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        self.calls.end(way, false, &self.interfaces, out);
    }

    fn describe(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        let call = self.calls.of(tx)?;
        Some(("dcerpc", call.fields(false, &self.interfaces)))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(Pending::memory).sum();
        pending + self.interfaces.memory() + self.calls.memory()
    }
}

#[cfg(test)]
pub(crate) mod tests;
