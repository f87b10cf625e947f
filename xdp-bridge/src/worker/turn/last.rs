//! A worker's loop, and its last turns: what is in rings when all is over is inspected and sent, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::Ended;
use super::super::inspect::Inspect;
use super::{Worker, nanoseconds};
use crate::clock;
use crate::ring::Memory;
use crate::socket::Kernel;

/// How long a worker with nothing to do waits for others that may still give it something.
const OTHERS: Duration = Duration::from_secs(1);

/// How long a worker waits at the end for frames to be sent, since the latest of them was.
const SENDING: Duration = Duration::from_millis(20);

/// How long it sleeps meanwhile.
const NAP: Duration = Duration::from_micros(200);

impl<M: Memory, K: Kernel> Worker<M, K> {
    /// Turns until `stop` is set or the bridge is broken, and rests where there is nothing to do.
    pub(in super::super) fn run(&mut self, inspect: &mut impl Inspect, stop: &AtomicBool) -> Ended {
        while !stop.load(Ordering::Acquire) {
            let turn = self.turn(inspect);
            match turn.trouble {
                // That others have ended is no news where all do.
                Some(trouble) if !stop.load(Ordering::Acquire) => return Ended::Broken(trouble),
                Some(_) => break,
                None if turn.idle => self.rest(),
                None => {}
            }
        }
        self.run_dry(inspect);
        self.send_off();
        Ended::Stopped
    }

    /// Turns until nothing is left in the rings of the ports, and then in those of other workers.
    fn run_dry(&mut self, inspect: &mut impl Inspect) {
        // Twice as many as it takes for all frames that there are: where more comes all the time, it would have no end.
        let most = self.stock.shared.frames() / (self.batch as u32).max(1);
        let mut left = most.saturating_mul(2).saturating_add(16);
        while left > 0 && !self.turn(inspect).idle {
            left -= 1;
        }
        self.ends_receiving();
        let until = clock::monotonic_ns().saturating_add(nanoseconds(OTHERS));
        while left > 0 {
            // Before the turn: what they have given is then found by it.
            let dry = self.stock.shared.is_dry();
            if !self.turn(inspect).idle {
                left -= 1;
                continue;
            }
            if dry || clock::monotonic_ns() >= until {
                break;
            }
            self.rest();
        }
    }

    /// Tells the others that they are given no more, once.
    fn ends_receiving(&mut self) {
        if !std::mem::replace(&mut self.dry, true) {
            self.stock.shared.runs_dry();
        }
    }

    /// Sees to it that what was put on transmit rings is sent, as long as that gets on: it goes with the socket.
    fn send_off(&mut self) {
        let (mut least, mut moved) = (u32::MAX, clock::monotonic_ns());
        loop {
            let mut sending: u32 = 0;
            for port in &mut self.ports {
                port.flush(&mut self.stock);
                port.reap(&mut self.stock);
                sending = sending.saturating_add(port.to_come());
            }
            let now = clock::monotonic_ns();
            if sending == 0 {
                return;
            }
            if sending < least {
                (least, moved) = (sending, now);
            } else if now.saturating_sub(moved) > nanoseconds(SENDING) {
                return;
            }
            std::thread::sleep(NAP);
        }
    }
}
