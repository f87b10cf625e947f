//! What can be told of a module without running it.

mod code;

use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::component::types::ComponentItem;

use super::load::Module;
use code::Core;

/// What can be told of a module without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleReport {
    /// What it imports of the world.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Its memory.
    pub memory: Option<MemoryReport>,
    /// What its `evaluate` may reach; `None` where that cannot be found.
    pub work: Option<Work>,
    /// The same of `declare`.
    pub at_load: Option<Work>,
}

/// An interface that a module imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name, with the version.
    pub name: String,
    /// The functions of it that the module can call.
    pub functions: Vec<String>,
}

/// A module's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// What it begins with.
    pub initial: u64,
    /// What it may grow to by its own words; `None` where it says nothing.
    pub most: Option<u64>,
}

/// Functions that a call may reach, and what in them has no end that can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Functions that may be reached.
    pub functions: usize,
    /// Of these, functions with a loop.
    pub loops: Vec<String>,
    /// Functions that may call themselves, perhaps by way of others.
    pub recursion: Vec<String>,
    /// Functions that call what a table says.
    pub indirect: Vec<String>,
}

impl Work {
    /// True when every call ends by itself: no function has a loop, calls itself or what a table says. (False does not mean
    /// that one runs on: most loops end.)
    pub fn is_bounded(&self) -> bool {
        self.loops.is_empty() && self.recursion.is_empty() && self.indirect.is_empty()
    }
}

impl Module {
    /// What can be told of it without running it.
    pub fn report(&self) -> ModuleReport {
        let component = self.component();
        let of_component = component.component_type();
        let engine = component.engine();
        let import = |(name, item): (&str, _)| {
            let functions = match item {
                ComponentItem::ComponentInstance(instance) => instance
                    .exports(engine)
                    .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                    .map(|(name, _)| name.to_owned())
                    .collect(),
                _ => Vec::new(),
            };
            Import {
                name: name.to_owned(),
                functions,
            }
        };
        let mut report = ModuleReport {
            imports: (of_component.imports(engine))
                .map(|(name, item)| import((name, item.ty)))
                .collect(),
            exports: (of_component.exports(engine))
                .map(|(name, _)| name.to_owned())
                .collect(),
            ..ModuleReport::default()
        };
        // It was compiled, so that it is valid; what cannot be read all the same is not told.
        for core in cores(self.bytes()) {
            report.memory = report.memory.or(core.memory);
            report.work = report.work.or_else(|| core.work("evaluate"));
            report.at_load = report.at_load.or_else(|| core.work("declare"));
        }
        report
    }
}

/// The core modules of a component.
fn cores(bytes: &[u8]) -> Vec<Core> {
    let mut done = Vec::new();
    // Modules do not nest, but components may: the module at hand is the last that began.
    let mut open: Vec<Core> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::ModuleSection { .. } => open.push(Core::default()),
            Payload::ImportSection(section) => {
                let Some(core) = open.last_mut() else {
                    continue;
                };
                for import in section.into_imports().flatten() {
                    if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import.ty {
                        core.imported += 1;
                    }
                }
            }
            Payload::MemorySection(section) => {
                let Some(core) = open.last_mut() else {
                    continue;
                };
                for memory in section.into_iter().flatten() {
                    let page = 1u64 << memory.page_size_log2.unwrap_or(16);
                    core.memory = Some(MemoryReport {
                        initial: memory.initial.saturating_mul(page),
                        most: memory.maximum.map(|most| most.saturating_mul(page)),
                    });
                }
            }
            Payload::ExportSection(section) => {
                if let Some(core) = open.last_mut() {
                    core.exports(section);
                }
            }
            Payload::ElementSection(section) => {
                if let Some(core) = open.last_mut() {
                    core.elements(section);
                }
            }
            Payload::CodeSectionEntry(body) => {
                if let Some(core) = open.last_mut() {
                    core.body(&body);
                }
            }
            Payload::CustomSection(section) => {
                if let Some(core) = open.last_mut() {
                    core.custom(&section);
                }
            }
            Payload::End(_) => done.extend(open.pop()),
            _ => {}
        }
    }
    done
}
