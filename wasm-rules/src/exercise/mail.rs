//! Protocols of lines: SMTP, FTP, SSH.

use weir_engine::app::AppBuffer;
use weir_engine::plan::Rule;

use super::parts::{Parts, of_files};
use super::talk::Say;
use super::transform::base64;
use super::unmet::Unmet;

use AppBuffer::*;

/// A line, with its end.
fn line(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = parts.concat();
    if !all.ends_with(b"\n") {
        all.extend_from_slice(b"\r\n");
    }
    all
}

/// A mail.
pub(super) fn smtp(rule: &Rule, parts: &Parts<'_>, attempt: usize) -> Result<Vec<Say>, Unmet> {
    of_files(rule)?;
    let payload = parts.payload();
    let mut says = Vec::new();
    let spoken = payload.filter(|_| !parts.to_server);
    says.push(Say::down(line(&[
        b"220 ",
        spoken.unwrap_or(b"mail.example ESMTP"),
    ])));
    says.push(Say::up(line(&[
        b"EHLO ",
        parts.of(SmtpHelo).unwrap_or(b"a.example"),
    ])));
    says.push(Say::down(*b"250 mail.example\r\n"));
    let payload = payload.filter(|_| parts.to_server);
    if let Some(command) = payload.filter(|_| attempt % 2 == 1) {
        says.push(Say::up(line(&[command])));
        says.push(Say::down(*b"500 what\r\n"));
    }
    says.push(Say::up(line(&[
        b"MAIL FROM:<",
        parts.of(SmtpMailFrom).unwrap_or(b"a@a.example"),
        b">",
    ])));
    says.push(Say::down(*b"250 ok\r\n"));
    let mut to: Vec<&[u8]> = parts.all(SmtpRcptTo).collect();
    if to.is_empty() {
        to.push(b"b@b.example");
    }
    for to in to {
        says.push(Say::up(line(&[b"RCPT TO:<", to, b">"])));
        says.push(Say::down(*b"250 ok\r\n"));
    }
    says.push(Say::up(*b"DATA\r\n"));
    says.push(Say::down(*b"354 go on\r\n"));
    let mut mail = Vec::new();
    for (buffer, name) in [
        (EmailFrom, &b"From: "[..]),
        (EmailTo, b"To: "),
        (EmailSubject, b"Subject: "),
        (EmailCc, b"Cc: "),
        (EmailDate, b"Date: "),
        (EmailMessageId, b"Message-ID: "),
        (EmailXMailer, b"X-Mailer: "),
        (EmailReceived, b"Received: "),
    ] {
        for value in parts.all(buffer) {
            mail.extend(line(&[name, value]));
        }
    }
    if let Some(payload) = payload.filter(|_| attempt.is_multiple_of(2)) {
        let header = payload
            .split(|&byte| byte == b'\n')
            .next()
            .is_some_and(super::canonical::is_header);
        if !header {
            mail.extend_from_slice(b"Subject: a\r\n\r\n");
        }
        mail.extend(line(&[payload]));
    } else if let Some(file) = parts.file() {
        let name = parts.of(FileName).unwrap_or(b"a.bin");
        mail.extend_from_slice(b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b0b\"\r\n\r\n--b0b\r\n");
        mail.extend(line(&[
            b"Content-Type: application/octet-stream; name=\"",
            name,
            b"\"",
        ]));
        mail.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
        mail.extend(line(&[
            b"Content-Disposition: attachment; filename=\"",
            name,
            b"\"",
        ]));
        mail.extend_from_slice(b"\r\n");
        for part in base64(file).chunks(76) {
            mail.extend(line(&[part]));
        }
        mail.extend_from_slice(b"--b0b--\r\n");
    } else {
        mail.extend_from_slice(b"\r\n");
        for url in parts.all(EmailUrl) {
            mail.extend(line(&[b"http://", url]));
        }
        mail.extend_from_slice(b"abcd\r\n");
    }
    mail.extend_from_slice(b".\r\n");
    says.push(Say::up(mail));
    says.push(Say::down(*b"250 ok\r\n"));
    says.push(Say::up(*b"QUIT\r\n"));
    says.push(Say::down(*b"221 bye\r\n"));
    Ok(says)
}

/// A command and its reply.
pub(super) fn ftp(rule: &Rule, parts: &Parts<'_>) -> Result<Vec<Say>, Unmet> {
    of_files(rule)?;
    let mut says = vec![
        Say::down(*b"220 ready\r\n"),
        Say::up(*b"USER a\r\n"),
        Say::down(*b"331 who\r\n"),
    ];
    let command = parts.of(FtpCommand).unwrap_or(b"NOOP");
    let asked = match (
        parts.payload().filter(|_| parts.to_server),
        parts.of(FtpCommandData),
    ) {
        (Some(payload), _) => {
            // What must stand at the start stands there.
            says.truncate(1);
            line(&[payload])
        }
        (None, Some(data)) => line(&[command, b" ", data]),
        (None, None) => line(&[command]),
    };
    says.push(Say::up(asked));
    let told = match parts.payload().filter(|_| !parts.to_server) {
        Some(payload) => line(&[payload]),
        None => {
            let code = parts.of(FtpCompletionCode).unwrap_or(b"200");
            line(&[code, b" ", parts.of(FtpReply).unwrap_or(b"ok")])
        }
    };
    says.push(Say::down(told));
    Ok(says)
}

/// Banners.
pub(super) fn ssh(rule: &Rule, parts: &Parts<'_>) -> Result<Vec<Say>, Unmet> {
    of_files(rule)?;
    let banner = |mine: bool| {
        let proto = parts.of(SshProto).filter(|_| mine).unwrap_or(b"2.0");
        let software = parts
            .of(SshSoftware)
            .filter(|_| mine)
            .unwrap_or(b"OpenSSH_9.0");
        match parts.payload().filter(|_| mine) {
            Some(payload) if payload.starts_with(b"SSH-") => line(&[payload]),
            Some(payload) => [line(&[b"SSH-", proto, b"-", software]), payload.to_vec()].concat(),
            None => line(&[b"SSH-", proto, b"-", software]),
        }
    };
    Ok(vec![
        Say::down(banner(!parts.to_server)),
        Say::up(banner(parts.to_server)),
    ])
}
