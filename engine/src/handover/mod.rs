//! What the workers of a process know, for the next process, so that a restart does not make them forget.
//!
//! [`save`] writes flows with their streams and what rules keep for them, packets that wait for fragments, and what flows
//! share; [`restore`] takes it over, also with other rules or another number of workers. Rules are found by `gid` and
//! `sid`, bits, counters and sets by name. What there is no use for any more is left behind and counted. A flow whose time
//! is up is taken over nevertheless: it ends as it would have, with what rules still have to say of it.
//!
//! # The file
//!
//! A head of 40 bytes, numbers little-endian, then the body:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `weirflow` |
//! | 4 | [`VERSION`] of the format; any other is refused |
//! | 16 | version of the writer, padded with zeros; to be read by people |
//! | 8 | bytes of the body |
//! | 4 | CRC-32 (IEEE) of the body |
//!
//! The body is records in [postcard](https://postcard.jamesmunns.com)'s encoding, one after the other. Their order, the
//! order of their fields and what the fields mean make up the version, and so does what [`crate::flow::shard`] gives.
//! Nothing in a file is believed: what cannot have become so is left out, and no length makes more memory be taken than
//! the file has bytes for.

mod file;
mod record;

pub(crate) use record::{Numbers, Out, Record, SavedFlow, SavedStreams, bytes};

use std::collections::HashMap;
use std::io::{self, Seek, Write};

#[cfg(any(test, feature = "testing"))]
pub use file::around;
pub use file::{HandoverError, VERSION};
use file::{Writer, body};
use record::Records;

use crate::detect::{Alerts, Engine};
use crate::plan::RuleId;

/// The block of frames at whose end all workers look at the clock, as far as it was filled. Whether time went by depends
/// on where blocks end, so the next process goes on in the middle of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// Frames in it.
    pub frames: u64,
    /// Captured bytes of these.
    pub bytes: u64,
    /// The latest time in it, or before it, nanoseconds since the Unix epoch.
    pub now_ns: u64,
}

/// What became of what was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The block that is not full.
    pub block: Block,
    /// Flows that go on.
    pub flows: u64,
    /// Packets that go on waiting for fragments.
    pub fragmented: u64,
    /// Flows that do not: there is no room for them.
    pub flows_dropped: u64,
    /// Flows that go on without their streams, for want of room.
    pub streams_dropped: u64,
    /// Packets whose fragments there is no room for.
    pub fragmented_dropped: u64,
    /// Places where a rule waited for more of a stream that is not there any more, or not for such a stream.
    pub waiting_dropped: u64,
    /// Bits, counts and members of sets that no rule has a use for.
    pub useless: u64,
}

/// Writes what these workers know. `block`: the one that is not full; `None` when the flows have ended, so that only what
/// outlives them is written. Returns the size in bytes.
///
/// # Errors
/// When `out` cannot be written.
pub fn save<W: Write + Seek>(
    engines: &[Engine],
    alerts: &Alerts,
    block: Option<Block>,
    out: W,
) -> io::Result<u64> {
    let mut writer = Writer::new(out)?;
    if let Some(first) = engines.first() {
        let (prepared, shared) = first.shares();
        writer.put(&Record::Shared(
            shared.export(prepared.rules(), prepared.state()),
        ))?;
        writer.put(&Record::Counts(alerts.save()))?;
        if let Some(block) = block {
            writer.put(&Record::Block(block))?;
            let mut numbers = Numbers::new(prepared.rules());
            let workers = u32::try_from(engines.len()).unwrap_or(u32::MAX);
            for (at, engine) in (0..).zip(engines) {
                let table = engine.table();
                writer.put(&Record::Worker { at, workers, table })?;
                engine.save(&mut numbers, &mut |record| writer.put(record))?;
            }
        }
    }
    writer.finish()
}

/// Makes workers that have seen nothing yet go on where those were that wrote this file. Nothing is taken over where
/// there is an error.
///
/// # Errors
/// When the file is none, is of another version, or is damaged.
pub fn restore(
    file: &[u8],
    engines: &mut [Engine],
    alerts: &Alerts,
) -> Result<Restored, HandoverError> {
    let body = body(file)?;
    for record in Records::new(body) {
        record?;
    }
    let mut restored = Restored::default();
    let Some((prepared, shared)) = engines.first().map(Engine::shares) else {
        return Ok(restored);
    };
    let ids: HashMap<(u32, u32), RuleId> = (prepared.rules().rules().iter().zip(0..))
        .map(|(rule, id)| ((rule.meta.gid, rule.meta.sid), id))
        .collect();
    let mut rules = Vec::new();
    for record in Records::new(body) {
        match record? {
            Record::Shared(saved) => {
                let state = prepared.state();
                let useless = shared.import(&saved, prepared.rules(), state);
                restored.useless +=
                    useless.map_err(|error| HandoverError::Content(error.to_string()))?;
            }
            Record::Counts(saved) => restored.useless += alerts.adopt(&saved),
            Record::Block(block) => restored.block = block,
            Record::Worker { at, workers, table } => {
                // Other workers than there were have flows of all of them.
                let same = engines.len() == workers as usize;
                for (_, engine) in (0..)
                    .zip(engines.iter_mut())
                    .filter(|&(number, _)| !same || number == at)
                {
                    engine.resume(&table);
                }
            }
            Record::Rule { gid, sid } => rules.push(ids.get(&(gid, sid)).copied()),
            Record::Fragments(saved) => {
                let adopted =
                    of(engines, saved.origin).is_some_and(|engine| engine.adopt_fragments(&saved));
                restored.fragmented += u64::from(adopted);
                restored.fragmented_dropped += u64::from(!adopted);
            }
            Record::Flow(saved) => match of(engines, saved.entry.origin) {
                Some(engine) => engine.adopt(saved, &rules, &mut restored),
                None => restored.flows_dropped += 1,
            },
        }
    }
    Ok(restored)
}

/// The worker that frames with this [`crate::flow::shard`] go to.
fn of(engines: &mut [Engine], origin: u32) -> Option<&mut Engine> {
    let at = (origin as usize).checked_rem(engines.len())?;
    engines.get_mut(at)
}
