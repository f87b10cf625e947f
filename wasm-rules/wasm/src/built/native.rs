//! What the runtime makes of Wasm, and when it is run as it is.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::format::{Kind, Section};
use super::{Built, BuiltError, Draft};

/// The runtime's release: what one compiled, another does not take.
const WASMTIME: &str = "wasmtime 48";

/// What native code was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Architecture and system.
    pub target: String,
    /// What the processor can do, as far as compiled code cares.
    pub features: Vec<String>,
    /// The runtime.
    pub runtime: String,
    /// The runtime's settings, as a number.
    settings: u64,
}

impl Machine {
    /// What this engine compiles for, here.
    pub fn of(engine: &Engine) -> Self {
        let mut settings = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self {
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            features: features().map(str::to_owned).collect(),
            runtime: WASMTIME.to_owned(),
            settings: settings.finish(),
        }
    }

    /// Why what was made for this machine does not run on another; `None` when it does.
    fn differs(&self, here: &Self) -> Option<String> {
        if self.target != here.target {
            return Some(format!(
                "it is for {}, and this is {}",
                self.target, here.target
            ));
        }
        if self.runtime != here.runtime {
            return Some(format!(
                "it was made by {}, and this has {}",
                self.runtime, here.runtime
            ));
        }
        let lacks = |feature: &&String| !here.features.contains(feature);
        let missing: Vec<&str> = (self.features.iter().filter(lacks).map(String::as_str)).collect();
        if !missing.is_empty() {
            return Some(format!("it is for a processor with {}", missing.join(", ")));
        }
        (self.settings != here.settings).then(|| {
            "it was made by a runtime with other settings, or for another processor".to_owned()
        })
    }
}

/// What this processor can do, of what the runtime's compiler uses.
#[cfg(target_arch = "x86_64")]
fn features() -> impl Iterator<Item = &'static str> {
    macro_rules! found {
        ($($name:tt),*) => {
            [$(($name, std::arch::is_x86_feature_detected!($name))),*]
        };
    }
    let all = found!(
        "sse3",
        "ssse3",
        "sse4.1",
        "sse4.2",
        "popcnt",
        "avx",
        "avx2",
        "fma",
        "bmi1",
        "bmi2",
        "lzcnt",
        "avx512f",
        "avx512vl",
        "avx512dq",
        "avx512bitalg",
        "avx512vbmi"
    );
    all.into_iter()
        .filter_map(|(name, found)| found.then_some(name))
}

/// What this processor can do, of what the runtime's compiler uses: its settings tell.
#[cfg(not(target_arch = "x86_64"))]
fn features() -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}

/// Native code of a part of a rule set.
#[derive(Clone, Debug)]
pub struct Native {
    /// Of which module; `None`: of the text rules.
    pub(super) module: Option<u16>,
    pub(super) machine: Machine,
    pub(super) bytes: Vec<u8>,
}

impl Draft {
    /// Compiles the text rules to native code for this machine, by the engine that is to run them.
    ///
    /// # Errors
    /// When they are no Wasm.
    pub fn compile_code(&mut self, engine: &Engine) -> Result<(), BuiltError> {
        let Some(code) = &self.code else {
            return Ok(());
        };
        let failed = |error: wasmtime::Error| BuiltError::Native {
            what: "the rules".to_owned(),
            why: format!("{error:#}"),
        };
        let bytes = engine.precompile_module(code).map_err(failed)?;
        self.natives.push(Native {
            module: None,
            machine: Machine::of(engine),
            bytes,
        });
        Ok(())
    }

    /// Compiles the modules to native code for this machine, by the engine that is to run them.
    ///
    /// # Errors
    /// When one is no component.
    pub fn compile_modules(&mut self, engine: &Engine) -> Result<(), BuiltError> {
        for (number, module) in (0..).zip(&self.modules) {
            let failed = |error: wasmtime::Error| BuiltError::Native {
                what: module.name.clone(),
                why: format!("{error:#}"),
            };
            let bytes = engine
                .precompile_component(&module.component)
                .map_err(failed)?;
            self.natives.push(Native {
                module: Some(number),
                machine: Machine::of(engine),
                bytes,
            });
        }
        Ok(())
    }
}

/// Something that was compiled, and why it had to be compiled again, if it had.
pub type Ready<T> = (T, Option<String>);

impl Built {
    /// The text rules, ready to be run: as the file has them where it may be believed, else compiled now, with the reason. `None`
    /// when the file has no compiled rules.
    ///
    /// # Errors
    /// When a section is damaged, or what it holds is no Wasm.
    pub fn module(&self, engine: &Engine) -> Result<Option<Ready<wasmtime::Module>>, BuiltError> {
        if self
            .sections(|kind| matches!(kind, Kind::Code))
            .next()
            .is_none()
        {
            return Ok(None);
        }
        let why = match self.native(engine, None) {
            Ok(native) => match self.deserialize(engine, native)? {
                Ok(module) => return Ok(Some((module, None))),
                Err(error) => format!("the runtime refuses it ({error:#})"),
            },
            Err(why) => why,
        };
        let Some(code) = self.code()? else {
            return Ok(None);
        };
        let failed = |error: wasmtime::Error| BuiltError::Native {
            what: "the rules".to_owned(),
            why: format!("{error:#}"),
        };
        let module = wasmtime::Module::new(engine, code).map_err(failed)?;
        Ok(Some((module, Some(why))))
    }

    /// Native code of text rules, which may be run here if it is what the header says. It is most of a file, so it is not
    /// copied more than once where that can be helped.
    fn deserialize(
        &self,
        engine: &Engine,
        native: &Section,
    ) -> Result<wasmtime::Result<wasmtime::Module>, BuiltError> {
        if let Some(file) = self.source.sealed(native)? {
            // SAFETY: a trusted key signed the file (`native`), and the bytes are those that were signed (`sealed` holds them
            // to their hash, and lets nobody change them afterwards): whoever has the key compiled them with this runtime.
            if let Ok(module) = unsafe { wasmtime::Module::deserialize_open_file(engine, file) } {
                return Ok(Ok(module));
            }
            // Not every system lets files in memory be run.
        }
        let bytes = self.source.checked(native)?;
        // SAFETY: as above; the bytes are in memory that is ours alone when `checked` holds them to their hash.
        Ok(unsafe { wasmtime::Module::deserialize(engine, bytes) })
    }

    /// A module, ready to be run, as [`Self::module`].
    ///
    /// # Errors
    /// When a section is damaged, there is no such module, or it is no component.
    pub fn component(&self, engine: &Engine, module: u16) -> Result<Ready<Component>, BuiltError> {
        let mut modules = self.sections(|kind| matches!(kind, Kind::Module));
        let Some(section) = modules.nth(usize::from(module)) else {
            return Err(BuiltError::Broken(format!("there is no module {module}")));
        };
        let failed = |error: wasmtime::Error| BuiltError::Native {
            what: section.name.clone(),
            why: format!("{error:#}"),
        };
        let why = match self.native(engine, Some(module)) {
            Ok(native) => {
                let native = self.source.checked(native)?;
                // SAFETY: as in `deserialize`.
                match unsafe { Component::deserialize(engine, native) } {
                    Ok(component) => return Ok((component, None)),
                    Err(error) => format!("the runtime refuses it ({error:#})"),
                }
            }
            Err(why) => why,
        };
        let component = self.source.checked(section)?;
        let component = Component::new(engine, component).map_err(failed)?;
        Ok((component, Some(why)))
    }

    /// Native code that may be run here, if it is what the header says; or why there is none.
    fn native(&self, engine: &Engine, wanted: Option<u16>) -> Result<&Section, String> {
        let here = Machine::of(engine);
        let mut why = None;
        for section in &self.layout.header.sections {
            let Kind::Native { module, machine } = &section.kind else {
                continue;
            };
            if *module != wanted {
                continue;
            }
            match machine.differs(&here) {
                Some(difference) => why = Some(difference),
                None if !self.signed.trusted() => {
                    why = Some("neither this machine nor a trusted key signed it".to_owned());
                }
                None => return Ok(section),
            }
        }
        Err(why.unwrap_or_else(|| "there is none".to_owned()))
    }
}
