//! From a rule's syntax tree to its plan.
//!
//! Every option of a rule is either honoured in full, or the rule is refused: a plan never matches what the rule would
//! not. Options that Suricata refuses are [`ProblemKind::Syntax`](crate::syntax::ast::ProblemKind) problems, options that Weir does not evaluate are
//! [`ProblemKind::Unsupported`](crate::syntax::ast::ProblemKind).

mod app;
mod args;
mod bytes;
mod content;
mod dataset;
mod draft;
mod finish;
mod flow;
mod header;
mod load;
mod meta;
pub mod module;
mod names;
mod packet;
mod properties;
mod requires;
mod state;
mod summary;
mod transform;
mod variables;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use weir_engine::pcre::{Flags, PcreError, Regex};
use weir_engine::plan::{Buffer, Op, PacketTest, Proto, Rule};

use crate::classification::Classification;
use crate::frequency::Table;
use crate::keywords::{self, Category, Keyword, Tier};
use crate::syntax::ast::{Direction, Place, Problem, RuleOption, RuleText};
use draft::{Draft, Latest, Target};

pub use load::{Counts, Loaded, Refused, Skipped, Warned, combine, load};
pub use requires::SURICATA_VERSION;
pub use summary::{Refusals, Summary};
pub use variables::Variables;

/// Something about a rule that its author should know, although the rule is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

/// What a rule says of the data sets that it names: [`load`] holds it against what other rules say.
#[derive(Clone, Debug, Default)]
pub struct DataSets(Vec<dataset::Declared>);

/// What became of a rule.
#[derive(Clone, Debug)]
pub enum Compiled {
    /// It can be evaluated.
    Rule {
        /// Its plan.
        rule: Box<Rule>,
        /// What it says of the data sets that it names.
        data_sets: DataSets,
        /// What its author should know.
        warnings: Vec<Warning>,
        /// Its header as it was written, of a compiler that keeps variables.
        written: Option<Box<Written>>,
    },
    /// It says itself (`requires`) that it is not for this engine.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Compiled expressions by what they were compiled from.
type Regexes = HashMap<(Vec<u8>, Flags), Arc<Regex>>;
/// Lists of hashes by their file and the length of each.
type Hashes = HashMap<(PathBuf, usize), Arc<Vec<Vec<u8>>>>;

/// Makes plans. One compiler serves any number of rules, from any number of threads.
#[derive(Debug)]
pub struct Compiler {
    variables: Variables,
    classification: Classification,
    /// Chooses probes.
    frequency: Arc<Table>,
    /// Expressions that some rule had already: many rules have the same ones.
    regexes: Mutex<Regexes>,
    /// Lists that some rule had already: they can be large.
    hashes: Mutex<Hashes>,
    /// See [`Self::keeping_variables`].
    keeps_variables: bool,
}

/// The expressions of a rule's header as they were written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    /// Source and destination addresses.
    pub addresses: [String; 2],
    /// Source and destination ports.
    pub ports: [String; 2],
}

impl Written {
    fn new(rule: &RuleText) -> Self {
        Self {
            addresses: [&rule.src, &rule.dst].map(|expr| expr.value.to_string()),
            ports: [&rule.sport, &rule.dport].map(|expr| expr.value.to_string()),
        }
    }
}

impl Compiler {
    /// A compiler for rules with these variables and classtypes, which chooses probes by the standard frequency table.
    pub fn new(variables: Variables, classification: Classification) -> Self {
        Self {
            variables,
            classification,
            frequency: Table::standard(),
            regexes: Mutex::default(),
            hashes: Mutex::default(),
            keeps_variables: false,
        }
    }

    /// Chooses probes by this table.
    pub fn with_frequency(mut self, frequency: Arc<Table>) -> Self {
        self.frequency = frequency;
        self
    }

    /// Leaves variables of headers to whoever uses the rules: an expression with a variable stands for everything until then, and
    /// what was written comes beside each rule.
    pub fn keeping_variables(mut self) -> Self {
        self.keeps_variables = true;
        self
    }

    /// The table that probes are chosen by.
    pub fn frequency(&self) -> &Table {
        &self.frequency
    }

    /// The variables that rules can use.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The classtypes that rules can use.
    pub fn classification(&self) -> &Classification {
        &self.classification
    }

    /// The compiled expression.
    fn regex(&self, pattern: &[u8], flags: Flags) -> Result<Arc<Regex>, PcreError> {
        let key = (pattern.to_vec(), flags);
        // The map is whole whatever a panicking thread was doing, so a poisoned lock is of no concern.
        if let Some(known) = self
            .regexes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(Arc::clone(known));
        }
        let regex = Arc::new(Regex::new(pattern, flags)?);
        let mut regexes = self.regexes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(regexes.entry(key).or_insert(regex)))
    }

    /// The hashes in a file.
    fn hashes(&self, path: &Path, length: usize) -> Result<Arc<Vec<Vec<u8>>>, String> {
        let key = (path.to_owned(), length);
        let mut known = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hashes) = known.get(&key) {
            return Ok(Arc::clone(hashes));
        }
        // Others wait meanwhile: they may want the same list.
        let hashes = Arc::new(app::read_hashes(path, length)?);
        known.insert(key, Arc::clone(&hashes));
        Ok(hashes)
    }

    /// Compiles a rule that stands in the file `origin`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the rule, in the order of its text.
    pub fn compile(&self, rule: &RuleText, origin: &Arc<str>) -> Result<Compiled, Vec<Problem>> {
        self.compile_with(rule, origin, &|_| Ok(()))
    }

    /// The same, with something more that the rule asks for.
    fn compile_with(
        &self,
        rule: &RuleText,
        origin: &Arc<str>,
        more: &dyn Fn(&mut Draft<'_>) -> Result<(), Problem>,
    ) -> Result<Compiled, Vec<Problem>> {
        let place = |problems: Vec<Problem>| {
            let physical = |problem: Problem| Problem {
                place: rule.physical(problem.place),
                ..problem
            };
            let mut problems: Vec<_> = problems.into_iter().map(physical).collect();
            problems.sort_by_key(|problem| problem.place);
            problems
        };
        match unmet(rule) {
            Ok(None) => {}
            Ok(Some(reason)) => return Ok(Compiled::Skipped { reason }),
            Err(problem) => return Err(place(vec![problem])),
        }
        let mut problems = Vec::new();
        let (header, test, protos) = header::header(self, rule, &mut problems);
        let action = header::action(rule).map_err(|problem| problems.push(problem));
        let mut draft = Draft::new(self, header, (Arc::clone(origin), rule.place.line));
        match draft.header.proto {
            Proto::TcpPkt => draft.require_packet = true,
            Proto::TcpStream => draft.require_stream = true,
            _ => {}
        }
        draft.tests.extend(test);
        draft.app.protos = protos;
        draft.app.both_ways = rule.direction.value == Direction::Transaction;
        for option in &rule.options {
            if let Err(problem) = apply(&mut draft, option) {
                problems.push(problem.about(&option.name.value));
            }
        }
        problems.extend(more(&mut draft).err());
        finish::check(&draft, rule.place, &mut problems);
        match action {
            Ok(action) if problems.is_empty() => {
                let mut warnings = std::mem::take(&mut draft.warnings);
                warnings
                    .iter_mut()
                    .for_each(|warning| warning.place = rule.physical(warning.place));
                let data_sets = DataSets(std::mem::take(&mut draft.data_sets));
                Ok(Compiled::Rule {
                    rule: Box::new(finish::plan(draft, action)),
                    data_sets,
                    warnings,
                    written: (self.keeps_variables).then(|| Box::new(Written::new(rule))),
                })
            }
            _ => Err(place(problems)),
        }
    }
}

/// Whether the rule says that it is not for this engine, and why.
fn unmet(rule: &RuleText) -> Result<Option<String>, Problem> {
    for option in rule
        .options
        .iter()
        .filter(|option| option.name.value == "requires")
    {
        if let Some(reason) =
            requires::unmet(option).map_err(|problem| problem.about("requires"))?
        {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// The sticky buffers that Weir has, and whether Suricata binds rules that use them to packets.
fn sticky_buffer(name: &str) -> Option<(Buffer, bool)> {
    Some(match name {
        "ether.hdr" => (Buffer::EtherHdr, true),
        "arp.hdr" => (Buffer::ArpHdr, true),
        "ipv4.hdr" => (Buffer::Ipv4Hdr, true),
        "ipv6.hdr" => (Buffer::Ipv6Hdr, true),
        "tcp.hdr" => (Buffer::TcpHdr, true),
        "udp.hdr" => (Buffer::UdpHdr, true),
        "icmpv4.hdr" => (Buffer::Icmp4Hdr, true),
        "icmpv6.hdr" => (Buffer::Icmp6Hdr, true),
        "igmp.hdr" => (Buffer::IgmpHdr, true),
        "ip.src" => (Buffer::IpSrc, false),
        "ip.dst" => (Buffer::IpDst, false),
        _ => return None,
    })
}

/// Puts one option into the draft.
fn apply(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    let keyword = keywords::check(option)?;
    if let Some(done) = packet::compared(draft, option, keyword.name) {
        return done;
    }
    if let Some(done) = transform::transform(draft, option, keyword.name) {
        return done;
    }
    if let Some((buffer, packets)) = sticky_buffer(keyword.name) {
        args::no_value(option)?;
        draft.require_packet |= packets;
        return draft.select(Target::Buffer(buffer), option.name.place);
    }
    if let Some(done) = app::of_table(draft, option, keyword) {
        return done;
    }
    if let Some(done) = app::special(draft, option, keyword.name) {
        return done;
    }
    match keyword.name {
        "msg" => meta::msg(draft, option),
        "sid" => meta::sid(draft, option),
        "gid" => meta::gid(draft, option),
        "rev" => meta::rev(draft, option),
        "classtype" => meta::classtype(draft, option),
        "priority" => meta::priority(draft, option),
        "reference" => meta::reference(draft, option),
        "metadata" => meta::metadata(draft, option),
        "target" => meta::target(draft, option),
        "noalert" => meta::noalert(draft, option),
        "alert" => meta::alert(draft, option),
        // Met, or the rule would have been skipped.
        "requires" => Ok(()),
        "content" => content::content(draft, option),
        "offset" => content::offset(draft, option),
        "depth" => content::depth(draft, option),
        "distance" => content::distance(draft, option),
        "within" => content::within(draft, option),
        "nocase" => content::nocase(draft, option),
        "rawbytes" => content::rawbytes(draft, option),
        "startswith" => content::startswith(draft, option),
        "endswith" => content::endswith(draft, option),
        "fast_pattern" => content::fast_pattern(draft, option),
        "pcre" => content::pcre(draft, option),
        "isdataat" => content::isdataat(draft, option),
        "byte_test" => bytes::byte_test(draft, option),
        "byte_jump" => bytes::byte_jump(draft, option),
        "byte_extract" => bytes::byte_extract(draft, option),
        "byte_math" => bytes::byte_math(draft, option),
        "bsize" => bytes::bsize(draft, option),
        "base64_decode" => bytes::base64_decode(draft, option),
        "base64_data" => bytes::base64_data(draft, option),
        "entropy" => bytes::entropy(draft, option),
        "absent" => bytes::absent(draft, option),
        "pkt_data" => {
            args::no_value(option)?;
            draft.deselect();
            Ok(())
        }
        "tcp.flags" => packet::tcp_flags(draft, option),
        "fragbits" => packet::fragbits(draft, option),
        "id" => packet::id(draft, option),
        "icmp_id" => packet::equal(draft, option, PacketTest::IcmpId),
        "icmp_seq" => packet::equal(draft, option, PacketTest::IcmpSeq),
        "ipopts" => packet::ipopts(draft, option),
        "ip_proto" => packet::ip_proto(draft, option),
        "l3_proto" => packet::l3_proto(draft, option),
        "sameip" => packet::sameip(draft, option),
        "tos" => packet::tos(draft, option),
        "tcp.window" => packet::window(draft, option),
        "dsize" => packet::dsize(draft, option),
        "vlan.id" => packet::vlan_id(draft, option),
        "decode-event" => packet::decode_event(draft, option),
        "rpc" => packet::rpc(draft, option),
        "flow" => flow::flow(draft, option),
        "threshold" => flow::threshold(draft, option),
        "detection_filter" => flow::detection_filter(draft, option),
        "flowbits" => state::flowbits(draft, option),
        "flowint" => state::flowint(draft, option),
        "hostbits" => state::hostbits(draft, option),
        "xbits" => state::xbits(draft, option),
        "flow.age" => properties::flow_age(draft, option),
        "flow.pkts"
        | "flow.pkts_toserver"
        | "flow.pkts_toclient"
        | "flow.bytes"
        | "flow.bytes_toserver"
        | "flow.bytes_toclient" => properties::flow_count(draft, option, keyword.name),
        "flow.elephant" => properties::flow_elephant(draft, option),
        "tcp.session" => properties::tcp_session(draft, option),
        "stream_size" => properties::stream_size(draft, option),
        "stream-event" | "engine-event" => state::event(draft, option, keyword.name),
        "iprep" => state::iprep(draft, option),
        "geoip" => state::geoip(draft, option),
        "dataset" => dataset::dataset(draft, option),
        "datarep" => dataset::datarep(draft, option),
        "tag" => state::tag(draft, option),
        "bypass" => state::bypass(draft, option),
        "replace" => state::replace(draft, option),
        "prefilter" => prefilter(draft, option),
        _ => foreign(draft, option, keyword),
    }
}

/// `prefilter` belongs to the option before it; for a content it is the same as `fast_pattern`.
fn prefilter(draft: &mut Draft<'_>, option: &RuleOption) -> Result<(), Problem> {
    args::no_value(option)?;
    let place = option.name.place;
    if std::mem::replace(&mut draft.prefilter, true) {
        return Err(Problem::syntax(
            place,
            "a second `prefilter`: a rule has only one",
        ));
    }
    let entry = match draft.latest {
        None => {
            return Err(Problem::syntax(
                place,
                "`prefilter` belongs to an option that matches, and there is none before it",
            ));
        }
        Some(Latest::Test) => return Ok(()),
        Some(Latest::Entry(list, entry)) => (list, entry),
    };
    let of = draft
        .lists
        .get(entry.0)
        .and_then(|list| list.entries.get(entry.1));
    match of.map(|entry| &entry.op) {
        Some(Op::Content(_)) => content::fast_pattern(draft, option),
        _ => Err(Problem::syntax(
            place,
            "`prefilter` cannot be used with the option before it",
        )),
    }
}

/// A keyword that is not evaluated. What it does to the options around it is still done, so that these are judged as
/// their author meant them.
fn foreign(draft: &mut Draft<'_>, option: &RuleOption, keyword: &Keyword) -> Result<(), Problem> {
    let place = option.name.place;
    match keyword.category {
        // A frame is a buffer, and its keyword has a value.
        _ if keyword.name == "frame" => draft.select(Target::Foreign("frame".to_owned()), place)?,
        Category::StickyBuffer => draft.select(Target::Foreign(keyword.name.to_owned()), place)?,
        Category::Modifier => {
            content::move_content(draft, option, Target::Foreign(keyword.name.to_owned()))?;
        }
        Category::Flow
        | Category::State
        | Category::AppLayer
        | Category::Header
        | Category::Payload => {
            draft.latest = Some(Latest::Test);
        }
        _ => {}
    }
    let needs = match keyword.tier {
        Tier::One | Tier::Two => "",
        _ => ": it needs more of an application layer",
    };
    let message = format!("`{}` is not supported yet{needs}", option.name.value);
    Err(Problem::unsupported(place, keyword.name, message))
}
