use serde_json::json;

use super::*;
use crate::app::testing::{all_of, events};

const BODY: &str = concat!(
    "Received: from a\r\n\tby b\r\nReceived: from c\r\n",
    "From: Me <me@a.b>\r\nTo: x@y, z@y\r\nCC: \"q, r\" <q@r>\r\nSubject: =?utf-8?Q?Hi?=\r\n",
    "Content-Type: multipart/mixed;\r\n\tboundary=\"AB\"\r\n\r\npreamble\r\n",
    "--AB\r\nContent-Type: text/plain\r\n\r\nSee http://a.b/c now\r\n",
    "--AB\r\nContent-Type: multipart/alternative; boundary=ABC\r\n\r\n",
    "--ABC\r\nContent-Disposition: attachment; filename=\"q.txt\"\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--ABC--\r\n\r\n",
    "--AB\r\nContent-Type: application/x; name*0=mal; name*1=ware.exe\r\n",
    "Content-Transfer-Encoding: BASE64\r\n\r\nSGVsbG8s\r\nIHdvcmxkIQ\r\n",
    "--AB\r\nContent-Type: message/rfc822\r\n\r\nFrom: inner\r\nContent-Disposition: a; filename=in.txt\r\n\r\n",
    "one\r\n..two\r\n--AB--\r\n",
);

fn session(pipelining: bool) -> Vec<(Way, String)> {
    use Way::{ToClient, ToServer};
    let offer = if pipelining { "250-PIPELINING\r\n" } else { "" };
    vec![
        (ToClient, "220-hello\r\n220 there\r\n".into()),
        (ToServer, "EHLO me.there\r\n".into()),
        (ToClient, format!("250-x\r\n{offer}250 HELP\r\n")),
        (
            ToServer,
            "MAIL FROM:<me@a.b> SIZE=3\r\nRCPT TO: <x@y>\r\nRCPT TO:<z@y>\r\nDATA\r\n".into(),
        ),
        (ToClient, "250 a\r\n250 b\r\n250 c\r\n354 d\r\n".into()),
        (ToServer, format!("{BODY}.\r\n")),
        (ToClient, "250 queued\r\n".into()),
        (ToServer, "MAIL FROM:<second@a.b>\r\n".into()),
        (ToClient, "250 a\r\n".into()),
        (ToServer, "BDAT 6 LAST\r\nDATA\r\nRSET\r\n".into()),
        (ToClient, "250 fine\r\n250 reset\r\n".into()),
        (ToServer, "QUIT\r\n".into()),
    ]
}

fn talk(chunk: usize, pipelining: bool) -> (Smtp, Output) {
    let (mut smtp, mut out) = (Smtp::default(), Output::everything());
    for (way, text) in session(pipelining) {
        for piece in text.as_bytes().chunks(chunk) {
            smtp.data(way, piece, &mut out);
        }
    }
    (smtp, out)
}

#[test]
fn a_mail_is_a_transaction_with_files_and_links() {
    let (smtp, out) = talk(usize::MAX, false);
    assert_eq!(out.transactions().count(), 2);
    assert!(out.transactions().all(|tx| tx.is_done()));
    assert!(out.transactions().all(|tx| tx.events().is_empty()));
    let first = |buffer| all_of(&out, 0, Way::ToServer, buffer);
    assert_eq!(first(AppBuffer::SmtpHelo), ["me.there"]);
    assert_eq!(first(AppBuffer::SmtpMailFrom), ["<me@a.b>"]);
    assert_eq!(first(AppBuffer::SmtpRcptTo), ["<x@y>", "<z@y>"]);
    assert_eq!(first(AppBuffer::EmailFrom), ["Me <me@a.b>"]);
    assert_eq!(first(AppBuffer::EmailTo), ["x@y, z@y"]);
    assert_eq!(first(AppBuffer::EmailCc), ["\"q, r\" <q@r>"]);
    assert_eq!(first(AppBuffer::EmailSubject), ["=?utf-8?Q?Hi?="]);
    assert_eq!(first(AppBuffer::EmailReceived), ["from aby b", "from c"]);
    assert_eq!(first(AppBuffer::EmailUrl), ["a.b/c"]);
    assert_eq!(
        first(AppBuffer::FileName),
        ["q.txt", "malware.exe", "in.txt"]
    );
    assert_eq!(
        first(AppBuffer::FileData),
        ["a=bc\r\n", "Hello, world!", "one\r\n..two"]
    );
    let body = BODY.split_once("\r\n\r\n").expect("a body").1;
    use md5::Digest;
    let md5 = md5::Md5::digest(body.as_bytes());
    let md5: String = md5.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(first(AppBuffer::EmailBodyMd5), [md5]);
    let second = |buffer| all_of(&out, 1, Way::ToServer, buffer);
    assert_eq!(second(AppBuffer::SmtpHelo), ["me.there"]);
    assert_eq!(second(AppBuffer::SmtpMailFrom), ["<second@a.b>"]);
    assert!(second(AppBuffer::FileData).is_empty());
    let (kind, fields) = smtp.describe(0, &out).expect("an object");
    assert_eq!((kind, &fields["rcpt_to"][1]), ("smtp", &json!("<z@y>")));
    let (kind, fields) = smtp.describe_more(0, &out).expect("an object");
    assert_eq!(kind, "email");
    assert_eq!(
        fields,
        json!({"status": "PARSE_DONE", "from": "Me <me@a.b>", "to": ["x@y", "z@y"], "cc": ["\"q", "r\" <q@r>"],
            "attachment": ["q.txt", "malware.exe", "in.txt"], "url": ["a.b/c"]})
    );
    let mut kinds: Vec<_> = out.records.iter().map(|(_, record)| record.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["fileinfo", "smtp"]);
}

#[test]
fn cuts_do_not_matter() {
    for pipelining in [false, true] {
        let (_, whole) = talk(usize::MAX, pipelining);
        for chunk in (1..40).chain([100, 333]) {
            let (_, cut) = talk(chunk, pipelining);
            for tx in 0..2 {
                for &buffer in AppBuffer::ALL {
                    let name = buffer.name();
                    assert_eq!(
                        all_of(&whole, tx, Way::ToServer, buffer),
                        all_of(&cut, tx, Way::ToServer, buffer),
                        "{name} {chunk}"
                    );
                }
                let events = |out: &Output| out.get(tx).expect("one").events().to_vec();
                assert_eq!(events(&whole), events(&cut), "chunks of {chunk}");
            }
            assert_eq!(format!("{:?}", whole.records), format!("{:?}", cut.records));
        }
    }
}

#[test]
fn mails_in_files_are_looked_into() {
    use Way::{ToClient, ToServer};
    let inner = "From: x\r\nContent-Disposition: attachment; filename=bad.exe\r\n\r\npayload";
    let mail = format!(
        "Content-Type: message/rfc822\r\nContent-Disposition : a; filename=mail.eml\r\n\r\n{inner}\r\n.\r\n"
    );
    let said = [
        (ToClient, "220 x\r\n"),
        (ToServer, "DATA\r\n"),
        (ToClient, "354 x\r\n"),
        (ToServer, &mail[..]),
    ];
    let (smtp, out, _) = events_of(&said);
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::FileName),
        ["mail.eml", "bad.exe"]
    );
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::FileData),
        ["payload", inner]
    );
    assert!(all_of(&out, 0, Way::ToServer, AppBuffer::EmailFrom).is_empty());
    let (_, fields) = smtp.describe_more(0, &out).expect("an object");
    assert_eq!(fields["attachment"], json!(["mail.eml", "bad.exe"]));
}

fn events_of(said: &[(Way, &str)]) -> (Smtp, Output, Vec<&'static str>) {
    let (mut smtp, mut out) = (Smtp::default(), Output::everything());
    for (way, text) in said {
        smtp.data(*way, text.as_bytes(), &mut out);
    }
    let events = events(&out);
    (smtp, out, events)
}

#[test]
fn anomalies_are_told() {
    use Way::{ToClient, ToServer};
    let (_, _, events) = events_of(&[
        (ToServer, "EHLO a\r\nEHLO b\r\n"),
        (ToClient, "220 x\r\n999 y\r\n"),
    ]);
    assert_eq!(
        events,
        [
            "smtp.no_server_welcome_message",
            "smtp.duplicate_fields",
            "smtp.invalid_reply"
        ]
    );
    let hello = (ToClient, "220 x\r\n");
    let (_, out, events) =
        events_of(&[hello, (ToServer, "STARTTLS\r\n"), (ToClient, "454 no\r\n")]);
    assert_eq!((events, out.change), (vec!["smtp.tls_rejected"], None));
    let (_, out, _) = events_of(&[hello, (ToServer, "STARTTLS\r\n"), (ToClient, "220 go\r\n")]);
    assert_eq!(out.change, Some(AppProto::Tls));
    let (smtp, _, events) = events_of(&[hello, (ToServer, "DATA\r\n"), (ToClient, "503 no\r\n")]);
    assert_eq!(events, ["smtp.data_command_rejected"]);
    assert_eq!(smtp.mode, Mode::Commands);
    let (_, _, events) = events_of(&[hello, (ToServer, "BDAT 3 LAST\r\nhello\r\n")]);
    assert_eq!(events, ["smtp.bdat_chunk_len_exceeded"]);
    let data = [hello, (ToServer, "DATA\r\n"), (ToClient, "354 go\r\n")];
    let with = |mail: &str| {
        let mut said = data.to_vec();
        said.push((ToServer, mail));
        events_of(&said).2
    };
    let part = "Content-Disposition: a; filename=x\r\nContent-Transfer-Encoding: ";
    assert_eq!(
        with(&format!("{part}base64\r\n\r\nab*d\r\n")),
        ["smtp.mime_invalid_base64"]
    );
    assert_eq!(
        with(&format!("{part}quoted-printable\r\n\r\na=zz\r\n")),
        ["smtp.mime_invalid_qp"]
    );
    let long = "A".repeat(80);
    assert_eq!(
        with(&format!("{part}base64\r\n\r\n{long}\r\n")),
        ["smtp.mime_long_enc_line"]
    );
    let long = "A".repeat(1000);
    assert_eq!(with(&format!("\r\n{long}\r\n")), ["smtp.mime_long_line"]);
    assert_eq!(
        with(&format!("{}: x\r\n\r\n", &long[..76])),
        ["smtp.mime_long_header_name"]
    );
    let name = &long[..300];
    assert_eq!(
        with(&format!("Content-Disposition: a; filename={name}\r\n\r\n")),
        ["smtp.mime_long_filename"]
    );
    assert_eq!(
        with(&format!("Content-Type: a/b; boundary={name}\r\n\r\n")),
        ["smtp.mime_long_boundary"]
    );
    let long = "A".repeat(5000);
    let (_, _, events) = events_of(&[hello, (ToServer, &format!("{long}\r\n"))]);
    assert_eq!(events, ["smtp.truncated_line"]);
}

#[test]
fn long_lines_of_a_file_are_not_cut() {
    use Way::{ToClient, ToServer};
    let mail = format!(
        "Content-Disposition: a; filename=x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n.\r\n",
        "QUFB".repeat(5000)
    );
    let (mut smtp, mut out) = (Smtp::default(), Output::everything());
    smtp.data(ToClient, b"220 x\r\n", &mut out);
    smtp.data(ToServer, b"DATA\r\n", &mut out);
    smtp.data(ToClient, b"354 x\r\n", &mut out);
    for piece in mail.as_bytes().chunks(1460) {
        smtp.data(ToServer, piece, &mut out);
    }
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::FileData),
        ["A".repeat(15000)]
    );
}

#[test]
fn a_mail_that_breaks_off_is_truncated() {
    use Way::{ToClient, ToServer};
    let (mut smtp, mut out, _) = events_of(&[
        (ToClient, "220 x\r\n"),
        (ToServer, "DATA\r\n"),
        (ToClient, "354 x\r\n"),
        (
            ToServer,
            "Subject: s\r\nContent-Disposition: a; filename=x\r\n\r\nab\r\n",
        ),
    ]);
    smtp.gap(ToServer, &mut out);
    smtp.data(ToServer, b"rest\r\nmore\r\n", &mut out);
    smtp.end(ToServer, &mut out);
    let tx = out.get(0).expect("a transaction");
    assert!(tx.is_done());
    assert_eq!(tx.files()[0].state(), FileState::Truncated);
    assert!(tx.files()[0].gaps());
    assert!(all_of(&out, 0, Way::ToServer, AppBuffer::EmailBodyMd5).is_empty());
}

/// A session up to where a mail begins, and the mail.
fn mailed(mail: &str) -> (Smtp, Output, Vec<&'static str>) {
    use Way::{ToClient, ToServer};
    let mail = format!("{mail}\r\n.\r\n");
    events_of(&[
        (ToClient, "220 x\r\n"),
        (ToServer, "DATA\r\n"),
        (ToClient, "354 x\r\n"),
        (ToServer, &mail),
    ])
}

#[test]
fn a_reset_does_not_end_a_mail_that_began_behind_it() {
    use Way::{ToClient, ToServer};
    let (smtp, out, _) = events_of(&[
        (ToClient, "220 x\r\n"),
        (ToServer, "EHLO a\r\n"),
        (ToClient, "250-x\r\n250 PIPELINING\r\n"),
        (
            ToServer,
            "MAIL FROM:<a>\r\nRSET\r\nMAIL FROM:<b>\r\nDATA\r\n",
        ),
        (ToClient, "250 a\r\n250 reset\r\n250 b\r\n354 go\r\n"),
        (
            ToServer,
            "Subject: s\r\nContent-Disposition: a; filename=x\r\n\r\nbad\r\n.\r\n",
        ),
    ]);
    assert_eq!(out.transactions().count(), 2);
    let of = |tx, buffer| all_of(&out, tx, Way::ToServer, buffer);
    assert_eq!(of(0, AppBuffer::SmtpMailFrom), ["<a>"]);
    assert_eq!(of(1, AppBuffer::SmtpMailFrom), ["<b>"]);
    assert_eq!(of(1, AppBuffer::FileData), ["bad"]);
    assert!(
        out.transactions()
            .all(|tx| tx.is_done() && tx.events().is_empty())
    );
    assert_eq!(smtp.mode, Mode::Commands);
}

#[test]
fn headers_of_no_interest_hide_nothing() {
    let many = "X-Nothing: at all\r\n".repeat(700);
    let part = "--B\r\nContent-Disposition: a; filename=x\r\n\r\nbad\r\n--B--";
    let long = format!("X-Long: {}\r\n", "y".repeat(3000)).repeat(60);
    for before in [&many, &long] {
        let mail = format!("{before}Content-Type: multipart/mixed; boundary=B\r\n\r\n{part}");
        let (_, out, _) = mailed(&mail);
        let files = all_of(&out, 0, Way::ToServer, AppBuffer::FileData);
        assert_eq!(files, ["bad"], "{}", before.len());
        assert!(out.dropped > 0);
    }
    // Nor do those of the mail take the room of its parts.
    let some = "X-Nothing: at all\r\n".repeat(511);
    let mail = format!("Content-Type: a/b; boundary=B\r\n{some}\r\n{part}");
    let (smtp, out, _) = mailed(&mail);
    assert_eq!(all_of(&out, 0, Way::ToServer, AppBuffer::FileName), ["x"]);
    assert_eq!(out.dropped, 0);
    assert!(smtp.memory() > 511 * (17 + size_of::<(Vec<u8>, Vec<u8>)>()));
}

#[test]
fn what_is_left_out_of_a_mail_is_counted() {
    let attachment = "--B\r\nContent-Disposition: a; filename=x\r\n\r\nbad\r\n";
    let mail = format!(
        "Content-Type: a/b; boundary=B\r\n\r\n{}",
        attachment.repeat(130)
    );
    let (_, out, _) = mailed(&mail);
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::FileName).len(),
        128
    );
    assert_eq!(out.dropped, 2);
    let (_, out, _) = mailed(&format!("\r\n{}", "http://a\r\n".repeat(1030)));
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::EmailUrl).len(),
        1024
    );
    assert_eq!(out.dropped, 6);
    let to = "RCPT TO:<x>\r\n".repeat(1027);
    let said = [(Way::ToClient, "220 x\r\n"), (Way::ToServer, &to[..])];
    let (_, out, _) = events_of(&said);
    assert_eq!(out.dropped, 3);
    let (_, out, _) = events_of(&[(Way::ToServer, &"NOOP\r\n".repeat(4100))]);
    assert_eq!(out.dropped, 4);
}

#[test]
fn a_gap_within_a_chunk_is_part_of_it() {
    let hello = (Way::ToClient, "220 x\r\n");
    let (mut smtp, mut out, _) = events_of(&[hello, (Way::ToServer, "BDAT 9 LAST\r\n12")]);
    smtp.gap_of(Way::ToServer, 5, &mut out);
    smtp.data(Way::ToServer, b"8\nMAIL FROM:<b>\r\n", &mut out);
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::SmtpMailFrom),
        ["<b>"]
    );
    // One that reaches beyond it ends in a line that nobody knows.
    smtp.data(Way::ToServer, b"BDAT 9 LAST\r\n12", &mut out);
    smtp.gap_of(Way::ToServer, 30, &mut out);
    smtp.data(Way::ToServer, b"PT TO:<a>\r\nRCPT TO:<b>\r\n", &mut out);
    assert_eq!(
        all_of(&out, 0, Way::ToServer, AppBuffer::SmtpRcptTo),
        ["<b>"]
    );
}

proptest::proptest! {
    #[test]
    fn garbage_does_no_harm(pieces in proptest::collection::vec((0..2usize,
        "(?s:.{0,40})|(DATA|EHLO x|MAIL FROM:<>|RCPT TO:|BDAT 7|RSET|STARTTLS|250[ -]x|354 y|220 z|\\.|--A(--)?|\
Content-(Type: (message/rfc822|a/b; boundary=A)|Disposition: a; (filename\\*?=|\"x)|Transfer-Encoding: base64)|)\r?\n"), 0..40)) {
        let (mut smtp, mut out) = (Smtp::default(), Output::everything());
        for (way, piece) in &pieces {
            smtp.data(Way::of(*way), piece.as_bytes(), &mut out);
        }
        for way in Way::ALL {
            smtp.gap(way, &mut out);
            smtp.end(way, &mut out);
        }
        proptest::prop_assert!(out.transactions().all(|tx| tx.is_done()));
    }
}
