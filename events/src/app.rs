//! Records of application layers: `http`, `dns`, `tls` and so on, `fileinfo`.

use serde::Serialize;
use serde::ser::SerializeMap;
use weir_engine::detect::AppRecord;

use crate::Interfaces;
use crate::record::{Head, write_line};

/// Appends the record and a newline to `out`.
pub fn write_app(out: &mut Vec<u8>, record: &AppRecord, names: &Interfaces) {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        app_proto: Option<&'static str>,
        #[serde(flatten)]
        object: Object<'a>,
        #[serde(flatten)]
        more: Option<Object<'a>>,
    }
    let proto = record.packet.flow.and_then(|flow| flow.app.proto);
    write_line(
        out,
        &Line {
            head: Head::new(&record.packet, record.record.kind, names),
            // Suricata says it where the type of the record does not.
            app_proto: proto
                .map(|proto| proto.name())
                .filter(|_| record.record.kind == "fileinfo"),
            object: Object(record.record.kind, &record.record.fields),
            more: (record.record.more.as_ref()).map(|(name, fields)| Object(name, fields)),
        },
    );
}

/// An object under its name.
pub(crate) struct Object<'a>(pub &'static str, pub &'a serde_json::Value);

impl Serialize for Object<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, self.1)?;
        map.end()
    }
}
