//! Probes of one byte: each is looked for until it has been found.

use crate::matcher::Request;

/// Which single bytes a group looks for, case ignored.
pub(super) struct Singles {
    wanted: [bool; 256],
    count: usize,
}

impl Singles {
    /// `None` when there are none; `bytes` are lower case.
    pub(super) fn new(bytes: impl Iterator<Item = u8>) -> Option<Self> {
        let mut wanted = [false; 256];
        for byte in bytes {
            wanted[usize::from(byte)] = true;
            wanted[usize::from(byte.to_ascii_uppercase())] = true;
        }
        let count = wanted.iter().filter(|&&wanted| wanted).count();
        (count > 0).then_some(Self { wanted, count })
    }

    /// Calls `found(byte, end)` for the first of each wanted byte after the carry; upper and lower case are two bytes.
    pub(super) fn scan(&self, request: &Request<'_>, found: &mut dyn FnMut(u8, usize)) {
        let mut wanted = self.wanted;
        let mut left = self.count;
        let from = usize::from(request.carry);
        let rest = request.data.get(from..).unwrap_or_default();
        let mut at = 0;
        while left > 0 {
            let Some(next) = rest[at..]
                .iter()
                .position(|&byte| wanted[usize::from(byte)])
            else {
                return;
            };
            at += next + 1;
            let byte = rest[at - 1];
            wanted[usize::from(byte)] = false;
            left -= 1;
            found(byte, from + at);
        }
    }
}

/// Probes of one byte, by that byte in lower case.
#[derive(Default)]
pub(super) struct SingleProbes(Vec<(u8, u32)>);

impl SingleProbes {
    pub(super) fn new(mut probes: Vec<(u8, u32)>) -> Self {
        probes.sort_unstable();
        Self(probes)
    }

    /// The probes that `byte`, in either case, may be.
    pub(super) fn of(&self, byte: u8) -> impl Iterator<Item = &u32> {
        let byte = byte.to_ascii_lowercase();
        let from = self.0.partition_point(|&(other, _)| other < byte);
        self.0[from..]
            .iter()
            .take_while(move |&&(other, _)| other == byte)
            .map(|(_, probe)| probe)
    }
}
