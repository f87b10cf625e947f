//! The kernel's side of a socket, as a test wants it.

use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use super::RING;
use crate::ring::{Consumer, Heap, Memory, Producer};
use crate::socket::{Kernel, Kick, Rings, SocketStatistics};

/// The kernel's side of a socket.
pub(super) struct Device {
    pub(super) fill: Consumer<Heap, 1>,
    pub(super) completion: Producer<Heap, 1>,
    pub(super) receive: Producer<Heap, 2>,
    pub(super) transmit: Consumer<Heap, 2>,
    pub(super) flags: Heap,
    /// Taken from the transmit ring, not completed.
    pub(super) sending: Vec<u64>,
    /// Bytes that were sent.
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) answer: Kick,
    pub(super) lost: u64,
    /// Frames that it sends whenever it is called; every other call it says that it cannot go on now.
    pub(super) each_call: usize,
    pub(super) calls: usize,
    /// The latest descriptor of a packet.
    pub(super) last: [u64; 2],
}

/// What a worker is given in the place of a socket. A test has one thread.
#[derive(Clone)]
pub(super) struct Mock(pub(super) Rc<RefCell<Device>>);

impl Kernel for Mock {
    fn kick(&self) -> Kick {
        let mut device = self.0.borrow_mut();
        device.calls += 1;
        if device.calls.is_multiple_of(2) {
            for _ in 0..device.each_call {
                let Some([address, _]) = device.transmit.pull() else {
                    break;
                };
                device.completion.push([address]);
            }
            device.transmit.release();
            device.completion.publish();
        }
        device.answer
    }

    fn wake_receive(&self) {}

    fn statistics(&self) -> io::Result<SocketStatistics> {
        Ok(SocketStatistics {
            dropped: self.0.borrow().lost,
            ..SocketStatistics::default()
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

pub(super) fn socket(number: u8) -> (Mock, Rings<Heap>) {
    // Counts soon wrap.
    let ring = |words: u32| Heap::new((RING * words) as usize, u32::MAX - 100);
    let (fill, completion, receive, transmit) = (ring(1), ring(1), ring(2), ring(2));
    let rings = Rings::new(
        number,
        Producer::new(fill.clone()),
        Consumer::new(completion.clone()),
        Consumer::new(receive.clone()),
        Producer::new(transmit.clone()),
    );
    let device = Device {
        fill: Consumer::new(fill),
        completion: Producer::new(completion),
        receive: Producer::new(receive),
        flags: transmit.clone(),
        transmit: Consumer::new(transmit),
        sending: Vec::new(),
        sent: Vec::new(),
        answer: Kick::Done,
        lost: 0,
        each_call: 0,
        calls: 0,
        last: [0; 2],
    };
    device
        .flags
        .flags()
        .store(1, std::sync::atomic::Ordering::Relaxed);
    (Mock(Rc::new(RefCell::new(device))), rings)
}
