//! Asking the engine's own evaluator whether bytes satisfy what a rule wants of a buffer.

use std::sync::Arc;

use weir_engine::app::{AppProto, FlowApp, Output, Way};
use weir_engine::eval::{AppSubject, Beyond, Evaluator, Plain, Subject};
use weir_engine::packet::Packet;
use weir_engine::plan::{AppPlan, Buffer, Rule, RuleSet};

/// Judges the buffers of one rule.
pub(super) struct Checker {
    plain: Plain,
    buffers: Vec<Buffer>,
}

impl Checker {
    pub(super) fn new(rule: &Rule) -> Self {
        let of_plan = |plan: &weir_engine::plan::BufferPlan| Rule {
            buffers: vec![plan.clone()],
            tests: Vec::new(),
            app: AppPlan::default(),
            probe: None,
            ..rule.clone()
        };
        let rules: Vec<Rule> = rule.buffers.iter().map(of_plan).collect();
        Self {
            buffers: rule.buffers.iter().map(|plan| plan.buffer).collect(),
            plain: Plain::new(Arc::new(RuleSet::new(rules))),
        }
    }

    /// True when the bytes satisfy one of the rule's buffer plans, before its transforms.
    pub(super) fn accepts(&mut self, plan: usize, bytes: &[u8]) -> bool {
        let Some(&buffer) = self.buffers.get(plan) else {
            return false;
        };
        let packet = Packet::new(0, 1, 0);
        let mut subject = Subject::packet(&packet, bytes);
        let mut output = Output::everything();
        let id = output.begin();
        if let Buffer::App(buffer) = buffer {
            for way in Way::ALL {
                output.put(id, way, buffer, bytes);
            }
            let way = u8::from(!buffer.ways().has(0));
            let mut flow = FlowApp::default();
            flow.proto = AppProto::ALL
                .iter()
                .copied()
                .find(|&of| buffer.protos().has(of));
            subject.app = AppSubject {
                flow,
                transaction: output.get(id),
                way,
            };
        }
        let mut matches = Vec::new();
        self.plain
            .evaluate(&subject, Beyond::default(), &[plan as u32], &mut matches);
        !matches.is_empty()
    }
}
