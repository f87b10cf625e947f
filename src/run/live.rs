//! Frames from an interface, and filters, both by libpcap.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weir_capture::live::{Filter, LiveCapture, LiveError};
use weir_engine::packet::{Frame, LinkType};

use super::pipeline::{Seen, Supply};
use super::workers::{Next, Source};
use crate::failure::Failure;
use crate::ui::figures;
use crate::ui::progress::Progress;

/// Longest packet that is captured whole, in bytes: more than any interface hands over.
const SNAP_LENGTH: u32 = 262_144;

/// How long packets may wait for others to be inspected together with.
const PAUSE: Duration = Duration::from_millis(100);

/// Link types that an expression is tried on before there is a frame: together they know every primitive.
const LINKS: [LinkType; 4] = [
    LinkType::ETHERNET,
    LinkType::RAW,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
];

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Filter { .. } => Self::Usage(error.to_string()),
            error => Self::failed(error),
        }
    }
}

/// A filter for the frames of files, which may be of several link types.
pub struct PacketFilter {
    expression: String,
    /// Compiled for each link type that was met.
    programs: Vec<(LinkType, Filter)>,
}

impl PacketFilter {
    /// Takes an expression.
    ///
    /// # Errors
    /// When it is none for any link type.
    pub fn new(expression: &str) -> Result<Self, LiveError> {
        let mut first = None;
        for link in LINKS {
            match Filter::compile(link, expression) {
                Ok(_) => {
                    first = None;
                    break;
                }
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) => Err(error),
            None => Ok(Self {
                expression: expression.to_owned(),
                programs: Vec::new(),
            }),
        }
    }

    /// True when the frame passes.
    ///
    /// # Errors
    /// When the expression asks for what the frame's link type does not have.
    pub fn passes(&mut self, frame: &Frame<'_>) -> Result<bool, LiveError> {
        let known = self
            .programs
            .iter()
            .position(|(link, _)| *link == frame.link);
        let at = match known {
            Some(at) => at,
            None => {
                let program = Filter::compile(frame.link, &self.expression)?;
                self.programs.push((frame.link, program));
                self.programs.len() - 1
            }
        };
        Ok(self
            .programs
            .get(at)
            .is_some_and(|(_, program)| program.matches(frame)))
    }
}

/// Frames of an interface, as they come.
pub struct Live<'a> {
    capture: LiveCapture,
    stop: &'a AtomicBool,
    progress: Progress,
    paused: Instant,
    seen: Seen,
}

impl<'a> Live<'a> {
    /// Captures from `interface` what passes `filter`, until `stop` becomes true.
    ///
    /// # Errors
    /// When the interface cannot be captured from, or the filter does not compile.
    pub fn open(
        interface: &str,
        filter: Option<&str>,
        stop: &'a AtomicBool,
    ) -> Result<Self, LiveError> {
        Ok(Self {
            capture: LiveCapture::open(interface, SNAP_LENGTH, filter)?,
            stop,
            progress: Progress::new(None),
            paused: Instant::now(),
            seen: Seen::default(),
        })
    }
}

impl Source for Live<'_> {
    fn is_numbered(&self) -> bool {
        false
    }

    fn was_stopped(&self) -> bool {
        // Whatever the reason, traffic goes on.
        true
    }

    fn next(&mut self) -> Next<'_> {
        let seen = &mut self.seen;
        if self.stop.load(Ordering::Relaxed) || seen.failure.is_some() {
            return Next::End;
        }
        if self.paused.elapsed() >= PAUSE {
            self.paused = Instant::now();
            self.progress.now(seen.packets, seen.bytes);
            return Next::Pause;
        }
        match self.capture.next_frame() {
            Ok(Some(frame)) => {
                seen.count(&frame);
                Next::Frame(frame)
            }
            Ok(None) => Next::Pause,
            Err(error) => {
                seen.failure = Some(error.to_string());
                Next::End
            }
        }
    }
}

impl Supply for Live<'_> {
    fn finish(mut self) -> Seen {
        self.progress.finish();
        match self.capture.stats() {
            Ok(stats) => {
                self.seen.lost = stats.dropped.saturating_add(stats.interface_dropped);
                if self.seen.lost > 0 {
                    self.seen.warnings.push(format!(
                        "{} lost: more came than could be inspected in time",
                        figures::counted(self.seen.lost, "packet")
                    ));
                }
            }
            Err(error) => self.seen.warnings.push(error.to_string()),
        }
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_any_link_type_are_taken_and_others_are_not() {
        for good in ["udp port 53", "ether host 02:00:00:00:00:01", "inbound"] {
            assert!(PacketFilter::new(good).is_ok(), "{good}");
        }
        let bad = PacketFilter::new("udp prt 53")
            .err()
            .expect("no expression");
        assert!(
            matches!(Failure::from(bad), Failure::Usage(message) if message.contains("udp prt 53"))
        );
    }
}
