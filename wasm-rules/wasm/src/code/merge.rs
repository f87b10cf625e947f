//! Putting what was compiled behind the runtime.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, FunctionSection, GlobalSection,
    GlobalType, Module, RefType, TableSection, TableType, ValType,
};
use wasmparser::{Name, Parser, Payload};

use super::asm::{LITERALS, Names};
use super::rule::Compiled;
use super::{Catalogue, CodeError};

/// The runtime: what all rules share.
const RUNTIME: &str = include_str!("runtime.wat");

/// Bytes behind the literals and every buffer that may be read, though nothing is made of them.
const SLACK: u32 = 64;

/// Bytes of an entry in the table of views.
const VIEW: u32 = 16;

/// The globals, first in `runtime.wat`, that say where things are.
const PLACES: usize = 3;

impl From<reencode::Error<Infallible>> for CodeError {
    fn from(error: reencode::Error<Infallible>) -> Self {
        Self(error.to_string())
    }
}

/// The runtime, read.
pub(super) struct Runtime {
    bytes: Vec<u8>,
    pub(super) names: Names,
    /// Type of the functions of rules.
    rule_type: u32,
}

impl Runtime {
    pub(super) fn read() -> Result<Self, CodeError> {
        let wrong = |what: &dyn std::fmt::Display| CodeError(format!("runtime: {what}"));
        let bytes = wat::parse_str(RUNTIME).map_err(|error| wrong(&error))?;
        let mut names = Names::default();
        let (mut functions, mut rule_type) = (0, None);
        for payload in Parser::new(0).parse_all(&bytes) {
            match payload.map_err(|error| wrong(&error))? {
                Payload::ImportSection(section) => functions += section.count(),
                Payload::FunctionSection(section) => functions += section.count(),
                Payload::CustomSection(section) => {
                    let wasmparser::KnownCustom::Name(section) = section.as_known() else {
                        continue;
                    };
                    for name in section {
                        let (into, map) = match name.map_err(|error| wrong(&error))? {
                            Name::Function(map) => (&mut names.functions, map),
                            Name::Global(map) => (&mut names.globals, map),
                            Name::Type(map) => {
                                let rule = map.into_iter().flatten().find(|of| of.name == "rule");
                                rule_type = rule.map(|of| of.index);
                                continue;
                            }
                            _ => continue,
                        };
                        for of in map {
                            let of = of.map_err(|error| wrong(&error))?;
                            into.insert(of.name.to_owned(), of.index);
                        }
                    }
                }
                _ => {}
            }
        }
        let rule_type = rule_type.ok_or_else(|| wrong(&"no type `rule`"))?;
        names.first = functions;
        Ok(Self {
            bytes,
            names,
            rule_type,
        })
    }
}

/// Where things are in memory.
struct Layout {
    views: u32,
    candidates: u32,
    heap: u32,
    /// Pages of 64 KiB to begin with.
    pages: u64,
}

impl Layout {
    fn new(literals: usize, views: usize, rules: usize) -> Result<Self, CodeError> {
        let too_large = || CodeError("more literals than memory".to_owned());
        let of = |count: usize, size: u32| u32::try_from(count).ok()?.checked_mul(size);
        let align = |at: u32| at.checked_next_multiple_of(16);
        let place = || {
            let end = LITERALS.checked_add(of(literals, 1)?)?;
            let views_at = align(end.checked_add(SLACK)?)?;
            let candidates = views_at.checked_add(of(views, VIEW)?)?;
            let heap = align(candidates.checked_add(of(rules, 4)?)?)?;
            Some((views_at, candidates, heap))
        };
        let (views, candidates, heap) = place().ok_or_else(too_large)?;
        Ok(Self {
            views,
            candidates,
            heap,
            pages: u64::from(heap).div_ceil(65_536) + 1,
        })
    }
}

/// Copies the runtime and puts what was compiled behind it.
struct Merger<'c> {
    compiled: &'c Compiled,
    rule_type: u32,
    layout: Layout,
}

impl Reencode for Merger<'_> {
    type Error = Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        utils::parse_function_section(self, functions, section)?;
        for _ in &self.compiled.functions {
            functions.function(self.rule_type);
        }
        Ok(())
    }

    fn parse_table_section(
        &mut self,
        tables: &mut TableSection,
        _: wasmparser::TableSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        let rules = self.compiled.rules.len().max(1) as u64;
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: rules,
            maximum: Some(rules),
            shared: false,
        });
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        _: wasmparser::ElementSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        let functions = Elements::Functions(self.compiled.rules.as_slice().into());
        elements.active(Some(0), &ConstExpr::i32_const(0), functions);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        let Layout {
            views,
            candidates,
            heap,
            ..
        } = self.layout;
        for place in [views, candidates, heap] {
            let of = GlobalType {
                val_type: ValType::I32,
                mutable: false,
                shared: false,
            };
            globals.global(of, &ConstExpr::i32_const(place as i32));
        }
        for global in section.into_iter().skip(PLACES) {
            self.parse_global(globals, global?)?;
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut wasm_encoder::MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        for memory in section {
            let mut memory = self.memory_type(memory?)?;
            memory.minimum = memory.minimum.max(self.layout.pages);
            memories.memory(memory);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        utils::parse_code_section(self, code, section)?;
        for body in &self.compiled.functions {
            code.raw(body);
        }
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<wasm_encoder::SectionId>,
        _: Option<wasm_encoder::SectionId>,
    ) -> Result<(), reencode::Error<Infallible>> {
        if after == Some(wasm_encoder::SectionId::Code) {
            let mut data = DataSection::new();
            let at = ConstExpr::i32_const(LITERALS as i32);
            data.active(0, &at, self.compiled.literals.iter().copied());
            module.section(&data);
        }
        Ok(())
    }
}

/// The whole module.
pub(super) fn merge(
    runtime: &Runtime,
    compiled: Compiled,
    catalogue: &Catalogue,
) -> Result<Vec<u8>, CodeError> {
    if let Some(unknown) = compiled.unknown.first() {
        return Err(CodeError(format!("runtime: nothing is named `{unknown}`")));
    }
    let layout = Layout::new(
        compiled.literals.len(),
        catalogue.views.len(),
        compiled.rules.len(),
    )?;
    let mut merger = Merger {
        compiled: &compiled,
        rule_type: runtime.rule_type,
        layout,
    };
    let mut module = Module::new();
    merger.parse_core_module(&mut module, Parser::new(0), &runtime.bytes)?;
    Ok(module.finish())
}
