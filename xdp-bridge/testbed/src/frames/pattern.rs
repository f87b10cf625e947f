//! The frames of a load: each is known to the last byte from its number and time.

use super::{Load, MAX_FLOWS, MAX_FRAMES};
use crate::BedError;
use crate::host::Mac;

/// Which load (4 bytes), which frame (6), when (8), as big-endian numbers.
const LABEL: usize = 18;
const ETHERNET: usize = 14;
const UDP: usize = 8;
const UDP_PROTOCOL: u8 = 17;

/// Bytes of the smallest frame that a load can have.
pub fn smallest(load: &Load) -> usize {
    ETHERNET + 4 * load.vlans.len() + ip_header(load) + UDP + LABEL
}

fn ip_header(load: &Load) -> usize {
    if load.v6 { 40 } else { 20 }
}

/// Why a frame is not one of the load's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It is of somebody else.
    Foreign,
    /// It has this load's label, and bytes that it was not sent with.
    Damaged,
}

/// The frames of one load between two stations.
pub(crate) struct Pattern {
    /// A frame with all zero that differs from frame to frame.
    base: Vec<u8>,
    flows: u32,
    frames: u64,
    tag: u32,
    v6: bool,
    /// Where the IP header begins.
    ip: usize,
    /// Where UDP's header begins.
    udp: usize,
    /// One's complement sums of what is in `base`.
    ip_sum: u64,
    udp_sum: u64,
    scratch: Vec<u8>,
}

impl Pattern {
    /// Of frames from one station to another, on links of an MTU.
    pub fn new(load: &Load, from: Mac, to: Mac, mtu: u32) -> Result<Self, BedError> {
        check(load, mtu)?;
        let mut base = Vec::with_capacity(load.size);
        base.extend(to.into_iter().chain(from));
        let outer: u16 = if load.vlans.len() == 2 {
            0x88a8
        } else {
            0x8100
        };
        for (id, kind) in load.vlans.iter().zip([outer, 0x8100]) {
            base.extend(kind.to_be_bytes().into_iter().chain(id.to_be_bytes()));
        }
        let ethertype: u16 = if load.v6 { 0x86dd } else { 0x0800 };
        base.extend(ethertype.to_be_bytes());
        let ip = base.len();
        let udp = ip + ip_header(load);
        // Both fit 16 bits, as the MTU does.
        let length = |from: usize| u16::try_from(load.size - from).unwrap_or(0).to_be_bytes();
        let [total, datagram] = [length(ip), length(udp)];
        if load.v6 {
            base.extend([0x60, 0, 0, 0, datagram[0], datagram[1], UDP_PROTOCOL, 64]);
        } else {
            // Don't fragment; a lifetime of 64.
            base.extend([
                0x45,
                0,
                total[0],
                total[1],
                0,
                0,
                0x40,
                0,
                64,
                UDP_PROTOCOL,
                0,
                0,
            ]);
        }
        base.resize(udp + 2, 0);
        base.extend(load.port.to_be_bytes());
        base.extend(datagram.into_iter().chain([0; 2]));
        base.resize(udp + UDP + LABEL, 0);
        let fill = content(load);
        base.extend(fill.iter().cycle().take(load.size - base.len()));

        let tag = load.seed.wrapping_mul(0x9e37_79b1) ^ 0x5745_4952;
        // The pseudo-header: protocol and length here, addresses with the rest that differs.
        let pseudo = u64::from(UDP_PROTOCOL) + u64::from(u16::from_be_bytes(datagram));
        Ok(Self {
            ip_sum: if load.v6 { 0 } else { sum(&base[ip..udp]) },
            udp_sum: sum(&base[udp..]) + pseudo,
            scratch: base.clone(),
            base,
            flows: load.flows,
            frames: load.frames,
            tag,
            v6: load.v6,
            ip,
            udp,
        })
    }

    /// A buffer for [`Pattern::write`].
    pub fn buffer(&self) -> Vec<u8> {
        self.base.clone()
    }

    /// The flow of a frame.
    pub fn flow(&self, number: u64) -> u32 {
        // Below `flows`, which is 32 bits.
        (number % u64::from(self.flows)) as u32
    }

    /// Makes of `frame`, which came from [`Pattern::buffer`], the frame of this number.
    pub fn write(&self, number: u64, time_ns: u64, frame: &mut [u8]) {
        let flow = self.flow(number);
        // Below 65,536: see `check`.
        let source = flow as u16;
        // Odd, so that no two flows share a destination.
        let destination = source.wrapping_mul(40_503);
        let port = (1024 + flow % 60_000) as u16;
        let (ip, udp) = (self.ip, self.udp);
        let mut addresses = [0_u8; 32];
        let addresses = if self.v6 {
            for (half, (net, host)) in [(0x18, source), (0x19, destination)].iter().enumerate() {
                addresses[half * 16] = 0xfd;
                addresses[half * 16 + 3] = *net;
                addresses[half * 16 + 14..half * 16 + 16].copy_from_slice(&host.to_be_bytes());
            }
            &addresses[..]
        } else {
            for (half, (net, host)) in [(18, source), (19, destination)].iter().enumerate() {
                addresses[half * 4..half * 4 + 2].copy_from_slice(&[198, *net]);
                addresses[half * 4 + 2..half * 4 + 4].copy_from_slice(&host.to_be_bytes());
            }
            &addresses[..8]
        };
        frame[udp - addresses.len()..udp].copy_from_slice(addresses);
        let mut label = [0_u8; LABEL];
        label[..4].copy_from_slice(&self.tag.to_be_bytes());
        label[4..10].copy_from_slice(&number.to_be_bytes()[2..]);
        label[10..].copy_from_slice(&time_ns.to_be_bytes());
        frame[udp + UDP..udp + UDP + LABEL].copy_from_slice(&label);
        frame[udp..udp + 2].copy_from_slice(&port.to_be_bytes());
        let differs = sum(addresses);
        if !self.v6 {
            let checksum = folded(self.ip_sum + differs);
            frame[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        let checksum = match folded(self.udp_sum + differs + sum(&label) + u64::from(port)) {
            // 0 means that there is none (RFC 768).
            0 => 0xffff,
            checksum => checksum,
        };
        frame[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Number and time of a frame that is exactly as it was sent.
    pub fn read(&mut self, frame: &[u8]) -> Result<(u64, u64), Mismatch> {
        let at = self.udp + UDP;
        let label = frame.get(at..at + LABEL).ok_or(Mismatch::Foreign)?;
        let number = |range: std::ops::Range<usize>| {
            let digits = label.get(range).unwrap_or_default();
            digits
                .iter()
                .fold(0, |number: u64, &byte| number << 8 | u64::from(byte))
        };
        if number(0..4) != u64::from(self.tag) {
            return Err(Mismatch::Foreign);
        }
        let (which, when) = (number(4..10), number(10..18));
        if which >= self.frames || frame.len() != self.base.len() {
            return Err(Mismatch::Damaged);
        }
        let mut expected = std::mem::take(&mut self.scratch);
        self.write(which, when, &mut expected);
        let same = expected == frame;
        self.scratch = expected;
        if same {
            Ok((which, when))
        } else {
            Err(Mismatch::Damaged)
        }
    }
}

fn check(load: &Load, mtu: u32) -> Result<(), BedError> {
    let invalid = |text: String| Err(BedError::Invalid(text));
    let least = smallest(load);
    let most = mtu.min(65_535) as usize + ETHERNET;
    if load.vlans.len() > 2 || load.vlans.iter().any(|id| *id > 0xfff) {
        return invalid(format!("VLANs {:?}: two at most, below 4096", load.vlans));
    }
    // The kernel lets frames with one tag be 4 bytes longer.
    if load.size < least.max(60) || load.size > most + 4 * load.vlans.len().min(1) {
        return invalid(format!(
            "frames of {} bytes: {} to {most} are possible here",
            load.size,
            least.max(60)
        ));
    }
    if !(1..=MAX_FLOWS).contains(&load.flows) {
        return invalid(format!(
            "{} flows: 1 to {MAX_FLOWS} are possible",
            load.flows
        ));
    }
    if !(1..=64).contains(&load.threads) || !load.flows.is_multiple_of(load.threads) {
        return invalid(format!(
            "{} threads: 1 to 64 that {} flows can be divided by",
            load.threads, load.flows
        ));
    }
    if load.frames > MAX_FRAMES {
        return invalid(format!("{} frames: {MAX_FRAMES} at most", load.frames));
    }
    if load
        .rate
        .is_some_and(|rate| !(rate.is_finite() && rate > 0.0))
    {
        return invalid(format!("{:?} frames a second: above 0", load.rate));
    }
    Ok(())
}

/// What fills the payload: never empty.
fn content(load: &Load) -> Vec<u8> {
    if !load.content.is_empty() {
        return load.content.clone();
    }
    // Xorshift (Marsaglia 2003), begun away from zero, where it would stay.
    let mut state = load.seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..load.size.max(1)).map(|_| next()).collect()
}

/// Sum of 16-bit words, the last one filled up with zero (RFC 1071); not yet folded.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(2)
        .map(|pair| {
            let low = pair.get(1).copied().unwrap_or(0);
            u64::from(u16::from_be_bytes([pair[0], low]))
        })
        .sum()
}

/// The checksum of what adds up to `sum`.
fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
