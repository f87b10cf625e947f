//! What rules and records see of a mail: its headers, attachments and links.

use serde_json::{Map, Value, json};

use super::Mime;
use crate::app::{AppBuffer, Output, TxId, Way};

impl Mime {
    /// Headers of the mail by this name, in small letters.
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let main = self.main.unwrap_or(self.headers.len());
        let headers = self.headers.iter().take(main);
        let named = headers.filter(move |of| of.0.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| &value[..])
    }

    pub(super) fn put_headers(&self, tx: TxId, out: &mut Output) {
        const SINGLE: &[(AppBuffer, &str)] = &[
            (AppBuffer::EmailFrom, "from"),
            (AppBuffer::EmailSubject, "subject"),
            (AppBuffer::EmailTo, "to"),
            (AppBuffer::EmailCc, "cc"),
            (AppBuffer::EmailDate, "date"),
            (AppBuffer::EmailMessageId, "message-id"),
            (AppBuffer::EmailXMailer, "x-mailer"),
        ];
        for &(buffer, name) in SINGLE {
            if let Some(value) = self.named(name).next() {
                out.put(tx, Way::ToServer, buffer, value);
            }
        }
        for value in self.named("received") {
            out.put(tx, Way::ToServer, AppBuffer::EmailReceived, value);
        }
    }

    /// The `email` object.
    pub fn describe(&self, complete: bool) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = Map::new();
        let status = match (complete, self.body) {
            (true, _) => "PARSE_DONE",
            (false, true) => "BODY_STARTED",
            (false, false) => "HEADER_STARTED",
        };
        fields.insert("status".into(), status.into());
        if let Some(from) = self.named("from").next() {
            fields.insert("from".into(), text(from).into());
        }
        for name in ["to", "cc"] {
            if let Some(list) = self.named(name).next() {
                let parts = list
                    .split(|&byte| byte == b',')
                    .map(|part| text(part.trim_ascii_start()));
                fields.insert(name.into(), parts.collect::<Vec<_>>().into());
            }
        }
        if !self.attachments.is_empty() {
            let names: Vec<_> = self.attachments.iter().map(|name| text(name)).collect();
            fields.insert("attachment".into(), json!(names));
        }
        if !self.urls.found().is_empty() {
            let urls: Vec<_> = self
                .urls
                .found()
                .iter()
                .rev()
                .map(|url| text(url))
                .collect();
            fields.insert("url".into(), json!(urls));
        }
        fields.into()
    }
}
