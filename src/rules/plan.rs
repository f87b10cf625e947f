//! `weir rules check --plan`: what stands for each rule in the matcher, how often that is expected, and which rules are dear.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::{self, Write};

use serde_json::{Value, json};
use weir_engine::detect::Groups;
use weir_engine::plan::{PortSet, Proto, Rule, RuleSet};
use weir_rules::frequency::Table as Frequencies;
use weir_rules::probe::{Cost, Dear, Occasion, Reason};

use super::literal;
use crate::ui::figures;
use crate::ui::table::{Align, Table};

/// Dear rules that are named in text.
const DEAREST: usize = 25;

/// Groups of a rule that are named in text.
const GROUPS: usize = 3;

/// A rule and what it costs.
struct Row<'a> {
    rule: &'a Rule,
    cost: Cost,
    /// Matcher groups that look for its probe, one bit each.
    groups: u64,
}

/// The plan of a rule set.
pub struct Plan<'a> {
    table: &'a Frequencies,
    groups: Groups,
    /// By place in their files.
    rows: Vec<Row<'a>>,
    /// Places in `rows`, the dearest first.
    dear: Vec<usize>,
}

/// Sums over all rules.
#[derive(Default)]
struct Totals {
    probes: usize,
    /// Share of offsets at which a probe stands.
    offsets: f64,
    by_probe: usize,
    /// Rules that a payload is expected to make candidates, before headers are checked.
    candidates: f64,
    by_packet: usize,
    /// Of those, rules that name no port.
    any_port: usize,
    by_flow: usize,
    by_event: usize,
}

impl<'a> Plan<'a> {
    /// Plans a rule set whose probes were chosen by `table`.
    pub fn new(rules: &'a RuleSet, table: &'a Frequencies) -> Self {
        let groups = Groups::new(rules);
        let mut rows: Vec<Row<'a>> = rules
            .rules()
            .iter()
            .map(|rule| {
                let cost = Cost::of(rule, table);
                let probed = matches!(cost.occasion, Occasion::Probe(_));
                Row {
                    rule,
                    groups: if probed { groups.of_rule(rule) } else { 0 },
                    cost,
                }
            })
            .collect();
        rows.sort_by(|a, b| a.rule.meta.origin.cmp(&b.rule.meta.origin));
        let mut dear: Vec<usize> = (0..rows.len())
            .filter(|&at| rows.get(at).is_some_and(|row| row.cost.dear.is_some()))
            .collect();
        dear.sort_by(|&a, &b| match (rows.get(a), rows.get(b)) {
            (Some(a), Some(b)) => by_cost(a, b),
            _ => Ordering::Equal,
        });
        Self {
            table,
            groups,
            rows,
            dear,
        }
    }

    /// Writes the plan as text; rule by rule unless `summary` is all that is wanted.
    pub fn print(&self, out: &mut dyn Write, summary: bool) -> io::Result<()> {
        if !summary && !self.rows.is_empty() {
            let mut table = Table::new([
                ("sid", Align::Right),
                ("probe", Align::Left),
                ("hits in 1,000,000 offsets", Align::Right),
                ("candidate in 1,000 payloads", Align::Right),
                ("groups", Align::Left),
            ]);
            for row in &self.rows {
                let (probe, hits, evaluated) = match row.cost.occasion {
                    Occasion::Probe(estimate) => (
                        row.probe(),
                        number(estimate.offsets * 1e6),
                        number(estimate.payloads * 1e3),
                    ),
                    other => (
                        String::new(),
                        String::new(),
                        other_occasion(other).to_owned(),
                    ),
                };
                table.row([sid(row.rule), probe, hits, evaluated, self.where_to(row)]);
            }
            table.write(out, "")?;
            writeln!(out)?;
        }
        if !self.dear.is_empty() {
            let mut table = Table::new([
                ("dear", Align::Right),
                ("candidate in 1,000 payloads", Align::Right),
                ("on", Align::Left),
                ("because of", Align::Left),
            ]);
            for row in self.dear().take(DEAREST) {
                let evaluated = match row.cost.occasion {
                    Occasion::Probe(estimate) => number(estimate.payloads * 1e3),
                    other => other_occasion(other).to_owned(),
                };
                table.row([sid(row.rule), evaluated, header(row.rule), row.why()]);
            }
            table.write(out, "")?;
            if let more @ 1.. = self.dear.len().saturating_sub(DEAREST) {
                writeln!(
                    out,
                    "and {} (--json has them all)",
                    figures::counted(more as u64, "more rule")
                )?;
            }
            writeln!(out)?;
        }
        let totals = self.totals();
        writeln!(
            out,
            "plan: {} by {}, which are expected at {} of 1,000,000 offsets and make {} candidates in 1,000 payloads",
            figures::counted(totals.by_probe as u64, "rule"),
            figures::counted(totals.probes as u64, "probe"),
            number(totals.offsets * 1e6),
            number(totals.candidates * 1e3)
        )?;
        writeln!(
            out,
            "      {} on every packet that the header lets through, {} of them on any port; {} once a flow; {} on decoder \
             events",
            figures::counted(totals.by_packet as u64, "rule"),
            figures::count(totals.any_port as u64),
            figures::count(totals.by_flow as u64),
            figures::count(totals.by_event as u64)
        )?;
        let learnt = self.table.learnt();
        writeln!(
            out,
            "      by a table that was learnt from {} with {} of payload",
            figures::counted(learnt.packets, "packet"),
            figures::bytes(learnt.bytes)
        )
    }

    /// The plan for programs.
    pub fn json(&self) -> Value {
        let learnt = self.table.learnt();
        let totals = self.totals();
        let rules: Vec<Value> = self.rows.iter().map(|row| self.row_json(row)).collect();
        let dear: Vec<Value> = self
            .dear()
            .map(|row| {
                json!({
                    "gid": row.rule.meta.gid,
                    "sid": row.rule.meta.sid,
                    "on": header(row.rule),
                    "because": row.why(),
                })
            })
            .collect();
        let groups: Vec<String> = (0..self.groups.count())
            .map(|group| self.groups.name(group))
            .collect();
        json!({
            "frequency": {
                "packets": learnt.packets,
                "payloads": learnt.payloads,
                "bytes": learnt.bytes,
                "windows": self.table.windows(),
                "least": self.table.least(),
            },
            "groups": groups,
            "rules": rules,
            "dear": dear,
            "total": {
                "probes": totals.probes,
                "hits_per_million_offsets": totals.offsets * 1e6,
                "candidates_per_thousand_payloads": totals.candidates * 1e3,
                "by_probe": totals.by_probe,
                "by_packet": totals.by_packet,
                "by_packet_any_port": totals.any_port,
                "by_flow": totals.by_flow,
                "by_event": totals.by_event,
            },
        })
    }

    fn row_json(&self, row: &Row<'_>) -> Value {
        let meta = &row.rule.meta;
        let (file, line) = &meta.origin;
        let mut value = json!({
            "gid": meta.gid,
            "sid": meta.sid,
            "file": &**file,
            "line": line,
            "candidate_by": match row.cost.occasion {
                Occasion::Probe(_) => "probe",
                Occasion::Packet => "packet",
                Occasion::Flow => "flow",
                Occasion::Event => "event",
            },
        });
        if let (Occasion::Probe(estimate), Some(probe)) = (row.cost.occasion, &row.rule.probe) {
            let hex: String = probe
                .bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            value["probe"] = json!({
                "text": probe.bytes.escape_ascii().to_string(),
                "hex": hex,
                "folded": probe.folded,
            });
            value["groups"] = self.numbers(row).collect();
            value["hits_per_million_offsets"] = (estimate.offsets * 1e6).into();
            value["candidates_per_thousand_payloads"] = (estimate.payloads * 1e3).into();
        }
        value
    }

    fn dear(&self) -> impl Iterator<Item = &Row<'a>> {
        self.dear.iter().filter_map(|&at| self.rows.get(at))
    }

    fn numbers(&self, row: &Row<'_>) -> impl DoubleEndedIterator<Item = u8> {
        let groups = row.groups;
        (0..self.groups.count()).filter(move |group| groups >> group & 1 == 1)
    }

    /// The groups of a rule, or what its header asks for where there are none.
    fn where_to(&self, row: &Row<'_>) -> String {
        let all = row.groups.count_ones() as usize;
        if all == 0 {
            return header(row.rule);
        }
        // Groups of named ports come last, and say most.
        let names: Vec<String> = self
            .numbers(row)
            .rev()
            .take(GROUPS)
            .map(|group| self.groups.name(group))
            .collect();
        let more = match all.saturating_sub(GROUPS) {
            0 => String::new(),
            more => format!("; {}", figures::counted(more as u64, "more group")),
        };
        format!("{}{more}", names.join("; "))
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut probes = HashSet::new();
        for row in &self.rows {
            match row.cost.occasion {
                Occasion::Probe(estimate) => {
                    totals.by_probe += 1;
                    totals.candidates += estimate.payloads;
                    let probe = row.rule.probe.as_ref();
                    if probe.is_some_and(|probe| probes.insert((&probe.bytes, probe.folded))) {
                        totals.probes += 1;
                        totals.offsets += estimate.offsets;
                    }
                }
                Occasion::Packet => {
                    totals.by_packet += 1;
                    totals.any_port += usize::from(any_port(row.rule));
                }
                Occasion::Flow => totals.by_flow += 1,
                Occasion::Event => totals.by_event += 1,
            }
        }
        totals
    }
}

impl Row<'_> {
    fn probe(&self) -> String {
        let probe = self.rule.probe.as_ref();
        probe.map_or_else(String::new, |probe| literal(&probe.bytes, probe.folded))
    }

    /// Why it is evaluated often.
    fn why(&self) -> String {
        match &self.cost.dear {
            None => String::new(),
            Some(Dear::NoContent) => "no content that the payload must have".to_owned(),
            Some(Dear::Window {
                bytes,
                folded,
                reason,
            }) => {
                let what = match reason {
                    Reason::Frequent => "common contents only, the best of them",
                    Reason::Short => "short contents only, the best of them",
                    Reason::Run => "runs only, such as",
                    Reason::Periodic => "repetitions only, such as",
                };
                format!("{what} {}", literal(bytes, *folded))
            }
        }
    }
}

/// The dearer rule first: those that are evaluated on every packet of a protocol that most packets have, then on every
/// packet of some ports or of other protocols, then by how often their probe is expected.
fn by_cost(a: &Row<'_>, b: &Row<'_>) -> Ordering {
    let rank = |row: &Row<'_>| match (row.cost.occasion, any_port(row.rule)) {
        (Occasion::Packet, true) if common(row.rule.header.proto) => (0, 0.0),
        (Occasion::Packet, false) => (1, 0.0),
        (Occasion::Packet, true) => (2, 0.0),
        (Occasion::Probe(estimate), _) => (3, -estimate.payloads),
        (Occasion::Flow | Occasion::Event, _) => (4, 0.0),
    };
    let ((a_class, a_share), (b_class, b_share)) = (rank(a), rank(b));
    a_class.cmp(&b_class).then(a_share.total_cmp(&b_share))
}

fn common(proto: Proto) -> bool {
    !matches!(
        proto,
        Proto::Icmp
            | Proto::Icmp4
            | Proto::Icmp6
            | Proto::Sctp
            | Proto::Igmp
            | Proto::Number(_)
            | Proto::Arp
    )
}

fn any_port(rule: &Rule) -> bool {
    rule.header.sport.is_any() && rule.header.dport.is_any()
}

fn other_occasion(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Probe(_) => "",
        Occasion::Packet => "every packet",
        Occasion::Flow => "once a flow",
        Occasion::Event => "decoder events",
    }
}

fn sid(rule: &Rule) -> String {
    match (rule.meta.gid, rule.meta.sid) {
        (1, sid) => sid.to_string(),
        (gid, sid) => format!("{gid}:{sid}"),
    }
}

/// A number that may be small: two digits behind the point, and what is less than that as such.
fn number(number: f64) -> String {
    if number < 0.005 {
        "< 0.01".to_owned()
    } else if number < 100.0 {
        format!("{number:.2}")
    } else {
        figures::count(number.round() as u64)
    }
}

/// Protocol and ports of a header in words.
fn header(rule: &Rule) -> String {
    let header = &rule.header;
    let proto = match header.proto {
        Proto::Ip => "ip".to_owned(),
        Proto::Ip4 => "ipv4".to_owned(),
        Proto::Ip6 => "ipv6".to_owned(),
        Proto::Tcp => "tcp".to_owned(),
        Proto::TcpPkt => "tcp packets".to_owned(),
        Proto::TcpStream => "tcp streams".to_owned(),
        Proto::Udp => "udp".to_owned(),
        Proto::Icmp => "icmp".to_owned(),
        Proto::Icmp4 => "icmpv4".to_owned(),
        Proto::Icmp6 => "icmpv6".to_owned(),
        Proto::Sctp => "sctp".to_owned(),
        Proto::Igmp => "igmp".to_owned(),
        Proto::Number(number) => format!("ip protocol {number}"),
        Proto::PktHdr => "every packet".to_owned(),
        Proto::Ether => "ethernet".to_owned(),
        Proto::Arp => "arp".to_owned(),
    };
    let mut words = vec![proto];
    for (ports, way) in [(&header.sport, "from"), (&header.dport, "to")] {
        if !ports.is_any() {
            words.push(format!("{way} {}", port_words(ports)));
        }
    }
    words.join(" ")
}

/// The first few ranges of a set of ports.
fn port_words(ports: &PortSet) -> String {
    const SHOWN: usize = 4;
    let ranges = ports.ranges();
    let mut words: Vec<String> = ranges
        .iter()
        .take(SHOWN)
        .map(|&(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    if ranges.len() > SHOWN {
        words.push("…".to_owned());
    }
    words.join(",")
}
