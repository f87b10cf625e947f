//! Records of type `module`: what happened in an author's module.

use serde::Serialize;
use weir_engine::detect::Noticed;
use weir_engine::eval::NoticeKind;

use crate::record::{Timestamp, write_line};

/// Appends the record and a newline to `out`.
pub fn write_module(out: &mut Vec<u8>, noticed: &Noticed) {
    #[derive(Serialize)]
    struct Record<'a> {
        timestamp: Timestamp,
        event_type: &'static str,
        module: Module<'a>,
    }
    #[derive(Serialize)]
    struct Module<'a> {
        name: &'a str,
        event: &'static str,
        reason: &'a str,
        failures: u64,
    }
    let notice = &noticed.notice;
    write_line(
        out,
        &Record {
            timestamp: Timestamp(noticed.ts_ns),
            event_type: "module",
            module: Module {
                name: &notice.module,
                event: match notice.kind {
                    NoticeKind::Failed => "failed",
                    NoticeKind::Quarantined => "quarantined",
                },
                reason: &notice.reason,
                failures: notice.failures,
            },
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_engine::eval::Notice;

    #[test]
    fn a_notice_is_a_record() {
        let noticed = Noticed {
            ts_ns: 1_700_000_000_123_456_789,
            notice: Notice {
                module: "dns-tunnel".into(),
                kind: NoticeKind::Quarantined,
                reason: "wasm trap: \"unreachable\"".to_owned(),
                failures: 5,
            },
        };
        let mut out = Vec::new();
        write_module(&mut out, &noticed);
        let read: serde_json::Value = serde_json::from_slice(&out).expect("one JSON object");
        assert_eq!(read["event_type"], "module");
        assert_eq!(read["timestamp"], "2023-11-14T22:13:20.123456+0000");
        let expected = serde_json::json!({
            "name": "dns-tunnel",
            "event": "quarantined",
            "reason": "wasm trap: \"unreachable\"",
            "failures": 5,
        });
        assert_eq!(read["module"], expected);
        assert_eq!(out.last(), Some(&b'\n'));
    }
}
