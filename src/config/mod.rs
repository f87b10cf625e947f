//! The configuration file.
//!
//! ```toml
//! [vars.address-groups]
//! HOME_NET = "[192.168.0.0/16,10.0.0.0/8]"    # any name; rules use it as $HOME_NET
//! [vars.port-groups]
//! HTTP_PORTS = "[80,8080]"                    # VXLAN_PORTS, GENEVE_PORTS, TEREDO_PORTS also tell the decoder
//! [capture]
//! checksums = "ignore"                        # or "verify"; default: ignore in files, verify on the wire
//! [stream]
//! midstream = false                           # take up connections whose handshake was not seen; inline they always are
//! async-oneside = false                       # take up connections of which only one direction is seen
//! depth = "1 MiB"                             # of each direction that is put together; 0: all
//! window = 2560                               # bytes that rules look at together, with as many before them
//! memory = "128 MiB"                          # of each worker's streams
//! waiting = "1 MiB"                           # behind a gap, in each direction
//! urgent = "oob"                              # what becomes of urgent data: or "gap", "drop"; default: "inline"
//! policy = "bsd"                              # who wins where segments overlap that wait
//! hosts = { linux = "10.1.0.0/16" }           # policies of hosts
//! [flow]
//! memory = "64 MiB"                           # of each worker's flow table; or max = 262144, flows at a time
//! vlan = true                                 # addresses and ports in different VLANs are different flows
//! [flow.timeouts]                             # seconds without packets; these are the defaults
//! tcp = { new = 60, established = 600, closed = 60, bypassed = 100 }
//! udp = { new = 30, established = 300, bypassed = 100, emergency-new = 10 }
//! icmp = { new = 30, established = 300, bypassed = 100 }
//! default = { new = 30, established = 300, bypassed = 100 }
//! [flow.elephant]                             # for flow.elephant; without this table no flow is one
//! bytes = "1 GiB"                             # in one direction, within
//! interval = 10                               # seconds
//! [eve]
//! types = [                                   # records to write; default: alert
//!     "alert", "flow", "packet", "stats", "fileinfo",
//!     "http", "dns", "mdns", "tls", "quic", "ssh", "smtp", "ftp", "ftp_data", "smb", "dcerpc", "sip", "mqtt",
//!     "snmp", "krb5", "websocket", "rfb", "dhcp", "module",
//! ]
//! stats-interval = 60                         # seconds of packet time; default: at the end only
//! [app-layer]
//! memory = "256 MiB"                          # of each worker's parsers and transactions
//! [defrag]
//! policy = "bsd"                              # who wins where fragments overlap
//! memory = "32 MiB"
//! timeout = 60                                # seconds until an unfinished packet is given up
//! [detect]
//! alert-max = 15                              # alerts of one packet
//! [[suppress]]                                # no alerts, though the rules act; as often as needed
//! gid = 1                                     # 0 stands for all
//! sid = 2100498                               # 0 stands for all
//! track = "by_src"                            # or by_dst, by_either; without it and ip, whoever it is
//! ip = "$HOME_NET"
//! [[threshold]]                               # instead of the rule's own
//! gid = 1
//! sid = 2100498
//! type = "limit"                              # or threshold, both, backoff (with multiplier instead of seconds)
//! track = "by_src"                            # or by_dst, by_both, by_rule, by_flow
//! count = 1
//! seconds = 60
//! [[rate-filter]]                             # another action for rules that match often
//! gid = 1
//! sid = 2100498
//! track = "by_src"
//! count = 10                                  # after so many matches
//! seconds = 60                                # within so many seconds
//! new-action = "drop"                         # or alert, pass, reject
//! timeout = 300                               # for so many seconds
//! [card]                                      # the command line's --device and --offload go before these
//! device = "/dev"                             # a folder with a card's nodes
//! offload = "auto"                            # or "card", "software": who looks through buffers
//! deadline = 10                               # milliseconds without an answer until the card is suspect
//! room = "4 MiB"                              # of records under way, all workers together
//! known-every = 64                            # one known-answer record beside so many; 0: none
//! scrub = 20000                               # table words written anew each second
//! [state]                                     # what rules may remember across flows
//! host-bits = 262144                          # hostbits and xbits that are set
//! counters = 1048576                          # of thresholds
//! tagged-hosts = 65536
//! set-memory = "100 MiB"                      # of a data set that says nothing itself
//! [reputation]                                # for iprep; Suricata's files
//! categories = "categories.txt"
//! lists = ["reputation.list"]
//! [geoip]                                     # for geoip; a database in MaxMind's format
//! database = "countries.mmdb"
//! [rules]
//! frequency = "ours.freq"                     # from `weir rules learn`; looked up beside the configuration file
//! trusted-keys = ["site.key.pub"]             # who signs rule sets: files, or keys as text (`weir-key:…`)
//! thresholds = "threshold.config"             # Suricata's file of suppressions, thresholds and rate filters
//! [modules]                                   # authors' rule modules (.wasm)
//! grant = { dns-tunnel = ["log", "verdict"] } # by a module's name: log, clock, random; verdict: drop, reject, pass
//! call = 500                                  # microseconds of a call on the wire; in files it is a second
//! budget = 250                                # milliseconds a second on the wire, of each module and worker
//! memory = "32 MiB"                           # of each instance
//! state = "256 MiB"                           # that a module may declare
//! host-calls = 16384                          # of an evaluation
//! offences = { burst = 5, seconds = 10, total = 20 } # so many in a time, or in all: it is not asked any more
//! [wire]                                      # for --interface and --inline
//! fail = "closed"                             # or "open": what becomes of traffic that nobody inspects
//! mode = "auto"                               # or "native", "generic": how the XDP program is attached
//! heartbeat = 30                              # milliseconds without progress until the kernel acts by itself
//! queues = 4                                  # receive queues of each port, a worker each; default: all
//! cpus = "2-5"                                # the workers' processors, in turn; default: wherever the kernel likes
//! frames = 4096                               # room for frames, of each queue and port
//! frame-size = 2048                           # or 4096, for an MTU above 1,750 bytes
//! bypass = true                               # the kernel forwards, or drops, flows that need no inspection
//! shunt = "64 MiB"                            # after so many bytes a flow needs none; default: never
//! bpffs = "/sys/fs/bpf"                       # where programs and maps are pinned
//! [classification]
//! file = "classification.config"              # class types; looked up beside the configuration file
//! ```

mod card;
mod eve;
mod flow;
mod limits;
mod modules;
mod read;
mod state;
mod stream;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use card::CardSection;
pub use eve::{EveSection, EveType};
pub use flow::FlowSection;
pub use limits::{LimitsSection, read_file as read_limits};
pub use modules::ModulesSection;
use read::Section;
pub use state::StateSection;
pub use stream::StreamSection;
use weir_engine::packet::OverlapPolicy;
use weir_wasm::built::keys::PublicKey;
pub use wire::{Fail, Mode, WireSection};

/// What a configuration says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `vars.address-groups`, by name.
    pub address_groups: BTreeMap<String, Group>,
    /// `vars.port-groups`, by name.
    pub port_groups: BTreeMap<String, Group>,
    /// `capture.checksums`: true for `verify`.
    pub verify_checksums: Option<bool>,
    /// `stream`.
    pub stream: StreamSection,
    /// `flow`.
    pub flow: FlowSection,
    /// `eve`.
    pub eve: EveSection,
    /// `defrag.policy`.
    pub defrag_policy: Option<OverlapPolicy>,
    /// `defrag.memory`, in bytes.
    pub defrag_memory: Option<usize>,
    /// `defrag.timeout`, in seconds.
    pub defrag_timeout: Option<usize>,
    /// `detect.alert-max`.
    pub alert_max: Option<usize>,
    /// `app-layer.memory`, in bytes.
    pub app_memory: Option<usize>,
    /// `card`.
    pub card: CardSection,
    /// `suppress`, `threshold` and `rate-filter`.
    pub limits: LimitsSection,
    /// `rules.thresholds`.
    pub thresholds: Option<PathBuf>,
    /// `state`, `reputation` and `geoip`.
    pub state: StateSection,
    /// `modules`.
    pub modules: ModulesSection,
    /// `rules.frequency`.
    pub frequency: Option<PathBuf>,
    /// `rules.trusted-keys`: keys as text, or files.
    pub trusted_keys: Vec<String>,
    /// `classification.file`.
    pub classification: Option<PathBuf>,
    /// `wire`.
    pub wire: WireSection,
}

/// A variable's value, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// An expression in the language of rule headers.
    pub text: String,
    /// `FILE:LINE:COL`
    pub place: String,
}

/// A configuration that cannot be used, with the place.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `FILE` or `FILE:LINE:COL`.
    pub place: String,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Overlap policies by name.
const POLICIES: [(&str, OverlapPolicy); 7] = [
    ("first", OverlapPolicy::First),
    ("last", OverlapPolicy::Last),
    ("bsd", OverlapPolicy::Bsd),
    ("bsd-right", OverlapPolicy::BsdRight),
    ("linux", OverlapPolicy::Linux),
    ("windows", OverlapPolicy::Windows),
    ("solaris", OverlapPolicy::Solaris),
];

impl Config {
    /// Reads a file; without a path, the configuration that says nothing.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has a key that is not known, or a value that does not fit.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| ConfigError {
            place: name.clone(),
            message: format!("cannot read the configuration: {error}"),
        })?;
        let mut config = Self::parse(&name, &bytes)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = [
            &mut config.classification,
            &mut config.frequency,
            &mut config.thresholds,
        ];
        config.state.beside(folder);
        config.card.beside(folder);
        for file in files.into_iter().flatten() {
            *file = folder.join(&file);
        }
        for key in &mut config.trusted_keys {
            if !PublicKey::is_text(key) {
                *key = folder.join(&*key).display().to_string();
            }
        }
        Ok(config)
    }

    /// The same with this frequency table, if one is given, instead of its own.
    pub fn with_frequency(mut self, path: Option<&Path>) -> Self {
        self.frequency = path.map(Path::to_owned).or(self.frequency);
        self
    }

    /// The same with these types of records, if any are given, instead of its own.
    pub fn with_eve_types(mut self, types: &[EveType]) -> Self {
        if !types.is_empty() {
            self.eve.types = Some(types.iter().copied().collect());
        }
        self
    }

    /// Reads the text of a file called `name`.
    fn parse(name: &str, bytes: &[u8]) -> Result<Self, ConfigError> {
        let source = read::Source::new(name, bytes)?;
        let root = source.parse()?;
        let root = Section::root(&source, &root);
        root.only(&[
            "vars",
            "capture",
            "stream",
            "flow",
            "eve",
            "app-layer",
            "defrag",
            "detect",
            "card",
            "suppress",
            "threshold",
            "rate-filter",
            "state",
            "reputation",
            "geoip",
            "rules",
            "modules",
            "classification",
            "wire",
        ])?;
        let mut config = Self::default();
        if let Some(vars) = root.section("vars")? {
            vars.only(&["address-groups", "port-groups"])?;
            if let Some(groups) = vars.section("address-groups")? {
                config.address_groups = groups.groups()?;
            }
            if let Some(groups) = vars.section("port-groups")? {
                config.port_groups = groups.groups()?;
            }
        }
        if let Some(capture) = root.section("capture")? {
            capture.only(&["checksums"])?;
            config.verify_checksums =
                capture.choice("checksums", &[("ignore", false), ("verify", true)])?;
        }
        if let Some(stream) = root.section("stream")? {
            config.stream = StreamSection::read(&stream)?;
        }
        if let Some(flow) = root.section("flow")? {
            config.flow = FlowSection::read(&flow)?;
        }
        if let Some(eve) = root.section("eve")? {
            config.eve = EveSection::read(&eve)?;
        }
        if let Some(app) = root.section("app-layer")? {
            app.only(&["memory"])?;
            config.app_memory = app
                .size("memory")?
                .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        }
        if let Some(defrag) = root.section("defrag")? {
            defrag.only(&["policy", "memory", "timeout"])?;
            config.defrag_policy = defrag.choice("policy", &POLICIES)?;
            config.defrag_timeout = defrag.number("timeout", 1, 86_400)?;
            config.defrag_memory = defrag
                .size("memory")?
                .map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        }
        if let Some(detect) = root.section("detect")? {
            detect.only(&["alert-max"])?;
            config.alert_max = detect.number("alert-max", 1, 65_535)?;
        }
        config.card = CardSection::read(&root)?;
        config.wire = WireSection::read(&root)?;
        config.limits = LimitsSection::read(&root)?;
        config.state = StateSection::read(&root)?;
        if let Some(rules) = root.section("rules")? {
            rules.only(&["frequency", "thresholds", "trusted-keys"])?;
            let keys = rules.strings("trusted-keys")?;
            config.trusted_keys = keys.into_iter().map(str::to_owned).collect();
            config.frequency = rules.string("frequency")?.map(PathBuf::from);
            config.thresholds = rules.string("thresholds")?.map(PathBuf::from);
        }
        if let Some(modules) = root.section("modules")? {
            config.modules = ModulesSection::read(&modules)?;
        }
        if let Some(classification) = root.section("classification")? {
            classification.only(&["file"])?;
            config.classification = classification.string("file")?.map(PathBuf::from);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
