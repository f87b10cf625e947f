//! The driver and a card that misbehaves as the input says: every buffer is answered once, and as software answers it.
//!
//! The first byte chooses. If it is 255, the rest are values of the identity registers; else the rest are steps of three bytes, a buffer
//! or a fault each.
#![no_main]

#[path = "../../host-driver/tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{Fault, Rig, config};
use libfuzzer_sys::fuzz_target;
use weir_driver::link::{LinkError, Registers};
use weir_driver::{Card, Config, Identity};
use weir_engine::matcher::testing::naive;
use weir_engine::matcher::{Matcher, Outcome, Probe, Request};
use weir_tables::Geometry;

fuzz_target!(|input: &[u8]| match input.split_first() {
    Some((&255, values)) => registers(values),
    Some((&choice, steps)) => session(choice, steps),
    None => {}
});

/// Registers that say whatever they like; the first two may be right.
struct Said<'a>(&'a [u8]);

impl Registers for Said<'_> {
    fn read(&mut self, address: u32) -> Result<u32, LinkError> {
        let word = self.0.get(address as usize..).and_then(<[u8]>::first_chunk);
        let word = word.copied().map(u32::from_le_bytes);
        match (address, word) {
            (_, Some(u32::MAX)) => Err(LinkError::Gone { what: "reading" }),
            (0, Some(word)) if word % 2 == 0 => Ok(card_protocol::register::MAGIC_VALUE),
            (4, Some(word)) if word % 2 == 0 => Ok(card_protocol::register::INTERFACE_VALUE),
            (_, word) => Ok(word.unwrap_or(0)),
        }
    }

    fn write(&mut self, _writes: &[(u32, u32)]) -> Result<(), LinkError> {
        Ok(())
    }
}

fn registers(values: &[u8]) {
    match Identity::read("card", &mut Said(values)) {
        Ok(identity) => assert!([8, 16, 32, 64].contains(&identity.geometry.lanes)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn session(choice: u8, steps: &[u8]) {
    let geometry = Geometry {
        lanes: [8, 16, 32, 64][usize::from(choice) % 4],
        filters: [4; 5],
        exact: 3,
        engines: 1,
    };
    let probes: Vec<Probe> = [&b"a"[..], b"ab", b"bca", b"abcd", b"cabbac", b"aaaaaaaa"]
        .iter()
        .filter_map(|text| Probe::new(text, choice % 3 == 0, 3))
        .collect();
    let rig = Rig::new(geometry);
    let config = Config {
        staging: 512,
        deadline: Duration::from_millis(15),
        patience: Duration::from_millis(500),
        known_every: u32::from(choice >> 4),
        known_bytes: 64,
        strikes: u32::from(choice >> 6),
        ..config()
    };
    let Ok(card) = Card::start("fuzz".to_owned(), rig.opener(), config) else {
        return;
    };
    let mut port = card.port();
    port.load(&probes).expect("few probes");
    let mut asked: Vec<(Vec<u8>, u8, u8, u32)> = Vec::new();
    let poll = |port: &mut weir_driver::Port, asked: &mut Vec<(Vec<u8>, u8, u8, u32)>| {
        port.poll(&mut |report| {
            let (data, group, carry, answered) = &mut asked[report.tag as usize];
            *answered += 1;
            let request = Request {
                tag: 0,
                group: *group,
                carry: *carry,
                data,
            };
            assert_eq!(report.outcome, Outcome::Done);
            assert_eq!(report.hits, naive(&probes, &request));
        });
    };
    for step in steps.chunks_exact(3).take(64) {
        let (at, many) = (usize::from(step[1]) * 16, usize::from(step[2]) * 4 + 1);
        match step[0] % 16 {
            1 => rig.fault(Fault::DropUp(at, many)),
            2 => rig.fault(Fault::DoubleUp(at, many)),
            3 => rig.fault(Fault::FlipUp(at + many)),
            4 => rig.fault(Fault::CutUp(at)),
            5 => rig.fault(Fault::DropDown(at, many)),
            6 => rig.fault(Fault::DoubleDown(at, many)),
            7 => rig.fault(Fault::FlipDown(at + many)),
            8 => rig.fault(Fault::CutDown(at)),
            9 => rig.fault(Fault::Reset),
            10 => poll(&mut port, &mut asked),
            11 => port.flush(),
            _ => {
                let (length, group) = (usize::from(step[1]) * 2, step[2] % 3);
                let data: Vec<u8> = (0..length)
                    .map(|at| b'a' + ((at * at + usize::from(step[2])) % 5) as u8)
                    .collect();
                let carry = (step[2] >> 5).min(length.min(7) as u8);
                let request = Request {
                    tag: asked.len() as u64,
                    group,
                    carry,
                    data: &data,
                };
                while port.submit(request).is_err() {
                    poll(&mut port, &mut asked);
                }
                asked.push((data, group, carry, 0));
            }
        }
    }
    let since = Instant::now();
    while asked.iter().any(|(.., answered)| *answered == 0) {
        port.flush();
        poll(&mut port, &mut asked);
        assert!(since.elapsed() < Duration::from_secs(5), "unanswered");
    }
    assert!(
        asked.iter().all(|(.., answered)| *answered == 1),
        "each once"
    );
}
