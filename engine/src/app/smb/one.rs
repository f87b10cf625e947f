//! Records of SMB 1 (MS-CIFS 2.2, MS-SMB 2.2).

use super::auth;
use super::state::{Flowing, MOST_DIALECTS, NAME_LIMIT, Record, State};
use super::text::{bytes_at, file, hosts, narrow, string};
use super::transaction::{About, FileId, Opened};
use crate::app::{Output, Way};

/// Bytes of a header.
pub(super) const HEADER: usize = 32;

const CLOSE: u16 = 0x04;
const WRITE: u16 = 0x0b;
const LOCKING_ANDX: u16 = 0x24;
const TRANS: u16 = 0x25;
const WRITE_AND_CLOSE: u16 = 0x2c;
const OPEN_ANDX: u16 = 0x2d;
const READ_ANDX: u16 = 0x2e;
const WRITE_ANDX: u16 = 0x2f;
const TRANS2: u16 = 0x32;
const TRANS2_SECONDARY: u16 = 0x33;
const TREE_DISCONNECT: u16 = 0x71;
const NEGOTIATE: u16 = 0x72;
const SESSION_SETUP_ANDX: u16 = 0x73;
const LOGOFF_ANDX: u16 = 0x74;
const TREE_CONNECT_ANDX: u16 = 0x75;
const NT_CREATE_ANDX: u16 = 0xa2;
const NT_CANCEL: u16 = 0xa4;

/// No further command.
const NONE: u8 = 0xff;

const SUCCESS: u32 = 0;

/// Most commands of a record that are read.
const MOST_CHAINED: usize = 32;

/// Reads the header.
pub(super) fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let mut record = Record {
        version: 1,
        command: u16::from(*bytes.get(4)?),
        status: 0,
        session: 0,
        tree: 0,
        message: 0,
        unicode: false,
        answer: false,
        bytes,
    };
    const UNICODE: u16 = 0x8000;
    const ANSWER: u8 = 0x80;
    record.status = record.u32(5)?;
    record.answer = record.u8(9)? & ANSWER != 0;
    record.unicode = record.u16(10)? & UNICODE != 0;
    record.tree = u32::from(record.u16(24)?);
    let process = u64::from(record.u16(26)?);
    record.session = u64::from(record.u16(28)?);
    // A bit that messages of SMB 2 do not have.
    record.message = 1 << 63 | process << 16 | u64::from(record.u16(30)?);
    Some(record)
}

/// Commands that another one may follow in the same record.
fn chains(command: u16) -> bool {
    matches!(
        command,
        LOCKING_ANDX
            | OPEN_ANDX
            | READ_ANDX
            | SESSION_SETUP_ANDX
            | LOGOFF_ANDX
            | TREE_CONNECT_ANDX
            | NT_CREATE_ANDX
            | WRITE_ANDX
    )
}

impl State {
    /// All commands of a record. Of too many the last one is told by an event.
    fn each(
        &mut self,
        r: &Record<'_>,
        out: &mut Output,
        mut act: impl FnMut(&mut Self, &Record<'_>, usize, &mut Output) -> Option<Flowing>,
    ) -> Option<Flowing> {
        let (mut r, mut at) = (*r, HEADER);
        let mut count = 0;
        loop {
            let flowing = act(self, &r, at, out);
            count += 1;
            let (next, offset) = (r.u8(at + 1), r.u16(at + 3).map(usize::from));
            match (next, offset) {
                // Only forward, so that it ends.
                (Some(next), Some(offset)) if chains(r.command) && next != NONE && offset > at => {
                    if flowing.is_some() || offset >= r.bytes.len() {
                        return flowing;
                    }
                    if count >= MOST_CHAINED {
                        self.event("smb.malformed_data", out);
                        return flowing;
                    }
                    (r.command, at) = (u16::from(next), offset);
                }
                _ => return flowing,
            }
        }
    }

    /// What a client sends.
    pub fn request1(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Flowing> {
        self.each(r, out, |state, r, at, out| match r.command {
            WRITE | WRITE_ANDX | WRITE_AND_CLOSE => state.write1(r, at, out),
            _ => {
                if state.request1_known(r, at, out).is_none() {
                    state.asked(r, About::Command, out);
                    state.event("smb.malformed_data", out);
                }
                None
            }
        })
    }

    fn request1_known(&mut self, r: &Record<'_>, at: usize, out: &mut Output) -> Option<()> {
        match r.command {
            NEGOTIATE => self.negotiate1(r, out)?,
            SESSION_SETUP_ANDX => {
                const EXTENDED: u8 = 12;
                let mut who = None;
                let mut host = None;
                let mut malformed = false;
                if r.u8(at)? == EXTENDED {
                    let length = usize::from(r.u16(at + 15)?);
                    let blob = r.part(at + 27, length as u64);
                    who = auth::ntlmssp(blob);
                    malformed = who.is_none() && auth::authenticates(blob);
                    host = hosts(r, at + 27 + length);
                }
                self.session(r, who, host, out);
                if malformed {
                    self.event("smb.malformed_ntlmssp_request", out);
                }
            }
            TREE_CONNECT_ANDX => {
                let password = usize::from(r.u16(at + 7)?);
                let (path, next) = string(r, at + 11 + password)?;
                // Suricata leaves the first character out.
                let name = path.get(1..).filter(|rest| !rest.is_empty());
                let about = About::Tree {
                    name: name.unwrap_or(&path).to_vec(),
                    pipe: false,
                    services: [narrow(r, next), None],
                    kind: 0,
                    put: false,
                };
                self.begin(r, about, out);
            }
            TREE_DISCONNECT => {
                self.trees.take(&(r.session, r.tree));
                self.asked(r, About::Command, out);
            }
            NT_CREATE_ANDX => {
                let length = usize::from(r.u16(at + 6)?);
                let start = if r.unicode {
                    at + 51 + (at + 51) % 2
                } else {
                    at + 51
                };
                let name = super::two::text(r.part(start, length as u64));
                self.opening.put(r.message, name.clone());
                let about = About::Create {
                    name,
                    disposition: r.u32(at + 36)?,
                    options: r.u32(at + 40)?,
                    opened: None,
                };
                self.asked(r, about, out);
            }
            CLOSE => {
                let file = file(r, at + 1)?;
                self.closing.put(r.message, file);
                self.close(Way::ToServer, file, None, out);
                self.asked(r, About::Command, out);
            }
            READ_ANDX => {
                const WITH_HIGH: u8 = 12;
                let high = if r.u8(at)? == WITH_HIGH {
                    r.u32(at + 21)?
                } else {
                    0
                };
                let offset = u64::from(high) << 32 | u64::from(r.u32(at + 7)?);
                self.reading.put(r.message, (file(r, at + 5)?, offset));
            }
            TRANS => {
                // To a pipe: two words of setup, the second one is its number.
                if (r.u8(at)?, r.u8(at + 27)?) == (16, 2) && r.u16(at + 23)? > 0 {
                    let file = file(r, at + 31)?;
                    self.asking.put(r.message, file);
                    let bytes = r.part(usize::from(r.u16(at + 25)?), u64::from(r.u16(at + 23)?));
                    self.pipe(r, Way::ToServer, file, bytes, out);
                }
            }
            TRANS2 => {}
            NT_CANCEL | TRANS2_SECONDARY | LOCKING_ANDX => {
                // Nobody answers these.
                self.asked(r, About::Command, out);
                self.finish(self.txs.len() - 1, Way::ToClient, out);
            }
            _ => {
                self.asked(r, About::Command, out);
            }
        }
        Some(())
    }

    fn negotiate1(&mut self, r: &Record<'_>, out: &mut Output) -> Option<()> {
        let duplicate = self.txs.iter().find(|tx| {
            tx.version == 1 && matches!(tx.about, About::Negotiate { .. }) && !tx.done[1]
        });
        if let Some(tx) = duplicate {
            out.event(tx.id, "smb.duplicate_negotiate");
            return Some(());
        }
        let list = r.bytes.get(HEADER + 3..)?;
        let list = list.strip_suffix(&[0]).unwrap_or(list);
        let mut bad = false;
        let mut dialects = Vec::new();
        let mut entries = list.split(|&byte| byte == 0);
        for entry in entries.by_ref().take(MOST_DIALECTS) {
            bad |= entry.len() <= 1;
            if let [_, dialect @ ..] = entry {
                let dialect = dialect.get(..NAME_LIMIT).unwrap_or(dialect);
                dialects.push(String::from_utf8_lossy(dialect).into_owned());
            }
        }
        out.dropped += entries.count() as u64;
        let about = About::Negotiate {
            dialects,
            client: None,
            server: None,
        };
        let tx = self.asked(r, about, out);
        if bad {
            out.event(tx, "smb.negotiate_malformed_dialects");
        }
        Some(())
    }

    fn write1(&mut self, r: &Record<'_>, at: usize, out: &mut Output) -> Option<Flowing> {
        let written = match r.command {
            WRITE_ANDX => Self::write_andx(r, at),
            WRITE => Self::write(r, at),
            _ => Self::write_and_close(r, at),
        };
        let Some((file, piece)) = written else {
            self.asked(r, About::Command, out);
            self.event("smb.malformed_data", out);
            return None;
        };
        let flowing = self.data(r, Way::ToServer, file, piece, out);
        if r.command == WRITE_AND_CLOSE {
            self.close(Way::ToServer, file, None, out);
        }
        if r.command != WRITE_ANDX {
            self.asked(r, About::Command, out);
        }
        flowing
    }

    fn write_andx(r: &Record<'_>, at: usize) -> Option<(FileId, (u64, u64, usize))> {
        const WITH_HIGH: u8 = 14;
        let high = if r.u8(at)? == WITH_HIGH {
            r.u32(at + 25)?
        } else {
            0
        };
        let offset = u64::from(high) << 32 | u64::from(r.u32(at + 7)?);
        let length = u64::from(r.u16(at + 19)?) << 16 | u64::from(r.u16(at + 21)?);
        Some((
            file(r, at + 5)?,
            (offset, length, usize::from(r.u16(at + 23)?)),
        ))
    }

    fn write(r: &Record<'_>, at: usize) -> Option<(FileId, (u64, u64, usize))> {
        let start = bytes_at(r, at)?;
        let length = u64::from(r.u16(start + 1)?);
        Some((
            file(r, at + 1)?,
            (u64::from(r.u32(at + 5)?), length, start + 3),
        ))
    }

    fn write_and_close(r: &Record<'_>, at: usize) -> Option<(FileId, (u64, u64, usize))> {
        let start = bytes_at(r, at)?;
        let (count, all) = (r.u16(at + 3)?, r.u16(start.checked_sub(2)?)?);
        let padding = usize::from(all.saturating_sub(count));
        Some((
            file(r, at + 1)?,
            (u64::from(r.u32(at + 5)?), u64::from(count), start + padding),
        ))
    }

    /// What a server sends.
    pub fn response1(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Flowing> {
        self.each(r, out, |state, r, at, out| {
            let mut flowing = None;
            if r.status == SUCCESS {
                if r.command == READ_ANDX {
                    match state.read1(r, at, out) {
                        Some(read) => flowing = read,
                        None => state.event("smb.malformed_data", out),
                    }
                } else if state.response1_known(r, at, out).is_none()
                    && let Some(tx) = state.waiting(r).and_then(|at| state.txs.get(at))
                {
                    out.event(tx.id, "smb.malformed_data");
                }
            } else if r.command == TRANS {
                let _ = state.trans_answered(r, at, out);
            }
            state.answered(r, out);
            flowing
        })
    }

    fn response1_known(&mut self, r: &Record<'_>, at: usize, out: &mut Output) -> Option<()> {
        let waiting = self.waiting(r);
        match r.command {
            NEGOTIATE => {
                let index = if r.u8(at)? > 0 { r.u16(at + 1)? } else { 0 };
                // Behind 17 words of the extended form.
                let guid = r.guid(at + 37);
                let tx = waiting.and_then(|at| self.txs.get_mut(at))?;
                let About::Negotiate {
                    dialects, server, ..
                } = &mut tx.about
                else {
                    return Some(());
                };
                *server = guid;
                match dialects.get(usize::from(index)) {
                    Some(dialect) => self.dialect1 = Some(dialect.clone()),
                    None => out.event(tx.id, "smb.negotiate_malformed_dialects"),
                }
            }
            TREE_CONNECT_ANDX => {
                let service = narrow(r, bytes_at(r, at)?)?;
                if let Some(tx) = waiting.and_then(|at| self.txs.get_mut(at))
                    && let About::Tree {
                        name,
                        pipe,
                        services,
                        ..
                    } = &mut tx.about
                {
                    *pipe = service == "IPC";
                    tx.tree = r.tree;
                    self.trees.put((r.session, r.tree), (name.clone(), *pipe));
                    services[1] = Some(service);
                }
            }
            NT_CREATE_ANDX => {
                let file = file(r, at + 6)?;
                if let Some(name) = self.opening.take(&r.message) {
                    self.names.put(file, name);
                }
                let opened = Opened {
                    file,
                    created: r.time(at + 12)?,
                    accessed: r.time(at + 20)?,
                    modified: r.time(at + 28)?,
                    changed: r.time(at + 36)?,
                    size: r.u64(at + 56)?,
                };
                if let Some(tx) = waiting.and_then(|at| self.txs.get_mut(at))
                    && let About::Create { opened: of, .. } = &mut tx.about
                {
                    *of = Some(opened);
                }
            }
            CLOSE => {
                if let Some(file) = self.closing.take(&r.message) {
                    self.close(Way::ToClient, file, None, out);
                }
            }
            TREE_DISCONNECT => {
                self.trees.take(&(r.session, r.tree));
            }
            SESSION_SETUP_ANDX => {
                const EXTENDED: u8 = 4;
                let start = bytes_at(r, at)?;
                let blob = if r.u8(at)? == EXTENDED {
                    usize::from(r.u16(at + 7)?)
                } else {
                    0
                };
                let host = hosts(r, start + blob);
                if let Some(tx) = waiting.and_then(|at| self.txs.get_mut(at))
                    && let About::Session { hosts, .. } = &mut tx.about
                {
                    hosts[1] = host;
                }
            }
            TRANS => self.trans_answered(r, at, out)?,
            _ => {}
        }
        Some(())
    }

    fn trans_answered(&mut self, r: &Record<'_>, at: usize, out: &mut Output) -> Option<()> {
        if r.u8(at)? == 0 {
            return Some(());
        }
        let bytes = r.part(usize::from(r.u16(at + 15)?), u64::from(r.u16(at + 13)?));
        if let Some(file) = self.asking.take(&r.message) {
            self.pipe(r, Way::ToClient, file, bytes, out);
        }
        Some(())
    }

    fn read1(&mut self, r: &Record<'_>, at: usize, out: &mut Output) -> Option<Option<Flowing>> {
        let length = u64::from(r.u16(at + 15)?) << 16 | u64::from(r.u16(at + 11)?);
        let start = usize::from(r.u16(at + 13)?);
        let Some((file, offset)) = self.reading.take(&r.message) else {
            return Some(None);
        };
        Some(self.data(r, Way::ToClient, file, (offset, length, start), out))
    }
}
