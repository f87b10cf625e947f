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
    /// Of a rule's buffers, the numbers of their views.
    of_rules: Vec<Box<[u32]>>,
    /// Of a rule, its first expression and its first test of entropy; the others follow in the order of the plan.
    first: Vec<(u32, u32)>,
}

impl Catalogue {
    /// Of a rule set.
    pub fn new(rules: &RuleSet) -> Self {
        let mut all = Self::default();
        let mut plain: HashMap<Buffer, u32> = HashMap::new();
        for rule in rules.rules() {
            all.first
                .push((all.regexes.len() as u32, all.entropies.len() as u32));
            let views: Box<[u32]> = rule
                .buffers
                .iter()
                .map(|plan| all.view(plan, &mut plain))
                .collect();
            all.of_rules.push(views);
            for plan in &rule.buffers {
                all.operations(&plan.ops);
            }
        }
        all
    }

    fn view(&mut self, plan: &BufferPlan, plain: &mut HashMap<Buffer, u32>) -> u32 {
        let next = self.views.len() as u32;
        if plan.transforms.is_empty() {
            let known = *plain.entry(plan.buffer).or_insert(next);
            if known != next {
                return known;
            }
        } else {
            let same =
                |view: &View| view.buffer == plan.buffer && view.transforms == plan.transforms;
            if let Some(known) = self.views.iter().position(same) {
                return known as u32;
            }
        }
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
        self.of_rules.get(rule as usize).map_or(&[], AsRef::as_ref)
    }

    /// Numbers of a rule's first expression and its first test of entropy.
    pub(super) fn first_of(&self, rule: RuleId) -> (u32, u32) {
        self.first.get(rule as usize).copied().unwrap_or_default()
    }
}
