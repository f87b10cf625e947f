//! Where something in a stream was found, and packets that stand for it.

use crate::flow::{Endpoint, Flow, FlowTable, FlowView, Speaks};
use crate::packet::Packet;
use crate::stream::{Headers, Step, StreamId};

/// Where something in a stream was found.
pub(super) struct Scene<'p, 'f> {
    /// A packet of the stream's direction.
    pub(super) packet: &'p Packet<'p>,
    pub(super) view: FlowView,
    /// The flow, where it is no longer in the table.
    pub(super) ended: Option<&'f mut Flow>,
}

/// A stream: a direction of a connection.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) id: StreamId,
    pub(super) way: usize,
}

impl Scene<'_, '_> {
    /// The flow, wherever it is.
    pub(super) fn flow<'a>(&'a self, flows: &'a FlowTable) -> &'a Flow {
        match &self.ended {
            Some(flow) => flow,
            None => flows.get(self.view),
        }
    }

    /// The same, to change it.
    pub(super) fn flow_mut<'a>(&'a mut self, flows: &'a mut FlowTable) -> &'a mut Flow {
        match &mut self.ended {
            Some(flow) => flow,
            None => flows.get_mut(self.view),
        }
    }
}

/// Headers of packets of one direction of a flow.
pub(super) fn headers(flow: &Flow, way: usize) -> Headers {
    let (from, to) = ends(flow, way);
    Headers::new(from, to, flow.iface)
}

/// Sender and receiver of one direction.
pub(super) fn ends(flow: &Flow, way: usize) -> (Endpoint, Endpoint) {
    match way {
        0 => (flow.client, flow.server),
        _ => (flow.server, flow.client),
    }
}

/// What the flow table would say of a packet whose data is in the stream.
pub(super) fn in_stream(slot: u32, way: usize) -> FlowView {
    FlowView {
        slot,
        to_server: way == 0,
        established: true,
        first: false,
        step: Step::default(),
        app: Speaks::Open,
    }
}
