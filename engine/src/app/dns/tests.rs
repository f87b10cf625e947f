use proptest::prelude::*;

use super::*;
use crate::app::testing::{all, events};

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [id, flags, counts[0], counts[1], counts[2], counts[3]];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn question(text: &str, rrtype: u16) -> Vec<u8> {
    let mut bytes = name(text);
    bytes.extend(rrtype.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

fn record(name: &[u8], rrtype: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend(rrtype.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend((data.len() as u16).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn request(text: &str) -> Vec<u8> {
    [header(7, 0x0100, [1, 0, 0, 0]), question(text, 1)].concat()
}

/// `www.example.org`, an alias of `web.example.org`, with an authority and an empty OPT.
fn response() -> Vec<u8> {
    [
        header(7, 0x8180, [1, 2, 1, 1]),
        question("www.example.org", 1),
        record(&[0xc0, 12], 5, &[3, b'w', b'e', b'b', 0xc0, 16]),
        record(&[0xc0, 45], 1, &[192, 0, 2, 1]),
        record(&[0xc0, 16], 2, &name("ns.example.net")),
        record(&[0], 41, &[]),
    ]
    .concat()
}

fn datagram(way: Way, bytes: &[u8]) -> (Dns, Output) {
    let (mut parser, mut out) = (Dns::new(true), Output::everything());
    parser.data(way, bytes, &mut out);
    (parser, out)
}

#[test]
fn a_request_shows_its_question() {
    let (parser, out) = datagram(Way::ToServer, &request("www.example.org"));
    let way = Way::ToServer;
    assert_eq!(all(&out, way, AppBuffer::DnsQuery), ["www.example.org"]);
    assert_eq!(
        all(&out, way, AppBuffer::DnsQueriesRrname),
        ["www.example.org"]
    );
    let tx = out.get(0).expect("a transaction");
    assert!(tx.is_done());
    assert!(tx.numbers(way, AppField::DnsRrtype).eq([1]));
    assert!(tx.numbers(way, AppField::DnsOpcode).eq([0]));
    assert_eq!(tx.numbers(Way::ToClient, AppField::DnsRcode).count(), 0);
    let (kind, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(kind, "dns");
    assert_eq!(object["version"], 3);
    assert_eq!(object["type"], "request");
    assert_eq!(object["flags"], "100");
    assert_eq!(object["rd"], true);
    assert_eq!(object["queries"][0]["rrtype"], "A");
    assert_eq!(out.records.len(), 1);
}

#[test]
fn a_response_shows_names_of_records_and_in_their_data() {
    let (parser, out) = datagram(Way::ToClient, &response());
    let way = Way::ToClient;
    assert_eq!(
        all(&out, way, AppBuffer::DnsAnswersRrname),
        ["www.example.org", "web.example.org"]
    );
    assert_eq!(
        all(&out, way, AppBuffer::DnsAuthoritiesRrname),
        ["example.org"]
    );
    assert_eq!(
        all(&out, way, AppBuffer::DnsResponseRrname),
        [
            "www.example.org",
            "www.example.org",
            "web.example.org",
            "web.example.org",
            "example.org",
            "ns.example.net"
        ]
    );
    assert!(all(&out, way, AppBuffer::DnsQuery).is_empty());
    let tx = out.get(0).expect("a transaction");
    assert!(tx.numbers(way, AppField::DnsRrtype).eq([5, 1]));
    assert!(events(&out).is_empty());
    let (_, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(object["answers"][0]["rdata"], "web.example.org");
    assert_eq!(object["grouped"]["A"][0], "192.0.2.1");
    assert_eq!(object["authorities"][0]["rdata"], "ns.example.net");
    assert!(object.get("additionals").is_none());
}

#[test]
fn a_message_can_come_in_something_else() {
    let mut out = Output::everything();
    let tx = out.begin();
    let object = put_carried(tx, Way::ToServer, &request("a.org"), &mut out);
    assert_eq!(object.expect("an object")["type"], "request");
    assert_eq!(all(&out, Way::ToServer, AppBuffer::DnsQuery), ["a.org"]);
    assert_eq!(put_carried(tx, Way::ToServer, &response(), &mut out), None);
    assert!(put_carried(tx, Way::ToClient, &response(), &mut out).is_some());
    assert!(!out.get(tx).expect("a transaction").is_done());
}

#[test]
fn every_kind_of_data_has_its_form() {
    let soa = [name("a.b"), name("c.d"), vec![0; 20]].concat();
    let srv = [vec![0, 1, 0, 2, 0, 80], name("t.x")].concat();
    let message = [
        header(1, 0x8000, [0, 7, 0, 1]),
        record(&name("n"), 6, &soa),
        record(&name("n"), 33, &srv),
        record(&name("n"), 16, b"\x01a\x02bc"),
        record(&name("n"), 44, &[1, 2, 0xab, 0xcd]),
        record(&name("n"), 28, &[0x20; 16]),
        record(&name("n"), 15, &[&[0, 10][..], &name("mx.x")].concat()),
        record(&name("n"), 64, &[1]),
        record(&[0], 41, &[0, 10, 0, 2, 1, 2]),
    ]
    .concat();
    let (parser, out) = datagram(Way::ToClient, &message);
    let (_, object) = parser.describe(0, &out).expect("an object");
    let answers = &object["answers"];
    assert_eq!(answers[0]["soa"]["rname"], "c.d");
    assert_eq!(answers[1]["srv"]["port"], 80);
    assert_eq!(answers[2]["rdata"], "a");
    assert_eq!(answers[3]["rdata"], "bc");
    assert_eq!(answers[4]["sshfp"]["fingerprint"], "ab:cd");
    assert_eq!(
        answers[5]["rdata"],
        "2020:2020:2020:2020:2020:2020:2020:2020"
    );
    assert_eq!(answers[6]["rdata"], "mx.x");
    assert_eq!(answers[7]["rrtype"], "64");
    assert!(answers[7].get("rdata").is_none());
    assert_eq!(object["grouped"]["TXT"], serde_json::json!(["a", "bc"]));
    assert_eq!(object["additionals"][0]["opt"][0]["data"], "0102");
}

#[test]
fn what_is_odd_is_told() {
    let mut z = request("z.org");
    z[3] |= 0x40;
    z[2] |= 0x38;
    let (_, out) = datagram(Way::ToServer, &z);
    assert_eq!(events(&out), ["dns.z_flag_set", "dns.invalid_opcode"]);

    let (_, out) = datagram(Way::ToClient, &request("a.org"));
    assert_eq!(events(&out), ["dns.not_response"]);

    // Nothing to hang it on.
    let (_, out) = datagram(Way::ToServer, &response());
    assert_eq!(out.transactions().count(), 0);

    // The additional record is cut.
    let whole = response();
    let (_, out) = datagram(Way::ToClient, &whole[..whole.len() - 3]);
    assert_eq!(events(&out), ["dns.invalid_additionals"]);
    let (_, out) = datagram(Way::ToClient, &whole[..whole.len() - 20]);
    assert_eq!(events(&out), ["dns.invalid_authorities"]);
}

#[test]
fn names_have_limits_and_loops_end() {
    let label = "a".repeat(63);
    let long = vec![label.as_str(); 20].join(".");
    let (_, out) = datagram(Way::ToServer, &request(&long));
    assert_eq!(events(&out), ["dns.name_too_long"]);
    assert_eq!(all(&out, Way::ToServer, AppBuffer::DnsQuery)[0].len(), 1025);

    // A pointer to a pointer to itself.
    let looped = [
        header(7, 0x8000, [0, 1, 0, 0]),
        record(&[0xc0, 18], 1, &[0xc0, 24, 0, 0]),
    ]
    .concat();
    datagram(Way::ToClient, &looped);
    let looped = [
        header(7, 0x8000, [1, 1, 0, 0]),
        question("x", 1),
        record(&[0xc0, 31], 1, &[0xc0, 31]),
    ]
    .concat();
    let (_, out) = datagram(Way::ToClient, &looped);
    assert_eq!(events(&out), ["dns.infinite_loop"]);

    // A label, and a pointer back to it, for ever.
    let looped = [
        header(7, 0x8000, [0, 1, 0, 0]),
        record(&[0xc0, 24], 1, &[1, b'a', 0xc0, 24]),
    ]
    .concat();
    let (_, out) = datagram(Way::ToClient, &looped);
    assert_eq!(events(&out), ["dns.name_too_long", "dns.too_many_labels"]);
}

#[test]
fn a_message_cannot_be_made_to_hold_more_than_its_limit() {
    let label = [vec![63], vec![b'a'; 63]].concat();
    let mut message = header(7, 0, [4000, 0, 0, 0]);
    message.extend(label.repeat(15));
    message.extend([0, 0, 1, 0, 1]);
    for _ in 1..4000 {
        message.extend([0xc0, 12, 0, 1, 0, 1]);
    }
    let (parser, out) = datagram(Way::ToServer, &message);
    assert_eq!(events(&out), ["dns.name_too_long"]);
    assert!(parser.memory() < 4 << 20, "{}", parser.memory());
    assert!(out.memory() < 8 << 20);
}

#[test]
fn multicast_is_to_the_server_only() {
    let (mut parser, mut out) = (Dns::multicast(), Output::everything());
    parser.data(Way::ToServer, &response(), &mut out);
    parser.data(Way::ToServer, &request("_http._tcp.local"), &mut out);
    let way = Way::ToServer;
    assert_eq!(
        all(&out, way, AppBuffer::MdnsQueriesRrname),
        ["_http._tcp.local"]
    );
    assert_eq!(all(&out, way, AppBuffer::MdnsAnswersRrname).len(), 2);
    assert_eq!(all(&out, way, AppBuffer::MdnsResponseRrname).len(), 6);
    let (kind, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(
        (kind, &object["type"]),
        ("mdns", &serde_json::json!("response"))
    );
    assert_eq!(object["flags"], serde_json::json!(["rd", "ra"]));
    assert_eq!(object["answers"][1]["a"], "192.0.2.1");
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend((message.len() as u16).to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

#[test]
fn a_stream_cut_anywhere_gives_the_same() {
    let bytes = framed(&[request("a.org"), Vec::new(), request("b.org")]);
    for cut in 0..=bytes.len() {
        for step in [1, 3, 1000] {
            let (mut parser, mut out) = (Dns::new(false), Output::everything());
            let (first, second) = bytes.split_at(cut);
            parser.data(Way::ToServer, first, &mut out);
            for piece in second.chunks(step) {
                parser.data(Way::ToServer, piece, &mut out);
            }
            assert_eq!(
                all(&out, Way::ToServer, AppBuffer::DnsQuery),
                ["a.org", "b.org"]
            );
            assert_eq!(parser.pending[0].bytes(), b"");
        }
    }
}

#[test]
fn a_stream_is_found_again_after_a_gap() {
    let (mut parser, mut out) = (Dns::new(false), Output::everything());
    let bytes = framed(&[request("a.org")]);
    parser.data(Way::ToServer, &bytes[..9], &mut out);
    parser.gap(Way::ToServer, &mut out);
    parser.data(Way::ToServer, b"some rest of a message", &mut out);
    assert!(!out.failed);
    parser.data(Way::ToServer, &framed(&[request("b.org")]), &mut out);
    assert_eq!(all(&out, Way::ToServer, AppBuffer::DnsQuery), ["b.org"]);
}

#[test]
fn a_stream_of_nonsense_fails_and_tells_the_last_message() {
    let (mut parser, mut out) = (Dns::new(false), Output::everything());
    let mut broken = request("b.org");
    broken[12] = 0x80;
    parser.data(
        Way::ToServer,
        &framed(&[request("a.org"), broken]),
        &mut out,
    );
    assert_eq!(events(&out), ["dns.malformed_data"]);
    assert!(out.failed);
}

#[test]
fn what_records_say_counts_as_memory_and_is_bounded() {
    let texts = |count: usize| {
        let text = [
            header(1, 0x8000, [0, 1, 0, 0]),
            record(&[0], 16, &vec![0; count]),
        ];
        datagram(Way::ToClient, &text.concat())
    };
    let (parser, out) = texts(4000);
    assert!(parser.memory() > 4000 * size_of::<Vec<u8>>());
    assert_eq!(out.dropped, 0);
    let (parser, out) = texts(60_000);
    assert!(parser.memory() < 200_000, "{}", parser.memory());
    let (_, object) = parser.describe(0, &out).expect("an object");
    assert_eq!(object["answers"].as_array().map(Vec::len), Some(4096));
    assert_eq!(out.dropped, 60_000 - 4096);
    // Options of an OPT record are parts as well.
    let options = record(&[0], 41, &[0; 4 * 10_000]);
    let message = [header(1, 0x8000, [0, 0, 0, 1]), options].concat();
    let (_, out) = datagram(Way::ToClient, &message);
    assert_eq!(out.dropped, 10_000 - 4096);
}

#[test]
fn pointers_cannot_make_a_message_endless() {
    // 250 pointers, each to the one before, and 4,000 names that begin with the last one.
    let mut chain = vec![0, 0];
    for at in 0..250_u16 {
        let to = if at == 0 { 23 } else { 23 + 2 * at };
        chain.extend((0xc000 | to).to_be_bytes());
    }
    let mut message = header(1, 0x8000, [0, 4001, 0, 0]);
    message.extend(record(&[0], 10, &chain));
    let last = (message.len() - 2) as u16;
    for _ in 0..4000 {
        message.extend(record(&(0xc000 | last).to_be_bytes(), 1, &[]));
    }
    let (_, out) = datagram(Way::ToClient, &message);
    assert_eq!(events(&out), ["dns.name_too_long", "dns.too_many_labels"]);
}

#[test]
fn messages_that_come_at_once_are_all_described() {
    let (mut parser, mut out) = (Dns::new(false), Output::everything());
    let many = vec![request("a.org"); 1000];
    parser.data(Way::ToServer, &framed(&many), &mut out);
    for tx in 0..1000 {
        assert!(parser.describe(tx, &out).is_some(), "{tx}");
    }
    out.look();
    parser.data(Way::ToServer, &framed(&[request("b.org")]), &mut out);
    assert!(parser.describe(0, &out).is_none());
    assert!(parser.memory() < 10_000);
}

proptest! {
    #[test]
    fn garbage_does_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        udp in any::<bool>(),
        flags in any::<u16>(),
    ) {
        let mut message = header(1, flags, [1, 2, 1, 1]);
        message.extend(&bytes);
        for way in Way::ALL {
            let (mut parser, mut out) = (Dns::new(udp), Output::everything());
            parser.data(way, &message, &mut out);
            parser.data(way, &framed(&[message.clone()]), &mut out);
            parser.data(way, &bytes, &mut out);
            parser.end(way, &mut out);
        }
    }
}
