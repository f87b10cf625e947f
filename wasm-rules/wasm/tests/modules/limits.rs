//! Limits that a module comes to without being ended: what it asks for beyond them is refused, left out or dropped, and counted.

use std::time::Duration;

use weir_wasm::modules::{Grant, Module, Offences, Policy};
use weir_wasm::runtime::Limits;

use super::guest::ALL;
use super::hostile::{hostile, policy};
use super::runtime;
use super::sensor::Sensor;

#[test]
fn a_flood_of_lines() {
    let mut guest = hostile(&format!(
        "(local $left i32) (local.set $left (i32.const 40))
        (loop $more
            (call $write (i32.const 2) (i32.const 1024) (i32.const 5))
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $more (local.get $left)))
        {ALL}"
    ));
    guest.imports =
        r#"(import "weir:rules/log@1.0.0" "write" (func $write (param i32 i32 i32)))"#.to_owned();
    let mut policy = policy();
    let grants = [Grant::Log].into_iter().collect();
    policy.grants.insert("hostile".to_owned(), grants);
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy).expect("a module");
    let mut sensor = Sensor::new(&runtime(), &policy, "", vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 1)]);
    // Sixteen a second; the machine may have taken more than one for them.
    let dropped = sensor.counters(0).log_dropped;
    assert!((1..=24).contains(&dropped), "{dropped}");
}

#[test]
fn a_table_hog() {
    let mut guest = hostile(&format!(
        "(if (i32.ne (table.grow $many (ref.null func) (i32.const 500)) (i32.const -1))
            (then (unreachable)))
        (if (i32.eq (table.grow $many (ref.null func) (i32.const 499)) (i32.const -1))
            (then (unreachable)))
        {ALL}"
    ));
    guest.more = "(table $many 1 funcref)".to_owned();
    let limits = Limits {
        table_elements: 500,
        ..policy().limits
    };
    let policy = Policy::new(limits);
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy).expect("a module");
    let mut sensor = Sensor::new(&runtime(), &policy, "", vec![module], None);
    let seen = sensor.packet(1, b"x");
    assert_eq!(seen.alerts, [(1, 1)], "it goes without: {seen:?}");
}

#[test]
fn a_budget_is_used_up_and_the_others_go_on() {
    let policy = Policy::new(Limits {
        budget_per_second: Some(Duration::from_nanos(1)),
        ..Limits::offline()
    });
    let guest = hostile(ALL);
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy).expect("a module");
    let text = r#"alert udp any any -> any any (msg:"text"; content:"x"; sid:3;)"#;
    let mut sensor = Sensor::new(&runtime(), &policy, text, vec![module], None);
    assert_eq!(sensor.packet(1, b"x").alerts, [(1, 3), (1, 1)]);
    assert_eq!(sensor.packet(1, b"x").alerts, [(2, 3)]);
    let counters = sensor.counters(0);
    assert_eq!((counters.calls, counters.budget_skips), (1, 1));
    assert!(!counters.quarantined);
    // A second of the wall's clock later it has a new one.
    std::thread::sleep(Duration::from_millis(1050));
    assert_eq!(sensor.packet(1, b"x").alerts, [(3, 3), (3, 1)]);
}

#[test]
fn offences_are_forgiven_where_they_are_rare() {
    // Every second packet is an offence, and there is one a second.
    let mut guest = hostile(&format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.eq (global.get $calls) (i32.const 2)) (then (unreachable))) {ALL}"
    ));
    guest.more = "(global $calls (mut i32) (i32.const 0))".to_owned();
    let mut policy = policy();
    policy.offences = Offences {
        burst: 3,
        seconds: 3,
        total: 6,
    };
    let module = Module::load(&runtime(), "a.wasm", &guest.build(), &policy).expect("a module");
    let mut sensor = Sensor::new(&runtime(), &policy, "", vec![module], None);
    let alerts: usize = (0..20).map(|_| sensor.packet(1, b"x").alerts.len()).sum();
    let counters = sensor.counters(0);
    assert_eq!((counters.traps, alerts), (6, 6));
    assert!(counters.quarantined, "six in all");
    assert_eq!(counters.quarantine_skips, 8);
}
