//! A rule and a data set for tests.

use crate::plan::{
    Action, AddrSet, DataSet, Header, Meta, PortSet, Proto, Rule, SetFormat, SetKind,
};

/// An `alert ip any any -> any any` without any keyword, sid 1.
pub(super) fn rule() -> Rule {
    Rule {
        meta: Meta {
            sid: 1,
            gid: 1,
            ..Meta::default()
        },
        action: Action::Alert,
        noalert: false,
        header: Header {
            proto: Proto::Ip,
            src: AddrSet::any(),
            sport: PortSet::any(),
            dst: AddrSet::any(),
            dport: PortSet::any(),
            bidirectional: false,
            negated_addresses: false,
        },
        flow: None,
        tests: Vec::new(),
        buffers: Vec::new(),
        variables: 0,
        flow_properties: Vec::new(),
        state_tests: Vec::new(),
        state_actions: Vec::new(),
        threshold: None,
        detection_filter: None,
        probe: None,
        other_probes: Vec::new(),
        module: None,
        prefilter: false,
        needs_packet: false,
        needs_stream: false,
        app: Default::default(),
    }
}

/// A data set that nothing is read into or written from.
pub(super) fn data_set(name: &str, kind: SetKind) -> DataSet {
    DataSet {
        name: name.into(),
        kind,
        reputation: false,
        load: None,
        save: None,
        restore: false,
        format: SetFormat::Csv,
        memcap: None,
        contents: None,
    }
}
