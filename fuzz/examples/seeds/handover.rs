//! States in the middle of attacks for the target `handover`.

use std::io;
use std::sync::{Arc, LazyLock};

use weir_capture::generate::Scenario;
use weir_engine::detect::Alerts;
use weir_engine::packet::LinkType;
use weir_fuzz::handover::{HEAD, config, join, save};
use weir_fuzz::{Detector, Traffic, rules};

use super::{Seeds, input, one};

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| Detector::new(rules()));
/// Longest body of a seed.
const LONGEST: usize = 4096;

/// Attacks, cut in the middle.
pub fn handover(seeds: &Seeds) -> io::Result<()> {
    let traffic = Scenario::new(3).packets(200).generate();
    let frames: Vec<(u16, Vec<u8>)> = traffic
        .frames()
        .flat_map(|frame| one(frame.data.to_vec()))
        .collect();
    for (number, part) in frames.chunks(12).enumerate().take(40) {
        let (before, after) = part.split_at(part.len() / 2);
        let mut engine = DETECTOR.engine(config());
        let mut alerts = Alerts::new(Arc::clone(&DETECTOR.rules), &config());
        let mut events = Vec::new();
        for frame in Traffic::new(&input(LinkType::ETHERNET, 0, before))
            .into_iter()
            .flatten()
        {
            engine.process(frame, &mut events);
        }
        for event in &events {
            alerts.commit(event, &mut |_| {});
        }
        let file = save(&engine, &alerts);
        let body = file.get(HEAD..).unwrap_or_default();
        if body.len() <= LONGEST
            && let Some(bytes) = join(body, &input(LinkType::ETHERNET, 0, after))
        {
            seeds.write("handover", &format!("attack-{number}"), &bytes)?;
        }
    }
    Ok(())
}
