//! Flows that the kernel knows.

use core::net::IpAddr;

/// IP's number for TCP.
pub const TCP: u8 = 6;
/// IP's number for UDP.
pub const UDP: u8 = 17;

/// What identifies a flow in the kernel: the same for both directions.
///
/// Words hold the bytes of the packet in the packet's order, whatever the machine's; IPv4 addresses are written as IPv6 ones
/// (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2). The end that is lower, by the machine's order of those words, comes first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Address of the lower end.
    pub low: [u32; 4],
    /// Address of the higher end.
    pub high: [u32; 4],
    /// Port of the lower end, in the packet's byte order.
    pub low_port: u16,
    /// Port of the higher end, in the packet's byte order.
    pub high_port: u16,
    /// VLAN id of the outer tag; 0 for none.
    pub outer_vlan: u16,
    /// VLAN id of the inner tag; 0 for none.
    pub inner_vlan: u16,
    /// [`TCP`] or [`UDP`].
    pub proto: u8,
    /// Zero.
    pub zero: [u8; 3],
}

impl FlowKey {
    /// The key of frames from `from` to `to`, or back. Ports are in the packet's byte order.
    #[inline(always)]
    #[must_use]
    pub fn of(
        from: ([u32; 4], u16),
        to: ([u32; 4], u16),
        proto: u8,
        outer_vlan: u16,
        inner_vlan: u16,
    ) -> Self {
        let ((low, low_port), (high, high_port)) = if above(&from, &to) {
            (to, from)
        } else {
            (from, to)
        };
        Self {
            low,
            high,
            low_port,
            high_port,
            outer_vlan,
            inner_vlan,
            proto,
            zero: [0; 3],
        }
    }

    /// The key of a flow between two ends, in VLANs `outer_vlan` and `inner_vlan` (0 for none). `None` where the kernel
    /// knows no such flows: another protocol than TCP or UDP, an address of IPv4 and one of IPv6, an address of IPv4 that is
    /// written as one of IPv6 (its flow is another, and would have the same key), no VLAN id.
    #[must_use]
    pub fn between(
        from: (IpAddr, u16),
        to: (IpAddr, u16),
        proto: u8,
        outer_vlan: u16,
        inner_vlan: u16,
    ) -> Option<Self> {
        if proto != TCP && proto != UDP
            || from.0.is_ipv4() != to.0.is_ipv4()
            || from.0 != from.0.to_canonical()
            || to.0 != to.0.to_canonical()
            || outer_vlan > 0xfff
            || inner_vlan > 0xfff
        {
            return None;
        }
        let end = |(address, port): (IpAddr, u16)| (words(address), port.to_be());
        Some(Self::of(end(from), end(to), proto, outer_vlan, inner_vlan))
    }
}

#[inline(always)]
fn above(a: &([u32; 4], u16), b: &([u32; 4], u16)) -> bool {
    // From the last word, in which addresses differ most often.
    for word in [3, 2, 1, 0] {
        if a.0[word] != b.0[word] {
            return a.0[word] > b.0[word];
        }
    }
    a.1 > b.1
}

/// An IPv4 address, as it is in a packet, as an IPv6 one.
#[inline(always)]
#[must_use]
pub const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}

/// True for an IPv6 address, as it is in a packet, that is an IPv4 one: no such packet is to be on a wire.
#[inline(always)]
#[must_use]
pub const fn is_mapped(address: &[u32; 4]) -> bool {
    address[2] == 0xffff_u32.to_be() && address[0] | address[1] == 0
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(v4) => mapped(u32::from_ne_bytes(v4.octets())),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            core::array::from_fn(|word| {
                u32::from_ne_bytes(core::array::from_fn(|byte| octets[word * 4 + byte]))
            })
        }
    }
}

/// Values of [`FlowEntry::action`].
pub mod action {
    /// Frames are forwarded in the kernel.
    pub const BYPASS: u32 = 1;
    /// Frames are dropped.
    pub const BLOCK: u32 = 2;
    /// The bypassed flow is over: a new connection uses its key. Frames go to user space.
    pub const ENDED: u32 = 3;
}

/// What the kernel does with a flow, and what it has done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowEntry {
    /// One of [`action`]; anything else leaves the flow to user space.
    pub action: u32,
    /// Zero.
    pub zero: u32,
    /// Frames. Added to atomically: both directions may be at work at once.
    pub packets: u64,
    /// Bytes, likewise.
    pub bytes: u64,
    /// When the last frame came, in nanoseconds of `CLOCK_MONOTONIC`; when the order was given, before the first.
    pub last_ns: u64,
    /// Blocked flows: until when, in nanoseconds of `CLOCK_MONOTONIC`.
    pub until_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key_and_other_flows_another() {
        let ends = [
            (IpAddr::from([10, 0, 0, 1]), 1000),
            (IpAddr::from([10, 0, 0, 2]), 80),
            (IpAddr::from([10, 0, 0, 1]), 80),
        ];
        let mut keys = [FlowKey::default(); 9];
        for (i, from) in ends.iter().enumerate() {
            for (j, to) in ends.iter().enumerate() {
                let key = FlowKey::between(*from, *to, TCP, 5, 0).expect("a flow");
                keys[i * 3 + j] = key;
                assert_eq!(Some(key), FlowKey::between(*to, *from, TCP, 5, 0));
                assert_ne!(Some(key), FlowKey::between(*to, *from, UDP, 5, 0));
                assert_ne!(Some(key), FlowKey::between(*to, *from, TCP, 0, 5));
            }
        }
        assert_ne!(keys[1], keys[2]);
        assert_ne!(keys[1], keys[5]);
        assert_ne!(keys[0], keys[8]);
    }

    #[test]
    fn addresses_are_kept_in_the_order_of_packets() {
        let v4 = FlowKey::between(
            ([1, 2, 3, 4].into(), 1),
            ([1, 2, 3, 4].into(), 0x0102),
            UDP,
            0,
            0,
        );
        let v4 = v4.expect("a flow");
        assert_eq!(v4.low[3].to_ne_bytes(), [1, 2, 3, 4]);
        assert_eq!(v4.low[2].to_ne_bytes(), [0, 0, 0xff, 0xff]);
        let ports = [v4.low_port.to_ne_bytes(), v4.high_port.to_ne_bytes()];
        assert!(ports.contains(&[1, 2]) && ports.contains(&[0, 1]));
        let address: [u8; 16] = core::array::from_fn(|i| i as u8);
        let v6 =
            FlowKey::between((address.into(), 1), (address.into(), 1), TCP, 0, 0).expect("a flow");
        assert_eq!(v6.high[1].to_ne_bytes(), [4, 5, 6, 7]);
    }

    #[test]
    fn what_the_kernel_does_not_know_has_no_key() {
        let v4 = (IpAddr::from([1, 1, 1, 1]), 1);
        let v6 = (IpAddr::from([1; 16]), 1);
        assert_eq!(FlowKey::between(v4, v6, TCP, 0, 0), None);
        let mapped = (IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0101, 0x0101]), 1);
        for (from, to) in [(mapped, mapped), (mapped, v6), (v6, mapped), (mapped, v4)] {
            assert_eq!(FlowKey::between(from, to, TCP, 0, 0), None);
        }
        assert!(is_mapped(&words(mapped.0)) && is_mapped(&words(v4.0)) && !is_mapped(&words(v6.0)));
        assert_eq!(FlowKey::between(v4, v4, 132, 0, 0), None);
        assert_eq!(FlowKey::between(v4, v4, TCP, 4096, 0), None);
        assert_eq!(FlowKey::between(v4, v4, TCP, 0, 4096), None);
    }
}
