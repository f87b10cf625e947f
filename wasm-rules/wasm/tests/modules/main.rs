//! Authors' modules through the engine: what they can see, what they can keep, and what hostile ones cannot do.

mod guest;
mod hostile;
mod kept;
mod limits;
mod sensor;

use guest::{ALL, NONE, guest, rule};
use kept::kept;
use sensor::{Sensor, compiler};
use weir_rules::compile::module::{DeclaredAction, DeclaredPattern, Kept};
use weir_wasm::modules::{Grant, Module, ModuleError, Policy, Unusable};
use weir_wasm::runtime::{Limits, Runtime, RuntimeConfig};

/// A runtime for all tests.
fn runtime() -> Runtime {
    static RUNTIME: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    let make = || Runtime::new(RuntimeConfig::inline(16, 2)).expect("a runtime");
    RUNTIME.get_or_init(make).clone()
}

fn policy() -> Policy {
    Policy::new(Limits::offline())
}

fn load(bytes: &[u8]) -> Result<Module, ModuleError> {
    Module::load(&runtime(), "a.wasm", bytes, &policy())
}

fn sensor(guest: &guest::Guest) -> Sensor {
    let module = load(&guest.build()).expect("a module");
    Sensor::new(&runtime(), &policy(), "", vec![module], None)
}

/// Imports of the host, by the names that the tests' modules use.
const HOST: &str = r#"
    (import "weir:rules/host@1.0.0" "slice" (func $slice (param i32 i32 i32 i32 i32)))
    (import "weir:rules/host@1.0.0" "get-state" (func $get (param i32 i32)))
    (import "weir:rules/host@1.0.0" "set-state" (func $set (param i32 i32 i32) (result i32)))"#;

#[test]
fn a_module_decides_what_everything_else_of_its_rules_lets_through() {
    let mut first = rule(1);
    first.header = "udp any any -> any 9000".to_owned();
    let mut second = rule(2);
    second.header = "udp any any -> any 9001".to_owned();
    let mut third = rule(3);
    third.patterns = vec![
        DeclaredPattern {
            buffer: "payload".to_owned(),
            bytes: b"a\"long;pattern\\".to_vec(),
            nocase: true,
        },
        DeclaredPattern {
            buffer: "payload".to_owned(),
            bytes: vec![0xff, 0x00, 0x2f, 0x7c, 0x01],
            nocase: false,
        },
    ];
    let mut fourth = rule(4);
    fourth.patterns = vec![DeclaredPattern {
        buffer: "payload".to_owned(),
        bytes: b"only one".to_vec(),
        nocase: true,
    }];
    let mut sensor = sensor(&guest("all", vec![first, second, third, fourth]));
    assert_eq!(sensor.packet(1, b"nothing").alerts, [(1, 1)]);
    let seen = sensor.packet(1, b"xx A\"LONG;pattern\\ yy");
    assert_eq!(seen.alerts, [(2, 1), (2, 3)]);
    assert_eq!(
        sensor.packet(1, b"xx\xff\x00/|\x01").alerts,
        [(3, 1), (3, 3)]
    );
    assert_eq!(sensor.packet(1, b"\xff\x00/|\x02").alerts, [(4, 1)]);
    assert_eq!(sensor.packet(1, b"ONLY one").alerts, [(5, 1), (5, 4)]);
    // No payload, and the rules are about one.
    assert_eq!(sensor.packet(1, b"").alerts, []);
    let counters = sensor.counters(0);
    assert_eq!((counters.calls, counters.evaluations), (5, 8));
    assert_eq!((counters.matches, counters.instances), (8, 1));
}

#[test]
fn a_rule_without_buffers_is_about_every_packet() {
    let mut bare = rule(1);
    bare.buffers.clear();
    let mut sensor = sensor(&guest("bare", vec![bare]));
    for number in 1..=4 {
        assert_eq!(sensor.packet(1, b"").alerts, [(number, 1)]);
    }
}

#[test]
fn a_module_sees_the_buffers_that_it_declared() {
    let mut guest = guest("looks", vec![rule(1)]);
    guest.imports = HOST.to_owned();
    // Fires where the third byte is `x`.
    guest.evaluate = "
        (call $slice (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 1024))
        (i32.store (i32.const 512) (local.get $list))
        (i32.store (i32.const 516) (i32.const 0))
        (if (i32.and (i32.load8_u (i32.const 1024)) (i32.eq (i32.load (i32.const 1032)) (i32.const 1)))
            (then (if (i32.eq (i32.load8_u (i32.load (i32.const 1028))) (i32.const 120))
                (then (i32.store (i32.const 516) (local.get $count))))))
        (i32.const 512)"
        .to_owned();
    let mut sensor = sensor(&guest);
    assert_eq!(sensor.packet(1, b"abx").alerts, [(1, 1)]);
    assert_eq!(sensor.packet(1, b"xxa").alerts, []);
    assert_eq!(sensor.packet(1, b"xx").alerts, []);
    assert_eq!(sensor.counters(0).host_calls, 3);
}

#[test]
fn several_buffers_of_a_kind_are_told_apart_in_any_order() {
    let mut named = rule(1);
    named.header = "dns any any -> any any".to_owned();
    named.buffers = vec!["dns.query".to_owned()];
    let mut guest = guest("names", vec![named]);
    guest.declaration.buffers = vec!["dns.query".to_owned()];
    guest.imports = HOST.to_owned();
    // The first letter of one of the names, or 0.
    guest.more = "(func $letter (param i32) (result i32)
            (call $slice (i32.const 0) (local.get 0) (i32.const 0) (i32.const 1) (i32.const 1024))
            (if (result i32) (i32.load8_u (i32.const 1024))
                (then (i32.load8_u (i32.load (i32.const 1028)))) (else (i32.const 0))))"
        .to_owned();
    // Fires where the names begin with a, b and c, and there is no fourth.
    let asked = [
        (2, b'c'),
        (0, b'a'),
        (1, b'b'),
        (1, b'b'),
        (2, b'c'),
        (3, 0),
        (0, b'a'),
    ];
    let tests = asked.map(|(index, letter)| {
        format!("(i32.eq (call $letter (i32.const {index})) (i32.const {letter}))")
    });
    let all = tests
        .into_iter()
        .reduce(|all, test| format!("(i32.and {all} {test})"));
    guest.evaluate = format!(
        "(i32.store (i32.const 512) (local.get $list))
        (i32.store (i32.const 516) (select (local.get $count) (i32.const 0) {}))
        (i32.const 512)",
        all.expect("several tests")
    );
    let mut sensor = sensor(&guest);
    let alerts = |sensor: &mut Sensor, names: &[&str]| sensor.query(1, names).alerts.len();
    assert_eq!(
        alerts(&mut sensor, &["a.example", "b.example", "c.example"]),
        1
    );
    assert_eq!(
        alerts(&mut sensor, &["a.example", "c.example", "b.example"]),
        0
    );
    assert_eq!(alerts(&mut sensor, &["a.example", "b.example"]), 0);
    assert_eq!(
        alerts(&mut sensor, &["ax.example", "by.example", "cz.example"]),
        1
    );
    assert_eq!(sensor.counters(0).calls, 4);
}

#[test]
fn options_of_a_rule_mean_what_they_mean_in_text() {
    let mut setter = rule(1);
    setter.options = "flowbits:set,seen; noalert".to_owned();
    let mut limited = rule(2);
    limited.options = "threshold:type limit,track by_src,count 1,seconds 60;".to_owned();
    let text = r#"alert udp any any -> any any (msg:"text"; flowbits:isset,seen; sid:10;)"#;
    let module = load(&guest("options", vec![setter, limited]).build()).expect("a module");
    let mut sensor = Sensor::new(&runtime(), &policy(), text, vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 10), (1, 2)]);
    assert_eq!(sensor.packet(1, b"x").alerts, [(2, 10)]);
}

#[test]
fn rules_that_cannot_be_are_refused_by_their_place() {
    let module = |change: &dyn Fn(&mut weir_rules::compile::module::DeclaredRule)| {
        let mut changed = rule(7);
        change(&mut changed);
        let module = load(&guest("wrong", vec![rule(1), changed]).build()).expect("a module");
        let set = weir_wasm::modules::compile(vec![module], &compiler()).expect("a set");
        let of_module = &set.rules[0];
        assert_eq!(of_module.rules.len(), 1);
        let (index, problems) = &of_module.refused[0];
        assert_eq!(*index, 1);
        problems[0].message.clone()
    };
    let named = "module wrong, rules[1]";
    for (message, expected) in [
        (
            module(&|rule| rule.header = "udp any any -> $NOWHERE any".to_owned()),
            ".header, column 16: ",
        ),
        (
            module(&|rule| rule.options = "flow:established; nonsense:1;".to_owned()),
            ".options, column 19: ",
        ),
        (
            module(&|rule| rule.options = "classtype:misc-attack;".to_owned()),
            ".options: `classtype` is a field",
        ),
        (
            module(&|rule| rule.options = "dataset:isset,x,load /etc/hosts;".to_owned()),
            ".options: `dataset` is not for modules",
        ),
        (
            module(&|rule| rule.options = "bypass;".to_owned()),
            ".options: `bypass` is a verdict",
        ),
        (
            module(&|rule| rule.action = DeclaredAction::Drop),
            ".action: expected `alert`",
        ),
        (
            module(&|rule| rule.buffers = vec!["http.uri".to_owned()]),
            ": buffers[0]: expected one of the module's buffers",
        ),
    ] {
        let whole = format!("{named}{expected}");
        assert!(message.starts_with(&whole), "{message}\n{whole}");
    }
}

#[test]
fn verdicts_need_a_grant() {
    let mut dropping = rule(1);
    dropping.action = DeclaredAction::Drop;
    let bytes = guest("drops", vec![dropping]).build();
    let mut policy = policy();
    let grants = [Grant::Verdict].into_iter().collect();
    policy.grants.insert("drops".to_owned(), grants);
    let module = Module::load(&runtime(), "a.wasm", &bytes, &policy).expect("a module");
    let set = weir_wasm::modules::compile(vec![module], &compiler()).expect("a set");
    assert!(set.rules[0].refused.is_empty());
    assert_eq!(
        set.rules[0].rules[0].action,
        weir_engine::plan::Action::Drop
    );
}

#[test]
fn what_needs_a_grant_is_refused_without_it() {
    let mut guest = guest("ticks", vec![rule(1)]);
    guest.imports =
        r#"(import "weir:rules/clock@1.0.0" "now" (func $now (result i64)))"#.to_owned();
    guest.evaluate = format!("(drop (call $now)) {ALL}");
    let bytes = guest.build();
    let refused = load(&bytes).expect_err("no grant").to_string();
    assert!(
        refused.contains("imports weir:rules/clock, which the operator has not granted"),
        "{refused}"
    );
    let mut policy = policy();
    let grants = [Grant::Clock].into_iter().collect();
    policy.grants.insert("ticks".to_owned(), grants);
    let module = Module::load(&runtime(), "a.wasm", &bytes, &policy).expect("granted");
    let mut sensor = Sensor::new(&runtime(), &policy, "", vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 1)]);

    // A name that has the grant is known only once the module has said it: until then there is no clock.
    guest.declare = "(drop (call $now))".to_owned();
    let early = Module::load(&runtime(), "a.wasm", &guest.build(), &policy);
    let early = early.expect_err("too early").to_string();
    assert!(early.contains("without the operator's grant"), "{early}");
}

#[test]
fn a_declaration_that_is_wrong_is_refused_by_its_place() {
    type Change = fn(&mut guest::Guest);
    let cases: [(Change, &str); 9] = [
        (
            |guest| guest.declaration.name = "Not a name".to_owned(),
            "name: expected 1 to 64 of",
        ),
        (
            |guest| guest.declaration.rules.clear(),
            "rules: expected 1 to 4096, found 0",
        ),
        (
            |guest| guest.declaration.buffers.push("http.url".to_owned()),
            "buffers[1]: no buffer `http.url`",
        ),
        (
            |guest| guest.declaration.buffers.push("(file md5)".to_owned()),
            "buffers[1]: no buffer",
        ),
        (
            |guest| guest.declaration.rules.push(rule(1)),
            "rules[1].sid: a second rule with the sid 1",
        ),
        (
            |guest| guest.declaration.rules[0].header.push_str(" (sid:5;) #"),
            "rules[0].header: expected what stands before the options",
        ),
        (
            |guest| guest.declaration.rules[0].message.push('\n'),
            "rules[0].message: expected one line of text",
        ),
        (
            |guest| {
                guest.declaration.rules[0].patterns = vec![DeclaredPattern {
                    buffer: "payload".to_owned(),
                    bytes: Vec::new(),
                    nocase: false,
                }];
            },
            "rules[0].patterns[0].bytes: expected 1 to 255, found 0",
        ),
        (
            |guest| guest.declaration.state = vec![kept(), kept()],
            "state[1].scope: a second state of the scope flow",
        ),
    ];
    for (change, expected) in cases {
        let mut guest = guest("wrong", vec![rule(1)]);
        change(&mut guest);
        let error = load(&guest.build()).expect_err(expected);
        assert!(
            matches!(error.why, Unusable::Declaration(_)),
            "{error}: {expected}"
        );
        assert!(error.to_string().contains(expected), "{error}\n{expected}");
    }
    let mut much = guest("much", vec![rule(1)]);
    much.declaration.state = vec![Kept {
        bytes: 4096,
        entries: 1_000_000,
        ..kept()
    }];
    let error = load(&much.build()).expect_err("too much");
    assert!(matches!(error.why, Unusable::State { .. }), "{error}");
}

#[test]
fn what_can_be_told_of_a_module_without_running_it() {
    let mut guest = guest("told", vec![rule(1)]);
    guest.imports = HOST.to_owned();
    guest.memory = "16 32".to_owned();
    guest.more = "
        (func $loops (param i32)
            (loop $again (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $again (local.get 0))))
        (func $ends (block $out (loop (br $out))))
        (func $self (param i32) (if (local.get 0) (then (call $other (local.get 0)))))
        (func $other (param i32) (call $self (i32.sub (local.get 0) (i32.const 1))))
        (func $unused (loop (br 0)))"
        .to_owned();
    guest.evaluate = format!("(call $ends) {ALL}");
    let report = |guest: &guest::Guest| load(&guest.build()).expect("a module").report();
    let quiet = report(&guest);
    let work = quiet.work.as_ref().expect("work");
    assert!(work.is_bounded(), "{work:?}");
    assert_eq!(work.functions, 2);
    let memory = quiet.memory.expect("memory");
    assert_eq!((memory.initial, memory.most), (1 << 20, Some(2 << 20)));
    guest.evaluate = format!(
        "(call $loops (i32.const 3)) (call $self (i32.const 3))
        (call $set (i32.const 0) (i32.const 0) (i32.const 0)) drop {ALL}"
    );
    let busy = report(&guest);
    let work = busy.work.expect("work");
    assert_eq!(work.loops, ["loops"]);
    assert_eq!(work.recursion, ["self", "other"]);
    assert!(work.indirect.is_empty() && !work.is_bounded());
    let host = busy
        .imports
        .iter()
        .find(|import| import.name == "weir:rules/host@1.0.0");
    assert_eq!(
        host.expect("host").functions,
        ["slice", "get-state", "set-state"]
    );
    assert_eq!(busy.exports, ["declare", "evaluate"]);
}

#[test]
fn nothing_is_decided_where_a_module_says_so() {
    let mut guest = guest("none", vec![rule(1)]);
    guest.evaluate = NONE.to_owned();
    let mut sensor = sensor(&guest);
    assert_eq!(sensor.packet(1, b"x").alerts, []);
    assert_eq!(sensor.counters(0).matches, 0);
}
