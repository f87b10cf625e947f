//! `weir hw synth`: a core's Verilog through open tools, to area, frequency and, for the ECP5 board, a bitstream.

mod nextpnr;
mod pll;
mod target;
mod yosys;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use sha2::{Digest, Sha256};
use weir_hw::core::Identity;
use weir_tables::Geometry;

use self::pll::Pll;
use self::target::Target;
use super::report::{Bitstream, Core, Report, Run, Timing};
use super::tools::{Tool, Tools};
use super::{CoreSize, core_verilog};
use crate::failure::Failure;

/// The ECPIX-5's top module.
const BOARD: &str = include_str!("../../../bitstreams/ecp5-85f/top.v");
/// Its pins and clock.
const PINS: &str = include_str!("../../../bitstreams/ecp5-85f/ecpix5.lpf");
/// The core's modules but its top begin with this.
const CORE: &str = "weir_core";
/// The board's top module.
const BOARD_TOP: &str = "weir_ecpix5";

/// Options of `weir hw synth`.
#[derive(Args, Debug)]
pub struct SynthOptions {
    /// What for
    #[arg(long, value_enum, value_name = "TARGET")]
    pub target: Target,
    /// Bytes of a beat; 8 for ecp5-85f, 64 for xcup, 16 for xc7 unless given
    #[arg(long, value_name = "N", value_parser = super::lanes)]
    pub lanes: Option<usize>,
    /// How large the tables are; full for xcup, compact for the others unless given
    #[arg(long, value_enum)]
    pub size: Option<CoreSize>,
    /// Runs of place and route, with seeds 1 to N; the fastest counts
    #[arg(long, value_name = "N", default_value = "4")]
    pub seeds: NonZeroU32,
    /// The core's clock in MHz, from the board's 100 MHz by a PLL
    #[arg(long, value_name = "MHZ", default_value = "150")]
    pub clock: u32,
    /// Bits a second of the board's serial line
    #[arg(long, value_name = "N", default_value = "3000000")]
    pub baud: u32,
    /// Stop after synthesis and its checks: no place and route
    #[arg(long)]
    pub check: bool,
    /// Synthesise these Verilog files instead of a core, without board and pins: a block alone
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "top")]
    pub verilog: Vec<PathBuf>,
    /// Top module of --verilog
    #[arg(long, value_name = "MODULE", requires = "verilog")]
    pub top: Option<String>,
    /// Where everything goes; ./synth-TARGET unless given
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where the tools are; else, and for what is not there, the search path
    #[arg(long, value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// Revision of the source, to be noted in the report
    #[arg(long, value_name = "TEXT")]
    pub revision: Option<String>,
}

/// What is to be synthesised.
struct Design {
    geometry: Option<(Geometry, CoreSize, Identity)>,
    files: Vec<&'static str>,
    top: String,
    parameters: Vec<(&'static str, u32)>,
    /// With pins and PLL.
    board: bool,
    kept: Vec<String>,
    digest: String,
}

/// Synthesises, places and routes as far as the target goes; writes report.json and report.txt.
pub fn synth(options: &SynthOptions) -> Result<(), Failure> {
    let folder = match &options.out {
        Some(folder) => folder.clone(),
        None => PathBuf::from(format!("synth-{}", options.target.name())),
    };
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
    let tools = Tools::new(options.tools.as_deref(), &folder);
    // Named before an hour's work, not after it.
    let mut wanted = vec![Tool::Yosys];
    if options.target == Target::Ecp5 && !options.check {
        wanted.extend([Tool::Nextpnr, Tool::Ecppack]);
    }
    let mut versions = BTreeMap::new();
    for tool in wanted {
        let version = tools.version(tool)?;
        tracing::info!("{version}");
        versions.insert(format!("{tool:?}").to_lowercase(), version);
    }
    let design = prepare(options, &folder)?;
    tell(&format!(
        "synthesis of {} for {}",
        design.top,
        options.target.part()
    ));
    let mut report = synthesise(options, &folder, &tools, &design)?;
    report.tools = versions;
    if options.target == Target::Ecp5 && !options.check {
        place(options, &folder, &tools, &design, &mut report)?;
    }
    let json = serde_json::to_string_pretty(&report).map_err(Failure::failed)?;
    write(&folder.join("report.json"), &(json + "\n"))?;
    let text = super::report::text_of(&report);
    write(&folder.join("report.txt"), &text)?;
    use std::io::Write as _;
    writeln!(
        std::io::stdout(),
        "{text}wrote {}",
        folder.join("report.json").display()
    )
    .map_err(Failure::stdout)
}

/// Says on standard error what goes on: tools take minutes.
fn tell(what: &str) {
    eprintln!("weir: {what}");
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn json(path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Puts the Verilog into the folder.
fn prepare(options: &SynthOptions, folder: &Path) -> Result<Design, Failure> {
    if let Some(top) = &options.top {
        let mut text = String::new();
        for file in &options.verilog {
            text += &read(file)?;
        }
        write(&folder.join("core.v"), &text)?;
        return Ok(Design {
            geometry: None,
            files: vec!["core.v"],
            top: top.clone(),
            parameters: Vec::new(),
            board: false,
            kept: Vec::new(),
            digest: digest(text.as_bytes()),
        });
    }
    let (lanes, size) = options.target.default_core();
    let lanes = options.lanes.unwrap_or(lanes);
    let size = options.size.unwrap_or(size.into());
    let geometry = Geometry::new(lanes, size.into());
    let revision = options.revision.as_deref().and_then(|text| text.get(..8));
    let identity = Identity {
        revision: revision
            .and_then(|text| u32::from_str_radix(text, 16).ok())
            .unwrap_or(0),
        clock_khz: options.clock.saturating_mul(1000),
    };
    let text = core_verilog(&geometry, &identity)?;
    write(&folder.join("core.v"), &text)?;
    let mut design = Design {
        geometry: Some((geometry, size, identity)),
        files: vec!["core.v"],
        top: CORE.into(),
        parameters: Vec::new(),
        board: false,
        kept: yosys::blocks_of(&text, &format!("{CORE}_inner")),
        digest: digest(text.as_bytes()),
    };
    // The serial line carries eight bytes a frame, so wider cores are placed without a board.
    if options.target == Target::Ecp5 {
        design.kept.clear();
    }
    if options.target == Target::Ecp5 && lanes == 8 {
        let hertz = options.clock.saturating_mul(1_000_000);
        let divisor = weir_hw::board::divisor(hertz, options.baud).ok_or_else(|| {
            Failure::Usage(format!(
                "--baud {}: not to be made from {} MHz; a bit must last 12 cycles or more, and be at most 2 % off",
                options.baud, options.clock
            ))
        })?;
        let pll = Pll::new(options.clock).ok_or_else(|| {
            Failure::Usage(format!(
                "--clock {}: the PLL cannot make it from {} MHz; 125, 150, 160, 175 and 200 are among what it can",
                options.clock,
                pll::OSCILLATOR
            ))
        })?;
        let bridge = weir_hw::board::verilog(divisor).map_err(Failure::failed)?;
        write(&folder.join("bridge.v"), &bridge)?;
        write(&folder.join("top.v"), BOARD)?;
        write(&folder.join("board.lpf"), PINS)?;
        design.files.extend(["bridge.v", "top.v"]);
        design.top = BOARD_TOP.into();
        design.parameters = vec![
            ("INPUT", pll.input),
            ("FEEDBACK", pll.feedback),
            ("OUTPUT", pll.output),
        ];
        design.board = true;
    }
    Ok(design)
}

fn synthesise(
    options: &SynthOptions,
    folder: &Path,
    tools: &Tools,
    design: &Design,
) -> Result<Report, Failure> {
    let target = options.target;
    let script = yosys::script(
        target,
        &design.files,
        &design.top,
        &design.parameters,
        &design.kept,
    );
    write(&folder.join("synth.ys"), &script)?;
    tools.run(Tool::Yosys, "yosys", &["-q", "synth.ys"])?;
    let path = folder.join("area.json");
    let (area, mut blocks) =
        yosys::area(target, &json(&path)?, &design.top).map_err(Failure::failed)?;
    if target == Target::Ecp5 {
        blocks = yosys::blocks(target, &json(&folder.join("netlist.json"))?, &design.top);
    }
    let core = design
        .geometry
        .as_ref()
        .map(|(geometry, size, identity)| Core {
            lanes: geometry.lanes,
            size: size.to_string(),
            filters: geometry.filters,
            slots: geometry.slots(),
            engines: geometry.engines,
            revision: identity.revision,
            clock_khz: identity.clock_khz,
        });
    Ok(Report {
        target: target.name().into(),
        part: target.part().into(),
        core,
        top: design.top.clone(),
        verilog: design.digest.clone(),
        revision: options.revision.clone(),
        date: std::env::var("SOURCE_DATE_EPOCH")
            .ok()
            .and_then(|text| text.parse().ok()),
        tools: BTreeMap::new(),
        area,
        device: target
            .has()
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect(),
        blocks,
        timing: None,
        bitstream: None,
    })
}

/// Places and routes once a seed, and makes a bitstream of the fastest run.
fn place(
    options: &SynthOptions,
    folder: &Path,
    tools: &Tools,
    design: &Design,
    report: &mut Report,
) -> Result<(), Failure> {
    let goal = f64::from(options.clock);
    let frequency = options.clock.to_string();
    let mut runs = Vec::new();
    for seed in 1..=options.seeds.get() {
        let name = format!("seed{seed}");
        let (config, out, seed_text) = (
            format!("{name}.config"),
            format!("{name}.json"),
            seed.to_string(),
        );
        let mut arguments = vec![
            "--um5g-85k",
            "--speed",
            "8",
            "--package",
            "CABGA554",
            "--json",
            "netlist.json",
            "--report",
            &out,
            "--seed",
            &seed_text,
            "--freq",
            &frequency,
            "--timing-allow-fail",
            // Memories are most of what a core takes: this placer spreads logic with them, and leaves two thirds of the other's wire to be routed.
            "--placer",
            "static",
            "--router",
            "router1",
        ];
        if design.board {
            arguments.extend(["--lpf", "board.lpf", "--textcfg", &config]);
        } else {
            // A block has more ports than the package has pins.
            arguments.extend(["--lpf-allow-unconstrained", "--out-of-context"]);
        }
        tools.run(Tool::Nextpnr, &name, &arguments)?;
        let placed = json(&folder.join(&out))?;
        let mhz = nextpnr::mhz(&placed, goal).map_err(Failure::failed)?;
        tell(&format!("seed {seed}: {mhz:.1} MHz"));
        runs.push((
            Run {
                seed,
                mhz: (mhz * 10.0).round() / 10.0,
            },
            placed,
        ));
    }
    let Some((best, placed)) = runs.iter().max_by(|(a, _), (b, _)| a.mhz.total_cmp(&b.mhz)) else {
        return Ok(());
    };
    report.area = nextpnr::area(options.target, placed);
    report.timing = Some(Timing {
        goal,
        runs: runs.iter().map(|(run, _)| run.clone()).collect(),
        critical: nextpnr::critical(placed),
    });
    if design.board {
        let config = format!("seed{}.config", best.seed);
        tools.run(
            Tool::Ecppack,
            "ecppack",
            &["--compress", &config, "weir.bit"],
        )?;
        let path = folder.join("weir.bit");
        let bytes = std::fs::read(&path)
            .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        report.bitstream = Some(Bitstream {
            bytes: bytes.len() as u64,
            sha256: digest(&bytes),
            seed: best.seed,
        });
    }
    Ok(())
}
