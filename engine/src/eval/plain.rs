//! The plain evaluator: plans, interpreted.

use std::sync::{Arc, OnceLock};

use super::machine::Machine;
use super::parts::{self, takes_broken};
use super::program::{Program, Step};
use super::{Beyond, Buffers, EvalCounters, Evaluator, Subject, app, header};
use crate::app::{AppBuffer, Way};
use crate::plan::{Buffer, Rule, RuleId, RuleSet, Transform};

/// Evaluates plans as they stand. It is the reference for every faster evaluator.
#[derive(Debug)]
pub struct Plain {
    rules: Arc<RuleSet>,
    /// What rules are turned into, each when it is first looked at: most of a large set never are.
    prepared: Arc<[OnceLock<Prepared>]>,
    machine: Machine,
    buffers: Buffers,
}

/// What a rule's plan is turned into.
#[derive(Debug)]
struct Prepared {
    buffers: Box<[PreparedBuffer]>,
    /// It asks for a decoder event, and so may match packets that are otherwise too broken.
    decoder_event: bool,
}

/// A buffer, what is done to its bytes, and the steps that run on them.
type PreparedBuffer = (Buffer, Box<[Transform]>, Program);

impl Prepared {
    fn new(rule: &Rule) -> Self {
        let buffers = rule
            .buffers
            .iter()
            .map(|plan| {
                (
                    plan.buffer,
                    plan.transforms.clone().into(),
                    Program::new(&plan.ops, plan.buffer != Buffer::Payload),
                )
            })
            .collect();
        Self {
            buffers,
            decoder_event: takes_broken(rule),
        }
    }
}

impl Plain {
    /// An evaluator for a rule set.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let prepared = rules.rules().iter().map(|_| OnceLock::new()).collect();
        Self {
            rules,
            prepared,
            machine: Machine::new(),
            buffers: Buffers::new(),
        }
    }

    /// The same for another worker: what was prepared is shared.
    pub fn another(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            prepared: Arc::clone(&self.prepared),
            machine: Machine::new(),
            buffers: Buffers::new(),
        }
    }

    /// True when packet tests and buffers of the rule hold; false for a rule that is not in the set.
    fn matches(&mut self, subject: &Subject<'_>, id: RuleId) -> bool {
        let Self {
            rules,
            prepared,
            machine,
            buffers,
        } = self;
        let (Some(rule), Some(prepared)) = (rules.get(id), prepared.get(id as usize)) else {
            return false;
        };
        let prepared = prepared.get_or_init(|| Prepared::new(rule));
        if subject.packet.invalid && !prepared.decoder_event {
            return false;
        }
        if !rule.tests.iter().all(|test| header::test(test, subject)) {
            return false;
        }
        if !app::holds(&rule.app, subject) {
            return false;
        }
        machine.start_rule(rule.variables);
        machine.byte_order(subject);
        prepared.buffers.iter().all(|(which, transforms, program)| {
            if let Some(of_app) = parts::of_transaction(*which, subject) {
                return of_transaction(of_app, transforms, program, subject, machine, buffers);
            }
            match buffers.bytes(*which, transforms, subject) {
                Some(bytes) => {
                    let start = match which {
                        Buffer::Payload => subject.stream_offset.unwrap_or(0),
                        _ => 0,
                    };
                    machine.run(program, bytes, start)
                }
                // `absent` is the first keyword of its buffer.
                None => matches!(program.steps.first(), Some(Step::Absent { .. })),
            }
        })
    }
}

/// True when one of a transaction's buffers of a kind passes, or there is none and none is wanted.
fn of_transaction(
    (buffer, way): (AppBuffer, Way),
    transforms: &[Transform],
    program: &Program,
    subject: &Subject<'_>,
    machine: &mut Machine,
    buffers: &mut Buffers,
) -> bool {
    let mut all = subject
        .app
        .transaction
        .into_iter()
        .flat_map(|tx| tx.buffers(way, buffer))
        .peekable();
    let absent = matches!(program.steps.first(), Some(Step::Absent { .. }));
    match all.peek() {
        None => absent,
        Some(_) => all.any(|bytes| machine.run(program, buffers.transformed(transforms, bytes), 0)),
    }
}

impl Evaluator for Plain {
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        _beyond: Beyond<'_>,
        candidates: &[RuleId],
        matches: &mut Vec<RuleId>,
    ) {
        for &id in candidates {
            self.machine.counters.checks += 1;
            if self.matches(subject, id) {
                self.machine.counters.matches += 1;
                matches.push(id);
            }
        }
    }

    fn counters(&self) -> EvalCounters {
        let (transform_limits, pcre_limits) = self.buffers.limits();
        let counters = self.machine.counters;
        EvalCounters {
            transform_limits,
            pcre_limits: counters.pcre_limits + pcre_limits,
            ..counters
        }
    }
}
