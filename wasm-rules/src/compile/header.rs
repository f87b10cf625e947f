//! Rule headers: action, protocol, addresses, ports, direction.

use weir_engine::app::{self, AppSet};
use weir_engine::plan::{Action, Header, PacketTest, Proto, RejectTo};

use super::Compiler;
use crate::keywords;
use crate::syntax::ast::{AddressItem, At, Direction, Expr, PortItem, Problem, RuleText};

/// The rule's action.
pub(super) fn action(rule: &RuleText) -> Result<Action, Problem> {
    let name = &rule.action;
    Ok(match name.value.as_str() {
        "alert" => Action::Alert,
        "pass" => Action::Pass,
        "drop" => Action::Drop,
        "reject" | "rejectsrc" => Action::Reject(RejectTo::Source),
        "rejectdst" => Action::Reject(RejectTo::Destination),
        "rejectboth" => Action::Reject(RejectTo::Both),
        other => {
            let message = format!("the action `{other}` is not supported");
            return Err(Problem::unsupported(
                name.place,
                format!("action {other}"),
                message,
            ));
        }
    })
}

/// The rule's protocol, and a packet test that goes with its name.
fn proto(rule: &RuleText) -> Result<(Proto, Option<PacketTest>, AppSet), Problem> {
    let name = &rule.proto;
    let on = |proto, v4| Ok((proto, Some(PacketTest::L3 { v4 }), AppSet::EMPTY));
    let proto = match name.value.as_str() {
        "ip" | "any" => Proto::Ip,
        "ip4" | "ipv4" => Proto::Ip4,
        "ip6" | "ipv6" => Proto::Ip6,
        "tcp" => Proto::Tcp,
        "tcp4" => return on(Proto::Tcp, true),
        "tcp6" => return on(Proto::Tcp, false),
        "tcp-pkt" => Proto::TcpPkt,
        "tcp-stream" => Proto::TcpStream,
        "udp" => Proto::Udp,
        "udp4" => return on(Proto::Udp, true),
        "udp6" => return on(Proto::Udp, false),
        "icmp" => Proto::Icmp,
        "icmpv4" | "icmp4" => Proto::Icmp4,
        "icmpv6" | "icmp6" => Proto::Icmp6,
        "sctp" => Proto::Sctp,
        "igmp" => Proto::Igmp,
        "pkthdr" => Proto::PktHdr,
        "ether" => Proto::Ether,
        "arp" => Proto::Arp,
        "gre" => Proto::Number(47),
        "esp" => Proto::Number(50),
        other => match other.parse::<u8>() {
            Ok(number) => Proto::Number(number),
            Err(_) => {
                keywords::check_protocol(name).map_err(|problem| problem.about("protocol"))?;
                let what = match AppSet::named(other) {
                    Some(protos) => match transport(protos) {
                        Some(proto) => return Ok((proto, None, protos)),
                        None => "a parser for it",
                    },
                    None if other.contains(':') => "a hook, at which Weir cannot evaluate rules",
                    None => "a parser for it",
                };
                let message =
                    format!("the protocol `{other}` is not supported yet: it needs {what}");
                return Err(Problem::unsupported(
                    name.place,
                    format!("protocol {other}"),
                    message,
                ));
            }
        },
    };
    Ok((proto, None, AppSet::EMPTY))
}

/// What an application protocol is carried by; `None` where Weir cannot read it.
fn transport(protos: AppSet) -> Option<Proto> {
    let over = [false, true].map(|udp| !protos.and(app::read_over(udp)).is_empty());
    match over {
        [true, false] => Some(Proto::Tcp),
        [false, true] => Some(Proto::Udp),
        [true, true] => Some(Proto::Ip),
        [false, false] => None,
    }
}

/// The rule's header, and a packet test that goes with it. Problems are added to `problems`; what is wrong is `any`.
pub(super) fn header(
    compiler: &Compiler,
    rule: &RuleText,
    problems: &mut Vec<Problem>,
) -> (Header, Option<PacketTest>, AppSet) {
    let mut or_any = |problem: Problem| problems.push(problem);
    let (proto, test, protos) = proto(rule).unwrap_or_else(|problem| {
        or_any(problem);
        (Proto::Ip, None, AppSet::EMPTY)
    });
    let variables = compiler.variables();
    let any = || weir_engine::plan::AddrSet::any();
    let any_port = || weir_engine::plan::PortSet::any();
    let mut negated_addresses = false;
    let kept = compiler.keeps_variables;
    let mut addresses = |expr: &At<Expr<AddressItem>>| match variables.addresses(expr) {
        _ if kept && expr.value.has_variable() => any(),
        Ok(resolved) => {
            negated_addresses |= resolved.negated;
            resolved.set
        }
        Err(problem) => {
            or_any(problem);
            any()
        }
    };
    let (src, dst) = (addresses(&rule.src), addresses(&rule.dst));
    let mut ports = |expr: &At<Expr<PortItem>>| match variables.ports(expr) {
        _ if kept && expr.value.has_variable() => any_port(),
        Ok(resolved) => resolved.set,
        Err(problem) => {
            or_any(problem);
            any_port()
        }
    };
    let (sport, dport) = (ports(&rule.sport), ports(&rule.dport));
    // A rule about request and answer is decided in the answer's direction, and written in the request's.
    let bidirectional = rule.direction.value != Direction::ToRight;
    (
        Header {
            proto,
            src,
            sport,
            dst,
            dport,
            bidirectional,
            negated_addresses,
        },
        test,
        protos,
    )
}
