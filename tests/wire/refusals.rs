//! What cannot be had is refused, with what to do.

use weir_testbed::needs;

use crate::sensor::{KEPT, PATIENCE, Scene, flow};

const RULES: &str = "alert udp any any -> any 7 (sid:1;)\n";

/// Runs a sensor that is expected not to start; what it says.
fn refused(scene: &Scene, options: &str) -> String {
    let (code, out, error) = scene.weir(&format!("run --rules a.rules {options}"));
    assert_ne!(code, 0, "{options}: {out}{error}");
    error
}

#[test]
fn ports_that_cannot_be_had_say_why() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    for (options, words) in [
        ("--inline port-a,nowhere", "nowhere"),
        ("--inline port-a,port-a", "two"),
        ("--inline port-a", "two ports"),
        ("--inline lo,port-a", "lo"),
    ] {
        let said = refused(&scene, options);
        assert!(said.contains(words), "{options}: {said}");
    }
}

#[test]
fn one_sensor_to_a_port() {
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    let sensor = scene.sensor("");
    let said = refused(&scene, "--inline port-a,port-b");
    assert!(said.contains(&sensor.child.pid().to_string()), "{said}");
    let (code, _, error) = scene.weir("detach port-a");
    assert_eq!(code, 1, "{error}");
    sensor.stop();
    let (code, out, error) = scene.weir("detach port-a");
    assert_eq!(code, 0, "{out}{error}");
    let (code, out, error) = scene.weir("detach port-a");
    assert_eq!(code, 1, "there is nothing any more: {out}{error}");
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let Some(scene) = Scene::new(2, RULES) else {
        return;
    };
    let (code, out, error) = scene.weir("run --rules a.rules --inline port-a,port-b --dry-run");
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("port-a") && out.contains("2 queues"), "{out}");
    let (code, ..) = scene.weir("detach port-a");
    assert_eq!(code, 1, "nothing was attached");
}

/// Capabilities that a sensor takes.
const FEW: [&str; 5] = ["bpf", "perfmon", "net_admin", "net_raw", "ipc_lock"];

/// A program that starts another one with these capabilities alone.
fn with<'a>(capabilities: impl Iterator<Item = &'a &'a str>) -> String {
    let list = capabilities.fold("-all".to_owned(), |list, one| format!("{list},+{one}"));
    format!("setpriv --bounding-set={list} --inh-caps={list}")
}

#[test]
fn without_the_privileges_that_it_takes_a_sensor_says_which_they_are() {
    if !weir_testbed::ready(&[needs::SETPRIV]) {
        return;
    }
    let Some(scene) = Scene::new(1, RULES) else {
        return;
    };
    // Whoever may do everything has a BPF file system mounted where there is none.
    scene.sensor("").stop();
    scene.weir("detach port-a");
    for without in ["bpf", "perfmon", "net_admin", "net_raw"] {
        let rest = FEW.iter().filter(|&&one| one != without);
        let mut sensor = scene.start_by(&with(rest), "--eve e.json");
        let ended = sensor.child.wait(PATIENCE).expect("it ends");
        assert_eq!(ended.status.code(), Some(1), "{without}: {}", ended.stderr);
        let capability = format!("CAP_{}", without.to_uppercase());
        let said = ended.stderr.contains(&capability);
        assert!(said, "no {capability} in {}", ended.stderr);
        let (code, out, _) = scene.weir("detach port-a");
        assert_eq!(code, 1, "{without}: something was left: {out}");
    }
}

#[test]
fn a_few_privileges_are_enough_and_fewer_are_kept() {
    if !weir_testbed::ready(&[needs::SETPRIV]) {
        return;
    }
    let Some(scene) = Scene::new(1, RULES).map(Scene::patient) else {
        return;
    };
    scene.sensor("").stop();
    scene.weir("detach port-a");
    let sensor = scene.start_by(&with(FEW.iter()), "--eve e.json").ready();
    assert!(flow(&scene, 100, b"calm ") > 90);
    let threads = sensor.capabilities();
    assert!(threads.len() > 2, "{threads:?}");
    assert!(threads.iter().all(|&mask| mask == KEPT), "{threads:x?}");
    sensor.stop();
}
