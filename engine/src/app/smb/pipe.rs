//! DCE/RPC over named pipes.

use super::state::{Record, State};
use super::transaction::{About, Call, FileId, Tx};
use crate::app::dcerpc::pdu::{self, HEADER, Header, kind};
use crate::app::{AppBuffer, AppField, Output, Way, level};

/// Part of the answer only: the rest is still to be read.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// Longest part of a PDU that is kept until its rest comes, and longest data of a call.
const PART_LIMIT: usize = 64 * 1024;
const STUB_LIMIT: usize = 1 << 20;

/// Bytes that calls and parts may hold together; beyond that nothing is added.
const TOTAL_LIMIT: usize = 4 << 20;

/// Commands whose answer carries the answer of the call, so that the message tells calls apart.
fn tells_apart(r: &Record<'_>) -> bool {
    const IOCTL: u16 = 11;
    r.version == 2 && r.command == IOCTL
}

impl State {
    /// Pipes that speak DCE/RPC, by their name or by what goes over them.
    pub fn looks_like_call(&self, file: FileId, bytes: &[u8]) -> bool {
        const SERVICES: &[&[u8]] = &[
            b"svcctl", b"srvsvc", b"atsvc", b"lsarpc", b"samr", b"spoolss", b"winreg",
        ];
        let name = self.names.get(&file).map_or(&b""[..], Vec::as_slice);
        let name = name.strip_prefix(b"\\").unwrap_or(name);
        let header = pdu::header(bytes).filter(|header| header.kind < kind::END);
        SERVICES.contains(&name) || header.is_some()
    }

    /// What is written to a pipe, or read from it.
    pub fn pipe(&mut self, r: &Record<'_>, way: Way, file: FileId, bytes: &[u8], out: &mut Output) {
        if bytes.is_empty() {
            return;
        }
        let part = self
            .parts
            .take(&(r.tree, file))
            .filter(|_| way == Way::ToClient);
        let whole = part.map(|mut part| {
            part.extend_from_slice(bytes);
            part
        });
        let mut rest = whole.as_deref().unwrap_or(bytes);
        if !self.looks_like_call(file, rest) {
            return;
        }
        while !rest.is_empty() {
            let Some(header) = pdu::header(rest) else {
                self.event("smb.malformed_data", out);
                return;
            };
            if way == Way::ToClient && r.status == BUFFER_OVERFLOW && rest.len() < header.length {
                if rest.len() <= PART_LIMIT && self.memory() < TOTAL_LIMIT {
                    self.parts.put((r.tree, file), rest.to_vec());
                }
                return;
            }
            let length = header.length.min(rest.len());
            let (pdu, after) = rest.split_at(length);
            let body = pdu.get(HEADER..).unwrap_or_default();
            match way {
                Way::ToServer => self.call_asked(r, &header, body, out),
                Way::ToClient => self.call_answered(r, &header, body, out),
            }
            rest = after;
        }
    }

    /// The last call of this connection and number for which this is true.
    fn call_at(
        &self,
        r: &Record<'_>,
        number: u32,
        is_it: impl Fn(&Tx, &Call) -> bool,
    ) -> Option<usize> {
        self.txs.iter().rposition(|tx| match &tx.about {
            About::Call(call) => {
                let same = tx.version == r.version
                    && (tells_apart(r) || (tx.session, tx.tree) == (r.session, r.tree));
                let message = !tells_apart(r) || tx.message == r.message;
                call.call == number && same && message && is_it(tx, call)
            }
            _ => false,
        })
    }

    fn begin_call(&mut self, r: &Record<'_>, header: &Header, out: &mut Output) -> usize {
        let call = Call {
            call: header.call,
            ..Call::default()
        };
        let id = self.begin(r, About::Call(call), out);
        for way in Way::ALL {
            out.number(
                id,
                way,
                AppField::DceLittleEndian,
                u64::from(header.numbers.little),
            );
        }
        self.txs.len() - 1
    }

    fn call_asked(&mut self, r: &Record<'_>, header: &Header, body: &[u8], out: &mut Output) {
        if header.kind != kind::REQUEST {
            let at = self.begin_call(r, header, out);
            if let Some(About::Call(call)) = self.txs.get_mut(at).map(|tx| &mut tx.about) {
                call.kinds[0] = Some(header.kind);
                call.fragments[0] = 1;
            }
            if let kind::BIND | kind::ALTER_CONTEXT = header.kind {
                let asked = pdu::bind(body, header);
                if asked.is_none() {
                    self.event("smb.malformed_data", out);
                }
                if header.kind == kind::BIND {
                    self.interfaces.clear();
                }
                self.interfaces.asked(asked.unwrap_or_default());
            }
            self.finish(at, Way::ToServer, out);
            return;
        }
        let Some((context, opnum, data)) = pdu::request(body, header.numbers) else {
            self.event("smb.malformed_data", out);
            return;
        };
        let goes_on = |tx: &Tx, call: &Call| call.kinds[0] == Some(kind::REQUEST) && !tx.done[0];
        let begun = if header.first {
            None
        } else {
            self.call_at(r, header.call, goes_on)
        };
        let at = match begun {
            Some(at) => at,
            None => {
                let at = self.begin_call(r, header, out);
                // Without any context: SMB does not tell which pipe asked for what.
                let interfaces = self.interfaces.accepted(None);
                if let Some(tx) = self.txs.get_mut(at)
                    && let About::Call(call) = &mut tx.about
                {
                    (call.context, call.opnum) = (context, opnum);
                    call.kinds[0] = Some(kind::REQUEST);
                    for way in Way::ALL {
                        out.number(tx.id, way, AppField::DceOpnum, u64::from(opnum));
                        for mut interface in interfaces.iter().copied() {
                            interface[18] = 1;
                            out.put(tx.id, way, AppBuffer::DceInterface, &interface);
                        }
                    }
                    out.reach(tx.id, Way::ToServer, level::START);
                }
                at
            }
        };
        self.add(at, Way::ToServer, data, out);
        if header.last {
            self.finish(at, Way::ToServer, out);
        }
    }

    fn call_answered(&mut self, r: &Record<'_>, header: &Header, body: &[u8], out: &mut Output) {
        let fits = |tx: &Tx, call: &Call| {
            let answer = match call.kinds[0] {
                Some(kind::REQUEST) => matches!(header.kind, kind::RESPONSE | kind::FAULT),
                Some(kind::BIND) => matches!(header.kind, kind::BIND_ACK | kind::BIND_NAK),
                Some(kind::ALTER_CONTEXT) => {
                    matches!(header.kind, kind::ALTER_CONTEXT_RESP | kind::FAULT)
                }
                _ => true,
            };
            answer && !tx.done[1]
        };
        let at = self.call_at(r, header.call, fits).unwrap_or_else(|| {
            let at = self.begin_call(r, header, out);
            self.finish(at, Way::ToServer, out);
            at
        });
        if let Some(tx) = self.txs.get_mut(at) {
            tx.status = Some(r.status);
            out.reach(tx.id, Way::ToClient, level::START);
            if let About::Call(call) = &mut tx.about {
                call.kinds[1] = Some(header.kind);
            }
        }
        if let kind::BIND_ACK | kind::ALTER_CONTEXT_RESP = header.kind {
            match pdu::bind_ack(body, header.numbers) {
                Some(results) => self.interfaces.answered(header.call, &results),
                None => self.event("smb.malformed_data", out),
            }
        }
        if header.kind == kind::RESPONSE {
            // Eight bytes of header come before the data.
            self.add(at, Way::ToClient, body.get(8..).unwrap_or_default(), out);
        }
        if header.kind != kind::RESPONSE || header.last {
            self.finish(at, Way::ToClient, out);
        }
    }

    fn add(&mut self, at: usize, way: Way, data: &[u8], out: &mut Output) {
        let held: usize = self.txs.iter().map(Tx::memory).sum();
        let Some(About::Call(call)) = self.txs.get_mut(at).map(|tx| &mut tx.about) else {
            return;
        };
        call.sizes[way as usize] += data.len();
        call.fragments[way as usize] += 1;
        let stub = &mut call.stubs[way as usize];
        let room = STUB_LIMIT
            .saturating_sub(stub.len())
            .min(TOTAL_LIMIT.saturating_sub(held));
        stub.extend_from_slice(data.get(..room).unwrap_or(data));
        out.dropped += u64::from(data.len() > room);
    }
}
