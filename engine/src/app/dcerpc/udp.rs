//! DCE/RPC over UDP (C706 chapter 12.5).

use serde_json::Value;

use super::calls::{Call, Calls};
use super::pdu::{Interfaces, Numbers, kind};
use crate::app::{AppProto, Output, Parser, TxId, Way, level};

/// Bytes of the header.
const HEADER: usize = 80;

/// Flags: this is a fragment, and the last one.
const LAST: u8 = 2;
const FRAGMENT: u8 = 4;

/// Reads datagrams. Like Suricata's, these calls have data, but neither interface nor operation for rules.
#[derive(Debug, Default)]
pub struct DceRpcUdp {
    calls: Calls,
    /// Always none.
    interfaces: Interfaces,
}

impl DceRpcUdp {
    fn read(&mut self, data: &[u8], out: &mut Output) -> Option<()> {
        let [4, kind, flags, _, order, ..] = *data else {
            return None;
        };
        let (way, index) = match kind {
            kind::REQUEST => (Way::ToServer, 0),
            kind::RESPONSE => (Way::ToClient, 1),
            _ => return None,
        };
        let numbers = Numbers {
            little: order & 0x10 != 0,
        };
        let activity = numbers.uuid(data, 40)?;
        let sequence = numbers.u32(data, 64)?;
        let opnum = numbers.u16(data, 68)?;
        let length = usize::from(numbers.u16(data, 74)?);
        let body = data.get(HEADER..)?.get(..length)?;
        let fits = |of: &Call| of.call == sequence && of.activity == activity && !of.done[index];
        let at = self.calls.find(fits).unwrap_or_else(|| {
            let call = Call {
                call: sequence,
                activity,
                opnum,
                ..Call::default()
            };
            self.calls
                .begin(call, numbers.little, true, &self.interfaces, out)
        });
        let call = self.calls.get(at)?;
        call.kinds[index] = Some(kind);
        out.reach(call.tx, way, level::START);
        self.calls.add(at, way, body, out);
        if flags & FRAGMENT == 0 || flags & LAST != 0 {
            self.calls.finish(at, way, true, &self.interfaces, out);
        }
        Some(())
    }
}

impl Parser for DceRpcUdp {
    fn proto(&self) -> AppProto {
        AppProto::DceRpc
    }

    fn data(&mut self, _: Way, data: &[u8], out: &mut Output) {
        // A datagram that is none of these says nothing about the next.
        let _ = self.read(data, out);
    }

    fn gap(&mut self, _: Way, _: &mut Output) {}

    fn end(&mut self, way: Way, out: &mut Output) {
        self.calls.end(way, true, &self.interfaces, out);
    }

    fn describe(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        let call = self.calls.of(tx)?;
        Some(("dcerpc", call.fields(true, &self.interfaces)))
    }

    fn memory(&self) -> usize {
        self.calls.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppBuffer;

    fn datagram(kind: u8, flags: u8, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut data = vec![4, kind, flags, 0, 0x10, 0, 0, 0];
        data.resize(HEADER, 7);
        data[64..68].copy_from_slice(&sequence.to_le_bytes());
        data[74..76].copy_from_slice(&(body.len() as u16).to_le_bytes());
        data.extend_from_slice(body);
        data
    }

    #[test]
    fn fragments_are_put_together() {
        let (mut parser, mut out) = (DceRpcUdp::default(), Output::everything());
        parser.data(Way::ToServer, &datagram(0, FRAGMENT, 1, b"one "), &mut out);
        parser.data(
            Way::ToServer,
            &datagram(0, FRAGMENT | LAST, 1, b"two"),
            &mut out,
        );
        parser.data(Way::ToClient, &datagram(2, 0, 1, b"three"), &mut out);
        parser.data(Way::ToServer, &datagram(0, 0, 2, b"four"), &mut out);
        let stub = |tx, way| {
            let tx = out.get(tx).expect("a call");
            tx.buffers(way, AppBuffer::DceStubData)
                .collect::<Vec<_>>()
                .concat()
        };
        assert_eq!(stub(0, Way::ToServer), b"one two");
        assert_eq!(stub(0, Way::ToClient), b"three");
        assert_eq!(stub(1, Way::ToServer), b"four");
        assert!(out.get(0).expect("a call").is_done());
        assert!(!out.get(1).expect("a call").is_done());
        let (_, fields) = parser.describe(0, &out).expect("an object");
        assert_eq!(fields["rpc_version"], "4.0");
        assert_eq!(fields["req"]["stub_data_size"], 7);
        assert_eq!(fields["seqnum"], 1);
    }

    #[test]
    fn what_is_cut_says_nothing() {
        let (mut parser, mut out) = (DceRpcUdp::default(), Output::everything());
        let whole = datagram(0, 0, 1, b"data");
        for end in 0..whole.len() {
            parser.data(Way::ToServer, &whole[..end], &mut out);
        }
        assert_eq!(out.transactions().count(), 0);
        for way in Way::ALL {
            parser.end(way, &mut out);
        }
    }
}
