//! Records of SMB 2 and 3 (MS-SMB2 2.2).

use super::auth;
use super::names;
use super::state::{Flowing, MOST_DIALECTS, NAME_LIMIT, Record, State};
use super::transaction::{About, FileId, Opened};
use crate::app::{AppBuffer, Output, Way};

/// Bytes of a header.
pub(super) const HEADER: usize = 64;

const NEGOTIATE: u16 = 0;
const SESSION_SETUP: u16 = 1;
const TREE_CONNECT: u16 = 3;
const TREE_DISCONNECT: u16 = 4;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;
const WRITE: u16 = 9;
const IOCTL: u16 = 11;
const GET_INFO: u16 = 16;
const SET_INFO: u16 = 17;

const SUCCESS: u32 = 0;
const BUFFER_OVERFLOW: u32 = 0x8000_0005;
const END_OF_FILE: u32 = 0xc000_0011;

/// Sends to a pipe and reads its answer.
const PIPE_TRANSCEIVE: u32 = 0x0011_c017;

/// Most bytes that a server may offer to read or write at once without being told (Suricata's default).
const SIZE_LIMIT: u32 = 16 << 20;

/// Reads the header.
pub(super) fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let mut record = Record {
        version: 2,
        command: 0,
        status: 0,
        session: 0,
        tree: 0,
        message: 0,
        unicode: true,
        answer: false,
        bytes,
    };
    record.status = record.u32(8)?;
    record.command = record.u16(12)?;
    const ANSWER: u32 = 1;
    const ASYNC: u32 = 2;
    let flags = record.u32(16)?;
    record.answer = flags & ANSWER != 0;
    record.message = record.u64(24)?;
    record.tree = if flags & ASYNC == 0 {
        record.u32(36)?
    } else {
        0
    };
    record.session = record.u64(40)?;
    Some(record)
}

/// Text without its zero bytes, as Suricata takes it.
pub(super) fn text(bytes: &[u8]) -> Vec<u8> {
    let kept = bytes.iter().copied().filter(|&byte| byte != 0);
    kept.take(NAME_LIMIT).collect()
}

fn file(r: &Record<'_>, at: usize) -> Option<FileId> {
    r.guid(at).map(FileId::from_le_bytes)
}

impl State {
    /// What a client sends. What is cut short is told by an event.
    pub fn request2(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Flowing> {
        if r.command == WRITE {
            let written = self.write2(r, out);
            if written.is_none() {
                self.event("smb.malformed_data", out);
            }
            return written.flatten();
        }
        if self.request2_known(r, out).is_none() {
            self.asked(r, About::Command, out);
            self.event("smb.malformed_data", out);
        }
        None
    }

    fn request2_known(&mut self, r: &Record<'_>, out: &mut Output) -> Option<()> {
        match r.command {
            NEGOTIATE => {
                let count = usize::from(r.u16(66)?);
                let client = r.guid(76)?;
                let mut listed = (0..count).map_while(|at| r.u16(100 + 2 * at));
                let dialects = listed.by_ref().take(MOST_DIALECTS);
                let dialects = dialects.map(names::dialect).collect();
                out.dropped += listed.count() as u64;
                let about = About::Negotiate {
                    dialects,
                    client: Some(client),
                    server: None,
                };
                self.asked(r, about, out);
            }
            SESSION_SETUP => {
                let blob = r.part(usize::from(r.u16(76)?), u64::from(r.u16(78)?));
                let who = auth::ntlmssp(blob);
                let malformed = who.is_none() && auth::authenticates(blob);
                self.session(r, who, None, out);
                if malformed {
                    self.event("smb.malformed_ntlmssp_request", out);
                }
            }
            TREE_CONNECT => {
                let name = text(r.part(usize::from(r.u16(68)?), u64::from(r.u16(70)?)));
                let about = About::Tree {
                    name,
                    pipe: false,
                    services: [None, None],
                    kind: 0,
                    put: false,
                };
                self.begin(r, about, out);
            }
            TREE_DISCONNECT => {
                self.trees.take(&(r.session, r.tree));
                self.asked(r, About::Command, out);
            }
            CREATE => {
                let name = text(r.part(usize::from(r.u16(108)?), u64::from(r.u16(110)?)));
                self.opening.put(r.message, name.clone());
                let about = About::Create {
                    name,
                    disposition: r.u32(100)?,
                    options: r.u32(104)?,
                    opened: None,
                };
                self.asked(r, about, out);
            }
            CLOSE => {
                let file = file(r, 72)?;
                for way in Way::ALL {
                    self.close(way, file, Some(SUCCESS), out);
                }
                self.asked(r, About::Command, out);
            }
            READ => {
                let (length, offset) = (r.u32(68)?, r.u64(72)?);
                if self.max_read != 0 && length > self.max_read {
                    self.event("smb.read_request_too_large", out);
                } else {
                    self.reading.put(r.message, (file(r, 80)?, offset));
                }
            }
            IOCTL => {
                let (function, file) = (r.u32(68)?, file(r, 72)?);
                let at = usize::try_from(r.u32(88)?).ok()?;
                let bytes = r.part(at, u64::from(r.u32(92)?));
                if function == PIPE_TRANSCEIVE && self.looks_like_call(file, bytes) {
                    self.pipe(r, Way::ToServer, file, bytes, out);
                } else {
                    self.asked(r, About::Command, out);
                }
            }
            SET_INFO => self.set_info(r, out)?,
            GET_INFO => {}
            _ => {
                self.asked(r, About::Command, out);
            }
        }
        Some(())
    }

    /// A file is renamed, or marked for deletion.
    fn set_info(&mut self, r: &Record<'_>, out: &mut Output) -> Option<()> {
        const FILE_INFO: u8 = 1;
        const RENAME: u8 = 10;
        const DISPOSITION: u8 = 13;
        if r.u8(66)? != FILE_INFO {
            return Some(());
        }
        let (class, at, file) = (r.u8(67)?, usize::from(r.u16(72)?), file(r, 80)?);
        if class == RENAME {
            let to = text(r.part(at + 20, u64::from(r.u32(at + 16)?)));
            let from = self.names.get(&file).cloned();
            let from = from.unwrap_or_else(|| b"<unknown>".to_vec());
            self.asked(r, About::Rename { from, to, file }, out);
        } else if class == DISPOSITION {
            self.asked(r, About::Command, out);
        }
        Some(())
    }

    fn write2(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Option<Flowing>> {
        let (at, length, offset) = (r.u16(66)?, r.u32(68)?, r.u64(72)?);
        let file = file(r, 80)?;
        if self.max_write != 0 && length > self.max_write {
            self.event("smb.write_request_too_large", out);
            return Some(None);
        }
        let piece = (offset, u64::from(length), usize::from(at));
        Some(self.data(r, Way::ToServer, file, piece, out))
    }

    /// What a server sends.
    pub fn response2(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Flowing> {
        if r.command == READ {
            let read = self.read2(r, out);
            if read.is_none() {
                self.event("smb.malformed_data", out);
            }
            return read.flatten();
        }
        if r.status == SUCCESS && self.response2_known(r, out).is_none() {
            if let Some(tx) = self.waiting(r).and_then(|at| self.txs.get(at)) {
                out.event(tx.id, "smb.malformed_data");
            }
        } else if r.command == IOCTL && r.status == BUFFER_OVERFLOW {
            let _ = self.ioctl_answered(r, out);
        }
        self.answered(r, out);
        None
    }

    fn response2_known(&mut self, r: &Record<'_>, out: &mut Output) -> Option<()> {
        let waiting = self.waiting(r);
        match r.command {
            NEGOTIATE => {
                let (dialect, guid) = (r.u16(68)?, r.guid(72)?);
                let (read, write) = (r.u32(96)?, r.u32(100)?);
                if read > SIZE_LIMIT {
                    self.event("smb.negotiate_max_read_size_too_large", out);
                }
                if write > SIZE_LIMIT {
                    self.event("smb.negotiate_max_write_size_too_large", out);
                }
                self.dialect = Some(dialect);
                (self.max_read, self.max_write) = (read, write);
                // It may answer a negotiation that began with SMB 1.
                let asked = self
                    .txs
                    .iter()
                    .rposition(|tx| matches!(tx.about, About::Negotiate { .. }) && !tx.done[1]);
                if let Some(at) = waiting.or(asked)
                    && let Some(tx) = self.txs.get_mut(at)
                {
                    tx.status = Some(r.status);
                    if let About::Negotiate { server, .. } = &mut tx.about {
                        *server = Some(guid);
                    }
                    self.finish(at, Way::ToClient, out);
                }
            }
            TREE_CONNECT => {
                let share = r.u8(66)?;
                const PIPE: u8 = 2;
                if let Some(tx) = waiting.and_then(|at| self.txs.get_mut(at))
                    && let About::Tree {
                        name, pipe, kind, ..
                    } = &mut tx.about
                {
                    (*pipe, *kind) = (share == PIPE, share);
                    tx.tree = r.tree;
                    self.trees
                        .put((r.session, r.tree), (name.clone(), share == PIPE));
                }
            }
            CREATE => {
                let file = file(r, 128)?;
                if let Some(name) = self.opening.take(&r.message) {
                    self.names.put(file, name);
                }
                let opened = Opened {
                    file,
                    created: r.time(72)?,
                    accessed: r.time(80)?,
                    modified: r.time(88)?,
                    changed: r.time(96)?,
                    size: r.u64(112)?,
                };
                if let Some(tx) = waiting.and_then(|at| self.txs.get_mut(at))
                    && let About::Create { opened: of, .. } = &mut tx.about
                {
                    *of = Some(opened);
                }
            }
            IOCTL => self.ioctl_answered(r, out)?,
            _ => {}
        }
        Some(())
    }

    fn ioctl_answered(&mut self, r: &Record<'_>, out: &mut Output) -> Option<()> {
        let (function, file) = (r.u32(68)?, file(r, 72)?);
        let at = usize::try_from(r.u32(96)?).ok()?;
        let bytes = r.part(at, u64::from(r.u32(100)?));
        if function == PIPE_TRANSCEIVE {
            self.pipe(r, Way::ToClient, file, bytes, out);
        }
        Some(())
    }

    fn read2(&mut self, r: &Record<'_>, out: &mut Output) -> Option<Option<Flowing>> {
        if r.status == END_OF_FILE {
            if let Some((file, _)) = self.reading.take(&r.message) {
                self.close(Way::ToClient, file, Some(r.status), out);
            }
            return Some(None);
        }
        if r.status != SUCCESS && r.status != BUFFER_OVERFLOW {
            return Some(None);
        }
        let (at, length) = (r.u8(66)?, r.u32(68)?);
        if self.max_read != 0 && length > self.max_read {
            self.event("smb.read_response_too_large", out);
            return Some(None);
        }
        let Some((file, offset)) = self.reading.take(&r.message) else {
            return Some(None);
        };
        let piece = (offset, u64::from(length), usize::from(at));
        Some(self.data(r, Way::ToClient, file, piece, out))
    }

    /// A session is set up; what the client says of itself is for rules.
    pub fn session(
        &mut self,
        r: &Record<'_>,
        who: Option<auth::Ntlmssp>,
        host: Option<(String, String)>,
        out: &mut Output,
    ) {
        let at = out.begin();
        if let Some(who) = &who {
            out.put(at, Way::ToServer, AppBuffer::SmbNtlmsspUser, &who.user);
            out.put(at, Way::ToServer, AppBuffer::SmbNtlmsspDomain, &who.domain);
        }
        let about = About::Session {
            who,
            hosts: [host, None],
        };
        self.begin_as(at, r, about, out);
        self.finish(self.txs.len() - 1, Way::ToServer, out);
    }
}
