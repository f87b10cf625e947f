//! What a message must show, by buffer.

use weir_engine::app::{AppBuffer, AppField, AppProto};
use weir_engine::plan::{AppTest, Buffer, Rule};

use super::fill::Filled;
use super::unmet::Unmet;

/// What a message must show.
pub(super) struct Parts<'a> {
    pub(super) filled: &'a [Filled],
    /// The rule looks at what the client sends.
    pub(super) to_server: bool,
    /// Bytes that will come behind the message, as part of its body.
    pub(super) extra: usize,
    /// It is HTTP/1.0.
    pub(super) old: bool,
}

impl<'a> Parts<'a> {
    pub(super) fn new(rule: &Rule, filled: &'a [Filled]) -> Self {
        Self {
            filled,
            to_server: to_server(rule),
            extra: 0,
            old: false,
        }
    }

    /// Nothing is asked for.
    pub(super) fn of_nothing() -> Self {
        Self {
            filled: &[],
            to_server: true,
            extra: 0,
            old: false,
        }
    }

    /// The bytes of a buffer.
    pub(super) fn of(&self, buffer: AppBuffer) -> Option<&'a [u8]> {
        self.all(buffer).next()
    }

    /// The bytes of all buffers of a kind.
    pub(super) fn all(&self, buffer: AppBuffer) -> impl Iterator<Item = &'a [u8]> {
        let of_kind = self
            .filled
            .iter()
            .filter(move |filled| filled.buffer == Buffer::App(buffer));
        of_kind.filter_map(|filled| filled.bytes.as_deref())
    }

    /// False where the buffer must not be there.
    pub(super) fn may(&self, buffer: AppBuffer) -> bool {
        let is = |filled: &&Filled| filled.buffer == Buffer::App(buffer);
        self.filled
            .iter()
            .find(is)
            .is_none_or(|filled| filled.bytes.is_some())
    }

    /// What the payload must hold.
    pub(super) fn payload(&self) -> Option<&'a [u8]> {
        let payload = self
            .filled
            .iter()
            .find(|filled| filled.buffer == Buffer::Payload);
        payload.and_then(|filled| filled.bytes.as_deref())
    }

    /// The whole message of the rule's side.
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        let payload = self.filled.iter().find(|filled| filled.whole);
        payload.and_then(|filled| filled.bytes.as_deref())
    }

    /// What a file must hold.
    pub(super) fn file(&self) -> Option<&'a [u8]> {
        self.of(AppBuffer::FileData)
    }

    /// True when nothing but the payload is asked for.
    pub(super) fn only_payload(&self) -> bool {
        self.filled
            .iter()
            .all(|filled| filled.buffer == Buffer::Payload)
    }
}

/// True for a rule about DNS, whatever carries it.
pub(super) fn is_dns(rule: &Rule) -> bool {
    let protos = rule.app.protos;
    protos.has(AppProto::Dns) && !protos.has(AppProto::Http1)
}

/// True when a rule looks at what clients send.
pub(super) fn to_server(rule: &Rule) -> bool {
    if let Some(flow) = rule.flow
        && flow.to_server != flow.to_client
    {
        return flow.to_server;
    }
    if is_dns(rule) && rule.app_buffers().next().is_none() {
        // Bytes of DNS that belong to neither side are looked for in answers.
        return false;
    }
    rule.tx_needs().is_none_or(|needs| needs.ways[0])
}

/// A problem where a rule asks a protocol for more than buffers and what every file has.
pub(super) fn of_files(rule: &Rule) -> Result<(), Unmet> {
    for test in &rule.app.tests {
        match test {
            AppTest::Number {
                field: AppField::FileSize | AppField::FileStored,
                ..
            } => {}
            AppTest::Event(_) => return Err(Unmet::Event),
            AppTest::HashIn { buffer, .. } => return Err(Unmet::Digest(buffer.name())),
            AppTest::Number { field, .. } => return Err(Unmet::Field(field.name())),
            _ => return Err(Unmet::Field("app-layer")),
        }
    }
    Ok(())
}
