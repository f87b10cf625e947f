//! What decides about frames.

/// Most frames of a batch.
pub const MAX_BATCH: usize = 64;

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It goes out on the other port; of a passive sensor's it was a copy anyway.
    Pass,
    /// It is dropped.
    #[default]
    Drop,
    /// It is dropped, and its ends are told, as far as [`reject`](crate::reject) has an answer for them.
    Reject {
        /// Its sender is told.
        to_source: bool,
        /// Its receiver is told.
        to_destination: bool,
    },
}

/// A frame to be inspected.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The port on which it came: 0 or 1.
    pub port: usize,
    /// When it was taken from the receive ring, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Its bytes, from the Ethernet header on, without the checksum at its end.
    pub data: &'a [u8],
    /// The worker whose queue it came on, where that is not the one that inspects it.
    pub from: Option<u32>,
}

impl Received<'_> {
    pub(super) const EMPTY: Self = Self {
        port: 0,
        ts_ns: 0,
        data: &[],
        from: None,
    };
}

/// Who decides about frames. One for each worker, used by its thread alone.
pub trait Inspect {
    /// Decides about at most [`MAX_BATCH`] frames, in the order of their arrival on each port. `verdicts` has one place for each
    /// frame and says [`Verdict::Drop`] for all of them at first, so that a frame that was forgotten does not get through.
    ///
    /// The frames' bytes stay where they are until this returns. While it runs, no heartbeat is given: the kernel takes over when
    /// it takes longer than the heartbeat's timeout.
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]);

    /// The verdicts of the latest batch were carried out: the time for orders to the kernel about flows, which then do not overtake
    /// their own frames by more than the rings hold.
    fn settled(&mut self) {}

    /// Nothing has come, or nothing but what other workers inspect: time passes for what waits for it. `now_ns` is the time since
    /// the Unix epoch in nanoseconds. It is called at least every [`BridgeOptions::poll`](super::BridgeOptions::poll) when there
    /// is nothing to inspect, and not at all when there is more than enough.
    fn idle(&mut self, now_ns: u64) {
        let _ = now_ns;
    }
}
