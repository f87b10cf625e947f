use super::*;

const CLIENT: &str = "192.168.0.13";

fn output() -> Output {
    let mut out = Output::everything();
    let end = |address: &str, port| (address.parse().expect("an address"), port);
    out.ends = Some((end(CLIENT, 5555), end("192.168.0.10", 21)));
    out
}

fn strings(out: &Output, way: Way, buffer: AppBuffer) -> Vec<Vec<String>> {
    let of = |tx: &super::super::Transaction| {
        tx.buffers(way, buffer)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    };
    out.transactions().map(of).collect()
}

fn numbers(out: &Output, tx: TxId, way: Way, field: AppField) -> Vec<u64> {
    let tx = out.get(tx).expect("a transaction");
    tx.numbers(way, field).collect()
}

const TALK: &[(Way, &[u8])] = &[
    (Way::ToClient, b"220-Hello\r\n this is\r\n220 ready\r\n"),
    (Way::ToServer, b"USER anonymous\r\n"),
    (Way::ToClient, b"331 Which password?\r\n"),
    (Way::ToServer, b"PORT 192,168,0,13,234,10\r\n"),
    (Way::ToClient, b"200 PORT command successful.\r\n"),
    (Way::ToServer, b"RETR a b.txt\r\n"),
    (Way::ToClient, b"150 Opening\r\n"),
    (Way::ToClient, b"226 Transfer complete.\r\n"),
    (Way::ToServer, b"PASV\r\n"),
    (Way::ToClient, b"227 Passive (192,168,0,10,185,13).\r\n"),
    (Way::ToServer, b"STOR x\r\nFEAT\r\nQUIT\r\n"),
    (Way::ToClient, b"150 Fine\r\n226 Done\r\n221 Goodbye.\r\n"),
];

fn talk(chunk: usize) -> (Ftp, Output) {
    let (mut ftp, mut out) = (Ftp::default(), output());
    for (way, said) in TALK {
        for piece in said.chunks(chunk) {
            ftp.data(*way, piece, &mut out);
        }
    }
    (ftp, out)
}

#[test]
fn commands_and_replies_are_transactions_however_they_are_cut() {
    let (ftp, out) = talk(usize::MAX);
    assert!(out.transactions().all(|tx| tx.is_done()));
    let commands = strings(&out, Way::ToServer, AppBuffer::FtpCommand).concat();
    assert_eq!(commands, ["USER", "PORT", "RETR", "PASV", "STOR", "QUIT"]);
    let data = strings(&out, Way::ToServer, AppBuffer::FtpCommandData).concat();
    assert_eq!(data, ["anonymous", "192,168,0,13,234,10", "a b.txt", "x"]);
    let replies = strings(&out, Way::ToClient, AppBuffer::FtpReply);
    assert_eq!(replies[0], ["220-Hello", " this is", "ready"]);
    assert_eq!(replies[3], ["Opening", "Transfer complete."]);
    let codes = strings(&out, Way::ToClient, AppBuffer::FtpCompletionCode);
    assert_eq!(codes[3], ["150", "226"]);
    assert_eq!(codes[5], ["150", "226"]);
    for way in Way::ALL {
        assert_eq!(numbers(&out, 2, way, AppField::FtpDynamicPort), [59914]);
        assert_eq!(numbers(&out, 2, way, AppField::FtpMode), [1]);
        assert_eq!(numbers(&out, 4, way, AppField::FtpDynamicPort), [47373]);
        assert_eq!(numbers(&out, 4, way, AppField::FtpMode), [2]);
    }
    assert_eq!(
        numbers(&out, 1, Way::ToClient, AppField::FtpReplyReceived),
        [1]
    );
    assert!(numbers(&out, 2, Way::ToServer, AppField::FtpBounce).is_empty());
    let [retrieve, store] = &out.expected[..] else {
        panic!("{:?}", out.expected);
    };
    let client = CLIENT.parse().expect("an address");
    assert_eq!(retrieve.server, (client, 59914));
    assert_eq!((retrieve.hint, &retrieve.name[..]), (1, &b"a b.txt"[..]));
    assert_eq!((store.server.1, store.client), (47373, client));
    assert_eq!((store.hint, &store.name[..]), (2, &b"x"[..]));
    let (_, shown) = ftp.describe(2, &out).expect("an object");
    assert_eq!(
        shown,
        json!({"command": "PORT", "command_data": "192,168,0,13,234,10", "command_truncated": false,
            "completion_code": ["200"], "reply": ["PORT command successful."], "dynamic_port": 59914,
            "mode": "active", "reply_received": "yes", "reply_truncated": false})
    );
    for chunk in 1..20 {
        let (_, cut) = talk(chunk);
        for way in Way::ALL {
            for &buffer in AppBuffer::ALL {
                assert_eq!(strings(&out, way, buffer), strings(&cut, way, buffer));
            }
        }
        assert_eq!(out.expected, cut.expected);
        assert_eq!(format!("{:?}", out.records), format!("{:?}", cut.records));
    }
}

#[test]
fn a_foreign_address_is_a_bounce() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    ftp.data(Way::ToServer, b"PORT 2,2,2,3,0,80\r\n", &mut out);
    ftp.data(Way::ToServer, b"EPRT |1|2.2.2.3|80|\r\n", &mut out);
    ftp.data(Way::ToServer, b"EPRT |1|192.168.0.13|80|\r\n", &mut out);
    let bounce = |tx| numbers(&out, tx, Way::ToServer, AppField::FtpBounce);
    assert_eq!([bounce(0), bounce(1)], [[1], [1]]);
    assert!(bounce(2).is_empty());
}

#[test]
fn long_lines_are_told_and_cut() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    let mut long = b"RETR ".to_vec();
    long.resize(3 * LINE_LIMIT, b'A');
    long.extend_from_slice(b"\r\nQUIT\r\n");
    ftp.data(Way::ToServer, &long, &mut out);
    let events = |tx| out.get(tx).expect("a transaction").events().to_vec();
    assert_eq!(events(0), ["ftp.request_command_too_long"]);
    assert!(events(1).is_empty());
    let data = strings(&out, Way::ToServer, AppBuffer::FtpCommandData);
    assert_eq!(data[0][0].len(), LINE_LIMIT - 5);
    let mut long = vec![b'5'; LINE_LIMIT + 1];
    long.push(b'\n');
    ftp.data(Way::ToClient, &long, &mut out);
    let events = out.get(0).expect("a transaction").events().to_vec();
    assert!(events.contains(&"ftp.response_command_too_long"));
}

#[test]
fn commands_without_end_are_told_and_bounded() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    let many = b"NOOP\r\n".repeat(MOST_WAITING + 10);
    ftp.data(Way::ToServer, &many, &mut out);
    assert_eq!(out.transactions().count(), MOST_WAITING);
    let last = out.transactions().last().expect("a transaction");
    assert_eq!(last.events(), ["ftp.too_many_transactions"]);
}

#[test]
fn replies_belong_to_their_commands_however_many_wait() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    let count = MOST_WAITING + 1;
    let mut told = Vec::new();
    for at in 0..count {
        let line = format!("RMD {at}\r\n");
        ftp.data(Way::ToServer, line.as_bytes(), &mut out);
        told.extend(crate::app::testing::events(&out));
        out.look();
    }
    assert!(told.contains(&"ftp.too_many_transactions"));
    for at in 0..MOST_WAITING {
        let line = format!("250 {at}\r\n");
        ftp.data(Way::ToClient, line.as_bytes(), &mut out);
        let (_, record) = out.records.first().expect("a record");
        assert_eq!(record.fields["command_data"], at.to_string());
        assert_eq!(record.fields["reply"][0], at.to_string());
        out.look();
    }
    ftp.data(Way::ToServer, b"QUIT\r\n", &mut out);
    assert!(ftp.commands.len() <= 1 && ftp.memory() < 200_000);
}

#[test]
fn what_is_not_answered_ends_with_the_connection() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    ftp.data(Way::ToServer, b"NOOP\r\nPWD\r\n", &mut out);
    ftp.gap(Way::ToClient, &mut out);
    ftp.data(Way::ToClient, b"f a reply\r\n200 Fine\r\n", &mut out);
    ftp.end(Way::ToServer, &mut out);
    ftp.end(Way::ToClient, &mut out);
    assert!(out.transactions().all(|tx| tx.is_done()));
    let received = |tx| numbers(&out, tx, Way::ToClient, AppField::FtpReplyReceived);
    assert_eq!([received(0), received(1)], [[1], [0]]);
}

#[test]
fn tls_takes_over() {
    let (mut ftp, mut out) = (Ftp::default(), output());
    ftp.data(Way::ToServer, b"AUTH TLS\r\n", &mut out);
    ftp.data(Way::ToClient, b"234 Go on\r\n", &mut out);
    assert_eq!(out.change, Some(AppProto::Tls));
}

proptest::proptest! {
    #[test]
    fn garbage_does_no_harm(pieces in proptest::collection::vec((0..2usize, "(?s:.{0,60})|(PORT|PASV|RETR|STOR|22[79]-?) ?[0-9,|()]{0,12}\r?\n"), 0..30)) {
        let (mut ftp, mut out) = (Ftp::default(), output());
        for (way, piece) in &pieces {
            ftp.data(Way::of(*way), piece.as_bytes(), &mut out);
        }
        for way in Way::ALL {
            ftp.gap(way, &mut out);
            ftp.end(way, &mut out);
        }
        assert!(out.transactions().all(|tx| tx.is_done()));
    }
}
