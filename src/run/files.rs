//! Frames from capture files.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_capture::{CaptureError, CaptureReader};
use weir_engine::packet::Frame;

#[cfg(feature = "libpcap")]
use super::live::PacketFilter;
use super::pipeline::{Seen, Supply};
use super::workers::{Next, Source};
use crate::ui::figures;
use crate::ui::progress::Progress;

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Capture {
    /// A file, or standard input (`-`).
    File(PathBuf),
    /// A capture in memory.
    Memory {
        /// What messages call it.
        name: String,
        /// The capture.
        bytes: Arc<[u8]>,
    },
}

impl Capture {
    fn open(&self) -> Result<CaptureReader, CaptureError> {
        match self {
            Self::File(path) => CaptureReader::open(path),
            Self::Memory { name, bytes } => {
                CaptureReader::new(Cursor::new(Arc::clone(bytes)), name.as_str())
            }
        }
    }
}

/// Frames of several captures, numbered through. A filter does not change numbers.
pub struct Files<'a> {
    captures: std::slice::Iter<'a, Capture>,
    reader: Option<CaptureReader>,
    #[cfg(feature = "libpcap")]
    filter: Option<PacketFilter>,
    stop: &'a AtomicBool,
    progress: Progress,
    stopped: bool,
    /// Bytes of the captures that are behind.
    position: u64,
    seen: Seen,
}

impl<'a> Files<'a> {
    /// Reads these captures, in this order, until `stop` becomes true.
    pub fn new(captures: &'a [Capture], stop: &'a AtomicBool, progress: Progress) -> Self {
        Self {
            captures: captures.iter(),
            reader: None,
            #[cfg(feature = "libpcap")]
            filter: None,
            stop,
            progress,
            stopped: false,
            position: 0,
            seen: Seen::default(),
        }
    }

    /// Leaves out the frames that do not pass `filter`.
    #[cfg(feature = "libpcap")]
    pub fn filtered(mut self, filter: Option<PacketFilter>) -> Self {
        self.filter = filter;
        self
    }

    /// Goes to the next frame, perhaps of the next capture; false when there is none, or the run is to end.
    fn advance(&mut self) -> bool {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                self.stopped = true;
                return self.end(format!(
                    "interrupted after {}",
                    figures::counted(self.seen.packets, "packet")
                ));
            }
            let Some(reader) = &mut self.reader else {
                let Some(capture) = self.captures.next() else {
                    return false;
                };
                match capture.open() {
                    Ok(reader) => self.reader = Some(reader),
                    Err(error) => return self.end(error.to_string()),
                }
                continue;
            };
            match reader.advance() {
                #[cfg(feature = "libpcap")]
                Ok(true) => match (&mut self.filter, reader.frame()) {
                    (Some(filter), Some(frame)) => match filter.passes(&frame) {
                        Ok(true) => return true,
                        Ok(false) => {
                            self.seen.filtered += 1;
                            continue;
                        }
                        Err(error) => return self.end(error.to_string()),
                    },
                    _ => return true,
                },
                #[cfg(not(feature = "libpcap"))]
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) if error.is_truncated() => {
                    self.seen.truncated += 1;
                    self.seen.warnings.push(error.to_string());
                }
                Err(error) => return self.end(error.to_string()),
            }
            self.position += reader.bytes_read();
            self.reader = None;
        }
    }

    /// There will be no more frames, and this is why.
    fn end(&mut self, why: String) -> bool {
        self.seen.failure = Some(why);
        self.reader = None;
        self.captures = [].iter();
        false
    }
}

impl Source for Files<'_> {
    fn was_stopped(&self) -> bool {
        self.stopped
    }

    fn next(&mut self) -> Next<'_> {
        if !self.advance() {
            return Next::End;
        }
        let Some((reader, frame)) = self
            .reader
            .as_ref()
            .and_then(|reader| Some((reader, reader.frame()?)))
        else {
            return Next::End;
        };
        let seen = &mut self.seen;
        seen.count(&frame);
        self.progress.at(
            seen.packets,
            seen.bytes,
            self.position + reader.bytes_read(),
        );
        Next::Frame(Frame {
            number: seen.packets + seen.filtered,
            ..frame
        })
    }
}

impl Supply for Files<'_> {
    fn finish(mut self) -> Seen {
        self.progress.finish();
        self.seen
    }
}
