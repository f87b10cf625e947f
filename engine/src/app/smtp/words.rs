//! The words of SMTP.

/// Events that rules can ask for.
pub const EVENTS: &[&str] = &[
    "smtp.invalid_reply",
    "smtp.unable_to_match_reply_with_request",
    "smtp.max_command_line_len_exceeded",
    "smtp.max_reply_line_len_exceeded",
    "smtp.invalid_pipelined_sequence",
    "smtp.bdat_chunk_len_exceeded",
    "smtp.no_server_welcome_message",
    "smtp.tls_rejected",
    "smtp.data_command_rejected",
    "smtp.mime_parse_failed",
    "smtp.mime_malformed_msg",
    "smtp.mime_invalid_base64",
    "smtp.mime_invalid_qp",
    "smtp.mime_long_line",
    "smtp.mime_long_enc_line",
    "smtp.mime_long_header_name",
    "smtp.mime_long_header_value",
    "smtp.mime_long_boundary",
    "smtp.mime_long_filename",
    "smtp.failed_protocol_change",
    "smtp.duplicate_fields",
    "smtp.unparsable_content",
    "smtp.truncated_line",
];

/// Replies that there are.
pub(super) const CODES: &[u16] = &[
    211, 214, 220, 221, 235, 250, 251, 252, 334, 354, 401, 402, 421, 435, 450, 451, 452, 454, 455,
    500, 501, 502, 503, 504, 521, 525, 530, 534, 535, 538, 541, 543, 550, 551, 552, 553, 554, 555,
];

/// Commands whose replies matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    StartTls,
    Data,
    Bdat,
    /// The end of a mail, which is answered as well.
    Mail,
    Reset,
    Other,
}

/// What a command says, without spaces before it and options behind it.
pub(super) fn argument(line: &[u8], command: usize) -> &[u8] {
    let rest = line.get(command..).unwrap_or_default();
    let start = rest.iter().position(|&byte| byte != b' ');
    let rest = rest.get(start.unwrap_or(rest.len())..).unwrap_or_default();
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}
