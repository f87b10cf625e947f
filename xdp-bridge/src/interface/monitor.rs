//! Hears of interfaces that go, come back, or change.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::facts::{DEL_LINK, Facts, all};
use super::netlink::{Message, ROUTE, Socket};

/// `RTMGRP_LINK`.
const LINKS: u32 = 1;

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone: removed, renamed, or moved to another network namespace.
    Vanished,
    /// There is one of its name again, with this number. Attach to it anew.
    Returned {
        /// The new one's number.
        ifindex: u32,
    },
    /// Its MTU is another.
    Mtu {
        /// In bytes.
        before: u32,
        /// In bytes.
        now: u32,
    },
    /// It went up, or down: taken down, or its carrier was lost.
    Link {
        /// True when it can send and receive.
        up: bool,
    },
    /// It is no longer made to receive all frames, though it was.
    NotPromiscuous,
    /// Another XDP program is attached than before, or none.
    Program,
}

/// Watches interfaces by their names. A descriptor to wait on, and [`Monitor::changes`] to ask what happened.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    name: String,
    now: Option<Facts>,
}

impl Monitor {
    /// Begins to watch: what differs from how it is now is a change. An interface that is not there has vanished.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> io::Result<Self> {
        // Listening before looking, so that nothing is missed between.
        let socket = Socket::listening(ROUTE, LINKS)?;
        let watched = names.into_iter().map(|name| Watched {
            name: name.into(),
            now: None,
        });
        let mut monitor = Self {
            socket,
            watched: watched.collect(),
        };
        for facts in all()? {
            for watched in &mut monitor.watched {
                if watched.name == facts.name {
                    watched.now = Some(facts.clone());
                }
            }
        }
        Ok(monitor)
    }

    /// What happened since, each with the place of the interface among the names. Does not wait.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn changes(&mut self) -> io::Result<Vec<(usize, Change)>> {
        let mut changes = Vec::new();
        match self.socket.heard() {
            Ok(messages) => {
                for message in messages {
                    self.heard(&message, &mut changes);
                }
            }
            // More happened than the socket holds: compare with how things are.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.look(&mut changes)?,
            Err(error) => return Err(error),
        }
        Ok(changes)
    }

    fn heard(&mut self, message: &Message, changes: &mut Vec<(usize, Change)>) {
        let Some(facts) = Facts::read(message) else {
            return;
        };
        for (port, watched) in self.watched.iter_mut().enumerate() {
            let same = |now: &Facts| now.ifindex == facts.ifindex;
            let known = watched.now.as_ref().is_some_and(same);
            if message.kind != DEL_LINK && watched.name == facts.name {
                watched.is(Some(facts.clone()), port, changes);
            } else if known && (message.kind == DEL_LINK || watched.name != facts.name) {
                watched.is(None, port, changes);
            }
        }
    }

    fn look(&mut self, changes: &mut Vec<(usize, Change)>) -> io::Result<()> {
        let all = all()?;
        for (port, watched) in self.watched.iter_mut().enumerate() {
            let now = all.iter().find(|facts| facts.name == watched.name);
            watched.is(now.cloned(), port, changes);
        }
        Ok(())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }
}

impl Watched {
    fn is(&mut self, now: Option<Facts>, port: usize, changes: &mut Vec<(usize, Change)>) {
        let mut say = |change| changes.push((port, change));
        match (&self.now, &now) {
            (None, None) => {}
            (Some(_), None) => say(Change::Vanished),
            (None, Some(new)) => say(Change::Returned {
                ifindex: new.ifindex,
            }),
            (Some(old), Some(new)) if old.ifindex != new.ifindex => {
                say(Change::Vanished);
                say(Change::Returned {
                    ifindex: new.ifindex,
                });
            }
            (Some(old), Some(new)) => {
                if old.mtu != new.mtu {
                    say(Change::Mtu {
                        before: old.mtu,
                        now: new.mtu,
                    });
                }
                let works = |facts: &Facts| facts.up && facts.carrier;
                if works(old) != works(new) {
                    say(Change::Link { up: works(new) });
                }
                if old.promiscuous && !new.promiscuous {
                    say(Change::NotPromiscuous);
                }
                if old.program.map(|p| p.id) != new.program.map(|p| p.id) {
                    say(Change::Program);
                }
            }
        }
        self.now = now;
    }
}
