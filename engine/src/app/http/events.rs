//! Events: what htp complains about, by Suricata's names.

use suricata_htp::log::HtpLogCode;
use suricata_htp::request::HtpMethod;
use suricata_htp::transaction::{HtpAuthType, HtpProtocol};
use suricata_htp::util::HtpFlags;

use super::htp::Tx;

macro_rules! events {
    ($($code:ident = $name:literal,)* ; $($own:ident = $own_name:literal,)*) => {
        /// All events of HTTP/1.
        pub const EVENTS: &[&str] = &[$($name,)* $($own_name,)*];

        /// The event for a complaint of htp's, where rules know one.
        pub(super) fn named(code: HtpLogCode) -> Option<&'static str> {
            match code {
                $(HtpLogCode::$code => Some($name),)*
                _ => None,
            }
        }

        $(#[allow(dead_code, reason = "rules may ask for it")] pub(super) const $own: &str = $own_name;)*
    };
}

events! {
    UNKNOWN = "http.unknown_error",
    GZIP_DECOMPRESSION_FAILED = "http.gzip_decompression_failed",
    REQUEST_FIELD_MISSING_COLON = "http.request_field_missing_colon",
    RESPONSE_FIELD_MISSING_COLON = "http.response_field_missing_colon",
    INVALID_REQUEST_CHUNK_LEN = "http.invalid_request_chunk_len",
    INVALID_RESPONSE_CHUNK_LEN = "http.invalid_response_chunk_len",
    REQUEST_CHUNK_EXTENSION = "http.request_chunk_extension",
    RESPONSE_CHUNK_EXTENSION = "http.response_chunk_extension",
    REQUEST_TOO_MANY_HEADERS = "http.request_too_many_headers",
    RESPONSE_TOO_MANY_HEADERS = "http.response_too_many_headers",
    INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST = "http.invalid_transfer_encoding_value_in_request",
    INVALID_TRANSFER_ENCODING_VALUE_IN_RESPONSE = "http.invalid_transfer_encoding_value_in_response",
    INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST = "http.invalid_content_length_field_in_request",
    INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE = "http.invalid_content_length_field_in_response",
    DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST = "http.duplicate_content_length_field_in_request",
    DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE = "http.duplicate_content_length_field_in_response",
    CONTINUE_ALREADY_SEEN = "http.100_continue_already_seen",
    UNABLE_TO_MATCH_RESPONSE_TO_REQUEST = "http.unable_to_match_response_to_request",
    INVALID_SERVER_PORT_IN_REQUEST = "http.invalid_server_port_in_request",
    INVALID_AUTHORITY_PORT = "http.invalid_authority_port",
    REQUEST_HEADER_INVALID = "http.request_header_invalid",
    RESPONSE_HEADER_INVALID = "http.response_header_invalid",
    MISSING_HOST_HEADER = "http.missing_host_header",
    HOST_HEADER_AMBIGUOUS = "http.host_header_ambiguous",
    INVALID_REQUEST_FIELD_FOLDING = "http.invalid_request_field_folding",
    INVALID_RESPONSE_FIELD_FOLDING = "http.invalid_response_field_folding",
    REQUEST_FIELD_TOO_LONG = "http.request_field_too_long",
    RESPONSE_FIELD_TOO_LONG = "http.response_field_too_long",
    REQUEST_SERVER_PORT_TCP_PORT_MISMATCH = "http.request_server_port_tcp_port_mismatch",
    URI_HOST_INVALID = "http.request_uri_host_invalid",
    HEADER_HOST_INVALID = "http.request_header_host_invalid",
    METHOD_DELIM_NON_COMPLIANT = "http.method_delim_non_compliant",
    URI_DELIM_NON_COMPLIANT = "http.uri_delim_non_compliant",
    REQUEST_LINE_LEADING_WHITESPACE = "http.request_line_leading_whitespace",
    TOO_MANY_ENCODING_LAYERS = "http.too_many_encoding_layers",
    ABNORMAL_CE_HEADER = "http.abnormal_ce_header",
    AUTH_UNRECOGNIZED = "http.request_auth_unrecognized",
    REQUEST_HEADER_REPETITION = "http.request_header_repetition",
    RESPONSE_HEADER_REPETITION = "http.response_header_repetition",
    RESPONSE_MULTIPART_BYTERANGES = "http.response_multipart_byteranges",
    RESPONSE_ABNORMAL_TRANSFER_ENCODING = "http.response_abnormal_transfer_encoding",
    RESPONSE_CHUNKED_OLD_PROTO = "http.response_chunked_old_proto",
    RESPONSE_INVALID_PROTOCOL = "http.response_invalid_protocol",
    RESPONSE_INVALID_STATUS = "http.response_invalid_status",
    REQUEST_LINE_INCOMPLETE = "http.request_line_incomplete",
    DOUBLE_ENCODED_URI = "http.double_encoded_uri",
    REQUEST_LINE_INVALID = "http.request_line_invalid",
    REQUEST_BODY_UNEXPECTED = "http.request_body_unexpected",
    LZMA_MEMLIMIT_REACHED = "http.lzma_memlimit_reached",
    COMPRESSION_BOMB = "http.compression_bomb",
    REQUEST_LINE_NO_PROTOCOL = "http.request_line_missing_protocol",
    ;
    RANGE_INVALID = "http.range_invalid",
    FILE_NAME_TOO_LONG = "http.file_name_too_long",
    MULTIPART_GENERIC_ERROR = "http.multipart_generic_error",
    MULTIPART_NO_FILEDATA = "http.multipart_no_filedata",
    MULTIPART_INVALID_HEADER = "http.multipart_invalid_header",
    TOO_MANY_WARNINGS = "http.too_many_warnings",
    FAILED_PROTOCOL_CHANGE = "http.failed_protocol_change",
}

/// The events that a transaction's own state tells.
pub(super) fn of_tx(tx: Tx<'_>) -> impl Iterator<Item = &'static str> {
    let flags = [
        (
            HtpFlags::REQUEST_INVALID_T_E,
            "http.invalid_transfer_encoding_value_in_request",
        ),
        (
            HtpFlags::REQUEST_INVALID_C_L,
            "http.invalid_content_length_field_in_request",
        ),
        (HtpFlags::HOST_MISSING, "http.missing_host_header"),
        (HtpFlags::HOST_AMBIGUOUS, "http.host_header_ambiguous"),
        (HtpFlags::HOSTU_INVALID, "http.request_uri_host_invalid"),
        (HtpFlags::HOSTH_INVALID, "http.request_header_host_invalid"),
    ];
    let flagged = flags
        .into_iter()
        .filter_map(move |(flag, name)| (tx.flags() & flag != 0).then_some(name));
    let auth = tx.auth() == HtpAuthType::UNRECOGNIZED;
    let invalid = tx.is_0_9()
        && tx.method_number() == HtpMethod::Unknown
        && matches!(
            tx.protocol_number(),
            HtpProtocol::Invalid | HtpProtocol::Unknown
        );
    flagged
        .chain(auth.then_some("http.request_auth_unrecognized"))
        .chain(invalid.then_some("http.request_line_invalid"))
}
