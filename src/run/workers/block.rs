//! Frames on their way to a worker.

use weir_engine::detect::Event;
use weir_engine::packet::{Frame, Interface, LinkType};

use super::{End, Inspect};

/// Frames, copied once into one allocation.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    frames: Vec<(u64, u64, LinkType, u32, Interface, usize)>,
    /// `None` where more of the block follows: here, or in another process.
    pub(super) end: Option<End>,
}

impl Block {
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.data);
        self.frames.push((
            frame.ts_ns,
            frame.number,
            frame.link,
            frame.wire_len,
            frame.iface,
            self.bytes.len(),
        ));
    }

    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut start = 0;
        self.frames
            .iter()
            .map(move |&(ts_ns, number, link, wire_len, iface, end)| {
                let data = self.bytes.get(start..end).unwrap_or_default();
                start = end;
                Frame {
                    ts_ns,
                    number,
                    link,
                    data,
                    wire_len,
                    iface,
                }
            })
    }

    /// To be called when the block is complete: frames are looked at where they will be inspected.
    pub(super) fn ahead(&self, worker: &mut impl Inspect) {
        self.frames().for_each(|frame| worker.ahead(frame));
        worker.flush();
    }

    pub(super) fn process(&self, worker: &mut impl Inspect, out: &mut Vec<Event>) {
        self.frames().for_each(|frame| worker.process(frame, out));
        if let Some(End { number, now_ns }) = self.end {
            worker.tick(number, now_ns, out);
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
        self.end = None;
    }
}
