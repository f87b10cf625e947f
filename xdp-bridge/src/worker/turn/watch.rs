//! Looking after what is under way, and what is left when a worker ends.

use weir_xdp_common::Tally;

use super::super::port::{State, Watch};
use super::{LOOK, RESERVE, Trouble, Worker, nanoseconds};
use crate::ring::Memory;
use crate::socket::Kernel;

impl<M: Memory, K: Kernel> Worker<M, K> {
    /// Looks whether everything gets on; true when it does, and a heartbeat may be given.
    pub(super) fn watch(&mut self, now: u64, busy: bool) -> bool {
        let mut well = true;
        for (index, port) in self.ports.iter_mut().enumerate() {
            match port.watch(now, self.times.stall) {
                Watch::Moving => {}
                Watch::Stuck { kicked } => {
                    well = false;
                    self.cell.add(index, Tally::Kicked, kicked.into());
                }
                Watch::Stalled => {
                    well = false;
                    self.trouble.get_or_insert(Trouble::Stalled { port: index });
                }
            }
            if port.state == State::Gone {
                self.trouble.get_or_insert(Trouble::Gone { port: index });
            }
        }
        self.watch_frames(now, busy);
        if now.saturating_sub(self.looked_ns) >= nanoseconds(LOOK) {
            self.looked_ns = now;
            self.look();
        }
        well && self.trouble.is_none()
    }

    /// Looks whether there are frames to receive into.
    fn watch_frames(&mut self, now: u64, busy: bool) {
        let down = self.ports.iter().any(|port| port.state != State::Up);
        let fed = busy
            || down
            || self.stock.count() > RESERVE
            || self
                .ports
                .iter_mut()
                .any(|port| port.rings.fill_waiting() > 0);
        if fed {
            self.fed_ns = now;
        } else if now.saturating_sub(self.fed_ns) > nanoseconds(self.times.stall * 9) {
            self.trouble.get_or_insert(Trouble::Starved);
        }
    }

    /// Asks the kernel what it lost, and whether interfaces and workers are still there.
    fn look(&mut self) {
        for (index, port) in self.ports.iter_mut().enumerate() {
            self.cell.add(index, Tally::RingDropped, port.newly_lost());
            self.cell
                .add(index, Tally::OddCompletions, port.newly_odd());
            port.kick();
        }
        let shared = &self.stock.shared;
        let gone = (0..shared.workers).find(|&worker| {
            let mail = shared.mail(worker);
            !mail.is_some_and(|mail| mail.is_open())
        });
        if let Some(worker) = gone {
            self.trouble.get_or_insert(Trouble::WorkerGone { worker });
        }
    }
}

impl<M: Memory, K: Kernel> Drop for Worker<M, K> {
    /// What was given to it and is not inspected any more is lost, and counted.
    fn drop(&mut self) {
        let Self {
            stock,
            ports,
            cell,
            unread,
            dry,
            ..
        } = self;
        let Some(mail) = stock.shared.mail(stock.worker) else {
            return;
        };
        mail.close();
        if !std::mem::replace(dry, true) {
            stock.shared.runs_dry();
        }
        let mut senders = mail.collect() | *unread;
        while senders != 0 {
            let crossing = stock
                .shared
                .crossing(senders.trailing_zeros(), stock.worker);
            while let Some(parcel) = crossing.and_then(|crossing| crossing.pop()) {
                cell.add(parcel.port as usize, Tally::LostInHands, 1);
            }
            senders &= senders - 1;
        }
        for (index, port) in ports.iter_mut().enumerate() {
            while port.rings.receive(stock.umem()).is_some() {
                cell.add(index, Tally::LostInRings, 1);
            }
            cell.add(index, Tally::RingDropped, port.newly_lost());
            cell.add(index, Tally::OddCompletions, port.newly_odd());
            cell.add(index, Tally::Unsent, port.unsent().into());
        }
        for parcel in stock.shared.end_worker() {
            cell.add(parcel.port as usize, Tally::LostInHands, 1);
        }
    }
}
