//! From what was made for a rule to a conversation between addresses.

use weir_engine::plan::{PacketTest, Proto, Rule, RuleSet};

use super::ends::End;
use super::messages::{Messages, messages};
use super::parts::to_server;
use super::talk::{Carrier, Talk};
use super::unmet::Unmet;
use super::{Exercise, Part};

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
    match (kind(one), kind(other)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
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
                Some(Wrong::Fields) => made
                    .says
                    .iter_mut()
                    .for_each(|say| say.fields = Default::default()),
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
        let header = &rule.header;
        let (source, target) = if to_server(rule) {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        source.addresses.push(&header.src);
        target.addresses.push(&header.dst);
        source.ports.push(&header.sport);
        target.ports.push(&header.dport);
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
    match ends {
        [(Some(client), Some(cport)), (Some(server), Some(sport))]
            if client.is_ipv4() == server.is_ipv4() =>
        {
            Ok(Talk {
                carrier: all.carrier,
                client: (client, cport),
                server: (server, sport),
                says: all.says,
                bare: all.bare,
                times: exercise.times,
            })
        }
        _ => Err(Unmet::Ends),
    }
}

fn no_v4(end: &End<'_>) -> bool {
    end.addresses.iter().any(|set| set.v4_ranges().is_empty())
}
