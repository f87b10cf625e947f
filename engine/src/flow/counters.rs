//! What the flow table counts.

use super::{EndReason, Ended, Flow, FlowState};
use crate::packet::proto::{ICMP, ICMPV6, TCP, UDP};

/// What the flow table counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Flows begun.
    pub created: u64,
    /// Of these: TCP.
    pub tcp: u64,
    /// Of these: UDP.
    pub udp: u64,
    /// Of these: ICMP for IPv4.
    pub icmp4: u64,
    /// Of these: ICMP for IPv6.
    pub icmp6: u64,
    /// Flows at the moment.
    pub active: u64,
    /// Most flows at one time.
    pub peak: u64,
    /// Flows ended because nothing came for their timeout.
    pub timed_out: u64,
    /// Flows ended because the table was full.
    pub evicted: u64,
    /// Flows ended because a new connection began on their addresses and ports.
    pub reused: u64,
    /// Flows that ended, by their [`FlowState`].
    pub ended: [u64; FlowState::ALL.len()],
    /// Times that the table was nearly full, so that flows were kept for shorter.
    pub emergencies: u64,
    /// Times that this was over again.
    pub emergencies_over: u64,
    /// Packets of flows that a rule took out of inspection by `bypass`.
    pub bypassed_packets: u64,
    /// Their bytes on the wire.
    pub bypassed_bytes: u64,
    /// Flows that carried much in a short time.
    pub elephants: u64,
    /// Times that the clock of the packets leapt ahead by more than the longest timeout, or went back.
    pub clock_leaps: u64,
}

impl FlowCounters {
    pub(super) fn begin(&mut self, flow: &Flow) {
        self.created += 1;
        match flow.proto {
            TCP => self.tcp += 1,
            UDP => self.udp += 1,
            ICMP => self.icmp4 += 1,
            ICMPV6 => self.icmp6 += 1,
            _ => {}
        }
        self.active += 1;
        self.peak = self.peak.max(self.active);
    }

    /// A flow of the process before goes on.
    pub(super) fn adopt(&mut self) {
        self.active += 1;
        self.peak = self.peak.max(self.active);
    }

    pub(super) fn end(&mut self, ended: &Ended) {
        self.active -= 1;
        self.ended[ended.flow.state() as usize] += 1;
        match ended.reason {
            EndReason::Timeout => self.timed_out += 1,
            EndReason::Forced => self.evicted += 1,
            EndReason::Reused => self.reused += 1,
            EndReason::Shutdown => {}
        }
    }
}
