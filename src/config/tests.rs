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
            wire: WireSection {
                fail: Some(Fail::Closed),
                mode: Some(Mode::Auto),
                heartbeat: Some(30),
                queues: Some(4),
                cpus: vec![2, 3, 4, 5],
                frames: Some(4096),
                frame_size: Some(2048),
                bypass: Some(true),
                shunt: Some(64 << 20),
                bpffs: Some(PathBuf::from("/sys/fs/bpf")),
            },
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
         Known here: vars, capture, stream, flow, eve, app-layer, defrag, detect, card, suppress, threshold, rate-filter, state, reputation, geoip, rules, modules, classification, wire"
    );
    assert_eq!(
        error("colour = 1\n"),
        "weir.toml:1:1: unknown key `colour`; Known here: vars, capture, stream, flow, eve, app-layer, defrag, detect, card, suppress, threshold, rate-filter, state, reputation, geoip, rules, modules, classification, wire"
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
    assert!(error("[stream]\nmidstream = true\nmidstream = true\n").starts_with("weir.toml:3:1: "));
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
