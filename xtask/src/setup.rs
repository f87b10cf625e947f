//! What builds and tests need from the system, and putting it there where that is allowed.

use std::path::Path;

use crate::exec::{Cmd, Failure, Workspace, in_path};
use crate::{ebpf, hdl};

/// Something that must be on the machine.
#[derive(Clone, Copy)]
pub struct Need {
    /// Debian's package.
    pub package: &'static str,
    /// What it is for.
    pub why: &'static str,
    /// True when it is there, however it came.
    pub present: fn() -> bool,
}

/// The C compiler: PCRE2 is built from source.
pub const COMPILER: Need = Need {
    package: "gcc",
    why: "PCRE2 is built from its C source",
    present: || in_path("cc"),
};
/// The C++ compiler: libFuzzer's runtime is built from source.
pub const CXX: Need = Need {
    package: "g++",
    why: "the fuzz targets' runtime is built from its C++ source",
    present: || in_path("c++"),
};
/// libpcap's headers and library, for the `libpcap` feature.
pub const LIBPCAP: Need = Need {
    package: "libpcap-dev",
    why: "the libpcap feature: live capture and capture filters",
    present: || {
        ["/usr/include/pcap.h", "/usr/local/include/pcap.h"]
            .iter()
            .any(|header| Path::new(header).exists())
    },
};
/// Hyperscan, or where it does not exist its portable descendant, for the `peers` feature.
pub const LIBHS: Need = Need {
    package: if cfg!(target_arch = "x86_64") {
        "libhyperscan-dev"
    } else {
        "libvectorscan-dev"
    },
    why: "the peers feature: measuring the matcher beside Hyperscan or Vectorscan",
    present: || {
        ["/usr/include/hs/hs.h", "/usr/local/include/hs/hs.h"]
            .iter()
            .any(|header| Path::new(header).exists())
    },
};
/// What finds libhs.
pub const PKG_CONFIG: Need = Need {
    package: "pkg-config",
    why: "the peers feature: finding libhs",
    present: || in_path("pkg-config"),
};
/// A Rust compiler for WebAssembly, where rustup has none.
pub const WASM_RUSTC: Need = Need {
    package: "rustc-web",
    why: "example rule modules are compiled to WebAssembly",
    present: || has_wasm_target() || Path::new("/usr/bin/rustc").is_file(),
};
/// The source of its standard library.
pub const WASM_LIBRARY: Need = Need {
    package: "rust-web-src",
    why: "the standard library of example rule modules is built from source",
    present: || {
        has_wasm_target() || Path::new("/usr/lib/rustlib/src/rust/library/Cargo.toml").is_file()
    },
};
/// Its linker.
pub const WASM_LINKER: Need = Need {
    package: "lld-22",
    why: "example rule modules are linked",
    present: || has_wasm_target() || in_path("wasm-ld") || in_path("wasm-ld-22"),
};
/// A C compiler for WebAssembly.
pub const WASM_CLANG: Need = Need {
    package: "clang-19",
    why: "the example rule module in C is compiled to WebAssembly",
    present: || in_path("clang-19"),
};
/// Its linker.
pub const WASM_CLANG_LINKER: Need = Need {
    package: "lld-19",
    why: "the example rule module in C is linked",
    present: || in_path("wasm-ld-19"),
};
/// What builds it.
pub const MAKE: Need = Need {
    package: "make",
    why: "the example rule module in C is built",
    present: || in_path("make"),
};

/// True where the Rust compiler that cargo finds can compile to WebAssembly.
fn has_wasm_target() -> bool {
    let libraries = std::process::Command::new("rustc")
        .args([
            "--print",
            "target-libdir",
            "--target",
            "wasm32-unknown-unknown",
        ])
        .output();
    libraries.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&folder).is_dir()
    })
}

/// Python, for the conformance runner.
pub const PYTHON: Need = Need {
    package: "python3",
    why: "the conformance runner",
    present: || in_path("python3"),
};

/// Looks for everything that this repository's steps use; installs what is missing where it may.
pub fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut needs = vec![COMPILER, CXX, LIBPCAP, LIBHS, PKG_CONFIG, hdl::VERILATOR];
    needs.extend([WASM_RUSTC, WASM_LIBRARY, WASM_LINKER]);
    needs.extend([WASM_CLANG, WASM_CLANG_LINKER, MAKE]);
    needs.extend(ebpf::NEEDS);
    if crate::conformance::runner(workspace).is_some() {
        needs.push(PYTHON);
    }
    for (component, probe) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !Cmd::cargo(workspace).args([probe, "--version"]).succeeds() {
            return Err(Failure {
                what: format!("the toolchain has no {component}"),
                repeat: Some(format!("rustup component add {component}")),
            });
        }
    }
    ensure(workspace, &needs)?;
    for need in &needs {
        println!("  found {:18} {}", need.package, need.why);
    }
    let linker = ebpf::tools(workspace)?;
    println!("  found {:18} linking the XDP program", linker.display());
    let tools = hdl::tools(workspace)?;
    println!(
        "  found {:18} synthesis, place and route{}",
        "yosys, nextpnr",
        tools.map_or_else(String::new, |folder| format!(", in {}", folder.display()))
    );
    Ok(())
}

/// Makes sure of `needs`; what is still missing afterwards is an error that names it.
pub fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<(), Failure> {
    let missing = |needs: &[Need]| {
        needs
            .iter()
            .copied()
            .filter(|need| !(need.present)())
            .collect::<Vec<_>>()
    };
    let wanted = missing(needs);
    if wanted.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = wanted.iter().map(|need| need.package).collect();
    let list = wanted
        .iter()
        .map(|need| format!("{} ({})", need.package, need.why))
        .collect::<Vec<_>>()
        .join(", ");
    let by_hand = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    );
    if !in_path("apt-get") || !is_root(workspace) {
        let why = if in_path("apt-get") {
            "installing needs root"
        } else {
            "this is not a Debian system"
        };
        return Err(Failure {
            what: format!("missing: {list}; {why}"),
            repeat: Some(by_hand),
        });
    }
    let apt = |args: &[&str]| {
        Cmd::new(workspace, "apt-get")
            .args(args.iter().copied())
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
    };
    let installed = apt(&["update", "-q"]).and_then(|()| {
        let mut args = vec!["install", "-q", "-y", "--no-install-recommends"];
        args.extend(&packages);
        apt(&args)
    });
    match (missing(needs).is_empty(), installed) {
        (true, _) => Ok(()),
        (false, Ok(())) => Err(Failure {
            what: format!("still missing although apt-get installed it: {list}"),
            repeat: Some(by_hand),
        }),
        (false, Err(failure)) => Err(Failure {
            what: format!("missing: {list}; {}", failure.what),
            repeat: Some(by_hand),
        }),
    }
}

fn is_root(workspace: &Workspace) -> bool {
    Cmd::new(workspace, "id")
        .arg("-u")
        .output()
        .is_ok_and(|uid| uid.trim() == "0")
}
