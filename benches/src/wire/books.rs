//! What became of every frame: the sensor's own books, and those of the links.

use serde::Serialize;
use serde_json::Value;
use weir_testbed::BedCounters;
use weir_xdp::common::{Outcome, Tally};
use weir_xdp::program::Attached;

use crate::BenchError;

/// Of the frames that came on one port, how many met which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Books {
    /// Frames that came to the XDP program.
    pub seen: u64,
    /// Handed to user space.
    pub to_user: u64,
    /// Of bypassed flows: forwarded in the kernel.
    pub bypassed: u64,
    /// Of blocked flows: dropped in the kernel.
    pub blocked: u64,
    /// Forwarded in the kernel, uninspected.
    pub failed_open: u64,
    /// Dropped in the kernel, uninspected.
    pub failed_closed: u64,
    /// Dropped, as there was no port to forward them to.
    pub no_peer: u64,
    /// Taken by user space.
    pub received: u64,
    /// Lost as a socket's ring was full.
    pub ring_dropped: u64,
    /// In the rings of a process that died.
    pub lost_in_rings: u64,
    /// Handed over and not heard of since.
    pub under_way: u64,
    /// Put on the other port's ring.
    pub passed: u64,
    /// Dropped by a rule.
    pub dropped: u64,
    /// Dropped by a rule, and answered.
    pub rejected: u64,
    /// Lost as the other port's ring was full.
    pub tx_full: u64,
    /// Lost, as their descriptors made no sense.
    pub invalid: u64,
    /// Lost, as the worker that they belong to did not keep up.
    pub hand_over_full: u64,
    /// In the hands of a process that died.
    pub lost_in_hands: u64,
}

impl Books {
    /// Of one port, from the figures of a run (`--stats`).
    ///
    /// # Errors
    /// [`BenchError::Nothing`] where a figure is missing.
    pub fn of_stats(stats: &Value, port: usize) -> Result<Self, BenchError> {
        let of = stats.pointer(&format!("/wire/ports/{port}"));
        let read = |name: &str| {
            let value = of.and_then(|of| of.get(name));
            let count = value.and_then(|value| value.get("packets").unwrap_or(value).as_u64());
            count.ok_or_else(|| {
                BenchError::Nothing(format!(
                    "the sensor's figures have no count at wire.ports[{port}].{name}"
                ))
            })
        };
        Ok(Self {
            seen: read("seen")?,
            to_user: read("to_user")?,
            bypassed: read("bypassed")?,
            blocked: read("blocked")?,
            failed_open: read("failed_open")?,
            failed_closed: read("failed_closed")?,
            no_peer: read("no_peer")?,
            received: read("received")?,
            ring_dropped: read("ring_dropped")?,
            lost_in_rings: read("lost_in_rings")?,
            under_way: read("under_way")?,
            passed: read("passed")?,
            dropped: read("dropped")?,
            rejected: read("rejected")?,
            tx_full: read("tx_full")?,
            invalid: read("invalid")?,
            hand_over_full: read("hand_over_full")?,
            lost_in_hands: read("lost_in_hands")?,
        })
    }

    /// Of one port, since its program was first attached, whatever processes have come and gone.
    ///
    /// # Errors
    /// [`BenchError::Nothing`] where the kernel does not say.
    pub fn of_life(attached: &Attached, port: usize) -> Result<Self, BenchError> {
        let counters = attached
            .counters()
            .map_err(|error| BenchError::Nothing(error.to_string()))?;
        let counters = counters.ports.get(port).ok_or_else(|| {
            BenchError::Nothing(format!("the kernel has no counters of port {port}"))
        })?;
        let outcome = |outcome| counters.outcome(outcome).packets;
        let tally = |tally| attached.tally(port, tally);
        let mut books = Self {
            seen: counters.received.packets,
            to_user: outcome(Outcome::ToUser),
            bypassed: outcome(Outcome::Bypassed),
            blocked: outcome(Outcome::Blocked),
            failed_open: outcome(Outcome::FailedOpen),
            failed_closed: outcome(Outcome::FailedClosed),
            no_peer: outcome(Outcome::NoPeer),
            received: tally(Tally::Received),
            ring_dropped: tally(Tally::RingDropped),
            lost_in_rings: tally(Tally::LostInRings),
            under_way: 0,
            passed: tally(Tally::Passed),
            dropped: tally(Tally::Dropped),
            rejected: tally(Tally::Rejected),
            tx_full: tally(Tally::TxFull),
            invalid: tally(Tally::Invalid),
            hand_over_full: tally(Tally::HandOverFull),
            lost_in_hands: tally(Tally::LostInHands),
        };
        let known = books.received + books.ring_dropped + books.lost_in_rings;
        books.under_way = books.to_user.saturating_sub(known);
        Ok(books)
    }

    /// What does not add up, in words.
    pub fn faults(&self) -> Vec<String> {
        let sums = [
            (
                "seen",
                self.seen,
                "the kernel's outcomes",
                vec![
                    self.to_user,
                    self.bypassed,
                    self.blocked,
                    self.failed_open,
                    self.failed_closed,
                    self.no_peer,
                ],
            ),
            (
                "to_user",
                self.to_user,
                "received, in rings and under way",
                vec![
                    self.received,
                    self.ring_dropped,
                    self.lost_in_rings,
                    self.under_way,
                ],
            ),
            (
                "received",
                self.received,
                "the verdicts",
                vec![
                    self.passed,
                    self.dropped,
                    self.rejected,
                    self.tx_full,
                    self.invalid,
                    self.hand_over_full,
                    self.lost_in_hands,
                ],
            ),
        ];
        let sums = sums.into_iter();
        sums.filter_map(|(name, whole, of, parts)| {
            let sum: u64 = parts.iter().sum();
            (sum != whole).then(|| format!("{name} {whole}, but {of} add up to {sum}"))
        })
        .collect()
    }

    /// Frames that did not go on, by what became of them.
    pub fn losses(&self) -> [(&'static str, u64); 12] {
        [
            ("ring_dropped", self.ring_dropped),
            ("tx_full", self.tx_full),
            ("failed_closed", self.failed_closed),
            ("no_peer", self.no_peer),
            ("blocked", self.blocked),
            ("dropped", self.dropped),
            ("rejected", self.rejected),
            ("invalid", self.invalid),
            ("hand_over_full", self.hand_over_full),
            ("lost_in_rings", self.lost_in_rings),
            ("lost_in_hands", self.lost_in_hands),
            ("under_way", self.under_way),
        ]
    }

    /// Frames that it handed on to the other port's link.
    pub fn went_on(&self) -> u64 {
        self.passed + self.bypassed + self.failed_open
    }
}

/// A load's frames, and where each of them ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Frames that the client's kernel took.
    pub sent: u64,
    /// Different frames that the server's kernel gave to the sink, each as it was sent.
    pub received: u64,
    /// Frames that were counted as lost, by who counted them. `link_in`: they found the ring of port A full. `link_out`: the
    /// server's. `sink`: the sink was too slow.
    pub lost: Vec<(&'static str, u64)>,
    /// Sent, less received, less lost: 0 when every frame is accounted for.
    pub off: i64,
}

impl Account {
    /// Of a load that went from client to server with no other traffic on the links. `books` are those of port A.
    pub fn new(
        sent: u64,
        received: u64,
        in_sink: u64,
        links: &BedCounters,
        books: Option<&Books>,
    ) -> Self {
        let mut lost = vec![("link_in", links.client.tx_dropped)];
        lost.extend(books.into_iter().flat_map(Books::losses));
        lost.extend([("link_out", links.b.tx_dropped), ("sink", in_sink)]);
        lost.retain(|(_, count)| *count > 0);
        let sum: u64 = lost.iter().map(|(_, count)| count).sum();
        Self {
            sent,
            received,
            lost,
            off: difference(sent, received.saturating_add(sum)),
        }
    }

    /// Frames that did not arrive and whose end was counted.
    pub fn counted(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }

    /// As text: what was lost, by cause.
    pub fn lost_text(&self) -> String {
        if self.lost.is_empty() {
            return "nothing".to_owned();
        }
        let each = self.lost.iter();
        let each: Vec<String> = each
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        each.join(", ")
    }
}

/// Less than zero where `b` is larger.
fn difference(a: u64, b: u64) -> i64 {
    let distance = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a >= b { distance } else { -distance }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats() -> Value {
        let count = |packets: u64| json!({ "packets": packets, "bytes": packets * 60 });
        let port = json!({
            "name": "port-a",
            "seen": count(1000),
            "to_user": count(900),
            "bypassed": count(60),
            "blocked": count(10),
            "failed_open": count(5),
            "failed_closed": count(20),
            "no_peer": count(5),
            "received": 860,
            "ring_dropped": 30,
            "lost_in_rings": 7,
            "under_way": 3,
            "passed": 798,
            "dropped": 40,
            "rejected": 10,
            "tx_full": 6,
            "invalid": 1,
            "hand_over_full": 2,
            "lost_in_hands": 3,
        });
        json!({ "wire": { "ports": [port] } })
    }

    fn links(into: u64, out: u64) -> BedCounters {
        let mut links = BedCounters::default();
        links.client.tx_dropped = into;
        links.b.tx_dropped = out;
        // What the kernel counts at the far end is the same once more.
        links.a.rx_dropped = into;
        links
    }

    #[test]
    fn books_that_add_up_have_no_fault_and_any_frame_more_or_less_is_one() {
        let good = stats();
        let books = Books::of_stats(&good, 0).expect("all figures are there");
        assert_eq!(books.faults(), Vec::<String>::new());
        let port = good["wire"]["ports"][0].as_object().expect("an object");
        for name in port.keys().filter(|name| *name != "name") {
            let mut bad = stats();
            let value = &mut bad["wire"]["ports"][0][name];
            let value = if value.is_object() {
                &mut value["packets"]
            } else {
                value
            };
            *value = json!(value.as_u64().expect("a count") + 1);
            let books = Books::of_stats(&bad, 0).expect("all figures are there");
            assert!(!books.faults().is_empty(), "{name}");
            let mut bad = stats();
            bad["wire"]["ports"][0]
                .as_object_mut()
                .expect("an object")
                .remove(name);
            let error = Books::of_stats(&bad, 0).expect_err("a figure is missing");
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(Books::of_stats(&good, 1).is_err());
    }

    #[test]
    fn every_frame_is_received_or_lost_somewhere() {
        let books = Books::of_stats(&stats(), 0).expect("all figures are there");
        // 1,000 of 1,050 were seen, and 863 of them went on.
        assert_eq!(books.went_on(), 863);
        let account = Account::new(1050, 843, 8, &links(50, 12), Some(&books));
        assert_eq!(account.off, 0, "{account:?}");
        assert_eq!(account.counted(), 207);
        assert!(account.lost.contains(&("link_out", 12)), "{account:?}");
        let account = Account::new(1050, 842, 8, &links(50, 12), Some(&books));
        assert_eq!(account.off, 1);
        let account = Account::new(1050, 845, 8, &links(50, 12), Some(&books));
        assert_eq!(account.off, -2);
        let bridge = Account::new(100, 90, 0, &links(4, 6), None);
        assert_eq!((bridge.off, bridge.lost.len()), (0, 2));
        assert_eq!(bridge.lost_text(), "link_in 4, link_out 6");
    }
}
