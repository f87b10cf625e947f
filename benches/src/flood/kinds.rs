//! The floods: what each packet is.

use super::frames::{ACK, FIN, Family, Fragment, Segment, datagram};
use super::rig::Rig;

/// Attackers.
const FLOOD: Family = Family(100);
/// Probes of the rules that the flood of candidates is about.
pub(crate) const PROBES: usize = 1_000;
/// Of two probes, how far the second one stands behind the first.
const STRIDE: usize = 2;

/// A kind of flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Datagrams, each a flow of its own.
    Udp,
    /// Connections that nobody answers.
    Syn,
    /// Packets of which one fragment comes.
    Fragments,
    /// Fragments that overlap those of their packet, which never becomes whole.
    Overlaps,
    /// Single bytes behind gaps.
    Gaps,
    /// Full segments behind gaps.
    LargeGaps,
    /// A little data on each of very many connections.
    Data,
    /// Streams of ever other sizes, some of which live on: no piece of memory fits what comes next.
    Sizes,
    /// As many probes as rules have, in every window.
    Probes,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Udp,
        Self::Syn,
        Self::Fragments,
        Self::Overlaps,
        Self::Gaps,
        Self::LargeGaps,
        Self::Data,
        Self::Sizes,
        Self::Probes,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Syn => "syn",
            Self::Fragments => "fragments",
            Self::Overlaps => "overlaps",
            Self::Gaps => "gaps",
            Self::LargeGaps => "large-gaps",
            Self::Data => "data",
            Self::Sizes => "sizes",
            Self::Probes => "probes",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Udp => "datagrams, each a flow of its own",
            Self::Syn => "SYNs that nobody answers",
            Self::Fragments => "one fragment of each packet, IPv4 and IPv6",
            Self::Overlaps => "fragments that overlap, of packets that never become whole",
            Self::Gaps => "single bytes behind gaps",
            Self::LargeGaps => "full segments behind gaps",
            Self::Data => "a little data on each of very many connections",
            Self::Sizes => "streams of ever other sizes, some of which live on",
            Self::Probes => "1,000 probes in every window",
        }
    }

    /// How many of the packets asked for are sent: what is dear is sent less often.
    pub(super) fn packets(self, asked: usize) -> usize {
        match self {
            Self::Probes => (asked / 50).max(1),
            _ => asked,
        }
    }

    /// True for floods of fragments, which do not touch streams; the others do not touch fragments.
    pub(super) fn fragments(self) -> bool {
        matches!(self, Self::Fragments | Self::Overlaps)
    }

    /// True where the flood has streams of its own.
    pub(super) fn streams(self) -> bool {
        !self.fragments() && !matches!(self, Self::Udp | Self::Syn)
    }

    /// How many connections the flood consists of, when the table holds so many.
    fn connections(self, max_flows: usize) -> usize {
        match self {
            Self::Probes => max_flows / 16,
            _ => max_flows * 3 / 4,
        }
    }
}

/// The text with all probes in it, and the probes.
pub(crate) fn probe_text() -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(7);
    (0..STRIDE * PROBES + 6)
        .map(|_| rng.alphanumeric() as u8)
        .collect()
}

/// One of the probes.
pub(crate) fn probe(text: &[u8], number: usize) -> &[u8] {
    text.get(STRIDE * number..STRIDE * number + 6)
        .unwrap_or_default()
}

/// Sends a flood, packet by packet.
pub(super) struct Feed {
    kind: Kind,
    connections: usize,
    /// Packets so far.
    sent: usize,
    rng: fastrand::Rng,
    /// Twice, so that any piece of one length can be taken out of it.
    text: Vec<u8>,
    /// Of streams of ever other sizes: number of each connection, bytes sent on it, connections begun.
    numbers: Vec<usize>,
    lengths: Vec<u32>,
    begun: usize,
    pause: usize,
}

impl Feed {
    pub(super) fn new(kind: Kind, max_flows: usize, seed: u64) -> Self {
        let text = match kind {
            Kind::Probes => probe_text(),
            _ => vec![b' '; 1_500],
        };
        let connections = kind.connections(max_flows).max(2);
        Self {
            kind,
            connections,
            sent: 0,
            rng: fastrand::Rng::with_seed(seed),
            text: [text.as_slice(), &text].concat(),
            numbers: vec![0; connections],
            lengths: vec![0; connections],
            begun: 0,
            pause: 0,
        }
    }

    /// Sends the next packet.
    pub(super) fn send(&mut self, rig: &mut Rig<'_>) {
        let number = self.sent;
        self.sent += 1;
        match self.kind {
            Kind::Udp => {
                rig.send(|out| datagram(out, (FLOOD, number), b"a datagram of no meaning"))
            }
            Kind::Syn => {
                let [begin, ..] = Segment::handshake((FLOOD, number));
                rig.send(|out| begin.write(out));
            }
            Kind::Fragments => self.fragment(rig, number),
            Kind::Overlaps => self.overlap(rig, number),
            _ => self.connected(rig, number),
        }
    }

    fn fragment(&mut self, rig: &mut Rig<'_>, number: usize) {
        // The first, or one behind it; short ones and long ones.
        let length = [8, 24, 256, 1_480][self.rng.usize(..4)];
        let fragment = Fragment {
            of: (FLOOD, number),
            v6: number % 2 == 1,
            block: [0, 0, 50, 300][self.rng.usize(..4)],
            data: self.text.get(..length).unwrap_or_default(),
        };
        rig.send(|out| fragment.write(out));
    }

    fn overlap(&mut self, rig: &mut Rig<'_>, number: usize) {
        // Turns go round many packets.
        const PACKETS: usize = 256;
        const EACH: usize = 1_024;
        let block = number / (PACKETS * EACH);
        let of = (FLOOD, block * PACKETS + number % PACKETS);
        let length = 8 * self.rng.usize(1..16);
        let fragment = Fragment {
            of,
            v6: of.1 % 2 == 1,
            block: self.rng.u16(1..4_000),
            data: self.text.get(..length).unwrap_or_default(),
        };
        rig.send(|out| fragment.write(out));
    }

    /// The next packet of a flood of established connections: first they are established, then they take turns.
    fn connected(&mut self, rig: &mut Rig<'_>, number: usize) {
        if self.kind == Kind::Sizes {
            return self.next_size(rig);
        }
        if let Some(step) = number.checked_sub(3 * self.connections) {
            let of = (FLOOD, step % self.connections);
            self.turn(rig, of, step / self.connections);
            return;
        }
        let of = (FLOOD, number / 3);
        let packet = Segment::handshake(of).into_iter().nth(number % 3);
        if let Some(packet) = packet {
            rig.send(|out| packet.write(out));
        }
    }

    /// A connection's turn, the how manieth it is.
    fn turn(&mut self, rig: &mut Rig<'_>, of: (Family, usize), turn: usize) {
        let at = turn as u32;
        let some = |length: usize| self.text.get(..length).unwrap_or_default();
        let segment = match self.kind {
            // The window is never left: the last place counts as sent again.
            Kind::Gaps => Segment::data(of, 2 + 2 * (at % 30_000), b"x"),
            Kind::LargeGaps => Segment::data(of, 1_400 * (1 + at % 44), some(1_400)),
            Kind::Probes => {
                // The text goes on from segment to segment.
                let from = (1_400 * turn) % (self.text.len() / 2);
                let data = self.text.get(from..from + 1_400).unwrap_or_default();
                Segment::data(of, 1_400 * at, data)
            }
            // Both sides take turns.
            _ => Segment {
                to_server: turn.is_multiple_of(2),
                at: [100 * (at / 2), 100 * at.div_ceil(2)],
                ..Segment::data(of, 0, some(100))
            },
        };
        rig.send(|out| segment.write(out));
    }

    /// Streams grow to a size, one after the other; every other one is kept in use while those of the next size come.
    fn next_size(&mut self, rig: &mut Rig<'_>) {
        const SIZES: [u32; 5] = [400, 900, 1_800, 3_600, 7_200];
        if self.pause > 0 {
            self.pause -= 1;
            // Another one that lives on, and says something so small that its buffer stays as it is.
            let old = 2 * self.rng.usize(..self.connections.div_ceil(2));
            if self.lengths[old] > 0 {
                let of = (FLOOD, self.numbers[old]);
                let segment = Segment::data(of, self.lengths[old] - 1, b"x");
                return rig.send(|out| segment.write(out));
            }
        }
        // Every other one of these lives on, so the next round leaves it out.
        let round = self.sent / (8 * self.connections);
        let size = SIZES[round % SIZES.len()];
        let mut at = self.rng.usize(..self.connections);
        if round > 0 {
            at = (at | 1).min(self.connections - 1);
        }
        let length = self.lengths[at];
        self.pause = 1;
        if length == 0 || length >= size {
            if length > 0 {
                let end = Segment {
                    flags: FIN | ACK,
                    ..Segment::data((FLOOD, self.numbers[at]), length, &[])
                };
                let answer = Segment {
                    to_server: false,
                    at: [0, length + 1],
                    ..end
                };
                let last = Segment {
                    at: [length + 1, 1],
                    flags: ACK,
                    ..end
                };
                for segment in [end, answer, last] {
                    rig.send(|out| segment.write(out));
                }
            }
            self.numbers[at] = self.begun;
            self.begun += 1;
            for segment in Segment::handshake((FLOOD, self.numbers[at])) {
                rig.send(|out| segment.write(out));
            }
            self.lengths[at] = 0;
        }
        let of = (FLOOD, self.numbers[at]);
        let length = self.lengths[at];
        let more = size.saturating_sub(length).clamp(1, 1_400);
        let data = self.text.get(..more as usize).unwrap_or_default();
        let segment = Segment::data(of, length, data);
        rig.send(|out| segment.write(out));
        self.lengths[at] += more;
    }
}

/// A connection that lives through the flood and carries attacks.
pub(super) struct Victim(pub(super) usize);

/// Victims.
pub(super) const VICTIMS: Family = Family(10);

impl Victim {
    pub(super) fn connect(&self, rig: &mut Rig<'_>) {
        for segment in Segment::handshake((VICTIMS, self.0)) {
            rig.send(|out| segment.write(out));
        }
    }

    /// Sends one half of an attack; the first half ends somewhere in what the rule looks for.
    pub(super) fn attack(&self, rig: &mut Rig<'_>, phase: usize, second: bool) {
        let text = super::attack(phase);
        let cut = 1 + self.0 % (text.len() - 1);
        let (first, rest) = text.split_at(cut);
        let start = (phase * text.len()) as u32;
        let (at, data) = if second {
            (start + cut as u32, rest)
        } else {
            (start, first)
        };
        let segment = Segment::data((VICTIMS, self.0), at, data.as_bytes());
        rig.send(|out| segment.write(out));
        let answer = Segment {
            to_server: false,
            at: [0, at + data.len() as u32],
            ..Segment::data(segment.of, 0, &[])
        };
        rig.send(|out| answer.write(out));
    }
}
