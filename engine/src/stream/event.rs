//! Stream events, under Suricata's names (`stream-event:est_packet_out_of_window`).

/// What the stream engine found wrong with a packet or its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StreamEvent {
    /// `reassembly_seq_gap`: data is missing.
    ReassemblySeqGap,
}

/// A set of stream events; empty for almost every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamEvents(u128);

impl StreamEvents {
    /// True when nothing was raised.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds one event.
    pub fn insert(&mut self, event: StreamEvent) {
        self.0 |= 1 << event as u8;
    }

    /// True when the event was raised.
    pub fn contains(self, event: StreamEvent) -> bool {
        self.0 >> event as u8 & 1 == 1
    }
}
