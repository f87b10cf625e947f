//! TCP conversations as they look from beside the client.

use super::rng::Rng;
use super::wire::{Dir, Path, Script, Segment, flag};

/// Segments sent before an acknowledgement is waited for: within the window that both ends announce.
const IN_FLIGHT: usize = 30;

const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1_000_000;

/// One side's numbers.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// Next sequence number to send.
    seq: u32,
    /// Offset of its timestamp clock, which counts milliseconds.
    clock: u32,
    /// The peer's timestamp that it has seen last.
    echo: u32,
}

/// A conversation that is being written into a script.
pub(super) struct Tcp<'s> {
    script: &'s mut Script,
    path: Path,
    rng: Rng,
    sides: [Side; 2],
    /// The time now, nanoseconds since the Unix epoch.
    now: u64,
    timestamps: bool,
    mss: usize,
    lossy: bool,
}

impl<'s> Tcp<'s> {
    /// Opens a connection at `now`. A `lossy` one now and then loses a segment behind the capture, so that it is seen twice, or has two
    /// come in the wrong order.
    pub(super) fn connect(
        script: &'s mut Script,
        path: Path,
        now: u64,
        mut rng: Rng,
        lossy: bool,
    ) -> Self {
        let timestamps = !rng.one_in(4);
        let header = if path.client.ip.is_ipv4() { 40 } else { 60 };
        let sides = [(); 2].map(|()| Side {
            seq: rng.next() as u32,
            clock: rng.next() as u32,
            echo: 0,
        });
        let mut tcp = Self {
            script,
            path,
            rng,
            sides,
            now,
            timestamps,
            mss: 1500 - header - if timestamps { 12 } else { 0 },
            lossy,
        };
        let syn_mss = (1500 - header) as u16;
        tcp.syn(Dir::Up, flag::SYN, syn_mss);
        tcp.now += path.rtt;
        tcp.syn(Dir::Down, flag::SYN | flag::ACK, syn_mss);
        tcp.now += tcp.rng.range(20, 80) * MICROSECOND;
        tcp.send(Dir::Up, flag::ACK, &[]);
        tcp
    }

    /// Between half and one and a half times `ns` passes.
    pub(super) fn think(&mut self, ns: u64) -> &mut Self {
        self.now += ns / 2 + self.rng.below(ns.max(1));
        self
    }

    /// One side sends bytes, in as many segments as it takes, and the other acknowledges them.
    pub(super) fn say(&mut self, dir: Dir, data: &[u8]) -> &mut Self {
        let mut left = data.len();
        for flight in data.chunks(self.mss * IN_FLIGHT) {
            let mut settled = self.now;
            let mut acknowledged = 0;
            let segments = flight.len().div_ceil(self.mss);
            for (i, segment) in flight.chunks(self.mss).enumerate() {
                left -= segment.len();
                let flags = flag::ACK | if left == 0 { flag::PSH } else { 0 };
                let gap = self.rng.range(8, 24) * MICROSECOND;
                let sent = self.now;
                let late = self.disorder(gap);
                let stamp = self.segment(dir, sent + late, flags, segment);
                if self.lossy && self.rng.one_in(250) {
                    let again = sent + self.path.rtt + 3 * MILLISECOND;
                    self.segment(dir, again, flags, segment);
                    settled = settled.max(again);
                }
                self.side(dir).seq = self.side(dir).seq.wrapping_add(segment.len() as u32);
                if i % 2 == 1 || i + 1 == segments {
                    let delay = match dir {
                        Dir::Up => self.path.rtt,
                        Dir::Down => self.rng.range(20, 60) * MICROSECOND,
                    };
                    self.side(dir.other()).echo = stamp;
                    let at = (sent + gap + delay).max(acknowledged + MICROSECOND);
                    acknowledged = at;
                    self.segment(dir.other(), at, flag::ACK, &[]);
                    settled = settled.max(at);
                }
                self.now += gap;
            }
            self.side(dir).echo = self.stamp(dir.other(), settled);
            self.now = self.now.max(settled) + self.rng.range(5, 40) * MICROSECOND;
        }
        self
    }

    /// One side asks, the other answers after a round trip and a little work.
    pub(super) fn exchange(&mut self, request: &[u8], answer: &[u8]) -> &mut Self {
        self.say(Dir::Up, request)
            .think(2 * MILLISECOND)
            .say(Dir::Down, answer)
    }

    /// Closes in order, the given side first. Returns the time afterwards.
    pub(super) fn close(mut self, first: Dir) -> u64 {
        self.send(first, flag::FIN | flag::ACK, &[]);
        self.now += self.hop(first);
        self.send(first.other(), flag::FIN | flag::ACK, &[]);
        self.now += self.hop(first.other());
        self.send(first, flag::ACK, &[]);
        self.now
    }

    /// Ends with a reset from the given side. Returns the time afterwards.
    pub(super) fn reset(mut self, from: Dir) -> u64 {
        self.send(from, flag::RST | flag::ACK, &[]);
        self.now
    }

    /// How long until the other side's answer to what this side sent comes by.
    fn hop(&mut self, sender: Dir) -> u64 {
        match sender {
            Dir::Up => self.path.rtt,
            Dir::Down => self.rng.range(20, 80) * MICROSECOND,
        }
    }

    /// Delay that makes a segment come after its successor.
    fn disorder(&mut self, gap: u64) -> u64 {
        if self.lossy && self.rng.one_in(300) {
            gap + MICROSECOND
        } else {
            0
        }
    }

    fn side(&mut self, dir: Dir) -> &mut Side {
        &mut self.sides[dir as usize]
    }

    fn stamp(&self, dir: Dir, at: u64) -> u32 {
        self.sides[dir as usize]
            .clock
            .wrapping_add((at / MILLISECOND) as u32)
    }

    fn syn(&mut self, dir: Dir, flags: u8, mss: u16) {
        let stamp = self.stamp(dir, self.now);
        let Side { seq, echo, .. } = *self.side(dir);
        let ack = self.sides[dir.other() as usize].seq;
        let mut options = Vec::with_capacity(20);
        options.extend_from_slice(&[2, 4]);
        options.extend_from_slice(&mss.to_be_bytes());
        options.extend_from_slice(&[4, 2]);
        if self.timestamps {
            options.extend_from_slice(&[8, 10]);
            options.extend_from_slice(&stamp.to_be_bytes());
            options.extend_from_slice(&echo.to_be_bytes());
        } else {
            options.extend_from_slice(&[1, 1]);
        }
        options.extend_from_slice(&[1, 3, 3, 7]);
        let segment = Segment {
            flags,
            seq,
            ack: if flags & flag::ACK != 0 { ack } else { 0 },
            window: 64_240,
            options: &options,
            data: &[],
        };
        self.script.tcp(self.now, &self.path, dir, &segment);
        self.side(dir).seq = seq.wrapping_add(1);
        self.side(dir.other()).echo = stamp;
    }

    /// Sends one segment now, and counts what it takes of the sequence space.
    fn send(&mut self, dir: Dir, flags: u8, data: &[u8]) {
        let stamp = self.segment(dir, self.now, flags, data);
        let taken = data.len() as u32 + u32::from(flags & flag::FIN != 0);
        self.side(dir).seq = self.side(dir).seq.wrapping_add(taken);
        self.side(dir.other()).echo = stamp;
    }

    /// Writes one segment and returns its timestamp.
    fn segment(&mut self, dir: Dir, at: u64, flags: u8, data: &[u8]) -> u32 {
        let stamp = self.stamp(dir, at);
        let side = self.sides[dir as usize];
        let mut options = [0; 12];
        options[..4].copy_from_slice(&[1, 1, 8, 10]);
        options[4..8].copy_from_slice(&stamp.to_be_bytes());
        options[8..].copy_from_slice(&side.echo.to_be_bytes());
        let segment = Segment {
            flags,
            seq: side.seq,
            ack: self.sides[dir.other() as usize].seq,
            window: 502,
            options: if self.timestamps { &options } else { &[] },
            data,
        };
        self.script.tcp(at, &self.path, dir, &segment);
        stamp
    }
}
