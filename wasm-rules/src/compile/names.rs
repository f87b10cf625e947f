//! Names that rules may use for numbers of protocols, and dates.

/// Response codes of DNS (IANA "DNS RCODEs").
pub(super) const DNS_RCODES: &[(&str, u64)] = &[
    ("noerror", 0),
    ("formerr", 1),
    ("servfail", 2),
    ("nxdomain", 3),
    ("notimp", 4),
    ("refused", 5),
    ("yxdomain", 6),
    ("yxrrset", 7),
    ("nxrrset", 8),
    ("notauth", 9),
    ("notzone", 10),
    ("badvers", 16),
    ("badkey", 17),
    ("badtime", 18),
    ("badmode", 19),
    ("badname", 20),
    ("badalg", 21),
    ("badtrunc", 22),
];

/// Types of DNS records (IANA "Resource Record (RR) TYPEs").
pub(super) const DNS_TYPES: &[(&str, u64)] = &[
    ("a", 1),
    ("ns", 2),
    ("md", 3),
    ("mf", 4),
    ("cname", 5),
    ("soa", 6),
    ("mb", 7),
    ("mg", 8),
    ("mr", 9),
    ("null", 10),
    ("wks", 11),
    ("ptr", 12),
    ("hinfo", 13),
    ("minfo", 14),
    ("mx", 15),
    ("txt", 16),
    ("rp", 17),
    ("afsdb", 18),
    ("x25", 19),
    ("isdn", 20),
    ("rt", 21),
    ("nsap", 22),
    ("sig", 24),
    ("key", 25),
    ("px", 26),
    ("gpos", 27),
    ("aaaa", 28),
    ("loc", 29),
    ("nxt", 30),
    ("srv", 33),
    ("atma", 34),
    ("naptr", 35),
    ("kx", 36),
    ("cert", 37),
    ("a6", 38),
    ("dname", 39),
    ("opt", 41),
    ("apl", 42),
    ("ds", 43),
    ("sshfp", 44),
    ("ipseckey", 45),
    ("rrsig", 46),
    ("nsec", 47),
    ("dnskey", 48),
    ("dhcid", 49),
    ("nsec3", 50),
    ("nsec3param", 51),
    ("tlsa", 52),
    ("smimea", 53),
    ("hip", 55),
    ("cds", 59),
    ("cdnskey", 60),
    ("openpgpkey", 61),
    ("csync", 62),
    ("zonemd", 63),
    ("svcb", 64),
    ("https", 65),
    ("spf", 99),
    ("nid", 104),
    ("l32", 105),
    ("l64", 106),
    ("lp", 107),
    ("eui48", 108),
    ("eui64", 109),
    ("tkey", 249),
    ("tsig", 250),
    ("ixfr", 251),
    ("axfr", 252),
    ("maila", 254),
    ("any", 255),
    ("uri", 256),
    ("caa", 257),
];

/// Types of MQTT control packets (MQTT 5.0, 2.1.2).
pub(super) const MQTT_TYPES: &[(&str, u64)] = &[
    ("connect", 1),
    ("connack", 2),
    ("publish", 3),
    ("puback", 4),
    ("pubrec", 5),
    ("pubrel", 6),
    ("pubcomp", 7),
    ("subscribe", 8),
    ("suback", 9),
    ("unsubscribe", 10),
    ("unsuback", 11),
    ("pingreq", 12),
    ("pingresp", 13),
    ("disconnect", 14),
    ("auth", 15),
    ("unassigned", 0),
];

/// PDUs of SNMP (RFC 3416).
pub(super) const SNMP_PDUS: &[(&str, u64)] = &[
    ("get_request", 0),
    ("get_next_request", 1),
    ("response", 2),
    ("set_request", 3),
    ("trap_v1", 4),
    ("get_bulk_request", 5),
    ("inform_request", 6),
    ("trap_v2", 7),
    ("report", 8),
];

/// Generic traps of SNMPv1 (RFC 1157).
pub(super) const SNMP_TRAPS: &[(&str, u64)] = &[
    ("cold_start", 0),
    ("warm_start", 1),
    ("link_down", 2),
    ("link_up", 3),
    ("authentication_failure", 4),
    ("egp_neighbor_loss", 5),
    ("enterprise_specific", 6),
];

/// Opcodes of WebSocket (RFC 6455).
pub(super) const WEBSOCKET_OPCODES: &[(&str, u64)] = &[
    ("continuation", 0),
    ("text", 1),
    ("binary", 2),
    ("close", 8),
    ("ping", 9),
    ("pong", 10),
];

/// Types of HTTP/2 frames (RFC 9113, 6).
pub(super) const HTTP2_FRAMES: &[(&str, u64)] = &[
    ("data", 0),
    ("headers", 1),
    ("priority", 2),
    ("rststream", 3),
    ("rst_stream", 3),
    ("settings", 4),
    ("pushpromise", 5),
    ("push_promise", 5),
    ("ping", 6),
    ("goaway", 7),
    ("windowupdate", 8),
    ("window_update", 8),
    ("continuation", 9),
];

/// Codes of HTTP/2 errors (RFC 9113, 7).
pub(super) const HTTP2_ERRORS: &[(&str, u64)] = &[
    ("no_error", 0),
    ("protocol_error", 1),
    ("internal_error", 2),
    ("flow_control_error", 3),
    ("settings_timeout", 4),
    ("stream_closed", 5),
    ("frame_size_error", 6),
    ("refused_stream", 7),
    ("cancel", 8),
    ("compression_error", 9),
    ("connect_error", 10),
    ("enhance_your_calm", 11),
    ("inadequate_security", 12),
    ("http_1_1_required", 13),
    ("http11_required", 13),
];

/// HTTP/2 settings (RFC 9113, 6.5.2).
pub(super) const HTTP2_SETTINGS: &[(&str, u16)] = &[
    ("settings_header_table_size", 1),
    ("settings_enable_push", 2),
    ("settings_max_concurrent_streams", 3),
    ("settings_initial_window_size", 4),
    ("settings_max_frame_size", 5),
    ("settings_max_header_list_size", 6),
];

/// Results of RFB's security handshake (RFC 6143); the last one is Suricata's.
pub(super) const RFB_RESULTS: &[(&str, u64)] = &[
    ("ok", 0),
    ("fail", 1),
    ("toomany", 2),
    ("too_many", 2),
    ("unknown", 3),
];

/// Seconds since the Unix epoch of a date in UTC: a year, or as much more of `2020-01-31T12:00:00` as is written.
pub(super) fn seconds_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let year = parts.next()??;
    let month = parts.next().unwrap_or(Some(1))?;
    let day = parts.next().unwrap_or(Some(1))?;
    let mut of_time = time
        .unwrap_or("0")
        .split(':')
        .map(|part| part.parse::<i64>().ok());
    let hour = of_time.next()??;
    let minute = of_time.next().unwrap_or(Some(0))?;
    let second = of_time.next().unwrap_or(Some(0))?;
    let sound = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second)
        && (1970..10_000).contains(&year);
    if !sound || parts.next().is_some() || of_time.next().is_some() {
        return None;
    }
    // Days from 1970-01-01 in the Gregorian calendar, with years that begin in March.
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::seconds_of;

    #[test]
    fn dates_are_seconds() {
        assert_eq!(seconds_of("1970"), Some(0));
        assert_eq!(seconds_of("1970-01-02"), Some(86_400));
        assert_eq!(seconds_of("2000-03-01"), Some(951_868_800));
        assert_eq!(seconds_of("2016-07-20T12:30:45"), Some(1_469_017_845));
        for wrong in ["", "x", "2016-13", "2016-01-01T25", "2016-1-1-1"] {
            assert_eq!(seconds_of(wrong), None, "{wrong}");
        }
    }
}
