//! `weir rules build` and `weir rules key`: rules and modules as one signed file.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use weir_rules::compile::{self, Compiler, Loaded};
use weir_rules::stored;
use weir_rules::syntax::load_paths;
use weir_wasm::built::keys::{self, KeyError, SecretKey};
use weir_wasm::built::{Counts, Draft, Module};
use weir_wasm::{code, compiled};

use super::inputs::Inputs;
use super::{check, modules, project, why_refused};
use crate::cli::{BuildOptions, KeyOptions};
use crate::config::Config;
use crate::failure::Failure;
use crate::run::settings::Context;
use crate::ui::figures;
use crate::ui::progress::Stages;

/// Compiles rules, and writes what came of them.
pub fn build(options: &BuildOptions) -> Result<(), Failure> {
    let config = Config::load(options.config.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?
        .with_frequency(options.frequency.as_deref());
    let context = Context::new(&config)?;
    // Before anything takes long.
    let key = options.sign.as_deref().map(SecretKey::read).transpose();
    let key = key.map_err(Failure::failed)?;
    if let [source] = options.paths.as_slice()
        && project::is_source(source)
    {
        return project::build(source, options);
    }
    let inputs = Inputs::new(&options.paths)?;
    if let [built, ..] = inputs.built.as_slice() {
        return Err(Failure::Failed(format!(
            "{}: expected text rules or rule modules, found a rule set that has been built",
            built.display()
        )));
    }
    let mut stages = Stages::new();
    stages.at("reading rules");
    let sources = load_paths(&inputs.text).map_err(Failure::failed)?;
    let compiler = Compiler::new(context.variables.clone(), context.classification)
        .with_frequency(context.frequency)
        .keeping_variables();
    stages.at("compiling rules");
    let parts = stored::write(compile::load(&sources, &compiler)).map_err(Failure::failed)?;
    // As whoever runs them will read them: what they are told is told here, too, with the variables of this configuration.
    stages.at("reading them back");
    let pieces: Vec<&[u8]> = parts.pieces.iter().map(Vec::as_slice).collect();
    let mut loaded =
        stored::read(&parts.shared, &pieces, &context.variables).map_err(Failure::failed)?;
    stages.at("loading modules");
    let mut all = Vec::with_capacity(inputs.modules.len());
    let mut sources = modules::Sources::new(context.modules, 1, None);
    for path in &inputs.modules {
        sources.file(path)?;
    }
    stages.at("compiling rules to WebAssembly");
    let code = code::compile(&loaded.rules).map_err(Failure::failed)?;
    let host = sources.load(&compiler, &mut loaded)?;
    for module in host.iter().flat_map(|host| &host.modules) {
        all.push(Module {
            name: module.file().to_string(),
            component: module.bytes().to_vec(),
        });
    }
    if loaded.rules.rules().is_empty() && all.is_empty() {
        drop(stages);
        report(&loaded)?;
        return Err(Failure::Failed("no rule to build".to_owned()));
    }
    let mut draft = Draft {
        counts: counts(&loaded, all.len()),
        rules: parts,
        code: Some(code),
        modules: all,
        ..Draft::default()
    };
    stages.at("compiling WebAssembly for this machine");
    let engine = compiled::engine().map_err(Failure::failed)?;
    draft.compile_code(&engine).map_err(Failure::failed)?;
    if let Some(host) = &host {
        let engine = host.runtime.engine();
        draft.compile_modules(engine).map_err(Failure::failed)?;
    }
    stages.at("signing and writing");
    let local = local_key();
    let keys: Vec<&SecretKey> = local.iter().chain(&key).collect();
    let file = draft.finish(&keys).map_err(Failure::failed)?;
    replace(&options.output, &file).map_err(|error| {
        let path = options.output.display();
        Failure::Failed(format!("{path}: cannot write the rule set: {error}"))
    })?;
    drop(stages);
    report(&loaded)?;
    summarise(options, &loaded, file.len(), key.as_ref()).map_err(Failure::stdout)?;
    match why_refused(&loaded) {
        Some(why) if options.strict => Err(Failure::Failed(why)),
        Some(why) => {
            tracing::warn!("{why}");
            Ok(())
        }
        None => Ok(()),
    }
}

fn counts(loaded: &Loaded, modules: usize) -> Counts {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Counts {
        rules: count(loaded.rules.rules().len()),
        data_sets: count(loaded.rules.data_sets().len()),
        modules: count(modules),
    }
}

/// The key that says that this machine's user compiled it. Without one, native code is compiled again when it is loaded.
fn local_key() -> Option<SecretKey> {
    let made = match keys::folder() {
        Some(folder) => keys::local_or_new(&folder).map_err(|error: KeyError| error.to_string()),
        None => Err("neither HOME nor XDG_STATE_HOME is set".to_owned()),
    };
    made.map_err(|why| tracing::warn!("the set is not signed as this machine's own: {why}"))
        .ok()
}

/// Problems with rules, as `weir rules check` prints them.
fn report(loaded: &Loaded) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    check::print_problems(&mut out, loaded)
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}

fn summarise(
    options: &BuildOptions,
    loaded: &Loaded,
    bytes: usize,
    key: Option<&SecretKey>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", loaded.counts)?;
    let path = options.output.display();
    let signed = match key {
        Some(key) => format!(", signed by {}", key.public()),
        None => String::new(),
    };
    writeln!(out, "{path}: {}{signed}", figures::bytes(bytes as u64))
}

/// Writes a file first under another name, so that what was there stays if something goes wrong, and whoever reads it reads
/// all of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = std::fs::File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&new, path));
    renamed.inspect_err(|_| {
        let _ = std::fs::remove_file(&new);
    })
}

/// Makes a pair of keys: a secret one, and beside it the public one that belongs to it.
pub fn key(options: &KeyOptions) -> Result<(), Failure> {
    let key = SecretKey::generate().map_err(Failure::failed)?;
    let mut name = options.path.clone().into_os_string();
    name.push(".pub");
    let public = PathBuf::from(name);
    if public.exists() {
        let path = public.display();
        return Err(Failure::Failed(format!("{path}: the key is there already")));
    }
    key.write(&options.path).map_err(Failure::failed)?;
    std::fs::write(&public, format!("{}\n", key.public()))
        .map_err(|error| Failure::Failed(format!("{}: {error}", public.display())))?;
    writeln!(io::stdout(), "{}", key.public()).map_err(Failure::stdout)
}
