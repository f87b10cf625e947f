//! A learned model over flow features: does a connection call home?
//!
//! Implants ask their master for work at intervals, in a connection that may well be encrypted. Nothing in it can be read,
//! but its shape can: how regular the exchanges are, how far apart, how much goes each way, and how much that varies. Six
//! such figures go into a network of eight hidden units, whose 65 weights `src/bin/train` has learned from traffic that it
//! makes up. The README says how well it does, and how to repeat that.

mod model;
mod shape;
mod weights;

pub use model::{HIDDEN, Model};
pub use shape::{FEATURES, Features, Shape};

use weir_sdk::prelude::*;

/// The learned weights.
pub const LEARNED: Model = weights::LEARNED;

/// Probability from which a connection is told.
pub const THRESHOLD: f32 = 0.9;

weir_sdk::module! {
    name: "flow-model",
    state_version: 1,
    state {
        SHAPE: Shape { scope: Scope::Flow, bytes: shape::KEPT, entries: 200_000, seconds: 3600 },
    }
    rules {
        BEACON {
            sid: 9_200_301,
            message: "WEIR a connection calls home at intervals, by its shape",
            header: "tcp-pkt any any <> any 443",
            options: "flow:established; dsize:>0;",
            class: "trojan-activity",
            metadata: &[("mitre_technique_id", "T1071.001")],
        } => beacon,
    }
}

fn beacon(event: &Event) -> bool {
    let Some(flow) = event.flow() else {
        return false;
    };
    let packet = event.packet();
    let up = flow.is_to_server();
    event
        .update(SHAPE, |shape| {
            let features = shape.packet(packet.time, up, packet.payload_length);
            !shape.told()
                && features.is_some_and(|features| LEARNED.probability(&features) >= THRESHOLD)
                && shape.tell()
        })
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use weir_sdk::testing::{Conversation, Sensor};

    /// Packets at which a connection is told, whose exchanges come after these pauses and have these sizes.
    fn told(exchanges: impl Iterator<Item = (u64, usize, usize)>) -> Vec<usize> {
        let mut sensor = Sensor::new(&MODULE);
        let tls = Conversation::tcp("192.0.2.7:40000", "203.0.113.5:443");
        let mut told = Vec::new();
        for (at, (pause, up, down)) in exchanges.enumerate() {
            let pause = Duration::from_millis(pause);
            let up = tls.to_server().payload(&vec![0; up]).after(pause);
            let down = tls.to_client().payload(&vec![0; down]);
            let fired = [sensor.see(&up), sensor.see(&down)].concat();
            told.extend(fired.iter().map(|_| at));
        }
        told
    }

    #[test]
    fn a_beacon_is_told_once() {
        let beacon = (0..60).map(|at| (20_000 + at * 7919 % 4000, 230 + at as usize % 5, 180));
        assert_eq!(told(beacon).len(), 1);
    }

    #[test]
    fn a_person_who_reads_is_none() {
        let pages = (0..60).map(|at| {
            (
                1500 + at * at * 7919 % 60_000,
                400 + (at as usize * 331) % 1500,
                9_000 + (at as usize * 7907) % 50_000,
            )
        });
        assert_eq!(told(pages), []);
    }

    #[test]
    fn what_is_kept_fits() {
        let mut sensor = Sensor::new(&MODULE);
        let tls = Conversation::tcp("192.0.2.7:40000", "203.0.113.5:443");
        sensor.see(
            &tls.to_server()
                .payload(b"x")
                .at(Duration::from_secs(1 << 33)),
        );
        assert_eq!(sensor.kept(Scope::Flow), 1);
    }
}
