//! TCP connections out of arbitrary segments, near the numbers that the connection is at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_engine::flow::{Endpoint, FlowConfig, FlowTable};
use weir_engine::packet::{Net, Packet, Transport};
use weir_engine::stream::{Session, SessionConfig, StreamEvent, TcpState, UrgentPolicy};
use weir_fuzz::segment::{self, Segment};

fuzz_target!(|input: &[u8]| {
    let Some((&options, rest)) = input.split_first() else {
        return;
    };
    let config = FlowConfig {
        max_flows: 4,
        session: SessionConfig {
            midstream: options & 1 != 0,
            async_oneside: options & 2 != 0,
            inline: options & 4 != 0,
            urgent: [
                UrgentPolicy::OutOfBand,
                UrgentPolicy::Inline,
                UrgentPolicy::Gap,
                UrgentPolicy::Drop,
            ][usize::from(options >> 3 & 3)],
            urgent_limit: UrgentPolicy::Inline,
        },
        ..FlowConfig::default()
    };
    let mut flows = FlowTable::new(config);
    let ends: [Endpoint; 2] = [([192, 0, 2, 1].into(), 40_000), ([192, 0, 2, 2].into(), 80)];
    let (net, payload) = ([0; 20], [0; segment::MAX_DATA]);
    let mut session = Session::default();
    for segment in segment::all(rest) {
        let header = segment.header(
            session.next_seq(segment.to_server).unwrap_or(0),
            session.next_seq(!segment.to_server).unwrap_or(0),
        );
        let Segment {
            to_server, data, ..
        } = segment;
        let [from, to] = if to_server { ends } else { [ends[1], ends[0]] };
        let mut packet = Packet::new(1, 1, 60);
        packet.net = Net::V4 { header: &net };
        (packet.src, packet.sport) = from;
        (packet.dst, packet.dport) = to;
        packet.proto = 6;
        packet.transport = Transport::Tcp { header: &header };
        packet.payload = &payload[..data];
        let view = flows.track(&packet).expect("TCP has a flow");
        let step = view.step;
        session = flows.get(view).tcp;
        assert!(usize::from(step.taken) <= data);
        assert!(
            step.urgent
                .is_none_or(|at| step.accepted && at < step.taken)
        );
        assert!(!step.closed || session.state() == TcpState::Closed);
        assert!(step.events.iter().all(StreamEvent::raised));
    }
});
