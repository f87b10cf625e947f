//! Conversations as frames.

use std::net::IpAddr;

use weir_capture::generate::{Carried, Craft};
use weir_rules::exercise::{Carrier, Fields, Say, Talk};

/// Most bytes of a TCP segment.
const SEGMENT: usize = 1400;
/// Most bytes of a datagram that is sent whole.
const DATAGRAM: usize = 60_000;
/// Nanoseconds between packets of a conversation.
const STEP: u64 = 100_000;

const FIN_ACK: u8 = 17;
const SYN: u8 = 2;
const SYN_ACK: u8 = 18;
const ACK: u8 = 16;
const PSH_ACK: u8 = 24;

/// Frames with their times.
#[derive(Debug, Default)]
pub struct Frames {
    /// Time in nanoseconds since the Unix epoch, and the bytes.
    pub all: Vec<(u64, Vec<u8>)>,
    /// The time now.
    pub now: u64,
}

impl Frames {
    /// Nothing yet, at this time.
    pub fn at(now: u64) -> Self {
        Self {
            all: Vec::new(),
            now,
        }
    }

    /// Adds a conversation, as often as it is held.
    pub fn add(&mut self, talk: &Talk) {
        for time in 0..talk.times {
            let port = talk.client.1.wrapping_add(time as u16).max(1);
            let client = (talk.client.0, port);
            let mut one = Speaker {
                frames: self,
                talk,
                ends: [client, talk.server],
                seq: [1000, 5000],
                id: 1,
            };
            one.hold();
        }
    }
}

struct Speaker<'a> {
    frames: &'a mut Frames,
    talk: &'a Talk,
    /// Client and server.
    ends: [(IpAddr, u16); 2],
    seq: [u32; 2],
    id: u16,
}

impl Speaker<'_> {
    fn hold(&mut self) {
        let talk = self.talk;
        match talk.carrier {
            Carrier::Tcp if talk.bare => {
                for say in &talk.says {
                    let fields = Fields {
                        flags: Some(say.fields.flags.unwrap_or(PSH_ACK)),
                        ..say.fields.clone()
                    };
                    self.segment(usize::from(!say.to_server), ACK, &say.bytes, &fields);
                }
            }
            Carrier::Tcp => self.tcp(),
            Carrier::Udp => {
                for say in &talk.says {
                    let ports = self.ports(usize::from(!say.to_server));
                    self.packet(say, Carried::Udp { ports });
                }
            }
            Carrier::Icmp => {
                let v6 = self.ends[0].0.is_ipv6();
                for say in &talk.says {
                    let fields = &say.fields;
                    let [a, b] = fields.icmp_id.unwrap_or(1).to_be_bytes();
                    let [c, d] = fields.icmp_seq.unwrap_or(1).to_be_bytes();
                    let kind = fields.icmp_type.unwrap_or(if v6 { 128 } else { 8 });
                    let carried = Carried::Icmp {
                        kind,
                        code: fields.icmp_code.unwrap_or(0),
                        rest: [a, b, c, d],
                    };
                    self.packet(say, carried);
                }
            }
            Carrier::Ip(protocol) => {
                for say in &talk.says {
                    self.packet(say, Carried::Ip(protocol));
                }
            }
        }
    }

    fn tcp(&mut self) {
        let none = Fields::default();
        self.segment(0, SYN, &[], &none);
        self.segment(1, SYN_ACK, &[], &none);
        self.segment(0, ACK, &[], &none);
        let talk = self.talk;
        for say in &talk.says {
            let side = usize::from(!say.to_server);
            let mut chunks = say.bytes.chunks(SEGMENT);
            let first = chunks.next().unwrap_or_default();
            for chunk in std::iter::once(first).chain(chunks) {
                self.segment(side, PSH_ACK, chunk, &say.fields);
                self.segment(1 - side, ACK, &[], &none);
            }
        }
        self.segment(0, FIN_ACK, &[], &none);
        self.segment(1, FIN_ACK, &[], &none);
        self.segment(0, ACK, &[], &none);
    }

    fn ports(&self, side: usize) -> (u16, u16) {
        if side == 0 {
            (self.ends[0].1, self.ends[1].1)
        } else {
            (self.ends[1].1, self.ends[0].1)
        }
    }

    fn segment(&mut self, side: usize, flags: u8, data: &[u8], fields: &Fields) {
        let [own, other] = if side == 0 { [0, 1] } else { [1, 0] };
        let carried = Carried::Tcp {
            ports: self.ports(side),
            seq: fields.seq.unwrap_or(self.seq[own]),
            ack: fields
                .ack
                .unwrap_or(if flags & ACK == 0 { 0 } else { self.seq[other] }),
            flags: fields.flags.unwrap_or(flags),
            window: fields.window.unwrap_or(64_240),
        };
        let taken = data.len() as u32 + u32::from(flags & 3 != 0);
        self.seq[own] = self.seq[own].wrapping_add(taken);
        self.send(side, data, carried, fields);
    }

    fn packet(&mut self, say: &Say, carried: Carried) {
        self.send(
            usize::from(!say.to_server),
            &say.bytes,
            carried,
            &say.fields,
        );
    }

    fn send(&mut self, side: usize, data: &[u8], carried: Carried, fields: &Fields) {
        let (src, dst) = if side == 0 {
            (self.ends[0].0, self.ends[1].0)
        } else {
            (self.ends[1].0, self.ends[0].0)
        };
        self.id = self.id.wrapping_add(1);
        let bits = fields
            .frag_bits
            .map_or(0x4000, |bits| u16::from(bits) << 13);
        let craft = Craft {
            ends: (src, dst),
            carried,
            payload: data.get(..DATAGRAM).unwrap_or(data),
            ttl: fields.ttl.unwrap_or(64),
            tos: fields.tos.unwrap_or(0),
            id: fields.ip_id.unwrap_or(self.id),
            fragment: bits | fields.frag_offset.unwrap_or(0) & 0x1fff,
            option: fields.ip_option,
        };
        self.frames.now += STEP;
        self.frames.all.push((self.frames.now, craft.frame()));
    }
}
