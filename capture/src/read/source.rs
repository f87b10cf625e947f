//! The buffered byte source under both readers: any number of contiguous bytes on request, one reused buffer.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of the buffer at first; it grows only for a record that is larger.
const BUFFER: usize = 512 * 1024;

/// Counts what passes, so that progress can be shown on compressed captures too.
pub(super) struct Counting<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R> Counting<R> {
    pub(super) fn new(inner: R, count: Arc<AtomicU64>) -> Self {
        Self { inner, count }
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A byte stream seen through one buffer.
pub(super) struct Source {
    inner: Box<dyn Read + Send>,
    buf: Vec<u8>,
    /// First byte not consumed.
    start: usize,
    /// End of what was read.
    end: usize,
    /// Offset in the stream of the byte at `start`.
    offset: u64,
    eof: bool,
    /// A failure to read, held back until everything read before it is used.
    failed: Option<io::Error>,
}

impl Source {
    pub(super) fn new(inner: Box<dyn Read + Send>) -> Self {
        Self {
            inner,
            buf: vec![0; BUFFER],
            start: 0,
            end: 0,
            offset: 0,
            eof: false,
            failed: None,
        }
    }

    /// Offset of the next byte in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The failure that ended the stream early, if one did.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// Reads until `wanted` bytes are at hand or the stream ends, and returns what is at hand: at least `wanted` bytes unless
    /// the stream ended. Reads no more than it must, so that a live pipe is not waited for.
    pub(super) fn peek(&mut self, wanted: usize) -> &[u8] {
        if self.end - self.start < wanted {
            self.fill(wanted);
        }
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// What is at hand, without reading.
    pub(super) fn at_hand(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Consumes `n` bytes of those at hand.
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    fn fill(&mut self, wanted: usize) {
        if self.start.saturating_add(wanted) > self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < wanted && !self.eof {
            if self.end == self.buf.len() {
                // Grows as bytes arrive, not by what a length field promises.
                let len = self.buf.len().saturating_mul(2).min(wanted.max(BUFFER));
                self.buf.resize(len, 0);
            }
            let Some(room) = self.buf.get_mut(self.end..) else {
                return;
            };
            match self.inner.read(room) {
                Ok(0) => self.eof = true,
                // A reader that claims more than it was given room for must not move us past the buffer.
                Ok(n) => self.end += n.min(room.len()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = Some(e);
                    self.eof = true;
                }
            }
        }
    }
}
