//! What users of the device nodes wait for, between the threads of the file system and that of the card.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fuser::{Errno, PollNotifier, ReplyData, ReplyWrite};

/// A register access by a node.
pub(crate) enum Register {
    Read(u32, ReplyData),
    Write(u32, u32, ReplyWrite),
}

/// Bytes to the card; answered when all are taken.
struct Send {
    bytes: Vec<u8>,
    taken: usize,
    since: Instant,
    reply: ReplyWrite,
}

/// A read from the card.
struct Receive {
    size: usize,
    /// It may end at the end of a packet.
    packets: bool,
    since: Instant,
    reply: ReplyData,
}

#[derive(Default)]
struct State {
    registers: VecDeque<Register>,
    sends: VecDeque<Send>,
    receives: VecDeque<Receive>,
    /// Reports that wait for a reader.
    reports: Vec<u8>,
    events: u32,
    event_reads: VecDeque<ReplyData>,
    polls: Vec<PollNotifier>,
    /// Something came since the card looked last.
    news: bool,
    closed: bool,
}

/// The queues of the nodes.
pub(crate) struct Jobs {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes a card that does not sleep here.
    wake: Box<dyn Fn() + std::marker::Send + Sync>,
    /// After so long a transfer times out.
    patience: Duration,
}

impl Jobs {
    pub(crate) fn new(patience: Duration, wake: Box<dyn Fn() + std::marker::Send + Sync>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            wake,
            patience,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, mut state: MutexGuard<'_, State>) {
        state.news = true;
        drop(state);
        self.changed.notify_all();
        (self.wake)();
    }

    /// Lets the card look.
    pub(crate) fn nudge(&self) {
        self.tell(self.state());
    }

    /// Sleeps until something comes, at most so long.
    pub(crate) fn wait(&self, most: Duration) {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, most, |state| !state.news);
        waited.unwrap_or_else(PoisonError::into_inner).0.news = false;
    }

    // For the file system.

    pub(crate) fn register(&self, register: Register) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            register.refuse();
            return;
        }
        state.registers.push_back(register);
        self.tell(state);
    }

    pub(crate) fn send(&self, bytes: Vec<u8>, reply: ReplyWrite) {
        let mut state = self.state();
        if state.closed {
            return reply.error(Errno::ENODEV);
        }
        state.sends.push_back(Send {
            bytes,
            taken: 0,
            since: Instant::now(),
            reply,
        });
        self.tell(state);
    }

    pub(crate) fn receive(&self, size: usize, packets: bool, reply: ReplyData) {
        let mut state = self.state();
        if state.closed {
            return reply.error(Errno::ENODEV);
        }
        state.receives.push_back(Receive {
            size,
            packets,
            since: Instant::now(),
            reply,
        });
        self.tell(state);
    }

    pub(crate) fn event(&self, reply: ReplyData) {
        let mut state = self.state();
        if state.closed {
            return reply.error(Errno::ENODEV);
        }
        state.event_reads.push_back(reply);
        answer_events(&mut state);
    }

    /// Whether the interrupt has come; if not, it is told when it does.
    pub(crate) fn poll(&self, notifier: PollNotifier) -> bool {
        let mut state = self.state();
        if state.events == 0 {
            state.polls.push(notifier);
        }
        state.events > 0
    }

    // For the card.

    pub(crate) fn next_register(&self) -> Option<Register> {
        self.state().registers.pop_front()
    }

    /// Moves bytes that were sent to the end of `into`, as many as it has room for; says whether there were any.
    pub(crate) fn take(&self, into: &mut Vec<u8>, most: usize) -> bool {
        let mut state = self.state();
        let before = into.len();
        while into.len() < most {
            let Some(send) = state.sends.front_mut() else {
                break;
            };
            let rest = send.bytes.get(send.taken..).unwrap_or_default();
            let now = &rest[..rest.len().min(most - into.len())];
            into.extend_from_slice(now);
            send.taken += now.len();
            if send.taken == send.bytes.len()
                && let Some(send) = state.sends.pop_front()
            {
                send.reply.written(send.taken as u32);
            }
        }
        into.len() > before
    }

    /// Bytes of reports that wait for a reader.
    pub(crate) fn unread(&self) -> usize {
        self.state().reports.len()
    }

    /// Takes reports, the end of a packet behind them, and answers readers.
    pub(crate) fn give(&self, reports: &[u8]) {
        let mut state = self.state();
        if !reports.is_empty() {
            state.reports.extend_from_slice(reports);
            state.events = state.events.saturating_add(1);
            answer_events(&mut state);
            for notifier in state.polls.drain(..) {
                // Who polled is gone, if it fails.
                let _ = notifier.notify();
            }
        }
        while let Some(reader) = state.receives.front() {
            let enough = state.reports.len() >= reader.size;
            if !enough && (!reader.packets || state.reports.is_empty()) {
                break;
            }
            let Some(reader) = state.receives.pop_front() else {
                break;
            };
            let size = reader.size.min(state.reports.len());
            reader.reply.data(&state.reports[..size]);
            state.reports.drain(..size);
        }
    }

    /// Ends transfers that have waited for too long; says when to look again.
    pub(crate) fn expire(&self) -> Option<Duration> {
        let mut state = self.state();
        let over = |since: Instant| since.elapsed() >= self.patience;
        while state.sends.front().is_some_and(|send| over(send.since)) {
            if let Some(send) = state.sends.pop_front() {
                send.reply.error(Errno::ETIMEDOUT);
            }
        }
        while state
            .receives
            .front()
            .is_some_and(|receive| over(receive.since))
        {
            if let Some(receive) = state.receives.pop_front() {
                receive.reply.error(Errno::ETIMEDOUT);
            }
        }
        let first = [
            state.sends.front().map(|send| send.since),
            state.receives.front().map(|receive| receive.since),
        ];
        let first = first.into_iter().flatten().min();
        first.map(|since| self.patience.saturating_sub(since.elapsed()))
    }

    /// The card is gone: nobody waits any longer, and nobody will.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.registers.drain(..).for_each(Register::refuse);
        state
            .sends
            .drain(..)
            .for_each(|send| send.reply.error(Errno::ENODEV));
        state
            .receives
            .drain(..)
            .for_each(|receive| receive.reply.error(Errno::ENODEV));
        state
            .event_reads
            .drain(..)
            .for_each(|reply| reply.error(Errno::ENODEV));
        for notifier in state.polls.drain(..) {
            let _ = notifier.notify();
        }
    }
}

impl Register {
    fn refuse(self) {
        match self {
            Self::Read(_, reply) => reply.error(Errno::ENODEV),
            Self::Write(_, _, reply) => reply.error(Errno::ENODEV),
        }
    }
}

fn answer_events(state: &mut State) {
    while state.events > 0
        && let Some(reply) = state.event_reads.pop_front()
    {
        reply.data(&state.events.to_le_bytes());
        state.events = 0;
    }
}
