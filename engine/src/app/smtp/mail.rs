//! A mail in a session: who sends it to whom.

use serde_json::{Map, Value, json};

use super::mime::Mime;
use crate::app::TxId;

/// A mail, while its transaction lives.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) tx: TxId,
    pub(super) from: Option<Vec<u8>>,
    pub(super) to: Vec<Vec<u8>>,
    pub(super) mime: Option<Mime>,
    /// The client takes it back; what begins after that is another one.
    pub(super) reset: bool,
    pub(super) done: bool,
}

impl Mail {
    /// The `smtp` object; `helo` is who the client says that it is.
    pub(super) fn fields(&self, helo: Option<&[u8]>) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = Map::new();
        if let Some(helo) = helo {
            fields.insert("helo".into(), text(helo).into());
        }
        if let Some(from) = &self.from {
            fields.insert("mail_from".into(), text(from).into());
        }
        if !self.to.is_empty() {
            let to: Vec<_> = self.to.iter().map(|to| text(to)).collect();
            fields.insert("rcpt_to".into(), json!(to));
        }
        fields.into()
    }
}
