//! What was swept, and whether that is all.

use std::collections::BTreeMap;
use std::fmt;

use card_protocol::report::FLAGS_UNFINISHED;
use weir_sim::core::Totals;

/// Ways in which input can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Magic,
    Nonce,
    HeaderCrc,
    Length,
    Group,
    Carry,
    PayloadCrc,
    Stale,
    Truncated,
    Garbage,
    Flush,
    Reset,
}

impl Fault {
    pub const ALL: [Self; 12] = [
        Self::Magic,
        Self::Nonce,
        Self::HeaderCrc,
        Self::Length,
        Self::Group,
        Self::Carry,
        Self::PayloadCrc,
        Self::Stale,
        Self::Truncated,
        Self::Garbage,
        Self::Flush,
        Self::Reset,
    ];
}

/// What happened in all runs of a core.
#[derive(Debug, Default)]
pub struct Coverage {
    pub flags: u8,
    pub switches: u64,
    pub switches_in_flight: u64,
    /// Tables that did not fit beside the live ones.
    pub refused: u64,
    /// Old tables cleared while records of the new ones were under way.
    pub clears_in_flight: u64,
    most_in_flight: usize,
    pub faults: BTreeMap<Fault, u64>,
    /// For each carry, the lengths up to 200 that were sent, and which bytes of the last beat records ended in.
    lengths: BTreeMap<u8, Vec<bool>>,
    ends: BTreeMap<u8, Vec<bool>>,
    groups: u64,
    long: usize,
    pub records: u64,
    stalls: u64,
    idle: u64,
    out_stalls: u64,
}

/// Lengths up to here are swept one by one.
pub const SHORT: usize = 200;

impl Coverage {
    pub fn record(&mut self, length: usize, carry: u8, group: u8, lanes: usize) {
        self.records += 1;
        self.groups |= 1 << group;
        self.long = self.long.max(length);
        let ends = self.ends.entry(carry).or_insert_with(|| vec![false; lanes]);
        ends[(length + 32) % lanes] = true;
        let lengths = self
            .lengths
            .entry(carry)
            .or_insert_with(|| vec![false; SHORT + 1]);
        if let Some(seen) = lengths.get_mut(length) {
            *seen = true;
        }
    }

    /// Tables change while so many records are under way.
    pub fn switch(&mut self, under_way: usize) {
        self.switches += 1;
        self.switches_in_flight += u64::from(under_way > 0);
        self.most_in_flight = self.most_in_flight.max(under_way);
    }

    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub fn totals(&mut self, totals: &Totals) {
        self.stalls = self.stalls.max(totals.stalls);
        self.idle = self.idle.max(totals.idle);
        self.out_stalls = self.out_stalls.max(totals.out_stalls);
    }

    /// What is missing.
    pub fn gaps(&self, clocked: bool, longest: usize) -> Vec<String> {
        let mut gaps = Vec::new();
        let mut need = |there: bool, what: String| {
            if !there {
                gaps.push(what);
            }
        };
        for carry in 0..8u8 {
            let lengths = self.lengths.get(&carry);
            let missing = (usize::from(carry)..=SHORT)
                .find(|&length| lengths.is_none_or(|lengths| !lengths[length]));
            need(
                missing.is_none(),
                format!("carry {carry} with length {missing:?}"),
            );
            let ends = self.ends.get(&carry);
            let missing = ends.map_or(Some(0), |ends| ends.iter().position(|&seen| !seen));
            need(
                missing.is_none(),
                format!("carry {carry} with an end in lane {missing:?}"),
            );
        }
        need(
            self.groups == u64::MAX,
            format!("groups {:x}", !self.groups),
        );
        need(self.long == longest, "the longest record".to_owned());
        need(
            self.flags & FLAGS_UNFINISHED == FLAGS_UNFINISHED,
            format!("flags, but for {:#x}", self.flags),
        );
        need(
            self.switches_in_flight > 0,
            "a switch with records under way".to_owned(),
        );
        for fault in Fault::ALL {
            need(self.faults.contains_key(&fault), format!("{fault:?}"));
        }
        if clocked {
            need(self.stalls > 0, "input held up".to_owned());
            need(self.idle > 0, "idle input".to_owned());
            need(self.out_stalls > 0, "output held up".to_owned());
        }
        gaps
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: usize = self
            .lengths
            .values()
            .flatten()
            .filter(|&&seen| seen)
            .count();
        let ends: usize = self.ends.values().flatten().filter(|&&seen| seen).count();
        writeln!(f, "  records               {}", self.records)?;
        writeln!(
            f,
            "  carry x length <= {SHORT}  {lengths}; longest {}",
            self.long
        )?;
        writeln!(f, "  carry x last lane     {ends}")?;
        writeln!(f, "  groups                {}", self.groups.count_ones())?;
        writeln!(f, "  flags                 {:#06b}", self.flags)?;
        writeln!(
            f,
            "  switches              {}, {} of them with records under way, {} at most; {} clears; {} refused",
            self.switches,
            self.switches_in_flight,
            self.most_in_flight,
            self.clears_in_flight,
            self.refused
        )?;
        writeln!(
            f,
            "  most cycles a run of: input idle {}, input held up {}, output held up {}",
            self.idle, self.stalls, self.out_stalls
        )?;
        write!(f, "  faults               ")?;
        self.faults
            .iter()
            .try_for_each(|(fault, count)| write!(f, " {fault:?} {count}"))?;
        writeln!(f)
    }
}
