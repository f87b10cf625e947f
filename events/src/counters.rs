//! Records of type `stats`: counters by name.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::record::{Timestamp, write_line};

/// Counters at one time, under the names that Suricata gives them, where it has them: `flow.tcp`, `decoder.pkts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterRecord {
    /// When, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Seconds of packet time since the first packet.
    pub uptime: u64,
    /// Name and value. A name's dots lead into objects.
    counters: Vec<(String, u64)>,
}

impl CounterRecord {
    /// A record; later ones of equal names are left out, and so are those whose name leads into another counter.
    pub fn new(ts_ns: u64, uptime: u64, mut counters: Vec<(String, u64)>) -> Self {
        // By part, so that what belongs into one object stands together.
        counters.sort_by(|left, right| left.0.split('.').cmp(right.0.split('.')));
        counters.dedup_by(|later, earlier| {
            let rest = later.0.strip_prefix(earlier.0.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        Self {
            ts_ns,
            uptime,
            counters,
        }
    }
}

/// Appends the record and a newline to `out`.
pub fn write_counters(out: &mut Vec<u8>, record: &CounterRecord) {
    #[derive(Serialize)]
    struct Record<'a> {
        timestamp: Timestamp,
        event_type: &'static str,
        stats: Stats<'a>,
    }
    #[derive(Serialize)]
    struct Stats<'a> {
        uptime: u64,
        #[serde(flatten)]
        counters: Tree<'a>,
    }
    write_line(
        out,
        &Record {
            timestamp: Timestamp(record.ts_ns),
            event_type: "stats",
            stats: Stats {
                uptime: record.uptime,
                counters: Tree {
                    counters: &record.counters,
                    prefix: 0,
                },
            },
        },
    );
}

/// Sorted counters whose names are equal up to `prefix` bytes, as an object.
struct Tree<'a> {
    counters: &'a [(String, u64)],
    prefix: usize,
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let prefix = self.prefix;
        let mut map = serializer.serialize_map(None)?;
        let mut left = self.counters;
        while let Some((name, value)) = left.first() {
            let name = rest(name, prefix);
            let (part, leaf) = name
                .split_once('.')
                .map_or((name, true), |(part, _)| (part, false));
            let same =
                |(other, _): &(String, u64)| rest(other, prefix).split('.').next() == Some(part);
            let end = left.iter().position(|counter| !same(counter));
            let (here, after) = left.split_at(end.unwrap_or(left.len()));
            if leaf {
                map.serialize_entry(part, value)?;
            } else {
                let inner = Tree {
                    counters: here,
                    prefix: prefix + part.len() + 1,
                };
                map.serialize_entry(part, &inner)?;
            }
            left = after;
        }
        map.end()
    }
}

fn rest(name: &str, prefix: usize) -> &str {
    name.get(prefix..).unwrap_or_default()
}
