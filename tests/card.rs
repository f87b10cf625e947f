//! `weir card`, and runs with a card that is not there.

mod common;

use common::{Bench, NEEDLE, needles};

#[test]
fn a_card_that_is_not_there_is_named() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("empty")).expect("a folder");
    for command in ["status", "selftest"] {
        bench
            .weir(&format!("card {command} --device nothing"))
            .code(1)
            .says("nothing: no such device");
        bench
            .weir(&format!("card {command} --device empty"))
            .code(1)
            .says("empty: no card here");
    }
}

#[test]
fn a_run_ends_without_the_card_it_must_have_and_warns_of_the_one_it_may_have() {
    let bench = Bench::new();
    bench.file("in.pcap", needles(3));
    bench.file("a.rules", NEEDLE);
    let run =
        "run --pcap in.pcap --rules a.rules --eve eve.json --stats stats.json --device nothing";
    bench
        .weir(&format!("{run} --matcher card"))
        .code(1)
        .says("nothing: no such device");
    bench
        .weir(&format!("{run} --matcher auto"))
        .code(0)
        .says("software does the matching: nothing: no such device");
    let stats = bench.json("stats.json");
    assert_eq!(stats["matcher"], "software");
    assert_eq!(
        (&stats["card_buffers"], &stats["failovers"]),
        (&0.into(), &0.into())
    );
    assert!(stats.get("card").is_none());
    assert_eq!(bench.eve("eve.json").len(), 3);
}
