//! What the attacked host hands to its application: a receiver that knows one byte at a time, written from the
//! definition of its policy and not from the engine.

use std::collections::BTreeMap;
use std::ops::Range;

use weir_engine::stream::StreamPolicy;

use crate::wire::Segment;

/// The bytes that a host of this kind reads from a connection, whose client sends these segments in this order. All are
/// taken to be acceptable.
pub fn receive(policy: StreamPolicy, segments: &[Segment]) -> Vec<u8> {
    let mut read: Vec<u8> = Vec::new();
    let mut waiting: BTreeMap<usize, (u8, Range<usize>)> = BTreeMap::new();
    for segment in segments.iter().filter(|segment| segment.to_server) {
        let start = segment.offset();
        let end = start + segment.data.len();
        // What has been read cannot change, and the segment is cut to what is new.
        let new = start.max(read.len())..end;
        for (at, &byte) in (start..end).zip(&segment.data) {
            if at < read.len() {
                continue;
            }
            let wins = match waiting.get(&at) {
                Some((_, old)) => newer_wins(policy, old, &new),
                None => true,
            };
            if wins {
                waiting.insert(at, (byte, new.clone()));
            }
        }
        while let Some((byte, _)) = waiting.remove(&read.len()) {
            read.push(byte);
        }
    }
    read
}

/// The families of Novak and Sturges (2007), as the documentation of [`StreamPolicy`] puts them.
fn newer_wins(policy: StreamPolicy, old: &Range<usize>, new: &Range<usize>) -> bool {
    let (left, same) = (new.start < old.start, new.start == old.start);
    match policy {
        StreamPolicy::First => false,
        StreamPolicy::Last => true,
        StreamPolicy::Bsd => left,
        StreamPolicy::Linux => left || (same && new.end > old.end),
        StreamPolicy::OldLinux => left || (same && new.end >= old.end),
        StreamPolicy::Solaris => new.end > old.end || (new.end == old.end && (left || same)),
    }
}
