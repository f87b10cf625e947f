mod records;

use records::at as set;
use records::*;

use super::*;
use crate::app::dcerpc::tests as dce;
use crate::app::testing::all;
use crate::app::{AppBuffer, AppField, FILE_LIMIT, Transaction};

/// A session in which a file is written out of order and read, and a pipe is called in two ways.
fn talk2() -> Vec<(Way, Vec<u8>)> {
    use Way::{ToClient, ToServer};
    let mut said = Vec::new();
    let mut say = |way, bytes: &[u8]| said.push((way, session(bytes.to_vec())));
    let blob = auth::tests::message();
    let length = (blob.len() as u16).to_le_bytes();
    say(
        ToServer,
        &two(
            0,
            0,
            0,
            0,
            &[(66, &[1, 0]), (76, &[1; 16]), (100, &[0x11, 3])],
        ),
    );
    say(
        ToClient,
        &two(
            0,
            0,
            0,
            0,
            &[
                (68, &[0x11, 3]),
                (72, &[2; 16]),
                (96, &[0, 0, 1, 0]),
                (100, &[0, 0, 1, 0]),
            ],
        ),
    );
    say(
        ToServer,
        &two(1, 1, 0, 0, &[(76, &[88, 0]), (78, &length), (88, &blob)]),
    );
    say(ToClient, &two(1, 1, 0, 0, &[(72, &[0])]));
    for (message, tree, name, kind) in [(2, 1, r"\\s\IPC$", 2), (3, 2, r"\\s\files", 1)] {
        let [asked, answered] = tree2(message, tree, name, kind);
        say(ToServer, &asked);
        say(ToClient, &answered);
    }
    for (message, tree, name, file) in [(4, 1, "srvsvc", &PIPE), (5, 2, r"dir\a.txt", &FILE)] {
        let [asked, answered] = create2(message, tree, name, file);
        say(ToServer, &asked);
        say(ToClient, &answered);
    }
    say(ToServer, &write2(6, 2, &FILE, 4, b"two "));
    say(ToServer, &write2(7, 2, &FILE, 0, b"one "));
    say(ToClient, &two(9, 6, 2, 0, &[(80, &[0])]));
    say(ToServer, &read2(8, 2, &FILE, 0));
    say(ToClient, &read_answer2(8, 2, b"read back"));
    // A bind by writing and reading, a call by asking, in two fragments of the answer.
    say(ToServer, &write2(9, 1, &PIPE, 0, &dce::bind()));
    say(ToServer, &read2(10, 1, &PIPE, 0));
    say(ToClient, &read_answer2(10, 1, &dce::bind_ack()));
    let ask = |message, data: &[u8], at: usize, parts: &[(usize, &[u8])]| {
        let length = (data.len() as u32).to_le_bytes();
        let mut all = vec![
            (68, &b"\x17\xc0\x11\0"[..]),
            (72, &PIPE[..]),
            (at, &[120, 0, 0, 0]),
            (at + 4, &length),
            (120, data),
        ];
        all.extend_from_slice(parts);
        two(11, message, 1, 0, &all)
    };
    say(
        ToServer,
        &ask(11, &dce::request(3, 2, 0, 4, b"question"), 88, &[]),
    );
    let answer = dce::pdu(2, 3, 2, b"12345678answer");
    say(ToClient, &ask(11, &answer, 96, &[]));
    say(ToServer, &two(6, 12, 2, 0, &[(72, &FILE), (88, &[0])]));
    say(ToClient, &two(6, 12, 2, 0, &[(120, &[0])]));
    said
}

/// Marks what a server says as an answer.
fn marked(way: Way, mut bytes: Vec<u8>) -> Vec<u8> {
    let (place, flag) = if bytes[4] == 0xfe { (16, 1) } else { (9, 0x80) };
    bytes[4 + place] |= if way == Way::ToClient { flag } else { 0 };
    bytes
}

fn run(said: &[(Way, Vec<u8>)], chunk: usize) -> (Smb, Output) {
    let (mut smb, mut out) = (Smb::default(), Output::everything());
    for (way, bytes) in said {
        for piece in marked(*way, bytes.clone()).chunks(chunk) {
            smb.data(*way, piece, &mut out);
        }
    }
    (smb, out)
}

fn shown(out: &Output) -> String {
    let mut text = String::new();
    let of = |tx: &Transaction, way| {
        let buffers = AppBuffer::ALL
            .iter()
            .map(|&of| tx.buffers(way, of).map(<[u8]>::to_vec).collect::<Vec<_>>());
        let numbers = AppField::ALL
            .iter()
            .map(|&of| tx.numbers(way, of).collect::<Vec<_>>());
        format!(
            "{:?} {:?} {}\n",
            buffers.collect::<Vec<_>>(),
            numbers.collect::<Vec<_>>(),
            tx.level(way)
        )
    };
    for tx in out.transactions() {
        text += &format!("{} {:?}\n", tx.id, tx.events());
        Way::ALL.into_iter().for_each(|way| text += &of(tx, way));
    }
    text + &format!("{:?}", out.records)
}

#[test]
fn files_trees_users_and_calls_are_found() {
    let (smb, out) = run(&talk2(), usize::MAX);
    let up = |buffer| all(&out, Way::ToServer, buffer);
    let down = |buffer| all(&out, Way::ToClient, buffer);
    assert!(out.transactions().all(|tx| tx.events().is_empty()));
    assert!(out.transactions().all(|tx| tx.is_done()));
    assert_eq!(up(AppBuffer::SmbNtlmsspUser), ["mex"]);
    assert_eq!(up(AppBuffer::SmbNtlmsspDomain), ["DM"]);
    assert_eq!(up(AppBuffer::SmbNamedPipe), [r"\\s\IPC$"]);
    assert_eq!(up(AppBuffer::SmbShare), [r"\\s\files"]);
    assert_eq!(up(AppBuffer::FileData), ["one two "]);
    assert_eq!(up(AppBuffer::FileName), [r"dir\a.txt"]);
    assert_eq!(down(AppBuffer::FileData), ["read back"]);
    assert_eq!(up(AppBuffer::DceStubData), ["question"]);
    assert_eq!(down(AppBuffer::DceStubData), ["answer"]);
    assert_eq!(up(AppBuffer::DceInterface).len(), 1);
    assert_eq!(down(AppBuffer::DceInterface).len(), 1);
    let (kind, fields) = smb.describe(0, &out).expect("an object");
    assert_eq!((kind, &fields["dialect"]), ("smb", &"3.11".into()));
    let described = |command: &str| {
        let fields = out.records.iter().map(|(_, record)| &record.fields);
        fields
            .filter(|of| of["command"] == command)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        described("SMB2_COMMAND_CREATE")[1]["filename"],
        r"dir\a.txt"
    );
    assert_eq!(
        described("SMB2_COMMAND_WRITE")[0]["dcerpc"]["response"],
        "BINDACK"
    );
    assert_eq!(described("SMB2_COMMAND_IOCTL")[0]["dcerpc"]["opnum"], 4);
    assert_eq!(described("SMB2_COMMAND_READ")[0]["share"], r"\\s\files");
}

#[test]
fn cuts_do_not_matter() {
    let said = talk2();
    let whole = shown(&run(&said, usize::MAX).1);
    for chunk in (1..40).chain([63, 64, 65, 100]) {
        assert_eq!(shown(&run(&said, chunk).1), whole, "chunks of {chunk}");
    }
}

#[test]
fn a_pipe_is_a_share_while_nobody_said_otherwise() {
    let [asked, answered] = tree2(1, 1, "x", 2);
    let said = [
        (Way::ToServer, session(asked)),
        (Way::ToServer, session(two(13, 2, 0, 0, &[(67, &[0])]))),
        (Way::ToClient, session(answered)),
    ];
    let (_, out) = run(&said, usize::MAX);
    assert_eq!(all(&out, Way::ToServer, AppBuffer::SmbShare), ["x"]);
    assert_eq!(all(&out, Way::ToServer, AppBuffer::SmbNamedPipe), ["x"]);
}

#[test]
fn long_data_goes_on_as_it_comes() {
    let mut data = vec![b'a'; 3 * WHOLE as usize];
    data.extend_from_slice(b"end");
    let said = [
        (Way::ToServer, session(write2(1, 2, &FILE, 0, &data))),
        (
            Way::ToServer,
            session(write2(2, 2, &FILE, data.len() as u64, b"more")),
        ),
        (
            Way::ToServer,
            session(two(6, 3, 2, 0, &[(72, &FILE), (88, &[0])])),
        ),
    ];
    for chunk in [usize::MAX, 1460, 100_000] {
        let (smb, out) = run(&said, chunk);
        let tx = out.get(0).expect("a file");
        assert_eq!(tx.files()[0].size(), data.len() as u64 + 4);
        assert_eq!(
            all(&out, Way::ToServer, AppBuffer::FileData)[0].len(),
            FILE_LIMIT
        );
        assert!(smb.memory() < 100_000, "{}", smb.memory());
        assert_eq!(out.transactions().count(), 2);
    }
}

#[test]
fn answers_of_clients_are_passed_over() {
    let echo = session(two(13, 1, 0, 0, &[(67, &[0])]));
    let (mut smb, mut out) = run(&[(Way::ToServer, echo.clone())], usize::MAX);
    smb.data(
        Way::ToServer,
        &marked(Way::ToClient, echo.clone()),
        &mut out,
    );
    smb.data(Way::ToClient, &echo, &mut out);
    let events = out.get(0).expect("one").events();
    assert_eq!(events, ["smb.response_to_server", "smb.request_to_client"]);
    assert_eq!(out.transactions().count(), 1);
}

#[test]
fn records_in_a_message_are_all_read() {
    let [mut create, _] = create2(1, 2, "name", &FILE);
    create.resize(create.len().next_multiple_of(8), 0);
    let next = (create.len() as u32).to_le_bytes();
    at(&mut create, 20, &next);
    let message = session([create, write2(2, 2, &FILE, 0, b"data")].concat());
    let (_, out) = run(&[(Way::ToServer, message)], 7);
    assert_eq!(out.transactions().count(), 2);
}

#[test]
fn smb_1_is_read_too() {
    use Way::{ToClient, ToServer};
    let mut said = Vec::new();
    let mut say = |way, bytes: Vec<u8>| said.push((way, session(bytes)));
    say(
        ToServer,
        one(0x72, 1, &[(32, b"\0\x0d\0\x02NT LM 0.12\0\x02")]),
    );
    say(ToClient, one(0x72, 1, &[(32, &[17, 0, 0]), (69, &[5; 16])]));
    say(
        ToServer,
        one(
            0x75,
            2,
            &[
                (32, &[4, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
                (44, b"\\\\s\\share\0?????\0"),
            ],
        ),
    );
    say(
        ToClient,
        one(
            0x75,
            2,
            &[(32, &[3, 0xff, 0, 0, 0, 0, 0, 0, 0]), (41, b"A:\0")],
        ),
    );
    say(
        ToServer,
        one(
            0xa2,
            3,
            &[
                (32, &[24, 0xff]),
                (38, &[5, 0]),
                (81, &[0, 0]),
                (83, b"a.exe\0"),
            ],
        ),
    );
    say(
        ToClient,
        one(0xa2, 3, &[(32, &[34, 0xff]), (38, &[6, 0x40]), (100, &[0])]),
    );
    // A write, with a close behind it in the same record.
    let mut write = one(
        0x2f,
        4,
        &[
            (32, &[14, 4, 0, 72, 0]),
            (37, &[6, 0x40]),
            (53, &[4, 0]),
            (55, &[81, 0]),
        ],
    );
    at(&mut write, 72, &[3, 6, 0x40, 0, 0, 0, 0, 0, 0]);
    at(&mut write, 81, b"data");
    say(ToServer, write);
    say(
        ToServer,
        one(
            0x0b,
            5,
            &[
                (32, &[5, 7, 0x40, 3, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1, 3, 0]),
                (48, b"abc"),
            ],
        ),
    );
    let (smb, mut out) = run(&said, 3);
    let up = |out: &Output, buffer| all(out, Way::ToServer, buffer);
    assert_eq!(up(&out, AppBuffer::SmbShare), ["\\s\\share"]);
    assert_eq!(up(&out, AppBuffer::FileName), ["a.exe", "<unknown>"]);
    assert_eq!(up(&out, AppBuffer::FileData), ["data"]);
    assert_eq!(
        out.get(0).expect("one").events(),
        ["smb.negotiate_malformed_dialects"]
    );
    let (_, fields) = smb.describe(1, &out).expect("an object");
    assert_eq!(fields["dialect"], "NT LM 0.12");
    assert_eq!(fields["service"]["response"], "A:");
    let mut smb = smb;
    for way in Way::ALL {
        smb.end(way, &mut out);
    }
    assert_eq!(up(&out, AppBuffer::FileData), ["data", "abc"]);
    assert!(out.transactions().all(|tx| tx.is_done()));
}

#[test]
fn overlaps_are_told_and_gaps_end_with_the_next_message() {
    let said = [
        (Way::ToServer, session(write2(1, 2, &FILE, 0, b"data"))),
        (Way::ToServer, session(write2(2, 2, &FILE, 2, b"xx"))),
    ];
    let (mut smb, mut out) = run(&said, usize::MAX);
    assert_eq!(out.get(0).expect("one").events(), ["smb.file_overlap"]);
    smb.gap(Way::ToServer, &mut out);
    let echo = session(two(13, 9, 0, 0, &[(67, &[0])]));
    let mut rest = b"\0\0\0\x10xxSMB \0\0\0\0\xfeSM".to_vec();
    rest.extend_from_slice(&echo);
    for piece in rest.chunks(3) {
        smb.data(Way::ToServer, piece, &mut out);
    }
    assert_eq!(out.transactions().count(), 2);
    assert!(out.get(0).expect("one").files()[0].gaps());
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut smb, mut out) = (Smb::default(), Output::everything());
    let name = "n".repeat(5000);
    for message in 0..1000_u64 {
        let mut file = [0; 16];
        file[..8].copy_from_slice(&message.to_le_bytes());
        for (way, bytes) in Way::ALL.into_iter().zip(create2(message, 1, &name, &file)) {
            smb.data(way, &marked(way, session(bytes)), &mut out);
        }
        smb.data(
            Way::ToServer,
            &session(write2(message, 1, &file, 9, &[1; 30_000])),
            &mut out,
        );
        out.crowd();
        out.records.clear();
        out.live.retain(|tx| !tx.is_done());
        assert!(smb.memory() < 12 << 20, "{}", smb.memory());
    }
}

#[test]
fn what_clients_say_of_themselves_is_bounded_and_counts_as_memory() {
    let dialects = [0x11, 3].repeat(30_000);
    let count = 30_000_u16.to_le_bytes();
    let parts: [(usize, &[u8]); 3] = [(66, &count), (76, &[1; 16]), (100, &dialects)];
    let negotiate = session(two(0, 0, 0, 0, &parts));
    let (smb, out) = run(&[(Way::ToServer, negotiate)], usize::MAX);
    let (_, fields) = smb.describe(0, &out).expect("an object");
    assert_eq!(fields["client_dialects"].as_array().map(Vec::len), Some(64));
    assert_eq!(out.dropped, 30_000 - 64);

    let user = "u".repeat(20_000).into_bytes();
    let blob = auth::tests::message_of(&[b"domain", &user, b"host"]);
    let length = (blob.len() as u16).to_le_bytes();
    let parts: [(usize, &[u8]); 3] = [(76, &[88, 0]), (78, &length), (88, &blob)];
    let setup = session(two(1, 1, 0, 0, &parts));
    let (smb, out) = run(&[(Way::ToServer, setup)], usize::MAX);
    let users = all(&out, Way::ToServer, AppBuffer::SmbNtlmsspUser);
    assert_eq!(users[0].len(), 4096);
    assert!(smb.memory() > 4096);
}

#[test]
fn commands_of_a_record_are_bounded() {
    // Each says that another one follows five bytes further.
    let mut record = one(0x24, 1, &[]);
    for at in (32..32 + 5 * 200).step_by(5) {
        let next = (at as u16 + 5).to_le_bytes();
        set(&mut record, at, &[2, 0x24, 0, next[0], next[1]]);
    }
    let (_, out) = run(&[(Way::ToServer, session(record))], usize::MAX);
    assert_eq!(out.transactions().count(), 32);
    let last = out.transactions().last().expect("a transaction");
    assert_eq!(last.events(), ["smb.malformed_data"]);
}

#[test]
fn data_far_behind_its_header_is_found() {
    let data = vec![b'd'; 2 * WHOLE as usize];
    let mut write = one(0x2f, 4, &[(32, &[14, 0xff, 0, 0, 0]), (37, &[6, 0x40])]);
    at(&mut write, 51, &[4, 0, 0, 0]);
    at(&mut write, 55, &[0xd0, 7]);
    at(&mut write, 2000, &data);
    at(&mut write, 2000 + data.len(), b"no data");
    for chunk in [usize::MAX, 1460, 777] {
        let (mut smb, mut out) = run(&[(Way::ToServer, session(write.clone()))], chunk);
        smb.end(Way::ToServer, &mut out);
        let tx = out.get(0).expect("a file");
        assert_eq!(tx.files()[0].size(), data.len() as u64, "{chunk}");
        let found = all(&out, Way::ToServer, AppBuffer::FileData);
        assert!(found[0].bytes().all(|byte| byte == b'd'));
    }
}

proptest::proptest! {
    #[test]
    fn garbage_does_no_harm(records in proptest::collection::vec(
        (0..2usize, proptest::bool::ANY, 0..20u16, 0..4u64, 0..130usize, proptest::collection::vec(0..130u8, 0..200)), 0..20), cut in 1..90usize) {
        let (mut smb, mut out) = (Smb::default(), Output::everything());
        for (way, second, command, message, place, body) in &records {
            const COMMANDS: [u8; 20] = [0x72, 0x73, 0x75, 0xa2, 4, 0x0b, 0x24, 0x25, 0x2c, 0x2d, 0x2e, 0x2f, 0x32, 0x33, 0x71, 0x74, 0xa4, 0x25, 0x2e, 0xff];
            let record = if *second {
                two(*command, *message, 1, 0, &[(64 + place, body)])
            } else {
                one(COMMANDS[usize::from(*command)], *message as u16, &[(32 + place / 8, body)])
            };
            for piece in marked(Way::of(*way), session(record)).chunks(cut) {
                smb.data(Way::of(*way), piece, &mut out);
            }
            smb.data(Way::of(*way), &body[..body.len() / 9], &mut out);
        }
        for way in Way::ALL {
            smb.gap(way, &mut out);
            smb.end(way, &mut out);
        }
        proptest::prop_assert!(out.transactions().all(|tx| tx.is_done()));
    }
}
