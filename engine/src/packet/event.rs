//! Decoder events, under Suricata's names (`decode-event:ipv4.trunc_pkt`).

/// What a decoder found wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DecoderEvent {
    /// `ipv4.pkt_too_small`
    Ipv4PktTooSmall,
}

/// A set of decoder events; empty for almost every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet([u64; 4]);

impl EventSet {
    /// True when nothing was raised.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Adds one event.
    pub fn insert(&mut self, event: DecoderEvent) {
        let bit = event as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// True when the event was raised.
    pub fn contains(&self, event: DecoderEvent) -> bool {
        let bit = event as usize;
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}
