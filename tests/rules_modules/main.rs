//! Modules from source to alerts: the examples, and what `weir rules new` makes, built and run over captures.

#[path = "../common/mod.rs"]
mod common;
mod traffic;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, Ended, pcap, pcap_spaced, udp};
use traffic::{Tcp, dns, ping};

/// How long a module may take to build: the compiler's library is built along, on a machine that does other things, too.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1500);

/// Where modules are built: one folder for all, so that the compiler's library is built once.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules")
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("wasm-rules/examples")
        .join(name)
}

/// Runs `weir` with arguments as they are, with time to build.
fn weir(bench: &Bench, arguments: &[&str]) -> Ended {
    let mut command = bench.command("");
    command
        .args(arguments)
        .env("CARGO_TARGET_DIR", target())
        // Those of the build that this test is part of are none of the module's business.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    common::run_patiently(command, &[], PATIENCE)
}

/// True where modules can be built. In continuous integration they must be.
fn can_build(ended: &Ended, what: &str) -> bool {
    if ended.code == Some(0) {
        return true;
    }
    let missing = ended.stderr.contains("compiles Rust to WebAssembly");
    let ci = std::env::var_os("WEIR_CI").is_some_and(|value| value == "1");
    assert!(missing && !ci, "{what}: {ended:#?}");
    eprintln!("skipped: {}", ended.stderr.trim());
    false
}

/// Builds an example; none where there is no toolchain.
fn built(bench: &Bench, name: &str) -> Option<PathBuf> {
    let module = bench.path(&format!("{name}.wasm"));
    let folder = example(name).display().to_string();
    let ended = weir(
        bench,
        &[
            "rules",
            "build",
            &folder,
            "-o",
            &module.display().to_string(),
        ],
    );
    can_build(&ended, name).then_some(module)
}

/// Which signatures fire on which packets.
fn fired(bench: &Bench, module: &Path, capture: &str) -> BTreeSet<(u64, u32)> {
    let ended = weir(
        bench,
        &[
            "rules",
            "test",
            &module.display().to_string(),
            "--pcap",
            capture,
        ],
    )
    .code(0)
    .quiet();
    let lines = ended.stdout.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let mut number = || words.next().and_then(|word| word.parse().ok());
            (
                number().expect("a packet"),
                u32::try_from(number().expect("a signature")).expect("it fits"),
            )
        })
        .collect()
}

fn sids(fired: &BTreeSet<(u64, u32)>) -> Vec<u32> {
    fired.iter().map(|&(_, sid)| sid).collect()
}

#[test]
fn logins_are_counted_over_connections() {
    let bench = Bench::new();
    let Some(module) = built(&bench, "login-brute-force") else {
        return;
    };
    let login = |host: u8, at: u16, answer: &[u8]| {
        Tcp::open((host, 40_000 + at), 21)
            .down(b"220 ready\r\n")
            .up(b"USER root\r\n")
            .down(b"331 password?\r\n")
            .up(b"PASS secret\r\n")
            .down(answer)
            .close()
    };
    let mut frames = Vec::new();
    for at in 0..9 {
        frames.extend(login(7, at, b"530 Login incorrect.\r\n"));
        // Somebody who gets in now and then.
        let answer: &[u8] = if at % 5 == 4 {
            b"230 Welcome.\r\n"
        } else {
            b"530 Login incorrect.\r\n"
        };
        frames.extend(login(8, at, answer));
    }
    // Connections to SSH that end at once.
    for at in 0..8 {
        frames.extend(
            Tcp::open((9, 50_000 + at), 22)
                .down(b"SSH-2.0-x\r\n")
                .close(),
        );
    }
    bench.file("a.pcap", pcap(&frames));
    let fired = fired(&bench, &module, "a.pcap");
    assert_eq!(sids(&fired), [9_200_001, 9_200_002], "{fired:?}");
}

#[test]
fn a_tunnel_in_names_is_found() {
    let bench = Bench::new();
    let Some(module) = built(&bench, "dns-tunnel") else {
        return;
    };
    let query = |at: u64, tunnel: bool| {
        let mut bits = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let label: Vec<u8> = (0..50)
            .map(|_| {
                bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> 59) as usize]
            })
            .collect();
        let label: &[u8] = if tunnel { &label } else { b"www" };
        let mut message = (at as u16).to_be_bytes().to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in [label, b"t", b"example"] {
            message.push(label.len() as u8);
            message.extend(label);
        }
        message.extend([0, 0, 16, 0, 1]);
        dns(if tunnel { 7 } else { 8 }, &message)
    };
    let frames: Vec<_> = (0..80).map(|at| (at / 4, query(at, at % 2 == 0))).collect();
    bench.file("a.pcap", pcap_spaced(&frames));
    let fired = fired(&bench, &module, "a.pcap");
    assert_eq!(fired, BTreeSet::from([(47, 9_200_101)]));
}

#[test]
fn an_unknown_protocol_is_parsed_over_segments() {
    let bench = Bench::new();
    let Some(module) = built(&bench, "unknown-protocol") else {
        return;
    };
    let dangerous = Tcp::open((7, 40_000), 6379)
        .up(b"*1\r\n$4\r\nPING\r\n")
        .down(b"+PONG\r\n")
        .up(b"*4\r\n$6\r\nCONF")
        .up(b"IG\r\n$3\r\nSET\r\n$3\r\ndi")
        .up(b"r\r\n$5\r\n/root\r\n")
        .down(b"+OK\r\n")
        .close();
    let harmless = Tcp::open((7, 40_001), 6379)
        .up(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$24\r\n*1\r\n$8\r\nFLUSHALL\r\nCONFIG\r\n")
        .down(b"+OK\r\n")
        .close();
    bench.file("a.pcap", pcap(&[dangerous, harmless].concat()));
    let fired = fired(&bench, &module, "a.pcap");
    assert_eq!(sids(&fired), [9_200_201], "{fired:?}");
}

#[test]
fn the_model_tells_beacons_from_other_connections() {
    let bench = Bench::new();
    let Some(module) = built(&bench, "flow-model") else {
        return;
    };
    let mut train = Command::new(env!("CARGO"));
    train
        .args(["run", "-q", "--bin", "train", "--", "capture"])
        .arg(bench.path("a.pcap"))
        .current_dir(example("flow-model"))
        .env("CARGO_TARGET_DIR", target());
    let made = common::run_patiently(train, &[], PATIENCE).code(0);
    let beacons: BTreeSet<String> = made
        .stdout
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .map(|port| format!("192.0.2.7:{port}"))
        .collect();
    assert_eq!(beacons.len(), 2);
    let ended = weir(
        &bench,
        &[
            "rules",
            "test",
            &module.display().to_string(),
            "--pcap",
            "a.pcap",
        ],
    )
    .code(0);
    let told: BTreeSet<String> = ended
        .stdout
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            line.split("tcp:")
                .nth(1)?
                .split("->")
                .next()
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(told, beacons, "{ended:#?}");
}

#[test]
fn a_rule_in_c_is_a_module_like_any_other() {
    let bench = Bench::new();
    let core = bench.path("core.wasm");
    let mut make = Command::new("make");
    make.arg(format!("OUT={}", core.display()))
        .current_dir(example("in-c"));
    let clang = Command::new("clang-19").arg("--version").output();
    if clang.is_err() {
        let ci = std::env::var_os("WEIR_CI").is_some_and(|value| value == "1");
        assert!(!ci, "clang-19 and lld-19 must be installed");
        eprintln!("skipped: clang-19 is not installed");
        return;
    }
    common::run(make, &[]).code(0);
    let module = bench.path("in-c.wasm");
    weir(&bench, &["rules", "build", "core.wasm", "-o", "in-c.wasm"]).code(0);
    let linux: Vec<u8> = [9; 16].into_iter().chain(16..120).collect();
    let windows: Vec<u8> = (b'a'..=b'w').cycle().take(100).collect();
    let data: Vec<u8> = (0..100_u32).map(|at| (at * at * 37 % 251) as u8).collect();
    let short: Vec<u8> = data.iter().copied().take(32).collect();
    // Many, so that memory which is not given back would run out: a hundred bytes each of a page.
    let mut frames: Vec<Vec<u8>> = (0..3000).map(|_| ping(&linux)).collect();
    frames.extend([ping(&windows), ping(&short), ping(&data)]);
    bench.file("a.pcap", pcap(&frames));
    assert_eq!(
        fired(&bench, &module, "a.pcap"),
        BTreeSet::from([(3003, 9_200_401)])
    );
}

#[test]
fn a_new_module_builds_passes_its_tests_and_fires_where_it_says() {
    let bench = Bench::new();
    // Not the guide's name: both are built into one folder, where what is made has the module's name alone.
    weir(&bench, &["rules", "new", "other-module"])
        .code(0)
        .prints("GUIDE.md");
    weir(&bench, &["rules", "new", "other-module"])
        .code(1)
        .says("is there already");
    weir(&bench, &["rules", "new", "My_Module"])
        .code(2)
        .says("a-z, 0-9 and -");
    let tested = [
        "rules",
        "test",
        "other-module",
        "--pcap",
        "other-module/tests/example.pcap",
        "--expect",
        "other-module/tests/example.expected",
    ];
    let ended = weir(&bench, &tested);
    if !can_build(&ended, "other-module") {
        return;
    }
    ended.code(0).prints("# passed: 1 alert in");
    // Its own tests, on this machine.
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .arg("test")
        .current_dir(bench.path("other-module"))
        .env("CARGO_TARGET_DIR", target());
    common::run_patiently(cargo, &[], PATIENCE)
        .code(0)
        .prints("2 passed");
    // What does not fire as expected fails, and says so.
    bench.file("wrong.expected", "1 9100001\n");
    weir(
        &bench,
        &[
            "rules",
            "test",
            "other-module",
            "--pcap",
            "other-module/tests/example.pcap",
            "--expect",
            "wrong.expected",
        ],
    )
    .code(1)
    .prints("- 1 9100001")
    .prints("+ ");
    // A mistake in the source is told with its place.
    let source = bench.path("other-module/src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("it is there");
    std::fs::write(&source, text.replace("sid: 9_100_001", "sid: 0")).expect("it is written");
    weir(&bench, &["rules", "build", "other-module", "-o", "x.wasm"])
        .code(1)
        .says("a rule has no `sid`")
        .says("src/lib.rs");
    assert!(!bench.path("x.wasm").exists());
}

/// The blocks of the guide in this language.
fn guide(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-rules/GUIDE.md");
    let text = std::fs::read_to_string(path).expect("there is a guide");
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| {
            block
                .strip_prefix(language)?
                .strip_prefix('\n')
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let bench = Bench::new();
    let blocks = guide("console");
    let commands: Vec<Vec<&str>> = blocks
        .iter()
        .flat_map(|block| block.lines())
        .filter_map(|line| Some(line.strip_prefix("$ weir ")?.split(' ').collect()))
        .collect();
    assert_eq!(commands.len(), 4, "{blocks:?}");
    for command in &commands {
        let ended = weir(&bench, command);
        if !can_build(&ended, &command.join(" ")) {
            return;
        }
    }
    assert!(bench.path("my-module.wasm").is_file());
}

#[test]
fn the_configuration_of_the_guide_is_understood() {
    let bench = Bench::new();
    bench.file("a.rules", common::NEEDLE);
    let blocks = guide("toml");
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        bench.file("a.toml", &block);
        bench.weir("rules check --config a.toml a.rules").code(0);
        bench.file("b.toml", block.replace("verdict", "nonsense"));
        bench.weir("rules check --config b.toml a.rules").code(2);
    }
}

#[test]
fn text_rules_are_tested_the_same_way() {
    let bench = Bench::new();
    bench.file("a.rules", common::NEEDLE);
    bench.file(
        "a.pcap",
        pcap(&[udp(b"hay"), udp(b"a needle"), udp(b"needles")]),
    );
    let ended = bench
        .weir("rules test a.rules --pcap a.pcap")
        .code(0)
        .quiet();
    assert_eq!(
        ended.stdout,
        "# packet sid flow message\n\
         2 1 udp:10.0.0.1:1000->10.0.0.2:2000 a needle\n\
         3 1 udp:10.0.0.1:1000->10.0.0.2:2000 a needle\n\
         # 2 alerts in 3 packets\n"
    );
    // What was printed is an expectation.
    bench.file("a.expected", &ended.stdout);
    bench
        .weir("rules test a.rules --pcap a.pcap --expect a.expected")
        .code(0)
        .prints("# passed: 2 alerts in 3 packets, as expected");
    bench.file("b.expected", "2 1\n2 1\n1 7\n");
    bench
        .weir("rules test a.rules --pcap a.pcap --expect b.expected")
        .code(1)
        .prints("# failed: 2 alerts missing (-), 1 alert not expected (+)\n- 1 7\n- 2 1\n+ 3 1\n");
    bench.file("c.expected", "2 1\nnonsense\n");
    bench
        .weir("rules test a.rules --pcap a.pcap --expect c.expected")
        .code(1)
        .says("c.expected:2: \"nonsense\": expected the packet's number");
    bench.file("b.rules", "alert nothing any any -> any any (sid:1;)\n");
    bench
        .weir("rules test b.rules --pcap a.pcap")
        .code(1)
        .says("b.rules:1:");
}

#[test]
fn what_is_no_source_of_a_module_is_refused_with_what_was_expected() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("empty")).expect("a folder");
    bench
        .weir("rules build empty -o x.wasm")
        .code(1)
        .says("the folder has no *.rules file, nor *.wasm or *.weir, and no Cargo.toml");
    bench.file("core.wasm", b"\0asm\x01\0\0\0");
    bench
        .weir("rules build core.wasm -o x.wasm")
        .code(1)
        .says("does not fit the world weir:rules");
    bench.file("cut.wasm", b"\0asm\x01\0\0\0\x01\xff");
    bench
        .weir("rules build cut.wasm -o x.wasm")
        .code(1)
        .says("not WebAssembly");
    // Without a compiler it says what to install.
    std::fs::create_dir(bench.path("project")).expect("a folder");
    bench.file("project/Cargo.toml", "[package]\nname = \"x\"\n");
    if !Path::new("/usr/bin/rustc").exists() {
        let mut command = bench.command("rules build project -o x.wasm");
        command.env("PATH", bench.path("empty")).env_remove("RUSTC");
        common::run(command, &[])
            .code(1)
            .says("rustup target add wasm32-unknown-unknown");
    }
}
