//! Flows with all that belongs to them, on their way to the next process.

use std::io;
use std::sync::Arc;

use super::Inspector;
use super::scene::{headers, in_stream};
use crate::handover::{Numbers, Out, Record, Restored, SavedFlow, SavedStreams};
use crate::plan::RuleId;
use crate::state::{FlowVars, Shared};
use crate::stream::StreamId;

impl Inspector {
    /// What flows share.
    pub(in crate::detect) fn shared(&self) -> &Arc<Shared> {
        self.settler.seat.shared()
    }

    /// Hands out all flows.
    pub(in crate::detect) fn save(
        &self,
        numbers: &mut Numbers<'_>,
        out: Out<'_>,
    ) -> io::Result<()> {
        let names = self.prepared.state.names();
        for entry in self.flows.saved() {
            let flow = &entry.flow;
            let number = &mut |rule| numbers.of(rule, &mut *out);
            let streams = match self.streams.save(flow.streams, number)? {
                Some(held) => SavedStreams::Held(held),
                None if flow.streams == StreamId::LOST => SavedStreams::Lost,
                None => SavedStreams::None,
            };
            let vars = (!flow.vars.is_empty()).then(|| flow.vars.export(names));
            out(&Record::Flow(SavedFlow {
                entry,
                vars,
                streams,
            }))?;
        }
        Ok(())
    }

    /// Takes a flow over, and counts what became of it.
    pub(in crate::detect) fn adopt(
        &mut self,
        saved: SavedFlow<'_>,
        rules: &[Option<RuleId>],
        restored: &mut Restored,
    ) {
        let SavedFlow {
            entry,
            vars,
            streams,
        } = saved;
        let slot = self.flows.adopt(entry);
        let Some((slot, flow)) = slot.and_then(|slot| Some((slot, self.flows.adopted(slot)?)))
        else {
            restored.flows_dropped += 1;
            return;
        };
        restored.flows += 1;
        if let Some(vars) = vars {
            flow.vars = FlowVars::import(&vars, self.prepared.state.names());
        }
        flow.streams = match streams {
            SavedStreams::None => StreamId::NONE,
            SavedStreams::Lost => StreamId::LOST,
            SavedStreams::Held(held) => {
                let headers = [0, 1].map(|way| headers(flow, way));
                let [there, back] = &headers;
                let packets = [there, back].map(|headers| headers.packet(flow.last_ns));
                let prepared = &self.prepared;
                // A rule may have changed since: one that does not concern the stream does not wait for it.
                let mut rule = |number: u32, way: usize| {
                    let id = rules.get(number as usize).copied().flatten();
                    let id = id.filter(|&id| {
                        let rule = prepared.rules.get(id).zip(packets.get(way));
                        let view = in_stream(slot, way);
                        rule.is_some_and(|(rule, packet)| {
                            prepared.index.may_wait(rule, id, packet, view)
                        })
                    });
                    restored.waiting_dropped += u64::from(id.is_none());
                    id
                };
                let ends = (flow.client.0, flow.server.0);
                let adopted = self.streams.adopt(slot, ends, held, &mut rule);
                restored.streams_dropped += u64::from(adopted.is_none());
                adopted.unwrap_or(StreamId::LOST)
            }
        };
    }
}
