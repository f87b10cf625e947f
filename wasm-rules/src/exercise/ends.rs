//! Addresses and ports that rules' headers allow.

use std::net::{IpAddr, Ipv4Addr};

use weir_engine::plan::{AddrSet, PortSet};

/// What one end must be: in all of these.
#[derive(Clone, Debug, Default)]
pub(super) struct End<'a> {
    pub(super) addresses: Vec<&'a AddrSet>,
    pub(super) ports: Vec<&'a PortSet>,
}

impl End<'_> {
    fn allows(&self, address: IpAddr) -> bool {
        self.addresses.iter().all(|set| set.contains(address))
    }

    pub(super) fn allows_port(&self, port: u16) -> bool {
        self.ports.iter().all(|set| set.contains(port))
    }

    /// The `number`th address. Each flow has its own number, and so its own addresses where the sets leave a choice.
    /// `side` keeps the two ends apart.
    pub(super) fn address(&self, number: u32, side: u32, v6: bool) -> Option<IpAddr> {
        if v6 {
            return self.v6(number, side);
        }
        // Where everything goes, an address of the benchmark network (RFC 2544); else one of a private network first.
        let open = self.addresses.iter().all(|set| set.is_any());
        let inside = 0x0a10_0000 + (side << 22) + number % 0x3f_0000 + 1;
        let outside = 0xc612_0000 + (side << 16) + number % 0xfff0 + 1;
        let also = 0xc0a8_0000 + number % 0xfff0 + 1;
        let preferred = if open {
            [outside, inside, also]
        } else {
            [inside, outside, also]
        };
        let preferred = preferred.map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
        if let Some(&address) = preferred.iter().find(|&&address| self.allows(address)) {
            return Some(address);
        }
        let ranges = self
            .addresses
            .iter()
            .map(|set| set.v4_ranges())
            .min_by_key(|ranges| ranges.len())?;
        let usable = |bits: u32| {
            let address = Ipv4Addr::from(bits);
            !address.is_unspecified() && self.allows(IpAddr::V4(address))
        };
        // Spread over the ranges, then within one.
        let count = ranges.len().max(1);
        (0..count.min(256)).find_map(|step| {
            let &(low, high) = ranges.get((number as usize + step) % count)?;
            let width = u64::from(high - low) + 1;
            let at = (u64::from(number) * 7 + u64::from(side)) % width;
            [low.saturating_add(at as u32), low, high]
                .into_iter()
                .find(|&bits| usable(bits))
                .map(|bits| IpAddr::V4(bits.into()))
        })
    }

    fn v6(&self, number: u32, side: u32) -> Option<IpAddr> {
        let first = 0x2001_0db8_u128 << 96 | u128::from(side) << 64 | (u128::from(number) + 1);
        let lows = self
            .addresses
            .iter()
            .flat_map(|set| set.v6_ranges())
            .map(|&(low, _)| low);
        std::iter::once(first)
            .chain(lows)
            .map(|bits| IpAddr::V6(bits.into()))
            .find(|&address| self.allows(address))
    }

    /// A port: one of the wanted, if it may be, else the first there is.
    pub(super) fn port(&self, wanted: &[u16]) -> Option<u16> {
        if let Some(&port) = wanted.iter().find(|&&port| self.allows_port(port)) {
            return Some(port);
        }
        let starts = self.ports.iter().flat_map(|set| set.ranges());
        let all = starts.flat_map(|&(low, high)| [low.max(1), high, low.max(1024).min(high), low]);
        all.into_iter().find(|&port| self.allows_port(port))
    }

    /// A port that one of the sets does not allow.
    pub(super) fn wrong_port(&self) -> Option<u16> {
        [7, 81, 443, 2000, 40_000, 65_000]
            .into_iter()
            .find(|&port| !self.allows_port(port))
    }

    /// An address that one of the sets does not allow.
    pub(super) fn wrong_address(&self, number: u32) -> Option<IpAddr> {
        let low = number % 0xfff0 + 1;
        [0xc613_0000, 0x0a7f_0000, 0x2d4d_0000]
            .into_iter()
            .map(|base: u32| IpAddr::V4((base + low).into()))
            .find(|&address| !self.allows(address))
    }
}
