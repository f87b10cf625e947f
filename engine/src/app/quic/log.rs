//! The `quic` object of EVE.

use serde_json::{Map, Value, json};

use super::Shown;
use super::packet::is_google;
use crate::app::text::eve_text;
use crate::app::tls::ja;

/// Extensions whose values are shown.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// All that is known of a packet.
pub(super) fn object(shown: &Shown) -> Value {
    let mut object = Map::new();
    object.insert("version".into(), json!(version(shown.version)));
    for (name, text) in [("sni", &shown.sni), ("ua", &shown.ua)] {
        if let Some(text) = text {
            object.insert(name.into(), json!(eve_text(text)));
        }
    }
    if !shown.cyu.is_empty() {
        let cyu = shown.cyu.iter();
        let cyu = cyu.map(|text| json!({"hash": ja::ja3_hash(text), "string": text}));
        object.insert("cyu".into(), cyu.collect());
    }
    if let Some(text) = &shown.ja3 {
        let name = if shown.client { "ja3" } else { "ja3s" };
        let ja3 = json!({"hash": ja::ja3_hash(text), "string": text});
        object.insert(name.into(), ja3);
    }
    if let Some(ja4) = &shown.ja4 {
        object.insert("ja4".into(), json!(ja4));
    }
    if !shown.extensions.is_empty() {
        // However often a list comes, it is shown once.
        let mut lists = vec![SERVER_NAME, ALPN];
        let extensions = shown.extensions.iter().map(|&kind| {
            let list = lists.iter().position(|&list| list == kind);
            let first = list.map(|at| lists.swap_remove(at)).is_some();
            extension(kind, first.then_some(shown))
        });
        object.insert("extensions".into(), extensions.collect());
    }
    Value::Object(object)
}

fn version(version: u32) -> String {
    if is_google(version) {
        return eve_text(&version.to_be_bytes());
    }
    format!("{version:x}")
}

/// An extension, with its values where these are to be shown.
fn extension(kind: u16, shown: Option<&Shown>) -> Value {
    let mut object = Map::new();
    if let Some(name) = extension_name(kind) {
        object.insert("name".into(), json!(name));
    }
    object.insert("type".into(), json!(kind));
    let values: Vec<_> = match (kind, shown) {
        (SERVER_NAME, Some(shown)) => shown.sni.iter().map(|sni| eve_text(sni)).collect(),
        (ALPN, Some(shown)) => shown.alpns.iter().map(|alpn| eve_text(alpn)).collect(),
        _ => Vec::new(),
    };
    if !values.is_empty() {
        object.insert("values".into(), json!(values));
    }
    Value::Object(object)
}

/// The name of an extension (IANA).
fn extension_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        0 => "server_name",
        1 => "max_fragment_length",
        5 => "status_request",
        10 => "supported_groups",
        11 => "ec_point_formats",
        13 => "signature_algorithms",
        14 => "use_srtp",
        15 => "heartbeat",
        16 => "alpn",
        17 => "status_request_v2",
        18 => "signed_certificate_timestamp",
        19 => "client_certificate_type",
        20 => "server_certificate_type",
        21 => "padding",
        22 => "encrypt_then_mac",
        23 => "extended_master_secret",
        24 => "token_binding",
        25 => "cached_info",
        27 => "compress_certificate",
        28 => "record_size_limit",
        34 => "delegated_credentials",
        35 => "session_ticket",
        41 => "pre_shared_key",
        42 => "early_data",
        43 => "supported_versions",
        44 => "cookie",
        45 => "psk_key_exchange_modes",
        47 => "certificate_authorities",
        48 => "oid_filters",
        49 => "post_handshake_auth",
        50 => "signature_algorithms_cert",
        51 => "key_share",
        57 => "quic_transport_parameters",
        0x3374 => "next_protocol_negotiation",
        0xff01 => "renegotiation_info",
        _ => return None,
    })
}
