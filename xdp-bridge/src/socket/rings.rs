//! The four rings of a socket, as frames that go in and come out.

use crate::ring::{Consumer, Memory, Producer};
use crate::umem::{Frame, Place, Umem};

/// Flag of a descriptor whose packet goes on in the next one.
const CONTINUED: u32 = libc::XDP_PKT_CONTD;

/// A frame that a socket received.
pub(crate) struct Arrived {
    pub(crate) frame: Frame,
    /// Where in the frame the packet begins.
    pub(crate) at: u32,
    /// Bytes of the packet.
    pub(crate) length: u32,
}

/// What came out of a receive ring.
pub(crate) enum Receipt {
    /// A packet.
    Packet(Arrived),
    /// A descriptor that is none; the frame goes back where it holds one.
    Invalid(Option<Frame>),
}

/// The rings of a socket.
pub(crate) struct Rings<M> {
    /// The socket's number in its bridge.
    number: u8,
    fill: Producer<M, 1>,
    completion: Consumer<M, 1>,
    receive: Consumer<M, 2>,
    transmit: Producer<M, 2>,
}

impl<M: Memory> Rings<M> {
    /// The rings of the socket with this number.
    pub(crate) fn new(
        number: u8,
        fill: Producer<M, 1>,
        completion: Consumer<M, 1>,
        receive: Consumer<M, 2>,
        transmit: Producer<M, 2>,
    ) -> Self {
        Self {
            number,
            fill,
            completion,
            receive,
            transmit,
        }
    }

    /// Frames that can be put into the fill ring: at least `wanted` if there is so much room.
    pub(crate) fn fill_room(&mut self, wanted: u32) -> u32 {
        self.fill.room(wanted)
    }

    /// Frames in the fill ring that the kernel has not taken.
    pub(crate) fn fill_waiting(&mut self) -> u32 {
        self.fill.waiting()
    }

    /// Gives the kernel a frame to receive into; gives it back when the ring is full.
    pub(crate) fn fill(&mut self, umem: &Umem, frame: Frame) -> Option<Frame> {
        if self.fill.room(1) == 0 {
            return Some(frame);
        }
        let address = umem.give(frame, Place::receiving(self.number));
        self.fill.push([address]);
        None
    }

    /// Lets the kernel see the frames to receive into; true when it asks to be woken for them.
    pub(crate) fn publish_fill(&mut self) -> bool {
        self.fill.publish() > 0 && self.fill.needs_wakeup()
    }

    /// Frames that were received; asks the kernel when none are known.
    pub(crate) fn received(&mut self) -> u32 {
        self.receive.waiting()
    }

    /// Takes one received frame.
    pub(crate) fn receive(&mut self, umem: &Umem) -> Option<Receipt> {
        let descriptor = Descriptor::from_words(self.receive.pull()?);
        let taken = umem.take(descriptor.address, Place::receiving(self.number));
        Some(match taken {
            Some((frame, at))
                if descriptor.options & CONTINUED == 0
                    && umem.bytes(&frame, at, descriptor.length).is_some() =>
            {
                Receipt::Packet(Arrived {
                    frame,
                    at,
                    length: descriptor.length,
                })
            }
            Some((frame, _)) => Receipt::Invalid(Some(frame)),
            None => Receipt::Invalid(None),
        })
    }

    /// Gives the places of received frames back to the kernel.
    pub(crate) fn release_received(&mut self) {
        self.receive.release();
    }

    /// Puts a frame on the transmit ring; gives it back when the ring is full.
    pub(crate) fn transmit(&mut self, umem: &Umem, packet: Arrived) -> Option<Arrived> {
        if self.transmit.room(1) == 0 {
            return Some(packet);
        }
        let start = umem.give(packet.frame, Place::sending(self.number));
        let descriptor = Descriptor {
            address: start + u64::from(packet.at),
            length: packet.length,
            options: 0,
        };
        self.transmit.push(descriptor.to_words());
        None
    }

    /// Frames on the transmit ring that the kernel has not taken.
    pub(crate) fn transmit_waiting(&mut self) -> u32 {
        self.transmit.waiting()
    }

    /// Frames that the kernel has taken from the transmit ring, as of when the waiting ones were last asked for; wraps.
    pub(crate) fn transmit_taken(&self) -> u32 {
        self.transmit.taken()
    }

    /// Lets the kernel see the frames to be sent.
    pub(crate) fn publish_transmit(&mut self) {
        self.transmit.publish();
    }

    /// True when the kernel sends only after a system call.
    pub(crate) fn needs_kick(&self) -> bool {
        self.transmit.needs_wakeup()
    }

    /// Takes a frame that was sent. The outer `None` says that there is none, the inner one that the address was not of a frame
    /// that is being sent.
    pub(crate) fn completed(&mut self, umem: &Umem) -> Option<Option<Frame>> {
        let [address] = self.completion.pull()?;
        let taken = umem.take(address, Place::sending(self.number));
        Some(taken.map(|(frame, _)| frame))
    }

    /// Gives the places of completions back to the kernel.
    pub(crate) fn release_completed(&mut self) {
        self.completion.release();
    }
}

/// A descriptor of the receive and transmit rings (`struct xdp_desc`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    address: u64,
    length: u32,
    options: u32,
}

impl Descriptor {
    fn from_words([address, rest]: [u64; 2]) -> Self {
        let [a, b, c, d, e, f, g, h] = rest.to_ne_bytes();
        Self {
            address,
            length: u32::from_ne_bytes([a, b, c, d]),
            options: u32::from_ne_bytes([e, f, g, h]),
        }
    }

    fn to_words(self) -> [u64; 2] {
        let [a, b, c, d] = self.length.to_ne_bytes();
        let [e, f, g, h] = self.options.to_ne_bytes();
        [self.address, u64::from_ne_bytes([a, b, c, d, e, f, g, h])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_have_the_kernels_layout() {
        let descriptor = Descriptor {
            address: 0x1122_3344_5566_7788,
            length: 1514,
            options: 1,
        };
        let words = descriptor.to_words();
        assert_eq!(Descriptor::from_words(words), descriptor);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes[..8], descriptor.address.to_ne_bytes());
        assert_eq!(bytes[8..12], 1514u32.to_ne_bytes());
        assert_eq!(bytes[12..], 1u32.to_ne_bytes());
    }
}
