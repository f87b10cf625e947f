//! `[[suppress]]`, `[[threshold]]`, `[[rate-filter]]`, and Suricata's `threshold.config`, which says the same.

mod file;

use weir_engine::plan::{Action, AddrSet, HostTest, RejectTo, Threshold, ThresholdKind, Track};
use weir_engine::state::{LimitOverride, Overrides, RateFilter, Suppression, Which};
use weir_rules::compile::Variables;

use super::read::Section;
use super::{ConfigError, Group};

pub use file::read as read_file;

/// Largest number of a rule, count or time.
const MOST: usize = u32::MAX as usize;

/// Whose address a suppression looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
    Either,
}

const SIDES: [(&str, Side); 3] = [
    ("by_src", Side::Source),
    ("by_dst", Side::Destination),
    ("by_either", Side::Either),
];

/// What a limit counts by.
const TRACKS: [(&str, Track); 5] = [
    ("by_src", Track::BySrc),
    ("by_dst", Track::ByDst),
    ("by_both", Track::ByBoth),
    ("by_rule", Track::ByRule),
    ("by_flow", Track::ByFlow),
];

/// Kinds of limits; the multiplier of `backoff` is a key of its own.
const KINDS: [(&str, ThresholdKind); 4] = [
    ("limit", ThresholdKind::Limit),
    ("threshold", ThresholdKind::Threshold),
    ("both", ThresholdKind::Both),
    ("backoff", ThresholdKind::Backoff { multiplier: 1 }),
];

/// What rules may be changed into.
const ACTIONS: [(&str, Action); 4] = [
    ("alert", Action::Alert),
    ("drop", Action::Drop),
    ("pass", Action::Pass),
    ("reject", Action::Reject(RejectTo::Source)),
];

/// A suppression as it is written: addresses may be variables.
#[derive(Clone, Debug, PartialEq)]
struct SuppressEntry {
    which: Which,
    hosts: Option<(Side, Group)>,
}

/// What a configuration, or a file like it, says about limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitsSection {
    suppressions: Vec<SuppressEntry>,
    limits: Vec<LimitOverride>,
    rate_filters: Vec<RateFilter>,
}

/// Something that says what stands under a key: a table of the configuration, or a line of a file.
trait Keys {
    /// Refuses keys that are not among these.
    fn only(&self, known: &[&str]) -> Result<(), ConfigError>;
    /// A whole number between two others.
    fn number(&self, key: &str, low: usize, high: usize) -> Result<Option<usize>, ConfigError>;
    /// What one word of a few stands for.
    fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, ConfigError>;
    /// Text, and where it stands.
    fn text(&self, key: &str) -> Result<Option<Group>, ConfigError>;
    /// Says that a key is missing.
    fn missing(&self, key: &str) -> ConfigError;
    /// What the configuration's `name` is called here.
    fn name(&self, name: &'static str) -> &'static str;

    /// A number that has to be there.
    fn required(&self, key: &str, low: usize) -> Result<u32, ConfigError> {
        let number = self.number(key, low, MOST)?;
        let number = number.ok_or_else(|| self.missing(key))?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// A word that has to be there.
    fn required_choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        self.choice(key, words)?.ok_or_else(|| self.missing(key))
    }

    /// The rules that it is about. As Suricata, a number without its generator makes no sense.
    fn which(&self) -> Result<Which, ConfigError> {
        let (gid, sid) = (self.name("gid"), self.name("sid"));
        let sid = self.required(sid, 0)?;
        let low = usize::from(sid != 0);
        Ok(Which {
            gid: self.required(gid, low)?,
            sid,
        })
    }
}

impl Keys for Section<'_, '_> {
    fn only(&self, known: &[&str]) -> Result<(), ConfigError> {
        Section::only(self, known)
    }

    fn number(&self, key: &str, low: usize, high: usize) -> Result<Option<usize>, ConfigError> {
        Section::number(self, key, low, high)
    }

    fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        Section::choice(self, key, words)
    }

    fn text(&self, key: &str) -> Result<Option<Group>, ConfigError> {
        Section::group(self, key)
    }

    fn missing(&self, key: &str) -> ConfigError {
        Section::missing(self, key)
    }

    fn name(&self, name: &'static str) -> &'static str {
        name
    }
}

impl LimitsSection {
    /// Reads the lists of tables.
    pub(super) fn read(root: &Section<'_, '_>) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for entry in root.sections("suppress")? {
            all.suppress(&entry)?;
        }
        for entry in root.sections("threshold")? {
            all.limit(&entry)?;
        }
        for entry in root.sections("rate-filter")? {
            all.rate_filter(&entry)?;
        }
        Ok(all)
    }

    fn suppress(&mut self, keys: &impl Keys) -> Result<(), ConfigError> {
        keys.only(&[keys.name("gid"), keys.name("sid"), "track", "ip"])?;
        let which = keys.which()?;
        let hosts = match (keys.choice("track", &SIDES)?, keys.text("ip")?) {
            (None, None) => None,
            (Some(side), Some(group)) => Some((side, group)),
            (Some(_), None) => return Err(keys.missing("ip")),
            (None, Some(_)) => return Err(keys.missing("track")),
        };
        self.suppressions.push(SuppressEntry { which, hosts });
        Ok(())
    }

    fn limit(&mut self, keys: &impl Keys) -> Result<(), ConfigError> {
        let (gid, sid) = (keys.name("gid"), keys.name("sid"));
        let kind = keys.required_choice("type", &KINDS)?;
        // As in rules: a backoff has no period.
        let last = match kind {
            ThresholdKind::Backoff { .. } => "multiplier",
            _ => "seconds",
        };
        keys.only(&[gid, sid, "type", "track", "count", last])?;
        let number = keys.required(last, 1)?;
        let (kind, seconds) = match kind {
            ThresholdKind::Backoff { .. } => (ThresholdKind::Backoff { multiplier: number }, 0),
            kind => (kind, number),
        };
        self.limits.push(LimitOverride {
            which: keys.which()?,
            limit: Threshold {
                kind,
                track: keys.required_choice("track", &TRACKS)?,
                count: keys.required("count", 1)?,
                seconds,
            },
        });
        Ok(())
    }

    fn rate_filter(&mut self, keys: &impl Keys) -> Result<(), ConfigError> {
        let (gid, sid, action) = (keys.name("gid"), keys.name("sid"), keys.name("new-action"));
        keys.only(&[gid, sid, "track", "count", "seconds", action, "timeout"])?;
        self.rate_filters.push(RateFilter {
            which: keys.which()?,
            track: keys.required_choice("track", &TRACKS)?,
            count: keys.required("count", 1)?,
            seconds: keys.required("seconds", 1)?,
            action: keys.required_choice(action, &ACTIONS)?,
            timeout: keys.required("timeout", 0)?,
        });
        Ok(())
    }

    /// Adds what another place says to `overrides`.
    ///
    /// # Errors
    /// When an address of a suppression has no value.
    pub fn add_to(
        &self,
        overrides: &mut Overrides,
        variables: &Variables,
    ) -> Result<(), ConfigError> {
        for SuppressEntry { which, hosts } in &self.suppressions {
            let hosts = match hosts {
                None => Vec::new(),
                Some((side, group)) => {
                    let problem = |message| ConfigError {
                        place: group.place.clone(),
                        message,
                    };
                    tests(*side, &variables.address_set(&group.text).map_err(problem)?)
                }
            };
            overrides.suppressions.push(Suppression {
                which: *which,
                hosts,
            });
        }
        overrides.limits.extend_from_slice(&self.limits);
        overrides.rate_filters.extend_from_slice(&self.rate_filters);
        Ok(())
    }
}

fn tests(side: Side, addresses: &AddrSet) -> Vec<HostTest> {
    let of = |source| HostTest {
        source,
        addresses: addresses.clone(),
    };
    match side {
        Side::Source => vec![of(true)],
        Side::Destination => vec![of(false)],
        Side::Either => vec![of(true), of(false)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(section: &LimitsSection) -> Overrides {
        let mut overrides = Overrides::default();
        section
            .add_to(&mut overrides, &Variables::stock())
            .expect("all addresses have values");
        overrides
    }

    fn toml(text: &str) -> Result<LimitsSection, ConfigError> {
        super::super::Config::parse("weir.toml", text.as_bytes()).map(|config| config.limits)
    }

    fn suricata(text: &str) -> Result<LimitsSection, ConfigError> {
        file::parse("threshold.config", text.as_bytes())
    }

    #[test]
    fn both_languages_say_the_same() {
        let ours = "[[suppress]]\ngid = 1\nsid = 7\n\
                    [[suppress]]\ngid = 0\nsid = 0\ntrack = \"by_either\"\nip = \"[10.0.0.1,$HOME_NET]\"\n\
                    [[threshold]]\ngid = 1\nsid = 7\ntype = \"both\"\ntrack = \"by_src\"\ncount = 3\nseconds = 5\n\
                    [[threshold]]\ngid = 1\nsid = 8\ntype = \"backoff\"\ntrack = \"by_flow\"\ncount = 1\nmultiplier = 10\n\
                    [[rate-filter]]\ngid = 1\nsid = 0\ntrack = \"by_rule\"\ncount = 100\nseconds = 60\n\
                    new-action = \"drop\"\ntimeout = 30\n";
        let theirs = "# a comment\n\nsuppress gen_id 1, sig_id 7\n\
                      suppress gen_id 0, sig_id 0, \\\n  track by_either, ip [10.0.0.1,$HOME_NET]\n\
                      threshold gen_id 1,sig_id 7,type both,track by_src,count 3,seconds 5 # why\n\
                      event_filter gen_id 1, sig_id 8, type backoff, track by_flow, count 1, multiplier 10\n\
                      rate_filter gen_id 1, sig_id 0, track by_rule, count 100, seconds 60, new_action drop, timeout 30\n";
        let ours = resolved(&toml(ours).expect("right"));
        assert_eq!(ours, resolved(&suricata(theirs).expect("right")));
        assert_eq!(
            (
                ours.suppressions.len(),
                ours.limits.len(),
                ours.rate_filters.len()
            ),
            (2, 2, 1)
        );
        let [source, _] = ours.suppressions[1].hosts.as_slice() else {
            panic!("either is two tests");
        };
        let address = |text: &str| text.parse().expect("an address");
        assert!(source.holds(address("192.168.9.9"), address("8.8.8.8")));
        assert!(!source.holds(address("8.8.8.8"), address("192.168.9.9")));
        assert_eq!(ours.rate_filters[0].action, Action::Drop);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            (
                "[[suppress]]\ngid = 1\n",
                "weir.toml:1:1: suppress: expected a key `sid`",
            ),
            (
                "[[suppress]]\ngid = 0\nsid = 5\n",
                "weir.toml:2:7: suppress.gid: expected a whole number from 1 to 4294967295, found 0",
            ),
            (
                "[[suppress]]\ngid = 1\nsid = 5\ntrack = \"by_src\"\n",
                "weir.toml:1:1: suppress: expected a key `ip`",
            ),
            (
                "[[suppress]]\ngid = 1\nsid = 5\ntrak = 1\n",
                "weir.toml:4:1: unknown key `trak` in [suppress]; did you mean `track`? Known here: gid, sid, track, ip",
            ),
            (
                "[suppress]\ngid = 1\n",
                "weir.toml:1:1: suppress: expected a list of tables ([[suppress]]), found a table",
            ),
            (
                "[[threshold]]\ngid = 1\nsid = 1\ntype = \"limits\"\n",
                "weir.toml:4:8: threshold.type: expected \"limit\", \"threshold\", \"both\" or \"backoff\", found \"limits\"",
            ),
        ] {
            let error = toml(text).expect_err(expected).to_string();
            assert_eq!(error, expected);
        }
        for (text, expected) in [
            (
                "\nsupress gen_id 1, sig_id 2",
                "threshold.config:2: expected suppress, threshold, event_filter or rate_filter, found `supress`",
            ),
            (
                "suppress gen_id 1",
                "threshold.config:1: expected a `sig_id`",
            ),
            (
                "suppress gen_id x, sig_id 1",
                "threshold.config:1: gen_id: expected a whole number from 1 to 4294967295, found `x`",
            ),
            (
                "suppress gen_id 1, sig_id 1, track by_src, ip 1.2.3.4, new_action drop",
                "threshold.config:1: unknown key `new_action`; known here: gen_id, sig_id, track, ip",
            ),
            (
                "threshold gen_id 1, sig_id 1, type limit, track by_host, count 1, seconds 1",
                "threshold.config:1: track: expected by_src, by_dst, by_both, by_rule or by_flow, found `by_host`",
            ),
        ] {
            let error = suricata(text).expect_err(expected).to_string();
            assert_eq!(error, expected);
        }
        let section = suricata("\n\nsuppress gen_id 1, sig_id 1, track by_src, ip $NOT_THERE")
            .expect("a variable");
        let error = section.add_to(&mut Overrides::default(), &Variables::stock());
        assert_eq!(
            error.expect_err("no value").to_string(),
            "threshold.config:3: the variable $NOT_THERE is not defined"
        );
    }
}
