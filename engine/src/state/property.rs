//! Tests on what the flow table knows.

use crate::flow::Flow;
use crate::plan::{FlowProperty, FlowSide};
use crate::stream::TcpState;

/// True when the property holds for the flow, which has counted the packet at hand.
pub(super) fn holds(property: &FlowProperty, flow: &Flow) -> bool {
    let Flow { packets, bytes, .. } = flow;
    match property {
        FlowProperty::Age(age) => age.test(flow.age()),
        FlowProperty::Packets(side, num) => counted(*side, *packets, |count| num.test(count)),
        FlowProperty::Bytes(side, num) => counted(*side, *bytes, |count| num.test(count)),
        FlowProperty::StreamSize(side, num) => {
            let passes = |to_server| num.test(flow.tcp.sent(to_server).into());
            sided(*side, [passes(true), passes(false)])
        }
        FlowProperty::Elephant(side) => sided(*side, flow.elephant),
        FlowProperty::Session {
            setup,
            established,
            closing,
        } => {
            let (tcp, state) = (&flow.tcp, flow.tcp.state());
            *setup && !tcp.established()
                || *established && tcp.established()
                || *closing && state.connected() && state != TcpState::Established
        }
    }
}

fn sided(side: FlowSide, [to_server, to_client]: [bool; 2]) -> bool {
    match side {
        FlowSide::ToServer => to_server,
        FlowSide::ToClient => to_client,
        FlowSide::Either => to_server || to_client,
        FlowSide::Both => to_server && to_client,
    }
}

fn counted(side: FlowSide, [to_server, to_client]: [u64; 2], test: impl Fn(u64) -> bool) -> bool {
    match side {
        FlowSide::ToServer => test(to_server),
        FlowSide::ToClient => test(to_client),
        FlowSide::Either => test(to_server) || test(to_client),
        FlowSide::Both => test(to_server.saturating_add(to_client)),
    }
}
