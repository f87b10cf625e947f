//! What cannot be had is refused, with what to do.

use crate::sensor::Scene;

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
