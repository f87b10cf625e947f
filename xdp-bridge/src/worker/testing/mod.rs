//! Workers against a kernel of our own, which does what it likes: no frame is lost or doubled, and everything is counted.

mod cases;
mod device;
mod ends;

use std::sync::Arc;
use std::time::Duration;

use device::{Device, Mock, socket};
use proptest::prelude::*;
use weir_engine::flow::shard;
use weir_engine::packet::{Frame as Bytes, LinkType};
use weir_xdp_common::Tally;

use super::inspect::{Inspect, MAX_BATCH, Received, Verdict};
use super::options::BridgeOptions;
use super::shared::Shared;
use super::turn::Worker;
use crate::program::QueueCell;
use crate::ring::Heap;
use crate::socket::Kick;
use crate::umem::Place;

const RING: u32 = 64;
const FRAMES: u32 = 200;
const FRAME_SIZE: u32 = 2048;
const HEADROOM: u64 = 256;

/// A bridge of two ports whose kernel is at hand.
struct Bench {
    shared: Arc<Shared>,
    workers: Vec<Worker<Heap, Mock>>,
    cells: Vec<QueueCell>,
    /// By worker, then by port.
    devices: Vec<[Mock; 2]>,
    /// Good packets that were delivered, by port.
    delivered: [u64; 2],
    /// Descriptors that were none, by port.
    forged: [u64; 2],
}

/// Bytes that say what is to become of them, of a flow that belongs to a worker.
fn packet(owner: u32, workers: u32, fate: u8) -> Vec<u8> {
    (0..=255)
        .map(|host| {
            let mut packet = vec![
                2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0,
            ];
            packet.extend([0x40, 0, 64, 17, 0, 0, 192, 0, 2, host, 198, 51, 100, 1]);
            packet.extend([0, 9, 0, 9, 0, 26, 0, 0]);
            packet.push(fate);
            packet.resize(60, host);
            packet
        })
        .find(|packet| {
            let (data, link) = (&packet[..], LinkType::ETHERNET);
            let frame = Bytes {
                ts_ns: 0,
                number: 0,
                link,
                data,
                wire_len: 60,
                ..Bytes::default()
            };
            shard(&frame) % u64::from(workers) == u64::from(owner)
        })
        .expect("a host for each worker")
}

/// Where a packet's fate stands.
const FATE: usize = 42;

/// Does what packets say.
struct Obey {
    batch: usize,
    owner: u32,
    workers: u32,
    seen: u64,
}

impl Inspect for Obey {
    fn batch(&mut self, frames: &[Received<'_>], verdicts: &mut [Verdict]) {
        assert!((1..=self.batch).contains(&frames.len()));
        assert_eq!(frames.len(), verdicts.len());
        for (frame, verdict) in frames.iter().zip(verdicts) {
            self.seen += 1;
            assert_eq!(frame.data.len(), 60);
            assert_eq!(
                frame.data,
                packet(self.owner, self.workers, frame.data[FATE])
            );
            *verdict = match frame.data[FATE] {
                0 => Verdict::Pass,
                1 => Verdict::Drop,
                kind => Verdict::Reject {
                    to_source: kind & 2 != 0,
                    to_destination: kind & 4 != 0,
                },
            };
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Packets come to a worker's queue of a port, of flows that belong to a worker.
    Deliver {
        worker: u32,
        port: usize,
        owner: u32,
        fate: u8,
        count: u8,
    },
    /// A descriptor of what is no frame.
    Forge {
        worker: u32,
        port: usize,
        address: u64,
        length: u32,
    },
    /// A descriptor of a frame that the kernel has, with a length that is too long.
    Overlong { worker: u32, port: usize },
    /// The kernel takes frames to be sent.
    Take { worker: u32, port: usize, count: u8 },
    /// It has sent some: the latest first, or the earliest.
    Complete {
        worker: u32,
        port: usize,
        count: u8,
        latest: bool,
    },
    /// It completes what it was not given.
    Miscomplete {
        worker: u32,
        port: usize,
        address: u64,
    },
    /// How it answers calls from now on.
    Answer {
        worker: u32,
        port: usize,
        answer: u8,
    },
    /// A worker has its turn.
    Turn { worker: u32 },
}

fn event(workers: u32) -> impl Strategy<Value = Event> {
    let at = move || (0..workers, 0usize..2);
    prop_oneof![
        4 => (at(), 0..workers, 0u8..8, 1u8..40).prop_map(
            |((worker, port), owner, fate, count)| Event::Deliver { worker, port, owner, fate, count }
        ),
        1 => (at(), u64::from(workers * FRAMES * FRAME_SIZE).., any::<u32>())
            .prop_map(|((worker, port), address, length)| Event::Forge { worker, port, address, length }),
        1 => at().prop_map(|(worker, port)| Event::Overlong { worker, port }),
        3 => (at(), 1u8..80).prop_map(|((worker, port), count)| Event::Take { worker, port, count }),
        3 => (at(), 1u8..80, any::<bool>()).prop_map(
            |((worker, port), count, latest)| Event::Complete { worker, port, count, latest }
        ),
        1 => (at(), 0..u64::from(FRAMES * FRAME_SIZE * 2))
            .prop_map(|((worker, port), address)| Event::Miscomplete { worker, port, address }),
        1 => (at(), 0u8..8).prop_map(|((worker, port), answer)| Event::Answer { worker, port, answer }),
        8 => (0..workers).prop_map(|worker| Event::Turn { worker }),
    ]
}

impl Bench {
    fn new(workers: u32) -> Self {
        Self::with_frames(workers, FRAMES)
    }

    fn with_frames(workers: u32, frames: u32) -> Self {
        Self::with(workers, frames, MAX_BATCH)
    }

    fn with_batch(workers: u32, batch: usize) -> Self {
        Self::with(workers, FRAMES, batch)
    }

    fn with(workers: u32, frames: u32, batch: usize) -> Self {
        let (shared, mut all) = Shared::new(workers, frames, FRAME_SIZE, false).expect("memory");
        let shared = Arc::new(shared);
        let options = BridgeOptions {
            workers,
            frames,
            ring: RING,
            batch,
            transmit_wait: Duration::ZERO,
            ..BridgeOptions::default()
        };
        let mut bench = Self {
            shared: Arc::clone(&shared),
            workers: Vec::new(),
            cells: Vec::new(),
            devices: Vec::new(),
            delivered: [0; 2],
            forged: [0; 2],
        };
        for number in 0..workers {
            let rest = all.split_off(frames as usize);
            let sockets = [0, 64].map(|port| socket(port + number as u8));
            bench
                .devices
                .push(sockets.each_ref().map(|(mock, _)| mock.clone()));
            let cell = QueueCell::heap();
            bench.cells.push(cell.clone());
            let shared = Arc::clone(&shared);
            let worker = Worker::new(shared, number, all, sockets.into(), cell, &options);
            bench.workers.push(worker);
            all = rest;
        }
        bench
    }

    fn device(&self, worker: u32, port: usize) -> std::cell::RefMut<'_, Device> {
        self.devices[worker as usize][port].0.borrow_mut()
    }

    /// Writes to a frame that the kernel has.
    fn write(&self, address: u64, bytes: &[u8]) {
        self.shared.umem.write_as_kernel(address, bytes);
    }

    /// The network has packets for a worker's queue; those that it finds no free frame for are lost.
    fn deliver(&mut self, worker: u32, port: usize, owner: u32, fate: u8, count: u8) {
        let bytes = packet(owner, self.shared.workers, fate);
        for _ in 0..count {
            let mut device = self.device(worker, port);
            if device.receive.room(1) == 0 {
                break;
            }
            let Some([address]) = device.fill.pull() else {
                break;
            };
            self.write(address + HEADROOM, &bytes);
            device
                .receive
                .push([address + HEADROOM, bytes.len() as u64]);
            drop(device);
            self.delivered[port] += 1;
        }
        let mut device = self.device(worker, port);
        device.fill.release();
        device.receive.publish();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver {
                worker,
                port,
                owner,
                fate,
                count,
            } => self.deliver(worker, port, owner, fate, count),
            Event::Forge {
                worker,
                port,
                address,
                length,
            } => {
                let mut device = self.device(worker, port);
                if device.receive.push([address, length.into()]) {
                    device.receive.publish();
                    drop(device);
                    self.forged[port] += 1;
                }
            }
            Event::Overlong { worker, port } => {
                let mut device = self.device(worker, port);
                if device.receive.room(1) == 0 {
                    return;
                }
                if let Some([address]) = device.fill.pull() {
                    device.fill.release();
                    device
                        .receive
                        .push([address + HEADROOM, u64::from(FRAME_SIZE)]);
                    device.receive.publish();
                    drop(device);
                    self.forged[port] += 1;
                }
            }
            Event::Take {
                worker,
                port,
                count,
            } => {
                let mut device = self.device(worker, port);
                for _ in 0..count {
                    let Some([address, length]) = device.transmit.pull() else {
                        break;
                    };
                    let bytes = self.shared.umem.read_as_kernel(address, length as u32);
                    device.sent.push(bytes);
                    device.sending.push(address);
                }
                device.transmit.release();
            }
            Event::Complete {
                worker,
                port,
                count,
                latest,
            } => {
                let mut device = self.device(worker, port);
                for _ in 0..count {
                    if device.sending.is_empty() || device.completion.room(1) == 0 {
                        break;
                    }
                    let address = match latest {
                        true => device.sending.pop().expect("some"),
                        false => device.sending.remove(0),
                    };
                    device.completion.push([address]);
                }
                device.completion.publish();
            }
            Event::Miscomplete {
                worker,
                port,
                address,
            } => {
                let number = address / u64::from(FRAME_SIZE);
                let place = Place::sending((port * 64) as u8 + worker as u8);
                if self.shared.umem.place_of(number) != Some(place) {
                    let mut device = self.device(worker, port);
                    device.completion.push([address]);
                    device.completion.publish();
                }
            }
            Event::Answer {
                worker,
                port,
                answer,
            } => {
                self.device(worker, port).answer = match answer {
                    0 => Kick::Down,
                    1 => Kick::Again,
                    _ => Kick::Done,
                };
            }
            Event::Turn { worker } => self.turn(worker),
        }
    }

    fn turn(&mut self, worker: u32) {
        let mut obey = Obey {
            batch: 64,
            owner: worker,
            workers: self.shared.workers,
            seen: 0,
        };
        let turn = self.workers[worker as usize].turn(&mut obey);
        assert_eq!(u64::from(turn.inspected), obey.seen);
    }

    fn sum(&self, port: usize, tallies: &[Tally]) -> u64 {
        let one = |cell: &QueueCell| {
            tallies
                .iter()
                .map(|&what| cell.get(port, what))
                .sum::<u64>()
        };
        self.cells.iter().map(one).sum()
    }

    /// Every worker's account holds.
    fn assert_balanced(&self) {
        const IN: [Tally; 2] = [Tally::Received, Tally::TakenOver];
        const OUT: [Tally; 7] = [
            Tally::Passed,
            Tally::Dropped,
            Tally::Rejected,
            Tally::TxFull,
            Tally::Invalid,
            Tally::HandedOver,
            Tally::HandOverFull,
        ];
        for (worker, cell) in self.cells.iter().enumerate() {
            for port in 0..2 {
                let sum = |of: &[Tally]| of.iter().map(|&what| cell.get(port, what)).sum::<u64>();
                assert_eq!(sum(&IN), sum(&OUT), "worker {worker}, port {port}");
            }
        }
    }

    /// As many frames are held as the workers think.
    fn assert_conserved(&self) {
        let free: u32 = self.workers.iter().map(Worker::free).sum();
        assert_eq!(self.shared.umem.held(), free);
    }

    /// Lets everything come to rest, and checks that nothing is left anywhere.
    fn settle(&mut self) {
        for _ in 0..60 {
            for worker in 0..self.shared.workers {
                for port in 0..2 {
                    self.device(worker, port).answer = Kick::Done;
                    self.happen(Event::Take {
                        worker,
                        port,
                        count: 255,
                    });
                    self.happen(Event::Complete {
                        worker,
                        port,
                        count: 255,
                        latest: false,
                    });
                }
                self.turn(worker);
            }
        }
    }
}
