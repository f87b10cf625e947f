//! Who calls whom in a core module, and where it may run on.

use std::collections::HashMap;

use wasmparser::{
    CustomSectionReader, ElementItems, ElementSectionReader, ExportSectionReader, ExternalKind,
    FunctionBody, KnownCustom, Name, Operator, Subsections,
};

use super::{MemoryReport, Work};

/// Most names that a report has of each kind.
const NAMED: usize = 8;

/// A core module.
#[derive(Default)]
pub(super) struct Core {
    pub(super) imported: u32,
    pub(super) memory: Option<MemoryReport>,
    exports: HashMap<String, u32>,
    names: HashMap<u32, String>,
    /// Functions that a table may hold, or whose address is taken.
    in_tables: Vec<u32>,
    functions: Vec<Function>,
}

#[derive(Default)]
struct Function {
    calls: Vec<u32>,
    loops: bool,
    indirect: bool,
}

impl Core {
    pub(super) fn exports(&mut self, section: ExportSectionReader<'_>) {
        for export in section.into_iter().flatten() {
            if export.kind == ExternalKind::Func {
                self.exports.insert(export.name.to_owned(), export.index);
            }
        }
    }

    pub(super) fn elements(&mut self, section: ElementSectionReader<'_>) {
        for element in section.into_iter().flatten() {
            match element.items {
                ElementItems::Functions(functions) => {
                    self.in_tables.extend(functions.into_iter().flatten());
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions.into_iter().flatten() {
                        for operator in expression.get_operators_reader().into_iter().flatten() {
                            if let Operator::RefFunc { function_index } = operator {
                                self.in_tables.push(function_index);
                            }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn custom(&mut self, section: &CustomSectionReader<'_>) {
        let KnownCustom::Name(names) = section.as_known() else {
            return;
        };
        self.named(names);
    }

    fn named(&mut self, names: Subsections<'_, Name<'_>>) {
        for name in names.into_iter().flatten() {
            let Name::Function(functions) = name else {
                continue;
            };
            for naming in functions.into_iter().flatten() {
                self.names.insert(naming.index, naming.name.to_owned());
            }
        }
    }

    /// Reads a function: whom it calls, and whether it goes back to the head of a loop.
    pub(super) fn body(&mut self, body: &FunctionBody<'_>) {
        let mut function = Function::default();
        // The blocks that are open; true for a loop.
        let mut blocks = vec![false];
        let operators = body.get_operators_reader().ok();
        for operator in operators.into_iter().flatten().flatten() {
            let mut back = |depth: u32| {
                let at = blocks.len().checked_sub(1 + depth as usize);
                function.loops |= at.and_then(|at| blocks.get(at)).is_some_and(|of| *of);
            };
            match operator {
                Operator::Br { relative_depth }
                | Operator::BrIf { relative_depth }
                | Operator::BrOnNull { relative_depth }
                | Operator::BrOnNonNull { relative_depth } => back(relative_depth),
                Operator::BrTable { targets } => {
                    back(targets.default());
                    targets.targets().flatten().for_each(back);
                }
                Operator::Loop { .. } => blocks.push(true),
                Operator::Block { .. } | Operator::If { .. } => blocks.push(false),
                Operator::End => {
                    blocks.pop();
                }
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    function.calls.push(function_index)
                }
                Operator::RefFunc { function_index } => self.in_tables.push(function_index),
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::CallRef { .. }
                | Operator::ReturnCallRef { .. } => function.indirect = true,
                _ => {}
            }
        }
        function.calls.sort_unstable();
        function.calls.dedup();
        self.functions.push(function);
    }

    fn function(&self, index: u32) -> Option<&Function> {
        let own = index.checked_sub(self.imported)?;
        self.functions.get(own as usize)
    }

    /// What an exported function may reach; `None` where there is none of this name.
    pub(super) fn work(&self, export: &str) -> Option<Work> {
        let start = *self.exports.get(export)?;
        self.function(start)?;
        let order = self.reached(start);
        let mut work = Work {
            functions: order.len(),
            ..Work::default()
        };
        let circles = self.circles(&order);
        for &index in &order {
            let Some(function) = self.function(index) else {
                continue;
            };
            let lists = [
                (function.loops, &mut work.loops),
                (circles.contains(&index), &mut work.recursion),
                (function.indirect, &mut work.indirect),
            ];
            for (_, list) in lists.into_iter().filter(|(is, _)| *is) {
                match list.len() {
                    NAMED => list.push("…".to_owned()),
                    length if length > NAMED => {}
                    _ => list.push(self.name(index)),
                }
            }
        }
        Some(work)
    }

    fn name(&self, index: u32) -> String {
        let named = self.names.get(&index);
        let shown = |name: &String| name.chars().filter(|c| !c.is_control()).take(100).collect();
        named.map_or_else(|| format!("function {index}"), shown)
    }

    /// All functions that may be reached, in the order of their numbers.
    fn reached(&self, start: u32) -> Vec<u32> {
        let mut seen = vec![false; self.functions.len()];
        let mut open = vec![start];
        let mut tables = false;
        while let Some(index) = open.pop() {
            let own = index.wrapping_sub(self.imported) as usize;
            let Some(seen) = seen.get_mut(own).filter(|seen| !**seen) else {
                continue;
            };
            *seen = true;
            let Some(function) = self.function(index) else {
                continue;
            };
            open.extend(function.calls.iter().filter(|call| **call >= self.imported));
            if function.indirect && !std::mem::replace(&mut tables, true) {
                open.extend(self.in_tables.iter().filter(|call| **call >= self.imported));
            }
        }
        let numbers = (self.imported..).zip(&seen).filter(|(_, seen)| **seen);
        numbers.map(|(index, _)| index).collect()
    }

    /// Of these functions, those that may come to be called while they run: those left over when functions that call no
    /// other of them are taken away again and again, and then those that no other of them calls.
    ///
    /// What lies between two circles is among them, too: too many rather than too few.
    fn circles(&self, among: &[u32]) -> Vec<u32> {
        let place = |index: u32| among.binary_search(&index).ok();
        let mut callees: Vec<Vec<usize>> = Vec::with_capacity(among.len());
        let mut callers: Vec<Vec<usize>> = vec![Vec::new(); among.len()];
        let tables = among.len();
        // All functions of tables stand behind one more, so that many indirect calls cost no more than few.
        callers.push(Vec::new());
        for (at, &index) in among.iter().enumerate() {
            let mut of: Vec<usize> = Vec::new();
            if let Some(function) = self.function(index) {
                of.extend(function.calls.iter().filter_map(|&call| place(call)));
                if function.indirect {
                    of.push(tables);
                }
            }
            for &callee in &of {
                callers[callee].push(at);
            }
            callees.push(of);
        }
        let mut of_tables: Vec<usize> = self.in_tables.iter().filter_map(|&f| place(f)).collect();
        of_tables.sort_unstable();
        of_tables.dedup();
        for &callee in &of_tables {
            callers[callee].push(tables);
        }
        callees.push(of_tables);
        let mut left = vec![true; callees.len()];
        for (edges, back) in [(&callees, &callers), (&callers, &callees)] {
            let count = |at: usize| edges[at].iter().filter(|to| left[**to]).count();
            let mut counts: Vec<usize> = (0..edges.len()).map(count).collect();
            let mut open: Vec<usize> = (0..counts.len())
                .filter(|&at| left[at] && counts[at] == 0)
                .collect();
            while let Some(at) = open.pop() {
                left[at] = false;
                for &other in &back[at] {
                    counts[other] -= 1;
                    if counts[other] == 0 && left[other] {
                        open.push(other);
                    }
                }
            }
        }
        let of_left = among.iter().zip(&left).filter(|(_, left)| **left);
        of_left.map(|(index, _)| *index).collect()
    }
}
