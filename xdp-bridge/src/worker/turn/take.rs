//! Taking packets: from the ports, and from the workers that received what belongs to this one.

use std::sync::Arc;

use weir_engine::flow::shard;
use weir_engine::packet::{Frame as Bytes, LinkType};
use weir_xdp_common::Tally;

use super::super::crossing::Parcel;
use super::super::port::Port;
use super::{Held, Worker, bytes};
use crate::clock;
use crate::ring::Memory;
use crate::socket::{Arrived, Kernel, Receipt};
use crate::umem::Place;

impl<M: Memory, K: Kernel> Worker<M, K> {
    /// Takes up to a batch of packets from other workers and from the ports; returns how many were there. Those that are ours
    /// are held, the others handed over.
    pub(super) fn collect(&mut self) -> usize {
        let odd_turn = self.turns & 1 == 1;
        let for_parcels = match odd_turn {
            true => self.batch.div_ceil(2),
            false => self.batch / 2,
        };
        let mut taken = self.take_parcels(for_parcels);
        let rest = self.batch.saturating_sub(taken);
        let waiting = |ports: &mut Vec<Port<M, K>>, index: usize| {
            ports
                .get_mut(index)
                .map_or(0, |port| port.rings.received() as usize)
        };
        // Both ports get half of it, and what the other one does not need.
        let (first, second) = if odd_turn { (1, 0) } else { (0, 1) };
        let second_has = waiting(&mut self.ports, second);
        let first_has = waiting(&mut self.ports, first);
        let of_second = second_has.min((rest / 2).max(rest.saturating_sub(first_has)));
        let of_first = first_has.min(rest.saturating_sub(of_second));
        if of_first + of_second > 0 {
            let now = clock::realtime_ns();
            let mut told = 0u64;
            self.receive(first, of_first, now, &mut told);
            self.receive(second, of_second, now, &mut told);
            while told != 0 {
                if let Some(mail) = self.stock.shared.mail(told.trailing_zeros()) {
                    mail.tell(self.stock.worker);
                }
                told &= told - 1;
            }
            taken += of_first + of_second;
        }
        taken
    }

    /// Takes up to `most` packets that other workers received.
    fn take_parcels(&mut self, most: usize) -> usize {
        let shared = Arc::clone(&self.stock.shared);
        let Some(mail) = shared.mail(self.stock.worker) else {
            return 0;
        };
        let mut senders = mail.collect() | self.unread;
        self.unread = 0;
        let mut taken = 0;
        while senders != 0 {
            let from = senders.trailing_zeros();
            let crossing = shared.crossing(from, self.stock.worker);
            loop {
                if taken >= most {
                    self.unread = senders;
                    return taken;
                }
                let Some(parcel) = crossing.and_then(|crossing| crossing.pop()) else {
                    break;
                };
                taken += 1;
                self.take_over(parcel, from);
            }
            senders &= senders - 1;
        }
        taken
    }

    fn take_over(&mut self, parcel: Parcel, from: u32) {
        let port = parcel.port as usize;
        self.cell.add(port, Tally::TakenOver, 1);
        let Some((frame, at)) = self.stock.umem().take(parcel.address, Place::CROSSING) else {
            self.cell.add(port, Tally::Invalid, 1);
            return;
        };
        let length = parcel.length;
        self.held.push(Held {
            packet: Arrived { frame, at, length },
            port,
            ts_ns: parcel.ts_ns,
            from: Some(from),
        });
    }

    /// Takes `count` packets from a port. `told` gets the workers that were given some.
    fn receive(&mut self, port: usize, count: usize, ts_ns: u64, told: &mut u64) {
        let (mut bytes, mut received, mut invalid) = (0u64, 0, 0);
        for _ in 0..count {
            let Some(end) = self.ports.get_mut(port) else {
                return;
            };
            match end.rings.receive(self.stock.umem()) {
                None => break,
                Some(Receipt::Packet(packet)) => {
                    bytes += u64::from(packet.length);
                    let held = Held {
                        packet,
                        port,
                        ts_ns,
                        from: None,
                    };
                    match self.owner(&held) {
                        owner if owner == self.stock.worker => self.held.push(held),
                        owner => self.hand_over(owner, held, told),
                    }
                }
                Some(Receipt::Invalid(frame)) => {
                    invalid += 1;
                    if let Some(frame) = frame {
                        self.stock.release(frame);
                    }
                }
            }
            received += 1;
        }
        if let Some(end) = self.ports.get_mut(port) {
            end.rings.release_received();
        }
        self.cell.add(port, Tally::Received, received);
        self.cell.add(port, Tally::ReceivedBytes, bytes);
        self.cell.add(port, Tally::Invalid, invalid);
    }

    /// The worker that a packet's flow belongs to.
    fn owner(&self, held: &Held) -> u32 {
        let workers = self.stock.shared.workers;
        if workers <= 1 {
            return self.stock.worker;
        }
        let frame = Bytes {
            ts_ns: held.ts_ns,
            number: 0,
            link: LinkType::ETHERNET,
            data: bytes(&self.stock, &held.packet),
            wire_len: held.packet.length,
            ..Bytes::default()
        };
        (shard(&frame) % u64::from(workers)) as u32
    }

    /// Gives a packet to the worker that it belongs to. When that one does not keep up, the packet is lost: nobody else knows
    /// its flow.
    fn hand_over(&mut self, owner: u32, held: Held, told: &mut u64) {
        let Self { stock, cell, .. } = self;
        let shared = &stock.shared;
        let open = shared.mail(owner).is_some_and(|mail| mail.is_open());
        let crossing = shared.crossing(stock.worker, owner);
        let Some(crossing) = crossing.filter(|crossing| open && crossing.has_room()) else {
            cell.add(held.port, Tally::HandOverFull, 1);
            stock.release(held.packet.frame);
            return;
        };
        let start = shared.umem.give(held.packet.frame, Place::CROSSING);
        // There was room, and nobody else puts in.
        crossing.push(Parcel {
            address: start + u64::from(held.packet.at),
            length: held.packet.length,
            port: held.port as u32,
            ts_ns: held.ts_ns,
        });
        cell.add(held.port, Tally::HandedOver, 1);
        *told |= 1u64 << (owner % 64);
    }
}
