//! Showing conversations to the engine, and which rules fired on which.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use weir_capture::PcapWriter;
use weir_engine::detect::EngineConfig;
use weir_engine::packet::{Frame, LinkType};
use weir_engine::plan::{RuleId, RuleSet};
use weir_events::Eve;
use weir_rules::exercise::Talk;

use super::frames::Frames;
use crate::failure::Failure;
use crate::rules::{Evaluation, Evaluators};
use crate::run::files::{Capture, Files};
use crate::run::matcher::Matchers;
use crate::run::pipeline::{self, Dealt, Job};
use crate::run::workers::Handover;
use crate::ui::progress::Progress;

/// Time of the first packet: 1 January 2024.
const START: u64 = 1_704_067_200_000_000_000;
/// Nanoseconds between conversations.
const BETWEEN: u64 = 5_000_000;

/// A capture of conversations.
#[derive(Debug, Default)]
pub struct Taped {
    /// The capture.
    pub bytes: Vec<u8>,
    /// Of each conversation the first and the last packet, from 1 on.
    pub packets: Vec<(u64, u64)>,
}

/// Writes conversations one after another.
pub fn tape<'a>(talks: impl Iterator<Item = &'a Talk>) -> std::io::Result<Taped> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET)?;
    let (mut now, mut number) = (START, 0);
    let mut packets = Vec::new();
    for talk in talks {
        let mut frames = Frames::at(now + u64::from(talk.pause) * 1_000_000_000);
        frames.add(talk);
        let first = number + 1;
        for (ts_ns, data) in &frames.all {
            number += 1;
            writer.write(&Frame {
                ts_ns: *ts_ns,
                number,
                link: LinkType::ETHERNET,
                wire_len: data.len() as u32,
                data,
                ..Frame::default()
            })?;
        }
        packets.push((first, number));
        now = frames.now + BETWEEN;
    }
    Ok(Taped {
        bytes: writer.finish()?,
        packets,
    })
}

/// What is needed to show conversations.
pub struct Stage {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// Settings of the engine.
    pub engine: EngineConfig,
}

type End = (IpAddr, u16);

impl Stage {
    /// Which rules fired on which of the conversations, by their places.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn fired(&self, talks: &[&Talk], taped: Taped) -> Result<Vec<HashSet<RuleId>>, Failure> {
        let mut ends: HashMap<(End, End), usize> = HashMap::new();
        for (place, talk) in talks.iter().enumerate() {
            for time in 0..talk.times {
                let ports = matches!(
                    talk.carrier,
                    weir_rules::exercise::Carrier::Tcp | weir_rules::exercise::Carrier::Udp
                );
                let port = |port: u16| if ports { port } else { 0 };
                let client = (
                    talk.client.0,
                    port(talk.client.1.wrapping_add(time as u16).max(1)),
                );
                let server = (talk.server.0, port(talk.server.1));
                ends.insert((client, server), place);
            }
        }
        let captures = [Capture::Memory {
            name: "exercise".to_owned(),
            bytes: taped.bytes.into(),
        }];
        let mut job = Job {
            rules: Arc::clone(&self.rules),
            evaluators: Evaluators::new(&self.rules, Evaluation::Plain, &[], None, None)?,
            engine: self.engine.clone(),
            matchers: Arc::new(Matchers::software()),
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            state: None,
            handover: Handover::Never,
            reload: None,
        };
        let stop = AtomicBool::new(false);
        let mut fired = vec![HashSet::new(); talks.len()];
        let outcome = pipeline::run(
            &mut job,
            Dealt(Files::new(&captures, &stop, Progress::hidden())),
            &mut |record| {
                if let Eve::Alert(alert) = record {
                    let packet = alert.packet;
                    let (sport, dport) = packet.ports.unwrap_or_default();
                    let (src, dst) = ((packet.src, sport), (packet.dst, dport));
                    let place = ends.get(&(src, dst)).or_else(|| ends.get(&(dst, src)));
                    if let Some(set) = place.and_then(|&place| fired.get_mut(place)) {
                        set.insert(alert.id);
                    }
                }
                Ok(())
            },
        )?;
        match outcome.failure {
            Some(failure) => Err(Failure::Failed(failure)),
            None => Ok(fired),
        }
    }
}
