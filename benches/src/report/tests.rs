use super::*;
use crate::measure::Latency;
use crate::scenario::Row;

fn measured() -> Measured {
    let row = |contender: &str, gbit: f64| Row {
        contender: contender.to_owned(),
        gbit,
        gbit_low: gbit * 0.9,
        gbit_high: gbit * 1.1,
        ns_per_buffer: 100.0,
        latency_ns: Latency {
            p50: 90,
            p90: 120,
            p99: 400,
            p999: 9000,
            max: 10_000,
        },
        load_ms: 12.0,
        table_bytes: (gbit > 5.0).then_some(1_500_000),
    };
    Measured {
        name: "rules/1500".to_owned(),
        set: "a <set>".to_owned(),
        buffers: "cut & counted".to_owned(),
        probes: 17_545,
        buffer_count: 10,
        bytes: 15_000,
        hits: 3,
        rows: vec![row("hyperscan", 4.0), row("software/avx2", 10.0)],
        left_out: vec!["x: left out".to_owned()],
    }
}

#[test]
fn the_table_compares_with_the_rival() {
    let text = table(&measured());
    let line = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        line.expect("a row").split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("hyperscan")[1..5], ["4.00", "3.60", "4.40", "1.00"]);
    assert_eq!(line("software/avx2")[4], "2.50");
    assert_eq!(line("software/avx2")[10..], ["1.5", "MB"]);
    assert!(text.contains("x: left out") && text.contains("as fast as hyperscan"));
}

#[test]
fn a_report_is_json_and_well_formed_plots() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut report = Report::new(None, 5, ["traffic".into(), "rules".into()], Vec::new());
    report.scenarios.push(measured());
    let files = report.write(&folder.path().join("new")).expect("written");
    let read = |at: usize| std::fs::read_to_string(&files[at]).expect("it is there");
    let json: serde_json::Value = serde_json::from_str(&read(0)).expect("JSON");
    assert_eq!(json["scenarios"][0]["rows"][1]["latency_ns"]["p99"], 400);
    for at in [1, 2] {
        let svg = read(at);
        assert!(
            svg.contains("cut &amp; counted") && svg.contains("software/avx2"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let opened = svg.matches('<').count();
        let closed = svg.matches("</").count() + svg.matches("/>").count();
        assert_eq!(
            opened,
            closed + svg.matches("</").count(),
            "every element is closed"
        );
    }
}
