//! A probe set as a core and software share it, and answers put together again.

use std::sync::Arc;

use card_protocol::record::{CARRIES, MAX_LENGTH};
use weir_engine::matcher::{Hit, Matcher, MatcherError, Outcome, Probe, Request, Software};

use crate::EntryHit;
use crate::split::Split;

/// What host software has to know of a probe set that was loaded into a core.
pub struct Share {
    split: Arc<Split>,
    /// Groups of which the core looks for any probe.
    core_groups: u64,
    software: Software,
    /// Groups of which software looks for any probe.
    software_groups: u64,
}

/// True when a mask has this group's bit.
fn has(groups: u64, group: u8) -> bool {
    groups
        .checked_shr(group.into())
        .is_some_and(|groups| groups & 1 == 1)
}

impl Share {
    /// Of probes that were split.
    ///
    /// # Errors
    /// When there are too many for software.
    pub fn new(probes: &[Probe], split: &Arc<Split>) -> Result<Self, MatcherError> {
        let of_software: Vec<Probe> = split
            .software
            .iter()
            .filter_map(|&probe| probes.get(probe as usize).copied())
            .collect();
        let mut software = Software::new();
        software.load(&of_software)?;
        let all = split.entries.iter().flatten();
        Ok(Self {
            core_groups: all.fold(0, |groups, &(_, more)| groups | more),
            software_groups: of_software
                .iter()
                .fold(0, |groups, probe| groups | probe.groups),
            split: Arc::clone(split),
            software,
        })
    }

    /// Probes that software looks for.
    pub fn moved(&self) -> &[u32] {
        &self.split.software
    }

    /// True when the core looks for any probe of the group.
    pub fn needs_core(&self, group: u8) -> bool {
        has(self.core_groups, group)
    }

    /// The probes of a group for which an entry stands.
    pub fn probes(&self, entry: u32, group: u8) -> impl Iterator<Item = u32> + '_ {
        let probes = self
            .split
            .entries
            .get(entry as usize)
            .map_or(&[][..], Vec::as_slice);
        let wanted = probes
            .iter()
            .filter(move |&&(_, groups)| has(groups, group));
        wanted.map(|&(probe, _)| probe)
    }

    /// Adds the hits of a record whose payload starts at `start` in the request's data.
    pub fn translate(&self, found: &[EntryHit], group: u8, start: u32, hits: &mut Vec<Hit>) {
        for hit in found {
            let end = start.saturating_add(hit.end.into());
            let probes = self.probes(hit.entry, group);
            hits.extend(probes.map(|probe| Hit { probe, end }));
        }
    }

    /// Adds what software finds. False when it could not finish.
    pub fn search(&mut self, request: &Request<'_>, hits: &mut Vec<Hit>) -> bool {
        if !has(self.software_groups, request.group) {
            return true;
        }
        let Self {
            software, split, ..
        } = self;
        let mut done = false;
        if software.submit(*request).is_ok() {
            software.poll(&mut |report| {
                done = report.outcome == Outcome::Done;
                hits.extend(report.hits.iter().filter_map(|hit| {
                    let probe = *split.software.get(hit.probe as usize)?;
                    Some(Hit { probe, ..*hit })
                }));
            });
        }
        done
    }
}

/// A part of a buffer that makes a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its payload starts in the request's data.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its carry.
    pub carry: u8,
}

/// Cuts a request's data into records: those after the first begin with as many bytes of the one before as a probe may reach
/// back. Data with nothing after the carry makes none.
pub fn pieces(length: usize, carry: u8) -> impl Iterator<Item = Piece> {
    const REACH: u8 = CARRIES - 1;
    let mut reported = usize::from(carry);
    std::iter::from_fn(move || {
        if reported >= length {
            return None;
        }
        let carry = reported.min(REACH.into());
        let start = reported - carry;
        let end = length.min(start + MAX_LENGTH);
        reported = end;
        Some(Piece {
            start,
            end,
            carry: carry as u8,
        })
    })
}

/// Leaves each probe once, with its first end.
pub fn settle(hits: &mut Vec<Hit>) {
    if hits.len() < 2 {
        return;
    }
    hits.sort_unstable();
    hits.dedup_by_key(|hit| hit.probe);
}
