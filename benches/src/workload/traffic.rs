//! Payloads of captures, or of generated traffic.

use std::path::PathBuf;

use weir_capture::CaptureReader;
use weir_capture::generate::Scenario;
use weir_engine::detect::inspected_payload;
use weir_engine::packet::{Decoder, DecoderConfig, Frame};

use super::Buffers;
use crate::BenchError;

/// Payloads that rules look into, in two halves, so that nothing is measured on traffic that probes were chosen by.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Where it is from.
    pub about: String,
    /// Payloads of the first half of the packets of each source.
    pub learn: Buffers,
    /// Payloads of the second half.
    pub measure: Buffers,
}

/// Payloads of one source, and in which frame each was.
#[derive(Default)]
struct Source {
    payloads: Buffers,
    frames: Vec<u64>,
    count: u64,
}

impl Source {
    fn add(&mut self, decoder: &mut Decoder, frame: Frame<'_>) {
        self.count += 1;
        decoder.decode(frame, &mut |packet| {
            let payload = inspected_payload(packet);
            if !payload.is_empty() {
                self.payloads.push(payload);
                self.frames.push(self.count);
            }
        });
    }

    fn split(self, traffic: &mut Traffic) {
        let half = self.count / 2;
        let at = self.frames.partition_point(|&frame| frame <= half);
        let (learn, measure) = self.payloads.split(at);
        traffic.learn.append(&learn);
        traffic.measure.append(&measure);
    }
}

impl Traffic {
    /// The payloads of captures.
    ///
    /// # Errors
    ///
    /// When a capture cannot be read to its end, or none has a payload in its second half.
    pub fn read(files: &[PathBuf]) -> Result<Self, BenchError> {
        let mut traffic = Self::default();
        let mut names = Vec::new();
        for file in files {
            let mut source = Source::default();
            let mut decoder = Decoder::new(DecoderConfig::default());
            let mut reader = CaptureReader::open(file)?;
            while let Some(frame) = reader.next_frame()? {
                source.add(&mut decoder, frame);
            }
            source.split(&mut traffic);
            let name = file.file_name().unwrap_or(file.as_os_str());
            names.push(name.to_string_lossy().into_owned());
        }
        if traffic.measure.is_empty() {
            let names = names.join(", ");
            return Err(BenchError::Nothing(format!(
                "{names}: no payload to look into in the second half of the packets"
            )));
        }
        traffic.about = format!(
            "{}: {} payloads of the second half of the packets",
            names.join(", "),
            traffic.measure.len()
        );
        Ok(traffic)
    }

    /// Generated conversations of about this many packets, with attacks among them.
    pub fn generated(seed: u64, packets: u64) -> Self {
        let mut traffic = Self::default();
        let mut source = Source::default();
        let mut decoder = Decoder::new(DecoderConfig::default());
        let mut generator = Scenario::new(seed).packets(packets).generator();
        while let Some(frame) = generator.next_frame() {
            source.add(&mut decoder, frame);
        }
        source.split(&mut traffic);
        traffic.about = format!(
            "generated: {} payloads of the second half of the packets",
            traffic.measure.len()
        );
        traffic
    }
}
