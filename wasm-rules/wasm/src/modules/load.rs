//! From a file to a module that can be asked.

use std::sync::Arc;

use wasmparser::Parser;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use weir_rules::compile::module::{Declaration, DeclarationError};

use super::bindings::RulesPre;
use super::guest::{self, Data, Facts, Live};
use super::policy::{Grant, Policy};
use super::state::most_bytes;
use crate::runtime::{Limits, Runtime};

/// The world's version: major, minor.
const WORLD: (u64, u64) = (1, 0);

/// A file is no module that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct ModuleError {
    /// The file.
    pub file: Arc<str>,
    /// What is wrong.
    pub why: Unusable,
}

/// Why a file is no module that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It is longer than the limit.
    #[error("expected a rule module of at most {most} bytes, found {found}")]
    TooLong {
        /// Bytes that there may be.
        most: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// It is not Wasm.
    #[error("expected a rule module (a WebAssembly component), found {0}")]
    NotWasm(&'static str),
    /// It is Wasm, but no component.
    #[error(
        "expected a WebAssembly component, found a core module; `weir rules build` makes components, and so does \
         `wasm-tools component new` of a core module that was built against the world weir:rules"
    )]
    CoreModule,
    /// It is not valid, or uses what is switched off.
    #[error("not a valid component: {0}")]
    Invalid(String),
    /// It is for another world.
    #[error(
        "it is for version {found} of the world weir:rules; this Weir has {}.{}, and runs modules for 1.0 to that",
        WORLD.0,
        WORLD.1
    )]
    World {
        /// The version that it wants.
        found: String,
    },
    /// It wants something that no module gets.
    #[error(
        "it imports {0}; a rule module gets nothing but weir:rules (no files, network, arguments or environment)"
    )]
    Foreign(String),
    /// Its imports or exports are not those of the world.
    #[error("it is not of the world weir:rules: {0}")]
    Shape(String),
    /// It wants something that the operator has not granted.
    #[error(
        "the module {module} imports weir:rules/{grant}, which the operator has not granted: `grant = {{ \"{module}\" = \
         [\"{grant}\"] }}` in [modules] of the configuration does"
    )]
    Ungranted {
        /// The module.
        module: String,
        /// What it wants.
        grant: &'static str,
    },
    /// It cannot say what it is.
    #[error("it failed to declare its rules: {0}")]
    Silent(String),
    /// What it says is wrong.
    #[error("its declaration is wrong: {0}")]
    Declaration(DeclarationError),
    /// It wants to keep too much.
    #[error("it declares state of up to {declared} bytes; the policy allows {most}")]
    State {
        /// Bytes that it could take.
        declared: u64,
        /// Bytes that the policy allows.
        most: u64,
    },
    /// There is another module of this name.
    #[error("there is already a module with the name {0}")]
    Name(String),
    /// There are too many.
    #[error("more than {0} modules")]
    TooMany(usize),
}

/// A module that was loaded. Cheap to clone.
#[derive(Clone)]
pub struct Module(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) file: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) bytes: Arc<[u8]>,
    pub(super) declaration: Declaration,
    pub(super) grants: Vec<Grant>,
    pub(super) component: Component,
    pub(super) pre: RulesPre<Data>,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("file", &self.0.file)
            .field("declaration", &self.0.declaration)
            .finish_non_exhaustive()
    }
}

impl Module {
    /// Loads the bytes of a file, and asks the module what it is.
    ///
    /// # Errors
    /// When it is no component of the world, wants what the policy does not allow, or declares what there is not.
    pub fn load(
        runtime: &Runtime,
        file: &str,
        bytes: &[u8],
        policy: &Policy,
    ) -> Result<Self, ModuleError> {
        let job = Job {
            runtime,
            file,
            bytes,
            policy,
        };
        let compile = || {
            job.is_component()?;
            Component::new(runtime.engine(), bytes)
                .map_err(|error| Unusable::Invalid(format!("{error:#}")))
        };
        compile()
            .and_then(|component| job.load(component))
            .map_err(|why| job.error(why))
    }

    /// The same, where `component` was made from `bytes` before.
    ///
    /// # Errors
    /// As [`Module::load`].
    pub fn with_component(
        runtime: &Runtime,
        file: &str,
        bytes: &[u8],
        component: Component,
        policy: &Policy,
    ) -> Result<Self, ModuleError> {
        let job = Job {
            runtime,
            file,
            bytes,
            policy,
        };
        job.load(component).map_err(|why| job.error(why))
    }

    /// What it says it is.
    pub fn declaration(&self) -> &Declaration {
        &self.0.declaration
    }

    /// The file that it was loaded from.
    pub fn file(&self) -> &Arc<str> {
        &self.0.file
    }

    /// The bytes that it was loaded from.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0.bytes
    }

    /// What was compiled of it.
    pub fn component(&self) -> &Component {
        &self.0.component
    }

    /// True when it may do this.
    pub fn may(&self, grant: Grant) -> bool {
        self.0.grants.contains(&grant)
    }
}

/// A file to load.
struct Job<'a> {
    runtime: &'a Runtime,
    file: &'a str,
    bytes: &'a [u8],
    policy: &'a Policy,
}

impl Job<'_> {
    fn error(&self, why: Unusable) -> ModuleError {
        ModuleError {
            file: Arc::from(self.file),
            why,
        }
    }

    fn limits(&self) -> Limits {
        self.policy.limits
    }

    fn is_component(&self) -> Result<(), Unusable> {
        let (most, found) = (self.limits().module_bytes, self.bytes.len());
        if found > most {
            return Err(Unusable::TooLong { most, found });
        }
        if Parser::is_component(self.bytes) {
            Ok(())
        } else if Parser::is_core_wasm(self.bytes) {
            Err(Unusable::CoreModule)
        } else {
            Err(Unusable::NotWasm(what_else(self.bytes)))
        }
    }

    fn load(&self, component: Component) -> Result<Module, Unusable> {
        let wanted = self.imports(&component)?;
        let exports = self.exports(&component);
        exports.map_err(Unusable::Shape)?;
        let shape = |error: wasmtime::Error| Unusable::Shape(format!("{error:#}"));
        let linker = guest::linker(self.runtime.engine()).map_err(shape)?;
        let pre = linker.instantiate_pre(&component).map_err(shape)?;
        let pre: RulesPre<Data> = RulesPre::new(pre).map_err(shape)?;
        let declaration = self.declaration(&pre)?;
        let name = declaration.name.clone();
        if let Some(grant) = (wanted.iter()).find(|grant| !self.policy.grants(&name, **grant)) {
            return Err(Unusable::Ungranted {
                module: name,
                grant: grant.name(),
            });
        }
        let granted = |grant: &Grant| self.policy.grants(&name, *grant);
        Ok(Module(Arc::new(Inner {
            file: Arc::from(self.file),
            bytes: Arc::from(self.bytes),
            grants: Grant::ALL.into_iter().filter(granted).collect(),
            name: Arc::from(name),
            declaration,
            component,
            pre,
        })))
    }

    /// Which imports need a grant.
    fn imports(&self, component: &Component) -> Result<Vec<Grant>, Unusable> {
        let mut wanted = Vec::new();
        let engine = self.runtime.engine();
        for (name, _) in component.component_type().imports(engine) {
            let of_world = name
                .strip_prefix("weir:rules/")
                .and_then(|rest| rest.split_once('@'));
            let Some((interface, version)) = of_world else {
                return Err(Unusable::Foreign(name.to_owned()));
            };
            if !fits(version) {
                return Err(Unusable::World {
                    found: version.to_owned(),
                });
            }
            match (interface, Grant::named(interface)) {
                ("declaration" | "host", _) => {}
                (_, Some(grant)) if grant != Grant::Verdict => wanted.push(grant),
                _ => return Err(Unusable::Foreign(name.to_owned())),
            }
        }
        Ok(wanted)
    }

    /// Whether there is what the world asks for; types are compared later.
    fn exports(&self, component: &Component) -> Result<(), String> {
        let engine = self.runtime.engine();
        let of_component = component.component_type();
        let functions: Vec<&str> = of_component
            .exports(engine)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name)
            .collect();
        for wanted in ["declare", "evaluate"] {
            if !functions.contains(&wanted) {
                let found = match functions.as_slice() {
                    [] => "no function".to_owned(),
                    functions => functions.join(", "),
                };
                return Err(format!(
                    "expected it to export the functions `declare` and `evaluate`, found {found}"
                ));
            }
        }
        Ok(())
    }

    /// What the module says of itself, checked.
    fn declaration(&self, pre: &RulesPre<Data>) -> Result<Declaration, Unusable> {
        let silent = |error: &wasmtime::Error| Unusable::Silent(reason(error));
        let data = Data::new(
            self.runtime.timer(),
            Arc::new(Facts::unknown()),
            self.limits(),
            None,
        );
        // What does not fit is found out when an instance is made; code that runs then may trap.
        let made = |error: wasmtime::Error| match error.downcast_ref::<wasmtime::Trap>() {
            Some(_) => silent(&error),
            None => Unusable::Shape(format!("{error:#}")),
        };
        let mut live = Live::new(self.runtime, pre, data).map_err(made)?;
        let said = live.declare().map_err(|error| silent(&error))?;
        let declaration = guest::declaration(said);
        declaration.check().map_err(Unusable::Declaration)?;
        let (declared, most) = (most_bytes(&declaration), self.limits().state_bytes);
        if declared > most {
            return Err(Unusable::State { declared, most });
        }
        Ok(declaration)
    }
}

/// Why something failed, in one line: the innermost cause says it best.
pub(super) fn reason(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let line = cause.lines().next().unwrap_or("for no known reason");
    let end = line.floor_char_boundary(300);
    line.get(..end).unwrap_or(line).to_owned()
}

/// True for a version of the world that this one can stand in for.
fn fits(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    (major, minor) <= WORLD && major == WORLD.0
}

/// What a file is that is not Wasm.
fn what_else(bytes: &[u8]) -> &'static str {
    let text = std::str::from_utf8(bytes.get(..1024.min(bytes.len())).unwrap_or_default());
    // A letter may be cut at the end.
    let is_text = match text {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    let first = bytes.trim_ascii_start();
    if bytes.is_empty() {
        "an empty file"
    } else if is_text && (first.starts_with(b"(module") || first.starts_with(b"(component")) {
        "WebAssembly as text; `wasm-tools parse` makes binary Wasm of it"
    } else if is_text {
        "text; text rules go into files whose name ends in `.rules`"
    } else {
        "something that is not WebAssembly"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_world() {
        for good in ["1.0.0", "1.0.7"] {
            assert!(fits(good), "{good}");
        }
        for bad in ["1.1.0", "2.0.0", "0.9.0", "", "1", "x.y"] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
