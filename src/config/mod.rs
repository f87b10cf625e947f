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
//! midstream = false                           # take up connections whose handshake was not seen
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
mod tests {
    use super::*;
    use clap::ValueEnum;
    use weir_engine::flow::{ElephantConfig, FlowConfig, FlowState, TimeoutProto, Timeouts};
    use weir_engine::stream::{StreamPolicy, UrgentPolicy};
    use weir_wasm::modules::Grant;

    fn error(text: &str) -> String {
        Config::parse("weir.toml", text.as_bytes())
            .expect_err("a wrong configuration")
            .to_string()
    }

    #[test]
    fn everything_that_is_documented_is_read() {
        let text = include_str!("mod.rs");
        let example: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        let config = Config::parse("example", example.as_bytes()).expect("the example is right");
        assert_eq!(
            config.address_groups["HOME_NET"].text,
            "[192.168.0.0/16,10.0.0.0/8]"
        );
        assert_eq!(config.port_groups["HTTP_PORTS"].text, "[80,8080]");
        assert_eq!(
            Config {
                address_groups: BTreeMap::new(),
                port_groups: BTreeMap::new(),
                flow: FlowSection::default(),
                ..config.clone()
            },
            Config {
                verify_checksums: Some(false),
                stream: StreamSection {
                    midstream: Some(false),
                    async_oneside: Some(false),
                    urgent: Some(UrgentPolicy::OutOfBand),
                    depth: Some(1 << 20),
                    window: Some(2560),
                    memory: Some(128 << 20),
                    waiting: Some(1 << 20),
                    policy: Some(StreamPolicy::Bsd),
                    hosts: config.stream.hosts.clone(),
                },
                eve: EveSection {
                    types: Some(EveType::value_variants().iter().copied().collect()),
                    stats_interval: Some(60),
                },
                app_memory: Some(256 << 20),
                defrag_policy: Some(OverlapPolicy::Bsd),
                defrag_timeout: Some(60),
                defrag_memory: Some(32 << 20),
                alert_max: Some(15),
                card: CardSection {
                    device: Some(PathBuf::from("/dev")),
                    offload: Some(weir_driver::Policy::Auto),
                    deadline: Some(10),
                    room: Some(4 << 20),
                    known_every: Some(64),
                    scrub: Some(20_000),
                },
                thresholds: Some(PathBuf::from("threshold.config")),
                limits: config.limits.clone(),
                state: StateSection {
                    host_bits: Some(1 << 18),
                    counters: Some(1 << 20),
                    tagged_hosts: Some(1 << 16),
                    set_memory: Some(100 << 20),
                    categories: Some(PathBuf::from("categories.txt")),
                    lists: vec![PathBuf::from("reputation.list")],
                    countries: Some(PathBuf::from("countries.mmdb")),
                },
                frequency: Some(PathBuf::from("ours.freq")),
                modules: ModulesSection {
                    grants: [(
                        "dns-tunnel".to_owned(),
                        [Grant::Log, Grant::Verdict].into_iter().collect(),
                    )]
                    .into_iter()
                    .collect(),
                    call: Some(500),
                    budget: Some(250),
                    memory: Some(32 << 20),
                    state: Some(256 << 20),
                    host_calls: Some(16_384),
                    offences: [Some(5), Some(10), Some(20)],
                },
                trusted_keys: vec!["site.key.pub".to_owned()],
                classification: Some(PathBuf::from("classification.config")),
                ..Config::default()
            }
        );
        assert_eq!(
            Config::parse("empty", b"").expect("nothing is fine"),
            Config::default()
        );
        // The defaults, as documented.
        let (mut card, plain) = (
            weir_driver::Config::default(),
            weir_driver::Config::default(),
        );
        config.card.apply(&mut card);
        assert_eq!(
            (
                card.policy,
                card.deadline,
                card.room_bytes,
                card.known_every,
                card.scrub
            ),
            (
                plain.policy,
                plain.deadline,
                plain.room_bytes,
                plain.known_every,
                plain.scrub
            )
        );
        let mut flow = FlowConfig::default();
        config.flow.apply(&mut flow);
        assert_eq!(flow.timeouts, Timeouts::default());
        assert!(flow.vlan);
        let elephant = ElephantConfig {
            bytes: 1 << 30,
            seconds: 10,
        };
        assert_eq!(flow.elephant, Some(elephant));
        assert!(flow.memory() <= 64 << 20 && flow.max_flows > 100_000);
    }

    #[test]
    fn flows_are_said_by_number_or_by_memory() {
        let flow = |text: &str| {
            let mut flow = FlowConfig::default();
            Config::parse("weir.toml", format!("[flow]\n{text}").as_bytes())
                .expect(text)
                .flow
                .apply(&mut flow);
            flow
        };
        assert_eq!(flow("max = 7").max_flows, 7);
        assert_eq!(flow("memory = 0").max_flows, 1);
        assert!(!flow("vlan = false").vlan);
        let timeouts = flow("timeouts.icmp.emergency-established = 3").timeouts;
        assert_eq!(timeouts.normal, Timeouts::default().normal);
        let icmp = timeouts.emergency[TimeoutProto::Icmp as usize];
        assert_eq!(icmp[FlowState::Established as usize], 3_000_000_000);
        assert_eq!(
            error("[flow]\nmax = 1\nmemory = \"1 MiB\""),
            "weir.toml:3:10: flow.memory: max stands here, too; only one of them can be said"
        );
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest_known_one() {
        assert_eq!(
            error("[stream]\nmidstraem = true\n"),
            "weir.toml:2:1: unknown key `midstraem` in [stream]; did you mean `midstream`? Known here: midstream, async-oneside, urgent, depth, window, memory, waiting, policy, hosts"
        );
        assert_eq!(
            error("[strem]\n"),
            "weir.toml:1:2: unknown table [strem]; did you mean [stream]? \
             Known here: vars, capture, stream, flow, eve, app-layer, defrag, detect, card, suppress, threshold, rate-filter, state, reputation, geoip, rules, modules, classification"
        );
        assert_eq!(
            error("colour = 1\n"),
            "weir.toml:1:1: unknown key `colour`; Known here: vars, capture, stream, flow, eve, app-layer, defrag, detect, card, suppress, threshold, rate-filter, state, reputation, geoip, rules, modules, classification"
                .replace("; Known", ". Known")
        );
        assert!(
            error("[vars]\naddress-group.A = \"any\"\n")
                .contains("did you mean [vars.address-groups]?")
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_says_what_was_expected() {
        for (text, expected) in [
            (
                "[stream]\nmidstream = \"no\"",
                "weir.toml:2:13: stream.midstream: expected true or false, found a string",
            ),
            (
                "[stream]\ndepth = true",
                "weir.toml:2:9: stream.depth: expected a size such as \"1 MiB\" or a number of bytes, found a boolean",
            ),
            (
                "[stream]\ndepth = \"1 MiBs\"",
                "weir.toml:2:9: stream.depth: expected a size such as \"1 MiB\" or a number of bytes, found \"1 MiBs\"",
            ),
            (
                "[stream]\ndepth = \"99999999999 TiB\"",
                "weir.toml:2:9: stream.depth: expected a size such as \"1 MiB\" or a number of bytes, found \"99999999999 TiB\"",
            ),
            (
                "[stream]\ndepth = -1",
                "weir.toml:2:9: stream.depth: expected a size such as \"1 MiB\" or a number of bytes, found -1",
            ),
            (
                "[flow]\nmax = 0",
                "weir.toml:2:7: flow.max: expected a whole number from 1 to 1073741824, found 0",
            ),
            (
                "[flow]\nmax = 1.5",
                "weir.toml:2:7: flow.max: expected a whole number from 1 to 1073741824, found a float",
            ),
            (
                "[eve]\ntypes = [\"alert\", \"flows\"]",
                "weir.toml:2:19: eve.types: expected \"alert\", \"flow\", \"packet\", \"stats\", \"http\", \"dns\", \"mdns\", \"tls\", \"quic\", \"ssh\", \"smtp\", \"ftp\", \"ftp_data\", \"smb\", \"dcerpc\", \"sip\", \"mqtt\", \"snmp\", \"krb5\", \"websocket\", \"rfb\", \"dhcp\", \"fileinfo\" or \"module\", found \"flows\"",
            ),
            (
                "[eve]\ntypes = \"alert\"",
                "weir.toml:2:9: eve.types: expected a list of \"alert\", \"flow\", \"packet\", \"stats\", \"http\", \"dns\", \"mdns\", \"tls\", \"quic\", \"ssh\", \"smtp\", \"ftp\", \"ftp_data\", \"smb\", \"dcerpc\", \"sip\", \"mqtt\", \"snmp\", \"krb5\", \"websocket\", \"rfb\", \"dhcp\", \"fileinfo\" or \"module\", found a string",
            ),
            (
                "[flow.timeouts]\nudp = 30",
                "weir.toml:2:7: flow.timeouts.udp: expected a table, found an integer",
            ),
            (
                "[capture]\nchecksums = \"ignored\"",
                "weir.toml:2:13: capture.checksums: expected \"ignore\" or \"verify\", found \"ignored\"",
            ),
            (
                "capture = 1",
                "weir.toml:1:11: capture: expected a table, found an integer",
            ),
            (
                "[vars.port-groups]\nHTTP_PORTS = 80",
                "weir.toml:2:14: vars.port-groups.HTTP_PORTS: expected a string, found an integer",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_toml_or_not_text_names_its_place() {
        assert!(
            error("[stream\n").starts_with("weir.toml:1:8: "),
            "{}",
            error("[stream\n")
        );
        assert!(
            error("[stream]\nmidstream = true\nmidstream = true\n").starts_with("weir.toml:3:1: ")
        );
        let bad = Config::parse("weir.toml", b"[stream]\n# \xff\n")
            .expect_err("not UTF-8")
            .to_string();
        assert_eq!(bad, "weir.toml:2:3: expected UTF-8 text, found byte 0xff");
        let missing = Config::load(Some(Path::new("no/such/weir.toml")))
            .expect_err("no file")
            .to_string();
        assert!(
            missing.starts_with("no/such/weir.toml: cannot read the configuration: "),
            "{missing}"
        );
    }

    #[test]
    fn a_card_needs_room() {
        for wrong in ["\"8 KiB\"", "\"2 GiB\"", "\"9999 TB\""] {
            let text = format!("[card]\ndevice = \"/dev\"\nroom = {wrong}\n");
            assert_eq!(
                error(&text),
                "weir.toml:3:8: card.room: expected a size from 256 KiB to 1 GiB",
                "{wrong}"
            );
        }
        assert_eq!(
            error("[card]\noffload = \"fpga\"\n"),
            "weir.toml:2:11: card.offload: expected \"auto\", \"card\" or \"software\", found \"fpga\""
        );
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("\"1 MiB\"", 1 << 20),
            ("\"64KiB\"", 64 << 10),
            ("\"2 gib\"", 2 << 30),
            ("\"10 kB\"", 10_000),
            ("\"3 MB\"", 3_000_000),
            ("\"4 GB\"", 4_000_000_000),
            ("\"512\"", 512),
            ("\"7 bytes\"", 7),
            ("4096", 4096),
            ("0", 0),
        ] {
            let config =
                Config::parse("s", format!("[stream]\ndepth = {text}").as_bytes()).expect(text);
            assert_eq!(config.stream.depth, Some(bytes), "{text}");
        }
    }
}
