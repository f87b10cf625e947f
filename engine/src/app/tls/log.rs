//! The `tls` object of EVE.

use serde_json::{Map, Value, json};

use super::cert::Cert;
use super::{Tls, ja};
use crate::app::text::eve_text;

/// All that is known.
pub(super) fn object(tls: &Tls) -> Value {
    let mut object = Map::new();
    let server = tls.certs[1].as_ref();
    if let Some(cert) = server {
        object.insert("subject".into(), json!(cert.subject));
        object.insert("issuerdn".into(), json!(cert.issuer));
        if !cert.names.is_empty() {
            object.insert("subjectaltname".into(), json!(cert.names));
        }
        object.insert("serial".into(), json!(cert.serial));
        object.insert("fingerprint".into(), json!(cert.fingerprint));
    } else if tls.resumed && tls.hellos[1].is_some() && !tls.hidden_certs {
        object.insert("session_resumed".into(), json!(true));
    }
    let client_hello = tls.hellos[0].as_ref();
    if let Some(sni) = client_hello.and_then(|hello| hello.sni.as_ref()) {
        object.insert("sni".into(), json!(eve_text(sni)));
    }
    let version = version_name(tls.sides[1].version);
    object.insert("version".into(), json!(version));
    if let Some(cert) = server {
        put_times(cert, &mut object);
    }
    for (name, text) in [("ja3", &tls.ja3), ("ja3s", &tls.ja3s)] {
        if let Some(text) = text {
            let shown = json!({"hash": ja::ja3_hash(text), "string": text});
            object.insert(name.into(), shown);
        }
    }
    if let Some(ja4) = &tls.ja4 {
        object.insert("ja4".into(), json!(ja4));
    }
    for (name, hello) in ["client_alpns", "server_alpns"].iter().zip(&tls.hellos) {
        let alpns = hello.iter().flat_map(|hello| &hello.alpns);
        let alpns: Vec<_> = alpns.map(|alpn| eve_text(alpn)).collect();
        if !alpns.is_empty() {
            object.insert((*name).into(), json!(alpns));
        }
    }
    if let Some(cert) = &tls.certs[0] {
        let mut client = Map::new();
        client.insert("subject".into(), json!(cert.subject));
        client.insert("issuerdn".into(), json!(cert.issuer));
        client.insert("fingerprint".into(), json!(cert.fingerprint));
        client.insert("serial".into(), json!(cert.serial));
        put_times(cert, &mut client);
        object.insert("client".into(), Value::Object(client));
    }
    Value::Object(object)
}

fn put_times(cert: &Cert, object: &mut Map<String, Value>) {
    for (name, time) in [("notbefore", cert.not_before), ("notafter", cert.not_after)] {
        if time != 0 {
            object.insert(name.into(), json!(utc(time)));
        }
    }
}

/// `2026-01-31T23:59:59`, of seconds since the Unix epoch (Howard Hinnant, chrono-compatible low-level date algorithms).
fn utc(time: i64) -> String {
    let (days, seconds) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    // Days since 0000-03-01; eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Suricata's name of a version.
pub(super) fn version_name(version: u16) -> String {
    let name = match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        0x7f01 => "TLS 1.3 draft-<16",
        0xfb17 => "TLS 1.3 draft-23-fb",
        0xfb1a => "TLS 1.3 draft-26-fb",
        0x7f10..=0x7f1c => return format!("TLS 1.3 draft-{}", version & 0xff),
        _ => "UNDETERMINED",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(utc(0), "1970-01-01T00:00:00");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(utc(4_102_444_800), "2100-01-01T00:00:00");
        assert_eq!(utc(-1), "1969-12-31T23:59:59");
    }
}
