use super::*;

fn run(options: Options) -> Result<Vec<Measured>, BenchError> {
    let mut all = Vec::new();
    let bench = Bench::new(options)?;
    bench.run(&mut |_| {}, &mut |measured| all.push(measured))?;
    Ok(all)
}

/// Everything that takes part in this build, peers too where they are built, on files that a user would give.
#[test]
fn every_contender_gives_the_same_answers_on_rules_and_captures() {
    let folder = tempfile::tempdir().expect("a folder");
    let traffic = weir_capture::generate::Scenario::new(3)
        .packets(1500)
        .generate();
    let link = weir_engine::packet::LinkType::ETHERNET;
    let mut writer = weir_capture::PcapWriter::new(Vec::new(), link).expect("a header");
    for frame in traffic.frames() {
        writer.write(&frame).expect("a frame");
    }
    let pcap = folder.path().join("made.pcap");
    std::fs::write(&pcap, writer.finish().expect("flushed")).expect("written");
    let rules = folder.path().join("made.rules");
    std::fs::write(&rules, weir_capture::generate::demo_rules()).expect("written");
    let all = run(Options {
        rules: vec![rules],
        pcap: vec![pcap],
        rounds: 1,
        probes: vec![20, 300],
        bytes: Some(100_000),
        ..Options::default()
    })
    .expect("no difference");
    let names: Vec<_> = all.iter().map(|measured| measured.name.as_str()).collect();
    for name in [
        "rules/payloads",
        "rules/near-misses",
        "rules-folded/payloads",
        "rules-planned/payloads",
        "rules-all/payloads",
        "probes-20/64",
        "probes-300/65536",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for measured in &all {
        assert_eq!(measured.rows.len(), contender::all().len(), "{measured:?}");
        assert!(measured.bytes <= 110_000 && measured.buffer_count > 0);
        assert!(measured.rows.iter().all(|row| row.gbit > 0.0));
    }
    let hits = |part: &str| -> usize {
        let these = all.iter().filter(|measured| measured.name.contains(part));
        these.map(|measured| measured.hits).sum()
    };
    assert!(hits("/payloads") > 0 && hits("/genuine") > 1000);
}

#[test]
fn what_does_not_exist_is_an_error_that_says_what_does() {
    let options = Options {
        bytes: Some(1),
        probes: vec![10],
        ..Options::default()
    };
    let scenario = run(Options {
        only: vec!["nonsense".to_owned()],
        ..options.clone()
    });
    let scenario = scenario.expect_err("no such scenario").to_string();
    assert!(scenario.contains("probes-10/1500"), "{scenario}");
    let contender = run(Options {
        contenders: vec!["nonsense".to_owned()],
        ..options.clone()
    });
    let contender = contender.expect_err("no such contender").to_string();
    assert!(contender.contains("software/scalar"), "{contender}");
    let missing = run(Options {
        rules: vec!["missing.rules".into()],
        ..options
    });
    let missing = missing.expect_err("no such file").to_string();
    assert!(missing.contains("missing.rules"), "{missing}");
}
