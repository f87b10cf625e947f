//! Building a module: source to core module to component.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use weir_wasm::component::{self, EncodeError};

use super::toolchain::Toolchain;
use crate::cli::BuildOptions;
use crate::failure::Failure;
use crate::ui::figures;

/// True when a path is what modules are built from: a folder with a `Cargo.toml`, or a core module that another compiler
/// has made.
pub fn is_source(path: &Path) -> bool {
    path.join("Cargo.toml").is_file() || is_core_module(path)
}

fn is_core_module(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 8];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && start == *b"\0asm\x01\0\0\0"
}

/// Builds a module and writes the component.
pub fn build(source: &Path, options: &BuildOptions) -> Result<(), Failure> {
    let component = component(source)?;
    let output = &options.output;
    std::fs::write(output, &component).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot write the module: {error}",
            output.display()
        ))
    })?;
    println!(
        "{}: a module of {}",
        output.display(),
        figures::bytes(component.len() as u64)
    );
    Ok(())
}

/// Builds a module, and leaves the component beside what the compiler made.
pub fn beside(source: &Path) -> Result<PathBuf, Failure> {
    let core = core(source)?;
    let path = core.with_extension("component.wasm");
    let component = encode(&core)?;
    std::fs::write(&path, component).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot write the module: {error}",
            path.display()
        ))
    })?;
    Ok(path)
}

/// The component that is built from a folder, or from a core module.
///
/// # Errors
/// When there is no toolchain, the compiler refuses the source, or what it makes is no module.
pub fn component(source: &Path) -> Result<Vec<u8>, Failure> {
    encode(&core(source)?)
}

/// Where the core module is: made of a folder, or the path itself.
fn core(source: &Path) -> Result<PathBuf, Failure> {
    if source.is_dir() {
        compile(source)
    } else {
        Ok(source.to_owned())
    }
}

fn encode(core: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::Failed(format!("{}: {why}", core.display()));
    let bytes =
        std::fs::read(core).map_err(|error| failed(format!("cannot read the module: {error}")))?;
    match component::encode(&bytes) {
        Ok(component) => Ok(component),
        Err(EncodeError::Component) => Ok(bytes),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Compiles the library in a folder, and returns where the core module is. What the compiler has to say goes to standard
/// error.
fn compile(folder: &Path) -> Result<PathBuf, Failure> {
    let failed = |why: String| Failure::Failed(format!("{}: {why}", folder.display()));
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(failed(
            "there is no Cargo.toml in it; `weir rules new NAME` makes a project to begin with"
                .into(),
        ));
    }
    let manifest = manifest
        .canonicalize()
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    let toolchain = Toolchain::find(folder).map_err(failed)?;
    let mut cargo = toolchain.cargo(folder);
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            failed(format!(
                "cannot run cargo ({error}); it comes with rustup, and with Debian's package cargo"
            ))
        })?;
    let mut modules = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|error| failed(format!("cargo: {error}")))?;
            modules.extend(module_of(&line, &manifest));
        }
    }
    let status = child
        .wait()
        .map_err(|error| failed(format!("cargo: {error}")))?;
    if !status.success() {
        return Err(failed("the module could not be compiled".into()));
    }
    modules.pop().ok_or_else(|| {
        failed(
            "it makes no module: Cargo.toml needs `crate-type = [\"cdylib\", \"rlib\"]` in [lib]"
                .into(),
        )
    })
}

/// The core module that a message of cargo tells of, where it is that of this project.
fn module_of(message: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact"
        || Path::new(message["manifest_path"].as_str()?) != manifest
    {
        return None;
    }
    let files = message["filenames"].as_array()?.iter();
    files
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".wasm"))
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_projects_own() {
        let manifest = Path::new("/p/Cargo.toml");
        let of = |reason: &str, path: &str, file: &str| {
            let message = serde_json::json!({"reason": reason, "manifest_path": path, "filenames": ["/t/x.rlib", file]});
            module_of(&message.to_string(), manifest)
        };
        assert_eq!(
            of("compiler-artifact", "/p/Cargo.toml", "/t/x.wasm"),
            Some("/t/x.wasm".into())
        );
        assert_eq!(of("compiler-artifact", "/q/Cargo.toml", "/t/x.wasm"), None);
        assert_eq!(of("compiler-artifact", "/p/Cargo.toml", "/t/x.so"), None);
        assert_eq!(of("compiler-message", "/p/Cargo.toml", "/t/x.wasm"), None);
        assert_eq!(module_of("not JSON", manifest), None);
    }
}
