//! FTP (RFC 959, RFC 2428, RFC 4217): a transaction is a command and its replies.
//!
//! Like Suricata, this reads replies as lines: each line of a reply is an instance of `ftp.reply`. A transaction is over
//! with the last line of a reply that is not preliminary (`1yz`). Replies belong to the oldest command that has none.

mod command;
mod data;

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::lines::{Line, Lines};
use super::{AppBuffer, AppField, AppProto, Expected, Output, Parser, TxId, Way, level};

pub use data::FtpData;

/// Events that rules can ask for.
pub const EVENTS: &[&str] = &[
    "ftp.request_command_too_long",
    "ftp.response_command_too_long",
    "ftp.too_many_transactions",
];

/// The longest line of which all is looked at (Suricata's default `max-line-length`).
const LINE_LIMIT: usize = 4096;

/// Most commands that wait for a reply (Suricata's default `max-tx`).
const MOST_WAITING: usize = 1024;

/// Most lines of replies that a record shows, and most bytes of them.
const SHOWN_LINES: usize = 64;
const SHOWN_BYTES: usize = 8 * 1024;

/// The longest file name that is carried to the data connection.
const NAME_LIMIT: usize = 4096;

/// In [`Expected::hint`], beside the command: the file goes to the client of the data connection.
const TO_CLIENT: u64 = 1 << 8;

/// A command, while its transaction lives.
#[derive(Debug)]
struct Command {
    tx: TxId,
    /// `None` for replies that nobody asked for, like the greeting.
    name: Option<&'static str>,
    data: Vec<u8>,
    truncated: bool,
    codes: Vec<String>,
    replies: Vec<String>,
    shown: usize,
    reply_truncated: bool,
    port: u16,
    active: bool,
    done: bool,
    answered: bool,
}

/// Reads the control connection.
#[derive(Debug)]
pub struct Ftp {
    lines: [Lines; 2],
    /// In the order of their numbers.
    commands: VecDeque<Command>,
    /// So many of them, the first ones, are over.
    over: usize,
    /// The code of a reply of several lines (`220-`) whose last line is to come.
    within: Option<[u8; 3]>,
    /// What was agreed on for the next transfer, and that the client listens.
    port: u16,
    active: bool,
}

impl Default for Ftp {
    fn default() -> Self {
        Self {
            lines: [Lines::new(LINE_LIMIT), Lines::new(LINE_LIMIT)],
            commands: VecDeque::new(),
            over: 0,
            within: None,
            port: 0,
            active: false,
        }
    }
}

impl Ftp {
    fn begin(&mut self, name: Option<&'static str>, out: &mut Output) -> TxId {
        let tx = out.begin();
        self.commands.push_back(Command {
            tx,
            name,
            data: Vec::new(),
            truncated: false,
            codes: Vec::new(),
            replies: Vec::new(),
            shown: 0,
            reply_truncated: false,
            port: 0,
            active: false,
            done: false,
            answered: false,
        });
        tx
    }

    fn request(&mut self, line: &Line<'_>, out: &mut Output) {
        let Some(name) = command::command(&line.bytes) else {
            return;
        };
        if self.commands.len().saturating_sub(self.over) >= MOST_WAITING {
            if let Some(last) = self.commands.back() {
                out.event(last.tx, "ftp.too_many_transactions");
            }
            return;
        }
        let text = line.bytes.trim_ascii_end();
        let tx = self.begin(Some(name), out);
        out.put(tx, Way::ToServer, AppBuffer::FtpCommand, name.as_bytes());
        let data = text.get(name.len() + 1..).unwrap_or_default();
        if !data.is_empty() {
            out.put(tx, Way::ToServer, AppBuffer::FtpCommandData, data);
        }
        if line.truncated {
            out.event(tx, "ftp.request_command_too_long");
        }
        let address = match name {
            "PORT" => command::port(data).map(|(address, port)| (Some(address), port)),
            "EPRT" => command::extended_port(data),
            _ => None,
        };
        if let Some(command) = self.commands.back_mut() {
            command.data = data.to_vec();
            command.truncated = line.truncated;
            (command.port, command.active) = address.map_or((0, false), |(_, port)| (port, true));
        }
        if let Some((client, _)) = out.ends()
            && let Some((Some(address), _)) = address
            && address.is_ipv4() == client.0.is_ipv4()
            && address != client.0
        {
            out.number(tx, Way::ToServer, AppField::FtpBounce, 1);
        }
        if let "RETR" | "STOR" = name {
            self.transfer(name, data, out);
        }
        out.reach(tx, Way::ToServer, level::START);
    }

    /// The connection of a transfer is about to come.
    fn transfer(&mut self, name: &str, data: &[u8], out: &mut Output) {
        let Some((client, server)) = out.ends() else {
            return;
        };
        if self.port == 0 || data.is_empty() {
            return;
        }
        let retrieve = name == "RETR";
        // In active mode the server connects, and what it sends goes to the server of that connection.
        let to_client = self.active != retrieve;
        let (listens, connects) = if self.active {
            (client.0, server.0)
        } else {
            (server.0, client.0)
        };
        out.expect(Expected {
            server: (listens, self.port),
            client: connects,
            proto: AppProto::FtpData,
            hint: if retrieve { 1 } else { 2 } | if to_client { TO_CLIENT } else { 0 },
            name: data.get(..NAME_LIMIT).unwrap_or(data).to_vec(),
        });
        (self.port, self.active) = (0, false);
    }

    fn reply(&mut self, line: &Line<'_>, out: &mut Output) {
        let text = line.bytes.trim_ascii_end();
        if text.is_empty() {
            return;
        }
        if self.over >= self.commands.len() {
            self.begin(None, out);
        }
        let code = text
            .first_chunk::<3>()
            .filter(|code| code.iter().all(u8::is_ascii_digit));
        let follows = text.get(3).copied();
        let plain = code.filter(|_| follows == Some(b' '));
        let said = plain.map_or(text, |_| text.get(4..).unwrap_or_default());
        // Rules see text in which bytes that are no UTF-8 are replaced, as Suricata makes it.
        let said = String::from_utf8_lossy(said);
        let Some(command) = self.commands.get_mut(self.over) else {
            return;
        };
        let tx = command.tx;
        if let Some(code) = plain {
            out.put(tx, Way::ToClient, AppBuffer::FtpCompletionCode, code);
        }
        out.put(tx, Way::ToClient, AppBuffer::FtpReply, said.as_bytes());
        if line.truncated {
            out.event(tx, "ftp.response_command_too_long");
            command.reply_truncated = true;
        }
        if command.replies.len() < SHOWN_LINES && command.shown + said.len() <= SHOWN_BYTES {
            command.shown += said.len();
            if let Some(code) = plain {
                let code = String::from_utf8_lossy(code).into_owned();
                command.codes.push(code);
            }
            command.replies.push(said.into_owned());
        } else {
            out.dropped += 1;
        }
        let passive = match (command.name, plain) {
            (Some("PASV"), Some(b"227")) => command::passive(text),
            (Some("EPSV"), Some(b"229")) => command::extended_passive(text),
            _ => None,
        };
        if let Some(port) = passive {
            (command.port, command.active) = (port, false);
        }
        // The answer to PORT is not looked at: Suricata takes the port whatever the server says.
        if command.port != 0 {
            (self.port, self.active) = (command.port, command.active);
        }
        if command.name == Some("AUTH TLS") && plain == Some(b"234") {
            out.change_to(AppProto::Tls);
        }
        match (self.within, code, follows) {
            (None, Some(code), Some(b'-')) => self.within = Some(*code),
            (Some(begun), Some(code), Some(b' ') | None) if begun == *code => self.within = None,
            _ => {}
        }
        let preliminary = code.is_some_and(|code| code.starts_with(b"1"));
        if self.within.is_none() && !preliminary {
            self.finish(true, out);
        }
    }

    /// The oldest command that is not over is: it was answered, or never will be.
    fn finish(&mut self, answered: bool, out: &mut Output) {
        let Some(command) = self.commands.get_mut(self.over) else {
            return;
        };
        self.over += 1;
        (command.done, command.answered) = (true, answered);
        let tx = command.tx;
        if command.name.is_some() {
            let received = u64::from(answered);
            out.number(tx, Way::ToClient, AppField::FtpReplyReceived, received);
            if command.port != 0 {
                for way in Way::ALL {
                    let port = u64::from(command.port);
                    out.number(tx, way, AppField::FtpDynamicPort, port);
                    let mode = if command.active { 1 } else { 2 };
                    out.number(tx, way, AppField::FtpMode, mode);
                }
            }
        }
        out.finish(tx);
        if out.logs() {
            out.log(Way::ToServer, "ftp", command.fields());
        }
    }
}

impl Command {
    fn fields(&self) -> Value {
        let mut fields = Map::new();
        if let Some(name) = self.name {
            fields.insert("command".into(), name.into());
            if !self.data.is_empty() {
                let data = String::from_utf8_lossy(&self.data);
                fields.insert("command_data".into(), data.into());
                fields.insert("command_truncated".into(), self.truncated.into());
            }
        }
        if !self.codes.is_empty() {
            fields.insert("completion_code".into(), json!(self.codes));
        }
        if !self.replies.is_empty() {
            fields.insert("reply".into(), json!(self.replies));
        }
        if self.port != 0 {
            fields.insert("dynamic_port".into(), self.port.into());
        }
        if let Some("PORT" | "EPRT") = self.name {
            let mode = if self.active { "active" } else { "passive" };
            fields.insert("mode".into(), mode.into());
        }
        let received = if self.answered { "yes" } else { "no" };
        fields.insert("reply_received".into(), received.into());
        fields.insert("reply_truncated".into(), self.reply_truncated.into());
        fields.into()
    }
}

impl Parser for Ftp {
    fn proto(&self) -> AppProto {
        AppProto::Ftp
    }

    fn data(&mut self, way: Way, mut data: &[u8], out: &mut Output) {
        // A command whose transaction gave way is still answered.
        while self.over > 0
            && let Some(first) = self.commands.front()
            && out.get(first.tx).is_none()
        {
            self.commands.pop_front();
            self.over -= 1;
        }
        loop {
            // Taken out so that what a line says can change the rest of the state.
            let lines = &mut self.lines[way as usize];
            let Some(line) = lines.next(&mut data) else {
                break;
            };
            match way {
                Way::ToServer => self.request(&line, out),
                Way::ToClient => self.reply(&line, out),
            }
        }
    }

    fn gap(&mut self, way: Way, _: &mut Output) {
        self.lines[way as usize].gap();
        if way == Way::ToClient {
            self.within = None;
        }
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if way == Way::ToClient {
            while self.over < self.commands.len() {
                let answered = self.within.take().is_some();
                self.finish(answered, out);
            }
        }
    }

    fn describe(&self, tx: TxId, _: &Output) -> Option<(&'static str, Value)> {
        let command = self.commands.iter().find(|of| of.tx == tx)?;
        Some(("ftp", command.fields()))
    }

    fn memory(&self) -> usize {
        let lines: usize = self.lines.iter().map(Lines::memory).sum();
        let commands = self.commands.iter().map(|of| of.data.len() + of.shown);
        lines + commands.sum::<usize>() + self.commands.len() * size_of::<Command>()
    }
}

#[cfg(test)]
mod tests;
