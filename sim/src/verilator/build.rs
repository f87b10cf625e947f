//! From Verilog to a shared library: Verilator, then the C++ compiler, kept in the user's cache folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

use crate::SimError;

const SHIM: &str = include_str!("shim.cpp");
/// Bytes of a failed program's output that are shown.
const SHOWN: usize = 4000;

/// Waveforms that a compiled model can write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trace {
    /// None; the fastest.
    #[default]
    None,
    /// Value change dump (IEEE 1364).
    Vcd,
    /// GTKWave's compressed format; needs zlib's headers.
    Fst,
}

/// What is compiled, and how.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// Verilog of one file.
    pub verilog: &'a str,
    /// The module in it that has the core's ports.
    pub top: &'a str,
    /// Bytes of a beat: 8, 16, 32 or 64.
    pub lanes: usize,
    /// Waveforms.
    pub trace: Trace,
    /// The compiler's optimisation: 0 to 3. A low one compiles sooner and runs slower.
    pub optimise: u8,
}

/// Where compiled models are kept: `$XDG_CACHE_HOME/weir/verilated`, or that in `~/.cache`.
pub fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = set("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir)
        .join("weir")
        .join("verilated")
}

/// A program, as `variable` in the environment names it or else by the first of `names` that runs.
struct Tool {
    program: String,
    version: String,
}

impl Tool {
    fn find(variable: &str, names: &[&str], hint: &'static str) -> Result<Self, SimError> {
        let named = std::env::var(variable).ok().filter(|name| !name.is_empty());
        let candidates: Vec<String> = match named {
            Some(name) => vec![name],
            None => names.iter().map(|&name| name.to_owned()).collect(),
        };
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        for program in &candidates {
            match Command::new(program).arg("--version").output() {
                Ok(output) if output.status.success() => {
                    return Ok(Self {
                        program: program.clone(),
                        version: String::from_utf8_lossy(&output.stdout).into_owned(),
                    });
                }
                Ok(output) => why = io::Error::other(output.status.to_string()),
                Err(error) => why = error,
            }
        }
        let program = candidates.join(" or ");
        Err(SimError::Tool { program, why, hint })
    }

    fn run(&self, arguments: &[String], folder: &Path) -> Result<Output, SimError> {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|why| SimError::Tool {
            program: self.program.clone(),
            why,
            hint: "it ran before",
        })?;
        if output.status.success() {
            return Ok(output);
        }
        Err(failed(&self.program, &output))
    }
}

fn failed(program: &str, output: &Output) -> SimError {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let tail = &text[text.len().saturating_sub(SHOWN)..];
    SimError::Failed {
        program: program.to_owned(),
        output: String::from_utf8_lossy(tail).trim().to_owned(),
    }
}

impl Recipe<'_> {
    fn verilator_flags(&self) -> Vec<String> {
        let optimise = if self.optimise == 0 { "-O1" } else { "-O3" };
        let mut flags: Vec<String> = [
            "--cc",
            "--prefix",
            "Vcore",
            "--x-assign",
            "fast",
            // Registers without an initial value take any: what a test must not depend on.
            "--x-initial",
            "unique",
            "--noassert",
            "--no-timing",
            "--timescale",
            "1ns/1ns",
            "--output-split",
            "20000",
            "--output-split-cfuncs",
            "2000",
            // Widths are checked where they are made, in Rust; the rest is style.
            "-Wno-fatal",
            "-Wno-lint",
            "-Wno-style",
            optimise,
        ]
        .map(str::to_owned)
        .to_vec();
        flags.extend(["--top-module".to_owned(), self.top.to_owned()]);
        match self.trace {
            Trace::None => {}
            Trace::Vcd => flags.push("--trace".to_owned()),
            Trace::Fst => flags.push("--trace-fst".to_owned()),
        }
        flags
    }

    fn compiler_flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = [
            "-std=c++17",
            "-fPIC",
            "-fno-strict-aliasing",
            "-w",
            "-march=native",
        ]
        .map(str::to_owned)
        .to_vec();
        flags.push(format!("-O{}", self.optimise));
        flags.push(format!("-DWEIR_LANES={}", self.lanes));
        flags.push(format!("-DWEIR_TRACE={}", self.trace as u8));
        // `vl_fatal` and its like are the shim's.
        flags.extend(["-DVL_USER_FATAL", "-DVL_USER_STOP", "-DVL_USER_FINISH"].map(str::to_owned));
        flags.extend(["-DVM_COVERAGE=0", "-DVM_SC=0"].map(str::to_owned));
        flags.push(format!(
            "-DVM_TRACE={}",
            u8::from(self.trace != Trace::None)
        ));
        flags.push(format!(
            "-DVM_TRACE_FST={}",
            u8::from(self.trace == Trace::Fst)
        ));
        flags.push(format!(
            "-DVM_TRACE_VCD={}",
            u8::from(self.trace == Trace::Vcd)
        ));
        flags
    }

    /// The compiled model: from the cache, or made now. Others that want the same one wait for it.
    ///
    /// # Errors
    ///
    /// A tool that is missing, what a tool says, or what stands in the way of the files.
    pub fn build(&self) -> Result<PathBuf, SimError> {
        let verilator = Tool::find(
            "VERILATOR",
            &["verilator"],
            "install Verilator 5 (Debian: verilator), or name it in VERILATOR",
        )?;
        let compiler = Tool::find(
            "CXX",
            &["c++", "g++", "clang++"],
            "install a C++ compiler (Debian: g++), or name it in CXX",
        )?;
        let flags = [self.verilator_flags(), self.compiler_flags()].concat();
        let key = key(&[
            self.verilog,
            SHIM,
            &flags.join(" "),
            &verilator.version,
            &compiler.version,
            &native(),
        ]);
        once(&format!("{key}.so"), |work| {
            self.make(&verilator, &compiler, work)?;
            Ok(work.join("core.so"))
        })
    }

    fn make(&self, verilator: &Tool, compiler: &Tool, work: &Path) -> Result<(), SimError> {
        let write = |name: &str, text: &str| {
            let path = work.join(name);
            fs::write(&path, text).map_err(SimError::file(&path))
        };
        write("core.v", self.verilog)?;
        write("shim.cpp", SHIM)?;
        let mut arguments = self.verilator_flags();
        arguments.extend(["--Mdir", ".", "core.v"].map(str::to_owned));
        verilator.run(&arguments, work)?;
        let root = verilator.run(&["--getenv".to_owned(), "VERILATOR_ROOT".to_owned()], work)?;
        let root = String::from_utf8_lossy(&root.stdout).trim().to_owned();
        let include = Path::new(&root).join("include");
        let mut sources = Vec::new();
        for entry in fs::read_dir(work).map_err(SimError::file(work))? {
            let path = entry.map_err(SimError::file(work))?.path();
            if path.extension().is_some_and(|extension| extension == "cpp") {
                sources.push(path);
            }
        }
        let mut flags = self.compiler_flags();
        for folder in [&*include, &include.join("vltstd"), Path::new(".")] {
            flags.push(format!("-I{}", folder.display()));
        }
        let mut link: Vec<String> = ["-shared", "-o", "core.so", "-pthread"]
            .map(str::to_owned)
            .to_vec();
        link.extend(self.runtime(compiler, &verilator.version, &flags, &include)?);
        link.extend(compile(compiler, &flags, &sources, work)?);
        if self.trace == Trace::Fst {
            link.push("-lz".to_owned());
        }
        compiler.run(&link, work)?;
        Ok(())
    }

    /// Objects of Verilator's own runtime, which is the same for many models.
    fn runtime(
        &self,
        compiler: &Tool,
        verilator: &str,
        flags: &[String],
        include: &Path,
    ) -> Result<Vec<String>, SimError> {
        let mut sources = vec!["verilated.cpp", "verilated_threads.cpp"];
        match self.trace {
            Trace::None => {}
            Trace::Vcd => sources.push("verilated_vcd_c.cpp"),
            Trace::Fst => sources.push("verilated_fst_c.cpp"),
        }
        // Nothing of the core is in it.
        let own = |flag: &&String| !flag.starts_with("-DWEIR_") && !flag.starts_with("-I.");
        let flags: Vec<String> = flags.iter().filter(own).cloned().collect();
        let about = flags.join(" ");
        let object = |source| {
            let key = key(&[source, &about, verilator, &compiler.version, &native()]);
            let path = once(&format!("{key}.o"), |work| {
                let objects = compile(compiler, &flags, &[include.join(source)], work)?;
                Ok(work.join(objects.concat()))
            })?;
            Ok(path.to_string_lossy().into_owned())
        };
        sources.into_iter().map(object).collect()
    }
}

/// The hash of all parts, as it stands in the names of files.
fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The file of this name in the cache. When there is none, `make` makes one in a folder of its own and says where; others that want the same
/// one wait for it.
fn once(
    name: &str,
    make: impl FnOnce(&Path) -> Result<PathBuf, SimError>,
) -> Result<PathBuf, SimError> {
    let folder = cache();
    fs::create_dir_all(&folder).map_err(SimError::file(&folder))?;
    let kept = folder.join(name);
    if kept.exists() {
        return Ok(kept);
    }
    // The lock is never removed: whoever waits for it must find the same file as whoever comes later.
    let lock = folder.join(format!("{name}.lock"));
    let held = File::create(&lock).map_err(SimError::file(&lock))?;
    held.lock().map_err(SimError::file(&lock))?;
    if !kept.exists() {
        let work = folder.join(format!("{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).map_err(SimError::file(&work))?;
        let made =
            make(&work).and_then(|made| fs::rename(made, &kept).map_err(SimError::file(&kept)));
        // What a tool had to say stands in the error.
        let _ = fs::remove_dir_all(&work);
        made?;
    }
    Ok(kept)
}

/// What `-march=native` depends on.
fn native() -> String {
    let all = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = all.lines().find(|line| line.starts_with("flags"));
    flags.unwrap_or_default().to_owned()
}

/// Compiles every source, as many at a time as there are processors, the largest first.
fn compile(
    compiler: &Tool,
    flags: &[String],
    sources: &[PathBuf],
    work: &Path,
) -> Result<Vec<String>, SimError> {
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let mut jobs: Vec<(usize, &PathBuf)> = sources.iter().enumerate().collect();
    jobs.sort_by_key(|(_, path)| size(path));
    let jobs = std::sync::Mutex::new(jobs);
    let object = |number: usize| format!("{number}.o");
    let worker = || {
        loop {
            let job = jobs.lock().map_or(None, |mut jobs| jobs.pop());
            let Some((number, source)) = job else {
                return Ok(());
            };
            let mut arguments = flags.to_vec();
            arguments.extend(["-c".to_owned(), "-o".to_owned(), object(number)]);
            arguments.push(source.to_string_lossy().into_owned());
            let compiled = compiler.run(&arguments, work);
            if let Err(error) = compiled {
                // The others need not go on.
                if let Ok(mut jobs) = jobs.lock() {
                    jobs.clear();
                }
                return Err(error);
            }
        }
    };
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| {
                Err(SimError::Failed {
                    program: compiler.program.clone(),
                    output: "the thread that ran it ended early".to_owned(),
                })
            })
        })
    })?;
    Ok((0..sources.len()).map(object).collect())
}
