//! What modules keep: for whom, for how long, and beyond a reload.

use weir_rules::compile::module::{Kept, Scope};
use weir_wasm::modules::Module;
use weir_wasm::runtime::{Runtime, RuntimeConfig};

use super::guest::{Guest, guest, rule};
use super::sensor::Sensor;
use super::{HOST, load, policy, runtime, sensor};

/// A module that counts its packets in a scope, and says that its rules fire at every third one.
fn counting(name: &str, scope: Scope, kept: Kept) -> Guest {
    let number = match scope {
        Scope::Flow => 0,
        Scope::Source => 1,
        Scope::Destination => 2,
        Scope::Pair => 3,
        Scope::Everywhere => 4,
    };
    let mut guest = guest(name, vec![rule(1)]);
    guest.declaration.state = vec![Kept { scope, ..kept }];
    guest.imports = HOST.to_owned();
    guest.evaluate = format!(
        "(local $seen i32)
        (call $get (i32.const {number}) (i32.const 1024))
        (if (i32.load8_u (i32.const 1024))
            (then (local.set $seen (i32.load8_u (i32.load (i32.const 1028))))))
        (local.set $seen (i32.add (local.get $seen) (i32.const 1)))
        (i32.store8 (i32.const 1040) (local.get $seen))
        (drop (call $set (i32.const {number}) (i32.const 1040) (i32.const 1)))
        (i32.store (i32.const 512) (local.get $list))
        (i32.store (i32.const 516)
            (select (local.get $count) (i32.const 0)
                (i32.eqz (i32.rem_u (local.get $seen) (i32.const 3)))))
        (i32.const 512)"
    );
    guest
}

pub fn kept() -> Kept {
    Kept {
        scope: Scope::Flow,
        bytes: 8,
        entries: 100,
        seconds: 0,
    }
}

#[test]
fn state_is_kept_for_its_scope() {
    // Clients 1, 251 have the same address and different ports.
    for (scope, alerts) in [
        (Scope::Flow, vec![5]),
        (Scope::Source, vec![4]),
        (Scope::Pair, vec![4]),
        (Scope::Destination, vec![3, 6]),
        (Scope::Everywhere, vec![3, 6]),
    ] {
        let mut sensor = sensor(&counting("counts", scope, kept()));
        let mut fired = Vec::new();
        for (number, client) in [1, 2, 1, 251, 1, 2].into_iter().enumerate() {
            if !sensor.packet(client, b"x").alerts.is_empty() {
                fired.push(number + 1);
            }
        }
        assert_eq!(fired, alerts, "{scope:?}");
        assert!(!sensor.counters(0).quarantined);
    }
}

#[test]
fn state_that_is_too_much_or_too_old_goes() {
    let few = Kept {
        entries: 4,
        ..kept()
    };
    let mut of_few = sensor(&counting("few", Scope::Source, few));
    for client in 0..20 {
        of_few.packet(client, b"x");
    }
    let counters = of_few.counters(0);
    assert!(counters.state_entries <= 4, "{counters:?}");
    assert_eq!(counters.state_entries + counters.state_evicted, 20);

    // Packets come every second: the one before the last is gone.
    let short = Kept {
        seconds: 2,
        ..kept()
    };
    let mut of_short = sensor(&counting("short", Scope::Source, short));
    for number in 0..9 {
        let client = u16::from(number % 2 == 0);
        assert_eq!(of_short.packet(client, b"x").alerts, []);
    }
    let mut of_short = sensor(&counting("short", Scope::Source, short));
    let fired: Vec<bool> = (0..3)
        .map(|_| !of_short.packet(1, b"x").alerts.is_empty())
        .collect();
    assert_eq!(fired, [false, false, true]);
}

#[test]
fn state_outlives_a_reload_where_its_version_is_the_same() {
    let guest = counting("counts", Scope::Source, kept());
    let mut first = sensor(&guest);
    first.packet(1, b"x");
    first.packet(1, b"x");
    let next = |version: u32, entries: u32, first: &Sensor| {
        let mut guest = guest.clone();
        guest.declaration.state_version = version;
        guest.declaration.state[0].entries = entries;
        let module = load(&guest.build()).expect("a module");
        Sensor::new(&runtime(), &policy(), "", vec![module], Some(first))
    };
    let mut other = next(7, 100, &first);
    assert_eq!(other.packet(1, b"x").alerts, []);
    let mut larger = next(0, 200, &first);
    assert_eq!(larger.packet(1, b"x").alerts, [(1, 1)]);
    let mut same = next(0, 100, &first);
    assert_eq!(same.packet(1, b"x").alerts, [(1, 1)]);
    assert_eq!(same.counters(0).calls, 5, "counters go on, too");
}

#[test]
fn a_pair_is_the_same_in_both_directions_and_a_source_is_not() {
    for (scope, alerts) in [
        (Scope::Flow, vec![3, 6]),
        (Scope::Pair, vec![3, 6]),
        (Scope::Source, vec![5, 6]),
        (Scope::Destination, vec![5, 6]),
    ] {
        let mut sensor = sensor(&counting("counts", scope, kept()));
        let mut fired = Vec::new();
        for number in 1..=6 {
            let seen = match number % 2 {
                0 => sensor.answer(1, b"x"),
                _ => sensor.packet(1, b"x"),
            };
            if !seen.alerts.is_empty() {
                fired.push(number);
            }
        }
        assert_eq!(fired, alerts, "{scope:?}");
    }
}

#[test]
fn what_is_kept_for_a_flow_goes_with_it() {
    let mut sensor = sensor(&counting("counts", Scope::Flow, kept()));
    for client in 1..=3 {
        sensor.packet(client, b"x");
    }
    assert_eq!(sensor.counters(0).state_entries, 3);
    // Longer than any flow waits for its next packet: that of another one finds them over, and the same ends are another flow.
    sensor.waits(100_000);
    sensor.packet(4, b"x");
    for client in 1..=3 {
        assert_eq!(sensor.packet(client, b"x").alerts, []);
        assert_eq!(sensor.packet(client, b"x").alerts, []);
    }
    let counters = sensor.counters(0);
    assert_eq!((counters.state_entries, counters.state_evicted), (4, 0));
}

#[test]
fn a_value_that_is_too_long_is_not_kept() {
    let mut guest = guest("long", vec![rule(1)]);
    guest.declaration.state = vec![kept()];
    guest.imports = HOST.to_owned();
    // Keeps nine bytes, and says that its rules fire where that worked.
    guest.evaluate = "(local $kept i32)
        (local.set $kept (call $set (i32.const 0) (i32.const 1040) (i32.const 9)))
        (i32.store (i32.const 512) (local.get $list))
        (i32.store (i32.const 516) (select (local.get $count) (i32.const 0) (local.get $kept)))
        (i32.const 512)"
        .to_owned();
    let mut of_nine = sensor(&guest);
    assert_eq!(of_nine.packet(1, b"x").alerts, []);
    assert_eq!(of_nine.counters(0).state_entries, 0);
    guest.declaration.state[0].bytes = 9;
    let mut of_nine = sensor(&guest);
    assert_eq!(of_nine.packet(1, b"x").alerts, [(1, 1)]);
    assert_eq!(of_nine.counters(0).state_entries, 1);
}

#[test]
fn modules_of_one_runtime_are_not_compiled_again() {
    let guest = counting("counts", Scope::Source, kept());
    let bytes = guest.build();
    let first = sensor(&guest);
    let runtime = first.modules.runtime();
    let component = first.modules.component(runtime, &bytes);
    let component = component.expect("the bytes are the same");
    let module = Module::with_component(runtime, "a.wasm", &bytes, component, &policy());
    let module = module.expect("a module");
    let mut again = Sensor::new(runtime, &policy(), "", vec![module], Some(&first));
    assert_eq!(again.packet(1, b"x").alerts, []);
    let mut other = bytes.clone();
    other.push(0);
    assert!(first.modules.component(runtime, &other).is_none());
    let elsewhere = Runtime::new(RuntimeConfig::inline(1, 1)).expect("a runtime");
    assert!(first.modules.component(&elsewhere, &bytes).is_none());
}
