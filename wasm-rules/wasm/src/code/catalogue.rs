//! What compiled rules ask the host for, by number.

use std::collections::HashMap;
use std::sync::Arc;

use weir_engine::pcre::Regex;
use weir_engine::plan::{Buffer, BufferPlan, Entropy, Op, RuleId, RuleSet, Transform};

/// A buffer after its transforms.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Which buffer.
    pub buffer: Buffer,
    /// What is done to its bytes.
    pub transforms: Vec<Transform>,
}

/// A header field that rules compare, by its number in the module's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Field {
    /// Flags of the TCP header.
    TcpFlags,
    /// The three bits of IPv4's flags.
    FragBits,
    /// Fragment offset, in units of 8 bytes.
    FragOffset,
    /// IPv4 identification.
    IpId,
    /// IP protocol.
    IpProto,
    /// 4 or 6.
    IpVersion,
    /// Time to live, hop limit.
    Ttl,
    /// Type of service.
    Tos,
    /// ICMP type.
    IcmpType,
    /// ICMP code.
    IcmpCode,
    /// ICMP identifier.
    IcmpId,
    /// ICMP sequence number.
    IcmpSeq,
    /// MTU of an ICMPv6 message.
    Icmp6Mtu,
    /// IGMP type.
    IgmpType,
    /// TCP sequence number.
    TcpSeq,
    /// TCP acknowledgement number.
    TcpAck,
    /// TCP window, unscaled.
    TcpWindow,
    /// TCP maximum segment size.
    TcpMss,
    /// TCP window scale.
    TcpWscale,
    /// Bytes of payload.
    PayloadSize,
    /// 1 where rules may look into a payload that is not empty, else 0.
    Inspected,
}

impl Field {
    /// All of them: a number indexes this.
    pub const ALL: [Self; 21] = [
        Self::TcpFlags,
        Self::FragBits,
        Self::FragOffset,
        Self::IpId,
        Self::IpProto,
        Self::IpVersion,
        Self::Ttl,
        Self::Tos,
        Self::IcmpType,
        Self::IcmpCode,
        Self::IcmpId,
        Self::IcmpSeq,
        Self::Icmp6Mtu,
        Self::IgmpType,
        Self::TcpSeq,
        Self::TcpAck,
        Self::TcpWindow,
        Self::TcpMss,
        Self::TcpWscale,
        Self::PayloadSize,
        Self::Inspected,
    ];
}

/// Views, expressions and tests of entropy of a rule set, numbered in the order in which rules name them. Compiler and host
/// make it each for itself, of the same rules.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Views.
    pub views: Vec<View>,
    /// Expressions.
    pub regexes: Vec<Arc<Regex>>,
    /// Tests of entropy.
    pub entropies: Vec<Entropy>,
    /// Of all rules' buffers, one rule after the other, the numbers of their views.
    of_buffers: Vec<u32>,
    /// Of a rule, its first of these, its first expression, and its first test of entropy; the others follow in the order of
    /// the plan.
    first: Vec<(u32, u32, u32)>,
}

impl Catalogue {
    /// Of a rule set.
    pub fn new(rules: &RuleSet) -> Self {
        let mut all = Self::default();
        let mut known = HashMap::new();
        for rule in rules.rules() {
            all.first.push((
                all.of_buffers.len() as u32,
                all.regexes.len() as u32,
                all.entropies.len() as u32,
            ));
            for plan in &rule.buffers {
                let view = all.view(plan, &mut known);
                all.of_buffers.push(view);
                all.operations(&plan.ops);
            }
        }
        all
    }

    /// The number of a buffer's view. `known` are those of each buffer: mostly one, and never many.
    fn view(&mut self, plan: &BufferPlan, known: &mut HashMap<Buffer, Vec<u32>>) -> u32 {
        let of_buffer = known.entry(plan.buffer).or_default();
        let same = |number: &u32| {
            let view = self.views.get(*number as usize);
            view.is_some_and(|view| view.transforms == plan.transforms)
        };
        if let Some(number) = of_buffer.iter().copied().find(same) {
            return number;
        }
        let next = self.views.len() as u32;
        of_buffer.push(next);
        self.views.push(View {
            buffer: plan.buffer,
            transforms: plan.transforms.clone(),
        });
        next
    }

    fn operations(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Pcre(pcre) => self.regexes.push(Arc::clone(&pcre.regex)),
                Op::Entropy(entropy) => self.entropies.push(entropy.clone()),
                Op::Base64Decode(decode) => self.operations(&decode.data),
                _ => {}
            }
        }
    }

    /// Numbers of the views of a rule's buffers, in their order.
    pub(super) fn views_of(&self, rule: RuleId) -> &[u32] {
        let first = |rule: usize| self.first.get(rule).map(|first| first.0 as usize);
        let rule = rule as usize;
        let end = first(rule + 1).unwrap_or(self.of_buffers.len());
        let views = first(rule).and_then(|start| self.of_buffers.get(start..end));
        views.unwrap_or_default()
    }

    /// Numbers of a rule's first expression and its first test of entropy.
    pub(super) fn first_of(&self, rule: RuleId) -> (u32, u32) {
        let first = self.first.get(rule as usize);
        first.map_or((0, 0), |&(_, regex, entropy)| (regex, entropy))
    }
}
