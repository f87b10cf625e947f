//! Modules that mean harm, beside one that does not and a text rule: each is contained, and the others go on.

use std::time::{Duration, Instant};

use weir_engine::eval::NoticeKind;
use weir_rules::compile::module::DeclaredPattern;
use weir_wasm::modules::{Module, ModuleCounters, Policy, Unusable};
use weir_wasm::runtime::Limits;

use super::guest::{ALL, Guest, WIT, component, guest, rule};
use super::sensor::Sensor;
use super::{load, runtime};

/// Limits that a call reaches soon, so that the tests are quick.
pub fn policy() -> Policy {
    Policy::new(Limits {
        call: Duration::from_millis(20),
        load: Duration::from_millis(200),
        host_calls: 1000,
        ..Limits::offline()
    })
}

/// A module whose rule 1 fires, but for what its `evaluate` does.
pub fn hostile(evaluate: &str) -> Guest {
    let mut guest = guest("hostile", vec![rule(1)]);
    guest.evaluate = evaluate.to_owned();
    guest
}

/// Runs a hostile module beside a good one and a text rule. Holds that both of them fire at every packet, that the
/// module is in quarantine after five offences, and that none took much longer than its limit.
fn contained(guest: &Guest, counted: fn(&ModuleCounters) -> u64, why: &str) {
    contained_within(&policy(), guest, counted, why);
}

fn contained_within(
    policy: &Policy,
    guest: &Guest,
    counted: fn(&ModuleCounters) -> u64,
    why: &str,
) {
    let module = |guest: &Guest| {
        Module::load(&runtime(), "a.wasm", &guest.build(), policy).expect("a module")
    };
    let good = super::guest::guest("good", vec![rule(2)]);
    let text = r#"alert udp any any -> any any (msg:"text"; content:"x"; sid:3;)"#;
    let modules = vec![module(guest), module(&good)];
    let mut sensor = Sensor::new(&runtime(), policy, text, modules, None);
    let mut notices = Vec::new();
    for number in 1..=8 {
        let begun = Instant::now();
        let seen = sensor.packet(number, b"x");
        let number = u64::from(number);
        assert_eq!(seen.alerts, [(number, 3), (number, 2)], "{why}");
        notices.extend(seen.notices);
        // The machine may be busy with other things: this is far from the limit, and from for ever.
        assert!(begun.elapsed() < Duration::from_secs(20), "{why}");
    }
    let counters = sensor.counters(0);
    assert_eq!(counted(&counters), 5, "{why}: {counters:?}");
    assert_eq!(counters.matches, 0, "{why}");
    assert_eq!((counters.calls, counters.quarantine_skips), (5, 3), "{why}");
    assert_eq!(
        counters.instances, 5,
        "each offence costs the instance: {why}"
    );
    assert!(counters.quarantined, "{why}");
    let kinds: Vec<NoticeKind> = notices.iter().map(|notice| notice.kind).collect();
    let mut expected = vec![NoticeKind::Failed; 5];
    expected.push(NoticeKind::Quarantined);
    assert_eq!(kinds, expected, "{why}: {notices:?}");
    assert!(notices.iter().all(|notice| &*notice.module == "hostile"));
    assert!(notices[0].reason.contains(why), "{:?}: {why}", notices[0]);
    let good = sensor.counters(1);
    assert_eq!((good.calls, good.matches, good.instances), (8, 8, 1));
}

#[test]
fn an_endless_loop() {
    let guest = hostile("(loop (br 0)) (unreachable)");
    contained(
        &guest,
        |counters| counters.overruns,
        "took longer than 20ms",
    );
}

#[test]
fn a_trap_on_every_call() {
    contained(
        &hostile("(unreachable)"),
        |counters| counters.traps,
        "unreachable",
    );
}

#[test]
fn a_stack_bomb() {
    let mut guest = hostile("(call $deep) (unreachable)");
    guest.more = "(func $deep (call $deep) (call $deep))".to_owned();
    contained(&guest, |counters| counters.traps, "call stack exhausted");
}

#[test]
fn a_jump_out_of_memory() {
    let guest = hostile("(drop (i32.load (i32.const -4))) (unreachable)");
    contained(&guest, |counters| counters.traps, "out of bounds");
}

#[test]
fn a_memory_hog() {
    // Takes what there is, and then runs on.
    let guest = hostile(
        "(loop $more
            (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (loop (br 0)) (unreachable)",
    );
    contained(&guest, |counters| counters.overruns, "took longer");
    // One that can do without goes on.
    let modest = hostile(&format!("(drop (memory.grow (i32.const 30000))) {ALL}"));
    let module = Module::load(&runtime(), "a.wasm", &modest.build(), &policy()).expect("loads");
    let mut sensor = Sensor::new(&runtime(), &policy(), "", vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 1)]);
    assert_eq!(sensor.counters(0).memory_refusals, 1);
    // One that begins with too much never runs.
    let mut fat = hostile(ALL);
    fat.memory = "30000".to_owned();
    let refused = Module::load(&runtime(), "a.wasm", &fat.build(), &policy());
    let refused = refused.expect_err("too much");
    assert!(matches!(refused.why, Unusable::Invalid(_)), "{refused}");
}

#[test]
fn a_flood_of_host_calls() {
    let mut guest = hostile("(loop (drop (call $bit (i32.const 0))) (br 0)) (unreachable)");
    guest.imports =
        r#"(import "weir:rules/host@1.0.0" "flow-bit" (func $bit (param i32) (result i32)))"#
            .to_owned();
    contained(&guest, |counters| counters.limits, "called the host more");
}

#[test]
fn a_flood_of_bytes() {
    let mut guest = hostile(
        "(loop (call $set (i32.const 0) (i32.const 0) (i32.const 500000)) (drop) (br 0)) (unreachable)",
    );
    guest.imports = r#"(import "weir:rules/host@1.0.0" "set-state" (func $set (param i32 i32 i32) (result i32)))"#
        .to_owned();
    // What the host would have to copy is more than it takes.
    contained(&guest, |counters| counters.bad_answers, "");
}

#[test]
fn a_flood_of_what_the_host_hands_over() {
    let mut guest = hostile(
        "(loop (call $buffer (i32.const 0) (i32.const 0) (i32.const 1024))
            (call $reset) (br 0)) (unreachable)",
    );
    guest.imports =
        r#"(import "weir:rules/host@1.0.0" "buffer" (func $buffer (param i32 i32 i32)))"#
            .to_owned();
    // The room for what is handed over is the same each time.
    guest.more = "(func $reset (global.set $next (i32.const 524288)))".to_owned();
    let limits = Limits {
        host_bytes: 4096,
        host_calls: 1_000_000,
        ..policy().limits
    };
    contained_within(
        &Policy::new(limits),
        &guest,
        |counters| counters.limits,
        "it was handed more than 4096 bytes",
    );
}

#[test]
fn an_answer_that_is_right_and_then_wrong_is_none() {
    let mut guest = hostile(
        "(i32.store (i32.const 1024) (i32.load (local.get $list)))
        (i32.store (i32.const 1028) (i32.const 77))
        (i32.store (i32.const 512) (i32.const 1024))
        (i32.store (i32.const 516) (i32.const 2))
        (i32.const 512)",
    );
    contained(
        &guest,
        |counters| counters.bad_answers,
        "rule 77, which it was not asked about",
    );
    // The same twice is one.
    guest.evaluate = "(i32.store (i32.const 1024) (i32.load (local.get $list)))
        (i32.store (i32.const 1028) (i32.load (local.get $list)))
        (i32.store (i32.const 512) (i32.const 1024))
        (i32.store (i32.const 516) (i32.const 2))
        (i32.const 512)"
        .to_owned();
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy()).expect("a module");
    let mut sensor = Sensor::new(&runtime(), &policy(), "", vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 1)]);
    assert_eq!(sensor.counters(0).matches, 1);
}

#[test]
fn answers_that_were_not_asked() {
    let guest = hostile(
        "(i32.store (i32.const 1024) (i32.const 77))
        (i32.store (i32.const 512) (i32.const 1024))
        (i32.store (i32.const 516) (i32.const 1))
        (i32.const 512)",
    );
    contained(
        &guest,
        |counters| counters.bad_answers,
        "rule 77, which it was not asked about",
    );
}

#[test]
fn an_answer_that_lies_outside_of_memory() {
    let guest = hostile(
        "(i32.store (i32.const 512) (i32.const 1024))
        (i32.store (i32.const 516) (i32.const 0x3fffffff))
        (i32.const 512)",
    );
    contained(&guest, |counters| counters.bad_answers, "");
}

#[test]
fn patterns_that_are_everywhere_cost_only_their_own_time() {
    let mut guest = guest("everywhere", vec![]);
    for sid in 10..200 {
        let mut greedy = rule(sid);
        greedy.patterns = (0..64u8)
            .map(|byte| DeclaredPattern {
                buffer: "payload".to_owned(),
                bytes: vec![byte.wrapping_mul(4)],
                nocase: true,
            })
            .collect();
        guest.declaration.rules.push(greedy);
    }
    guest.evaluate = super::NONE.to_owned();
    let policy = policy();
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy).expect("a module");
    let text = r#"alert udp any any -> any any (msg:"text"; content:"x"; sid:3;)"#;
    let mut sensor = Sensor::new(&runtime(), &policy, text, vec![module], None);
    for number in 1..=4 {
        let seen = sensor.packet(1, b"@@@@@x");
        assert_eq!(seen.alerts, [(number, 3)]);
    }
    let counters = sensor.counters(0);
    assert_eq!((counters.calls, counters.evaluations), (4, 4 * 190));
}

#[test]
fn a_declaration_that_never_ends() {
    let mut guest = hostile(ALL);
    guest.declare = "(loop (br 0))".to_owned();
    let begun = Instant::now();
    let refused = Module::load(&runtime(), "a.wasm", &guest.build(), &policy());
    let refused = refused.expect_err("it never says what it is");
    assert!(matches!(refused.why, Unusable::Silent(_)), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_huge_declaration() {
    // Of 4,097 rules.
    let mut many = guest("many", Vec::new());
    many.declaration.rules = (1..=4097).map(rule).collect();
    many.memory = "64".to_owned();
    let refused = load(&many.build()).expect_err("too many").to_string();
    assert!(
        refused.contains("rules: expected 1 to 4096, found 4097"),
        "{refused}"
    );
    // The same megabyte again and again: what the host would hold is more than the module has.
    let mut guest = hostile(ALL);
    guest.memory = "64".to_owned();
    // The list of buffers, at 4096 + 28: a thousand times two megabytes.
    guest.declare = "(local $at i32) (local.set $at (i32.const 1048576))
        (loop $more
            (i32.store (local.get $at) (i32.const 0))
            (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 2097152))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $more (i32.lt_u (local.get $at) (i32.const 1056576))))
        (i32.store (i32.const 4124) (i32.const 1048576))
        (i32.store (i32.const 4128) (i32.const 1000))"
        .to_owned();
    let refused = load(&guest.build()).expect_err("too much");
    assert!(matches!(refused.why, Unusable::Silent(_)), "{refused}");
}

#[test]
fn files_that_are_no_modules() {
    let refused = |bytes: &[u8]| load(bytes).expect_err("no module").to_string();
    for (bytes, expected) in [
        (&b"alert tcp any any -> any any (sid:1;)\n"[..], "`.rules`"),
        (b"(module)", "WebAssembly as text"),
        (b"", "an empty file"),
        (b"\x7fELF\x02\x01\x01\xff\xff", "not WebAssembly"),
    ] {
        let message = refused(bytes);
        assert!(
            message.starts_with("a.wasm: expected a rule module"),
            "{message}"
        );
        assert!(message.contains(expected), "{message}");
    }
    let core = wat::parse_str("(module)").expect("a core module");
    assert_eq!(
        load(&core).expect_err("a core module").why,
        Unusable::CoreModule
    );
    let whole = hostile(ALL).build();
    for cut in [9, whole.len() / 2, whole.len() - 1] {
        let why = load(&whole[..cut]).expect_err("cut off").why;
        assert!(matches!(why, Unusable::Invalid(_)), "{cut}: {why}");
    }
    let long = Policy::new(Limits {
        module_bytes: 100,
        ..Limits::offline()
    });
    let why = Module::load(&runtime(), "a.wasm", &whole, &long)
        .expect_err("too long")
        .why;
    assert!(matches!(why, Unusable::TooLong { most: 100, .. }), "{why}");
}

#[test]
fn another_world() {
    let mut guest = hostile(ALL);
    guest.wit = WIT.replace("weir:rules@1.0.0", "weir:rules@2.0.0");
    let why = load(&guest.build()).expect_err("another world").why;
    assert_eq!(
        why,
        Unusable::World {
            found: "2.0.0".to_owned()
        }
    );
    assert!(why.to_string().contains("version 2.0.0") && why.to_string().contains("1.0"));
    // What a wasi program would import.
    let wasi = "package weir:rules@1.0.0;
        world rules {
            import get-directories: func() -> u32;
            export declare: func() -> u32;
            export evaluate: func() -> u32;
        }";
    let text = r#"(module
        (import "$root" "get-directories" (func (result i32)))
        (func (export "declare") (result i32) (call 0))
        (func (export "evaluate") (result i32) (call 0)))"#;
    let why = load(&component(text, wasi))
        .expect_err("more than it may")
        .why;
    assert_eq!(why, Unusable::Foreign("get-directories".to_owned()));
}

#[test]
fn other_exports() {
    let none = "package weir:rules@1.0.0; world rules { export evaluate: func() -> u32; }";
    let text = r#"(module (func (export "evaluate") (result i32) (i32.const 1)))"#;
    let why = load(&component(text, none)).expect_err("no declare").why;
    assert!(
        matches!(&why, Unusable::Shape(why) if why.contains("found evaluate")),
        "{why}"
    );
    let wrong = "package weir:rules@1.0.0;
        world rules { export declare: func() -> u32; export evaluate: func() -> u32; }";
    let text = r#"(module
        (func (export "declare") (result i32) (i32.const 1))
        (func (export "evaluate") (result i32) (i32.const 1)))"#;
    let why = load(&component(text, wrong)).expect_err("other types").why;
    assert!(matches!(why, Unusable::Shape(_)), "{why}");
}

#[test]
fn bytes_that_were_changed_are_a_module_or_an_error() {
    let whole = hostile(ALL).build();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut loaded = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=random(3) {
            let at = 8 + random(bytes.len() - 8);
            bytes[at] = random(256) as u8;
        }
        loaded += u32::from(Module::load(&runtime(), "a.wasm", &bytes, &policy()).is_ok());
    }
    // Some changes are in names that nobody reads; others break it.
    assert!((1..300).contains(&loaded), "{loaded}");
}
