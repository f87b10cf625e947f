//! Groups of the buffers of transactions: one for each buffer and direction that many rules look into, one that the
//! others share.

use std::collections::BTreeMap;

use crate::app::{AppBuffer, Way, Ways};
use crate::matcher::MAX_GROUPS;
use crate::plan::{Buffer, Rule, RuleSet};

/// The groups of buffers.
#[derive(Default)]
pub(super) struct BufferGroups {
    /// By buffer and way.
    groups: Vec<[Option<u8>; 2]>,
    first: u8,
    count: u8,
}

impl BufferGroups {
    /// Plans them; `first` is the first that is free.
    pub(super) fn new(rules: &RuleSet, first: u8) -> Self {
        let mut rules_of: BTreeMap<(AppBuffer, usize), usize> = BTreeMap::new();
        for rule in rules.rules() {
            for key in places(rule) {
                *rules_of.entry(key).or_default() += 1;
            }
        }
        let mut by_rules: Vec<((AppBuffer, usize), usize)> = rules_of.into_iter().collect();
        by_rules.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let room = usize::from((MAX_GROUPS).saturating_sub(first));
        let shared = by_rules.len() > room;
        let own = if shared {
            room.saturating_sub(1)
        } else {
            by_rules.len()
        };
        let mut groups = Self {
            groups: vec![[None; 2]; AppBuffer::ALL.len()],
            first,
            count: (own + usize::from(shared)) as u8,
        };
        for (number, ((buffer, way), _)) in by_rules.into_iter().enumerate() {
            let group = first + number.min(own) as u8;
            if let Some(of_buffer) = groups.groups.get_mut(buffer as usize) {
                of_buffer[way] = Some(group);
            }
        }
        groups
    }

    pub(super) fn count(&self) -> u8 {
        self.count
    }

    pub(super) fn of(&self, buffer: AppBuffer, way: Way) -> Option<u8> {
        self.groups.get(buffer as usize)?[way as usize]
    }

    /// The groups that the rule's probe is looked for in, one bit each.
    pub(super) fn of_rule(&self, rule: &Rule) -> u64 {
        let groups = places(rule).filter_map(|(buffer, way)| self.of(buffer, Way::of(way)));
        groups.fold(0, |groups, group| groups | 1 << group)
    }

    /// What belongs to a group, in words; empty for one that is not there.
    pub(super) fn name(&self, group: u8) -> String {
        if group < self.first || group >= self.first + self.count {
            return String::new();
        }
        let all = AppBuffer::ALL.iter().flat_map(|&buffer| {
            let of_way =
                move |way: Way| (self.of(buffer, way) == Some(group)).then_some((buffer, way));
            Way::ALL.into_iter().filter_map(of_way)
        });
        let names: Vec<String> = all
            .map(|(buffer, way)| match way {
                Way::ToServer => format!("{} to server", buffer.name()),
                Way::ToClient => format!("{} to client", buffer.name()),
            })
            .collect();
        match names.as_slice() {
            [name] => name.clone(),
            names => format!("{} buffers of which few rules ask", names.len()),
        }
    }
}

/// Where the rule's probe is looked for.
fn places(rule: &Rule) -> impl Iterator<Item = (AppBuffer, usize)> {
    let probe = rule.probe.as_ref().zip(rule.tx_needs());
    let place = probe.and_then(|(probe, needs)| match probe.buffer {
        Buffer::App(buffer) => Some((buffer, buffer.ways(), needs)),
        Buffer::AppOf(buffer, true) => Some((buffer, Ways::ToServer, needs)),
        Buffer::AppOf(buffer, false) => Some((buffer, Ways::ToClient, needs)),
        _ => None,
    });
    place.into_iter().flat_map(|(buffer, ways, needs)| {
        let both = needs.both;
        let looks = move |way: usize| {
            ways.has(way) && (needs.ways.get(way).copied().unwrap_or(false) || both)
        };
        [0, 1]
            .into_iter()
            .filter(move |&way| looks(way))
            .map(move |way| (buffer, way))
    })
}
