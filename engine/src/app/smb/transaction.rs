//! What SMB has for a transaction: a command with its answer, a file in one direction, or a DCE/RPC call.

use serde_json::{Map, Value, json};

use super::auth::Ntlmssp;
use super::file::Transfer;
use super::names;
use crate::app::dcerpc::pdu::{Interfaces, kind, kind_name};
use crate::app::{TxId, Way};

/// A file: 16 bytes of SMB 2; of SMB 1, two bytes and who opened it.
pub(super) type FileId = u128;

/// A file's number as text, as Suricata writes it.
fn file_text(version: u8, file: FileId) -> String {
    let bytes = file.to_le_bytes();
    if version == 1 {
        return format!("{:02x}{:02x}", bytes[1], bytes[0]);
    }
    guid_text(&bytes)
}

/// A GUID as text, as Suricata writes it.
pub(super) fn guid_text(guid: &[u8; 16]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 9, 8, 11, 10, 15, 14, 13, 12];
    let mut text = String::with_capacity(36);
    for (at, index) in ORDER.into_iter().enumerate() {
        if let 4 | 6 | 8 | 10 = at {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", guid[index]));
    }
    text
}

/// A file's size, and when what happened to it (seconds since the Unix epoch).
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub file: FileId,
    pub size: u64,
    pub created: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
}

/// What a transaction is about.
#[derive(Debug)]
pub(super) enum About {
    Command,
    Negotiate {
        dialects: Vec<String>,
        client: Option<[u8; 16]>,
        server: Option<[u8; 16]>,
    },
    Session {
        who: Option<Ntlmssp>,
        /// Operating system and LAN manager of client and server (SMB 1).
        hosts: [Option<(String, String)>; 2],
    },
    Tree {
        name: Vec<u8>,
        pipe: bool,
        /// What the client asks for and the server says (SMB 1).
        services: [Option<String>; 2],
        kind: u8,
        /// Rules have seen it as a share.
        put: bool,
    },
    Create {
        name: Vec<u8>,
        disposition: u32,
        options: u32,
        opened: Option<Opened>,
    },
    Rename {
        from: Vec<u8>,
        to: Vec<u8>,
        file: FileId,
    },
    File {
        file: FileId,
        name: Vec<u8>,
        share: Vec<u8>,
        transfer: Transfer,
    },
    Call(Call),
}

/// A DCE/RPC call over a pipe.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub call: u32,
    pub context: u16,
    pub opnum: u16,
    pub kinds: [Option<u8>; 2],
    pub stubs: [Vec<u8>; 2],
    pub sizes: [usize; 2],
    pub fragments: [u32; 2],
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Tx {
    pub id: TxId,
    pub version: u8,
    pub command: u16,
    pub session: u64,
    pub tree: u32,
    pub message: u64,
    pub status: Option<u32>,
    pub about: About,
    pub done: [bool; 2],
}

impl Tx {
    /// Its file, while it is open.
    pub fn transfer(&mut self, way: Way, of: FileId) -> Option<&mut Transfer> {
        match &mut self.about {
            About::File { file, transfer, .. }
                if *file == of && transfer.way == way && !self.done[way as usize] =>
            {
                Some(transfer)
            }
            _ => None,
        }
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.about {
                About::Negotiate { dialects, .. } => {
                    let dialects = dialects.iter();
                    dialects.map(|of| size_of::<String>() + of.len()).sum()
                }
                About::Tree { name, services, .. } => {
                    name.len() + services.iter().flatten().map(String::len).sum::<usize>()
                }
                About::Create { name, .. } => name.len(),
                About::Session { who, hosts } => {
                    let hosts = hosts.iter().flatten();
                    let hosts: usize = hosts.map(|(os, manager)| os.len() + manager.len()).sum();
                    who.as_ref().map_or(0, Ntlmssp::memory) + hosts
                }
                About::Rename { from, to, .. } => from.len() + to.len(),
                About::File {
                    name,
                    share,
                    transfer,
                    ..
                } => name.len() + share.len() + transfer.memory(),
                About::Call(call) => call.stubs.iter().map(Vec::capacity).sum(),
                About::Command => 0,
            }
    }
}

/// What records need to know of the connection.
pub(super) struct Common<'a> {
    pub dialect: String,
    pub max_read: u32,
    pub max_write: u32,
    pub interfaces: &'a Interfaces,
}

impl Tx {
    /// The `smb` object.
    pub fn fields(&self, common: &Common<'_>) -> Value {
        let mut fields = Map::new();
        fields.insert("id".into(), (self.id + 1).into());
        fields.insert("dialect".into(), common.dialect.clone().into());
        let command = if self.version == 1 {
            names::command1(self.command)
        } else {
            names::command2(self.command)
        };
        fields.insert("command".into(), command.into());
        if let Some(status) = self.status {
            fields.insert("status".into(), names::status(status).into());
            fields.insert("status_code".into(), format!("0x{status:x}").into());
        }
        fields.insert("session_id".into(), self.session.into());
        fields.insert("tree_id".into(), self.tree.into());
        self.detail(common, &mut fields);
        fields.into()
    }

    fn detail(&self, common: &Common<'_>, fields: &mut Map<String, Value>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut put = |name: &str, value: Value| fields.insert(name.into(), value);
        match &self.about {
            About::Command => {}
            About::Negotiate {
                dialects,
                client,
                server,
            } => {
                put("client_dialects", json!(dialects));
                if let Some(client) = client {
                    put("client_guid", guid_text(client).into());
                }
                put(
                    "server_guid",
                    server.as_ref().map(guid_text).unwrap_or_default().into(),
                );
                if common.max_read > 0 {
                    put("max_read_size", common.max_read.into());
                }
                if common.max_write > 0 {
                    put("max_write_size", common.max_write.into());
                }
            }
            About::Session { who, hosts } => {
                if let Some(who) = who {
                    put("ntlmssp", who.fields());
                }
                for (name, host) in ["request", "response"].into_iter().zip(hosts) {
                    if let Some((os, manager)) = host {
                        put(name, json!({"native_os": os, "native_lm": manager}));
                    }
                }
            }
            About::Tree {
                name,
                pipe,
                services,
                kind,
                ..
            } => {
                let what = if *pipe { "named_pipe" } else { "share" };
                put(what, text(name).into());
                if self.version == 1 {
                    let mut service = Map::new();
                    for (name, of) in ["request", "response"].into_iter().zip(services) {
                        if let Some(of) = of {
                            service.insert(name.into(), of.clone().into());
                        }
                    }
                    put("service", service.into());
                } else {
                    let kind = match kind {
                        1 => "FILE",
                        2 => "PIPE",
                        3 => "PRINT",
                        _ => "UNKNOWN",
                    };
                    put("share_type", kind.into());
                }
            }
            About::Create {
                name,
                disposition,
                options,
                opened,
            } => {
                const DIRECTORY: u32 = 1;
                const DELETE_ON_CLOSE: u32 = 0x1000;
                if name.is_empty() {
                    put("filename", "<share_root>".into());
                } else if options & DIRECTORY != 0 {
                    put("directory", text(name).into());
                } else {
                    put("filename", text(name).into());
                }
                put("disposition", names::disposition(*disposition).into());
                let deleted = options & DELETE_ON_CLOSE != 0;
                put(
                    "access",
                    if deleted { "delete on close" } else { "normal" }.into(),
                );
                let nothing = Opened::default();
                let of = opened.as_ref().unwrap_or(&nothing);
                put("created", of.created.into());
                put("accessed", of.accessed.into());
                put("modified", of.modified.into());
                put("changed", of.changed.into());
                put("size", of.size.into());
                let file = opened.as_ref().map(|of| file_text(self.version, of.file));
                put("fuid", file.unwrap_or_default().into());
            }
            About::Rename { from, to, file } => {
                if self.version == 2 {
                    put(
                        "set_info",
                        json!({"class": "FILE_INFO", "info_level": "SMB2_FILE_RENAME_INFO"}),
                    );
                }
                put("rename", json!({"from": text(from), "to": text(to)}));
                put("fuid", file_text(self.version, *file).into());
            }
            About::File {
                file, name, share, ..
            } => {
                put("filename", text(name).into());
                put("share", text(share).into());
                put("fuid", file_text(self.version, *file).into());
            }
            About::Call(call) => {
                put("dcerpc", call.fields(common.interfaces));
            }
        }
    }
}

impl Call {
    fn fields(&self, interfaces: &Interfaces) -> Value {
        let [asked, answered] = self.kinds;
        let name = |of: Option<u8>, none: &str| of.map_or_else(|| none.to_owned(), kind_name);
        let mut fields = json!({
            "request": name(asked, "REQUEST_LOST"), "response": name(answered, "UNREPLIED"),
        });
        let part = |way: usize| json!({"frag_cnt": self.fragments[way], "stub_data_size": self.sizes[way]});
        let list = |all: bool, acks: bool| {
            let fits = |context: u16| all || context == self.context;
            let of = interfaces.iter().filter(|of| fits(of.context)).map(|of| {
                let version = format!("{}.{}", of.version, of.minor);
                let mut entry = json!({"uuid": of.text(), "version": version});
                if let (true, Some(result)) = (acks, of.result) {
                    entry["ack_result"] = result.into();
                }
                entry
            });
            of.collect::<Vec<_>>()
        };
        match asked {
            Some(kind::REQUEST) => {
                fields["opnum"] = self.opnum.into();
                fields["req"] = part(0);
                let list = list(false, false);
                if !list.is_empty() {
                    fields["interfaces"] = list.into();
                }
            }
            Some(kind::BIND) => fields["interfaces"] = list(true, true).into(),
            _ => {}
        }
        if answered == Some(kind::RESPONSE) {
            fields["res"] = part(1);
        }
        fields["call_id"] = self.call.into();
        fields
    }
}
