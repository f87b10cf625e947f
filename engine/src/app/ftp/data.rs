//! Data connections of FTP: each is one file.

use serde_json::json;

use super::TO_CLIENT;
use crate::app::{AppField, AppProto, FileState, Output, Parser, TxId, Way, level};

/// A data connection that a `RETR` or `STOR` announced. Its bytes in the direction that was announced are a file; what
/// goes the other way is dropped.
#[derive(Debug)]
pub struct FtpData {
    /// 1 `RETR`, 2 `STOR`.
    command: u64,
    way: Way,
    name: Vec<u8>,
    file: Option<(TxId, usize)>,
    /// Bytes are missing before the first that came.
    lost: bool,
    over: bool,
}

impl FtpData {
    /// What [`Expected::hint`](crate::app::Expected) said.
    pub fn new(hint: u64) -> Self {
        Self {
            command: hint & 0xff,
            way: Way::of(usize::from(hint & TO_CLIENT != 0)),
            name: Vec::new(),
            file: None,
            lost: false,
            over: false,
        }
    }

    fn command(&self) -> &'static str {
        match self.command {
            1 => "RETR",
            2 => "STOR",
            _ => "",
        }
    }

    fn fields(&self) -> serde_json::Value {
        json!({
            "filename": String::from_utf8_lossy(&self.name),
            "command": self.command(),
        })
    }
}

impl Parser for FtpData {
    fn proto(&self) -> AppProto {
        AppProto::FtpData
    }

    fn announced(&mut self, name: &[u8]) {
        self.name = name.to_vec();
    }

    fn data(&mut self, way: Way, data: &[u8], out: &mut Output) {
        if way != self.way || self.over || data.is_empty() {
            return;
        }
        let (tx, file) = match self.file {
            Some(open) => open,
            None => {
                let tx = out.begin();
                for way in Way::ALL {
                    out.number(tx, way, AppField::FtpDataCommand, self.command);
                }
                let open = (tx, out.open_file(tx, way, &self.name));
                self.file = Some(open);
                if self.lost {
                    out.file_gap(open.0, open.1);
                }
                out.reach(tx, way, level::START);
                out.reach(tx, way.other(), level::DONE);
                open
            }
        };
        out.file_data(tx, file, data);
    }

    fn gap(&mut self, way: Way, out: &mut Output) {
        match self.file {
            _ if way != self.way => {}
            Some((tx, file)) => out.file_gap(tx, file),
            None => self.lost = true,
        }
    }

    fn end(&mut self, way: Way, out: &mut Output) {
        if way != self.way || self.over {
            return;
        }
        self.over = true;
        if let Some((tx, file)) = self.file {
            out.close_file(tx, file, FileState::Closed);
            out.finish(tx);
            out.log(way, "ftp_data", self.fields());
        }
    }

    fn describe(&self, _: TxId, _: &Output) -> Option<(&'static str, serde_json::Value)> {
        Some(("ftp_data", self.fields()))
    }

    fn memory(&self) -> usize {
        self.name.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::AppBuffer;

    #[test]
    fn a_connection_is_a_file_in_one_direction() {
        let mut out = Output::everything();
        let mut parser = FtpData::new(1 | TO_CLIENT);
        parser.announced(b"a.txt");
        parser.data(Way::ToServer, b"not this", &mut out);
        parser.data(Way::ToClient, b"hel", &mut out);
        parser.data(Way::ToClient, b"lo", &mut out);
        parser.end(Way::ToClient, &mut out);
        let tx = out.get(0).expect("a transaction");
        assert!(tx.is_done());
        let data: Vec<_> = tx.buffers(Way::ToClient, AppBuffer::FileData).collect();
        assert_eq!(data, [b"hello"]);
        let name: Vec<_> = tx.buffers(Way::ToClient, AppBuffer::FileName).collect();
        assert_eq!(name, [b"a.txt"]);
        let command = |way| {
            tx.numbers(way, AppField::FtpDataCommand)
                .collect::<Vec<_>>()
        };
        assert_eq!(command(Way::ToServer), [1]);
        assert_eq!(command(Way::ToClient), [1]);
        let (kind, fields) = parser.describe(0, &out).expect("an object");
        assert_eq!(kind, "ftp_data");
        assert_eq!(fields["filename"], "a.txt");
        assert_eq!(fields["command"], "RETR");
    }

    #[test]
    fn a_file_whose_beginning_is_missing_has_a_gap() {
        let mut out = Output::everything();
        let mut parser = FtpData::new(2);
        parser.gap(Way::ToServer, &mut out);
        parser.data(Way::ToServer, b"rest", &mut out);
        parser.end(Way::ToServer, &mut out);
        let tx = out.get(0).expect("a transaction");
        assert!(tx.files()[0].gaps());
        let hash = tx.buffers(Way::ToServer, AppBuffer::FileSha256).next();
        assert_eq!(hash, None);
    }

    #[test]
    fn a_connection_without_data_is_nothing() {
        let mut out = Output::everything();
        let mut parser = FtpData::new(2);
        parser.gap(Way::ToServer, &mut out);
        parser.end(Way::ToServer, &mut out);
        assert_eq!(out.transactions().count(), 0);
    }
}
