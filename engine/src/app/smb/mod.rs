//! SMB 1, 2 and 3 over NetBIOS sessions (RFC 1002 4.3) and directly over TCP (MS-SMB2 2.1).
//!
//! As for Suricata, most commands are transactions with their answer; what is written to a file or read from it is one
//! transaction from the first piece until it is closed; DCE/RPC over pipes is a transaction for each call. What is
//! encrypted or compressed is passed over.

mod auth;
mod file;
mod names;
mod one;
mod pipe;
mod state;
mod text;
mod transaction;
mod two;

use serde_json::Value;

use super::{AppProto, FileState, Output, Parser, Pending, TxId, Way};
use state::{Flowing, State};
use transaction::FileId;

/// Events that rules can ask for.
pub const EVENTS: &[&str] = &[
    "smb.internal_error",
    "smb.malformed_data",
    "smb.record_overflow",
    "smb.malformed_ntlmssp_request",
    "smb.malformed_ntlmssp_response",
    "smb.duplicate_negotiate",
    "smb.negotiate_malformed_dialects",
    "smb.file_overlap",
    "smb.request_to_client",
    "smb.response_to_server",
    "smb.negotiate_max_read_size_too_large",
    "smb.negotiate_max_write_size_too_large",
    "smb.read_request_too_large",
    "smb.read_response_too_large",
    "smb.read_queue_size_exceeded",
    "smb.read_queue_cnt_exceeded",
    "smb.write_request_too_large",
    "smb.write_queue_size_exceeded",
    "smb.write_queue_cnt_exceeded",
    "smb.too_many_transactions",
];

/// Bytes before a message: its type and length.
const SESSION_HEADER: usize = 4;

/// Longer records are not held together: their data goes on as it comes.
const WHOLE: u64 = 128 * 1024;

/// Bytes of a long record that are looked at before its data goes on.
const HEAD: usize = 1024;

/// Bytes by which a message is found.
const MAGIC: usize = 8;

/// What comes next in a direction.
#[derive(Debug)]
enum Next {
    /// The header of a message.
    Session,
    /// A record, in a message that has so many bytes left.
    Record(u64),
    /// Nothing of interest.
    Skip { count: u64, left: u64 },
    /// Something before the data of a file, then that, then something else of the record, then what is left of the
    /// message.
    Data {
        before: u64,
        file: FileId,
        count: u64,
        after: u64,
        left: u64,
    },
    /// After a gap: a message somewhere.
    Lost,
}

/// A direction.
#[derive(Debug)]
struct Input {
    pending: Pending,
    next: Next,
}

/// Reads SMB.
#[derive(Debug)]
pub struct Smb {
    inputs: [Input; 2],
    state: State,
}

impl Default for Smb {
    fn default() -> Self {
        let input = || Input {
            pending: Pending::default(),
            next: Next::Session,
        };
        Self {
            inputs: [input(), input()],
            state: State::default(),
        }
    }
}

/// How far behind what is there a place is; data may begin behind what is looked at of a long record.
fn beyond(place: usize, there: u64) -> u64 {
    (place as u64).saturating_sub(there)
}

/// Where a message may begin.
fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B', ..])
}

/// Length of the record at the start of these bytes, in a message that has so many left; `None` where more is needed.
fn length(bytes: &[u8], left: u64) -> Option<u64> {
    match bytes {
        [0xfe, b'S', b'M', b'B', ..] if left >= two::HEADER as u64 => {
            let next = u32::from_le_bytes(*bytes.get(20..two::HEADER)?.first_chunk()?);
            let next = u64::from(next);
            Some(if next >= two::HEADER as u64 && next < left {
                next
            } else {
                left
            })
        }
        [_, _, _, _, ..] => Some(left),
        _ => None,
    }
}

impl Next {
    /// How many bytes are needed for the next step, given those that are there.
    fn needs(&self, seen: &[u8]) -> usize {
        match self {
            Self::Session => SESSION_HEADER,
            Self::Record(left) => {
                let least = (*left).min(two::HEADER as u64) as usize;
                match length(seen, *left) {
                    _ if seen.len() < least => least,
                    None => least,
                    Some(length) if length <= WHOLE => length as usize,
                    Some(_) => HEAD,
                }
            }
            _ => 1,
        }
    }
}

impl Smb {
    /// A step that has all that it needs; what is next.
    fn step(&mut self, way: Way, next: &Next, bytes: &[u8], out: &mut Output) -> Next {
        match *next {
            Next::Session => match *bytes {
                [0, high, middle, low, ..] => {
                    let length = u32::from_be_bytes([0, high, middle, low]);
                    if length == 0 {
                        Next::Session
                    } else {
                        Next::Record(u64::from(length))
                    }
                }
                // Session requests and their answers, and messages that keep the connection alive.
                [0x81..=0x85, _, high, low, ..] => {
                    let count = u64::from(u16::from_be_bytes([high, low]));
                    Next::Skip { count, left: 0 }
                }
                _ => Next::Lost,
            },
            Next::Record(left) => {
                let length = length(bytes, left).unwrap_or(left);
                let there = bytes.len() as u64;
                let flowing = self.record(way, bytes, out);
                let (rest, left) = (length.saturating_sub(there), left.saturating_sub(length));
                match flowing {
                    Some(Flowing {
                        file,
                        seen,
                        length,
                        at,
                    }) if rest > beyond(at, there) => {
                        let before = beyond(at, there);
                        let count = length.saturating_sub(seen).min(rest - before);
                        Next::Data {
                            before,
                            file,
                            count,
                            after: rest - before - count,
                            left,
                        }
                    }
                    _ => Next::Skip { count: rest, left },
                }
            }
            _ => Next::Session,
        }
    }

    fn record(&mut self, way: Way, bytes: &[u8], out: &mut Output) -> Option<Flowing> {
        match bytes {
            [0xff, b'S', b'M', b'B', ..] => {
                let record = one::record(bytes)?;
                self.right_way(way, record.answer, out)?;
                match way {
                    Way::ToServer => self.state.request1(&record, out),
                    Way::ToClient => self.state.response1(&record, out),
                }
            }
            [0xfe, b'S', b'M', b'B', ..] => {
                let record = two::record(bytes)?;
                self.right_way(way, record.answer, out)?;
                match way {
                    Way::ToServer => self.state.request2(&record, out),
                    Way::ToClient => self.state.response2(&record, out),
                }
            }
            // Encrypted or compressed.
            [0xfc | 0xfd, b'S', b'M', b'B', ..] => None,
            _ => {
                self.state.event("smb.malformed_data", out);
                None
            }
        }
    }

    /// Requests go to the server and answers to the client; others are passed over.
    fn right_way(&mut self, way: Way, answer: bool, out: &mut Output) -> Option<()> {
        let wrong = match (way, answer) {
            (Way::ToServer, true) => "smb.response_to_server",
            (Way::ToClient, false) => "smb.request_to_client",
            _ => return Some(()),
        };
        self.state.event(wrong, out);
        None
    }

    /// Looks for a message; where it is found, what waits, or the data behind it, begins with it.
    fn find(pending: &mut Pending, data: &mut &[u8]) -> bool {
        const SHORT: usize = MAGIC - 1;
        // A part of a beginning waits; there is always room for it.
        let keep = |pending: &mut Pending, part: &[u8]| {
            let kept = pending.add(part, MAGIC);
            debug_assert!(kept);
            false
        };
        if !pending.bytes().is_empty() {
            // It may begin in what waits, and end in what came.
            let old = pending.bytes().len();
            let more = data.get(..MAGIC).unwrap_or(data);
            let joined = [pending.bytes(), more].concat();
            let begins_at = |at: &usize| joined.get(*at..).is_some_and(begins);
            if let Some(at) = (0..old).find(begins_at) {
                pending.consume(at);
                return true;
            }
            pending.clear();
            if data.len() < MAGIC {
                *data = &[];
                let last = joined.get(joined.len().saturating_sub(SHORT)..);
                return keep(pending, last.unwrap_or_default());
            }
        }
        let names = memchr::memmem::find_iter(data, b"SMB");
        let mut starts = names.filter_map(|at| at.checked_sub(MAGIC - 3));
        let found = starts.find(|&at| data.get(at..).is_some_and(begins));
        let at = found.unwrap_or(data.len().saturating_sub(SHORT));
        let rest = data.get(at..).unwrap_or_default();
        if found.is_none() {
            *data = &[];
            return keep(pending, rest);
        }
        *data = rest;
        true
    }

    /// Takes what needs no step; the rest.
    fn pass<'a>(
        &mut self,
        way: Way,
        next: &mut Next,
        data: &'a [u8],
        out: &mut Output,
    ) -> &'a [u8] {
        let taken =
            |count: u64| usize::try_from(count).map_or(data.len(), |count| count.min(data.len()));
        match next {
            Next::Skip { count, left } => {
                let (_, rest) = data.split_at(taken(*count));
                *count -= (data.len() - rest.len()) as u64;
                if *count == 0 {
                    *next = if *left > 0 {
                        Next::Record(*left)
                    } else {
                        Next::Session
                    };
                }
                rest
            }
            Next::Data { before, .. } if *before > 0 => {
                let (_, rest) = data.split_at(taken(*before));
                *before -= (data.len() - rest.len()) as u64;
                rest
            }
            Next::Data {
                file,
                count,
                after,
                left,
                ..
            } => {
                let (bytes, rest) = data.split_at(taken(*count));
                self.state.more(way, *file, bytes, out);
                *count -= bytes.len() as u64;
                if *count == 0 {
                    *next = Next::Skip {
                        count: *after,
                        left: *left,
                    };
                }
                rest
            }
            _ => data,
        }
    }
}

impl Parser for Smb {
    fn proto(&self) -> AppProto {
        AppProto::Smb
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        self.state.tidy(out);
        if way == Way::ToServer && !data.is_empty() {
            self.state.goes_on(out);
        }
        let index = way as usize;
        let mut pending = std::mem::take(&mut self.inputs[index].pending);
        let mut next = std::mem::replace(&mut self.inputs[index].next, Next::Lost);
        loop {
            if let Next::Skip { .. } | Next::Data { .. } = next {
                let done = matches!(
                    next,
                    Next::Skip { count: 0, .. } | Next::Data { count: 0, .. }
                );
                if data.is_empty() && !done {
                    break;
                }
                data = self.pass(way, &mut next, data, out);
                continue;
            }
            if let Next::Lost = next {
                match Self::find(&mut pending, &mut data) {
                    true => next = Next::Session,
                    false => break,
                }
            }
            let waiting = !pending.bytes().is_empty();
            let seen = if waiting { pending.bytes() } else { data };
            let needs = next.needs(seen);
            if seen.len() < needs {
                if data.is_empty() {
                    break;
                }
                let more = if waiting {
                    (needs - seen.len()).min(data.len())
                } else {
                    data.len()
                };
                let (head, rest) = data.split_at(more);
                data = rest;
                if !pending.add(head, WHOLE as usize + HEAD) {
                    out.fail();
                    break;
                }
                continue;
            }
            if waiting {
                let bytes = pending.bytes().get(..needs).unwrap_or_default();
                next = self.step(way, &next, bytes, out);
                pending.consume(needs);
            } else {
                let (head, rest) = data.split_at(needs);
                next = self.step(way, &next, head, out);
                data = rest;
            }
        }
        self.inputs[index] = Input { pending, next };
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        let input = &mut self.inputs[way as usize];
        input.pending.clear();
        input.next = Next::Lost;
        self.state.gap(way, out);
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        for at in 0..self.state.txs.len() {
            let of_way = |tx: &transaction::Tx| match &tx.about {
                transaction::About::File { transfer, .. } => transfer.way == way,
                _ => false,
            };
            if way == Way::ToClient || self.state.txs.get(at).is_some_and(of_way) {
                self.state.finish_all(at, FileState::Truncated, out);
            } else {
                self.state.finish(at, way, out);
            }
        }
    }

    fn describe(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        Some(("smb", self.state.describe(tx)?))
    }

    fn memory(&self) -> usize {
        let pending: usize = self.inputs.iter().map(|input| input.pending.memory()).sum();
        pending + self.state.memory()
    }
}

#[cfg(test)]
mod tests;
