//! SMTP (RFC 5321, RFC 3207, RFC 3030, RFC 2920): a transaction is a mail, with the commands that lead to it.
//!
//! Like Suricata, this looks into mails that `DATA` sends, not into those of `BDAT`, and takes lines as they are: dots
//! that were doubled stay doubled.

mod decode;
mod header;
mod mail;
mod mime;
mod url;
mod words;

use std::collections::VecDeque;

use serde_json::Value;

use super::lines::{Line, Lines};
use super::{AppBuffer, AppProto, FileState, Output, Parser, TxId, Way, level};
use mail::Mail;
use mime::Mime;
use words::{CODES, Verb, argument};

pub use words::EVENTS;

/// Longest line of commands, replies and headers (Suricata's limit).
const LINE_LIMIT: usize = 4096;

/// Most commands that wait for a reply; further ones are not matched with theirs.
const MOST_COMMANDS: usize = 4096;

/// Most recipients of a mail that are kept.
const MOST_RECIPIENTS: usize = 1024;

/// The bytes that ended a line ([`Line::ending`]).
fn ending(ending: u8) -> &'static [u8] {
    match ending {
        0 => b"",
        1 => b"\n",
        _ => b"\r\n",
    }
}

/// What the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Commands,
    Mail,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
}

/// Reads SMTP.
#[derive(Debug)]
pub struct Smtp {
    lines: [Lines; 2],
    mode: Mode,
    helo: Option<Vec<u8>>,
    /// The last one is at hand.
    mails: VecDeque<Mail>,
    waiting: VecDeque<Verb>,
    /// Within a reply of several lines.
    multiline: bool,
    welcomed: bool,
    pipelining: bool,
    /// A chunk ended within a line.
    chunk_cut: bool,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            lines: [Lines::new(LINE_LIMIT), Lines::new(LINE_LIMIT)],
            mode: Mode::Commands,
            helo: None,
            mails: VecDeque::new(),
            waiting: VecDeque::new(),
            multiline: false,
            welcomed: false,
            pipelining: false,
            chunk_cut: false,
        }
    }
}

impl Smtp {
    fn open(&mut self) -> Option<&mut Mail> {
        self.mails.back_mut().filter(|mail| !mail.done)
    }

    fn event(&mut self, event: &'static str, out: &mut Output) {
        if let Some(mail) = self.mails.back() {
            out.event(mail.tx, event);
        }
    }

    fn begin(&mut self, out: &mut Output) {
        let tx = out.begin();
        if let Some(helo) = &self.helo {
            out.put(tx, Way::ToServer, AppBuffer::SmtpHelo, helo);
        }
        self.mails.push_back(Mail {
            tx,
            from: None,
            to: Vec::new(),
            mime: None,
            reset: false,
            done: false,
        });
    }

    /// The mail at hand is over.
    fn finish(&mut self, state: FileState, out: &mut Output) {
        let Some(mail) = self.mails.back_mut().filter(|mail| !mail.done) else {
            return;
        };
        mail.done = true;
        if let Some(mime) = &mut mail.mime {
            mime.complete(mail.tx, state, out);
        }
        out.finish(mail.tx);
        if out.logs() {
            let email = mail
                .mime
                .as_ref()
                .map(|mime| ("email", mime.describe(true)));
            let fields = mail.fields(self.helo.as_deref());
            out.log_with(Way::ToServer, "smtp", fields, email);
        }
    }

    fn wait(&mut self, verb: Verb, out: &mut Output) {
        if let Some(Verb::StartTls | Verb::Data) = self.waiting.back() {
            self.event("smtp.invalid_pipelined_sequence", out);
        }
        if self.waiting.len() < MOST_COMMANDS {
            self.waiting.push_back(verb);
        } else {
            out.dropped += 1;
        }
    }

    fn request(&mut self, line: &Line<'_>, out: &mut Output) {
        let text = &line.bytes[..];
        let is = |command: &str| {
            let head = text.get(..command.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(command.as_bytes()))
        };
        // RSET and QUIT belong to what was before.
        if self.open().is_none() && (self.mails.is_empty() || !(is("rset") || is("quit"))) {
            self.begin(out);
        }
        if !self.welcomed {
            self.event("smtp.no_server_welcome_message", out);
        }
        if line.truncated {
            self.event("smtp.truncated_line", out);
        }
        if std::mem::take(&mut self.chunk_cut) {
            self.event("smtp.bdat_chunk_len_exceeded", out);
        }
        let mut verb = Verb::Other;
        if is("starttls") {
            verb = Verb::StartTls;
        } else if is("data") {
            verb = Verb::Data;
            self.data_begins(out);
        } else if is("bdat") {
            let size = std::str::from_utf8(argument(text, 4)).ok();
            let size = size.and_then(|size| size.parse().ok());
            if let (Some(size), Some(b' ')) = (size, text.get(4)) {
                verb = Verb::Bdat;
                if size > 0 {
                    self.mode = Mode::Chunk(size);
                }
                if let Some(mail) = self.open() {
                    out.reach(mail.tx, Way::ToServer, level::START);
                }
            }
        } else if is("helo") || is("ehlo") {
            if self.helo.is_some() {
                self.event("smtp.duplicate_fields", out);
            } else {
                let helo = argument(text, 5).to_vec();
                if let Some(mail) = self.open() {
                    out.put(mail.tx, Way::ToServer, AppBuffer::SmtpHelo, &helo);
                }
                self.helo = Some(helo);
            }
        } else if is("mail from") {
            if self.open().is_some_and(|mail| mail.reset) {
                // The client does not wait for the answer.
                self.finish(FileState::Truncated, out);
                self.begin(out);
            }
            let from = argument(text, 10).to_vec();
            match self.open() {
                Some(mail) if mail.from.is_none() => {
                    out.put(mail.tx, Way::ToServer, AppBuffer::SmtpMailFrom, &from);
                    mail.from = Some(from);
                }
                _ => self.event("smtp.duplicate_fields", out),
            }
        } else if is("rcpt to") {
            let to = argument(text, 8).to_vec();
            match self.open() {
                Some(mail) if mail.to.len() < MOST_RECIPIENTS => {
                    out.put(mail.tx, Way::ToServer, AppBuffer::SmtpRcptTo, &to);
                    mail.to.push(to);
                }
                _ => out.dropped += 1,
            }
        } else if is("rset") {
            verb = Verb::Reset;
            if let Some(mail) = self.open() {
                mail.reset = true;
            }
        }
        self.wait(verb, out);
    }

    /// A mail follows, if the server lets it.
    fn data_begins(&mut self, out: &mut Output) {
        let again = self.open().is_some_and(|mail| mail.mime.is_some());
        if again {
            // The end of the mail before was not seen.
            self.event("smtp.unparsable_content", out);
            self.finish(FileState::Truncated, out);
            self.begin(out);
        }
        let mime = Mime::new(out);
        if let Some(mail) = self.open() {
            mail.mime = Some(mime);
            out.reach(mail.tx, Way::ToServer, level::START);
        }
        if self.pipelining {
            self.mode = Mode::Mail;
        }
    }

    fn mail_line(&mut self, line: &Line<'_>, out: &mut Output) {
        if line.begins && line.ending > 0 && &line.bytes[..] == b"." {
            self.mode = Mode::Commands;
            self.wait(Verb::Mail, out);
            self.finish(FileState::Closed, out);
            return;
        }
        let Some(mail) = self.open() else { return };
        let tx = mail.tx;
        if let Some(mime) = &mut mail.mime {
            if mime.in_headers() && line.ending == 0 {
                out.event(tx, "smtp.truncated_line");
            }
            mime.line(tx, line, out);
        }
    }

    fn reply(&mut self, line: &Line<'_>, out: &mut Output) {
        let text = &line.bytes[..];
        if text.is_empty() {
            return;
        }
        if line.truncated {
            self.event("smtp.truncated_line", out);
        }
        let code = text
            .get(..3)
            .and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| code.parse::<u16>().ok());
        self.multiline = text.get(3) == Some(&b'-');
        let Some(code) = code.filter(|code| CODES.contains(code)) else {
            self.event("smtp.invalid_reply", out);
            return;
        };
        let Some(&verb) = self.waiting.front() else {
            if !self.welcomed {
                self.welcomed = !self.multiline;
                if code != 220 {
                    self.event("smtp.invalid_reply", out);
                }
            }
            return;
        };
        match verb {
            Verb::StartTls if code == 220 => {
                out.change_to(AppProto::Tls);
                self.finish(FileState::Closed, out);
            }
            Verb::StartTls => self.event("smtp.tls_rejected", out),
            Verb::Data if code == 354 => {
                let begun = self.open().is_some_and(|mail| mail.mime.is_some());
                self.mode = if begun { Mode::Mail } else { self.mode };
            }
            Verb::Data => {
                self.event("smtp.data_command_rejected", out);
                // Where nothing of it came yet, nothing will.
                if !self.multiline
                    && let Some(mail) = self.open()
                    && mail.mime.as_ref().is_some_and(Mime::is_untouched)
                {
                    mail.mime = None;
                    self.mode = Mode::Commands;
                }
            }
            Verb::Reset
                if code == 250 && !self.multiline && self.open().is_some_and(|mail| mail.reset) =>
            {
                self.finish(FileState::Truncated, out);
            }
            _ => {}
        }
        if !self.multiline {
            self.waiting.pop_front();
        }
        let offered = text.get(4..).unwrap_or_default();
        if self.welcomed && code == 250 && offered.eq_ignore_ascii_case(b"pipelining") {
            self.pipelining = true;
        }
    }

    /// Bytes of a chunk, which nobody looks into.
    fn chunk(&mut self, left: u64, data: &mut &[u8]) {
        let taken = usize::try_from(left).map_or(data.len(), |left| left.min(data.len()));
        let (head, rest) = data.split_at(taken);
        *data = rest;
        let left = left.saturating_sub(taken as u64);
        self.mode = if left > 0 {
            Mode::Chunk(left)
        } else {
            self.chunk_cut = head.last() != Some(&b'\n');
            Mode::Commands
        };
    }
}

impl Parser for Smtp {
    fn proto(&self) -> AppProto {
        AppProto::Smtp
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        // The last one is kept: RSET and QUIT belong to it.
        while self.mails.len() > 1
            && self
                .mails
                .front()
                .is_some_and(|mail| mail.done && out.get(mail.tx).is_none())
        {
            self.mails.pop_front();
        }
        if way == Way::ToClient {
            while let Some(line) = self.lines[way as usize].next(&mut data) {
                self.reply(&line, out);
            }
            return;
        }
        loop {
            let lines = &mut self.lines[way as usize];
            match self.mode {
                Mode::Chunk(_) if data.is_empty() => break,
                Mode::Chunk(left) => self.chunk(left, &mut data),
                Mode::Mail => match lines.piece(&mut data) {
                    Some(line) => self.mail_line(&line, out),
                    None => break,
                },
                Mode::Commands => match lines.next(&mut data) {
                    Some(line) => self.request(&line, out),
                    None => break,
                },
            }
        }
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        self.lines[way as usize].gap();
        if way == Way::ToServer
            && let Some(mail) = self.open()
        {
            let tx = mail.tx;
            if let Some(mime) = &mut mail.mime {
                mime.gap(tx, out);
            }
        }
    }

    fn gap_of(&mut self, way: Way, missing: u64, out: &mut Output) {
        if way == Way::ToServer
            && let Mode::Chunk(left) = self.mode
        {
            self.mode = match left.saturating_sub(missing) {
                0 => Mode::Commands,
                left => Mode::Chunk(left),
            };
            if missing <= left {
                return;
            }
        }
        self.gap(way, out);
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if way == Way::ToServer {
            self.finish(FileState::Truncated, out);
        }
    }

    fn describe(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        let mail = self.mails.iter().find(|mail| mail.tx == tx)?;
        Some(("smtp", mail.fields(self.helo.as_deref())))
    }

    fn describe_more(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        let mail = self.mails.iter().find(|mail| mail.tx == tx)?;
        Some(("email", mail.mime.as_ref()?.describe(mail.done)))
    }

    fn memory(&self) -> usize {
        let mails = self.mails.iter().map(|mail| {
            let to = mail.to.iter().map(|to| size_of::<Vec<u8>>() + to.len());
            let to: usize = to.sum();
            size_of::<Mail>()
                + to
                + mail.from.as_ref().map_or(0, Vec::len)
                + mail.mime.as_ref().map_or(0, Mime::memory)
        });
        let lines: usize = self.lines.iter().map(Lines::memory).sum();
        let helo = self.helo.as_ref().map_or(0, Vec::len);
        mails.sum::<usize>() + lines + helo + self.waiting.capacity()
    }
}

#[cfg(test)]
mod tests;
