//! What a module declares. All of it is constant, and checked while the module is compiled (`check`).

use crate::event::{Asked, Event};

/// What a rule does when its module says that it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Alert.
    Alert,
    /// Drop the packet and alert. The operator must grant `verdict`.
    Drop,
    /// Drop, alert, and answer the sender with a reset or an unreachable. The operator must grant `verdict`.
    Reject,
    /// Let the packet through, whatever rules of lower order say. The operator must grant `verdict`.
    Pass,
}

/// Bytes that must occur in a buffer for a rule to be asked about: what the sensor's matcher looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// `payload`, or the name of a sticky buffer of the rule language (`http.uri`).
    pub buffer: &'static str,
    /// 1 to 255 bytes.
    pub bytes: &'static [u8],
    /// ASCII letters stand for both cases.
    pub nocase: bool,
}

impl Pattern {
    /// These bytes, in a buffer of this name.
    pub const fn new(buffer: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            buffer,
            bytes,
            nocase: false,
        }
    }

    /// The same in upper and lower case.
    #[must_use]
    pub const fn nocase(mut self) -> Self {
        self.nocase = true;
        self
    }
}

/// A rule. In [`module!`](crate::module!) each of its methods is a field: `sid: 7,` is `.sid(7)`.
///
/// `sid`, `message` and `header` must be given, as must `buffers` or `patterns` where the rule is about payload or about
/// transactions.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub(crate) sid: u32,
    pub(crate) rev: u32,
    pub(crate) message: &'static str,
    pub(crate) action: Action,
    pub(crate) class: Option<&'static str>,
    pub(crate) priority: Option<u8>,
    pub(crate) header: &'static str,
    pub(crate) options: &'static str,
    pub(crate) patterns: &'static [Pattern],
    pub(crate) buffers: &'static [Buffer],
    pub(crate) references: &'static [(&'static str, &'static str)],
    pub(crate) metadata: &'static [(&'static str, &'static str)],
}

impl Rule {
    /// A rule of which nothing is said yet.
    #[allow(clippy::new_without_default)] // Not a rule yet: the check refuses it.
    pub const fn new() -> Self {
        Self {
            sid: 0,
            rev: 1,
            message: "",
            action: Action::Alert,
            class: None,
            priority: None,
            header: "",
            options: "",
            patterns: &[],
            buffers: &[],
            references: &[],
            metadata: &[],
        }
    }

    /// Its number, 1 or more: unique in the sensor's rule set.
    #[must_use]
    pub const fn sid(mut self, sid: u32) -> Self {
        self.sid = sid;
        self
    }

    /// Its revision; 1 unless given.
    #[must_use]
    pub const fn rev(mut self, rev: u32) -> Self {
        self.rev = rev;
        self
    }

    /// What the alert says.
    #[must_use]
    pub const fn message(mut self, message: &'static str) -> Self {
        self.message = message;
        self
    }

    /// What it does; an alert unless given.
    #[must_use]
    pub const fn action(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    /// The short name of a classtype that the operator's classification knows (`attempted-admin`).
    #[must_use]
    pub const fn class(mut self, class: &'static str) -> Self {
        self.class = Some(class);
        self
    }

    /// 1 (highest) to 255; unless given that of the class, else 3.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Which packets, as in a text rule: `tcp $EXTERNAL_NET any -> $HOME_NET 22`, `dns any any -> any any`.
    ///
    /// `tcp` is asked about windows of streams and about packets that belong to none; `tcp-stream` about windows alone,
    /// `tcp-pkt` about packets alone.
    #[must_use]
    pub const fn header(mut self, header: &'static str) -> Self {
        self.header = header;
        self
    }

    /// What must hold before the module is asked, and what is done when the rule fires, as options of a text rule:
    /// `flow:established,to_server; threshold:type limit,track by_src,count 1,seconds 60;`.
    #[must_use]
    pub const fn options(mut self, options: &'static str) -> Self {
        self.options = options;
        self
    }

    /// One of these, at most 64, must occur, all in the same buffer; without any, the module is asked about every packet, window or
    /// transaction that header and options let through.
    #[must_use]
    pub const fn patterns(mut self, patterns: &'static [Pattern]) -> Self {
        self.patterns = patterns;
        self
    }

    /// Buffers that must be there. With one of a transaction (`dns.query`) the rule is about transactions.
    #[must_use]
    pub const fn buffers(mut self, buffers: &'static [Buffer]) -> Self {
        self.buffers = buffers;
        self
    }

    /// Documents about it: `("url", "example.org/advisory")`.
    #[must_use]
    pub const fn references(mut self, references: &'static [(&'static str, &'static str)]) -> Self {
        self.references = references;
        self
    }

    /// Goes to `alert.metadata`.
    #[must_use]
    pub const fn metadata(mut self, metadata: &'static [(&'static str, &'static str)]) -> Self {
        self.metadata = metadata;
        self
    }
}

/// A rule of this module. [`module!`](crate::module!) makes one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u32);

impl RuleId {
    #[doc(hidden)]
    pub const fn at(index: u32) -> Self {
        Self(index)
    }
}

/// A buffer that the module declared. [`module!`](crate::module!) makes one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    pub(crate) index: u32,
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    pub(crate) name: &'static str,
}

impl Buffer {
    #[doc(hidden)]
    pub const fn at(index: u32, name: &'static str) -> Self {
        Self { index, name }
    }
}

/// A flow bit that the module declared. [`module!`](crate::module!) makes one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowBit {
    pub(crate) index: u32,
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    pub(crate) name: &'static str,
}

impl FlowBit {
    #[doc(hidden)]
    pub const fn at(index: u32, name: &'static str) -> Self {
        Self { index, name }
    }
}

/// What state is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A flow; goes with it.
    Flow,
    /// The packet's source address.
    Source,
    /// The packet's destination address.
    Destination,
    /// Both addresses, in either order.
    Pair,
    /// Everything.
    Everywhere,
}

/// State that a module keeps in a scope. In [`module!`](crate::module!) the fields are named so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// For what. Each scope at most once in a module.
    pub scope: Scope,
    /// Most bytes of one value, encoded (postcard: numbers by their size, sequences with their length before them), 1
    /// to 4096.
    pub bytes: u32,
    /// Most values that are kept, over all flows or hosts; when there are more, those not written for longest go. 1 to
    /// 1,000,000.
    pub entries: u32,
    /// Seconds of packet time after which a value that was not written again is gone; 0: never.
    pub seconds: u32,
}

/// Who decides.
#[derive(Clone, Copy)]
pub enum Decide {
    /// Each rule by itself, in the order of the rules.
    Each(&'static [fn(&Event) -> bool]),
    /// All rules of an event together: for rules that share work, or state that each event may change only once.
    Together(fn(&Event, &mut Asked)),
}

/// A module. [`module!`](crate::module!) makes it, as `MODULE`.
#[derive(Clone, Copy)]
pub struct Module {
    /// What logs, counters and the operator's policy call it: 1 to 64 of `a-z0-9-`.
    pub name: &'static str,
    /// Its own version, for people; that of the crate unless given.
    pub version: &'static str,
    /// Version of the values that it keeps: on a reload they go on when this is the same, else they are gone.
    pub state_version: u32,
    /// Rules, 1 to 4096.
    pub rules: &'static [Rule],
    /// Who decides them.
    pub decide: Decide,
    /// Names of the buffers that it may look at, at most 64.
    pub buffers: &'static [&'static str],
    /// Names of the flow bits that it may look at, at most 64.
    pub flow_bits: &'static [&'static str],
    /// State that it keeps.
    pub state: &'static [Kept],
}

impl Module {
    /// Decides the rules with these indexes.
    pub(crate) fn evaluate(&self, candidates: &[u32]) -> Vec<u32> {
        let event = Event::new();
        match self.decide {
            Decide::Each(rules) => candidates
                .iter()
                .copied()
                .filter(|&rule| {
                    usize::try_from(rule)
                        .ok()
                        .and_then(|rule| rules.get(rule))
                        .is_some_and(|decide| decide(&event))
                })
                .collect(),
            Decide::Together(decide) => {
                let mut asked = Asked::new(candidates);
                decide(&event, &mut asked);
                asked.fired()
            }
        }
    }
}
