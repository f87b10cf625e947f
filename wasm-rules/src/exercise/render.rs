//! From what was made for a rule to a conversation between addresses.

use weir_engine::plan::{AddrSet, PacketTest, Proto, Rule, RuleSet};

use super::ends::End;
use super::messages::{Messages, messages};
use super::parts::to_server;
use super::talk::{Carrier, Fields, Talk};
use super::unmet::Unmet;
use super::{Exercise, Part};

/// Fewer addresses than this are few.
const FEW: u64 = 4096;

/// What is wrong about a near miss beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The server's port.
    ServerPort,
    /// The client's port.
    ClientPort,
    /// The server's address.
    Server,
    /// The client's address.
    Client,
    /// Header fields are as usual.
    Fields,
    /// What one side should say the other says.
    Direction,
}

/// True when two rules can be about the same flow, as far as protocols tell.
pub(super) fn together(one: &Rule, other: &Rule) -> bool {
    let kind = |rule: &Rule| match rule.header.proto {
        Proto::Tcp | Proto::TcpPkt | Proto::TcpStream => Some(Carrier::Tcp),
        Proto::Udp => Some(Carrier::Udp),
        Proto::Icmp | Proto::Icmp4 | Proto::Icmp6 => Some(Carrier::Icmp),
        _ => None,
    };
    let ends = |rule| {
        let mut ends = [End::default(), End::default()];
        let [client, server] = &mut ends;
        add(rule, client, server);
        ends
    };
    let ([client, server], [other_client, other_server]) = (ends(one), ends(other));
    fn meet<'a>(one: End<'a>, mut other: End<'a>) -> bool {
        other.ports.extend(one.ports);
        other.port(&[20_000]).is_some()
    }
    let carried = match (kind(one), kind(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    carried && meet(client, other_client) && meet(server, other_server)
}

/// What a rule asks of both ends.
fn add<'a>(rule: &'a Rule, client: &mut End<'a>, server: &mut End<'a>) {
    let header = &rule.header;
    let (source, target) = if to_server(rule) {
        (client, server)
    } else {
        (server, client)
    };
    source.addresses.push(&header.src);
    target.addresses.push(&header.dst);
    source.ports.push(&header.sport);
    target.ports.push(&header.dport);
}

pub(super) fn talk(rules: &RuleSet, exercise: &Exercise, number: u32) -> Result<Talk, Unmet> {
    let mut all: Option<Messages> = None;
    let (mut client, mut server) = (End::default(), End::default());
    let mut v6 = false;
    let last = exercise.parts.len().saturating_sub(1);
    for (at, Part { rule, filled }) in exercise.parts.iter().enumerate() {
        let rule = rules.get(*rule).ok_or(Unmet::Header)?;
        let mut made = messages(rule, filled, exercise.attempt)?;
        if at == last {
            match exercise.wrong {
                Some(Wrong::Fields) => {
                    made.says
                        .iter_mut()
                        .for_each(|say| say.fields = Fields::default());
                    if let Carrier::Ip(_) = made.carrier {
                        made.carrier = Carrier::Udp;
                    }
                }
                Some(Wrong::Direction) => made
                    .says
                    .iter_mut()
                    .for_each(|say| say.to_server = !say.to_server),
                _ => {}
            }
        }
        v6 |= rule.header.proto == Proto::Icmp6 || rule.header.proto == Proto::Ip6;
        v6 |= rule
            .tests
            .iter()
            .any(|test| matches!(test, PacketTest::L3 { v4: false }));
        add(rule, &mut client, &mut server);
        match &mut all {
            None => all = Some(made),
            Some(all) if all.carrier == made.carrier => {
                all.says.append(&mut made.says);
                all.bare |= made.bare;
            }
            Some(_) => return Err(Unmet::State),
        }
    }
    let all = all.ok_or(Unmet::Header)?;
    let v6 = v6 || no_v4(&client) || no_v4(&server);
    let mut ends = [
        (
            client.address(number, 0, v6),
            client.port(&[20_000 + (number % 40_000) as u16, 20_000, 1024]),
        ),
        (
            server.address(number, 1, v6),
            server.port(&[all.ports, &[9999]].concat()),
        ),
    ];
    let [from, to] = &mut ends;
    match exercise.wrong {
        Some(Wrong::ServerPort) => to.1 = server.wrong_port(),
        Some(Wrong::ClientPort) => from.1 = client.wrong_port(),
        Some(Wrong::Server) => to.0 = server.wrong_address(number),
        Some(Wrong::Client) => from.0 = client.wrong_address(number),
        _ => {}
    }
    let same = exercise
        .parts
        .iter()
        .filter_map(|part| rules.get(part.rule));
    if same
        .flat_map(|rule| &rule.tests)
        .any(|test| matches!(test, PacketTest::SameIp))
    {
        to.0 = from.0;
    }
    // Where a client has no other port, it says everything again instead.
    let mut says = all.says;
    let (mut times, mut repeats) = (exercise.times, 1);
    let free = |port: u16| exercise_ports(&client, port, times);
    if times > 1 && !ends[0].1.is_some_and(free) {
        (times, repeats) = (1, times);
    }
    if repeats > 1 {
        says = says
            .iter()
            .cycle()
            .take(says.len() * repeats as usize)
            .cloned()
            .collect();
    }
    match ends {
        [(Some(client), Some(cport)), (Some(server), Some(sport))]
            if client.is_ipv4() == server.is_ipv4() =>
        {
            Ok(Talk {
                carrier: all.carrier,
                client: (client, cport),
                server: (server, sport),
                says,
                pause: pause(rules, exercise),
                bare: all.bare,
                times,
            })
        }
        _ => Err(Unmet::Ends),
    }
}

/// Seconds to wait, so that a rule that limits its alerts by addresses of which there are few is free to alert again.
fn pause(rules: &RuleSet, exercise: &Exercise) -> u32 {
    let Some(rule) = rules.get(exercise.rule) else {
        return 0;
    };
    let few = |set: &AddrSet| {
        set.v4_ranges()
            .iter()
            .map(|&(low, high)| u64::from(high - low) + 1)
            .sum::<u64>()
            < FEW
    };
    match rule.threshold {
        Some(threshold) if few(&rule.header.src) || few(&rule.header.dst) => {
            threshold.seconds.saturating_add(1)
        }
        _ => 0,
    }
}

/// True when a client may have so many ports from this one on.
fn exercise_ports(client: &End<'_>, port: u16, times: u32) -> bool {
    (0..times).all(|more| client.allows_port(port.wrapping_add(more as u16).max(1)))
}

fn no_v4(end: &End<'_>) -> bool {
    end.addresses.iter().any(|set| set.v4_ranges().is_empty())
}
